//! `Cargo.toml`: what it asks for, what cannot be done, and the one that cargo gets: the function's own with our server added.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::commands::PROGRAM;
use super::entry::Entry;
use crate::diagnostic::Diagnostic;
use crate::entry::text;
use crate::error::PlanError;
use crate::function::{Function, RelPath};
use crate::tables::position;
use crate::toolchain::Version;

/// The manifest's name.
pub(super) const MANIFEST: &str = "Cargo.toml";
/// The lock's name.
pub(super) const LOCK: &str = "Cargo.lock";
/// Our crate, and its version.
pub(super) const API: &str = "kubeless";
pub(super) const VERSION: &str = "1.0.0";
/// The package of a function that has no manifest, or one without a package.
const UNNAMED: &str = "function";
/// The editions, and the compiler with which each began: <https://doc.rust-lang.org/edition-guide/editions/>.
const EDITIONS: [(&str, &str); 4] = [("2015", "1.0"), ("2018", "1.31"), ("2021", "1.56"), ("2024", "1.85")];
/// Where dependencies are listed, per platform or for all.
const LISTS: [&str; 3] = ["dependencies", "build-dependencies", "dev-dependencies"];

/// The manifest of a function, or what stands for it where there is none.
#[derive(Debug)]
pub(super) struct Manifest<'a> {
    /// Its path, where it says anything.
    pub(super) path: Option<&'a RelPath>,
    text: &'a str,
    table: Table,
    /// Whether a lock stands beside it.
    is_locked: bool,
}

/// A dependency as the manifest lists it.
struct Listed<'a> {
    /// The tables that lead to it.
    list: Vec<&'a str>,
    name: &'a str,
    value: &'a Value,
}

impl<'a> Manifest<'a> {
    /// Reads the manifest; an empty one is none.
    pub(super) fn of(function: &'a Function) -> Result<Self, PlanError> {
        let path = function.deps_file.as_ref().or_else(|| function.top(MANIFEST));
        let none = Manifest { path: None, text: "", table: Table::new(), is_locked: false };
        let Some(path) = path else { return Ok(none) };
        let text = text(function, path)?;
        let table: Table = text.parse().map_err(|error| syntax(path.as_str(), text, &error))?;
        if table.is_empty() {
            return Ok(none);
        }
        let is_locked = function.top(LOCK).is_some();
        let manifest = Manifest { path: Some(path), text, table, is_locked };
        manifest.is_buildable()?;
        manifest.finds_its_paths(function)?;
        Ok(manifest)
    }

    /// The package's name.
    pub(super) fn package(&self) -> &str {
        self.package_key("name").and_then(Value::as_str).unwrap_or(UNNAMED)
    }

    /// The library's name in paths.
    pub(super) fn library(&self) -> String {
        let named = self.at(&["lib", "name"]).and_then(Value::as_str);
        named.unwrap_or_else(|| self.package()).replace('-', "_")
    }

    /// The file that the manifest names as the library's root.
    pub(super) fn library_file(&self, function: &Function) -> Result<Option<RelPath>, PlanError> {
        let Some(named) = self.at(&["lib", "path"]).and_then(Value::as_str) else { return Ok(None) };
        let found =
            function.files.get_key_value(named.trim_start_matches("./")).map(|(path, _)| path.clone());
        match found {
            Some(path) => Ok(Some(path)),
            None => Err(self.wrong(
                &["lib", "path"],
                format!("there is no file {named}"),
                "name a file of the function",
            )),
        }
    }

    /// Whether a package must be brought in; our own stands beside the function.
    pub(super) fn fetches(&self) -> bool {
        let mut listed =
            self.listed().filter(|one| self.is_locked || one.list.last() != Some(&"dev-dependencies"));
        listed.any(|one| one.package() != API) || self.at(&["workspace", "members"]).is_some()
    }

    /// The packages that are asked for, each with its version.
    pub(super) fn asked(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.listed().filter(|one| one.package() != API).map(|one| {
            let version = one.value.as_str().or_else(|| one.value.get("version")?.as_str());
            (one.value.get("package").and_then(Value::as_str).unwrap_or(one.name), version)
        })
    }

    /// What was decided.
    pub(super) fn because(&self) -> Option<String> {
        let chosen = self.at(&["profile", "release", "panic"])?.as_str()?;
        (chosen != "unwind").then(|| {
            format!("`panic = {chosen:?}` is not obeyed: a request that panics must not end the server")
        })
    }

