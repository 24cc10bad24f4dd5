//! Who we are to a registry: what it asks for, and what it is shown.

use std::fmt;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;

use crate::sys::fetch::basic;

/// A login of a docker config.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// A user's.
    User {
        /// The user.
        name: String,
        /// The password.
        password: String,
    },
    /// An identity token, for which a token can be had.
    Identity(String),
    /// A token as registries take it.
    Token(String),
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// To read.
    Pull,
    /// To write, too.
    Push,
}

/// What a registry wants to see, and where that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A user and a password.
    Basic,
    /// A token of this service.
    Bearer {
        /// Where it is given.
        realm: String,
        /// Who asks for it.
        service: Option<String>,
        /// What it shall allow.
        scope: Option<String>,
    },
}

/// What a service of tokens answers.
#[derive(Deserialize)]
pub(super) struct Granted {
    token: Option<String>,
    access_token: Option<String>,
}

impl Login {
    /// What is secret of it.
    pub(crate) fn secrets(&self) -> Vec<String> {
        match self {
            Login::User { name, password } => vec![password.clone(), format!("{name}:{password}")],
            Login::Identity(token) | Login::Token(token) => vec![token.clone()],
        }
    }

    /// What shows a user's login, if it is one.
    pub(super) fn basic(&self) -> Option<HeaderValue> {
        match self {
            Login::User { name, password } => basic(name, password),
            Login::Identity(_) | Login::Token(_) => None,
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Login::User { .. } => "Login::User",
            Login::Identity(_) => "Login::Identity",
            Login::Token(_) => "Login::Token",
        })
    }
}

impl Access {
    /// What it allows.
    fn actions(self) -> &'static str {
        match self {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        }
    }
}

impl Challenge {
    /// What is asked for: a token, if that is one of the ways.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter();
        let all: Vec<_> = texts.filter_map(|text| text.to_str().ok()).flat_map(challenges).collect();
        let bearer = all.iter().find_map(|(scheme, parameters)| {
            let get = |name: &str| {
                let named = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                named.map(|(_, value)| value.clone())
            };
            let realm = get("realm").filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
            Some(Challenge::Bearer { realm, service: get("service"), scope: get("scope") })
        });
        let is_basic = || all.iter().any(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
        bearer.or_else(|| is_basic().then_some(Challenge::Basic))
    }
}

/// How a token is asked for: at which address, and with which form, if it takes one.
/// <https://distribution.github.io/distribution/spec/auth/token/>, <https://distribution.github.io/distribution/spec/auth/oauth/>
pub(super) fn question(
    mut realm: Url,
    service: Option<&str>,
    scope: Option<&str>,
    repository: &str,
    access: Access,
    identity: Option<&str>,
) -> (Url, Option<String>) {
    let own = format!("repository:{repository}:{}", access.actions());
    let scope = scope.unwrap_or(&own);
    let Some(identity) = identity else {
        realm
            .query_pairs_mut()
            .extend_pairs(service.map(|service| ("service", service)))
            .extend_pairs(scope.split_whitespace().map(|scope| ("scope", scope)));
        return (realm, None);
    };
    // A URL's query is written as a form is.
    let mut form = realm.clone();
    form.set_query(None);
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .extend_pairs(service.map(|service| ("service", service)))
        .append_pair("client_id", "injector")
        .append_pair("scope", scope)
        .append_pair("refresh_token", identity);
    (realm, Some(form.query().unwrap_or_default().to_owned()))
}

impl Granted {
    /// What shows it.
    pub(super) fn header(self) -> Option<HeaderValue> {
        bearer(&self.token.or(self.access_token)?)
    }
}

/// What shows a token.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| !token.is_empty())?;
    value.set_sensitive(true);
    Some(value)
}

/// Schemes with their parameters: `Bearer realm="https://a/token",scope="repository:b:pull,push", Basic realm="x"`.
fn challenges(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut all = Vec::<(String, Vec<(String, String)>)>::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let end = rest.find(['=', ',', ' ', '\t']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() && after.is_empty() {
            return all;
        }
        let Some(value) = after.strip_prefix('=') else {
            all.push((word.to_owned(), Vec::new()));
            rest = after;
            continue;
        };
        let (value, after) = value_of(value);
        if let Some((_, parameters)) = all.last_mut() {
            parameters.push((word.to_owned(), value));
        }
        rest = after;
    }
}

/// A parameter's value, in quotes or without, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(texts: &[&'static str]) -> Option<Challenge> {
        let texts = texts.iter().map(|text| (WWW_AUTHENTICATE, HeaderValue::from_static(text)));
        Challenge::of(&texts.collect())
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) }
    }

    #[test]
    fn what_a_registry_asks_for_is_read_with_commas_quotes_and_all() {
        let full = r#"Bearer realm="https://a.example/token",service="registry \"x\"",scope="repository:b/c:pull,push",error=invalid_token"#;
        let scope = Some("repository:b/c:pull,push");
        assert_eq!(
            challenge(&[full]),
            Some(bearer("https://a.example/token", Some("registry \"x\""), scope))
        );
        assert_eq!(
            challenge(&["bearer Realm=https://a/t , scope=x"]),
            Some(bearer("https://a/t", None, Some("x")))
        );
        let both = r#"Basic realm="of, Bearer realm=x", Bearer realm="https://a/t""#;
        assert_eq!(challenge(&[both]), Some(bearer("https://a/t", None, None)));
        assert_eq!(challenge(&["Basic realm=x", "Bearer realm=y"]), Some(bearer("y", None, None)));
        for text in ["Basic", "basic realm=\"Bearer realm=x\"", "Bearer, Basic realm=x"] {
            assert_eq!(challenge(&[text]), Some(Challenge::Basic), "{text}");
        }
        for text in ["", ",", "=", "=\"", "Bearer", "Bearer scope=x", "Negotiate abc==", "realm=x", "\""] {
            assert_eq!(challenge(&[text]), None, "{text}");
        }
    }

    #[test]
    fn a_token_is_asked_for_with_what_the_registry_said() {
        let realm = || Url::parse("https://a.example/token?x=y").expect("an address");
        let (url, form) = question(realm(), Some("a b"), Some("c:pull d:pull"), "r", Access::Pull, None);
        assert_eq!(url.as_str(), "https://a.example/token?x=y&service=a+b&scope=c%3Apull&scope=d%3Apull");
        assert_eq!(form, None);
        let (url, _) = question(realm(), None, None, "r/s", Access::Push, None);
        assert_eq!(url.as_str(), "https://a.example/token?x=y&scope=repository%3Ar%2Fs%3Apull%2Cpush");
        let (url, form) = question(realm(), Some("s"), Some("c"), "r", Access::Pull, Some("id&"));
        assert_eq!(url, realm());
        let expected = "grant_type=refresh_token&service=s&client_id=injector&scope=c&refresh_token=id%26";
        assert_eq!(form.as_deref(), Some(expected));
    }

    #[test]
    fn a_login_shows_nothing() {
        let all = [
            Login::User { name: "me".to_owned(), password: "hunter22".to_owned() },
            Login::Identity("hunter22".to_owned()),
            Login::Token("hunter22".to_owned()),
        ];
        for login in all {
            assert!(!format!("{login:?}").contains("hunter22"));
            assert!(login.secrets().contains(&"hunter22".to_owned()));
            assert!(login.basic().is_none_or(|header| header.is_sensitive()));
        }
    }
}
