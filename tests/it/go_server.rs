//! The Go function server: one function that does what its path says, built by the injector, as real processes.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::support::go;
use crate::support::http::{Client, call, get};
use crate::support::server::Server;
use crate::support::wire;

const FUNCTION: &str = include_str!("go_server.go");

/// The volume with the function, which is built once; `None` where there is no Go.
fn volume() -> Option<&'static PathBuf> {
    static VOLUME: OnceLock<Option<PathBuf>> = OnceLock::new();
    VOLUME.get_or_init(|| go::build(FUNCTION)).as_ref()
}

/// What starts a server of the function.
fn command() -> Option<(TempDir, Command)> {
    let volume = volume()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_injector"));
    command.arg("launch").env_clear().env("KUBELESS_INSTALL_VOLUME", volume);
    command.env("FUNC_PORT", "0").stderr(Stdio::piped());
    Some((tempfile::tempdir().expect("a directory"), command))
}

fn serve() -> Option<Server> {
    command().map(Server::start)
}

#[test]
fn a_function_gets_event_and_context_as_kubeless_had_them() {
    let Some((rooms, mut command)) = command() else { return };
    command.envs([("FUNC_TIMEOUT", "2.5"), ("FUNC_RUNTIME", "go1.26"), ("FUNC_MEMORY_LIMIT", "64Mi")]);
    let server = Server::start((rooms, command));
    let line = server.wait_for("listening on :");
    assert!(line.contains(" (hello.Handler, go 1."), "{line}");
    let headers =
        [("event-id", "7"), ("Event-Type", "x/y"), ("event-time", "now"), ("event-namespace", "cron")];
    let response = call(server.port, "PATCH", "/event/a%20b?c=d", &headers, b"\xc3\xbc=1");
    assert_eq!(
        response.json(),
        json!({
            "event": ["\u{fc}=1", "7", "x/y", "now", "cron"],
            "context": ["Handler", "2.5", "go1.26", "64Mi"],
            "request": ["PATCH", "/event/a b", "c=d"],
            "body": "\u{fc}=1",
        })
    );
}

#[test]
fn health_is_answered_without_the_function() {
    let Some(server) = serve() else { return };
    let health = get(server.port, "/healthz");
    assert_eq!((health.status, health.text()), (200, "OK"));
    assert_eq!(call(server.port, "HEAD", "/healthz?a", &[], b"").status, 200);
    assert_eq!(call(server.port, "POST", "/healthz", &[], b"").json()[0], "POST");
    assert_eq!(get(server.port, "//healthz").json()[1], "//healthz", "no redirect to another path");
}

#[test]
fn what_the_function_answers_itself_is_respected() {
    let Some(server) = serve() else { return };
    let own = get(server.port, "/own");
    assert_eq!((own.status, own.header("x-own"), own.text()), (418, Some("yes"), "short and stout"));
    let refused = get(server.port, "/own/error");
    assert_eq!((refused.status, refused.text()), (400, "not so\n"));
    server.wait_for("error: GET /own/error: it was not so");
    assert_eq!(get(server.port, "/hijack").text(), "mine");
    let html = get(server.port, "/html");
    assert_eq!(html.header("content-type"), Some("text/html; charset=utf-8"));
    let mut client = Client::connect(server.port);
    client.send("GET", "/stream", &[], b"");
    assert_eq!(client.head().expect("a head").header("transfer-encoding"), Some("chunked"));
    assert_eq!(client.chunk().expect("a piece"), Some(b"one".to_vec()));
    assert_eq!(get(server.port, "/open").text(), "opened"); // What the stream waits for.
    assert_eq!(client.chunk().expect("a piece"), Some(b"two".to_vec()));
    assert_eq!(client.chunk().expect("an end"), None);
}

#[test]
fn a_failure_is_a_500_and_a_log_line_and_the_server_lives_on() {
    let Some(server) = serve() else { return };
    for (path, said) in [
        ("/error", "error: GET /error: the cat is out\n"),
        ("/panic", "error: GET /panic: panic: assignment to entry in nil map\n"),
        ("/panic/nil", "error: GET /panic/nil: panic: "),
    ] {
        let response = get(server.port, path);
        assert_eq!((response.status, response.text()), (500, "Internal Server Error\n"), "{path}");
        assert_eq!(response.header("x-own"), None, "{path}");
        server.wait_for(said);
    }
    let log = server.log();
    assert!(log.contains("hello.go:"), "the author's line is told: {log}");
    assert!(!log.contains("request.go:"), "ours is not: {log}");
    let mut client = Client::connect(server.port);
    client.send("GET", "/panic/late", &[], b"");
    assert!(client.response().is_err(), "an answer that is half sent has no end");
    let mut client = Client::connect(server.port);
    client.send("GET", "/abort", &[], b"");
    assert!(client.response().is_err());
    assert_eq!(get(server.port, "/").status, 200);
}

