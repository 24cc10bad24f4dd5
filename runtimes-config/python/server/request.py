"""The request that a function sees as `event["extensions"]["request"]`.

It has the names of bottle's request object, which Kubeless' Python runtime handed out:
https://bottlepy.org/docs/stable/tutorial.html#request-data
"""

import collections.abc
import functools
import io
import json
import os
import re
import unicodedata
import urllib.parse


class Headers(collections.abc.Mapping):
    """Headers by name in any case; what is repeated is joined."""

    def __init__(self, pairs=()):
        self.values_by_name = {}
        for name, value in pairs:
            name = name.title()
            known = self.values_by_name.get(name)
            separator = "; " if name == "Cookie" else ", "
            self.values_by_name[name] = value if known is None else known + separator + value

    def __getitem__(self, name):
        return self.values_by_name[name.title()]

    def __iter__(self):
        return iter(self.values_by_name)

    def __len__(self):
        return len(self.values_by_name)


class Form(dict):
    """Values by name, also as attributes; of several with one name the last."""

    def __init__(self, pairs=()):
        super().__init__()
        self.pairs = list(pairs)
        self.update(self.pairs)

    def get(self, name, default=None, index=-1, type=None):
        try:
            value = self.getall(name)[index]
            return type(value) if type else value
        except (IndexError, ValueError):
            return default

    def getall(self, name):
        return [value for key, value in self.pairs if key == name]

    def allitems(self):
        return list(self.pairs)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name, "")

    def __reduce__(self):
        return Form, (self.pairs,)

    getlist, getunicode = getall, get


class Upload:
    """A file of a multipart form."""

    def __init__(self, name, raw_filename, headers, data):
        self.name, self.raw_filename, self.headers, self.file = name, raw_filename, headers, io.BytesIO(data)
        self.content_type, self.content_length = headers.get("Content-Type"), len(data)

    @property
    def filename(self):
        """The client's name for the file, made safe: no folders, ASCII without blanks, at most 255 characters."""
        ascii_name = unicodedata.normalize("NFKD", self.raw_filename).encode("ascii", "ignore").decode()
        base = re.split(r"[/\\]", ascii_name)[-1]
        kept = re.sub(r"[-\s]+", "-", re.sub(r"[^a-zA-Z0-9-_.\s]", "", base).strip())
        return kept.strip(".-")[:255] or "empty"

    def get_header(self, name, default=None):
        return self.headers.get(name, default)

    def save(self, destination, overwrite=False):
        """Writes to an open file, to a path, or into a directory."""
        data = self.file.getvalue()
        if hasattr(destination, "write"):
            destination.write(data)
            return
        path = os.path.join(destination, self.filename) if os.path.isdir(destination) else destination
        with open(path, "wb" if overwrite else "xb") as file:
            file.write(data)


class Request:
    """One request, read whole."""

    def __init__(self, method, target, version, headers, remote_addr):
        self.method, self.headers, self.remote_addr = method, headers, remote_addr
        self.version, self.data = version, b""
        if not target.startswith("/"):  # Of `http://host/path`, as proxies write it, the path counts.
            target = re.sub(r"^https?://[^/?]*", "", target, flags=re.IGNORECASE)
        path, _, self.query_string = target.partition("?")
        self.path = "/" + urllib.parse.unquote(path, errors="replace").lstrip("/")
        self.fullpath, self.script_name, self.raw_path = self.path, "/", path
        self.content_type = headers.get("Content-Type", "").lower()

    def __repr__(self):
        return f"<Request: {self.method} {self.url}>"

    def get_header(self, name, default=None):
        return self.headers.get(name, default)

    @property
    def kind(self):
        return self.content_type.partition(";")[0].strip()

    @property
    def body(self):
        return io.BytesIO(self.data)

    @property
    def content_length(self):
        return len(self.data)

    @property
    def json(self):
        """The parsed body, if it says that it is JSON and is not empty."""
        return json.loads(self.data) if self.kind == "application/json" and self.data else None

    @property
    def url(self):
        scheme = self.headers.get("X-Forwarded-Proto", "http")
        host = self.headers.get("X-Forwarded-Host") or self.headers.get("Host", "localhost")
        return f"{scheme}://{host}{self.raw_path}" + ("?" + self.query_string if self.query_string else "")

    @functools.cached_property
    def query(self):
        return Form(urllib.parse.parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def GET(self):
        return self.query

    @functools.cached_property
    def POST(self):
        if self.kind == "multipart/form-data":
            return Form(multipart(self.headers["Content-Type"], self.data))
        if self.kind == "application/x-www-form-urlencoded":
            return Form(urllib.parse.parse_qsl(self.data.decode("utf-8", "replace"), keep_blank_values=True))
        return Form()

    @property
    def forms(self):
        return Form((name, value) for name, value in self.POST.pairs if not isinstance(value, Upload))

    @property
    def files(self):
        return Form((name, value) for name, value in self.POST.pairs if isinstance(value, Upload))

    @property
    def params(self):
        return Form(self.query.pairs + self.forms.pairs)

    @functools.cached_property
    def cookies(self):
        from http.cookies import CookieError, SimpleCookie

        try:
            return Form((name, item.value) for name, item in SimpleCookie(self.headers.get("Cookie", "")).items())
        except CookieError:
            return Form()

    def get_cookie(self, name, default=None):
        return self.cookies.get(name, default)

    @property
    def environ(self):
        """The request as WSGI has it."""
        named = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in self.headers.items()}
        named.update(REQUEST_METHOD=self.method, PATH_INFO=self.path, QUERY_STRING=self.query_string)
        named.update(CONTENT_TYPE=self.headers.get("Content-Type", ""), CONTENT_LENGTH=str(len(self.data)))
        return {**named, "REMOTE_ADDR": self.remote_addr, "SERVER_PROTOCOL": self.version, "wsgi.input": self.body}


def multipart(content_type, body):
    """Names and values of a form; a part with a file name is an upload."""
    from email.message import Message  # Here, since few functions need it, and it takes long to import.
    from email.utils import collapse_rfc2231_value

    def parameter(headers, header, name):
        message = Message()
        message[header] = headers.get(header, "")
        value = message.get_param(name, header=header)
        return value if value is None else collapse_rfc2231_value(value)

    boundary = parameter({"Content-Type": content_type}, "Content-Type", "boundary")
    if not boundary:
        return
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        if part.startswith(b"--"):
            return
        head, _, data = part.partition(b"\r\n\r\n")
        lines = head.decode("utf-8", "replace").split("\r\n")[1:]
        headers = Headers((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        name = parameter(headers, "Content-Disposition", "name")
        filename = parameter(headers, "Content-Disposition", "filename")
        if name and filename is None:
            yield name, data.decode("utf-8", "replace")
        elif name and filename:  # A browser sends an empty name where no file was chosen.
            yield name, Upload(name, filename, headers, data)
