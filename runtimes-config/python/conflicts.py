"""Says, as JSON, what is installed in a folder and which requirements of one package another does not meet.

    python3 -I -S conflicts.py DEPS_DIR

Reads the metadata in that folder alone: what `pip check` sees is the interpreter's own. Output:

    {"checked": true, "packages": [{"name", "version"}],
     "conflicts": [{"package", "version", "requires", "found": "1.2" | null}]}

`checked` is false, and `conflicts` empty, where something is required and neither pip nor `packaging` is there. Exit status: 0 no conflict,
1 conflicts, 2 this helper failed.
"""

import json
import os
import re
import site
import sys


def main(deps):
    installed = {}
    for name, version, requirements in distributions(deps):
        installed[canonical(name)] = name, version, requirements
    packages = [{"name": name, "version": version} for _, (name, version, _) in sorted(installed.items())]
    requires = any(requirements for _, _, requirements in installed.values())
    requirement = requirement_parser() if requires else None
    conflicts = list(unmet(installed, requirement)) if requirement else []
    checked = requirement is not None or not requires
    print(json.dumps({"checked": checked, "packages": packages, "conflicts": conflicts}))
    return 1 if conflicts else 0


def distributions(deps):
    """Name, version and requirements of each; `.egg-info` is what old installers leave."""
    for entry in sorted(os.listdir(deps)):
        stem, suffix = os.path.splitext(entry)
        path = os.path.join(deps, entry)
        if suffix == ".dist-info":
            path = os.path.join(path, "METADATA")
        elif suffix == ".egg-info":
            path = os.path.join(path, "PKG-INFO") if os.path.isdir(path) else path
        else:
            continue
        if os.path.isfile(path):
            headers = read_headers(path)
            parts = stem.split("-")  # `name-version`, for metadata that does not say.
            name = (headers["name"] or parts)[0]
            version = (headers["version"] or parts[1:] or [""])[0]
            yield name, version, headers["requires-dist"]


def read_headers(path):
    """The headers wanted, each with its values; the description behind the empty line is not read."""
    wanted = {"name": [], "version": [], "requires-dist": []}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip():
                break
            name, _, value = line.partition(":")
            if name.lower() in wanted:
                wanted[name.lower()].append(value.strip())
    return wanted


def canonical(name):
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_parser():
    """The class of `packaging` that understands requirements, if pip or the image has it: with `-S`, what is installed
    there is looked for only now, since both takes longer than all else."""
    site.main()
    try:
        from pip._vendor.packaging.requirements import Requirement
    except ImportError:
        try:
            from packaging.requirements import Requirement
        except ImportError:
            return None
    return Requirement


def unmet(installed, parse):
    for name, version, wanted in (installed[key] for key in sorted(installed)):
        for text in wanted:
            try:
                requirement = parse(text)
                # With which extras it was asked for is not known here: without.
                if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                    continue
                found = installed.get(canonical(requirement.name))
                if found and requirement.specifier.contains(found[1], prereleases=True):
                    continue
            except ValueError:  # As old packages write it: nobody can say.
                continue
            requires = f"{requirement.name}{requirement.specifier}"
            yield {"package": name, "version": version, "requires": requires, "found": found[1] if found else None}


if __name__ == "__main__":
    try:
        status = main(*sys.argv[1:])
    except Exception as failure:  # Not 1, which Python would say: that is an answer.
        sys.exit(print(f"conflicts.py: {type(failure).__name__}: {failure}", file=sys.stderr) or 2)
    sys.exit(status)
