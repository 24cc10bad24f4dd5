"""A registry on loopback for `record`: packages made here, the same bytes each time, and every way to misbehave."""

import base64
import gzip
import hashlib
import http.server
import io
import json
import pathlib
import random
import sys
import tarfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import loopback

# name: version: what its package.json says beside name and version.
PACKAGES = {
    "greet": {"1.0.0": {}, "1.2.0": {}, "2.0.0": {}},
    "@acme/greet": {"1.0.0": {}},
    "polite": {"1.0.0": {"dependencies": {"greet": "^1.0.0"}}},
    "greet-plugin": {"1.0.0": {"peerDependencies": {"greet": "^1.0.0"}}},
    "greet-theme": {"1.0.0": {"peerDependencies": {"greet": "^2.0.0"}}},
    "wants-missing": {"1.0.0": {"dependencies": {"no-such-package": "^1.0.0"}}},
    "wants-newer": {"1.0.0": {"dependencies": {"greet": "^99.0.0"}}},
    "wants-workspace": {"1.0.0": {"dependencies": {"greet": "workspace:^"}}},
    "modern": {"1.0.0": {"engines": {"node": ">=99"}}},
    "windowed": {"1.0.0": {"os": ["win32"]}},
    "scripted": {"1.0.0": {"scripts": {"postinstall": "node setup.js"}}},
    "killed": {"1.0.0": {"scripts": {"postinstall": "kill -9 $$"}}},
    "lacks-tool": {"1.0.0": {"scripts": {"install": "prebuild-it --all"}}},
    "native": {"1.0.0": {"scripts": {"install": "node-gyp rebuild"}, "gypfile": True}},
    "bulky": {"1.0.0": {}},
    "withdrawn": {},
}
SETUP = """console.log('fetching the words');
setTimeout(() => {
  console.error('setup.js: the words for "xx" are not there');
  process.exitCode = 3;
}, 300);
"""
FILES = {
    "bulky": {"noise": random.Random(0).randbytes(6_000_000)},
    "scripted": {"setup.js": SETUP},
    "native": {
        "binding.gyp": '{"targets": [{"target_name": "native", "sources": ["native.c"]}]}\n',
        "native.c": "#include <no_such_header.h>\n",
    },
}


def tarball(name, version):
    """The package's archive."""
    manifest = {"name": name, "version": version, **PACKAGES[name][version]}
    files = {"package.json": json.dumps(manifest), "index.js": "", **FILES.get(name, {})}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"package/{path}")
            data = text if isinstance(text, bytes) else text.encode()
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(archive.getvalue(), mtime=0)


def integrity(data):
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def packument(name, base):
    """What a registry says of a package."""
    versions = {}
    for version, more in PACKAGES[name].items():
        data = tarball(name, version)
        dist = {"tarball": url(base, name, version), "integrity": integrity(data)}
        dist["shasum"] = hashlib.sha1(data).hexdigest()
        scripts = {"hasInstallScript": True} if "scripts" in more else {}
        versions[version] = {"name": name, "version": version, **more, **scripts, "dist": dist}
    times = {version: "2024-01-01T00:00:00.000Z" for version in ["created", "modified", *versions]}
    return {"name": name, "dist-tags": {"latest": list(versions)[-1]} if versions else {}, "versions": versions, "time": times}


def url(base, name, version):
    return f"{base}/{name}/-/{name.split('/')[-1]}-{version}.tgz"


def serve(how, certificate=None):
    """Serves, and fails as `how` says: pages, tarballs or everything.

    status: this status instead of everything; tarball: of tarballs only; None hangs up; "slow" never answers;
    "cut" ends in the middle; "html" answers 200 with a page; "corrupt" with bytes that are no archive.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = self.path.replace("%2f", "/").replace("%2F", "/")
            package, _, file = path[1:].partition("/-/")
            answer = how.get("tarball" if file else "page", how.get("status", 200))
            if "proxy" in how:
                answer = how["proxy"]
            base = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server.server_port}"
            if answer == 200 and package not in PACKAGES:
                return self.answer(404, b'{"error":"Not found"}')
            if answer == 200 and file:
                return self.answer(200, tarball(package, file.rsplit("-", 1)[1].removesuffix(".tgz")), "application/octet-stream")
            if answer == 200:
                return self.answer(200, json.dumps(packument(package, base)).encode())
            if answer == "html":
                return self.answer(200, b"<!DOCTYPE html><html><title>Sign in</title></html>", "text/html")
            if answer == "corrupt":
                return self.answer(200, gzip.compress(b"this is no archive" * 99, mtime=0)[:60])
            if answer == "cut":
                self.answer(200, b"x" * 100, length=100_000)
            elif answer == "slow":
                time.sleep(6)
            elif answer:
                words = {401: "authentication required", 403: "forbidden by policy", 404: "Not found", 429: "rate limited"}
                words = words.get(answer, "upstream")
                return self.answer(answer, json.dumps({"error": words}).encode())
            self.close_connection = True

        do_CONNECT = do_HEAD = do_PUT = do_POST = do_GET

        def answer(self, status, body, kind="application/json", length=None):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length or len(body)))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="registry"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    return loopback.serve(Handler, certificate)
