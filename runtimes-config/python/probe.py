"""Prints what a build depends on: the interpreter's version, ABI, C library and machine, and pip's version.

Run as `python3 -I -c TEXT`, on every start of a pod: imports only what the interpreter has loaded anyway.
"""

import _imp
import os
import sys


def facts():
    yield "implementation", sys.implementation.name
    for suffix in _imp.extension_suffixes()[:1]:  # `.cpython-311-x86_64-linux-gnu.so`
        yield "abi", suffix.strip(".").rpartition(".")[0]
    yield "libc", libc()
    yield "arch", os.uname().machine
    yield "pip", pip()
    yield "leans-on", "\n".join(leans_on())


def libc():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):  # musl knows the name and no answer.
        return musl()


def musl():
    """musl tells its version only by its loader, run without arguments."""
    with open("/proc/self/maps") as maps:
        loaders = [line.split()[-1] for line in maps if "/ld-musl-" in line]
    if not loaders:
        return None
    reading, writing = os.pipe()
    child = os.posix_spawn(loaders[0], loaders[:1], {}, file_actions=[(os.POSIX_SPAWN_DUP2, writing, 2)])
    os.close(writing)
    with open(reading, errors="replace") as answer:
        words = answer.read().split()
    os.waitpid(child, 0)
    return "musl " + words[words.index("Version") + 1] if "Version" in words else "musl"


def pip():
    """The version in the file from which `import pip` would take it."""
    for folder in sys.path:
        try:
            with open(folder + "/pip/__init__.py", errors="replace") as file:
                lines = [line for line in file if line.startswith("__version__")]
        except OSError:
            continue
        return lines[0].partition("=")[2].strip().strip("\"'") if lines else None
    return None


def leans_on():
    """What must be the same for the answer to be: what is loaded, where modules are, and pip."""
    with open("/proc/self/maps") as maps:
        loaded = {line.split()[-1] for line in maps if "/" in line}
    yield from sorted(path for path in loaded if ".so" in path and "/lib" in path and "lib-dynload" not in path)
    for folder in sys.path:
        yield folder
        yield folder + "/pip/__init__.py"


def quoted(text):
    """A JSON string in ASCII: `json` would take longer to import than all of this takes."""
    data = text.encode("utf-16-be", "replace")
    units = (data[at] << 8 | data[at + 1] for at in range(0, len(data), 2))
    plain = (chr(unit) if 31 < unit < 127 and chr(unit) not in '"\\' else "\\u%04x" % unit for unit in units)
    return '"' + "".join(plain) + '"'


found = ",".join(quoted(name) + ":" + quoted(value) for name, value in facts() if value)
print('{"version":' + quoted(sys.version.split()[0]) + ',"facts":{' + found + "}}")
