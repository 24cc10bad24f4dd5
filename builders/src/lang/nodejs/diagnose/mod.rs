//! What the output of our helpers, of npm and of pnpm means, in the author's terms.

mod engines;
mod git;
mod lock;
mod network;
mod packages;
mod peers;
mod scripts;
mod words;

use serde::Deserialize;

use self::words::Said;
use super::manifest::Manifest;
use crate::Package;
use crate::checked::{self, Words, broken, helper};
use crate::diagnostic::{Diagnostic, Output};
use crate::function::Function;
use crate::plan::{Action, Step};

/// Says what a failed step means, most important first.
pub(super) fn diagnose(step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
    let Action::Run(run) = &step.action else { return Vec::new() };
    let said = || Said::of(&run.tool, output, function);
    match step.name.split_once(' ').map_or((step.name.as_str(), None), |(step, name)| (step, Some(name))) {
        ("check", _) => checked::check(output, super::handler(function).ok().as_ref(), WORDS),
        ("packages", _) => refused(output, function),
        ("install", _) => installer(&said()),
        ("scripts", _) => scripts::of_packages(&said()),
        ("script", Some(name)) => scripts::own(&said(), name),
        _ => Vec::new(),
    }
}

/// The packages that are installed, as our helper found them.
pub(super) fn packages(step: &Step, output: &Output) -> Vec<Package> {
    match step.name.as_str() {
        "packages" => helper::<Installed>(output).map_or_else(Vec::new, |installed| installed.packages),
        _ => Vec::new(),
    }
}

/// How Node.js speaks of a handler that is not there.
const WORDS: Words = Words {
    verb: "export",
    done: "exported",
    example: |function| format!("module.exports = {{ {function}: (event, context) => … }}"),
};

/// What `packages.cjs` prints.
#[derive(Debug, Deserialize)]
struct Installed {
    packages: Vec<Package>,
    scripts: Vec<Script>,
}

#[derive(Debug, Deserialize)]
struct Script {
    name: String,
    version: String,
    script: String,
}

/// Packages that have code to run, where none may.
fn refused(output: &Output, function: &Function) -> Vec<Diagnostic> {
    let Some(installed) = helper::<Installed>(output) else {
        return broken(output);
    };
    let manifest = Manifest::of(function).ok().flatten();
    let refuse = |Script { name, version, script }| {
        let message = format!(
            "{name} {version} has the script `{script}`, and code of dependencies may not run at build time here"
        );
        words::at(manifest.as_ref(), &name, message)
            .hint("ask for a version that has none, or the operator for INJECTOR_BUILD_SCRIPTS=allow")
    };
    installed.scripts.into_iter().map(refuse).collect()
}

/// What npm or pnpm said. Its code is what ended it; trouble that passed has none.
fn installer(said: &Said<'_>) -> Vec<Diagnostic> {
    let found = packages::by_code(said);
    if found.is_empty() {
        let found = network::evidence(said).or_else(|| packages::by_words(said));
        found.or_else(|| said.last_words()).into_iter().collect()
    } else {
        found
    }
}
