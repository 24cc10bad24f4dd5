//! Which file speaks for a function's dependencies, and what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::grammar::Entry;
use super::lock::{self, Dependency, LOCK, Locked, PYPROJECT};
use super::requirements::{self, Requirements};
use crate::diagnostic::{Diagnostic, pattern};
use crate::entry::text;
use crate::error::PlanError;
use crate::function::{Function, RelPath};
use crate::toolchain::references;

/// The file that speaks for a function's dependencies.
#[derive(Debug)]
pub(super) enum Manifest {
    /// There is none, or it asks for nothing; in a sentence.
    None(String),
    /// A requirements file.
    Requirements(RelPath, Requirements),
    /// `uv.lock`, beside the `pyproject.toml` that it was made from.
    Lock(Vec<Dependency>, Locked),
    /// `pyproject.toml` alone.
    Project(Vec<Dependency>),
}

impl Manifest {
    /// Chooses and reads it: what the environment names, then `requirements.txt`, `uv.lock`, `pyproject.toml`.
    ///
    /// # Errors
    /// When it is malformed, or asks for what cannot be.
    pub(super) fn of(function: &Function) -> Result<Self, PlanError> {
        let named = function.deps_file.as_ref().filter(|path| ![LOCK, PYPROJECT].contains(&path.as_str()));
        let path = named.or_else(|| function.top("requirements.txt"));
        if let Some(path) = path {
            let wanted = requirements::read(function, path)?;
            if wanted.entries.iter().any(|entry| !entry.constraint) {
                return Ok(Manifest::Requirements(path.clone(), wanted));
            }
        }
        let project = function.top(PYPROJECT).map(|path| text(function, path)).transpose()?;
        let project = project.map(lock::project);
        if let Some(path) = function.top(LOCK) {
            let Some(dependencies) = project.transpose()? else {
                let missing = Diagnostic::new(format!("{LOCK} is of no use without its {PYPROJECT}"));
                let hint = format!("deploy {PYPROJECT} beside it");
                return Err(PlanError::Manifest(missing.at(LOCK, None, None).hint(hint)));
            };
            let locked = lock::lock(text(function, path)?, &dependencies)?;
            if !dependencies.is_empty() {
                return Ok(Manifest::Lock(dependencies, locked));
            }
            return Ok(Manifest::None(format!("{PYPROJECT} asks for nothing")));
        }
        match (project.transpose()?, path) {
            (Some(dependencies), _) if !dependencies.is_empty() => Ok(Manifest::Project(dependencies)),
            (Some(_), None) => Ok(Manifest::None(format!("{PYPROJECT} asks for nothing"))),
            (_, Some(path)) => Ok(Manifest::None(format!("{path} asks for nothing"))),
            (None, None) => Ok(Manifest::None("there is no dependency file".to_owned())),
        }
    }

    /// The file, for a sentence.
    pub(super) fn name(&self) -> &str {
        match self {
            Manifest::None(_) => "nothing",
            Manifest::Requirements(path, _) => path.as_str(),
            Manifest::Lock(..) => LOCK,
            Manifest::Project(_) => PYPROJECT,
        }
    }

    /// The requirements and their places.
    pub(super) fn entries(&self) -> Vec<&Entry> {
        match self {
            Manifest::None(_) => Vec::new(),
            Manifest::Requirements(_, wanted) => wanted.entries.iter().collect(),
            Manifest::Lock(dependencies, _) | Manifest::Project(dependencies) => {
                dependencies.iter().map(|dependency| &dependency.entry).collect()
            }
        }
    }

    /// The variables to which the dependency files refer: pip puts their values in.
    pub(super) fn refers(&self, function: &Function) -> BTreeSet<String> {
        self.texts(function).into_iter().flat_map(|(_, text)| references(text)).collect()
    }

    /// The dependency files that the installer reads, with their texts.
    pub(super) fn texts<'a>(&'a self, function: &'a Function) -> Vec<(&'a RelPath, &'a str)> {
        let mut files: Vec<&RelPath> =
            [PYPROJECT, LOCK].iter().filter_map(|name| function.top(name)).collect();
        if let Manifest::Requirements(_, wanted) = self {
            files.extend(wanted.files.iter().map(|(path, _)| path));
        }
        files.into_iter().filter_map(|path| Some((path, function.text(path)?))).collect()
    }

    /// URLs in the dependency files that hold a user or a password, by their place.
    pub(super) fn secrets(&self, function: &Function) -> BTreeMap<String, String> {
        let found = self.texts(function).into_iter().flat_map(|(path, text)| {
            let lines = (1..).zip(text.lines());
            lines.flat_map(move |(number, line): (usize, &str)| {
                let urls = CREDENTIALS.find_iter(line).map(|url| url.as_str().to_owned());
                (1..)
                    .zip(urls)
                    .map(move |(nth, url): (usize, String)| (format!("{path}:{number}:{nth}"), url))
            })
        });
        found.collect()
    }
}

/// `https://user:token@host/simple`
static CREDENTIALS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"[A-Za-z][A-Za-z0-9+.-]*://[^/\s"'@]+@[^\s"',;]+"#));

/// Whether a text holds a URL with a user or a password.
pub(super) fn has_credentials(text: &str) -> bool {
    CREDENTIALS.is_match(text)
}
