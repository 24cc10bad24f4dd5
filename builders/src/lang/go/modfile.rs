//! The `go.mod` that a build really uses: the function's own, and what the server and Kubeless' interface need beside it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::commands::fetch;
use super::manifest::{GO_MOD, Manifest};
use super::overlay::{API, SERVER};
use crate::diagnostic::Blame;
use crate::function::{Function, RelPath};
use crate::plan::{Action, Dir, Place, Step};
use crate::steps::offline;
use crate::toolchain::Version;

/// What go calls the file with the checksums, beside its modfile.
pub(super) const SUMS: &str = "go.sum";
/// What `go mod vendor` writes.
pub(super) const VENDORED: &str = "vendor/modules.txt";
/// The module in which Kubeless had its interface.
pub(super) const KUBELESS: &str = "github.com/kubeless/kubeless";
/// The server's module.
pub(super) const SERVER_MODULE: &str = "injector.internal/server";

/// What vouches for the modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    /// The function's own `go.sum`, or none is needed.
    Given,
    /// The checksum database, when they are fetched.
    Found,
    /// They are copied into the function.
    Vendored,
}

/// A module of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Module {
    /// Its path.
    pub(super) path: &'static str,
    /// The version that is required, where the function requires none: the last one of Kubeless.
    pub(super) version: &'static str,
    /// Where its files are, in the function's directory as go sees it.
    pub(super) dir: &'static str,
}

/// How the modules come in.
#[derive(Debug)]
pub(super) struct Modules {
    /// What was decided and why.
    pub(super) because: Vec<String>,
    /// The steps.
    pub(super) steps: Vec<Step>,
    /// On which files they depend.
    pub(super) files: BTreeSet<RelPath>,
    /// What vouches for them.
    pub(super) sums: Sums,
}

/// Decides how the modules of a function come in.
pub(super) fn modules(function: &Function, manifest: &Manifest<'_>, go: &Version) -> Modules {
    let place = |name: &str| Place { dir: Dir::Deps, path: name.parse().ok() };
    let mut steps = Vec::new();
    let is_blank = |path: &RelPath| function.text(path).is_some_and(|text| text.trim().is_empty());
    let sums = function.top(SUMS).filter(|path| !is_blank(path));
    if let Some(path) = sums {
        let copy = Action::Copy { from: Place::new(Dir::Source, path.clone()), to: place(SUMS) };
        steps.push(offline("sums", "what the modules must be", Blame::Platform, copy));
    }
    let asks = manifest.required.iter().any(|(path, _)| path != KUBELESS);
    let (because, sums) = match (manifest.file, function.top(VENDORED), sums) {
        (None, ..) => ("there is no dependency file".to_owned(), Sums::Given),
        (Some((path, _)), ..) if !asks => (format!("{path} asks for nothing"), Sums::Given),
        (Some((path, _)), Some(vendored), _) => {
            (format!("{path} lists the dependencies, {vendored} says that they are here"), Sums::Vendored)
        }
        (Some((path, _)), None, Some(sums)) => {
            steps.push(fetch(&[], format!("the modules that {path} asks for")));
            (format!("{path} lists the dependencies, {sums} vouches for them"), Sums::Given)
        }
        (Some((path, _)), None, None) => {
            steps.push(fetch(&["all"], format!("the modules that {path} asks for, and theirs")));
            let because =
                "lists the dependencies; there is no go.sum, so that the checksum database vouches for them";
            (format!("{path} {because}"), Sums::Found)
        }
    };
    let counts = |path: &&RelPath| {
        [GO_MOD, SUMS, "modules.txt"].contains(&path.name())
            || Some(*path) == manifest.file.map(|(path, _)| path)
    };
    let files = function.files.keys().filter(counts).cloned().collect();
    let write = Action::Write { path: place(GO_MOD), text: modfile(function, manifest, go, sums).into() };
    let why = "what the function requires, and what its server does";
    steps.insert(0, offline("modules", why, Blame::Platform, write));
    Modules { because: vec![because], steps, files, sums }
}

/// Which of our modules the function gets: not Kubeless' interface, if it has that itself.
pub(super) fn ours(function: &Function, manifest: &Manifest<'_>) -> impl Iterator<Item = Module> {
    let has = |module: &str| {
        let vendored = format!("vendor/{module}/");
        manifest.replaces(module) || function.files.keys().any(|path| path.as_str().starts_with(&vendored))
    };
    let interface = Module { path: KUBELESS, version: "v1.0.8", dir: API };
    let server = Module { path: SERVER_MODULE, version: "v0.0.0", dir: SERVER };
    Some(interface).filter(|module| !has(module.path)).into_iter().chain([server])
}

/// The text: the function's own comes first, so that its lines keep their numbers.
fn modfile(function: &Function, manifest: &Manifest<'_>, go: &Version, sums: Sums) -> String {
    let mut text = match manifest.file {
        Some((_, text)) => text.to_owned(),
        None => format!("module {}\n\ngo {}\n", manifest.module, go.prefix(2)),
    };
    if sums == Sums::Vendored {
        return text; // Which must agree with `vendor/modules.txt`.
    }
    text.push_str("\n// Added by the injector.\n");
    for Module { path, version, dir } in ours(function, manifest) {
        if !manifest.requires(path) {
            let _ = writeln!(text, "require {path} {version}");
        }
        let _ = writeln!(text, "replace {path} => ./{dir}");
    }
    text
}
