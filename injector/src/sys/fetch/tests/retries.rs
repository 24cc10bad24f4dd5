//! What is tried again, how often, and after how long.

use std::time::{Instant, SystemTime};

use builders::diagnostic::Blame;

use super::super::server::reply;
use super::*;

#[test]
fn what_may_heal_is_asked_for_again_and_told() {
    for status in [
        "408 Request Timeout",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
    ] {
        let server = Server::http(move |request, wire| match request.number {
            3 => reply(wire, "200 OK", "", b"here"),
            _ => reply(wire, status, "", b"busy"),
        });
        let seen = case().fetch(&server.url("me:hunter22@", "/x"));
        assert_eq!(seen.told.len(), 2, "{:?}", seen.told);
        let expected = format!(
            "http://{}/x answered {status}: busy; trying again in 0.0 s, attempt 2 of 5",
            server.host
        );
        assert_eq!(seen.told[0], expected);
        assert!(seen.told[1].ends_with("attempt 3 of 5"), "{}", seen.told[1]);
        assert_eq!(seen.bytes(), b"here");
        assert_asked(&server, 3);
    }
}

#[test]
fn what_does_not_heal_is_given_up_after_five_attempts() {
    let server = Server::http(|_, wire| reply(wire, "503 Service Unavailable", "", b"busy"));
    let seen = case().fetch(&server.url("", "/x"));
    assert_eq!(seen.told.len(), 4, "{:?}", seen.told);
    let error = seen.error();
    let expected =
        format!("http://{}/x answered 503 Service Unavailable: busy (after 5 attempts)", server.host);
    assert_eq!((error.to_string(), error.blame()), (expected, Blame::Platform));
    assert_asked(&server, 5);
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let server = Server::http(move |request, wire| match request.number {
            1 => reply(wire, status, "Retry-After: 1\r\n", b""),
            _ => reply(wire, "200 OK", "", b"here"),
        });
        let begin = Instant::now();
        let seen = case().fetch(&server.url("", "/x"));
        assert!(begin.elapsed() >= Duration::from_secs(1));
        assert!(seen.told[0].contains("trying again in 1 s"), "{:?}", seen.told);
        assert_eq!(seen.bytes(), b"here");
        assert_asked(&server, 2);
    }
}

#[test]
fn a_server_that_asks_for_more_time_than_there_is_ends_it() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_hours(1));
    for (asked, said) in [("3600".to_owned(), "asks to wait 3600 s"), (date, "asks to wait 3")] {
        let header = format!("Retry-After: {asked}\r\n");
        let server = Server::http(move |_, wire| reply(wire, "503 Service Unavailable", &header, b""));
        let error = case().fetch(&server.url("", "/x")).error();
        let text = error.to_string();
        assert!(text.contains(said) && text.ends_with("longer than the 60 s that we wait"), "{text}");
        assert_eq!(error.blame(), Blame::Platform);
        assert_asked(&server, 1);
    }
}

#[test]
fn a_date_that_has_passed_asks_for_no_time() {
    let server = Server::http(|request, wire| match request.number {
        1 => reply(wire, "503 Service Unavailable", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", b""),
        _ => reply(wire, "200 OK", "", b"here"),
    });
    let seen = case().fetch(&server.url("", "/x"));
    assert!(seen.told[0].contains("trying again in 0.0 s"), "{:?}", seen.told);
    assert_eq!(seen.bytes(), b"here");
}

#[test]
fn waits_grow_to_a_limit_and_differ_by_chance() {
    let timings = Timings::USUAL;
    let busy = FetchError::Network {
        address: String::new(),
        cause: Cause::Other(String::new()),
        attempts: Attempts(1),
    };
    for (attempt, full) in [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (9, 10.0)] {
        let waits: Vec<_> =
            (0..50).map(|_| timings.wait(attempt, &busy).expect("a wait").as_secs_f64()).collect();
        assert!(waits.iter().all(|wait| (full / 2.0..=full).contains(wait)), "{attempt}: {waits:?}");
        assert!(waits.iter().any(|wait| (wait - waits[0]).abs() > f64::EPSILON), "{waits:?}");
    }
}
