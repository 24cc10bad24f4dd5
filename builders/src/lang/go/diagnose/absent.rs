//! Modules that are not where go looks for them: at a registry, in a repository, in a folder.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

use super::network::{host, own_words};
use super::places::Author;
use crate::diagnostic::{Diagnostic, pattern};

/// What go says of such modules without their version, or without any name.
pub(super) fn unnamed(said: &str, author: &Author<'_>) -> Option<Diagnostic> {
    // go: unrecognized import path "git.example/acme/greet": reading https://git.example/acme/greet?go-get=1: 404 Not Found
    // go: module lookup disabled by GOPROXY=off
    static UNNAMED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?m)^go: (?:unrecognized import path|module lookup disabled)[^\n]*(?:\n[ \t]+.+)*")
    });
    let complaint = UNNAMED.find(said)?.as_str();
    let module = named(complaint).next();
    let (message, hint) = why(complaint, module)?;
    Some(author.at_module(module.map_or("", |module| module.path), message).hint(hint))
}

/// Why a module is not there, and what to do.
pub(super) fn why(complaint: &str, module: Option<Named<'_>>) -> Option<(String, &'static str)> {
    // reading https://registry.example/acme.example/nothing/@v/v1.0.0.mod: 404 Not Found
    // unrecognized import path "git.example/acme/greet": reading https://git.example/acme/greet?go-get=1: 404 Not Found
    static STATUS: LazyLock<Regex> = LazyLock::new(|| pattern(r"reading https?://\S+: (404|410) "));
    // unrecognized import path "git.example/acme/greet": parse https://git.example/…: no go-import meta tags ()
    static META: LazyLock<Regex> = LazyLock::new(|| pattern(r"parse https?://\S+: no go-import meta tags"));
    // fatal: repository 'https://git.example/acme/greet.git/' not found
    static REPOSITORY: LazyLock<Regex> = LazyLock::new(|| pattern(r"repository '([^']+?)/?' not found"));
    // reading file:///mirror/acme.example/polite/@v/v1.0.0.mod: no such file or directory
    static FOLDER: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"reading file://(\S+)/@\S+: no such file or directory"));
    let complaint = &own_words(complaint);
    let name = module.map_or_else(|| "one of the modules".to_owned(), |module| module.to_string());
    let path = module.map_or("", |module| module.path);
    let check = "check its path and version; a private module needs a GOPROXY that has it, or GOPRIVATE";
    if let Some(found) = STATUS.captures(complaint) {
        let host = host(&found[0])?;
        return Some((format!("{host} has no {name} ({})", &found[1]), check));
    }
    if complaint.contains("unknown revision") {
        return Some((format!("there is no {name} in its repository"), check));
    }
    if META.is_match(complaint) {
        return Some((format!("{path} does not say in which repository it is"), check));
    }
    if let Some(found) = REPOSITORY.captures(complaint) {
        return Some((format!("there is no repository {} of {name}", &found[1]), check));
    }
    if is_public(complaint) {
        let hint = "check its path; for a private module mount .netrc, and name it in GOPRIVATE";
        return Some((format!("the repository of {name} is private, or is not there"), hint));
    }
    if let Some(found) = FOLDER.captures(complaint) {
        let folder = found[1].strip_suffix(path).unwrap_or(&found[1]).trim_end_matches('/');
        return Some((
            format!("{folder}, which GOPROXY names, has no {name}"),
            "put it there with the tools that made the folder, or ask for a version that it has",
        ));
    }
    if complaint.contains("disabled by GOPROXY=off") {
        let hint = "deploy the modules in vendor/ (`go mod vendor`), or ask the operator for a GOPROXY";
        return Some((
            format!("GOPROXY=off lets nothing be fetched, and {name} is not in the function"),
            hint,
        ));
    }
    None
}

/// A module that go names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub(super) path: &'a str,
    pub(super) version: Option<&'a str>,
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)?;
        self.version.iter().try_for_each(|version| write!(f, " {version}"))
    }
}

/// The modules that go complains of, in its order.
pub(super) fn named(text: &str) -> impl Iterator<Item = Named<'_>> {
    // go: acme.example/polite@v1.0.0: reading …
    // go: acme.example/lost@v1.0.0 requires
    // 	acme.example/missing@v1.0.0: reading …
    // go: unrecognized import path "git.example/acme/greet": https fetch: …
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"(?m)^(?:go: |\t)(?:([^\s@]+)@(v[^\s:/]+)|(?:module )?unrecognized import path "([^"]+)")"#)
    });
    NAMED.captures_iter(text).filter_map(|found| {
        let path = found.get(1).or(found.get(3))?.as_str();
        Some(Named { path, version: found.get(2).map(|version| version.as_str()) })
    })
}

/// Whether a forge that is open to everybody wants credentials, as it does for what it does not have.
pub(super) fn is_public(text: &str) -> bool {
    ["github.com", "gitlab.com", "bitbucket.org"]
        .iter()
        .any(|forge| text.contains(&format!("could not read Username for 'https://{forge}'")))
}
