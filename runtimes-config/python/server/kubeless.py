"""Serves one Python function over HTTP/1.1, with the standard library alone.

    python3 -I -u kubeless.py --source DIR --deps DIR --file pkg/handler.py --module pkg.handler --function NAME

`GET /healthz` answers OK; every other request calls `NAME(event, context)`, each connection in a
thread of its own. SIGTERM and SIGINT stop accepting, let running requests end, and exit with 0.
Reads FUNC_PORT, FUNC_TIMEOUT, FUNC_RUNTIME and FUNC_MEMORY_LIMIT.
"""

import argparse
import collections.abc
import errno
import faulthandler
import importlib.machinery
import importlib.util
import inspect
import json
import os
import re
import selectors
import signal
import site
import socket
import sys
import threading
import time
import traceback
from http import HTTPStatus

LINE = 64 << 10  # The longest request line, and the most bytes of headers.
IDLE = 75.0  # Seconds without a byte after which a connection is given up; ingresses keep theirs for 60.
PIECE = 1 << 20  # A body is read in pieces, so that an announced size alone takes no memory.
GRACE = 5.0  # Seconds that the function's own threads have to end after the last request.
PHRASES = {status.value: status.phrase for status in HTTPStatus}
HTML, TEXT, JSON = "text/html; charset=UTF-8", "text/plain; charset=UTF-8", "application/json"
# https://www.rfc-editor.org/rfc/rfc9112: request line, field line, chunk size.
REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\x00-\x20\x7f]+) HTTP/(\d)\.(\d)\r\n")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)\r\n")
CHUNK = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?\r\n")


def main():
    """Loads the function, and serves it."""
    arguments = argparse.ArgumentParser(description="Serves one Python function.")
    for name in ("source", "deps", "file", "module", "function"):
        arguments.add_argument("--" + name, required=True)
    options = arguments.parse_args()
    faulthandler.enable()  # A crash in an extension module leaves its trace in the log.
    port = setting("FUNC_PORT", "8080", int)
    timeout = setting("FUNC_TIMEOUT", "180", float)
    for number in (signal.SIGTERM, signal.SIGINT):  # While the function is imported nothing runs that could end.
        signal.signal(number, lambda *_: os._exit(0))
    function = load(options)
    context = {
        "function-name": getattr(function, "__name__", options.function),
        "timeout": timeout,
        "runtime": os.environ.get("FUNC_RUNTIME"),
        "memory-limit": os.environ.get("FUNC_MEMORY_LIMIT"),
    }
    try:
        listener = listen(port)
    except (OSError, OverflowError) as error:  # The second for a number that no port has.
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        sys.exit(f"error: cannot listen on FUNC_PORT {port}: {reason}")
    label = f"{options.module}.{options.function}, Python {sys.version.split()[0]}"
    print(f"listening on :{listener.getsockname()[1]} ({label})", file=sys.stderr, flush=True)
    Server(function, context).serve(listener)
    last = threading.Timer(GRACE, os._exit, [0])  # A thread that never ends must not keep the pod.
    last.daemon = True
    last.start()


def setting(name, default, parse):
    value = os.environ.get(name) or default
    try:
        return parse(value)
    except ValueError:
        sys.exit(f"error: {name} is {value!r}, which is not a number")


