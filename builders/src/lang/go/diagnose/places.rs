//! Whose a file is that go speaks of: the author's, a module's that was fetched, or ours.

use std::sync::LazyLock;

use regex::Regex;

use super::super::manifest::Manifest;
use super::super::modfile::{KUBELESS, SERVER_MODULE};
use super::super::overlay;
use crate::diagnostic::{Diagnostic, pattern};
use crate::function::{Function, RelPath};

/// What is known of the function.
pub(super) struct Author<'a> {
    /// Its files.
    pub(super) function: &'a Function,
    /// What it requires, if that can be read.
    pub(super) manifest: Option<Manifest<'a>>,
    /// The handler's file.
    pub(super) handler: Option<RelPath>,
}

/// Whose a file is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose<'a> {
    /// The author's.
    Author,
    /// A module's: its path, its version, and the file in it.
    Module(&'a str, &'a str, &'a str),
    /// One that is generated or shipped.
    Ours,
    /// The toolchain's.
    Toolchain,
}

impl<'a> Author<'a> {
    pub(super) fn of(function: &'a Function) -> Self {
        let handler = super::super::handler(function).ok().map(|(_, file)| file);
        Author { function, manifest: Manifest::of(function).ok(), handler }
    }

    /// A message at the line of `go.mod` that requires a module, if one does.
    pub(super) fn at_module(&self, module: &str, message: impl Into<String>) -> Diagnostic {
        let found = Diagnostic::new(message);
        let Some((manifest, (path, _))) =
            self.manifest.as_ref().and_then(|manifest| Some((manifest, manifest.file?)))
        else {
            return found;
        };
        match manifest.required.iter().find(|(required, _)| required == module) {
            Some((_, line)) => found.at(path.as_str(), Some(*line), None),
            None => found,
        }
    }

    /// A message in the handler's file.
    pub(super) fn at_handler(&self, message: impl Into<String>) -> Diagnostic {
        let found = Diagnostic::new(message);
        match &self.handler {
            Some(file) => found.at(file.as_str(), None, None),
            None => found,
        }
    }

    /// A message about a package: in the handler's file if it is the function's own, else where its module is required.
    pub(super) fn at_package(&self, package: &str, message: impl Into<String>) -> Diagnostic {
        let own = self.manifest.as_ref().is_some_and(|manifest| below(package, &manifest.module).is_some());
        if own {
            self.at_handler(message)
        } else {
            self.at_module(self.module_of(package).unwrap_or(package), message)
        }
    }

    /// Whether the function has a `go.mod` that says something.
    pub(super) fn has_manifest(&self) -> bool {
        self.manifest.as_ref().is_some_and(|manifest| manifest.file.is_some())
    }

    /// The module that the function requires and to which a package could belong.
    pub(super) fn module_of<'b>(&'b self, package: &str) -> Option<&'b str> {
        let modules = self.manifest.iter().flat_map(|manifest| &manifest.required);
        let holds = |module: &&String| below(package, module).is_some();
        modules.map(|(path, _)| path).filter(holds).max_by_key(|path| path.len()).map(String::as_str)
    }
}

/// The rest of a path below another one.
pub(super) fn below<'a>(path: &'a str, above: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(above)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// Whose a file is.
pub(super) fn whose(file: &str) -> Whose<'_> {
    static CACHED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|/)go-mod/([^@]+)@(v[^/]+)/(.+)$"));
    static TOOLCHAIN: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:/.*|(?:\.\./)+.*)/src/(?:[a-z]|vendor/)"));
    if overlay::is_ours(file)
        || [KUBELESS, SERVER_MODULE].iter().any(|ours| file.contains(&format!("vendor/{ours}/")))
    {
        Whose::Ours
    } else if let Some(found) = CACHED.captures(file) {
        let [module, version, rest] = found.extract().1;
        Whose::Module(module, version, rest)
    } else if file.starts_with('/') && TOOLCHAIN.is_match(file) {
        Whose::Toolchain
    } else {
        Whose::Author
    }
}
