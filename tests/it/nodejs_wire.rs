//! How the Node.js function server speaks HTTP/1.1, with clients that behave and others.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::http::{Client, call, get};
use crate::support::nodejs::{nodes, serve};
use crate::support::wire::{self, BOTH_LENGTHS};

/// Answers with what the request brought.
const ECHO: &str = "exports.handler = ({ data, extensions: { request } }) =>
    [request.method, request.path, typeof data === 'string' ? data : null, request.get('x') ?? null];";

#[test]
fn chunked_bodies_pipelines_and_keep_alive_are_understood() {
    for node in nodes() {
        let server = serve(node, ECHO);
        wire::pipelined(wire::pipeline(&server), &json!(null));
    }
}

#[test]
fn answers_of_a_pipeline_come_in_its_order() {
    const FUNCTION: &str = "exports.handler = ({ extensions: { request } }) =>
    new Promise((done) => setTimeout(done, request.path === '/slow' ? 300 : 0, request.path));";
    for node in nodes() {
        let server = serve(node, FUNCTION);
        let mut client = Client::connect(server.port);
        client.write(b"GET /slow HTTP/1.1\r\n\r\nGET /quick HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n");
        sleep(Duration::from_millis(100));
        server.signal(Signal::TERM); // Those that have come are answered.
        for expected in ["/slow", "/quick", "OK"] {
            assert_eq!(client.response().expect("an answer").text(), expected);
        }
        assert!(client.is_closed());
        assert_eq!(server.end().0.code(), Some(0));
    }
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() {
    for node in nodes() {
        wire::continues(&serve(node, ECHO));
    }
}

#[test]
fn connections_close_when_the_client_wants_it() {
    for node in nodes() {
        wire::closes(&serve(node, ECHO));
    }
}

#[test]
fn malformed_requests_are_refused_and_the_server_lives_on() {
    let long = "a".repeat(70_000);
    let particular = [
        (BOTH_LENGTHS.to_owned(), 400),
        ("BREW / HTTP/1.1\r\n\r\n".to_owned(), 400), // Node knows its methods.
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 431),
    ];
    for node in nodes() {
        let server = serve(node, ECHO);
        wire::refuses(&server, &particular);
        let response = call(server.port, "GET", "/", &[("X", &long[..60_000])], b"");
        assert_eq!((response.status, response.json()[3].as_str().map(str::len)), (200, Some(60_000)));
        assert_eq!(server.log().lines().count(), 1, "{}", server.log());
    }
}

#[test]
fn a_body_that_ends_early_calls_nothing() {
    for node in nodes() {
        let server = serve(node, "exports.handler = () => console.error('called');");
        for announced in
            ["Content-Length: 9", "Content-Length: 9007199254740991", "Transfer-Encoding: chunked"]
        {
            let mut client = Client::connect(server.port);
            client.write(format!("POST / HTTP/1.1\r\n{announced}\r\n\r\n4\r\nab").as_bytes());
            sleep(Duration::from_millis(50));
        }
        assert_eq!(get(server.port, "/healthz").status, 200);
        server.signal(Signal::TERM);
        let (status, log) = server.end();
        assert_eq!(status.code(), Some(0));
        assert_eq!(log.lines().count(), 1, "neither a call nor a complaint: {log}");
    }
}

#[test]
fn a_client_that_goes_away_stops_the_stream_and_nothing_else() {
    const FUNCTION: &str = "const { Readable } = require('stream');
exports.handler = ({ extensions: { request, response } }) => {
    response.on('close', () => console.error('closed', request.path, response.writableFinished));
    if (request.path === '/wait') return new Promise((done) => setTimeout(done, 300, 'too late'));
    return new Readable({
        read() { if (!this.begun) this.begun = this.push('first'); },
        destroy(error, done) { console.error('stream destroyed'); done(error); },
    });
};";
    for node in nodes() {
        let server = serve(node, FUNCTION);
        let mut client = Client::connect(server.port);
        client.send("GET", "/stream", &[], b"");
        assert_eq!(client.head().expect("the head").status, 200);
        drop(client);
        server.wait_for("stream destroyed");
        server.wait_for("closed /stream false");
        // As with Node alone, whoever closes only its own side is taken for gone, too.
        let mut client = Client::connect(server.port);
        client.send("GET", "/wait", &[], b"");
        client.finish();
        server.wait_for("closed /wait false");
        assert!(client.is_closed());
        sleep(Duration::from_millis(400));
        assert_eq!(get(server.port, "/healthz").status, 200);
        let log = server.log();
        assert!(!log.contains("error"), "{log}");
    }
}

#[test]
fn big_bodies_pass_and_slow_clients_are_waited_for() {
    const FUNCTION: &str = "let made = 0;
exports.handler = ({ data, extensions: { request } }) => {
    if (request.path === '/length') return data.length;
    if (request.path === '/made') return made;
    return (async function* () { for (; made < 64; made++) yield Buffer.alloc(1 << 20, 'x'); })();
};";
    let body = vec![b'x'; 64 << 20];
    for node in nodes() {
        let server = serve(node, FUNCTION);
        assert_eq!(call(server.port, "POST", "/length", &[], &body).json(), 64 << 20);
        let mut slow = Client::connect(server.port);
        for piece in b"POST /length HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" {
            slow.write(&[*piece]);
            sleep(Duration::from_millis(2));
        }
        assert_eq!(slow.response().expect("an answer").json(), 3);
        slow.send("GET", "/", &[], b"");
        assert_eq!(slow.head().expect("the head").header("transfer-encoding"), Some("chunked"));
        sleep(Duration::from_millis(300));
        let made = get(server.port, "/made").json().as_u64().expect("a number");
        assert!(made < 64, "what the client does not fetch is not made: {made}");
        let rest = std::iter::from_fn(|| slow.chunk().expect("the rest"));
        let size: usize = rest.map(|chunk| chunk.len()).sum();
        assert_eq!(size, 64 << 20);
    }
}

#[test]
fn both_versions_of_ip_are_served() {
    for node in nodes() {
        let server = serve(node, "exports.handler = (event) => event.extensions.request.ip");
        assert!(get(server.port, "/").text().ends_with("127.0.0.1"));
        match Client::to(&format!("[::1]:{}", server.port)) {
            Ok(mut client) => assert_eq!(client.call("GET", "/", &[], b"").text(), "::1"),
            Err(_) => eprintln!("SKIP IPv6: this machine has none"),
        }
    }
}
