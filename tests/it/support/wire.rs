//! What every function server must do on the wire, whatever its language. The function answers with what it got:
//! method, path, body, and the header `x`.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::http::Client;
use super::server::Server;

/// A body with two lengths, of which a server may as well believe the chunked one:
/// <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>.
pub(crate) const BOTH_LENGTHS: &str =
    "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

/// What a server that parses HTTP itself refuses, beyond what all of them do.
const STRICT: [(&str, u16); 5] = [
    ("GET /\r\n\r\n", 400),
    ("GET / HTTP/2.0\r\n\r\n", 505),
    ("GET / HTTP/1.1\r\nName : value\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nX: a\r\n folded\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
];

/// [`refuses`] and [`STRICT`].
pub(crate) fn refuses_strictly(server: &Server, particular: &[(String, u16)]) {
    let strict = STRICT.map(|(request, status)| (request.to_owned(), status));
    refuses(server, &[&strict, particular].concat());
}

/// Several requests that do not wait for answers: a chunked body, a method of nobody's with a repeated header, and
/// one without a body.
pub(crate) fn pipeline(server: &Server) -> Client {
    let mut client = Client::connect(server.port);
    client.write(b"POST /1 HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n");
    client.write(b"00001\r\n \r\n5\r\nwor\r\n\r\n0\r\nTrailer: t\r\n\r\n");
    client.write(b"\r\nPURGE http://f/2?q HTTP/1.1\r\nX:  a\t\r\nx: b\r\nContent-Length: 2\r\n\r\nhi");
    client.write(b"GET /3 HTTP/1.1\r\n\r\n");
    client
}

/// Their answers; `nothing` is what a function gets of no body.
pub(crate) fn pipelined(mut client: Client, nothing: &Value) {
    let mut answer = || client.response().expect("an answer").json();
    assert_eq!(answer(), json!(["POST", "/1", "hello wor\r\n", null]));
    assert_eq!(answer(), json!(["PURGE", "/2", "hi", "a, b"]));
    assert_eq!(answer(), json!(["GET", "/3", nothing, null]));
}

/// A signal during a request to a function that says `begun`, takes its time, and answers `complete`.
pub(crate) fn lets_requests_end(server: Server, signal: Signal) {
    let port = server.port;
    let mut idle = Client::connect(port);
    idle.call("GET", "/healthz", &[], b"");
    let mut client = Client::connect(port);
    client.send("GET", "/", &[], b"");
    server.wait_for("begun");
    server.signal(signal);
    sleep(Duration::from_millis(500));
    assert!(Client::to(&format!("127.0.0.1:{port}")).is_err(), "nothing more is accepted");
    let response = client.response().expect("a whole answer");
    assert_eq!(response.text(), "complete");
    assert_eq!(response.header("connection"), Some("close"));
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// A client that waits for `100 Continue` before it sends its body.
pub(crate) fn continues(server: &Server) {
    let mut client = Client::connect(server.port);
    client.write(b"PUT / HTTP/1.1\r\nHost: f\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.head().expect("an interim answer").status, 100);
    client.write(b"body");
    assert_eq!(client.response().expect("an answer").json(), json!(["PUT", "/", "body", null]));
}

/// Clients that want their connection closed.
pub(crate) fn closes(server: &Server) {
    for request in ["GET / HTTP/1.1\r\nHost: f\r\nConnection: Close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let mut client = Client::connect(server.port);
        client.write(request.as_bytes());
        let response = client.response().expect("an answer");
        assert_eq!((response.status, response.header("connection")), (200, Some("close")));
        assert!(client.is_closed());
    }
}

/// Requests that no server may take, and the status that each is refused with; in `particular`, those of one server.
pub(crate) fn refuses(server: &Server, particular: &[(String, u16)]) {
    let common = [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/x\r\n\r\n", 400),
        ("G(T / HTTP/1.1\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n", 400), // TLS.
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        // Another request is hidden in each of these, if proxy and server read them differently.
        ("GET / HTTP/1.1\r\nX: a\r\rGET /2 HTTP/1.1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\rb\r\nb\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r0\r\na\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n", 400),
        (&format!("GET / HTTP/1.1\r\n{}\r\n", "X: aaaaaaaaaa\r\n".repeat(6_000)), 431),
    ];
    let particular = particular.iter().map(|(request, status)| (request.as_str(), *status));
    for (request, status) in common.into_iter().chain(particular) {
        let mut client = Client::connect(server.port);
        // Where it is well-formed, it shall not be for want of a host that it is refused.
        client.write(request.replacen(" HTTP/1.1\r\n", " HTTP/1.1\r\nHost: f\r\n", 1).as_bytes());
        let shown = &request[..request.len().min(80)];
        let response = client.response().unwrap_or_else(|error| panic!("{error}: {shown:?}"));
        assert_eq!(response.status, status, "{shown:?}");
        assert_eq!(response.header("connection"), Some("close"));
    }
}