def listen(port):
    """A socket for both IP versions, where the machine has both."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", port), backlog=1024)


# The function


def load(options):
    """The function; what keeps it from being imported ends the server, after one line that names the module."""
    source = os.path.abspath(options.source)
    file = os.path.join(source, *options.file.split("/"))
    # `src/app.py` as module `app` has its siblings in `src`.
    root = file[: -len(".py")]
    if os.path.basename(root) == "__init__":
        root = os.path.dirname(root)
    for _ in options.module.split("."):
        root = os.path.dirname(root)
    try:
        extend_path([root] if root == source else [root, source], os.path.abspath(options.deps))
        module = load_module(root, file, options.module.split("."))
    except BaseException as error:  # `sys.exit()` in the author's file is a failure, too.
        sys.stderr.write(f"error: cannot import {options.module} ({options.file}): {words(error)}\n{story(error)}")
        sys.exit(1)
    function = getattr(module, options.function, None)
    if callable(function):
        return function
    what = "has no" if function is None else "has, but not as something to call,"
    sys.exit(f"error: {options.module} ({options.file}) {what} {options.function}")


def extend_path(sources, deps):
    """Puts source and dependencies behind the standard library and before site-packages."""
    installed = {os.path.abspath(path) for path in site.getsitepackages()}
    before = [path for path in sys.path if os.path.abspath(path) in installed]
    first = sys.path.index(before[0]) if before else len(sys.path)
    rest = sys.path[first:]
    sys.path[first:] = sources
    site.addsitedir(deps)  # With its .pth files, whose entries stay before site-packages as well.
    sys.path += [path for path in rest if path not in sys.path]


def load_module(root, file, names):
    """Loads the handler's file, whatever else has its name: `queue.py`, `email/handler.py`."""
    if not belongs(names[0], root):
        top, names[0] = os.path.join(root, names[0]), "_function_" + names[0]
        if len(names) > 1:
            load_package(names[0], top)
    if len(names) > 1:
        importlib.import_module(".".join(names[:-1]))
    name = ".".join(names)
    if os.path.basename(file) == "__init__.py":
        return load_package(name, os.path.dirname(file))
    return execute(importlib.util.spec_from_file_location(name, file))


def belongs(name, root):
    """Whether `import name` finds the author's file or folder."""
    if name in sys.modules:
        return False
    spec = importlib.util.find_spec(name)
    places = [spec.origin or "", *(spec.submodule_search_locations or [])] if spec else []
    return any(place.startswith(os.path.join(root, "")) for place in places)


def load_package(name, folder):
    init = os.path.join(folder, "__init__.py")
    if os.path.isfile(init):
        return execute(importlib.util.spec_from_file_location(name, init, submodule_search_locations=[folder]))
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [folder]
    return execute(spec)


def execute(spec):
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    if spec.origin:
        spec.loader.exec_module(module)
    return module


def words(error):
    """The error's kind and the first line of its message."""
    try:
        message = str(error).partition("\n")[0]
    except Exception:
        message = "(no message)"
    return f"{type(error).__name__}: {message}"


def story(error):
    """The traceback from the author's first line on."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename.startswith((__file__, "<frozen importlib")):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


# The server

here = os.path.dirname(os.path.abspath(__file__))  # In isolated mode, not on the path.
http = execute(importlib.util.spec_from_file_location("_kubeless_request", os.path.join(here, "request.py")))


class Refused(Exception):
    """A request that is not passed on: status, and why."""


class Server:
    """Accepts connections, and knows how many requests are running."""

    def __init__(self, function, context):
        self.function, self.context = function, context
        self.stopping, self.running, self.changed = False, 0, threading.Condition()

    def serve(self, listener):
        """Serves until SIGTERM or SIGINT, and until the last running request has ended."""
        wake, waker = socket.socketpair()
        for end in (listener, wake, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            signal.signal(number, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            while not self.stopping:
                ready = [key.fileobj for key, _ in selector.select()]
                self.stopping = wake in ready and not set(numbers).isdisjoint(wake.recv(4096))
                self.accept(listener)  # On the way out, too: these clients have connected already.
        listener.close()
        for number in numbers:  # A second Ctrl-C does not wait.
            signal.signal(number, signal.SIG_DFL)
        time.sleep(0.1)  # For the requests that are on the wire.
        with self.changed:
            self.changed.wait_for(lambda: self.running == 0)

    def accept(self, listener):
        while True:
            try:
                connection, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                log(f"error: cannot accept a connection: {error.strerror}\n")
                time.sleep(0.1)  # Out of file descriptors, most likely: let some requests end.
                return
            try:
                threading.Thread(target=Connection(self, connection, address).run, daemon=True).start()
            except RuntimeError as error:
                log(f"error: {error}\n")
                connection.close()

    def event(self, request):
        data = request.data
        if request.kind == "application/json":
            try:
                data = request.json
            except (ValueError, RecursionError) as error:
                raise Refused(400, f"the body is not JSON: {error}") from None
        names = ("event-id", "event-type", "event-time", "event-namespace")
        headers = {name: request.get_header(name) for name in names}
        return {"data": data, **headers, "extensions": {"request": request}}

    def call(self, event):
        """The function's result as status, headers, content type, and bytes or an iterator over bytes."""
        try:
            result = self.function(event, dict(self.context))
            if inspect.isawaitable(result):
                import asyncio

                result = asyncio.run(settle(result))
        except Exception as error:
            if not is_response(error):  # Such as bottle's `abort()` raises.
                raise
            result = error
        if is_response(result):
            return result.status_code, result.headerlist, *render(result.body)
        return 200, [], *render(result)


