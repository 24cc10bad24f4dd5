//! What registries answer when they are asked for something: elsewhere, something else, half of it, nothing.

use super::*;

const BLOB: &[u8] = b"this blob is of 29 bytes, yes";

/// What the registry that answers so gives for a blob.
fn blob(
    answer: impl Fn(&Request, &mut dyn Wire) -> io::Result<()> + Send + Sync + 'static,
) -> (Server, Result<Vec<u8>, RegistryError>) {
    let server = Server::http(answer);
    let fetched = fetch(&of(&server), fs::digest_of(BLOB), BLOB.len() as u64);
    (server, fetched)
}

#[test]
fn a_blob_that_lies_elsewhere_is_fetched_there_without_the_login() {
    let storage = Server::at("127.0.0.2:0", None, |_, wire| reply(wire, "200 OK", "", BLOB));
    let location = storage.url("you:other22@", "/bucket?signature=x");
    let server = Server::http(move |request, wire| match request.header("authorization") {
        Some(_) => reply(wire, "307 Temporary Redirect", &format!("Location: {location}\r\n"), b"there"),
        None => reply(wire, "401 Unauthorized", "WWW-Authenticate: Basic realm=x\r\n", b""),
    });
    let login = Login::User { name: "me".to_owned(), password: "hunter22".to_owned() };
    let registry = registry(&server.url("", "/team/cache"), "", Some(login));
    assert_eq!(fetch(&registry, fs::digest_of(BLOB), BLOB.len() as u64).expect("fetched"), BLOB);
    assert!(registry.has_blob(fs::digest_of(BLOB), soon()).expect("an answer"));
    for request in storage.asked() {
        assert!(request.what.ends_with(" /bucket?signature=x"), "{request:?}");
        assert_eq!(request.header("authorization"), None, "{request:?}");
    }
    assert_asked(&storage, 2);
}

#[test]
fn redirects_that_lead_nowhere_are_not_followed() {
    for (location, reason) in [
        ("", "it does not say where to go on"),
        ("Location: ftp://elsewhere/\r\n", "it does not say where to go on"),
        ("Location: /v2/again\r\n", "it redirects more than 5 times"),
    ] {
        let (_, fetched) = blob(move |_, wire| reply(wire, "302 Found", location, b""));
        let error = fetched.expect_err("nowhere").to_string();
        assert!(error.ends_with(reason), "{error}");
    }
    let (roots, tls) = certificate(Certificate::Right);
    let server = Server::at("127.0.0.1:0", Some(tls), |_, wire| {
        reply(wire, "307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n", b"")
    });
    let registry = registry(&server.url("", "/a"), &String::from_utf8(roots).expect("PEM"), None);
    let error = fetch(&registry, fs::digest_of(BLOB), 1).expect_err("nowhere").to_string();
    assert!(error.ends_with("it leads from https to http"), "{error}");
}

