//! How the Python function server speaks HTTP/1.1, well-formed and not.

use serde_json::json;

use crate::support::http::{Client, get};
use crate::support::python::interpreters;
use crate::support::server::Server;
use crate::support::wire::{self, BOTH_LENGTHS};

/// Answers with what the request brought.
const ECHO: &str = "def handler(event, context):
    request = event['extensions']['request']
    return [request.method, request.path, event['data'].decode(), request.get_header('x')]
";

#[test]
fn chunked_bodies_pipelines_and_keep_alive_are_understood() {
    for python in interpreters() {
        let server = Server::of(python, ECHO);
        wire::pipelined(wire::pipeline(&server), &json!(""));
    }
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() {
    for python in interpreters() {
        wire::continues(&Server::of(python, ECHO));
    }
}

#[test]
fn connections_close_when_the_client_wants_it() {
    for python in interpreters() {
        wire::closes(&Server::of(python, ECHO));
    }
}

#[test]
fn malformed_requests_are_refused_and_the_server_lives_on() {
    let long = "a".repeat(70_000);
    let particular = [
        (BOTH_LENGTHS.to_owned(), 400),
        ("GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nX: {long}{long}\r\n\r\n"), 431),
    ];
    for python in interpreters() {
        let server = Server::of(python, ECHO);
        wire::refuses_strictly(&server, &particular);
        assert_eq!(get(server.port, "/").status, 200);
    }
}

#[test]
fn a_body_that_ends_early_calls_nothing() {
    for python in interpreters() {
        let server = Server::of(python, "import sys\ndef handler(e, c): print('called', file=sys.stderr)\n");
        for announced in
            ["Content-Length: 9", "Content-Length: 999999999999999999", "Transfer-Encoding: chunked"]
        {
            let mut client = Client::connect(server.port);
            client.write(format!("POST / HTTP/1.1\r\n{announced}\r\n\r\n4\r\nab").as_bytes());
            client.finish();
            assert!(client.is_closed(), "{announced}");
        }
        assert_eq!(get(server.port, "/healthz").status, 200);
        server.signal(rustix::process::Signal::TERM);
        let (status, log) = server.end();
        assert_eq!(status.code(), Some(0));
        assert!(!log.contains("called"), "{log}");
    }
}

#[test]
fn both_versions_of_ip_are_served() {
    for python in interpreters() {
        let server = Server::of(python, "def handler(e, c): return e['extensions']['request'].remote_addr\n");
        assert_eq!(get(server.port, "/").text(), "127.0.0.1");
        match Client::to(&format!("[::1]:{}", server.port)) {
            Ok(mut client) => assert_eq!(client.call("GET", "/", &[], b"").text(), "::1"),
            Err(_) => eprintln!("SKIP IPv6: this machine has none"),
        }
    }
}
