//! Reads `pyproject.toml` and compares it with `uv.lock`: a lock is obeyed, so it must be up to date.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::grammar::{self, Entry};
use crate::diagnostic::Diagnostic;
use crate::error::PlanError;
use crate::function::Function;
use crate::tables::{malformed, position};
use crate::toolchain::Version;

/// The file that lists a project's dependencies.
pub(super) const PYPROJECT: &str = "pyproject.toml";
/// The file that pins them.
pub(super) const LOCK: &str = "uv.lock";

/// A dependency of `pyproject.toml`: as it is written, and what is known of it.
#[derive(Debug)]
pub(super) struct Dependency {
    /// The requirement.
    pub(super) text: String,
    /// Its name and place.
    pub(super) entry: Entry,
}

/// The part of `pyproject.toml` that lists dependencies: <https://packaging.python.org/en/latest/specifications/pyproject-toml/>.
#[derive(Debug, Deserialize)]
struct Pyproject {
    project: Option<Project>,
    tool: Option<Tool>,
}

#[derive(Debug, Deserialize)]
struct Project {
    dependencies: Option<Vec<Spanned<String>>>,
    dynamic: Option<Vec<Spanned<String>>>,
    #[serde(rename = "requires-python")]
    requires_python: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
struct Tool {
    poetry: Option<Poetry>,
}

#[derive(Debug, Deserialize)]
struct Poetry {
    dependencies: Option<Spanned<toml::Table>>,
}

/// Reads the dependencies of a project.
///
/// # Errors
/// When the file is malformed, or lists its dependencies where only another tool finds them.
pub(super) fn project(text: &str) -> Result<Vec<Dependency>, PlanError> {
    let parsed: Pyproject =
        toml::from_str(text).map_err(|error| PlanError::Manifest(malformed(PYPROJECT, text, &error)))?;
    let located = |span: std::ops::Range<usize>, message: &str, hint: &str| {
        let (line, _) = position(text, span.start);
        PlanError::Dependencies(Diagnostic::new(message).at(PYPROJECT, Some(line), None).hint(hint))
    };
    let Some(project) = parsed.project else {
        let poetry = parsed.tool.and_then(|tool| tool.poetry?.dependencies);
        let listed = poetry.filter(|table| table.get_ref().keys().any(|name| name != "python"));
        return listed.map_or(Ok(Vec::new()), |table| {
            Err(located(
                table.span(),
                "these dependencies are in Poetry's own form, which pip and uv do not read",
                "move them to `[project] dependencies`, or add a requirements.txt (`poetry export`)",
            ))
        });
    };
    let computed =
        project.dynamic.unwrap_or_default().into_iter().find(|name| name.get_ref() == "dependencies");
    if let Some(computed) = computed {
        return Err(located(
            computed.span(),
            "the dependencies are dynamic: only the project's build could tell them",
            "list them in `[project] dependencies`, or add a requirements.txt",
        ));
    }
    project.dependencies.unwrap_or_default().into_iter().map(|written| dependency(text, &written)).collect()
}

/// Compares the interpreter with the versions that a project is for: uv exports a lock for any, and
/// what it pins may then not be there for this one.
///
/// # Errors
/// When the project is for other versions. Specifiers with letters are left to the installer.
pub(super) fn admits(function: &Function, found: &Version) -> Result<(), PlanError> {
    let text = function.top(PYPROJECT).and_then(|path| function.text(path)).unwrap_or_default();
    let parsed: Option<Pyproject> = toml::from_str(text).ok();
    let Some(wanted) = parsed.and_then(|parsed| parsed.project?.requires_python) else { return Ok(()) };
    if wanted.get_ref().split(',').all(|specifier| holds(specifier, found).unwrap_or(true)) {
        return Ok(());
    }
    let (line, _) = position(text, wanted.span().start);
    let message = format!("the project is for Python {}, this image has {found}", wanted.get_ref());
    Err(PlanError::Version(
        Diagnostic::new(message)
            .at(PYPROJECT, Some(line), None)
            .hint("choose an image of such a version, or widen `requires-python`"),
    ))
}

/// Whether a version satisfies one specifier; `None` for what is not plain numbers.
/// <https://packaging.python.org/en/latest/specifications/version-specifiers/>
fn holds(specifier: &str, found: &Version) -> Option<bool> {
    let specifier = specifier.trim();
    let text = specifier.trim_start_matches(['<', '>', '=', '!', '~']);
    let operator = &specifier[..specifier.len() - text.len()];
    let prefix = text.trim().strip_suffix(".*");
    let wanted: Version = prefix.unwrap_or(text.trim()).parse().ok()?;
    let numbers = wanted.to_string();
    if numbers != prefix.unwrap_or(text.trim()) {
        return None;
    }
    let count = numbers.split('.').count();
    // 3.12 means 3.12.0, and 3.12.4 is after it.
    let same = if prefix.is_some() { found.is(&wanted) } else { found.is(&wanted) && count >= 3 };
    match operator {
        ">=" => Some(*found >= wanted),
        "<" => Some(*found < wanted),
        ">" => Some(*found > wanted && !same),
        "<=" => Some(*found < wanted || same),
        "==" => Some(same),
        "!=" => Some(!same),
        "~=" => Some(*found >= wanted && found.is(&wanted.prefix(count - 1))),
        _ => None,
    }
}

fn dependency(text: &str, written: &Spanned<String>) -> Result<Dependency, PlanError> {
    let (line, column) = position(text, written.span().start);
    let requirement = written.get_ref().trim();
    let malformed = |message: String, hint: &str, offset: usize| {
        let column = column.saturating_add(1).saturating_add(u32::try_from(offset).unwrap_or(0));
        PlanError::Manifest(Diagnostic::new(message).at(PYPROJECT, Some(line), Some(column)).hint(hint))
    };
    if requirement.contains(char::is_control) {
        return Err(malformed("a dependency is one line".to_owned(), "write each as a string of its own", 0));
    }
    let entry = grammar::entry(requirement, PYPROJECT, line)
        .map_err(|bad| malformed(bad.message, bad.hint, bad.offset))?;
    if entry.name.is_none() {
        let hint = "write `name @ URL`";
        return Err(malformed("a dependency of a project begins with its name".to_owned(), hint, 0));
    }
    Ok(Dependency { text: requirement.to_owned(), entry })
}

/// The part of `uv.lock` that says what it was made from.
#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    source: BTreeMap<String, toml::Value>,
    #[serde(rename = "metadata")]
    made_from: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    requires_dist: Option<Vec<Dist>>,
}

