//! The Node.js function server, as real processes, with every version that this machine offers.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::http::{Client, call, get};
use crate::support::nodejs::{command, nodes, serve};
use crate::support::server::Server;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Says what it got.
const ECHO: &str = "exports.handler = ({ extensions: { request }, ...event }, context) => {
    if (Buffer.isBuffer(event.data)) event.data = ['buffer', ...event.data];
    return { event, context, method: request.method, path: request.path, body: [Buffer.isBuffer(request.body), request.body.length] };
};
";

#[test]
fn a_function_gets_event_and_context_as_kubeless_had_them() {
    for node in nodes() {
        let (rooms, mut command) = command(node, "a/hello.js", &[("source/a/hello.js", ECHO)]);
        command.envs([("FUNC_TIMEOUT", "2.5"), ("FUNC_RUNTIME", "nodejs22"), ("FUNC_MEMORY_LIMIT", "64Mi")]);
        let server = Server::start((rooms, command));
        let version = server.wait_for("listening on :");
        assert!(
            version.contains(&format!(" (a.hello.handler, Node.js {}.{}.", node.version.0, node.version.1)),
            "{version}"
        );
        let headers = [
            ("event-id", "7"),
            ("Event-Type", "application/json"),
            ("event-time", "now"),
            ("event-namespace", "cron"),
        ];
        let response = call(server.port, "PATCH", "/a%20b?c=d", &headers, b"\xc3\xbc");
        assert_eq!(response.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(
            response.json(),
            json!({
                "event": {"data": "ü", "event-id": "7", "event-type": "application/json", "event-time": "now", "event-namespace": "cron"},
                "context": {"function-name": "handler", "timeout": 2.5, "runtime": "nodejs22", "memory-limit": "64Mi"},
                "method": "PATCH",
                "path": "/a%20b",
                "body": [true, 2],
            })
        );
    }
}

#[test]
fn data_is_parsed_where_the_request_says_json() {
    for node in nodes() {
        let server = serve(node, ECHO);
        let data = |kind, body| {
            call(server.port, "POST", "/", &[("content-type", kind)], body).json()["event"]["data"].clone()
        };
        assert_eq!(data("application/json", br#"{"a": [1]}"#), json!({"a": [1]}));
        assert_eq!(data("Application/JSON; charset=utf-8", "\"é\"".as_bytes()), json!("é"));
        assert_eq!(data("application/json", b""), json!(["buffer"]));
        assert_eq!(data("application/cloudevents+json", b"{}"), json!("{}"));
        assert_eq!(data("application/x-www-form-urlencoded", b"a=b+c"), json!("a=b+c"));
        assert_eq!(data("multipart/form-data; boundary=x", b"--x--"), json!({}));
        let mut client = Client::connect(server.port);
        client.write(b"GET / HTTP/1.1\r\nHost: f\r\n\r\n");
        assert_eq!(client.response().expect("an answer").json()["event"]["data"], json!({}));
        for malformed in ["{".to_owned(), "\u{1}".to_owned(), "[".repeat(100_000)] {
            let response = client.call("POST", "/", &[JSON], malformed.as_bytes());
            assert_eq!(response.status, 400);
            assert!(response.text().starts_with("the body is not JSON: "), "{}", response.text());
        }
    }
}

#[test]
fn packed_bodies_are_unpacked() {
    const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabVJT\xb22\xac\x05\0\x93\x63\x54\x1f\x07\0\0\0";
    for node in nodes() {
        let server = serve(
            node,
            "const zlib = require('zlib');
exports.handler = ({ data }) => zlib.gzipSync(JSON.stringify(data));",
        );
        let packed = call(server.port, "POST", "/", &[JSON], br#"{"a":1}"#).body;
        let unpacked = |encoding, body: &[u8]| {
            call(server.port, "POST", "/", &[JSON, ("Content-Encoding", encoding)], body)
        };
        assert_eq!(unpacked("GZIP", &packed).body, packed);
        assert_eq!(unpacked("identity", br#"{"a":1}"#).body, packed);
        let broken = unpacked("gzip", &GZIP[..12]);
        assert_eq!((broken.status, broken.text()), (400, "the body is not gzip: unexpected end of file\n"));
        let unknown = unpacked("compress", &packed);
        assert_eq!(
            (unknown.status, unknown.text()),
            (415, "the body's Content-Encoding is compress, not gzip, deflate or br\n")
        );
    }
}

#[test]
fn health_is_answered_without_the_function() {
    for node in nodes() {
        let server = serve(node, "exports.handler = () => null.x");
        let health = get(server.port, "/healthz");
        assert_eq!((health.status, health.text()), (200, "OK"));
        assert_eq!(call(server.port, "HEAD", "/healthz?a", &[], b"").status, 200);
        assert_eq!(call(server.port, "POST", "/healthz", &[], b"").status, 500);
        assert_eq!(get(server.port, "/healthz/x").status, 500);
        assert_eq!(call(server.port, "OPTIONS", "/", &[], b"").status, 500);
    }
}

#[test]
fn the_request_answers_as_expresss_does() {
    const FUNCTION: &str = "exports.handler = ({ extensions: { request } }) => ({
    get: [request.get('X-A'), request.header('x-a'), request.get('Referrer'), request.get('absent') === undefined],
    url: [request.originalUrl, request.path, request.params, request.query, request.hostname, request.protocol],
    is: [request.is('html', 'json'), request.is('text/*'), request.is(['application/*']), request.is('+json'), request.is()],
    accepts: [request.accepts('html'), request.accepts(['text', 'json']), request.accepts('png'), request.accepts()],
    more: [request.ip === request.socket.remoteAddress, request.ips, request.secure, request.xhr, request.res.req === request],
    emitter: [request instanceof require('http').IncomingMessage, request.headers['x-a'], request.rawHeaders.length],
});";
    for node in nodes() {
        let server = serve(node, FUNCTION);
        let headers = [
            ("Content-Type", "application/ld+json; charset=utf-8"),
            ("X-A", "1"),
            ("x-a", "2"),
            ("Referer", "/from"),
            ("Accept", "text/html;q=0.5, application/json, text/*;q=0.1, image/png;q=0"),
            ("X-Requested-With", "XMLHttpRequest"),
        ];
        let response =
            call(server.port, "POST", "http://proxied/p%20q/r?a=1&a=%C3%BC&b[c]=2&d", &headers, b"{}");
        assert_eq!(
            response.json(),
            json!({
                "get": ["1, 2", "1, 2", "/from", true],
                "url": [
                    "http://proxied/p%20q/r?a=1&a=%C3%BC&b[c]=2&d", "/p%20q/r", {"0": "/p%20q/r"},
                    {"a": ["1", "ü"], "b[c]": "2", "d": ""}, "function", "http",
                ],
                "is": [false, false, "application/ld+json", "application/ld+json", "application/ld+json"],
                "accepts": ["html", "json", false, ["application/json", "text/html", "text/*"]],
                "more": [true, [], false, true, true],
                "emitter": [true, "1, 2", 16],
            })
        );
    }
}

#[test]
fn the_response_answers_as_expresss_does() {
    const FUNCTION: &str = "const answers = {
    '/json': (r) => r.status(201).set({ 'X-A': 1, 'X-B': ['2', 3] }).json({ a: 'ü' }),
    '/send': (r) => r.send('ü'),
    '/typed': (r) => r.type('json').send('{}'),
    '/bytes': (r) => r.append('X-A', '1').append('X-A', '2').send(Buffer.from([255])),
    '/object': (r) => r.header('Content-Type', 'application/vnd.api+json').send({ a: r.get('content-type') }),
    '/status': (r) => r.sendStatus(404),
    '/number': (r) => r.send(418),
    '/none': (r) => r.status(204).send('never sent'),
    '/redirect': (r) => r.redirect('/ü?a=%20'),
    '/moved': (r) => r.redirect(301, 'https://example.com/'),
    '/cookie': (r) => r.cookie('a', 'b c', { maxAge: 1000, httpOnly: true, sameSite: 'lax' }).cookie('j', { k: 1 })
        .clearCookie('old', { path: '/p' }).vary('Accept').vary(['accept', 'Origin']).end(),
    '/native': (r) => { r.writeHead(202, { 'Content-Type': 'text/x-native' }); r.write('a'); r.end('b'); },
    '/later': (r) => new Promise((done) => setTimeout(() => { r.end('later'); done('not sent'); }, 20)),
    '/status-alone': (r) => r.status(404),
    '/status-and-text': (r) => { r.status(404).set('Content-Type', 'image/svg+xml'); return '<svg/>'; },
    '/begun': async (r) => { r.write('begun, '); await null; return 'ended'; },
};
exports.handler = ({ extensions: { request, response } }) => answers[request.path](response);";
    const TEXT: &str = "text/plain; charset=utf-8";
    const HTML: &str = "text/html; charset=utf-8";
    const API: &str = "application/json; charset=utf-8";
    let expected: [(&str, u16, Option<&str>, &[u8]); 16] = [
        ("/json", 201, Some(API), "{\"a\":\"ü\"}".as_bytes()),
        ("/send", 200, Some(HTML), "ü".as_bytes()),
        ("/typed", 200, Some(API), b"{}"),
        ("/bytes", 200, Some("application/octet-stream"), b"\xff"),
        (
            "/object",
            200,
            Some("application/vnd.api+json; charset=utf-8"),
            br#"{"a":"application/vnd.api+json"}"#,
        ),
        ("/status", 404, Some(TEXT), b"Not Found"),
        ("/number", 418, Some(TEXT), b"I'm a Teapot"),
        ("/none", 204, None, b""),
        ("/redirect", 302, Some(TEXT), b"Found. Redirecting to /%C3%BC?a=%20"),
        ("/moved", 301, Some(TEXT), b"Moved Permanently. Redirecting to https://example.com/"),
        ("/cookie", 200, None, b""),
        ("/native", 202, Some("text/x-native"), b"ab"),
        ("/later", 200, None, b"later"),
        ("/status-alone", 404, None, b""),
        ("/status-and-text", 404, Some("image/svg+xml"), b"<svg/>"),
        ("/begun", 200, None, b"begun, ended"),
    ];
    for node in nodes() {
        let server = serve(node, FUNCTION);
        let mut client = Client::connect(server.port); // All on one connection, so that each body's end is right.
        for (path, status, kind, body) in expected {
            let response = client.call("GET", path, &[], b"");
            let found = (response.status, response.header("content-type"), response.body.as_slice());
            assert_eq!(found, (status, kind, body), "{node:?}: {path}");
            assert_eq!(client.call("HEAD", path, &[], b"").status, status, "{path}");
        }
        assert_eq!(get(server.port, "/json").header("x-a"), Some("1"));
        assert_eq!(get(server.port, "/redirect").header("location"), Some("/%C3%BC?a=%20"));
        let response = get(server.port, "/cookie");
        let named = response.headers.iter().filter(|(name, _)| name == "set-cookie");
        let cookies: Vec<_> = named.map(|(_, value)| value.as_str()).collect();
        assert!(cookies[0].starts_with("a=b%20c; Max-Age=1; Path=/; Expires="), "{cookies:?}");
        assert!(cookies[0].ends_with(" GMT; HttpOnly; SameSite=Lax"), "{cookies:?}");
        assert_eq!(cookies[1], "j=j%3A%7B%22k%22%3A1%7D; Path=/");
        assert_eq!(cookies[2], "old=; Path=/p; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(response.header("vary"), Some("Accept, Origin"));
        assert!(server.log().lines().count() == 1, "nothing to complain of: {}", server.log());
    }
}

#[test]
fn every_kind_of_result_has_its_form() {
    const FUNCTION: &str = "const { Readable, Transform } = require('stream');
class Old extends require('events') { // As readable-stream 2, which knows no async iteration.
    pipe() {}
    on(name, listener) {
        if (name === 'data') setImmediate(() => { this.emit('data', Buffer.from('old')); this.emit('end'); });
        return super.on(name, listener);
    }
}
const results = {
    '/string': () => 'ü', '/empty': () => '', '/bytes': () => new Uint8Array([255, 0]), '/object': () => ({ a: null }),
    '/array': () => [1, 'a'], '/number': () => 1.5, '/false': () => false, '/null': () => null, '/undefined': () => {},
    '/later': async () => ({ later: true }), '/thenable': () => ({ then: (done) => done('then') }),
    '/stream': () => Readable.from(['a', Buffer.alloc(200000, 'b'), '', 'ü']), '/nothing': () => Readable.from([]),
    '/generator': async function* () { yield 'a'; yield new Uint8Array([98]); },
    '/web': () => new Response('web').body, '/old': () => new Old(),
    '/observable': () => ({ pipe() {}, observable: true }),
};
exports.handler = (event) => results[event.extensions.request.path]();";
    const HTML: &str = "text/html; charset=utf-8";
    const API: &str = "application/json; charset=utf-8";
    const BYTES: &str = "application/octet-stream";
    let long = format!("a{}ü", "b".repeat(200_000));
    let expected: [(&str, Option<&str>, &[u8]); 17] = [
        ("/string", Some(HTML), "ü".as_bytes()),
        ("/empty", Some(HTML), b""),
        ("/bytes", Some(BYTES), b"\xff\x00"),
        ("/object", Some(API), br#"{"a":null}"#),
        ("/array", Some(API), br#"[1,"a"]"#),
        ("/number", Some(API), b"1.5"),
        ("/false", Some(API), b"false"),
        ("/null", Some(API), b"null"),
        ("/undefined", None, b""),
        ("/later", Some(API), br#"{"later":true}"#),
        ("/thenable", Some(HTML), b"then"),
        ("/stream", Some(BYTES), long.as_bytes()),
        ("/nothing", Some(BYTES), b""),
        ("/generator", Some(BYTES), b"ab"),
        ("/web", Some(BYTES), b"web"),
        ("/old", Some(BYTES), b"old"),
        ("/observable", Some(API), br#"{"observable":true}"#),
    ];
    for node in nodes() {
        let server = serve(node, FUNCTION);
        let mut client = Client::connect(server.port);
        for (path, kind, body) in expected {
            let response = client.call("GET", path, &[], b"");
            let found = (response.status, response.header("content-type"), response.body.as_slice());
            assert_eq!(found, (200, kind, body), "{node:?}: {path}: {}", server.log());
            let head = client.call("HEAD", path, &[], b"");
            assert_eq!((head.status, head.header("content-type")), (200, kind), "HEAD {path}");
            if response.header("transfer-encoding").is_none() && !body.is_empty() {
                assert_eq!(head.header("content-length"), response.header("content-length"), "HEAD {path}");
            }
        }
        assert_eq!(client.call("GET", "/stream", &[], b"").header("transfer-encoding"), Some("chunked"));
    }
}

#[test]
fn kubeless_examples_run_unchanged() {
    const HELLOGET: &str =
        "module.exports = {\n  handler: function (event, context) {\n    return 'hello world!';\n  }\n}\n";
    const INDEX: &str =
        "'use strict';\n\nmodule.exports = {\n    handler: require('./helloget').handler,\n}\n";
    const WITH_DATA: &str = "module.exports = {\n  handler: (event, context) => {\n    console.log(event);\n    return event.data;\n  },\n};\n";
    // As hellostream, which pipes into the response, and promises the stream once it has ended.
    const STREAM: &str = "const { Readable, finished } = require('stream');
module.exports = { handler: (event) => new Promise((resolve, reject) => {
    const { response } = event.extensions;
    const stream = Readable.from(['hello ', 'world!']);
    finished(stream, (error) => error ? reject(error) : resolve(stream));
    response.setHeader('Content-Type', 'text/event-stream; charset=utf-8');
    stream.pipe(response);
}) };";
    for node in nodes() {
        let server = Server::start(command(
            node,
            "index.js",
            &[("source/index.js", INDEX), ("source/helloget.js", HELLOGET)],
        ));
        assert_eq!(get(server.port, "/").text(), "hello world!");
        let server = serve(node, WITH_DATA);
        assert_eq!(
            call(server.port, "POST", "/", &[JSON], b"{\"it-s\": \"alive\"}").text(),
            "{\"it-s\":\"alive\"}"
        );
        assert_eq!(call(server.port, "POST", "/", &[], b"text").text(), "text");
        let server = serve(node, STREAM);
        let response = get(server.port, "/");
        assert_eq!(
            (response.header("content-type"), response.text()),
            (Some("text/event-stream; charset=utf-8"), "hello world!")
        );
        assert_eq!(server.log().lines().count(), 1, "{}", server.log());
    }
}

#[test]
fn a_multipart_body_is_left_to_the_function() {
    const FUNCTION: &str = "exports.handler = async ({ data, extensions: { request } }) => {
    const pieces = [];
    if (request.path === '/read') for await (const piece of request) pieces.push(piece);
    return [data, request.body, request.is('multipart'), Buffer.concat(pieces).length];
};";
    let body = vec![b'x'; 3 << 20];
    for node in nodes() {
        let server = serve(node, FUNCTION);
        let mut client = Client::connect(server.port);
        for (path, length) in [("/read", body.len()), ("/ignore", 0), ("/read", body.len())] {
            let response =
                client.call("POST", path, &[("Content-Type", "multipart/mixed; boundary=x")], &body);
            assert_eq!(response.json(), json!([{}, {}, "multipart", length]), "{path}");
        }
    }
}

#[test]
fn pieces_arrive_while_the_function_goes_on() {
    const FUNCTION: &str = "let goOn;
const waited = new Promise((resolve) => { goOn = resolve; });
exports.handler = async ({ extensions: { request } }) => {
    if (request.path === '/go-on') return goOn('second');
    return (async function* () { yield 'first'; yield await waited; })();
};";
    for node in nodes() {
        let server = serve(node, FUNCTION);
        let mut client = Client::connect(server.port);
        client.send("GET", "/", &[], b"");
        assert_eq!(client.head().expect("the head comes before the body's end").status, 200);
        assert_eq!(client.raw_line() + &client.raw_line(), "5\r\nfirst\r\n");
        get(server.port, "/go-on");
        assert_eq!(client.raw_line() + &client.raw_line() + &client.raw_line(), "6\r\nsecond\r\n0\r\n");
    }
}

#[test]
fn requests_run_in_parallel() {
    const FUNCTION: &str = "const waiting = [];
exports.handler = () => new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 2) waiting.forEach((done) => done('met'));
});";
    for node in nodes() {
        let server = serve(node, FUNCTION);
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
    const FUNCTION: &str = "const fs = require('fs');
const { Readable } = require('stream');
const failures = {
    '/throw': () => { throw new TypeError('secret\\nsecond line', { cause: new Error('deeper') }); },
    '/reject': async (r) => { r.set('X-A', '1').status(201); throw new Error('rejected'); },
    '/text': () => { throw 'only\\ntext'; },
    '/undefined': () => Promise.reject(),
    '/mute': () => { throw Object.defineProperty(new Error(), 'message', { get() { throw 1; } }); },
    '/callback': () => new Promise(() => setTimeout(() => { throw new Error('in a callback'); }, 5)),
    '/file': (r) => { fs.createReadStream('/nowhere').pipe(r); },
    '/unhandled': () => new Promise(() => { Promise.reject(new Error('unheard')); }),
    '/stream': () => fs.createReadStream('/nowhere'),
    '/pieces': () => Readable.from([1]),
    '/header': (r) => r.set('X', 'a\\r\\nSet-Cookie: b').send('x'),
    '/circular': () => { const a = {}; a.a = a; return a; },
    '/bigint': () => 1n,
    '/half': async function* () { yield 'half'; throw new Error('on the way'); },
    '/half-native': (r) => { r.write('half'); throw new Error('half-way'); },
    '/after': (r) => { r.end('well'); throw new Error('after the answer'); },
    '/twice': (r) => { r.end('well'); setTimeout(() => r.end('again'), 5); },
};
exports.handler = function handler({ extensions: { request, response } }) { return failures[request.path](response); };";
    let failures = [
        ("/throw", "TypeError: secret"),
        ("/reject", "Error: rejected"),
        ("/text", "'only\\ntext' was thrown"),
        ("/undefined", "undefined was thrown"),
        ("/mute", "Error: (no message)"),
        ("/callback", "Error: in a callback"),
        ("/file", "Error: ENOENT: no such file or directory, open '/nowhere'"),
        ("/unhandled", "Error: unheard"),
        ("/stream", "Error: ENOENT: no such file or directory, open '/nowhere'"),
        ("/pieces", "TypeError: The "),
        ("/header", "TypeError: Invalid character in header content"),
        ("/circular", "TypeError: Converting circular structure to JSON"),
        ("/bigint", "TypeError: Do not know how to serialize a BigInt"),
    ];
    for node in nodes() {
        let server = serve(node, FUNCTION);
        let mut client = Client::connect(server.port);
        for (path, words) in failures {
            let response = client.call("GET", path, &[], b"");
            assert_eq!((response.status, response.text()), (500, "Internal Server Error\n"), "{path}");
            assert_eq!(response.header("x-a"), None, "what was prepared is gone");
            server.wait_for(&format!("error: GET {path}: {words}"));
        }
        for (path, words) in [("/half", "on the way"), ("/half-native", "half-way")] {
            let mut client = Client::connect(server.port);
            client.send("GET", path, &[], b"");
            assert!(client.response().is_err(), "half an answer must not look like a whole one");
            server.wait_for(&format!("error: GET {path}: Error: {words}"));
        }
        for (path, words) in [("/after", "Error: after the answer"), ("/twice", "Error")] {
            assert_eq!(get(server.port, path).text(), "well");
            if path == "/after" {
                server.wait_for(&format!("error: GET {path}: {words}"));
            }
        }
        assert_eq!(get(server.port, "/healthz").status, 200);
        let log = server.log();
        assert!(log.contains("second line\n    at /throw (") && log.contains("hello.js:4:"), "{log}");
        assert!(log.contains("\ncaused by: Error: deeper\n"), "{log}");
        assert!(
            !log.contains("kubeless.cjs") && !log.contains("node:internal"),
            "only the author's own lines: {log}"
        );
    }
}

#[test]
fn a_failure_outside_of_a_request_is_logged() {
    const FUNCTION: &str = "setTimeout(() => { throw new Error('on its own'); }, 50);
Promise.reject(new Error('from the start'));
exports.handler = () => 'well';";
    for node in nodes() {
        let server = serve(node, FUNCTION);
        server.wait_for("error: outside of a request: Error: from the start\n");
        server.wait_for("error: outside of a request: Error: on its own\n");
        assert_eq!(get(server.port, "/").text(), "well");
    }
}

#[test]
fn an_end_that_the_function_brings_about_is_told() {
    for node in nodes() {
        let server = serve(node, "exports.handler = () => process.exit(3)");
        let mut client = Client::connect(server.port);
        client.send("GET", "/", &[], b"");
        assert!(client.response().is_err());
        let (status, log) = server.end();
        assert_eq!(status.code(), Some(3));
        assert!(log.ends_with("error: the function ended the process with status 3\n"), "{log}");
    }
}

#[test]
fn sigterm_lets_requests_end_and_exits_with_0() {
    const FUNCTION: &str = "const wait = (time) => new Promise((done) => setTimeout(done, time));
exports.handler = async ({ extensions: { request } }) => {
    console.error('begun');
    await wait(1000);
    return (async function* () { yield 'comp'; await wait(500); yield 'lete'; })();
};";
    for node in nodes() {
        for signal in [Signal::TERM, Signal::INT] {
            let server = serve(node, FUNCTION);
            let port = server.port;
            let mut idle = Client::connect(port);
            idle.call("GET", "/healthz", &[], b"");
            let mut silent = Client::connect(port);
            let mut client = Client::connect(port);
            client.send("GET", "/", &[], b"");
            server.wait_for("begun");
            server.signal(signal);
            let start = Instant::now();
            thread::sleep(Duration::from_millis(500));
            assert!(Client::to(&format!("127.0.0.1:{port}")).is_err(), "nothing more is accepted");
            assert!(idle.is_closed() && silent.is_closed());
            let response = client.response().expect("a whole answer");
            assert_eq!(response.text(), "complete");
            assert_eq!(response.header("connection"), Some("close"));
            let (status, log) = server.end();
            assert_eq!(status.code(), Some(0), "{log}");
            assert!(start.elapsed() < Duration::from_secs(4), "nobody is waited for");
        }
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    for node in nodes() {
        let server = serve(node, "exports.handler = () => new Promise(() => console.error('begun'))");
        let mut client = Client::connect(server.port);
        client.send("GET", "/", &[], b"");
        server.wait_for("begun");
        server.signal(Signal::TERM);
        thread::sleep(Duration::from_millis(200));
        server.signal(Signal::INT);
        let start = Instant::now();
        assert_eq!(server.end().0.code(), Some(0));
        assert!(start.elapsed() < Duration::from_secs(4));
    }
}

#[test]
fn timers_of_the_function_do_not_keep_the_pod() {
    let Some(node) = nodes().last() else { return };
    let server = serve(node, "setInterval(() => {}, 100); exports.handler = () => {}");
    server.signal(Signal::TERM);
    let start = Instant::now();
    assert_eq!(server.end().0.code(), Some(0));
    assert!((4..9).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[test]
fn a_port_that_cannot_be_had_is_named() {
    let taken = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).expect("a free port");
    let port = taken.local_addr().expect("its address").port().to_string();
    for node in nodes() {
        for (value, line) in [
            (port.as_str(), format!("error: cannot listen on FUNC_PORT {port}: address already in use\n")),
            (
                "99999",
                "error: cannot listen on FUNC_PORT 99999: options.port should be >= 0 and < 65536."
                    .to_owned(),
            ),
            (
                "tcp://10.0.0.1:80",
                "error: FUNC_PORT is 'tcp://10.0.0.1:80', which is not a number\n".to_owned(),
            ),
        ] {
            let (rooms, mut command) = command(node, "hello.js", &[("source/hello.js", ECHO)]);
            command.env("FUNC_PORT", value);
            let (status, log) = Server::spawn((rooms, command)).end();
            assert_eq!(status.code(), Some(1), "{log}");
            assert!(log.starts_with(&line), "{log}");
        }
    }
}

#[test]
fn context_is_each_calls_own() {
    const FUNCTION: &str = "exports.handler = (event, context) => { context.calls = (context.calls ?? 0) + 1; return context; };";
    for node in nodes() {
        let server = serve(node, FUNCTION);
        get(server.port, "/");
        let expected: Value = json!({"function-name": "handler", "timeout": 180, "calls": 1});
        assert_eq!(get(server.port, "/").json(), expected);
    }
}
