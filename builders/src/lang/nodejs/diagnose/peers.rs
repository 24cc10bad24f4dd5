//! What npm and pnpm say of packages that do not go together.

use std::sync::LazyLock;

use regex::Regex;

use super::words::{Said, name_and_version};
use crate::diagnostic::{Diagnostic, pattern};

/// Says which package wants what, and what it finds.
pub(super) fn diagnose(said: &Said<'_>) -> Vec<Diagnostic> {
    if said.tool == "npm" { npm(said).into_iter().collect() } else { pnpm(said) }
}

/// Somebody who wants some version of a package.
struct Want<'a> {
    range: &'a str,
    /// The package that wants it; `None` is the function.
    by: Option<(&'a str, &'a str)>,
}

/// Who wants a package, according to a part of what npm says: the function if it does, or else the first who does.
fn want<'a>(text: &'a str, package: &str) -> Option<Want<'a>> {
    // peer greet@"^1.0.0" from greet-plugin@1.0.0
    //   greet@"2.0.0" from the root project
    static EDGE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r#"(?m)^ *(?:\w+ )*?(\S+)@"([^"]*)" from (?:the root project|(\S+))"#));
    let edges = EDGE.captures_iter(text).filter(|edge| &edge[1] == package);
    let wants: Vec<_> = edges
        .filter_map(|edge| {
            let by = edge.get(3).map(|by| name_and_version(by.as_str()));
            Some(Want { range: edge.get(2)?.as_str(), by })
        })
        .collect();
    let own = wants.iter().position(|want| want.by.is_none());
    wants.into_iter().nth(own.unwrap_or_default())
}

/// npm tells what it found and who wants it, and then who wants something else.
fn npm(said: &Said<'_>) -> Option<Diagnostic> {
    // Found: greet@2.0.0
    // node_modules/greet
    //   greet@"2.0.0" from the root project
    //
    // Could not resolve dependency:
    // peer greet@"^1.0.0" from greet-plugin@1.0.0
    // node_modules/greet-plugin
    //   greet-plugin@"1.0.0" from the root project
    let (_, rest) = said.words.split_once("Found: ")?;
    let (found, unresolved) = rest.split_once("Could not resolve dependency:")?;
    let (package, _) = name_and_version(found.split_whitespace().next()?);
    let (wanted, there) = (want(unresolved, package)?, want(found, package)?);
    let sentence = |want: &Want<'_>| match want.by {
        Some((name, version)) => format!("{name} {version} needs {package} {}", want.range),
        None => format!("package.json asks for {package} {}", want.range),
    };
    let name = |want: &Want<'_>| want.by.map_or(package, |(name, _)| name).to_owned();
    let (first, second) = (name(&wanted), name(&there));
    let place = if said.wanted(&first).is_some() { &first } else { package };
    let message = format!("{}, but {}", sentence(&wanted), sentence(&there));
    Some(said.at(place, message).hint(format!("choose versions of {first} and {second} that go together")))
}

/// pnpm draws a tree.
fn pnpm(said: &Said<'_>) -> Vec<Diagnostic> {
    // └─┬ greet-plugin 1.0.0
    //   └── ✕ unmet peer greet@^1.0.0: found 2.0.0
    static PARENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"─┬ (\S+) (\S+)"));
    static UNMET: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"✕ (?:unmet|missing) peer (\S+?)(?:: found (\S+))?$"));
    let mut above = ("", "");
    let mut found = Vec::new();
    for line in said.words.lines() {
        if let Some(parent) = PARENT.captures(line) {
            above = (
                parent.get(1).map_or("", |name| name.as_str()),
                parent.get(2).map_or("", |version| version.as_str()),
            );
        }
        let Some(unmet) = UNMET.captures(line.trim_end()) else { continue };
        let (peer, range) = name_and_version(unmet.get(1).map_or("", |peer| peer.as_str()));
        let there = unmet.get(2).map_or("none", |version| version.as_str());
        let message = format!("{} {} needs {peer} {range}, and {there} is installed", above.0, above.1);
        found.push(said.at(above.0, message).hint("choose versions that go together"));
    }
    found
}