    /// Refuses an edition or a compiler's version that this one does not have.
    pub(super) fn admits(&self, rustc: &Version) -> Result<(), PlanError> {
        let version = |text: &str| text.parse::<Version>().ok();
        if let Some(edition) = self.package_key("edition").and_then(Value::as_str) {
            let place = &["package", "edition"];
            match EDITIONS.iter().find(|(known, _)| *known == edition) {
                None => {
                    let known = EDITIONS.map(|(edition, _)| edition).join(", ");
                    let message = format!("the edition {edition:?} is not known");
                    return Err(self.wrong(place, message, &format!("choose one of {known}")));
                }
                Some((_, since)) if version(since).is_some_and(|since| *rustc < since) => {
                    let message =
                        format!("the edition {edition} needs Rust {since}, and this image has {rustc}");
                    let hint = format!("choose an image with Rust {since} or later, or an older edition");
                    return Err(PlanError::Version(self.place(place, message).hint(hint)));
                }
                Some(_) => {}
            }
        }
        let Some(least) = self.package_key("rust-version").and_then(Value::as_str) else { return Ok(()) };
        if version(least).is_some_and(|least| *rustc < least) {
            let message = format!("the function needs Rust {least}, and this image has {rustc}");
            let hint = format!("choose an image with Rust {least} or later, or lower `rust-version`");
            return Err(PlanError::Version(self.place(&["package", "rust-version"], message).hint(hint)));
        }
        Ok(())
    }

    /// The build script of the function's own.
    pub(super) fn build_script<'s>(&'s self, function: &'s Function) -> Option<&'s str> {
        match self.package_key("build") {
            Some(Value::String(named)) => Some(named.as_str()),
            Some(_) => None,
            None => function.top("build.rs").map(RelPath::as_str),
        }
    }

    /// Refuses a build script of the function's own.
    pub(super) fn has_no_build_script(&self, function: &Function) -> Result<(), PlanError> {
        self.build_script(function).map_or(Ok(()), |script| {
            let found = Diagnostic::new("the function has a build script, and none may run here");
            let found = found.at(script, None, None);
            Err(PlanError::Dependencies(found.hint("do without it, or ask for INJECTOR_BUILD_SCRIPTS=allow")))
        })
    }

    /// The manifest that cargo gets. The function's package is the root, so that its profiles, patches and workspace hold
    /// as they do for cargo elsewhere; our program is added to it, and what else it would make is left out.
    pub(super) fn generated(&self, entry: &Entry) -> String {
        let mut table = self.table.clone();
        for kind in ["bin", "example", "test", "bench"] {
            table.remove(kind);
        }
        if !self.is_locked {
            remove_dev_dependencies(&mut table);
        }
        let package = inner(&mut table, "package");
        package.remove("default-run");
        for (key, value) in [("name", UNNAMED), ("version", "0.0.0"), ("edition", "2021")] {
            let absent = self.package_key("name").is_none() && !package.contains_key(key);
            if absent {
                package.insert(key.to_owned(), value.into());
            }
        }
        for kind in ["autobins", "autoexamples", "autotests", "autobenches"] {
            package.insert(kind.to_owned(), false.into());
        }
        let library = inner(&mut table, "lib");
        for (key, value) in [("name", self.library()), ("path", entry.root.to_string())] {
            library.insert(key.to_owned(), value.into());
        }
        library.remove("crate_type");
        library.insert("crate-type".to_owned(), Value::Array(vec!["lib".into()]));
        inner(&mut table, "dependencies")
            .insert(API.to_owned(), API_PATH.parse::<Table>().unwrap_or_default().into());
        let release = inner(inner(&mut table, "profile"), "release");
        release.insert("panic".to_owned(), "unwind".into());
        inner(&mut table, "workspace");
        let program = [("name", PROGRAM), ("path", "../glue/main.rs")];
        let program: Table = program.map(|(key, value)| (key.to_owned(), value.into())).into_iter().collect();
        table.insert("bin".to_owned(), Value::Array(vec![program.into()]));
        table.to_string()
    }

    /// Refuses what cannot become a function.
    fn is_buildable(&self) -> Result<(), PlanError> {
        if self.at(&["lib", "proc-macro"]).and_then(Value::as_bool) == Some(true) {
            return Err(self.wrong(
                &["lib", "proc-macro"],
                "a procedural macro is no function",
                "make it a dependency",
            ));
        }
        if self.package() == API {
            let hint = "give the function another name";
            return Err(self.wrong(
                &["package", "name"],
                format!("the name {API} is taken by what functions use"),
                hint,
            ));
        }
        if let Some(alias) = self.listed().find(|one| one.package() == API && one.name != API) {
            let mut path = alias.list.clone();
            path.push(alias.name);
            return Err(self.wrong(
                &path,
                format!("{API} is listed under another name"),
                "list it under its own",
            ));
        }
        let is_package = self.table.contains_key("package");
        if let (Some(_), false) = (self.table.get("workspace"), is_package) {
            let message = "a workspace without a package of its own is no function";
            return Err(self.wrong(
                &["workspace"],
                message,
                "mount one of its members, or add a [package] here",
            ));
        }
        if self.table.contains_key("workspace") {
            return Ok(());
        }
        let hint = "write what it stands for in the workspace's manifest: that is not part of the function";
        let inherits = |value: &Value| value.get("workspace").and_then(Value::as_bool) == Some(true);
        let message = |key: &str| format!("`{key}` is inherited from a workspace, which is not here");
        for (key, value) in self.table.get("package").and_then(Value::as_table).into_iter().flatten() {
            if key == "workspace" || inherits(value) {
                return Err(self.wrong(&["package", key], message(key), hint));
            }
        }
        if let Some(inherited) = self.listed().find(|one| inherits(one.value)) {
            let path: Vec<&str> = inherited.list.iter().copied().chain([inherited.name]).collect();
            return Err(self.wrong(&path, message(inherited.name), hint));
        }
        match self.table.get("lints") {
            Some(lints) if inherits(lints) => Err(self.wrong(&["lints"], message("lints"), hint)),
            _ => Ok(()),
        }
    }

