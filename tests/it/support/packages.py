"""Makes the packages that the tests' registry serves: one JSON object of file names and base64."""

import base64, io, json, tarfile, zipfile

# A build backend of the package's own, so that nothing else must be downloaded to build it.
BUILD = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# Copies what it sees of its surroundings into the package: the environment, and that of its ancestors.
NOSY = """\
import json, os

def parents():
    pid = os.getppid()
    while pid > 1:
        yield pid
        with open(f"/proc/{pid}/stat") as file:
            pid = int(file.read().rpartition(")")[2].split()[1])

def name(pid):
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()

def environ(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().decode(errors="replace")
    except OSError as error:
        return error.strerror

def text():
    return "SEEN = " + repr({
        "env": sorted(os.environ),
        "above": [[name(pid), environ(pid)] for pid in parents()],
    })
"""
# Tells everybody the index that it was fetched from, in every form it can think of.
LEAKY = """\
import base64, os, sys, urllib.parse

def text():
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "HTTP_PROXY", "REGISTRY_LOGIN"):
        url = os.environ.get(name)
        if url:
            user_info = urllib.parse.unquote(url.split("//")[-1].split("@")[0])
            for said in (url, user_info, urllib.parse.quote(user_info, safe="")):
                print(said, base64.b64encode(said.encode()).decode())
    sys.exit("error: this build is broken by design")
"""
WRITE = """

import zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    module, info = text(), "{name}-1.0.dist-info/"
    with zipfile.ZipFile(directory + "/{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("{name}.py", module)
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "{name}.py,,\\n" + "".join(info + file + ",,\\n" for file in ("METADATA", "WHEEL", "RECORD")))
    return "{name}-1.0-py3-none-any.whl"
"""


def sdist(name, backend):
    files = {
        "pyproject.toml": BUILD + f'[project]\nname = "{name}"\nversion = "1.0"\n',
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "backend.py": backend + WRITE.replace("{name}", name),
    }
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return whole.getvalue()


def wheel(name, module):
    import os, tempfile

    scope = {"text": lambda: module}
    exec(WRITE.replace("{name}", name), scope)
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, scope["build_wheel"](directory)), "rb") as file:
            return file.read()


packages = {
    "acmegreeting-1.0-py3-none-any.whl": wheel("acmegreeting", "TEXT = 'hello'\n"),
    "nosy-1.0.tar.gz": sdist("nosy", NOSY),
    "leaky-1.0.tar.gz": sdist("leaky", LEAKY),
}
print(json.dumps({name: base64.b64encode(content).decode() for name, content in packages.items()}))
