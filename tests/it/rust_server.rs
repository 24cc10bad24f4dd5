//! The Rust function server, as real processes.

use std::net::TcpListener;
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use crate::support::http::{Client, call, get};
use crate::support::rust::{command, serve, server};
use crate::support::server::Server;
use crate::support::wire;

#[test]
fn our_crate_passes_its_own_tests_and_is_formatted() {
    let Some((room, _)) = command("echo") else { return };
    let program = room.path().join("tests");
    let (program, server) = (program.display().to_string(), server().display().to_string());
    let commands: [&[&str]; 3] = [
        &["rustfmt", "--edition", "2021", "--check", &server],
        &["rustc", "--edition", "2021", "--test", "-o", &program, &server],
        &[&program],
    ];
    for command in commands {
        let output = Command::new(command[0]).args(&command[1..]).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn a_function_gets_event_and_context() {
    let Some((rooms, mut command)) = command("data") else { return };
    command.envs([("FUNC_TIMEOUT", "2.5"), ("FUNC_RUNTIME", "rust1.95"), ("FUNC_MEMORY_LIMIT", "64Mi")]);
    let server = Server::start((rooms, command));
    assert!(server.log().ends_with("(hello.data, Rust 1.2.3)\n"), "{}", server.log());
    let headers =
        [("event-id", "7"), ("Event-Type", "a/b"), ("event-time", "now"), ("event-namespace", "cron")];
    let response = call(server.port, "PATCH", "//a%20b%zz?c=d+e&f=%C3%BC&g", &headers, b"\xff");
    let pairs = r#"[("c", "d e"), ("f", "ü"), ("g", "")]"#;
    let expected =
        format!(r#"[255] "7" "a/b" "now" "cron" PATCH /a b%zz {pairs} | data 2.5s "rust1.95" "64Mi""#);
    assert_eq!(response.text(), expected);
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn health_is_answered_without_the_function() {
    let Some(server) = serve("kinds") else { return };
    let health = get(server.port, "/healthz");
    assert_eq!((health.status, health.text()), (200, "OK"));
    assert_eq!(call(server.port, "POST", "/healthz", &[], b"").status, 404);
    assert_eq!(get(server.port, "/healthz/x").status, 404);
}

#[test]
fn every_kind_of_result_has_its_form() {
    let Some(server) = serve("kinds") else { return };
    let mut client = Client::connect(server.port); // All on one connection, so that each body's end is right.
    let created = client.call("GET", "/created", &[], b"");
    assert_eq!((created.status, created.text()), (201, "body"));
    assert_eq!(created.header("content-type"), Some("text/css"));
    assert_eq!(created.header("x-made-by"), Some("me"));
    let head = client.call("HEAD", "/created", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (201, Some("4")));
    let empty = client.call("GET", "/empty", &[], b"");
    assert_eq!((empty.status, empty.text(), empty.header("content-length")), (204, "", None));
    assert_eq!(client.call("GET", "/own", &[], b"").text(), "own");
    for (way, kind, body) in
        [("none", None, ""), ("unit", None, ""), ("cow", Some("text/plain; charset=utf-8"), "cow")]
    {
        let response = get(serve(way).expect("there was a Rust").port, "/");
        assert_eq!((response.status, response.header("content-type"), response.text()), (200, kind, body));
    }
}

#[test]
fn an_async_function_is_waited_for() {
    let Some(server) = serve("later") else { return };
    assert_eq!(call(server.port, "POST", "/", &[], b"x").text(), "later x");
    assert_eq!(get(server.port, "/").status, 500);
    server.wait_for("error: GET /: nobody is there\n");
}

#[test]
fn requests_run_in_parallel() {
    let Some(server) = serve("meet") else { return };
    let port = server.port;
    let other = thread::spawn(move || get(port, "/").text().to_owned());
    assert_eq!(get(port, "/").text(), "met");
    assert_eq!(other.join().expect("the other request"), "met");
}

#[test]
fn a_failure_is_a_500_and_a_log_line_and_never_an_exit() {
    let Some(server) = serve("kinds") else { return };
    let mut client = Client::connect(server.port);
    for (path, said) in [
        ("/error", "error: GET /error: it is\nnot to be\n"),
        ("/mute", "error: GET /mute: panicked at "),
        ("/number", "error: GET /number: invalid digit found in string\n"),
        ("/panic", ": it panicked\n"),
        ("/payload", "error: GET /payload: panicked at "),
        ("/split", "error: GET /split: a header of the answer is malformed\n"),
        ("/status", "error: GET /status: the status of the answer is none of HTTP's final ones\n"),
    ] {
        let response = client.call("GET", path, &[], b"");
        assert_eq!((response.status, response.text()), (500, "Internal Server Error\n"), "{path}");
        server.wait_for(said);
    }
    assert_eq!(client.call("GET", "/thread", &[], b"").text(), "caught");
    let log = server.wait_for("elsewhere");
    let line = log.lines().find(|line| line.starts_with("error: GET /panic")).expect("a log line");
    assert!(line.contains("main.rs:"), "{line}");
    assert_eq!(get(server.port, "/healthz").status, 200);
}

#[test]
fn sigterm_lets_requests_end_and_exits_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let Some(server) = serve("slow") else { return };
        wire::lets_requests_end(server, signal);
    }
}

#[test]
fn a_port_that_cannot_be_had_is_named() {
    let taken = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = taken.local_addr().expect("its address").port().to_string();
    for (value, line) in [
        (port.as_str(), format!("error: cannot listen on FUNC_PORT {port}: Address already in use\n")),
        ("70000", "error: cannot listen on FUNC_PORT 70000: no port has this number\n".to_owned()),
        ("tcp://a:80", "error: FUNC_PORT is 'tcp://a:80', which is not a number\n".to_owned()),
    ] {
        let Some((rooms, mut command)) = command("echo") else { return };
        command.env("FUNC_PORT", value);
        let (status, log) = Server::spawn((rooms, command)).end();
        assert_eq!((status.code(), log), (Some(1), line));
    }
}

#[test]
fn chunked_bodies_pipelines_and_keep_alive_are_understood() {
    let Some(server) = serve("echo") else { return };
    wire::pipelined(wire::pipeline(&server), &json!(""));
}

#[test]
fn the_wire_is_that_of_every_server() {
    let Some(server) = serve("echo") else { return };
    wire::continues(&server);
    wire::closes(&server);
    let long = "a".repeat(70_000);
    let particular = [
        ("GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nX: {long}{long}\r\n\r\n"), 431),
    ];
    wire::refuses_strictly(&server, &particular);
    assert_eq!(get(server.port, "/").status, 200);
}

#[test]
fn a_body_that_ends_early_calls_nothing() {
    let Some(server) = serve("slow") else { return };
    for announced in ["Content-Length: 9", "Content-Length: 999999999999999999", "Transfer-Encoding: chunked"]
    {
        let mut client = Client::connect(server.port);
        client.write(format!("POST / HTTP/1.1\r\n{announced}\r\n\r\n4\r\nab").as_bytes());
        client.finish();
        assert!(client.is_closed(), "{announced}");
    }
    assert_eq!(get(server.port, "/healthz").status, 200);
    server.signal(Signal::TERM);
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0));
    assert!(!log.contains("begun"), "{log}");
}

#[test]
fn both_versions_of_ip_are_served() {
    let Some(server) = serve("address") else { return };
    assert_eq!(get(server.port, "/").text(), "127.0.0.1");
    match Client::to(&format!("[::1]:{}", server.port)) {
        Ok(mut client) => assert_eq!(client.call("GET", "/", &[], b"").text(), "::1"),
        Err(_) => eprintln!("SKIP IPv6: this machine has none"),
    }
}
