//! Downloads that break: gone on with where the server can, begun again where it cannot.

use super::super::server::{Request, Wire, cut, reply};
use super::*;

const TAG: &str = "ETag: \"v1\"\r\n";
const SIZE: usize = 200_000;

/// The rest that a request asks for, as a server gives it that can.
fn rest(request: &Request, wire: &mut dyn Wire, body: &[u8]) -> io::Result<()> {
    let from = request
        .header("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let Some(from) = from.filter(|&from: &usize| from < body.len()) else {
        return reply(wire, "416 Range Not Satisfiable", "", b"");
    };
    let range = format!("Content-Range: bytes {from}-{}/{}\r\n{TAG}", body.len() - 1, body.len());
    reply(wire, "206 Partial Content", &range, &body[from..])
}

#[test]
fn a_server_that_dies_half_way_and_comes_back_is_asked_for_the_rest() {
    let changed = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\n";
    for (headers, version) in [(TAG, "\"v1\""), (changed, "Sun, 06 Nov 1994 08:49:37 GMT")] {
        let server = Server::http(move |request, wire| match request.number {
            1 => cut(wire, headers, &content(SIZE)[..SIZE / 2], SIZE),
            _ => rest(request, wire, &content(SIZE)),
        });
        let seen = case().fetch(&server.url("", "/x"));
        let told = format!(
            "http://{}/x cannot be fetched: the connection broke after 100000 of 200000 bytes; going on in 0.0 s, attempt 2 of 5",
            server.host
        );
        assert_eq!(seen.told, [told]);
        assert!(seen.bytes() == content(SIZE), "other bytes");
        let asked = server.asked();
        assert_eq!(asked.len(), 2, "{asked:?}");
        assert_eq!(asked[1].header("range"), Some("bytes=100000-"));
        assert_eq!(asked[1].header("if-range"), Some(version));
    }
}

#[test]
fn a_download_that_breaks_again_and_again_gets_on() {
    let server = Server::http(|request, wire| {
        let body = content(SIZE);
        let from = (request.number - 1) * 50_000;
        let range = format!("bytes={from}-");
        match request.number {
            1 => cut(wire, TAG, &body[..50_000], SIZE),
            number @ 2..=3 if request.header("range") == Some(range.as_str()) => {
                let head = format!(
                    "HTTP/1.1 206 Partial Content\r\n{TAG}Content-Range: bytes {from}-199999/200000\r\nContent-Length: {}\r\n\r\n",
                    SIZE - from
                );
                wire.write_all(head.as_bytes())?;
                wire.write_all(&body[from..number * 50_000])?;
                wire.flush()
            }
            _ => rest(request, wire, &body),
        }
    });
    let seen = case().fetch(&server.url("", "/x"));
    assert!(seen.told[2].contains("after 150000 of 200000 bytes; going on"), "{:?}", seen.told);
    assert!(seen.bytes() == content(SIZE), "other bytes");
    assert_asked(&server, 4);
}

#[test]
fn a_server_that_cannot_go_on_is_asked_for_the_whole() {
    for headers in ["", "ETag: W/\"v1\"\r\n", "ETag: \"v1\"\r\nAccept-Ranges: none\r\n"] {
        let server = Server::http(move |request, wire| match request.number {
            1 => cut(wire, headers, &content(SIZE)[..SIZE / 2], SIZE),
            _ => reply(wire, "200 OK", headers, &content(SIZE)),
        });
        let seen = case().fetch(&server.url("", "/x"));
        assert!(seen.told[0].contains("; trying again in"), "{:?}", seen.told);
        assert!(seen.bytes() == content(SIZE), "other bytes");
        let asked = server.asked();
        assert_eq!((asked.len(), asked[1].header("range")), (2, None), "{headers}");
    }
}

