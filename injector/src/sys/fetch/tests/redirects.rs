//! Where redirects lead, and that no credential goes along.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use builders::diagnostic::Blame;

use super::super::server::{Certificate, Wire, certificate, reply};
use super::*;

fn moved(wire: &mut dyn Wire, status: &str, to: &str) -> io::Result<()> {
    reply(wire, status, &format!("Location: {to}\r\n"), b"moved")
}

fn basic(login: &str) -> String {
    format!("Basic {}", STANDARD.encode(login))
}

fn login(machine: Option<&str>, password: &str) -> Login {
    Login {
        machine: machine.map(str::to_owned),
        user: Some("me".to_owned()),
        password: Some(password.to_owned()),
    }
}

/// What was sent to log in with each request.
fn logins(server: &Server) -> Vec<Option<String>> {
    server.asked().iter().map(|request| request.header("authorization").map(str::to_owned)).collect()
}

#[test]
fn each_kind_of_redirect_is_followed_relative_or_not() {
    for status in
        ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let server = Server::http(move |request, wire| match &*request.what {
            "GET /a/b" => moved(wire, status, "../c?d=e#f"),
            "GET /c?d=e" => {
                let host = request.header("host").unwrap_or_default().to_owned();
                moved(wire, status, &format!("//{host}/g"))
            }
            "GET /g" => reply(wire, "200 OK", "", b"here"),
            _ => reply(wire, "404 Not Found", "", b""),
        });
        assert_eq!(case().fetch(&server.url("", "/a/b")).bytes(), b"here", "{status}");
        assert_asked(&server, 3);
    }
}

#[test]
fn ten_redirects_are_followed_and_no_more() {
    let server =
        Server::http(|request, wire| match request.what.trim_start_matches("GET /").parse::<u32>() {
            Ok(0) => reply(wire, "200 OK", "", b"here"),
            Ok(left) => moved(wire, "302 Found", &format!("/{}", left - 1)),
            Err(_) => reply(wire, "404 Not Found", "", b""),
        });
    assert_eq!(case().fetch(&server.url("", "/10")).bytes(), b"here");
    assert_asked(&server, 11);
    let error = case().fetch(&server.url("", "/11")).error();
    let base = format!("http://{}", server.host);
    assert_eq!(error.to_string(), format!("{base}/11 redirects more than 10 times, at last to {base}/0"));
    assert_eq!(error.blame(), Blame::Platform);
    assert_asked(&server, 22);
}

#[test]
fn a_circle_is_noticed_when_it_closes() {
    let server = Server::http(|request, wire| match &*request.what {
        "GET /a" => moved(wire, "302 Found", "/b"),
        _ => moved(wire, "302 Found", "/a"),
    });
    let error = case().fetch(&server.url("", "/a")).error();
    let base = format!("http://{}", server.host);
    let expected = format!("{base}/a redirects in a circle: {base}/b leads to where we were before");
    assert_eq!((error.to_string(), error.blame()), (expected, Blame::Platform));
    assert_asked(&server, 2);
}

#[test]
fn a_redirect_that_leads_nowhere_is_told_with_the_reason() {
    for (headers, reason) in [
        ("", "there is no Location"),
        ("Location: ftp://host/x\r\n", "it begins with `ftp:`, and only http: and https: are fetched"),
        ("Location: http://[\r\n", "it is no address: invalid IPv6 address"),
    ] {
        let server = Server::http(move |_, wire| reply(wire, "302 Found", headers, b""));
        let error = case().fetch(&server.url("", "/x")).error();
        let expected = format!("/x answered 302 Found, and where it leads cannot be fetched: {reason}");
        assert!(error.to_string().ends_with(&expected), "{error}");
        assert_asked(&server, 1);
    }
}

#[test]
fn https_leads_to_https_alone() {
    let plain = Server::http(|_, wire| reply(wire, "200 OK", "", b"changed on the way"));
    let (roots, tls) = certificate(Certificate::Right);
    let there = plain.url("", "/x");
    let secure = Server::at("127.0.0.1:0", Some(tls), move |_, wire| moved(wire, "302 Found", &there));
    let case = Case { network: Network { roots, ..Network::default() }, ..case() };
    let error = case.fetch(&secure.url("", "/x")).error();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!(
            "https://{0}/x redirects to http://{1}/x: from https to http",
            secure.host, plain.host
        )),
        "{text}"
    );
    assert_eq!(error.blame(), Blame::Author);
    assert_asked(&plain, 0);
}