#[test]
fn what_is_not_what_was_asked_for_is_not_used_and_not_asked_for_again() {
    let longer = [BLOB, b"x"].concat();
    let chunked = |wire: &mut dyn Wire, bytes: &[u8]| {
        write!(wire, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", bytes.len())?;
        wire.write_all(bytes)?;
        wire.write_all(b"\r\n0\r\n\r\n")
    };
    let announced = longer.clone();
    for (server, fetched) in [
        blob(|_, wire| reply(wire, "200 OK", "", b"another blob, of 29 bytes too")),
        blob(move |_, wire| reply(wire, "200 OK", "", &announced)),
        blob(move |_, wire| chunked(wire, &longer)),
        blob(|_, wire| reply(wire, "200 OK", "", &BLOB[1..])),
        blob(move |_, wire| chunked(wire, &BLOB[1..])),
    ] {
        let error = fetched.expect_err("wrong");
        assert!(error.is_wrong(), "{error}");
        assert_asked(&server, 1);
    }
    let (_, fetched) = blob(|_, wire| reply(wire, "200 OK", "", b"another blob, of 29 bytes too"));
    let text = fetched.expect_err("wrong").to_string();
    assert!(text.contains(" gives something else for team/cache@sha256:"), "{text}");
    assert!(text.ends_with("…: what came has another digest"), "{text}");
}

#[test]
fn a_blob_never_brings_more_than_was_announced() {
    let server = Server::http(|_, wire| {
        write!(wire, "HTTP/1.1 200 OK\r\n\r\n")?;
        // To the end of the connection, which is ours to close.
        while wire.write_all(&[b'x'; 4096]).is_ok() {}
        Ok(())
    });
    let mut got = 0;
    let mut count = |piece: &[u8]| {
        got += piece.len();
        Ok(())
    };
    let error = of(&server).blob(fs::digest_of(BLOB), 100_000, soon(), &mut count);
    let error: RegistryError = error.expect_err("too long");
    assert!(error.is_wrong(), "{error}");
    assert!(got <= 100_000, "{got}");
}

#[test]
fn a_manifest_is_the_one_that_was_asked_for() {
    let server = Server::http(|request, wire| match request.what.as_str() {
        "GET /v2/team/cache/manifests/absent" => reply(wire, "404 Not Found", "", b"no"),
        "GET /v2/team/cache/manifests/large" => reply(wire, "200 OK", "", &vec![b' '; MANIFEST + 1]),
        _ => reply(wire, "200 OK", "", b"{}"),
    });
    let registry = of(&server);
    let ask = |name| registry.manifest(name, soon());
    let right = fs::digest_of(b"{}");
    assert_eq!(ask(Name::Tag("deps-1")).expect("found"), Some((b"{}".to_vec(), right)));
    assert_eq!(ask(Name::Digest(right)).expect("found"), Some((b"{}".to_vec(), right)));
    assert_eq!(ask(Name::Tag("absent")).expect("an answer"), None);
    assert!(ask(Name::Digest(fs::digest_of(b"other"))).expect_err("another").is_wrong());
    assert!(ask(Name::Tag("large")).expect_err("too large").is_wrong());
    let accepted = server.asked()[0].header("accept").map(str::to_owned);
    assert_eq!(accepted.as_deref(), Some("application/vnd.oci.image.manifest.v1+json"));
}

#[test]
fn a_blob_that_breaks_off_goes_on_where_it_broke() {
    let range = |begin: usize| format!("Content-Range: bytes {begin}-{}/{}\r\n", BLOB.len() - 1, BLOB.len());
    let second = |status: &'static str, headers: String, body: &'static [u8]| {
        move |request: &Request, wire: &mut dyn Wire| match request.number {
            1 => cut(wire, "", &BLOB[..10], BLOB.len()),
            _ => reply(wire, status, &headers, body),
        }
    };
    for (server, fetched) in [
        blob(second("206 Partial Content", range(10), &BLOB[10..])),
        blob(second("206 Partial Content", range(4), &BLOB[4..])),
        blob(second("200 OK", String::new(), BLOB)),
    ] {
        assert_eq!(fetched.expect("fetched"), BLOB);
        assert_eq!(server.asked()[1].header("range"), Some("bytes=10-"));
    }
    for (server, fetched) in [
        blob(second("206 Partial Content", range(11), &BLOB[11..])),
        blob(second("206 Partial Content", String::new(), &BLOB[10..])),
    ] {
        let error = fetched.expect_err("elsewhere").to_string();
        assert!(error.ends_with("it goes on somewhere else than where the connection broke"), "{error}");
        assert_asked(&server, 2);
    }
    let (server, fetched) = blob(|_, wire| cut(wire, "", &BLOB[..10], BLOB.len()));
    let error = fetched.expect_err("broken").to_string();
    assert!(error.ends_with("the connection broke after 10 of 29 bytes"), "{error}");
    assert_asked(&server, 2);
}

#[test]
fn what_may_heal_is_tried_once_more() {
    for status in ["429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"] {
        let (server, fetched) = blob(move |request, wire| match request.number {
            1 => reply(wire, status, "Retry-After: 0\r\n", b"wait"),
            _ => reply(wire, "200 OK", "", BLOB),
        });
        assert_eq!(fetched.expect("fetched"), BLOB);
        assert_asked(&server, 2);
        let (server, fetched) = blob(move |_, wire| reply(wire, status, "", b"wait"));
        let error = fetched.expect_err("refused").to_string();
        assert!(error.contains(&format!(" answers {status} for team/cache@sha256:")), "{error}");
        assert_asked(&server, 2);
    }
}

#[test]
fn what_does_not_heal_or_not_soon_is_not_tried_again() {
    for (status, headers) in [
        ("404 Not Found", ""),
        ("403 Forbidden", ""),
        ("400 Bad Request", ""),
        ("501 Not Implemented", ""),
        ("503 Service Unavailable", "Retry-After: 6\r\n"),
    ] {
        let (server, fetched) = blob(move |_, wire| reply(wire, status, headers, b""));
        let error = fetched.expect_err("refused");
        assert!(error.to_string().contains(status), "{error}");
        let is_absent = matches!(error, RegistryError::Status { code: 404, .. });
        assert_eq!(is_absent, status.starts_with("404"), "{error}");
        assert_asked(&server, 1);
    }
}

#[test]
fn who_refuses_or_does_not_answer_is_given_up() {
    let host = closed();
    let registry = registry(&format!("http://{host}/team/cache"), "", None);
    let error = registry.has_blob(fs::digest_of(BLOB), soon()).expect_err("nobody").to_string();
    assert!(
        error.starts_with(&format!("the registry {host} cannot be used for team/cache@sha256:")),
        "{error}"
    );
    assert!(error.ends_with(&format!("…: connection refused by {host}")), "{error}");

    let server = Server::http(|_, wire| wait_for_end(wire));
    let error = fetch(&impatient(&server), fs::digest_of(BLOB), 1).expect_err("silent").to_string();
    assert!(error.ends_with("no answer within 0.1 s"), "{error}");
    assert_asked(&server, 2);

    let server = Server::http(|_, wire| {
        write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\nthis")?;
        wire.flush()?;
        wait_for_end(wire)
    });
    let error = fetch(&impatient(&server), fs::digest_of(BLOB), 29).expect_err("stalled").to_string();
    assert!(error.contains("nothing came for 0.1 s after "), "{error}");
}

#[test]
fn nothing_takes_longer_than_who_asks_allows() {
    let server = Server::http(|_, wire| wait_for_end(wire));
    let registry = registry(&server.url("", "/team/cache"), "", None);
    let until = Instant::now() + Duration::from_millis(50);
    let error = registry.manifest(Name::Tag("deps-0123456789abcdef01234567"), until).expect_err("too long");
    let expected = format!("the registry {} took too long for team/cache:deps-0123456789abcde…", server.host);
    assert_eq!(error.to_string(), expected);
}

#[test]
fn who_is_told_to_stop_stops() {
    let (asked, is_asked) = std::sync::mpsc::channel();
    let server = Server::http(move |_, wire| {
        let _ = asked.send(());
        wait_for_end(wire)
    });
    let registry = registry(&server.url("", "/team/cache"), "", None);
    let inbox = registry.inbox;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            is_asked.recv().expect("a question");
            inbox.deliver(Signal::Terminate);
        });
        let error = registry.has_blob(fs::digest_of(BLOB), soon()).expect_err("stopped");
        assert!(matches!(error, RegistryError::Interrupted(_)), "{error}");
        assert_eq!(error.to_string(), "stopped by SIGTERM");
    });
}