#[test]
fn another_version_begins_with_its_first_byte() {
    let server = Server::http(|request, wire| match request.number {
        1 => cut(wire, TAG, &content(SIZE)[..SIZE / 2], SIZE),
        // The server ignores the range, since the version is not what it has.
        _ => reply(wire, "200 OK", "ETag: \"v2\"\r\n", b"another version"),
    });
    assert_eq!(case().fetch(&server.url("", "/x")).bytes(), b"another version");
    assert_asked(&server, 2);
}

#[test]
fn a_rest_that_does_not_fit_is_dropped_with_what_came_before() {
    for (status, headers) in [
        ("206 Partial Content", "Content-Range: bytes 99999-199999/200000\r\n"),
        ("206 Partial Content", "Content-Range: bytes 100000-199999/200001\r\n"),
        ("206 Partial Content", "Content-Range: bytes 100000-149999/200000\r\n"),
        ("206 Partial Content", ""),
        ("416 Range Not Satisfiable", "Content-Range: bytes */100000\r\n"),
    ] {
        let server = Server::http(move |request, wire| match request.number {
            1 => cut(wire, TAG, &content(SIZE)[..SIZE / 2], SIZE),
            2 => reply(wire, status, headers, b"xyz"),
            _ => reply(wire, "200 OK", TAG, &content(SIZE)),
        });
        let seen = case().fetch(&server.url("", "/x"));
        assert!(seen.told[1].contains("it did not go on where the connection broke: "), "{:?}", seen.told);
        assert!(seen.bytes() == content(SIZE), "other bytes after {status} {headers}");
        let asked = server.asked();
        assert_eq!((asked.len(), asked[2].header("range")), (3, None), "{asked:?}");
    }
}

#[test]
fn a_rest_that_is_less_than_it_says_is_not_the_whole() {
    let server = Server::http(|request, wire| match request.number {
        1 => cut(wire, TAG, &content(SIZE)[..SIZE / 2], SIZE),
        2 => {
            let body = &content(SIZE)[SIZE / 2..SIZE / 2 + 50_000];
            reply(wire, "206 Partial Content", "Content-Range: bytes 100000-199999/200000\r\n", body)
        }
        _ => rest(request, wire, &content(SIZE)),
    });
    let seen = case().fetch(&server.url("", "/x"));
    assert!(seen.told[1].contains("after 150000 of 200000 bytes; going on"), "{:?}", seen.told);
    assert!(seen.bytes() == content(SIZE), "other bytes");
    assert_asked(&server, 3);
}

#[test]
fn a_rest_that_would_be_too_large_is_refused() {
    let server = Server::http(|request, wire| match request.number {
        1 => {
            let head = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n";
            wire.write_all(&[head.as_bytes(), &[b'x'; 1000]].concat())?;
            wire.flush()
        }
        _ => reply(wire, "206 Partial Content", "Content-Range: bytes 1000-4999/5000\r\n", &[b'x'; 4000]),
    });
    let error = Case { max: 2000, ..case() }.fetch(&server.url("", "/x")).error();
    assert!(error.to_string().contains("has 5000 bytes, and INJECTOR_MAX_DOWNLOAD allows 2000"), "{error}");
    assert_asked(&server, 2);
}

#[test]
fn chunks_without_an_end_are_not_the_whole() {
    let server = Server::http(|request, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhere\r\n")?;
        wire.write_all(if request.number == 1 { b"" } else { b"0\r\n\r\n" })?;
        wire.flush()
    });
    let seen = case().fetch(&server.url("", "/x"));
    assert!(seen.told[0].contains("the connection broke after 4 bytes; trying again"), "{:?}", seen.told);
    assert_eq!(seen.bytes(), b"here");
    assert_asked(&server, 2);
}

#[test]
fn what_stays_broken_is_given_up_with_nothing_left() {
    let server = Server::http(|_, wire| cut(wire, "", b"half", 8));
    let text = case().fetch(&server.url("", "/x")).error().to_string();
    assert!(text.ends_with("the connection broke after 4 of 8 bytes (after 5 attempts)"), "{text}");
    assert_asked(&server, 5);
}
