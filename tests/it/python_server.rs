//! The Python function server, as real processes, with every interpreter that this machine offers.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::http::{Client, call, get};
use crate::support::python::interpreters;
use crate::support::server::{Server, command};
use crate::support::wire;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Says what it got.
const ECHO: &str = "def handler(event, context):
    data = event['data']
    event['data'] = ['bytes', data.decode('latin-1')] if isinstance(data, bytes) else data
    request = event.pop('extensions')['request']
    return {'event': event, 'context': context, 'method': request.method, 'path': request.path}
";

#[test]
fn a_function_gets_event_and_context_as_kubeless_had_them() {
    for python in interpreters() {
        let (rooms, mut command) = command(python, "handler", &[("source/handler.py", ECHO)]);
        command.envs([("FUNC_TIMEOUT", "2.5"), ("FUNC_RUNTIME", "python3"), ("FUNC_MEMORY_LIMIT", "64Mi")]);
        let server = Server::start((rooms, command));
        let headers = [
            ("event-id", "7"),
            ("Event-Type", "application/json"),
            ("event-time", "now"),
            ("event-namespace", "cron"),
        ];
        let response = call(server.port, "PATCH", "/a%20b?c=d", &headers, b"\xff");
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(
            response.json(),
            json!({
                "event": {
                    "data": ["bytes", "\u{ff}"],
                    "event-id": "7",
                    "event-type": "application/json",
                    "event-time": "now",
                    "event-namespace": "cron",
                },
                "context": {
                    "function-name": "handler",
                    "timeout": 2.5,
                    "runtime": "python3",
                    "memory-limit": "64Mi",
                },
                "method": "PATCH",
                "path": "/a b",
            })
        );
    }
}

