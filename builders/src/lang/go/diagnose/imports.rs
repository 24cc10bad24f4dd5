//! Imports that lead nowhere.

use std::sync::LazyLock;

use regex::Regex;

use super::super::modfile::{KUBELESS, VENDORED};
use super::places::{Author, Whose, below, whose};
use crate::diagnostic::{Diagnostic, pattern};

/// What is wrong with an import, if the message tells of one.
pub(super) fn found(one: &Diagnostic, author: &Author<'_>) -> Option<Diagnostic> {
    let location = one.location.as_ref()?;
    let (kind, parts) =
        KINDS.iter().find_map(|(kind, pattern)| Some((*kind, pattern.captures(&one.message)?)))?;
    let package = parts.get(1).map_or("", |found| found.as_str());
    // Where another module imports it, the author can only look after that module.
    let here = |message: String| match whose(&location.file) {
        Whose::Module(module, version, _) => {
            author.at_module(module, format!("{message}, which {module} {version} imports"))
        }
        _ => Diagnostic::new(message).at(&location.file, location.line, location.column),
    };
    Some(match kind {
        Kind::NotFound => not_found(package, author, here),
        Kind::NoSum => here(format!("go.sum does not vouch for the module of {package}"))
            .hint("`go mod tidy` writes go.sum anew; deploy it with go.mod"),
        Kind::Packages => packages(&parts[1], author),
    })
}

/// A package that no module has.
fn not_found(package: &str, author: &Author<'_>, here: impl Fn(String) -> Diagnostic) -> Diagnostic {
    let own = author.manifest.as_ref().map_or("function", |manifest| manifest.module.as_str());
    if below(package, KUBELESS).is_some() {
        return here(format!("{package} is not provided here"))
            .hint(format!("of Kubeless, a function may import {KUBELESS}/pkg/functions alone"));
    }
    if let Some(dir) = below(package, own) {
        return here(format!("there is no package {package}: the function has no Go file in {dir}"))
            .hint("deploy the package with the function, in a directory or an archive");
    }
    if !package.split('/').next().is_some_and(|first| first.contains('.')) {
        return here(format!("the standard library has no package {package}")).hint(format!(
            "other packages begin with a host, such as github.com/…, those of the function with {own}/"
        ));
    }
    if author.function.top(VENDORED).is_some() {
        return here(format!("no vendored module has the package {package}"))
            .hint("run `go mod vendor`, and deploy what it makes");
    }
    match (author.module_of(package), author.has_manifest()) {
        (Some(module), _) => here(format!("{module}, as go.mod requires it, has no package {package}"))
            .hint("check the import's spelling, and whether another version has it"),
        (None, true) => here(format!("go.mod requires no module that has the package {package}"))
            .hint(format!("run `go get {package}`, and deploy go.mod and go.sum")),
        (None, false) => here(format!("there is no go.mod that requires the module of {package}"))
            .hint(format!("deploy one beside the function: `go mod init {own}`, then `go get {package}`")),
    }
}

/// Files of one directory that do not belong together.
fn packages(said: &str, author: &Author<'_>) -> Diagnostic {
    // found packages hello (hello.go) and other (other.go) in .
    let dir = said.rsplit_once(" in ").map_or("", |(_, dir)| dir.trim_start_matches("./"));
    let file = said.rsplit_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(file, _)| file);
    let path = if matches!(dir, "" | ".") { file.to_owned() } else { format!("{dir}/{file}") };
    let found = Diagnostic::new(format!(
        "the files of a directory must be of one package: found {}",
        said.split(" in ").next().unwrap_or(said)
    ));
    let found =
        if author.function.files.contains_key(path.as_str()) { found.at(path, Some(1), None) } else { found };
    found.hint("let all begin with the same `package`, or put one into a directory of its own")
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    NotFound,
    NoSum,
    Packages,
}

static KINDS: LazyLock<Vec<(Kind, Regex)>> = LazyLock::new(|| {
    vec![
        // missing go.sum entry for module providing package github.com/google/uuid (imported by function); to add:
        (Kind::NoSum, pattern(r"^missing go\.sum entry for module providing package (\S+?)(?:;| \()")),
        // cannot find module providing package github.com/pkg/errors: import lookup disabled by -mod=readonly
        // cannot find module providing package github.com/pkg/errors: module lookup disabled by GOPROXY=off
        (
            Kind::NotFound,
            pattern(r"^cannot find module providing package (\S+): (?:import|module) lookup disabled"),
        ),
        // no required module provides package github.com/google/uuid; to add it:
        (Kind::NotFound, pattern(r"^no required module provides package (\S+?)[;:]")),
        // module github.com/google/uuid@latest found (v1.6.0), but does not contain package github.com/google/uuid/nope
        (Kind::NotFound, pattern(r"^module \S+ (?:found .*|provides .*)but does not contain package (\S+)")),
        // package fmtx is not in std (/usr/local/go/src/fmtx)
        // package fmtx is not in GOROOT (/usr/local/go/src/fmtx)
        (Kind::NotFound, pattern(r"^package (\S+) is not in (?:std|GOROOT)")),
        // found packages hello (hello.go) and other (other.go) in .
        (Kind::Packages, pattern(r"^found packages (.*)$")),
    ]
});
