//! Bringing something to a registry: where it says, as long as it takes it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const BLOB: &[u8] = b"a blob";

fn push(registry: &Registry, bytes: &[u8]) -> Result<(), RegistryError> {
    registry.push_blob(fs::digest_of(bytes), bytes.len() as u64, || Ok(bytes), soon())
}

/// Takes what comes with a request, and answers; says what it was.
fn take(request: &Request, wire: &mut dyn Wire, status: &str) -> io::Result<()> {
    let mut body = vec![0; length_of(request)];
    wire.read_exact(&mut body)?;
    reply(wire, status, "", &body)
}

/// A registry that wants uploads at `location`, and logs us in.
fn sends_to(location: String) -> Server {
    Server::http(move |request, wire| match (request.header("authorization"), &request.what[..4]) {
        (None, _) => reply(wire, "401 Unauthorized", "WWW-Authenticate: Basic realm=x\r\n", b""),
        (_, "POST") => reply(wire, "202 Accepted", &format!("Location: {location}\r\n"), b""),
        _ => take(request, wire, "201 Created"),
    })
}

fn me() -> Login {
    Login::User { name: "me".to_owned(), password: "hunter22".to_owned() }
}

#[test]
fn a_blob_is_put_where_the_registry_says() {
    let digest = fs::digest_of(BLOB).to_string().replace(':', "%3A");
    for (location, at) in [
        ("/v2/team/cache/uploads/1", "/v2/team/cache/uploads/1?"),
        ("/uploads?_state=a%2Bb%3D", "/uploads?_state=a%2Bb%3D&"),
        ("../../elsewhere", "/v2/team/cache/elsewhere?"),
    ] {
        let server = sends_to(location.to_owned());
        push(&registry(&server.url("", "/team/cache"), "", Some(me())), BLOB).expect("pushed");
        let asked = server.asked();
        let [_, post, put] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!(post.what, "POST /v2/team/cache/blobs/uploads/");
        assert_eq!(put.what, format!("PUT {at}digest={digest}"));
        assert_eq!(put.header("content-length"), Some("6"));
        assert_eq!(put.header("content-type"), Some("application/octet-stream"));
        assert_eq!(put.header("authorization"), Some("Basic bWU6aHVudGVyMjI="));
    }
}

#[test]
fn another_host_takes_a_blob_without_our_login() {
    let storage = Server::at("127.0.0.2:0", None, |request, wire| take(request, wire, "201 Created"));
    let server = sends_to(storage.url("you:other22@", "/bucket?signature=x"));
    push(&registry(&server.url("", "/team/cache"), "", Some(me())), BLOB).expect("pushed");
    let [put] = &storage.asked()[..] else { panic!("{:?}", storage.asked()) };
    assert!(put.what.starts_with("PUT /bucket?signature=x&digest=sha256"), "{put:?}");
    assert_eq!((put.header("authorization"), put.header("content-length")), (None, Some("6")));
}

#[test]
fn a_registry_that_takes_nothing_is_told() {
    for (begin, end, expected, asked) in [
        ("202 Accepted", "", "it does not say where to go on", 1),
        ("404 Not Found", "", "answers 404 Not Found", 1),
        ("200 OK", "", "answers 200 OK", 1),
        ("405 Method Not Allowed", "", "answers 405 Method Not Allowed", 1),
        ("503 Service Unavailable", "", "answers 503 Service Unavailable", 2),
        ("202 Accepted", "507 Insufficient Storage", "answers 507 Insufficient Storage", 2),
        ("202 Accepted", "500 Internal Server Error", "answers 500 Internal Server Error", 2),
        ("202 Accepted", "404 Not Found", "answers 404 Not Found", 2),
        ("202 Accepted", "307 Temporary Redirect", "answers 307 Temporary Redirect", 2),
    ] {
        let server = Server::http(move |request, wire| match &request.what[..4] {
            "POST" if end.is_empty() => reply(wire, begin, "", b""),
            "POST" => reply(wire, begin, "Location: /upload\r\n", b""),
            _ => take(request, wire, end),
        });
        let error = push(&of(&server), BLOB).expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert_asked(&server, asked);
    }
}

