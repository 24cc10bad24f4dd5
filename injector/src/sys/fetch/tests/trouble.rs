//! Trouble on the way: nobody there, nobody who answers, nobody to trust, and nobody who waits any longer.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use builders::diagnostic::Blame;

use super::super::server::{Certificate, certificate, reply, wait_for_end};
use super::*;
use crate::sys::signal::Signal;

const SOON: Duration = Duration::from_millis(50);

#[test]
fn who_refuses_connections_is_tried_again() {
    let host = closed();
    let seen = case().fetch(&format!("http://me:hunter22@{host}/x"));
    assert_eq!(seen.told.len(), 4, "{:?}", seen.told);
    let error = seen.error();
    let expected =
        format!("http://{host}/x cannot be fetched: connection refused by {host} (after 5 attempts)");
    assert_eq!((error.to_string(), error.blame()), (expected, Blame::Platform));
}

#[test]
fn a_host_of_no_name_server_is_told_as_such() {
    let timings = Timings { connect: SOON, ..case().timings };
    let seen = Case { timings, ..case() }.fetch("http://registry.invalid:8080/x");
    assert_eq!(seen.told.len(), 4, "{:?}", seen.told);
    let text = seen.error().to_string();
    let expected = "http://registry.invalid:8080/x cannot be fetched: registry.invalid cannot be resolved: ";
    assert!(text.starts_with(expected) && text.ends_with("(after 5 attempts)"), "{text}");
}

#[test]
fn a_name_of_this_host_is_known_without_asking() {
    let server = Server::http(|_, wire| reply(wire, "200 OK", "", b"here"));
    let port = server.host.rsplit(':').next().expect("a port").to_owned();
    assert_eq!(case().fetch(&format!("http://localhost:{port}/x")).bytes(), b"here");
}

#[test]
fn who_takes_a_connection_and_leaves_it_at_that_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let host = listener.local_addr().expect("a bound port").to_string();
    let timings = Timings { connect: SOON, ..case().timings };
    // No TLS, no connection.
    let seen = Case { timings, ..case() }.fetch(&format!("https://{host}/x"));
    assert_eq!(seen.told.len(), 4, "{:?}", seen.told);
    let text = seen.error().to_string();
    let expected = format!(
        "https://{host}/x cannot be fetched: no connection to {host} within 0.1 s (after 5 attempts)"
    );
    assert_eq!(text, expected);
    drop(listener);
}

#[test]
fn who_never_answers_is_asked_again() {
    let server = Server::http(|request, wire| match request.number {
        1 => wait_for_end(wire),
        _ => reply(wire, "200 OK", "", b"here"),
    });
    let usual = case().timings;
    let timings = Timings { connect: SOON, answer: SOON, ..usual };
    let seen = Case { timings, ..case() }.fetch(&server.url("", "/x"));
    assert!(
        seen.told[0].contains("cannot be fetched: no answer within 0.1 s; trying again"),
        "{:?}",
        seen.told
    );
    assert_eq!(seen.bytes(), b"here");
    assert_asked(&server, 2);
}

#[test]
fn who_hangs_up_is_asked_again() {
    let server = Server::http(|request, wire| match request.number {
        1 => Ok(()),
        2 => wire.write_all(b"HTTP/1.1 200 OK\r\nContent-"),
        _ => reply(wire, "200 OK", "", b"here"),
    });
    let seen = case().fetch(&server.url("", "/x"));
    for told in &seen.told {
        assert!(told.contains(&format!("{} closed the connection without an answer", server.host)), "{told}");
    }
    assert_eq!(seen.bytes(), b"here");
    assert_asked(&server, 3);
}

#[test]
fn who_stops_in_the_middle_is_given_up_in_time() {
    let server = Server::http(|request, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")?;
        match request.number {
            1 => wait_for_end(wire),
            _ => wire.write_all(b"full"),
        }
    });
    let timings = Timings { idle: SOON, ..case().timings };
    let seen = Case { timings, ..case() }.fetch(&server.url("", "/x"));
    assert!(
        seen.told[0].contains("nothing came for 0.1 s after 4 of 8 bytes; trying again"),
        "{:?}",
        seen.told
    );
    assert_eq!(seen.bytes(), b"halffull");
    assert_asked(&server, 2);
}

