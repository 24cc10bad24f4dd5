//! What a server answers: a file, a page, a status, too much.

use builders::diagnostic::Blame;

use super::super::server::{Certificate, Server, certificate, reply};
use super::*;

#[test]
fn a_file_comes_over_http_and_https_as_it_is() {
    let body = content(300_000);
    let (ca, tls) = certificate(Certificate::Right);
    for speaks in [None, Some(tls)] {
        let copy = body.clone();
        let server = Server::at("127.0.0.1:0", speaks, move |_, wire| {
            reply(wire, "200 OK", "Content-Encoding: gzip\r\n", &copy)
        });
        let network = Network { roots: ca.clone(), ..Network::default() };
        let seen = Case { network, ..case() }.fetch(&server.url("", "/a%20b.zip?v=1#top"));
        assert_eq!(seen.told, [""; 0]);
        assert!(seen.bytes() == body, "other bytes");
        let asked = server.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert_eq!(asked[0].what, "GET /a%20b.zip?v=1");
        for (name, value) in [
            ("accept-encoding", Some("identity")),
            ("user-agent", Some(concat!("injector/", env!("CARGO_PKG_VERSION")))),
            ("authorization", None),
            ("range", None),
            ("referer", None),
        ] {
            assert_eq!(asked[0].header(name), value, "{name}");
        }
    }
}

#[test]
fn an_empty_file_is_a_file() {
    let server = Server::http(|_, wire| reply(wire, "200 OK", "", b""));
    assert_eq!(case().fetch(&server.url("", "/")).bytes(), b"");
}

#[test]
fn a_page_for_people_is_told_from_a_file() {
    let server = Server::http(|request, wire| match &*request.what {
        "GET /page" => {
            reply(wire, "200 OK", "Content-Type: text/html; charset=utf-8\r\n", b"\n<!doctype html>\nsign in")
        }
        _ => reply(wire, "200 OK", "Content-Type: text/html\r\n", b"def main(event, context): pass"),
    });
    for (path, is_web_page) in [("/page", true), ("/file", false)] {
        let fetched = case().fetch(&server.url("", path)).result.expect("fetched");
        assert_eq!(fetched.is_web_page, is_web_page, "{path}");
    }
}

#[test]
fn a_status_that_will_not_heal_is_told_after_one_request() {
    for (status, blame) in [
        ("404 Not Found", Blame::Author),
        ("410 Gone", Blame::Author),
        ("401 Unauthorized", Blame::Platform),
        ("403 Forbidden", Blame::Platform),
        ("400 Bad Request", Blame::Platform),
        ("204 No Content", Blame::Platform),
        ("206 Partial Content", Blame::Platform),
        ("304 Not Modified", Blame::Platform),
        ("416 Range Not Satisfiable", Blame::Platform),
        ("501 Not Implemented", Blame::Platform),
    ] {
        let server = Server::http(move |_, wire| {
            reply(wire, status, "", b"<html><h1>no \x1bsuch\tfile</h1></html>\n")
        });
        let error = case().fetch(&server.url("me:hunter22@", "/x.zip?token=hunter33")).error();
        let text = error.to_string();
        let bodyless = status.starts_with("204") || status.starts_with("304");
        let said = if bodyless { "" } else { ": no such file" };
        assert_eq!(text, format!("http://{}/x.zip answered {status}{said}", server.host));
        assert_eq!(error.blame(), blame, "{status}");
        assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
        assert_asked(&server, 1);
    }
}

#[test]
fn what_a_server_says_is_read_to_its_first_line_and_no_further() {
    let server = Server::http(|_, wire| {
        // Endless: who read it all would hang.
        write!(wire, "HTTP/1.1 403 Forbidden\r\n\r\n{}\n", "é".repeat(400))?;
        while wire.write_all(&[b' '; 4096]).is_ok() {}
        Ok(())
    });
    let text = case().fetch(&server.url("", "/x")).error().to_string();
    assert!(text.ends_with(&format!("answered 403 Forbidden: {}…", "é".repeat(200))), "{text}");
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read_if_its_size_is_told() {
    let server = Server::http(|_, wire| {
        write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 3 << 20)?;
        while wire.write_all(&[b'x'; 4096]).is_ok() {}
        Ok(())
    });
    let error = Case { max: 2 << 20, ..case() }.fetch(&server.url("", "/x")).error();
    let expected = format!("http://{}/x has 3 MiB, and INJECTOR_MAX_DOWNLOAD allows 2 MiB", server.host);
    assert_eq!((error.to_string(), error.blame()), (expected, Blame::Author));
    assert_asked(&server, 1);
}

#[test]
fn what_grows_too_large_is_refused_where_it_does() {
    let server = Server::http(|_, wire| {
        write!(wire, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        while wire
            .write_all(b"3e8\r\n")
            .and_then(|()| wire.write_all(&[b'x'; 1000]))
            .and_then(|()| wire.write_all(b"\r\n"))
            .is_ok()
        {}
        Ok(())
    });
    let error = Case { max: 10_001, ..case() }.fetch(&server.url("", "/x")).error();
    let expected = "/x has more than 10001 bytes, and INJECTOR_MAX_DOWNLOAD allows 10001 bytes";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_asked(&server, 1);
}

#[test]
fn what_is_exactly_as_large_as_it_may_be_is_fetched() {
    let server = Server::http(|_, wire| reply(wire, "200 OK", "", &[b'x'; 1000]));
    assert_eq!(Case { max: 1000, ..case() }.fetch(&server.url("", "/x")).bytes().len(), 1000);
}

#[test]
fn a_file_that_cannot_be_written_is_the_platforms_trouble() {
    let server = Server::http(|_, wire| reply(wire, "200 OK", "", b"x"));
    let case = case();
    let dir = case.dir.path().to_owned();
    fs::remove(&dir).expect("removed");
    let error = case.fetch(&server.url("", "/x")).error();
    assert!(error.to_string().contains("No such file or directory"), "{error}");
    assert_eq!(error.blame(), Blame::Platform);
    assert_asked(&server, 0);
}