#[test]
fn who_takes_a_blob_may_refuse_it() {
    let server = Server::http(|_, wire| reply(wire, "200 OK", "", BLOB));
    let fetched =
        of(&server).blob(fs::digest_of(BLOB), BLOB.len() as u64, soon(), &mut |_: &[u8]| Err(Refused::Full));
    assert!(matches!(fetched, Err(Refused::Full)), "{fetched:?}");
    assert_asked(&server, 1);
}

#[test]
fn the_way_leads_through_a_proxy() {
    let server = Server::http(|_, wire| reply(wire, "200 OK", "", b"{}"));
    let through = |login: &str| {
        let proxy = Server::proxy(&server.host, Some(login));
        let mut registry = registry("http://registry.invalid:5000/team/cache", "", None);
        registry.network.proxies.http = Some(format!("http://you:other22@{}", proxy.host));
        registry.manifest(Name::Tag("x"), soon())
    };
    assert!(through("Basic eW91Om90aGVyMjI=").expect("an answer").is_some());
    assert_eq!(server.asked()[0].header("host"), Some("registry.invalid:5000"));
    let error = through("Basic of somebody else").expect_err("refused").to_string();
    assert!(error.contains("(407)") && !error.contains("other22"), "{error}");
    assert_asked(&server, 1);
}
