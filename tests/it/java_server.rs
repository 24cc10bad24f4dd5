//! How the Java function server calls the function, speaks HTTP/1.1, and ends, with each JDK.

use std::process::Stdio;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::http::{Client, call, get};
use crate::support::java::jdks;
use crate::support::server::Server;
use crate::support::wire;

/// A function that does what the path says.
const HELLO: &str = r#"
import io.kubeless.*;
import java.util.concurrent.*;

public class Hello {
    private final long made = System.nanoTime();

    static String json(String text) {
        return text == null ? "null" : "\"" + text.replace("\r", "\\r").replace("\n", "\\n") + "\"";
    }

    public static String echo(Event event, Context context) {
        Event.Request request = event.Request;
        return "[" + json(request.Method) + "," + json(request.Path) + "," + json(event.Data) + ","
                + json(request.header("X")) + "]";
    }

    public Object act(Event event, Context context) throws Throwable {
        switch (event.Request.Path) {
            case "/event":
                return String.join(" ", event.EventID, event.EventType, event.EventTime, event.EventNamespace,
                        context.functionName, context.timeout, context.runtime, context.memoryLimit);
            case "/made": return made;
            case "/null": return null;
            case "/bytes": return new byte[] {0, -1};
            case "/stream": return new java.io.ByteArrayInputStream("piece".getBytes());
            case "/later": return CompletableFuture.supplyAsync(() -> "later");
            case "/never": return CompletableFuture.failedFuture(new java.io.IOException("not now"));
            case "/length": return event.Request.Body.length;
            case "/slow": Thread.sleep(400); return "slow";
            case "/throw": throw new Exception("first line\nsecond line");
            case "/deep": return act(event, context);
            case "/memory": return new byte[Integer.MAX_VALUE];
            case "/exit": System.exit(3);
            default: return event.Data + event.Request.Query;
        }
    }
}
"#;

#[test]
fn a_function_gets_event_and_context_and_every_result_has_its_form() {
    for jdk in jdks() {
        let (rooms, mut command) = jdk.command("Hello", "act", &[("Hello.java", HELLO)]);
        command.env("FUNC_RUNTIME", "java17").env("FUNC_TIMEOUT", "7").env("FUNC_MEMORY_LIMIT", "64Mi");
        command.env("JDK_JAVA_OPTIONS", "--limit-modules=java.base,jdk.unsupported");
        let server = Server::start((rooms, command));
        let started = server.log();
        assert!(started.ends_with(&format!("(Hello.act, java {})\n", jdk.version)), "{started}");
        let headers =
            [("event-id", "1"), ("Event-Type", "t"), ("event-time", "now"), ("event-namespace", "ns")];
        let response = call(server.port, "POST", "/event", &headers, b"");
        assert_eq!(response.text(), "1 t now ns act 7 java17 64Mi");
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
        let sent_by_browsers = "q=%20|{a}100%";
        let response =
            call(server.port, "POST", &format!("//?{sent_by_browsers}"), &[], "a\r\nü\n".as_bytes());
        assert_eq!(response.text(), format!("a\r\nü\n{sent_by_browsers}"));
        assert_eq!(get(server.port, "/made").text(), get(server.port, "/made").text(), "one instance");
        assert_eq!((get(server.port, "/null").status, get(server.port, "/null").body), (200, Vec::new()));
        let bytes = get(server.port, "/bytes");
        assert_eq!(
            (bytes.header("content-type"), &*bytes.body),
            (Some("application/octet-stream"), &[0, 255][..])
        );
        assert_eq!(get(server.port, "/stream").text(), "piece");
        assert_eq!(get(server.port, "/later").text(), "later");
        let head = call(server.port, "HEAD", "/later", &[], b"");
        assert_eq!((head.status, head.header("content-length")), (200, Some("5")));
        let body = vec![b'x'; 32 << 20];
        assert_eq!(call(server.port, "POST", "/length", &[], &body).text(), (32 << 20).to_string());
        assert_eq!(get(server.port, "/healthz").text(), "OK");
        assert_eq!(call(server.port, "POST", "/healthz", &[], b"mine").text(), "minenull");
    }
}

#[test]
fn a_failure_is_a_500_and_a_log_line_and_never_an_exit() {
    for jdk in jdks() {
        let server = jdk.serve("act", HELLO);
        let logged = [
            ("/throw", "error: GET /throw: java.lang.Exception: first line\n"),
            ("/never", "error: GET /never: java.io.IOException: not now\n"),
            ("/deep", "error: GET /deep: java.lang.StackOverflowError\n"),
            ("/memory", "error: GET /memory: java.lang.OutOfMemoryError: "),
        ];
        for (path, line) in logged {
            let response = get(server.port, path);
            assert_eq!((response.status, response.text()), (500, "Internal Server Error\n"), "{path}");
            server.wait_for(line);
        }
        let log = server.wait_for("\tat Hello.act(Hello.java:");
        assert!(
            !log.contains("injector.server") && !log.contains("reflect"),
            "only the author's lines: {log}"
        );
        assert_eq!(get(server.port, "/null").status, 200);
    }
}