#[test]
fn all_in_all_it_takes_no_longer_than_it_may() {
    let server = Server::http(|_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")?;
        wait_for_end(wire)
    });
    let error = Case { allowed: Duration::from_millis(300), ..case() }.fetch(&server.url("", "/x")).error();
    let expected = format!("http://{}/x was not fetched within 0.3 s: 4 bytes came", server.host);
    assert_eq!((error.to_string(), error.blame()), (expected, Blame::Platform));
    assert_asked(&server, 1);
}

#[test]
fn who_does_not_speak_http_is_not_asked_again() {
    let server = Server::http(|_, wire| wire.write_all(b"SSH-2.0-OpenSSH_9.2\r\n"));
    let text = case().fetch(&server.url("", "/x")).error().to_string();
    assert!(
        text.contains(&format!("cannot be fetched: {} does not answer in HTTP: ", server.host)),
        "{text}"
    );
    assert_asked(&server, 1);
}

#[test]
fn a_certificate_that_is_not_right_is_told_and_not_tried_again() {
    let (strangers, _) = certificate(Certificate::Right);
    for (which, trusted, expected) in [
        (Certificate::Right, false, "is not trusted: the CA of that name that we know has not signed it"),
        (Certificate::Expired, true, "has expired"),
        (Certificate::Foreign, true, "is for another name"),
    ] {
        let (ca, tls) = certificate(which);
        let server = Server::at("127.0.0.1:0", Some(tls), |_, wire| reply(wire, "200 OK", "", b"here"));
        let roots = if trusted { ca } else { strangers.clone() };
        let seen =
            Case { network: Network { roots, ..Network::default() }, ..case() }.fetch(&server.url("", "/x"));
        assert_eq!(seen.told, [""; 0]);
        let error = seen.error();
        let expected =
            format!("https://{0}/x cannot be fetched: the certificate of {0} {expected}", server.host);
        assert_eq!((error.to_string(), error.blame()), (expected, Blame::Platform));
        assert_asked(&server, 0);
    }
}

#[test]
fn without_any_roots_the_browsers_are_trusted_and_not_a_stranger() {
    let (_, tls) = certificate(Certificate::Right);
    let server = Server::at("127.0.0.1:0", Some(tls), |_, wire| reply(wire, "200 OK", "", b"here"));
    let text = case().fetch(&server.url("", "/x")).error().to_string();
    let expected = "is not trusted: no CA that we know has signed it";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn roots_that_are_none_are_told() {
    let roots = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    let case = Case { network: Network { roots, ..Network::default() }, ..case() };
    let text = case.fetch(&format!("https://{}/x", closed())).error().to_string();
    assert_eq!(text, "the network cannot be used: no certificate of the CA bundle can be read");
}

#[test]
fn who_does_not_speak_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let host = listener.local_addr().expect("a bound port").to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let text = case().fetch(&format!("https://{host}/x")).error().to_string();
    assert_eq!(text, format!("https://{host}/x cannot be fetched: {host} does not speak TLS"));
}

#[test]
fn a_signal_ends_a_download_at_once() {
    let (tell, told) = channel();
    let tell = std::sync::Mutex::new(tell);
    let server = Server::http(move |_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")?;
        tell.lock().expect("no thread panicked").send(()).map_err(io::Error::other)?;
        wait_for_end(wire)
    });
    let case = Arc::new(case());
    thread::scope(|scope| {
        let (fetching, url) = (Arc::clone(&case), server.url("", "/x"));
        let fetch = scope.spawn(move || {
            let from = url.parse().expect("an address");
            let errand = Errand {
                from: &from,
                max: 1 << 20,
                allowed: Duration::from_mins(1),
                network: &fetching.network,
            };
            let world = World { inbox: &fetching.inbox, timings: Timings::USUAL };
            fetch_in(&world, &errand, &fetching.dir.path().join("x"), &mut |_| {})
        });
        told.recv().expect("asked");
        case.inbox.deliver(Signal::Terminate);
        let error = fetch.join().expect("no panic").expect_err("an end");
        assert!(matches!(error, FetchError::Interrupted(Signal::Terminate)), "{error}");
    });
    assert_eq!(fs::names(case.dir.path()).expect("listed"), [""; 0]);
    assert_asked(&server, 1);
}
