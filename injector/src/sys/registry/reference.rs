//! Where a registry is, and which repository of it is meant.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// The longest name of a repository that all registries take.
const LONGEST: usize = 255;

/// A repository of a registry: `registry.example:5000/team/cache`, by https unless it begins with `http://`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The registry's root.
    root: Url,
    /// The host and port, as written.
    host: String,
    repository: String,
}

/// Why a text names no repository. What may hold credentials is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; write HOST[:PORT]/REPOSITORY, for example registry.example:5000/team/cache")]
pub(crate) struct BadReference {
    reason: String,
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let text = text.trim();
        let bad = |reason: &str| Err(BadReference { reason: reason.to_owned() });
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        if text.is_empty() {
            return bad("it is empty");
        }
        if rest.contains('@') {
            return bad("it has a login or a digest in it: a login comes from a docker config.json");
        }
        if !matches!(scheme, "http" | "https") {
            return bad("it is for another protocol than http: and https:");
        }
        let Some((host, repository)) = rest.split_once('/') else {
            return bad("it names no repository");
        };
        let root = Url::parse(&format!("{scheme}://{host}/"));
        let root = root.map_err(|error| BadReference { reason: format!("its host is none: {error}") })?;
        // What is no part of a host ends up in other parts of a URL.
        if root.path() != "/" || root.query().is_some() || root.fragment().is_some() {
            return bad("its host is none");
        }
        match trouble(repository) {
            Some(reason) => bad(&reason),
            None => Ok(Reference { root, host: host.to_owned(), repository: repository.to_owned() }),
        }
    }
}

impl Reference {
    /// The host and port, as written.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The name of the repository.
    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    /// Whether a key of a docker config names this registry, and how much of the repository's name it says: a host,
    /// as an address or alone, with a path or without.
    pub(crate) fn is_below(&self, key: &str) -> Option<usize> {
        let (_, rest) = key.split_once("://").unwrap_or(("", key));
        let rest = rest.trim_end_matches('/');
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let named = Url::parse(&format!("{}://{host}/", self.root.scheme())).ok()?;
        if named.origin() != self.root.origin() {
            return None;
        }
        // The versions of the protocol, as the docker client wrote them.
        let path = if matches!(path, "v1" | "v2") { "" } else { path };
        let after = self.repository.strip_prefix(path)?;
        (path.is_empty() || after.is_empty() || after.starts_with('/')).then_some(path.len())
    }

    /// An address below the repository's own.
    pub(super) fn at(&self, what: &str) -> Url {
        let mut url = self.root.clone();
        url.set_path(&format!("/v2/{}/{what}", self.repository));
        url
    }

    /// Whether it is reached without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.root.scheme() == "http"
    }

    /// Whether an address is one of this registry.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.root.origin()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({}://{self})", self.root.scheme())
    }
}

/// What is wrong with the name of a repository, by
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>.
fn trouble(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("it names no repository".to_owned());
    }
    if name.len() > LONGEST {
        return Some(format!("its repository's name is longer than {LONGEST} bytes"));
    }
    if name.contains(':') {
        return Some("it has a tag, and tags are ours to choose".to_owned());
    }
    let part = name.split('/').find(|part| !is_part(part))?;
    let reason = if part.chars().any(|c| c.is_ascii_uppercase()) {
        "only lower case is allowed"
    } else {
        "allowed are a-z and 0-9, between them one of . _ __ or dashes"
    };
    Some(format!("its repository's name has the part {part:?}, and {reason}"))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_part(part: &str) -> bool {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator =
        |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    part.starts_with(is_name) && part.ends_with(is_name) && part.split(is_name).all(is_separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> Reference {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_repository_is_asked_for_where_it_is() {
        for (text, url, shown) in [
            ("registry.example/cache", "https://registry.example/v2/cache/x", "registry.example/cache"),
            (" registry:5000/a/b\n", "https://registry:5000/v2/a/b/x", "registry:5000/a/b"),
            (
                "http://127.0.0.1:5000/a.b_c__d---e",
                "http://127.0.0.1:5000/v2/a.b_c__d---e/x",
                "127.0.0.1:5000/a.b_c__d---e",
            ),
            ("https://[::1]:5000/a", "https://[::1]:5000/v2/a/x", "[::1]:5000/a"),
        ] {
            let reference = reference(text);
            assert_eq!(reference.at("x").as_str(), url);
            assert_eq!(reference.to_string(), shown);
        }
    }

    #[test]
    fn what_names_no_repository_is_refused_with_the_reason_and_an_example() {
        for (text, reason) in [
            ("", "it is empty"),
            ("registry.example", "no repository"),
            ("registry.example/", "no repository"),
            ("/cache", "host"),
            ("registry.example:http/cache", "port"),
            ("registry example/cache", "host"),
            ("registry.example?/cache", "host"),
            ("registry.example\\evil/cache", "host"),
            ("ftp://registry.example/cache", "another protocol"),
            ("https://me:hunter22@registry.example/cache", "a docker config.json"),
            ("registry.example/cache@sha256:00", "digest"),
            ("registry.example/cache:latest", "a tag"),
            ("registry.example/Cache", "lower case"),
            ("registry.example/a/", "\"\""),
            ("registry.example/a//b", "\"\""),
            ("registry.example/a/../b", "\"..\""),
            ("registry.example/a._b", "\"a._b\""),
            ("registry.example/a___b", "\"a___b\""),
            ("registry.example/-a", "\"-a\""),
            ("registry.example/a?b", "\"a?b\""),
            (&format!("registry.example/{}", "a".repeat(256)), "longer than 255"),
        ] {
            let error = text.parse::<Reference>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(error.ends_with("for example registry.example:5000/team/cache"), "{text}: {error}");
            assert!(!error.contains("hunter22"), "{error}");
        }
    }

    #[test]
    fn a_key_of_a_docker_config_is_for_a_registry_or_for_a_part_of_it() {
        let of = |key: &str| reference("registry.example/team/cache").is_below(key);
        for (key, length) in [
            ("registry.example", 0),
            ("Registry.Example:443", 0),
            ("https://registry.example", 0),
            ("https://registry.example/v1/", 0),
            ("https://registry.example/v2/", 0),
            ("registry.example/team", 4),
            ("registry.example/team/cache", 10),
        ] {
            assert_eq!(of(key), Some(length), "{key}");
        }
        for key in [
            "",
            "registry.example:5000",
            "example",
            "registry.example/tea",
            "registry.example/team/cache/x",
            "other.example/team",
        ] {
            assert_eq!(of(key), None, "{key}");
        }
    }
}