#[test]
fn requests_run_in_parallel_and_sigterm_lets_them_end() {
    for jdk in jdks() {
        let server = jdk.serve("act", HELLO);
        let mut idle = Client::connect(server.port);
        assert_eq!(idle.call("GET", "/null", &[], b"").status, 200);
        let start = Instant::now();
        scope(|scope| {
            let slow: Vec<_> =
                (0..8).map(|_| scope.spawn(|| get(server.port, "/slow").text().to_owned())).collect();
            sleep(Duration::from_millis(200));
            server.signal(Signal::TERM);
            for answer in slow {
                assert_eq!(answer.join().expect("an answer"), "slow");
            }
        });
        assert!(start.elapsed() < Duration::from_millis(2_500), "{:?}", start.elapsed());
        assert!(idle.is_closed());
        let (ended, log) = server.end();
        assert_eq!((ended.code(), log.lines().count()), (Some(0), 1), "{log}");
    }
}

#[test]
fn an_end_that_the_function_brings_about_keeps_its_status() {
    for jdk in jdks() {
        let server = jdk.serve("act", HELLO);
        Client::connect(server.port).send("GET", "/exit", &[], b"");
        assert_eq!(server.end().0.code(), Some(3));
    }
}

#[test]
fn what_keeps_the_server_from_serving_is_named() {
    const BROKEN: &str = r#"
public class Hello {
    static final int COUNT = Integer.parseInt("many");
    public static String act(io.kubeless.Event event, io.kubeless.Context context) { return null; }
}"#;
    for jdk in jdks() {
        let ends = |(rooms, mut command): (tempfile::TempDir, std::process::Command)| {
            let output = command.stdout(Stdio::null()).output().expect("it runs");
            drop(rooms);
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (code, log) = ends(jdk.command("Hello", "act", &[("Hello.java", BROKEN)]));
        assert_eq!(code, Some(1));
        assert!(log.starts_with("error: cannot load Hello: java.lang.NumberFormatException: "), "{log}");
        assert!(log.contains("\tat Hello.<clinit>(Hello.java:3)"), "{log}");

        let (rooms, mut command) = jdk.command("Hello", "act", &[("Hello.java", HELLO)]);
        for (port, said) in [
            ("http", "error: FUNC_PORT is 'http', which is not a number\n"),
            ("99999", "error: cannot listen on FUNC_PORT 99999: "),
        ] {
            let output = command.env("FUNC_PORT", port).stdout(Stdio::null()).output().expect("it runs");
            let log = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{log}");
            assert!(log.starts_with(said), "{log}");
        }
        drop(rooms);
    }
}

#[test]
fn the_server_keeps_to_http() {
    let lengthy = "a".repeat(70_000);
    let particular = [
        ("GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n".to_owned(), 400),
        (format!("GET /{lengthy} HTTP/1.1\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nX: {lengthy}\r\n\r\n"), 431),
        ("POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".to_owned(), 413),
        // 2^32 + 1, which is 1 in an `int`.
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n100000001\r\na\r\n0\r\n\r\n".to_owned(), 400),
    ];
    for jdk in jdks() {
        let server = jdk.serve("echo", HELLO);
        wire::continues(&server);
        wire::closes(&server);
        wire::refuses_strictly(&server, &particular);
        let client = wire::pipeline(&server);
        sleep(Duration::from_millis(100));
        server.signal(Signal::TERM); // Those that have come are answered.
        wire::pipelined(client, &json!(""));
        let (ended, log) = server.end();
        assert_eq!((ended.code(), log.lines().count()), (Some(0), 1), "no request was worth a line: {log}");
    }
}

#[test]
fn clients_that_go_away_disturb_nobody() {
    for jdk in jdks() {
        let server = jdk.serve("act", HELLO);
        for announced in ["Content-Length: 9", "Transfer-Encoding: chunked"] {
            Client::connect(server.port)
                .write(format!("POST / HTTP/1.1\r\n{announced}\r\n\r\n4\r\nab").as_bytes());
        }
        Client::connect(server.port).send("GET", "/slow", &[], b"");
        let mut slow = Client::connect(server.port);
        for piece in b"POST /length HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" {
            slow.write(&[*piece]);
            sleep(Duration::from_millis(1));
        }
        assert_eq!(slow.response().expect("an answer").text(), "3");
        match Client::to(&format!("[::1]:{}", server.port)) {
            Ok(mut client) => assert_eq!(client.call("GET", "/healthz", &[], b"").text(), "OK"),
            Err(_) => eprintln!("SKIP IPv6: this machine has none"),
        }
        server.signal(Signal::TERM);
        let (ended, log) = server.end();
        assert_eq!((ended.code(), log.lines().count()), (Some(0), 1), "{log}");
    }
}