#[test]
fn data_is_parsed_where_the_request_says_json() {
    for python in interpreters() {
        let server = Server::of(python, ECHO);
        let data = |kind, body| {
            call(server.port, "POST", "/", &[("content-type", kind)], body).json()["event"]["data"].clone()
        };
        assert_eq!(data("application/json", br#"{"a": [1]}"#), json!({"a": [1]}));
        assert_eq!(data("Application/JSON; charset=utf-8", "\"é\"".as_bytes()), json!("é"));
        assert_eq!(data("application/json", b""), json!(null));
        assert_eq!(data("text/plain", b"{}"), json!(["bytes", "{}"]));
        let nested = "[".repeat(100_000);
        for malformed in ["{", "\u{1}", &nested] {
            let response = call(server.port, "POST", "/", &[JSON], malformed.as_bytes());
            assert_eq!(response.status, 400);
            assert!(response.text().starts_with("the body is not JSON: "), "{}", response.text());
        }
    }
}

#[test]
fn health_is_answered_without_the_function() {
    for python in interpreters() {
        let server = Server::of(python, "def handler(event, context): 1 / 0\n");
        let health = get(server.port, "/healthz");
        assert_eq!((health.status, health.text()), (200, "OK"));
        assert_eq!(call(server.port, "POST", "/healthz", &[], b"").status, 500);
        assert_eq!(get(server.port, "/healthz/x").status, 500);
    }
}

#[test]
fn the_request_answers_as_bottles_does() {
    const FUNCTION: &str = "import os, tempfile
def handler(event, context):
    request = event['extensions']['request']
    upload = request.files.get('upload')
    saved = os.path.join(tempfile.mkdtemp(), upload.filename)
    upload.save(saved, overwrite=True)
    try:
        upload.save(saved)
        again = 'written over'
    except OSError:
        again = 'refused'
    with open(saved, 'rb') as file:
        content = list(file.read())
    return {
        'greeting': request.query.get('greeting', 'Hello') + ' ' + request.get_header('Say-Hello-To', 'kubeless'),
        'missing': [request.query.get('x', 'y'), request.forms.get('x'), request.get_header('x', 'y'), request.query.x],
        'category': request.forms.get('category'), 'all': request.forms.getall('category'),
        'upload': [upload.filename, upload.raw_filename, upload.content_type, content], 'again': again,
        'cookie': request.get_cookie('theme'), 'url': request.url, 'query': request.query_string,
        'body': len(request.body.read()) == int(request.headers['content-length']), 'json': request.json,
        'environ': request.environ['REQUEST_METHOD'], 'from': request.remote_addr,
    }
";
    const FORM: &[u8] = b"--a B\r\nContent-Disposition: form-data; name=\"category\"\r\n\r\nb\xc3\xbccher\r\n\
        --a B\r\nContent-Disposition: form-data; name=category\r\n\r\n\r\n\
        --a B\r\ncontent-disposition: form-data; name=\"upload\"; filename=\"../x/r\xc3\xa9sum\xc3\xa9 1.bin\"\r\n\
        Content-Type: image/png\r\n\r\n\x00\r\n--a\r\n\xff\n\r\n--a B--\r\n";
    for python in interpreters() {
        let server = Server::of(python, FUNCTION);
        let headers = [
            ("Content-Type", "multipart/form-data; boundary=\"a B\""),
            ("Say-Hello-To", "John"),
            ("Cookie", "theme=dark; other=1"),
        ];
        let response = call(server.port, "POST", "/f?greeting=Hol%C3%A1&b", &headers, FORM);
        assert_eq!(
            response.json(),
            json!({
                "greeting": "Holá John",
                "missing": ["y", null, "y", ""],
                "category": "",
                "all": ["bücher", ""],
                "upload": ["resume-1.bin", "../x/résumé 1.bin", "image/png", [0, 13, 10, 45, 45, 97, 13, 10, 255, 10]],
                "again": "refused",
                "cookie": "dark",
                "url": "http://function/f?greeting=Hol%C3%A1&b",
                "query": "greeting=Hol%C3%A1&b",
                "body": true,
                "json": null,
                "environ": "POST",
                "from": "127.0.0.1",
            })
        );
    }
}

#[test]
fn an_urlencoded_form_is_parsed() {
    const FUNCTION: &str = "def handler(event, context):
    request = event['extensions']['request']
    return [request.forms.get('a'), request.forms.getall('a'), request.params.get('q'), request.POST.b]
";
    for python in interpreters() {
        let server = Server::of(python, FUNCTION);
        let headers = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")];
        let response = call(server.port, "POST", "/?q=1", &headers, b"a=x+y&a=%C3%BC&b=");
        assert_eq!(response.json(), json!(["ü", ["x y", "ü"], "1", ""]));
    }
}

#[test]
fn every_kind_of_result_has_its_form() {
    const FUNCTION: &str = "import asyncio
class Chosen:  # As bottle's HTTPResponse.
    def __init__(self, body): self.status_code, self.body = 418, body
    headerlist = [('X-Made-By', 'me'), ('Content-Type', 'text/css'), ('Content-Length', '99')]
class Abort(Chosen, Exception): pass
async def later():
    await asyncio.sleep(0.01)
    return {'later': True}
def pieces():
    yield 'a'
    yield b''
    yield b'b' * 70000
    yield 'ü'
def raising(): raise Abort('gone')
results = {
    '/str': lambda: 'ü', '/bytes': lambda: b'\\xff\\x00', '/dict': lambda: {'a': None}, '/list': lambda: [1, 'a'],
    '/number': lambda: 1.5, '/bool': lambda: False, '/none': lambda: None, '/later': later, '/pieces': pieces,
    '/empty': lambda: iter(()), '/chosen': lambda: Chosen('body'), '/abort': raising,
}
def handler(event, context):
    return results[event['extensions']['request'].path]()
";
    const HTML: &str = "text/html; charset=UTF-8";
    const JSON: &str = "application/json";
    let long = format!("a{}ü", "b".repeat(70_000));
    let expected: [(&str, u16, &str, &[u8]); 12] = [
        ("/str", 200, HTML, "ü".as_bytes()),
        ("/bytes", 200, HTML, b"\xff\x00"),
        ("/dict", 200, JSON, br#"{"a": null}"#),
        ("/list", 200, JSON, br#"[1, "a"]"#),
        ("/number", 200, JSON, b"1.5"),
        ("/bool", 200, JSON, b"false"),
        ("/none", 200, HTML, b""),
        ("/later", 200, JSON, br#"{"later": true}"#),
        ("/pieces", 200, HTML, long.as_bytes()),
        ("/empty", 200, HTML, b""),
        ("/chosen", 418, "text/css", b"body"),
        ("/abort", 418, "text/css", b"gone"),
    ];
    for python in interpreters() {
        let server = Server::of(python, FUNCTION);
        let mut client = Client::connect(server.port); // All on one connection, so that each body's end is right.
        for (path, status, kind, body) in expected {
            let response = client.call("GET", path, &[], b"");
            let found = (response.status, response.header("content-type"), response.body.as_slice());
            assert_eq!(found, (status, Some(kind), body), "{path}");
            let head = client.call("HEAD", path, &[], b"");
            assert_eq!(head.status, status);
            assert_eq!(head.header("content-length"), response.header("content-length"), "HEAD {path}");
        }
        let streamed = client.call("GET", "/pieces", &[], b"");
        assert_eq!(streamed.header("transfer-encoding"), Some("chunked"));
        assert_eq!(get(server.port, "/chosen").header("x-made-by"), Some("me"));
    }
}

#[test]
fn pieces_arrive_while_the_function_goes_on() {
    const FUNCTION: &str = "import threading
go_on = threading.Event()
def handler(event, context):
    if event['extensions']['request'].path == '/go-on':
        go_on.set()
        return
    def pieces():
        yield 'first'
        yield 'second' if go_on.wait(10) else 'nobody came'
    return pieces()
";
    for python in interpreters() {
        let server = Server::of(python, FUNCTION);
        let mut client = Client::connect(server.port);
        client.send("GET", "/", &[], b"");
        let head = client.head().expect("the head comes before the body's end");
        assert_eq!(head.status, 200);
        get(server.port, "/go-on");
        client.finish();
        let mut rest = String::new();
        while !rest.ends_with("0\r\n") {
            rest += &client.raw_line();
        }
        assert_eq!(rest, "5\r\nfirst\r\n6\r\nsecond\r\n0\r\n");
    }
}

#[test]
fn requests_run_in_parallel() {
    const FUNCTION: &str = "import threading
both = threading.Barrier(2)
def handler(event, context):
    both.wait(10)
    return 'met'
";
    for python in interpreters() {
        let server = Server::of(python, FUNCTION);
        let other = thread::spawn({
            let port = server.port;
            move || get(port, "/").text().to_owned()
        });
        assert_eq!(get(server.port, "/").text(), "met");
        assert_eq!(other.join().expect("the other request"), "met");
    }
}

#[test]
fn a_failure_is_a_500_and_a_log_line_and_never_an_exit() {
    const FUNCTION: &str = "import sys
def bad_pieces():
    raise ValueError('at once')
    yield
def half():
    yield 'half'
    raise ValueError('on the way')
class Mute(Exception):
    def __str__(self): 1 / 0
class Split:
    status_code, headerlist, body = 200, [('X', 'a\\r\\nSet-Cookie: b')], ''
def handler(event, context):
    path = event['extensions']['request'].path
    if path == '/raise': raise RuntimeError('secret\\nsecond line')
    if path == '/exit': sys.exit(3)
    if path == '/mute': raise Mute()
    return {'/bad': bad_pieces, '/half': half, '/split': Split, '/object': object, '/surrogate': lambda: '\\ud800',
            '/pieces': lambda: iter([1])}[path]()
";
    for python in interpreters() {
        let server = Server::of(python, FUNCTION);
        let mut client = Client::connect(server.port);
        for path in ["/raise", "/exit", "/mute", "/bad", "/split", "/object", "/surrogate", "/pieces"] {
            let response = client.call("GET", path, &[], b"");
            assert_eq!((response.status, response.text()), (500, "Internal Server Error\n"), "{path}");
        }
        client.send("GET", "/half", &[], b"");
        assert!(client.response().is_err(), "half an answer must not look like a whole one");
        assert_eq!(get(server.port, "/healthz").status, 200);
        let log = server.wait_for("on the way");
        let line = log.lines().find(|line| line.starts_with("error: GET /raise")).expect("a log line");
        assert_eq!(line, "error: GET /raise: RuntimeError: secret");
        assert!(log.contains("handler.py\", line 14, in handler"), "{log}");
        assert!(!log.contains("kubeless.py"), "only the author's own lines: {log}");
    }
}

#[test]
fn sigterm_lets_requests_end_and_exits_with_0() {
    const FUNCTION: &str = "import sys, time
def handler(event, context):
    print('begun', file=sys.stderr)
    time.sleep(1)
    def pieces():
        yield 'comp'
        time.sleep(0.5)
        yield 'lete'
    return pieces()
";
    for python in interpreters() {
        for signal in [Signal::TERM, Signal::INT] {
            let server = Server::of(python, FUNCTION);
            wire::lets_requests_end(server, signal);
        }
    }
}

#[test]
fn a_thread_of_the_function_does_not_keep_the_pod() {
    const FUNCTION: &str = "import threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
def handler(event, context): return 'x'
";
    let Some(python) = interpreters().first() else {
        return;
    };
    let server = Server::of(python, FUNCTION);
    assert_eq!(get(server.port, "/").text(), "x");
    server.signal(Signal::TERM);
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn sigterm_ends_a_long_import() {
    let source = "import sys, time\nprint('importing', file=sys.stderr)\ntime.sleep(600)\n";
    for python in interpreters() {
        let server = Server::spawn(command(python, "handler", &[("source/handler.py", source)]));
        server.wait_for("importing");
        server.signal(Signal::TERM);
        let start = Instant::now();
        assert_eq!(server.end().0.code(), Some(0));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn names_of_the_standard_library_break_nothing() {
    const CALLS: &str = "import email, queue, socket, traceback
def handler(event, context):
    return [__name__, hasattr(email, 'message_from_bytes'), hasattr(queue, 'Queue'), event['extensions']['request'].forms.a]
";
    const FORM: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--";
    let broken = "raise Exception('never imported')\n";
    for python in interpreters() {
        for module in ["queue", "json", "selectors", "kubeless", "__main__", "sys"] {
            let file = format!("source/{module}.py");
            let mut files = vec![
                ("source/email.py", broken),
                ("source/request.py", broken),
                ("source/asyncio.py", broken),
            ];
            files.push((&file, CALLS));
            let server = Server::start(command(python, module, &files));
            let headers = [("Content-Type", "multipart/form-data; boundary=b")];
            let response = call(server.port, "POST", "/", &headers, FORM);
            assert_eq!(
                response.json().as_array().map(|all| &all[1..]),
                json!([true, true, "1"]).as_array().map(Vec::as_slice),
                "{module}"
            );
        }
    }
}

#[test]
fn modules_in_packages_import_their_siblings() {
    const HANDLER: &str = "from . import near
from ..far import far
def handler(event, context): return near.near + far + __name__.rpartition('_')[2]
";
    for python in interpreters() {
        // The second has the name of a package of the standard library, the third no `__init__.py`.
        for (package, init) in [("pkg", true), ("email", true), ("loose", false)] {
            let file = |name: &str| format!("source/{package}/{name}");
            let paths = [
                file("sub/entry.py"),
                file("sub/near.py"),
                file("far.py"),
                file("__init__.py"),
                file("sub/__init__.py"),
            ];
            let texts = [HANDLER, "near = 'near '\n", "far = 'far '\n", "", ""];
            let count = if init { 5 } else { 3 };
            let files: Vec<_> = paths.iter().map(String::as_str).zip(texts).take(count).collect();
            let server = Server::start(command(python, &format!("{package}.sub.entry"), &files));
            assert_eq!(get(server.port, "/").text(), format!("near far {package}.sub.entry"));
        }
    }
}

#[test]
fn source_comes_before_deps_and_deps_before_site_packages() {
    const HANDLER: &str = "import pip, both, only, spaced.part, sys
def handler(event, context): return [pip.me, both.me, only.me, spaced.part.me, any(p.endswith('elsewhere') for p in sys.path)]
";
    for python in interpreters() {
        let files = [
            ("source/handler.py", HANDLER),
            ("source/both.py", "me = 'source'\n"),
            ("deps/both.py", "me = 'deps'\n"),
            ("deps/only.py", "me = 'deps'\n"),
            ("deps/pip/__init__.py", "me = 'deps'\n"), // Every interpreter has one in its site-packages.
            ("deps/elsewhere/spaced/part.py", "me = 'pth'\n"),
            ("deps/spaced.pth", "elsewhere\nimport sys; sys.pth_was_run = True\n"),
        ];
        let server = Server::start(command(python, "handler", &files));
        assert_eq!(get(server.port, "/").json(), json!(["deps", "source", "deps", "pth", true]));
    }
}

#[test]
fn a_function_that_cannot_be_imported_ends_the_server() {
    let cases = [
        (
            "import nothing_like_it\n",
            "error: cannot import handler (handler.py): ModuleNotFoundError: No module named 'nothing_like_it'",
        ),
        ("x = (\n", "error: cannot import handler (handler.py): SyntaxError: "),
        ("import sys\nsys.exit()\n", "error: cannot import handler (handler.py): SystemExit: "),
        ("other = 1\n", "error: handler (handler.py) has no handler"),
        ("handler = 1\n", "error: handler (handler.py) has, but not as something to call, handler"),
    ];
    for python in interpreters() {
        for (source, line) in cases {
            let (status, log) =
                Server::spawn(command(python, "handler", &[("source/handler.py", source)])).end();
            assert_eq!(status.code(), Some(1), "{log}");
            assert!(log.starts_with(line), "{log}");
        }
    }
}

#[test]
fn a_port_that_cannot_be_had_is_named() {
    let taken = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = taken.local_addr().expect("its address").port().to_string();
    for python in interpreters() {
        for (value, line) in [
            (port.as_str(), format!("error: cannot listen on FUNC_PORT {port}: Address already in use\n")),
            (
                "tcp://10.0.0.1:80",
                "error: FUNC_PORT is 'tcp://10.0.0.1:80', which is not a number\n".to_owned(),
            ),
        ] {
            let (rooms, mut command) = command(python, "handler", &[("source/handler.py", ECHO)]);
            command.env("FUNC_PORT", value);
            let (status, log) = Server::spawn((rooms, command)).end();
            assert_eq!((status.code(), log), (Some(1), line));
        }
    }
}
