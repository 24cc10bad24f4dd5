//! Finds credentials in the environment and in package clients' configuration, for the redactor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::netrc;
use crate::sys::fetch::Login;

/// How names of credentials end, in lower case and letters only.
const NAMES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "token",
    "secret",
    "apikey",
    "auth",
    "authorization",
    "accesskey",
    "secretkey",
    "privatekey",
    "credentials",
];

/// What a private key in PEM form says of itself, as npm's `key` holds one, whose name says nothing.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// The credentials in an environment variable: the value itself if the name says so, those of URLs in it, and what
/// it assigns to names of credentials, as in `-Dsome.password=…`, `//registry.example/:_authToken …` or `Authorization: …`.
pub(crate) fn env_credentials(name: &str, value: &str) -> Vec<String> {
    let mut found = url_credentials(value);
    if names_credential(name) || value.contains(PRIVATE_KEY) {
        found.extend(forms_of_value(value));
    }
    found.extend(
        value
            .split_once(": ")
            .filter(|(key, _)| names_credential(key))
            .into_iter()
            .flat_map(|(_, value)| forms_of_value(value)),
    );
    let mut words = value.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let assigned = match word.split_once('=') {
            Some((key, assigned)) => Some(assigned).filter(|_| names_credential(key)),
            None if word.starts_with("//") && names_credential(word) => words.peek().copied(),
            None => None,
        };
        found.extend(assigned.iter().flat_map(|assigned| forms_of_value(assigned)));
    }
    found
}

/// The user info of every URL in a text: the password and the whole `user:password`, or a user that stands
/// alone, which is a token then; and what its query gives to names of credentials, as in `?private_token=…`.
/// A proxy without a scheme can be given as `//user:password@host`.
pub(crate) fn url_credentials(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, slashes) in text.match_indices("//") {
        let rest = &text[at + slashes.len()..];
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '\\');
        let url = rest.find(ends).map_or(rest, |end| &rest[..end]);
        let authority = url.find(['/', '?', '#']).map_or(url, |end| &url[..end]);
        found.extend(
            authority.rsplit_once('@').into_iter().flat_map(|(user_info, _)| forms_of_pair(user_info)),
        );
        let query = url.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or(query));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        found.extend(
            pairs
                .filter(|(key, _)| names_credential(key))
                .map(|(_, value)| value.trim_end_matches(['\'', ',', ';', ')']).to_owned()),
        );
    }
    found
}

/// The credentials of a package client's configuration file; `kind` is the usual name of such files, or
/// the variable that names this one.
pub(crate) fn configuration(kind: &str, text: &str) -> Vec<String> {
    let mut found = url_credentials(text);
    let is_netrc = kind.to_ascii_lowercase().ends_with("netrc");
    found.extend(if is_netrc { netrc_credentials(text) } else { ini_credentials(text) });
    found.extend(element_credentials(text));
    found
}

/// The passwords of a netrc file, and each `login:password`.
fn netrc_credentials(text: &str) -> Vec<String> {
    let forms = |Login { user, password, .. }| {
        let pair = Option::zip(user, password.clone())
            .map(|(user, password): (String, _)| format!("{user}:{password}"));
        password.into_iter().chain(pair)
    };
    netrc::logins(text).into_iter().flat_map(forms).collect()
}

/// The values of keys that name a credential, in lines of `key = value` or `key: value`, as in npm's, pip's,
/// cargo's and most other configuration; what they hold in base64 too.
fn ini_credentials(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let pairs = ['=', ':'].into_iter().filter_map(|separator| line.split_once(separator));
            pairs
                .filter(|(key, value)| names_credential(key) || value.contains(PRIVATE_KEY))
                .map(|(_, value)| value)
                .next()
        })
        .flat_map(forms_of_value)
        .collect()
}