#[test]
fn requests_run_in_parallel_and_are_told_when_their_time_is_up() {
    let Some((rooms, mut command)) = command() else { return };
    command.env("FUNC_TIMEOUT", "0.5");
    let server = Server::start((rooms, command));
    let begun = Instant::now();
    let port = server.port;
    let waiting: Vec<_> = (0..8).map(|_| thread::spawn(move || get(port, "/wait"))).collect();
    for response in waiting {
        assert_eq!(response.join().expect("an answer").text(), "context deadline exceeded");
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn sigterm_lets_requests_end_and_exits_with_0() {
    let Some(server) = serve() else { return };
    let mut idle = Client::connect(server.port);
    assert_eq!(idle.call("GET", "/", &[], b"").status, 200);
    let port = server.port;
    let running = thread::spawn(move || get(port, "/slow"));
    server.wait_for("slow begins");
    server.signal(Signal::TERM);
    let response = running.join().expect("an answer");
    assert_eq!((response.text(), response.header("connection")), ("slow", Some("close")));
    assert!(idle.is_closed());
    let (status, _) = server.end();
    assert_eq!(status.code(), Some(0));
    assert!(Client::to(&format!("127.0.0.1:{port}")).is_err());
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let taken = TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let in_use = format!("error: cannot listen on FUNC_PORT {port}: address already in use\n");
    for (name, value, said) in [
        ("FUNC_PORT", "http", "error: FUNC_PORT is \"http\", which is not a number\n"),
        ("FUNC_TIMEOUT", "soon", "error: FUNC_TIMEOUT is \"soon\", which is not a number\n"),
        ("FUNC_PORT", &port, &in_use),
    ] {
        let Some(volume) = volume() else { return };
        // Not by `injector launch`, which refuses some of it before.
        let mut command = Command::new(volume.join("function/out/server"));
        command.env_clear().env(name, value).stderr(Stdio::piped());
        let rooms = tempfile::tempdir().expect("a directory");
        let (status, log) = Server::spawn((rooms, command)).end();
        assert_eq!((status.code(), log.as_str()), (Some(1), said));
    }
}

#[test]
fn the_wire_is_spoken_as_by_all_servers() {
    let Some(server) = serve() else { return };
    wire::continues(&server);
    wire::closes(&server);
    let lengthy = "a".repeat(80_000);
    let particular = [
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), 501),
        (format!("GET /{lengthy} HTTP/1.1\r\n\r\n"), 431),
    ];
    wire::refuses(&server, &particular);
    let response = call(server.port, "GET", "/", &[("X", &lengthy[..60_000])], b"");
    assert_eq!((response.status, response.json()[3].as_str().map(str::len)), (200, Some(60_000)));
    let mut client = Client::connect(server.port);
    client.write(b"POST /1 HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n");
    client.write(b"00001\r\n \r\n5\r\nwor\r\n\r\n0\r\nTrailer: t\r\n\r\n");
    client.write(b"PURGE http://f/2?q HTTP/1.1\r\nHost: f\r\nX: a\r\nContent-Length: 2\r\n\r\nhi");
    let mut answer = || client.response().expect("an answer").json();
    assert_eq!(answer(), json!(["POST", "/1", "hello wor\r\n", null]));
    assert_eq!(answer(), json!(["PURGE", "/2", "hi", "a"]));
    for announced in ["Content-Length: 9", "Transfer-Encoding: chunked"] {
        let mut client = Client::connect(server.port);
        client.write(format!("POST /error HTTP/1.1\r\nHost: f\r\n{announced}\r\n\r\n4\r\nab").as_bytes());
    }
    assert_eq!(get(server.port, "/healthz").status, 200);
    server.signal(Signal::TERM);
    let (status, log) = server.end();
    assert_eq!(
        (status.code(), log.lines().count()),
        (Some(0), 1),
        "a body that ends early calls nothing: {log}"
    );
}

#[test]
fn the_binary_needs_nothing_else() {
    let Some(volume) = volume() else { return };
    let server = volume.join("function/out/server");
    let file = fs::read(&server).expect("it was published");
    assert_eq!(crate::house::needs_loader(&file), Some(false));
    let names = volume.display().to_string();
    assert!(
        !file.windows(names.len()).any(|part| part == names.as_bytes()),
        "it names the room it was built in"
    );
}
