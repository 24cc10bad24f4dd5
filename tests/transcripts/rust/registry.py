"""A sparse registry on loopback for `record-network`: crates made here, the same bytes each time, and every way to misbehave."""

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

# name: version: its dependencies.
CRATES = {
    "greet": {"1.0.0": {}, "1.2.0": {}, "2.0.0": {}},
    "polite": {"1.0.0": {"greet": "^1.0.0"}},
    "wants-missing": {"1.0.0": {"no-such-crate": "^1.0.0"}},
    "bulky": {"1.0.0": {}},
}
FILES = {"bulky": {"noise": random.Random(0).randbytes(6_000_000)}}


def crate(name, version):
    """The crate's archive."""
    wants = "".join(f'{other} = "{wanted}"\n' for other, wanted in CRATES[name][version].items())
    manifest = f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2021"\n\n[dependencies]\n{wants}'
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, text in {"Cargo.toml": manifest, "src/lib.rs": 'pub const TEXT: &str = "hello";\n', **FILES.get(name, {})}.items():
            data = text if isinstance(text, bytes) else text.encode()
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(archive.getvalue(), mtime=0)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def checksum(name, version):
    return digest(crate(name, version))


def index(name):
    """What the index says of a crate, a line for each version."""
    lines = []
    for version, wants in CRATES[name].items():
        deps = [
            {"name": other, "req": wanted, "features": [], "optional": False, "default_features": True, "target": None, "kind": "normal"}
            for other, wanted in wants.items()
        ]
        line = {"name": name, "vers": version, "deps": deps, "cksum": checksum(name, version), "features": {}, "yanked": False}
        lines.append(json.dumps(line))
    return "\n".join(lines) + "\n"


def serve(how, certificate=None):
    """Serves at `/index/`, and fails as `how` says.

    config, page, file: a status instead of config.json, of what is said of crates, of archives; status: of everything.
    None hangs up; "slow" never answers; "cut" ends in the middle; "html" answers 200 with a page; "corrupt" with other bytes.
    auth: config.json says that a token is required; token: which one.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = self.path
            kind = "config" if path.endswith("/config.json") else "file" if path.endswith("/download") else "page"
            answer = how.get("proxy", how.get(kind, how.get("status", 200)))
            if how.get("token") not in (None, self.headers.get("Authorization")):
                answer = 401
            base = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server.server_port}"
            if answer == 200 and kind == "config":
                said = {"dl": f"{base}/crates", "api": base, **({"auth-required": True} if how.get("auth") else {})}
                return self.answer(200, json.dumps(said).encode())
            if answer in (200, "corrupt") and kind == "file":
                name, version = path.split("/")[-3:-1]
                return self.answer(200, crate(name, version if answer == 200 else "2.0.0"), "application/octet-stream")
            if answer == 200:
                name = path.rsplit("/", 1)[1]
                if name not in CRATES:
                    return self.answer(404, b"not found")
                return self.answer(200, index(name).encode(), "text/plain")
            if answer == "html":
                return self.answer(200, b"<!DOCTYPE html><html><title>Sign in</title></html>", "text/html")
            if answer == "cut":
                self.answer(200, b"x" * 100, length=100_000)
            elif answer == "slow":
                time.sleep(6)
            elif answer:
                words = {401: "authentication required", 403: "forbidden by policy", 404: "not found", 429: "rate limited"}
                return self.answer(answer, json.dumps({"errors": [{"detail": words.get(answer, "upstream")}]}).encode())
            self.close_connection = True

        do_CONNECT = do_HEAD = do_GET

        def answer(self, status, body, kind="application/json", length=None):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length or len(body)))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="registry"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            if how.get("log"):
                print(self.command, self.path, self.headers.get("Authorization"), self.headers.get("Proxy-Authorization"), flush=True)

    return loopback.serve(Handler, certificate, how.get("port", 0))
