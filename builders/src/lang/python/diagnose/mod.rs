//! What the output of our helpers and of the installers means, in the author's terms.

mod build;
mod network;
mod packages;

use serde::Deserialize;

use self::packages::{OnlyWheels, Said};
use super::grammar::normalise;
use super::manifest::Manifest;
use crate::Package;
use crate::diagnostic::{Blame, Diagnostic, Output};
use crate::function::Function;
use crate::plan::{Action, Step};

/// Says what a failed step means, most important first.
pub(super) fn diagnose(step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
    match step.name.as_str() {
        "check" => check(output, function),
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

/// What `check.py` prints.
#[derive(Debug, Deserialize)]
struct Checked {
    errors: Vec<SyntaxError>,
    handler: Option<Names>,
}

#[derive(Debug, Deserialize)]
struct SyntaxError {
    file: String,
    line: Option<u32>,
    column: Option<u32>,
    message: String,
    source: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Names {
    state: String,
    names: Vec<Name>,
}

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
    line: u32,
}

fn check(output: &Output, function: &Function) -> Vec<Diagnostic> {
    let Some(checked) = helper::<Checked>(output) else {
        return broken(output);
    };
    let mut found: Vec<_> = checked.errors.into_iter().map(syntax).collect();
    let missing = checked.handler.filter(|handler| handler.state == "missing");
    if let (Some(names), Ok((handler, file))) = (missing, super::handler(function)) {
        let message = format!("`{}` is not defined", handler.function);
        let there: Vec<_> =
            names.names.iter().map(|name| format!("{} (line {})", name.name, name.line)).collect();
        let hint = if there.is_empty() {
            format!("define it: `def {}(event, context):`", handler.function)
        } else {
            format!(
                "the file defines {}; name one of them, or define `{}`",
                there.join(", "),
                handler.function
            )
        };
        found.push(Diagnostic::new(message).at(file.as_str(), None, None).hint(hint));
    }
    found
}

fn syntax(error: SyntaxError) -> Diagnostic {
    let source = error.source.filter(|source| !source.trim().is_empty());
    let detail = source.map(|source| format!("\n    {}", source.trim())).unwrap_or_default();
    Diagnostic::new(format!("{}{detail}", error.message)).at(error.file, error.line, error.column)
}

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

/// What one of our helpers printed, if it did its work: 0 is well, 1 is a finding.
fn helper<'a, T: Deserialize<'a>>(output: &'a Output) -> Option<T> {
    let worked = matches!(output.status, Some(0 | 1));
    worked.then(|| serde_json::from_str(&output.stdout).ok()).flatten()
}

/// A helper of ours that failed by itself; nothing where a signal ended it, which the injector explains.
fn broken(output: &Output) -> Vec<Diagnostic> {
    let said = output.stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let message = format!("a helper of the injector failed: {}", said.trim());
    output.status.map(|_| Diagnostic::new(message).blame(Blame::Ours)).into_iter().collect()
}