/// What stands in elements that name a credential, as in Maven's settings: `<password>…</password>`, and
/// `<name>Private-Token</name><value>…</value>` for what it sends to a server.
fn element_credentials(text: &str) -> Vec<String> {
    const ENTITIES: [(&str, &str); 5] =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let text = text.replace("<![CDATA[", "").replace("]]>", "");
    text.match_indices("</")
        .filter_map(|(end, _)| {
            let (before, element) = text[..end].rsplit_once('<')?;
            let (name, value) = element.split_once('>')?;
            let header = || Some(before.rsplit_once("</name>")?.0.rsplit_once('>')?.1.trim());
            let name = if name == "value" { header()? } else { name.split_whitespace().next()? };
            (names_credential(name) || name.eq_ignore_ascii_case("authorization")).then_some(value)
        })
        .flat_map(|value| {
            let plain = ENTITIES.iter().fold(value.to_owned(), |value, (from, to)| value.replace(from, to));
            [value.to_owned(), plain]
        })
        .flat_map(|value| forms_of_value(&value))
        .collect()
}

/// Whether a key or variable names a credential: `//registry.example/:_authToken`, `UV_INDEX_MINE_PASSWORD`.
fn names_credential(name: &str) -> bool {
    let name = name.trim().trim_matches(['"', '\'']);
    let last = name.rsplit([':', '.', '/', ' ']).next().unwrap_or(name);
    let letters: String =
        last.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.iter().any(|end| letters.ends_with(end))
}

/// A credential's value as it is written, without quotes, comment and scheme, and decoded.
fn forms_of_value(value: &str) -> Vec<String> {
    let value = value.trim().trim_end_matches(',');
    if value.starts_with("${") && value.ends_with('}') {
        // A reference; the value is among the variables.
        return Vec::new();
    }
    let uncommented =
        [" #", " ;"].iter().fold(value, |value, comment| value.split(comment).next().unwrap_or(value));
    let mut found = Vec::new();
    for value in [value, uncommented.trim_end()] {
        let bare = ['"', '\'']
            .iter()
            .find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote))
            .unwrap_or(value);
        found.push(bare.to_owned());
        let token = bare.split_once(' ').filter(|(scheme, _)| {
            ["basic", "bearer", "token"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        });
        found.extend(token.map(|(_, token)| token.trim().to_owned()));
    }
    found.dedup();
    let decoded = found.iter().filter_map(|value| String::from_utf8(STANDARD.decode(value).ok()?).ok());
    let decoded: Vec<_> = decoded
        .filter(|text| !text.contains(char::is_control))
        .flat_map(|text| forms_of_pair(&text))
        .collect();
    found.extend(decoded);
    found
}

