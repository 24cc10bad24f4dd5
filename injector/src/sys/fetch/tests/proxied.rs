//! The way out through proxies.

use builders::diagnostic::Blame;

use super::super::server::{Certificate, certificate, reply};
use super::*;

/// `Basic` of `me:hunter22`.
const LOGIN: &str = "Basic bWU6aHVudGVyMjI=";

fn through(proxy: &str) -> Case {
    let proxies = Proxies { all: Some(proxy.to_owned()), ..Proxies::default() };
    let (roots, _) = certificate(Certificate::Right);
    Case { network: Network { roots, proxies, ..Network::default() }, ..case() }
}

#[test]
fn http_is_asked_of_the_proxy_with_its_login() {
    let server = Server::http(|_, wire| reply(wire, "200 OK", "", b"here"));
    let proxy = Server::proxy(&server.host, Some(LOGIN));
    let seen = through(&proxy.url("me:hunter22@", "")).fetch("http://you:hunter33@registry.invalid/x?y=z");
    assert_eq!(seen.bytes(), b"here");
    let asked = proxy.asked();
    assert_eq!((asked.len(), asked[0].what.as_str()), (1, "GET http://registry.invalid/x?y=z"));
    // To each what is for it.
    assert_eq!(server.asked()[0].header("authorization"), Some("Basic eW91Omh1bnRlcjMz"));
}

#[test]
fn https_goes_through_a_tunnel_that_sees_nothing_of_it() {
    let (roots, tls) = certificate(Certificate::Right);
    let server = Server::at("127.0.0.1:0", Some(tls), |_, wire| reply(wire, "200 OK", "", &content(300_000)));
    let proxy = Server::proxy(&server.host, Some(LOGIN));
    let mut case = through(&proxy.url("me:hunter22@", ""));
    case.network.roots = roots;
    assert!(case.fetch("https://you:hunter33@registry.invalid/x").bytes() == content(300_000), "other bytes");
    let asked = proxy.asked();
    assert_eq!((asked.len(), asked[0].what.as_str()), (1, "CONNECT registry.invalid:443"));
    assert_eq!(asked[0].header("authorization"), None);
    let asked = server.asked();
    assert_eq!(asked[0].what, "GET /x");
    assert_eq!(asked[0].header("proxy-authorization"), None);
    assert_eq!(asked[0].header("authorization"), Some("Basic eW91Omh1bnRlcjMz"));
}

#[test]
fn who_is_spared_is_asked_directly() {
    let server = Server::http(|_, wire| reply(wire, "200 OK", "", b"here"));
    let mut case = through(&format!("http://{}", closed()));
    case.network.proxies.no = Some("127.0.0.0/8".to_owned());
    assert_eq!(case.fetch(&server.url("", "/x")).bytes(), b"here");
    assert_asked(&server, 1);
}

#[test]
fn a_proxy_that_wants_to_know_who_we_are_is_told_as_such_and_not_asked_again() {
    for url in ["http://registry.invalid/x", "https://registry.invalid/x"] {
        let proxy = Server::proxy(&closed(), Some(LOGIN));
        let error = through(&proxy.url("me:hunter33@", "")).fetch(url).error();
        let expected = format!(
            "{url} cannot be fetched: the proxy {} asks for a login, or does not accept the one in its URL (407)",
            proxy.host
        );
        assert_eq!((error.to_string(), error.blame()), (expected, Blame::Platform));
        assert_asked(&proxy, 1);
    }
}

#[test]
fn a_proxy_that_connects_nobody_is_named() {
    let proxy = Server::http(|_, wire| reply(wire, "403 Forbidden", "", b"not there"));
    let at = proxy.url("", "");
    let plain = through(&at).fetch("http://registry.invalid/x").error().to_string();
    let expected = format!(
        "http://registry.invalid/x answered 403 Forbidden through the proxy {}: not there",
        proxy.host
    );
    assert_eq!(plain, expected);
    let tunnel = through(&at).fetch("https://registry.invalid/x").error().to_string();
    let expected =
        format!("the proxy {} does not connect to registry.invalid:443 (after 5 attempts)", proxy.host);
    assert!(tunnel.ends_with(&expected), "{tunnel}");
    assert_asked(&proxy, 6);
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let host = closed();
    for url in ["http://registry.invalid/x", "https://registry.invalid/x"] {
        let text = through(&format!("http://me:hunter22@{host}")).fetch(url).error().to_string();
        let expected =
            format!("{url} cannot be fetched: connection refused by the proxy {host} (after 5 attempts)");
        assert_eq!(text, expected);
    }
    let timings = Timings { connect: Duration::from_millis(50), ..case().timings };
    let text =
        Case { timings, ..through("http://proxy.invalid:3128") }.fetch("http://registry.invalid/x").error();
    assert!(text.to_string().contains("the proxy proxy.invalid cannot be resolved"), "{text}");
}
