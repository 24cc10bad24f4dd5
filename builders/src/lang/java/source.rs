//! The function's own Java files: which holds the handler, which class that is, and which are compiled.

use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::pattern;
use crate::error::PlanError;
use crate::function::{Function, Handler, RelPath};
use crate::near::no_module;
use crate::plan::{Dir, Place};

/// Where Maven looks for classes, and for what lies beside them.
const MAIN: &str = "src/main/java/";
const RESOURCES: &str = "src/main/resources";
/// Where it looks for tests.
const TESTS: &str = "src/test/";

/// What is compiled.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    /// What is called.
    pub(super) handler: Handler,
    /// Its file.
    pub(super) file: RelPath,
    /// Its class, with the package.
    pub(super) class: String,
    /// All files that are compiled.
    pub(super) files: Vec<&'a RelPath>,
    /// What stands on the class path as it is.
    pub(super) resources: Option<Place>,
    /// What was decided about them, and why.
    pub(super) because: Option<String>,
}

impl<'a> Sources<'a> {
    /// The Java files of a function.
    ///
    /// # Errors
    /// When the handler's file is not among them.
    pub(super) fn of(function: &'a Function) -> Result<Self, PlanError> {
        let (handler, file) = handler(function)?;
        let has_main = function.files.keys().any(|path| is_java(path) && path.as_str().starts_with(MAIN));
        let is_main = |path: &&RelPath| !has_main || path.as_str().starts_with(MAIN) || **path == file;
        let is_test = |path: &RelPath| path.as_str().starts_with(TESTS);
        let own = function.files.keys().filter(|path| is_java(path) && !is_test(path)).filter(is_main);
        // On the class path a module's name means nothing, and javac would look for dependencies elsewhere.
        let (modules, files): (Vec<_>, Vec<_>) = own.partition(|path| path.name() == "module-info.java");
        let has_resources =
            function.files.keys().any(|path| path.as_str().starts_with("src/main/resources/"));
        let is_other = |path: &&RelPath| !is_java(path) && !["pom.xml", "handler"].contains(&path.as_str());
        let beside = !has_main && function.files.keys().any(|path| is_other(&path));
        let resources = if has_resources { Some(super::place(Dir::Source, RESOURCES)) } else { None };
        Ok(Sources {
            class: class(function, &file),
            handler,
            file,
            files,
            resources: resources.or_else(|| beside.then(|| Dir::Source.into())),
            because: modules
                .first()
                .map(|path| format!("{path} is left out: functions run from the class path")),
        })
    }
}

impl Sources<'_> {
    /// Whether the files stand where their author put them, and not where Maven looks for them.
    pub(super) fn are_flat(&self) -> bool {
        !self.files.iter().any(|path| path.as_str().starts_with(MAIN))
    }
}

fn is_java(path: &RelPath) -> bool {
    path.extension() == Some("java")
}

/// The handler and its file: module `a.B` is `a/B.java`, also below `src/main/java/`, or else the one file whose class
/// has that name, with its package or without.
pub(super) fn handler(function: &Function) -> Result<(Handler, RelPath), PlanError> {
    let sources = || function.files.keys().filter(|path| is_java(path) && !path.as_str().starts_with(TESTS));
    let Some(handler) = function.handler.clone() else {
        let candidates = sources().take(5).map(|path| format!("{}.<method>", class(function, path)));
        return Err(PlanError::NoHandler { candidates: candidates.collect() });
    };
    let stem = format!("{}.java", handler.module.replace('.', "/"));
    let expected = [stem.clone(), format!("{MAIN}{stem}")];
    let written = expected.iter().find_map(|name| function.files.get_key_value(name.as_str()));
    let only = |is_named: &dyn Fn(&RelPath) -> bool| {
        let mut files = sources().filter(|path| is_named(path));
        files.next().filter(|_| files.next().is_none())
    };
    let found = written
        .map(|(path, _)| path)
        .or_else(|| only(&|path| class(function, path) == handler.module))
        .or_else(|| only(&|path| stem_of(path) == handler.module));
    match found {
        Some(file) => Ok((handler, file.clone())),
        None => Err(no_module(function, handler, expected.into(), |path| {
            let is_source = is_java(path) && !path.as_str().starts_with(TESTS);
            is_source.then(|| vec![class(function, path).replace('.', "/")])
        })),
    }
}

fn stem_of(path: &RelPath) -> &str {
    path.name().strip_suffix(".java").unwrap_or(path.name())
}

/// The name of the class that a file is called after, with the package that stands in it.
pub(super) fn class(function: &Function, file: &RelPath) -> String {
    // Before it there are only comments: <https://docs.oracle.com/javase/specs/jls/se21/html/jls-7.html#jls-7.3>.
    static PACKAGE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^\u{feff}?(?:\s|//[^\n]*(?:\n|$)|/\*(?s:.*?)\*/)*package\s+([\w$.\s]+?)\s*;")
    });
    let text = function.text(file).unwrap_or_default();
    let stem = stem_of(file);
    match PACKAGE.captures(text) {
        Some(found) => format!("{}.{stem}", found[1].split_whitespace().collect::<String>()),
        None => stem.to_owned(),
    }
}
