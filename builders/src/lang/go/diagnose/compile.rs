//! What `go build` says: errors of loading packages, and of compiling them.

use super::handler;
use super::imports;
use super::modules;
use super::places::{Author, Whose, whose};
use crate::diagnostic::{Blame, Diagnostic};
use crate::located::located;

/// All that is wrong, in the order in which it was said; what is ours comes last.
pub(super) fn found(said: &str, author: &Author<'_>) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    for one in located(&unfolded(said)).into_iter().filter(|one| one.message != "too many errors") {
        let one = explain(one, author);
        // A module that does not compile is one thing that is wrong, whatever the compiler says of it.
        let is_same = |other: &Diagnostic| {
            other.hint.is_some() && other.message.lines().next() == one.message.lines().next()
        };
        if !found.iter().any(is_same) {
            found.push(one);
        }
    }
    found.extend(modules::unlocated(said, author));
    found.sort_by_key(|one| one.blame == Some(Blame::Ours));
    found
}

/// Says of a located message whose it is.
fn explain(one: Diagnostic, author: &Author<'_>) -> Diagnostic {
    let Some(location) = one.location.clone() else { return one };
    if let Some(found) = modules::in_manifest(&one, author).or_else(|| imports::found(&one, author)) {
        return found;
    }
    match whose(&location.file) {
        Whose::Author | Whose::Toolchain => one,
        Whose::Ours => handler::found(&one.message, author).unwrap_or_else(|| one.blame(Blame::Ours)),
        Whose::Module(module, version, _) => {
            let place = location.to_string();
            let place = place
                .rsplit_once('@')
                .and_then(|(_, rest)| rest.split_once('/'))
                .map_or("", |(_, place)| place);
            let message = format!("{module} {version} does not compile\n    {place}: {}", one.message);
            author.at_module(module, message).hint(
                "require another version of it; what it has for this system may need cgo, which is off here",
            )
        }
    }
}

/// What go says of a package that it cannot load, on one line: the place is in the last of the lines below it.
///
/// ```text
/// package function/injector-server
///     imports function
///     hello.go:5:2: use of internal package example.com/lib/internal/x not allowed
/// ```
fn unfolded(said: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut inside = false;
    for line in said.lines() {
        let is_detail = line.starts_with('\t');
        inside = line.starts_with("package ") && !line.contains(": ") || inside && is_detail;
        lines.push(if inside { line.trim_start() } else { line });
    }
    lines.join("\n")
}