#[test]
fn http_leads_to_https() {
    let (roots, tls) = certificate(Certificate::Right);
    let secure = Server::at("127.0.0.1:0", Some(tls), |_, wire| reply(wire, "200 OK", "", b"here"));
    let there = secure.url("", "/x");
    let plain = Server::http(move |_, wire| moved(wire, "302 Found", &there));
    let case = Case { network: Network { roots, ..Network::default() }, ..case() };
    assert_eq!(case.fetch(&plain.url("", "/x")).bytes(), b"here");
}

#[test]
fn the_login_of_an_address_stays_with_its_host_and_port() {
    let serve = |_: &super::super::server::Request, wire: &mut dyn Wire| reply(wire, "200 OK", "", b"here");
    let abroad = Server::at("127.0.0.2:0", None, serve);
    let neighbour = Server::http(serve);
    for other in [&abroad, &neighbour] {
        let there = other.url("", "/x");
        let server = Server::http(move |request, wire| match &*request.what {
            "GET /first" => moved(wire, "302 Found", "/second"),
            _ => moved(wire, "302 Found", &there),
        });
        let seen = case().fetch(&server.url("me:hunter%3222@", "/first"));
        assert_eq!(seen.bytes(), b"here");
        assert_eq!(logins(&server), [Some(basic("me:hunter222")), Some(basic("me:hunter222"))]);
        assert_eq!(logins(other), [None]);
        assert!(other.asked()[0].header("referer").is_none());
    }
}

#[test]
fn a_netrc_gives_each_host_its_own_login_and_its_default_to_the_first_alone() {
    let abroad = Server::at("127.0.0.2:0", None, |_, wire| reply(wire, "200 OK", "", b"here"));
    let there = abroad.url("", "/x");
    let server = Server::http(move |_, wire| moved(wire, "302 Found", &there));
    // Those of machines are for the usual ports of others, and these have none.
    for (given, expected) in [
        (login(Some("127.0.0.1"), "one"), [Some(basic("me:one")), None]),
        (login(None, "any"), [Some(basic("me:any")), None]),
        (login(Some("127.0.0.2"), "two"), [None, None]),
    ] {
        let network = Network { logins: vec![given], ..Network::default() };
        assert_eq!(Case { network, ..case() }.fetch(&server.url("", "/x")).bytes(), b"here");
        let sent = [logins(&server).pop().expect("asked"), logins(&abroad).pop().expect("asked")];
        assert_eq!(sent, expected);
    }
}

#[test]
fn what_a_server_repeats_of_secrets_in_addresses_is_not_told_not_even_cut() {
    let abroad = Server::at("127.0.0.2:0", None, |request, wire| {
        let body = format!("{} you asked for {}", "x".repeat(150), request.what);
        reply(wire, "403 Forbidden", "", body.as_bytes())
    });
    let there = abroad.url("", &format!("/y?sig={}", "hunter22".repeat(20)));
    let server = Server::http(move |_, wire| moved(wire, "302 Found", &there));
    for from in [server.url("", "/x"), abroad.url("", &format!("/z?token={}", "hunter33".repeat(20)))] {
        let text = case().fetch(&from).error().to_string();
        assert!(text.contains("=***") && !text.contains("hunter"), "{text}");
    }
}

#[test]
fn what_fails_behind_a_redirect_names_both_addresses() {
    let abroad = Server::at("127.0.0.2:0", None, |_, wire| reply(wire, "404 Not Found", "", b""));
    let there = abroad.url("", "/y?token=hunter22");
    let server = Server::http(move |_, wire| moved(wire, "302 Found", &there));
    let text = case().fetch(&server.url("", "/x")).error().to_string();
    let expected = format!(
        "http://{}/y (to which http://{}/x redirects) answered 404 Not Found",
        abroad.host, server.host
    );
    assert_eq!(text, expected);
}
