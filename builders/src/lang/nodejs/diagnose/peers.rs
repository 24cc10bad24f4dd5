//! What npm and pnpm say of packages that do not go together.

use std::sync::LazyLock;

use regex::Regex;

use super::words::{Said, name_and_version};
use crate::diagnostic::{Diagnostic, pattern};

/// Says which package wants what, and what it finds.
pub(super) fn diagnose(said: &Said<'_>) -> Vec<Diagnostic> {
    if said.tool == "npm" { npm(said).into_iter().collect() } else { pnpm(said) }
}

/// `peer greet@"^1.0.0" from greet-plugin@1.0.0`, `greet@"2.0.0" from the root project`
static EDGE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?m)^ *(?:\w+ )*?(\S+)@"([^"]*)" from (the root project|\S+)"#));

/// Somebody who wants some version of a package.
struct Want<'a> {
    package: &'a str,
    range: &'a str,
    by: &'a str,
}

impl Want<'_> {
    /// `greet-plugin 1.0.0 needs greet ^1.0.0`
    fn sentence(&self) -> String {
        let Want { package, range, by } = self;
        if *by == "the root project" {
            return format!("package.json asks for {package} {range}");
        }
        let (name, version) = name_and_version(by);
        format!("{name} {version} needs {package} {range}")
    }
}

/// npm tells what it found and who wants it, and then who wants something else:
///     Found: greet@2.0.0
///     node_modules/greet
///       greet@"2.0.0" from the root project
///
///     Could not resolve dependency:
///     peer greet@"^1.0.0" from greet-plugin@1.0.0
///     node_modules/greet-plugin
///       greet-plugin@"1.0.0" from the root project
fn npm(said: &Said<'_>) -> Option<Diagnostic> {
    let (_, rest) = said.words.split_once("Found: ")?;
    let (found, unresolved) = rest.split_once("Could not resolve dependency:")?;
    let (package, _) = name_and_version(found.split_whitespace().next()?);
    let wants = |text: &'_ str| -> Vec<(String, String, String)> {
        let group = |found: &regex::Captures<'_>, at: usize| {
            found.get(at).map_or("", |group| group.as_str()).to_owned()
        };
        EDGE.captures_iter(text).map(|edge| (group(&edge, 1), group(&edge, 2), group(&edge, 3))).collect()
    };
    let (there, wanted) = (wants(found), wants(unresolved));
    let about = |all: &[(String, String, String)]| all.iter().position(|(name, _, _)| name == package);
    let there = there.get(about(&there)?)?;
    let wanted = wanted.get(about(&wanted)?)?;
    let want =
        |edge: &(String, String, String)| Want { package: &edge.0, range: &edge.1, by: &edge.2 }.sentence();
    let message = format!("{}, but {}", want(wanted), want(there));
    let (by, _) = name_and_version(&wanted.2);
    let place = if said.wanted(by).is_some() { by } else { package };
    let other = name_and_version(&there.2).0;
    let other = if other == "the root project" { package } else { other };
    Some(said.at(place, message).hint(format!("choose versions of {by} and {other} that go together")))
}

/// pnpm draws a tree:
///     └─┬ greet-plugin 1.0.0
///       └── ✕ unmet peer greet@^1.0.0: found 2.0.0
fn pnpm(said: &Said<'_>) -> Vec<Diagnostic> {
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
