//! Who we are, and to whom that is shown.

use super::*;

/// What logs in `me:hunter22`.
const BASIC: &str = "Basic bWU6aHVudGVyMjI=";

fn me() -> Login {
    Login::User { name: "me".to_owned(), password: "hunter22".to_owned() }
}

/// A service of tokens that gives `token-1`, `token-2` and so on.
fn tokens() -> Server {
    Server::http(|request, wire| {
        let mut form = vec![0; length_of(request)];
        wire.read_exact(&mut form)?;
        let form = String::from_utf8_lossy(&form);
        let known = !form.contains("refresh_token=") || form.contains("refresh_token=hunter22");
        let token = format!(r#"{{"token": "token-{}", "expires_in": 60}}"#, request.number);
        let status = if known { "200 OK" } else { "400 Bad Request" };
        reply(wire, status, &format!("X-Form: {form}\r\n"), token.as_bytes())
    })
}

/// A registry that shows its manifest to who has this.
fn asks_for(challenge: String, accepts: &'static [&'static str]) -> Server {
    Server::http(move |request, wire| {
        let is_known = request.header("authorization").is_some_and(|shown| accepts.contains(&shown));
        if is_known {
            return reply(wire, "200 OK", "", b"{}");
        }
        reply(wire, "401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"), b"who are you?")
    })
}

fn bearer(tokens: &Server) -> String {
    format!(
        r#"Bearer realm="{}",service="a, registry",scope="repository:team/cache:pull,push""#,
        tokens.url("", "/token")
    )
}

fn look(registry: &Registry) -> Result<bool, RegistryError> {
    Ok(registry.manifest(Name::Tag("x"), soon())?.is_some())
}

#[test]
fn a_token_is_had_with_the_login_and_kept() {
    let tokens = tokens();
    let server = asks_for(bearer(&tokens), &["Bearer token-1"]);
    let registry = registry(&server.url("", "/team/cache"), "", Some(me()));
    assert!(look(&registry).expect("found"));
    assert!(look(&registry).expect("found"));
    let [asked] = &tokens.asked()[..] else { panic!("{:?}", tokens.asked()) };
    let expected = "GET /token?service=a%2C+registry&scope=repository%3Ateam%2Fcache%3Apull%2Cpush";
    assert_eq!((asked.what.as_str(), asked.header("authorization")), (expected, Some(BASIC)));
    let shown: Vec<_> = server.asked();
    let shown: Vec<_> = shown.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(shown, [None, Some("Bearer token-1"), Some("Bearer token-1")]);
}

#[test]
fn a_token_that_has_expired_is_renewed_once() {
    let tokens = tokens();
    let challenge = bearer(&tokens);
    let server = Server::http(move |request, wire| {
        let token = match request.number {
            1..=2 => "Bearer token-1",
            3..=4 => "Bearer token-2",
            _ => "Bearer of another world",
        };
        if request.header("authorization") == Some(token) {
            return reply(wire, "200 OK", "", b"{}");
        }
        reply(wire, "401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"), b"")
    });
    let registry = registry(&server.url("", "/team/cache"), "", None);
    assert!(look(&registry).expect("found"));
    assert!(look(&registry).expect("found"));
    let error = look(&registry).expect_err("nobody's token");
    assert!(matches!(error, RegistryError::Login { .. }), "{error}");
    assert_eq!((server.asked().len(), tokens.asked().len()), (6, 3));
    // Nobody in particular.
    assert!(tokens.asked().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn an_identity_token_is_exchanged() {
    let tokens = tokens();
    for (identity, is_known) in [("hunter22", true), ("of nobody", false)] {
        let server = asks_for(bearer(&tokens), &["Bearer token-1"]);
        let registry =
            registry(&server.url("", "/team/cache"), "", Some(Login::Identity(identity.to_owned())));
        let found = look(&registry);
        assert_eq!(found.is_ok(), is_known, "{found:?}");
        assert!(found.err().is_none_or(|error| matches!(error, RegistryError::Login { .. })));
    }
    let asked = tokens.asked();
    assert!(asked.iter().all(|request| request.what == "POST /token"), "{asked:?}");
    assert!(asked.iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_token_of_a_registry_is_shown_as_it_is() {
    let tokens = tokens();
    let server = asks_for(bearer(&tokens), &["Bearer hunter22"]);
    let login = Some(Login::Token("hunter22".to_owned()));
    assert!(look(&registry(&server.url("", "/team/cache"), "", login)).expect("found"));
    assert_asked(&tokens, 0);
}

#[test]
fn a_password_is_shown_where_the_registry_asks_for_one() {
    let server = asks_for("Basic realm=\"us\"".to_owned(), &[BASIC]);
    let registry = registry(&server.url("", "/team/cache"), "", Some(me()));
    assert!(look(&registry).expect("found"));
    assert!(look(&registry).expect("found"));
    assert_asked(&server, 3);
    let open = Server::http(|_, wire| reply(wire, "200 OK", "", b"{}"));
    assert!(look(&super::registry(&open.url("", "/team/cache"), "", Some(me()))).expect("found"));
    assert_eq!(open.asked()[0].header("authorization"), None, "nobody asked");
}

#[test]
fn whoever_is_refused_learns_it_without_the_login() {
    let refusing = Server::http(|_, wire| reply(wire, "403 Forbidden", "", b"not you"));
    for (challenge, login) in [
        (bearer(&refusing), Some(me())),
        (bearer(&refusing), Some(Login::Identity("hunter22".to_owned()))),
        ("Basic realm=x".to_owned(), Some(Login::Identity("hunter22".to_owned()))),
        ("Negotiate".to_owned(), Some(me())),
    ] {
        let server = asks_for(challenge, &[]);
        let registry = registry(&server.url("", "/team/cache"), "", login);
        let error = look(&registry).expect_err("refused");
        let text = error.to_string();
        assert!(text.ends_with(": its login is missing or wrong") && text.contains(&server.host), "{text}");
        assert!(!format!("{registry:?} {error:?} {text}").contains("hunter22"), "{error:?}");
    }
}

#[test]
fn a_login_is_not_sent_in_the_clear_by_a_registry_that_is_not() {
    let tokens = tokens();
    let challenge = bearer(&tokens);
    let (roots, tls) = certificate(Certificate::Right);
    let server = Server::at("127.0.0.1:0", Some(tls), move |_, wire| {
        reply(wire, "401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"), b"")
    });
    let roots = String::from_utf8(roots).expect("PEM");
    let registry = registry(&server.url("", "/team/cache"), &roots, Some(me()));
    let error = look(&registry).expect_err("refused");
    assert!(matches!(error, RegistryError::Strange { .. }), "{error}");
    assert_asked(&tokens, 0);
}

#[test]
fn a_service_of_tokens_that_gives_none_is_told() {
    for (status, body) in [("200 OK", "{}"), ("200 OK", "<html>"), ("200 OK", "{\"token\": \"\\u0000\"}")] {
        let tokens = Server::http(move |_, wire| reply(wire, status, "", body.as_bytes()));
        let server = asks_for(bearer(&tokens), &[]);
        let error = look(&registry(&server.url("", "/team/cache"), "", None)).expect_err("no token");
        assert!(error.to_string().ends_with("there is no token in the answer"), "{error}");
    }
    let busy = Server::http(|_, wire| reply(wire, "503 Service Unavailable", "", b""));
    let server = asks_for(bearer(&busy), &[]);
    let error = look(&registry(&server.url("", "/team/cache"), "", None)).expect_err("no token");
    assert!(error.to_string().contains("503 Service Unavailable for a token for team/cache:x"), "{error}");
    assert_asked(&busy, 2);
}