#[derive(Debug, Deserialize)]
struct Dist {
    name: String,
    #[serde(default)]
    extras: BTreeSet<String>,
    specifier: Option<String>,
    marker: Option<String>,
}

/// What a plan must know of a lock.
#[derive(Debug, Default)]
pub(super) struct Locked {
    /// Packages that have no hash, because they come from a directory or a repository.
    pub(super) unhashed: Vec<String>,
    /// Whether all of them come from other machines.
    pub(super) is_remote: bool,
}

/// Reads a lock and compares it with the project's dependencies.
///
/// # Errors
/// When it is malformed, or was made from other dependencies.
pub(super) fn lock(text: &str, dependencies: &[Dependency]) -> Result<Locked, PlanError> {
    let lock: Lock =
        toml::from_str(text).map_err(|error| PlanError::Manifest(malformed(LOCK, text, &error)))?;
    let is_root = |package: &&Package| {
        ["virtual", "editable"]
            .iter()
            .any(|kind| package.source.get(*kind).and_then(toml::Value::as_str) == Some("."))
    };
    if let Some(root) = lock.package.iter().find(is_root) {
        let dists = root.made_from.as_ref().and_then(|made_from| made_from.requires_dist.as_deref());
        compare(dists.unwrap_or_default(), dependencies)?;
    }
    let hashless = |package: &&Package| {
        ["git", "directory", "editable"].iter().any(|kind| package.source.contains_key(*kind))
    };
    let others = || lock.package.iter().filter(|package| !is_root(package));
    // registry = "https://…", url = "https://…", git = "https://…"; path, directory, editable and virtual are none.
    let far = |source: &toml::Value| source.as_str().is_some_and(grammar::is_remote);
    Ok(Locked {
        unhashed: others().filter(hashless).map(|package| package.name.clone()).collect(),
        is_remote: others().all(|package| package.source.values().all(far)),
    })
}

/// A package's extras and version specifiers, as far as they can be compared: `None` where uv writes them otherwise.
type Wanted = BTreeSet<(BTreeSet<String>, Option<BTreeSet<String>>)>;