/// What is secret of `user:password` or of a token.
fn forms_of_pair(pair: &str) -> Vec<String> {
    let secret = match pair.split_once(':') {
        // A token in the user's place, as GitHub has it.
        Some((token, "" | "x-oauth-basic")) => token,
        Some((_, password)) => password,
        None => return vec![pair.to_owned()],
    };
    vec![secret.to_owned(), pair.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_give_their_user_info() {
        for (text, expected) in [
            ("https://user:pass%40word@host:8080/path", vec!["pass%40word", "user:pass%40word"]),
            ("index-url=https://TOKEN@host/simple", vec!["TOKEN"]),
            ("https://TOKEN:x-oauth-basic@github.example", vec!["TOKEN", "TOKEN:x-oauth-basic"]),
            ("https://TOKEN:@host", vec!["TOKEN", "TOKEN:"]),
            ("https://u:p@ss'word@host", vec!["p@ss'word", "u:p@ss'word"]),
            ("//u:secret@proxy:3128", vec!["secret", "u:secret"]),
            ("'https://host/x.tgz?v=1&private_token=glpat-1#sha1=x'", vec!["glpat-1"]),
            ("['https://host/x?token=one', 'https://a?x=https://u:two@b/']", vec!["one", "two", "u:two"]),
            ("https://a/,https://u:one@b|\"https://v:two@c\"", vec!["one", "u:one", "two", "v:two"]),
        ] {
            assert_eq!(url_credentials(text), expected, "{text}");
        }
    }

    #[test]
    fn urls_without_user_info_give_nothing() {
        for text in
            ["https://registry.example/@scope/name", "http://host?mail=a@b", "// a@b", "me@host", "https://"]
        {
            assert_eq!(url_credentials(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn netrc_gives_passwords_alone_and_with_their_login() {
        let text = "# password of nobody\nmachine a login me password one\nmachine b\n  password \"t w\\\"o\"\n\
                    \tlogin you account x\ndefault password three";
        let expected = ["one", "me:one", "t w\"o", "you:t w\"o", "three"];
        assert_eq!(netrc_credentials(text), expected);
    }

    #[test]
    fn settings_give_the_values_of_credential_keys() {
        for (line, expected) in [
            ("//registry.example/:_authToken=npm_abc", "npm_abc"),
            ("//registry.example/:_password=aHVudGVyMg==", "hunter2"),
            ("_auth = bWU6aHVudGVyMg==", "hunter2"),
            ("token = \"Bearer abc def\" # mine", "abc def"),
            ("password: 'it is; long'", "it is; long"),
            ("  \"auth\": \"bWU6aHVudGVyMg==\",", "me:hunter2"),
            ("export REGISTRY_TOKEN=abc", "abc"),
            ("api_key=a#b;c", "a#b;c"),
            ("key=\"-----BEGIN PRIVATE KEY-----\\nabc\"", "-----BEGIN PRIVATE KEY-----\\nabc"),
            ("\textraHeader = AUTHORIZATION: bearer abc", "abc"),
        ] {
            let found = ini_credentials(line);
            assert!(found.iter().any(|value| value == expected), "{line}: {found:?}");
        }
    }

    #[test]
    fn elements_give_the_values_of_credential_names() {
        let text = "<server>\n<id>main</id>\n<username>me</username>\n<password>\n  a&amp;b&lt;c </password>\n\
                    <passphrase>${env.PHRASE}</passphrase></server><proxy><password><![CDATA[two]]></password></proxy>\
                    <property><name>Private-Token</name>\n<value>three</value></property><property>\
                    <name>Authorization</name><value>Bearer four</value></property>\
                    <property><name>Accept</name><value>all</value></property>";
        let found = configuration("settings.xml", text);
        for expected in ["a&b<c", "a&amp;b&lt;c", "two", "three", "four"] {
            assert!(found.iter().any(|value| value == expected), "{expected}: {found:?}");
        }
        assert!(!found.iter().any(|value| ["me", "main", "all"].contains(&value.as_str())), "{found:?}");
    }

    #[test]
    fn settings_that_are_no_credentials_give_nothing() {
        let text = "registry=https://example.org\n//x/:_authToken=${NPM_TOKEN}\nauth-type=legacy\nkey: value\n[token]\n";
        assert_eq!(ini_credentials(text), [""; 0]);
    }

    #[test]
    fn variables_are_secret_by_name_or_by_url() {
        assert_eq!(env_credentials("HTTPS_PROXY", "http://me:hunter2@proxy"), ["hunter2", "me:hunter2"]);
        assert!(env_credentials("NPM_TOKEN", "npm_abc").contains(&"npm_abc".to_owned()));
        let extra = "strict-ssl=true //a/:_authToken=one-token //b/:_password dHdv //c/:registry three";
        assert_eq!(env_credentials("NPM_CONFIG_EXTRA", extra), ["one-token", "dHdv", "two"]);
        assert_eq!(env_credentials("MAVEN_OPTS", "-Xmx1g -Dmirror.password=four"), ["four"]);
        let header = env_credentials("GIT_CONFIG_VALUE_0", "Authorization: Bearer five");
        assert!(header.contains(&"five".to_owned()), "{header:?}");
        assert_eq!(env_credentials("GOFLAGS", "-mod=mod"), [""; 0]);
    }
}