#[test]
fn a_registry_that_has_enough_is_listened_to() {
    let bytes = content(4 << 20);
    let server = Server::http(|request, wire| {
        if request.what.starts_with("POST") {
            return reply(wire, "202 Accepted", "Location: /upload\r\n", b"");
        }
        wire.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        wire.flush()?;
        wait_for_end(wire)
    });
    let error = push(&of(&server), &bytes).expect_err("refused").to_string();
    assert!(error.contains("answers 413 "), "{error}");
}

#[test]
fn a_registry_that_reads_no_further_is_given_up() {
    let server = Server::http(|request, wire| {
        if request.what.starts_with("POST") {
            return reply(wire, "202 Accepted", "Location: /upload\r\n", b"");
        }
        std::thread::sleep(Duration::from_mins(1));
        Ok(())
    });
    let error = push(&impatient(&server), &content(32 << 20)).expect_err("stalled").to_string();
    assert!(error.contains("nothing came for 0.1 s"), "{error}");
    let error = push(&impatient(&server), BLOB).expect_err("silent").to_string();
    assert!(error.ends_with("no answer within 0.1 s"), "{error}");
}

#[test]
fn what_cannot_be_read_is_not_pushed() {
    let server = Server::http(|request, wire| match &request.what[..4] {
        "POST" => reply(wire, "202 Accepted", "Location: /upload\r\n", b""),
        _ => wait_for_end(wire),
    });
    let gone = || Err::<&[u8], _>(io::ErrorKind::NotFound.into());
    let error = of(&server).push_blob(fs::digest_of(BLOB), 6, gone, soon()).expect_err("gone").to_string();
    assert!(error.contains(" cannot be pushed: "), "{error}");
    let error = of(&server).push_blob(fs::digest_of(BLOB), 7, || Ok(BLOB), soon()).expect_err("short");
    assert!(matches!(error, RegistryError::Source { .. }), "{error}");
}

#[test]
fn a_manifest_is_put_under_its_name() {
    let server = Server::http(|request, wire| {
        let status = if request.number == 1 { "503 Service Unavailable" } else { "201 Created" };
        take(request, wire, status)
    });
    let registry = of(&server);
    let digest = fs::digest_of(b"{}");
    for name in [Name::Tag("deps-1"), Name::Digest(digest)] {
        registry
            .push_manifest(name, "application/vnd.oci.image.manifest.v1+json", b"{}", soon())
            .expect("pushed");
    }
    let asked = server.asked();
    let asked: Vec<_> =
        asked.iter().map(|request| (request.what.clone(), request.header("content-type"))).collect();
    let content_type = Some("application/vnd.oci.image.manifest.v1+json");
    let at = |name: &str| (format!("PUT /v2/team/cache/manifests/{name}"), content_type);
    assert_eq!(asked, [at("deps-1"), at("deps-1"), at(&digest.to_string())]);
}

/// A registry that answers 200 to everything, to so many requests on each connection; and how many connections there were.
fn kept_alive(most: usize) -> (String, Arc<AtomicUsize>) {
    let connections = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&connections);
    let address = loopback::listen("127.0.0.1:0", move |stream| {
        count.fetch_add(1, Ordering::SeqCst);
        let mut reader = BufReader::new(&stream);
        for _ in 0..most {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                if line == "\r\n" {
                    break;
                }
            }
            io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
            (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")?;
        }
        Ok(())
    });
    (format!("http://{address}/team/cache"), connections)
}

#[test]
fn a_connection_is_used_as_long_as_it_lasts() {
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    for (most, expected) in [(usize::MAX, 1), (3, 2), (2, 3), (1, 6)] {
        let (reference, connections) = kept_alive(most);
        let registry = registry(&reference, "", None);
        for _ in 0..3 {
            assert!(registry.manifest(Name::Tag("x"), soon()).expect("an answer").is_some());
            registry.push_manifest(Name::Tag("x"), media_type, b"{}", soon()).expect("pushed");
        }
        assert_eq!(connections.load(Ordering::SeqCst), expected, "{most}");
    }
}