async def settle(awaitable):
    return await awaitable


def is_response(result):
    """Whether the function chose status and headers itself, by an object such as bottle's `HTTPResponse`."""
    return all(hasattr(result, name) for name in ("status_code", "headerlist", "body"))


def render(result):
    if result is None:
        return HTML, b""
    if isinstance(result, str):
        return HTML, result.encode()
    if isinstance(result, (bytes, bytearray, memoryview)):
        return HTML, bytes(result)
    if isinstance(result, collections.abc.Iterable) and not isinstance(result, (dict, list, tuple)):
        return HTML, encoded(result)
    return JSON, json.dumps(result).encode()


def encoded(pieces):
    """The pieces as bytes, without the empty ones: in a chunked body they would be the end."""
    try:
        for piece in pieces:
            if not isinstance(piece, (str, bytes, bytearray)):
                raise TypeError(f"a streamed piece is {type(piece).__name__}, not str or bytes")
            if piece:
                yield piece.encode() if isinstance(piece, str) else bytes(piece)
    finally:
        getattr(pieces, "close", bool)()


class Connection:
    """One client's requests, one after the other."""

    def __init__(self, server, connection, address):
        connection.settimeout(IDLE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server, self.socket = server, connection
        self.reader = connection.makefile("rb", LINE)
        self.remote_addr = address[0][7:] if address[0].startswith("::ffff:") else address[0]

    def run(self):
        with self.socket, self.reader:
            try:
                while self.reader.peek(1):
                    with self.server.changed:
                        self.server.running += 1
                    try:
                        if not self.serve_one():
                            return
                    finally:
                        with self.server.changed:
                            self.server.running -= 1
                            self.server.changed.notify_all()
            except OSError:
                pass  # The client has gone, or says nothing.

    def serve_one(self):
        """Answers a request; whether the connection lives on."""
        self.keep, self.bodiless, self.chunked = False, False, False
        try:
            request = self.read_request()
            self.bodiless = request.method == "HEAD"
            if request.path == "/healthz" and request.method in ("GET", "HEAD"):
                self.respond(200, [], TEXT, b"OK")
                return self.keep
            event = self.server.event(request)
        except Refused as refusal:
            self.keep = False
            status, reason = refusal.args
            self.respond(status, [], TEXT, f"{reason}\n".encode("utf-8", "replace"))
            self.linger()
            return False
        try:
            status, headers, kind, body = self.server.call(event)
            first = body if isinstance(body, bytes) else next(body, b"")  # A first piece that fails is still a 500.
            head = self.head(status, headers, kind, body)
        except BaseException as error:  # `sys.exit()` in a function ends no server.
            self.report(request, error)
            self.respond(500, [], TEXT, b"Internal Server Error\n")
            return self.keep
        if isinstance(body, bytes):
            self.send(head if self.bodiless else head + body)
        else:
            self.send(head)
            self.stream(request, first, body)
        return self.keep

    def read_request(self):
        line = self.reader.readline(LINE + 1)
        if line == b"\r\n":  # An empty line before a request is ignored.
            line = self.reader.readline(LINE + 1)
        if len(line) > LINE:
            raise Refused(414, "the request line is too long")
        match = REQUEST.fullmatch(line)
        if not match:
            raise Refused(400, "malformed request line")
        method, target, major, minor = (part.decode("utf-8", "replace") for part in match.groups())
        if major != "1":
            raise Refused(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        headers = http.Headers(self.read_fields())
        self.chunked = minor != "0"
        request = http.Request(method, target, f"HTTP/1.{minor}", headers, self.remote_addr)
        request.data = self.read_body(headers)
        self.keep = self.chunked and "close" not in headers.get("Connection", "").lower()
        return request

    def read_fields(self):
        fields, size = [], 0
        while True:
            line = self.reader.readline(LINE + 1)
            size += len(line)
            if size > LINE:
                raise Refused(431, "the headers are too long")
            if line == b"\r\n":
                return fields
            match = FIELD.fullmatch(line)
            if not match:
                raise Refused(400, "malformed header")
            fields.append((match[1].decode("ascii"), match[2].strip(b" \t").decode("latin-1")))

    def read_body(self, headers):
        length, encoding = headers.get("Content-Length"), headers.get("Transfer-Encoding")
        if encoding is not None and (length is not None or not self.chunked):
            raise Refused(400, "Transfer-Encoding, and a length as well")
        if encoding is not None and encoding.lower() != "chunked":
            raise Refused(501, "the only transfer coding known here is chunked")
        if length is not None and not re.fullmatch("[0-9]{1,18}", length):
            raise Refused(400, "malformed Content-Length")
        if headers.get("Expect", "").lower() == "100-continue" and self.chunked:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self.read(int(length or 0)) if encoding is None else b"".join(self.read_chunks())

    def read_chunks(self):
        while True:
            match = CHUNK.fullmatch(self.reader.readline(LINE))
            if not match:
                raise Refused(400, "malformed chunk")
            size = int(match[1], 16)
            if size == 0:
                self.read_fields()  # Trailers.
                return
            yield self.read(size)
            if self.read(2) != b"\r\n":
                raise Refused(400, "malformed chunk")

    def read(self, size):
        pieces = []
        while size:
            piece = self.reader.read(min(size, PIECE))
            if not piece:
                raise ConnectionAbortedError("the body ends early")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def head(self, status, headers, kind, body):
        """The response's head; settles how the end of its body is told."""
        self.bodiless = self.bodiless or status in (204, 304)
        own = {"content-length", "transfer-encoding", "connection", "date"}
        fields = [(name, value) for name, value in headers if name.lower() not in own]
        if kind == JSON or not any(name.lower() == "content-type" for name, _ in fields):
            fields = [field for field in fields if field[0].lower() != "content-type"] + [("Content-Type", kind)]
        if isinstance(body, bytes):
            if status not in (204, 304):
                fields.append(("Content-Length", len(body)))
        elif self.chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        else:
            self.keep = False
        if self.server.stopping:
            self.keep = False
        fields += [("Date", date())] + ([] if self.keep else [("Connection", "close")])
        lines = [f"HTTP/1.1 {status:d} {PHRASES.get(status, '')}", *(f"{name}: {value}" for name, value in fields)]
        if any(sign in line for line in lines for sign in "\r\n\0"):
            raise ValueError("a line break in a header")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def respond(self, status, headers, kind, body):
        self.send(self.head(status, headers, kind, body) + (b"" if self.bodiless else body))

    def stream(self, request, piece, rest):
        """Sends piece by piece; a failure on the way leaves the body without its end, so that the client knows."""
        try:
            while piece and not self.bodiless:
                self.send(b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece)
                try:
                    piece = next(rest, b"")
                except BaseException as error:
                    self.report(request, error)
                    self.keep = False
                    return
            if self.chunked and not self.bodiless:
                self.send(b"0\r\n\r\n")
        finally:
            rest.close()

    def send(self, data):
        view = memoryview(data)
        while view:  # Not `sendall`, whose time-out is one for all: a slow client is not a dead one.
            view = view[self.socket.send(view) :]

    def linger(self):
        """Reads what the client still sends: closing at once would reset the connection, and lose the answer."""
        self.socket.shutdown(socket.SHUT_WR)
        self.socket.settimeout(1)
        for _ in range(64):
            if not self.socket.recv(LINE):
                return

    def report(self, request, error):
        log(f"error: {request.method} {request.raw_path}: {words(error)}\n{story(error)}")


def date():
    """The time in HTTP's words, which no locale changes."""
    now = time.gmtime()
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[now.tm_wday]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day}, {now.tm_mday:02} {months[now.tm_mon - 1]} {time.strftime('%Y %H:%M:%S', now)} GMT"


def log(text):
    """One write, so that the lines of parallel requests do not mix."""
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    main()
