"""A company's network on loopback for `record`: a module proxy, a git server behind it, and every way to misbehave."""

import base64
import hashlib
import http.server
import io
import json
import pathlib
import re
import select
import socket
import subprocess
import sys
import time
import zipfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import loopback

# module: version: its files beside go.mod, and what that requires.
MODULES = {
    "acme.example/greet": {"v1.0.0": {}, "v1.2.0": {}},
    "acme.example/polite": {"v1.0.0": {"acme.example/greet": "v1.0.0"}},
    "acme.example/lost": {"v1.0.0": {"acme.example/missing": "v1.0.0"}},
}


def files(module, version):
    """The module's files."""
    requires = "".join(f"\nrequire {name} {wanted}\n" for name, wanted in MODULES[module][version].items())
    package = module.rsplit("/", 1)[1]
    return {
        f"{package}.go": f'package {package}\n\nfunc Text() string {{ return "hello" }}\n',
        "go.mod": f"module {module}\n\ngo 1.20\n{requires}",
    }


def archive(module, version):
    """The zip of a module as https://go.dev/ref/mod#zip-files wants it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        for name, text in files(module, version).items():
            made.writestr(zipfile.ZipInfo(f"{module}@{version}/{name}"), text)
    return data.getvalue()


def sums(module, version):
    """The lines of go.sum: https://go.dev/ref/mod#go-sum-files."""

    def digest(texts):
        lines = (f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in sorted(texts.items()))
        return "h1:" + base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()

    own = files(module, version)
    whole = digest({f"{module}@{version}/{name}": text for name, text in own.items()})
    return f"{module} {version} {whole}\n{module} {version}/go.mod {digest({'go.mod': own['go.mod']})}\n"


def repository(room, module, version):
    """A bare git repository of a module, as files that any web server can serve."""
    work, bare = room / "work", room / "repository"
    for name, text in files(module, version).items():
        work.mkdir(exist_ok=True)
        (work / name).write_text(text)
    dates = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
    names = {f"GIT_{who}_{what}": "acme@acme.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for command in ("init -q -b main", "add .", "commit -q -m first", f"tag {version}", f"clone -q --bare . {bare}", f"-C {bare} update-server-info"):
        subprocess.run(["git", *command.split()], cwd=work, check=True, env={"PATH": "/usr/bin:/bin", **dates, **names})
    return bare


def proxied(path):
    """What a module proxy answers: https://go.dev/ref/mod#goproxy-protocol."""
    module, _, rest = path[1:].partition("/@")
    versions = MODULES.get(module)
    if versions is None:
        return None
    if rest == "v/list":
        return "".join(f"{version}\n" for version in versions).encode()
    version, _, kind = rest.removeprefix("v/").rpartition(".")
    if rest == "latest":
        version, kind = list(versions)[-1], "info"
    if version not in versions:
        return None
    if kind == "info":
        return json.dumps({"Version": version, "Time": "2026-01-01T00:00:00Z"}).encode()
    return {"mod": lambda: files(module, version)["go.mod"].encode(), "zip": lambda: archive(module, version)}.get(kind, lambda: None)()


def serve(how, certificate=None, repository=None):
    """Serves, and fails as `how` says: archives, repositories, the checksum database or everything.

    status: this status instead of everything; archive, git, discovery, sumdb: of those only; None hangs up; "slow" never answers;
    "cut" ends in the middle; "html" answers 200 with a page; "corrupt" with bytes that are no archive.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path, _, query = self.path.partition("?")
            kinds = {"archive": r"\.zip$", "git": r"\.git/|/info/refs$", "sumdb": "^/sumdb/", "page": ""}
            kind = next(kind for kind, pattern in kinds.items() if re.search(pattern, path))
            if query == "go-get=1":
                kind = "discovery"
            answer = how.get(kind, how.get("status", 200))
            if answer == 200 and how.get("login") and self.headers.get("Authorization") != how["login"]:
                answer = 401
            if answer == 200:
                body = self.body(kind, path)
                return self.answer(200 if body is not None else 404, b"not found" if body is None else body)
            if answer == "html":
                return self.answer(200, b"<!DOCTYPE html><html><title>Sign in</title></html>", "text/html")
            if answer == "corrupt":
                return self.answer(200, b"this is no archive" * 99)
            if answer == "cut":
                self.answer(200, b"x" * 100, length=100_000)
            elif answer == "slow":
                time.sleep(60)
            elif answer:
                return self.answer(answer, how.get("words", "").encode())
            self.close_connection = True

        def body(self, kind, path):
            if kind == "discovery":
                module = "/".join(path.split("/")[:3])
                return f'<meta name="go-import" content="registry.example{module} git https://registry.example{module}.git">'.encode()
            if kind == "git" and repository:
                file = repository / path.partition(".git/")[2]
                return file.read_bytes() if file.is_file() else None
            return proxied(path)

        do_HEAD = do_PUT = do_POST = do_GET

        def do_CONNECT(self):
            """Whatever host is asked for, it is us."""
            if how.get("proxy"):
                return self.answer(how["proxy"], b"")
            self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            upstream = socket.create_connection(("127.0.0.1", how["upstream"]))
            pair = {self.connection: upstream, upstream: self.connection}
            while True:
                for ready in select.select(list(pair), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        self.close_connection = True
                        return upstream.close()
                    pair[ready].sendall(data)

        def answer(self, status, body, kind="text/plain", length=None):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length or len(body)))
            if status == 302:
                self.send_header("Location", "http://elsewhere.example/")
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="registry"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    return loopback.serve(Handler, certificate)


def certificate(room, kind, host):
    """Certificate and key of a server: signed by a private CA (`ca.pem`); `expired`, or for an `other-name`."""

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=room)

    names = "DNS:elsewhere.example" if kind == "other-name" else f"IP:127.0.0.1,DNS:{host}"
    (room / "extensions").write_text(f"subjectAltName={names}")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Private CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=registry", "-keyout", "key.pem", "-out", "request.pem")
    days = "-1" if kind == "expired" else "2"
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", days, "-extfile", "extensions", "-out", "leaf.pem")
    return room / "leaf.pem", room / "key.pem"


def basic(login):
    return "Basic " + base64.b64encode(login.encode()).decode()
