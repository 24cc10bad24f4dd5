//! What the output of our helpers and of the installers means, in the author's terms.

mod build;
mod network;
mod packages;

use serde::Deserialize;

use self::packages::{OnlyWheels, Said};
use super::grammar::normalise;
use super::manifest::Manifest;
use crate::Package;
use crate::checked::{self, Words, broken, helper};
use crate::diagnostic::{Diagnostic, Output};
use crate::function::Function;
use crate::plan::{Action, Step};

/// Says what a failed step means, most important first.
pub(super) fn diagnose(step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
    match step.name.as_str() {
        "check" => checked::check(output, super::handler(function).ok().as_ref(), WORDS),
        "conflicts" => conflicts(output, function),
        "export" | "install" => installer(step, output, function),
        _ => Vec::new(),
    }
}

/// The packages that are installed, as the step that looks for conflicts found them.
pub(super) fn packages(step: &Step, output: &Output) -> Vec<Package> {
    match step.name.as_str() {
        "conflicts" => helper::<Conflicts>(output).map_or_else(Vec::new, |report| report.packages),
        _ => Vec::new(),
    }
}

/// How Python speaks of a handler that is not there.
const WORDS: Words =
    Words { verb: "define", done: "defined", example: |function| format!("def {function}(event, context):") };

/// What `conflicts.py` prints.
#[derive(Debug, Deserialize)]
struct Conflicts {
    packages: Vec<Package>,
    conflicts: Vec<Conflict>,
}

#[derive(Debug, Deserialize)]
struct Conflict {
    package: String,
    version: String,
    requires: String,
    found: Option<String>,
}

fn conflicts(output: &Output, function: &Function) -> Vec<Diagnostic> {
    let Some(report) = helper::<Conflicts>(output) else {
        return broken(output);
    };
    let manifest = Manifest::of(function).ok();
    let entries = manifest.as_ref().map(Manifest::entries).unwrap_or_default();
    let meaning = |conflict: Conflict| {
        let there = conflict.found.unwrap_or_else(|| "none".to_owned());
        let Conflict { package, version, requires, .. } = conflict;
        let message = format!("{package} {version} needs {requires}, and {there} is installed");
        let name = normalise(&package);
        let entry = entries.iter().find(|entry| entry.name.as_ref() == Some(&name));
        let message = Diagnostic::new(message).hint("choose versions that go together");
        match entry {
            Some(entry) => message.at(entry.file.as_str(), Some(entry.line), None),
            None => message,
        }
    };
    report.conflicts.into_iter().map(meaning).collect()
}

/// What pip or uv said. Evidence of the platform wins over what the installer concludes: with the
/// registry down, pip says at last that there is no such package.
fn installer(step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
    let text = format!("{}\n{}", output.stdout, output.stderr);
    let lasting = network::lasting(&text);
    if let Some(evidence) = network::evidence(&lasting) {
        return vec![evidence];
    }
    let manifest = Manifest::of(function).ok();
    let only_wheels = match &step.action {
        Action::Run(run) if run.args.contains(&":all:".into()) => OnlyWheels::Yes,
        _ => OnlyWheels::No,
    };
    let said = Said {
        text: &text,
        flat: &flat(&text),
        function,
        entries: &manifest.as_ref().map(Manifest::entries).unwrap_or_default(),
        only_wheels,
    };
    let found = packages::diagnose(&said);
    if found.is_empty() {
        network::evidence(&text).or_else(|| last_error(&text)).into_iter().collect()
    } else {
        found
    }
}

/// The text on one line, without the frames that uv and pip draw.
fn flat(text: &str) -> String {
    let words =
        text.split(|c: char| c.is_whitespace() || "│╰╭─├▶×".contains(c)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// The installer's last words, where nothing better is known.
fn last_error(text: &str) -> Option<Diagnostic> {
    let error =
        |line: &str| line.strip_prefix("ERROR: ").or_else(|| line.strip_prefix("error: ")).map(str::to_owned);
    text.lines().rev().find_map(error).map(Diagnostic::new)
}