    /// Refuses dependencies by paths that are not part of the function.
    fn finds_its_paths(&self, function: &Function) -> Result<(), PlanError> {
        for one in self.listed().filter(|one| one.package() != API) {
            let Some(path) = one.value.get("path").and_then(Value::as_str) else { continue };
            let place: Vec<&str> = one.list.iter().copied().chain([one.name, "path"]).collect();
            let below = MANIFEST
                .parse()
                .ok()
                .and_then(|own: RelPath| own.sibling(&format!("{path}/{MANIFEST}")).ok());
            let message = match below {
                None => format!("{path} lies outside of the function"),
                Some(file) if !function.files.contains_key(&file) => format!("there is no {file}"),
                Some(_) => continue,
            };
            let found = self.place(&place, message);
            return Err(PlanError::Dependencies(
                found.hint("bring the package along, in a directory of the function"),
            ));
        }
        Ok(())
    }

    /// All dependencies, of every kind and platform.
    fn listed(&self) -> impl Iterator<Item = Listed<'_>> {
        let platforms = self.table.get("target").and_then(Value::as_table).into_iter().flatten();
        let platforms = platforms.filter_map(|(name, value)| Some((vec!["target", name], value.as_table()?)));
        std::iter::once((Vec::new(), &self.table)).chain(platforms).flat_map(|(path, table)| {
            LISTS.into_iter().flat_map(move |list| {
                let path: Vec<&str> = path.iter().copied().chain([list]).collect();
                let entries = table.get(list).and_then(Value::as_table).into_iter().flatten();
                entries.map(move |(name, value)| Listed { list: path.clone(), name, value })
            })
        })
    }

    fn package_key(&self, key: &str) -> Option<&Value> {
        self.at(&["package", key])
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.table.get(*first)?, |value, key| value.get(key))
    }

    /// A manifest that cannot be obeyed.
    fn wrong(&self, path: &[&str], message: impl Into<String>, hint: &str) -> PlanError {
        PlanError::Manifest(self.place(path, message).hint(hint))
    }

    /// A message at a key of the manifest.
    fn place(&self, path: &[&str], message: impl Into<String>) -> Diagnostic {
        let found = DeTable::parse(self.text).ok().and_then(|table| span(table.get_ref(), path));
        let (line, column) = found.map(|span| position(self.text, span.start)).unzip();
        Diagnostic::new(message).at(self.path.map_or(MANIFEST, RelPath::as_str), line, column)
    }
}

impl Listed<'_> {
    /// The package's own name.
    fn package(&self) -> &str {
        self.value.get("package").and_then(Value::as_str).unwrap_or(self.name)
    }
}

/// How our crate is listed: within the function's directory, since cargo names what it compiles by paths, unless they are in
/// the workspace. Else two builds of one function would differ with their rooms.
const API_PATH: &str = "path = \".kubeless\"";

/// The files on which resolving depends: wherever a package or a configuration of cargo's is.
pub(super) fn files(function: &Function) -> BTreeSet<RelPath> {
    let named = |path: &&RelPath| {
        [MANIFEST, LOCK].contains(&path.name())
            || path.as_str().starts_with(".cargo/")
            || function.deps_file.as_ref() == Some(path)
    };
    function.files.keys().filter(named).cloned().collect()
}

/// A file that is not TOML.
pub(super) fn syntax(path: &str, text: &str, error: &toml::de::Error) -> PlanError {
    let (line, column) = error.span().map(|span| position(text, span.start)).unzip();
    let found = Diagnostic::new(error.message().replace('\n', ", ")).at(path, line, column);
    let is_version = error.message().contains("float");
    PlanError::Manifest(if is_version { found.hint("a version is a text: \"1.0.0\"") } else { found })
}

/// Where a key stands.
fn span(table: &DeTable<'_>, path: &[&str]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    let (key, value): (_, &Spanned<DeValue<'_>>) =
        table.iter().find(|(key, _)| key.get_ref().as_ref() == *first)?;
    match value.get_ref() {
        DeValue::Table(below) if !rest.is_empty() => span(below, rest),
        _ => Some(key.span()),
    }
}

fn remove_dev_dependencies(table: &mut Table) {
    table.remove("dev-dependencies");
    let platforms = table.get_mut("target").and_then(Value::as_table_mut);
    for (_, platform) in platforms.into_iter().flatten() {
        platform.as_table_mut().map(|platform| platform.remove("dev-dependencies"));
    }
}

/// A table in a table, made where there is none.
fn inner<'t>(table: &'t mut Table, key: &str) -> &'t mut Table {
    let value = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
    if !value.is_table() {
        *value = Value::Table(Table::new());
    }
    match value {
        Value::Table(table) => table,
        _ => unreachable!("it was made a table"),
    }
}
