"""A Maven repository on loopback for `record_network`, with every way to misbehave, and a proxy."""

import hashlib
import http.server
import io
import pathlib
import random
import sys
import time
import zipfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import loopback

POM = "<project><modelVersion>4.0.0</modelVersion><groupId>acme</groupId><artifactId>{}</artifactId><version>1.0</version></project>\n"


def jar(name):
    """An archive, the same bytes each time."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), "Manifest-Version: 1.0\n")
        if name == "bulky":
            file.writestr(zipfile.ZipInfo("noise"), random.Random(0).randbytes(6_000_000))
    return archive.getvalue()


def files():
    """What it holds, by path."""
    found = {}
    for name in ("greeting", "bulky"):
        stem = f"/acme/{name}/1.0/{name}-1.0"
        for path, data in ((f"{stem}.pom", POM.format(name).encode()), (f"{stem}.jar", jar(name))):
            found[path] = data
            found[f"{path}.sha1"] = hashlib.sha1(data).hexdigest().encode()
    return found


def serve(how, certificate=None):
    """Serves, and fails as `how` says: for everything, or for jars only.

    status: this status instead of everything; jar: of jars only; None hangs up; "slow" never answers; "cut" ends in
    the middle; "html" answers 200 with a page; "corrupt" with other bytes than the checksum's; "bare" has no checksums.
    As a proxy it answers all with `proxy`.
    """
    held = files()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self):
            is_jar = self.path.endswith(".jar")
            how_now = how.get("proxy", how.get("jar" if is_jar else "page", how.get("status", 200)))
            data = held.get(self.path)
            if how_now == "bare":
                data, how_now = None if self.path.endswith(".sha1") else data, 200
            if how_now == 200:
                return self.answer(200, data) if data else self.answer(404, b"no such file")
            if how_now == "html":
                return self.answer(200, b"<!DOCTYPE html><html><title>Sign in</title></html>")
            if how_now == "corrupt":
                return self.answer(200, b"other bytes")
            if how_now == "cut":
                self.answer(200, data[:20], len(data))
            elif how_now == "slow":
                time.sleep(12)
            elif how_now:
                return self.answer(how_now, b"no")
            self.close_connection = True

        do_CONNECT = do_HEAD = do_GET

        def answer(self, status, body, length=None):
            self.send_response(status)
            self.send_header("Content-Length", str(length or len(body)))
            if status in (401, 407):
                self.send_header({401: "WWW", 407: "Proxy"}[status] + "-Authenticate", 'Basic realm="company"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    return loopback.serve(Handler, certificate)