fn compare(locked: &[Dist], dependencies: &[Dependency]) -> Result<(), PlanError> {
    let mut before: BTreeMap<String, Wanted> = BTreeMap::new();
    // What an extra of the project itself needs is not among its dependencies.
    let own = |dist: &&Dist| !dist.marker.as_deref().is_some_and(|marker| marker.contains("extra =="));
    for dist in locked.iter().filter(own) {
        let specifier = canonical(dist.specifier.as_deref().unwrap_or_default());
        before.entry(dist.name.clone()).or_default().insert((dist.extras.clone(), specifier));
    }
    let mut now: BTreeMap<String, Wanted> = BTreeMap::new();
    for dependency in dependencies {
        let name = dependency.entry.name.clone().unwrap_or_default();
        now.entry(name).or_default().insert(wanted(&dependency.text));
    }
    let comparable = |wanted: &Wanted| wanted.iter().all(|(_, specifier)| specifier.is_some());
    let differs = |name: &str| match (before.get(name), now.get(name)) {
        (Some(before), Some(now)) => comparable(before) && comparable(now) && before != now,
        _ => true,
    };
    let names: BTreeSet<_> = before.keys().chain(now.keys()).filter(|name| differs(name)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let drift: Vec<_> = names
        .iter()
        .map(|name| match (before.contains_key(*name), now.contains_key(*name)) {
            (true, true) => format!("{name} was changed"),
            (true, false) => format!("{name} was removed"),
            _ => format!("{name} was added"),
        })
        .collect();
    let place =
        dependencies.iter().find(|one| one.entry.name.as_ref().is_some_and(|name| names.contains(name)));
    let message = format!("{LOCK} was made from other dependencies: {}", drift.join(", "));
    Err(PlanError::Dependencies(
        Diagnostic::new(message)
            .at(PYPROJECT, place.map(|one| one.entry.line), None)
            .hint(format!("run `uv lock` and deploy the {LOCK} that it writes")),
    ))
}

/// Extras and specifiers of a requirement whose form was checked.
fn wanted(text: &str) -> (BTreeSet<String>, Option<BTreeSet<String>>) {
    let text = text.split(';').next().unwrap_or(text);
    let rest = text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "._-".contains(c)).trim();
    let (extras, specifier) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((extras, specifier)) => (extras, specifier),
        None => ("", rest),
    };
    let extras = extras.split(',').map(str::trim).filter(|extra| !extra.is_empty());
    // A URL is written otherwise in a lock.
    let specifier =
        if specifier.contains('@') { None } else { canonical(specifier.trim().trim_matches(['(', ')'])) };
    (extras.map(grammar::normalise).collect(), specifier)
}

/// Specifiers as uv writes them; `None` for versions with letters, which have many spellings.
fn canonical(specifiers: &str) -> Option<BTreeSet<String>> {
    let one = |specifier: &str| {
        let specifier: String = specifier.chars().filter(|c| !c.is_whitespace()).collect();
        let version = specifier.trim_start_matches(['<', '>', '=', '!', '~']);
        let operator = &specifier[..specifier.len() - version.len()];
        let number =
            |part: &str| part.parse::<u64>().map_or_else(|_| part.to_owned(), |number| number.to_string());
        let plain = version.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '*');
        let parts: Vec<_> = version.split('.').map(number).collect();
        plain.then(|| format!("{operator}{}", parts.join(".")))
    };
    specifiers.split(',').filter(|specifier| !specifier.trim().is_empty()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specifier_holds_or_not_as_the_standard_says() {
        let found = "3.11.7".parse().expect("a version");
        for (specifier, expected) in [
            (">=3.9", Some(true)),
            (">= 3.12", Some(false)),
            ("<3.12", Some(true)),
            ("<3.11", Some(false)),
            ("<=3.11.7", Some(true)),
            (">3.11.7", Some(false)),
            ("==3.11.*", Some(true)),
            ("==3.12.*", Some(false)),
            ("!=3.11.*", Some(false)),
            ("~=3.9", Some(true)),
            ("~=3.11.2", Some(true)),
            ("~=3.10.2", Some(false)),
            (">=3.12rc1", None),
            ("3.11", None),
        ] {
            assert_eq!(holds(specifier, &found), expected, "{specifier}");
        }
    }
}
