//! What the output of our helpers and of the installers means, in the author's terms.

use serde::Deserialize;

use crate::diagnostic::{Blame, Diagnostic, Output};
use crate::function::Function;
use crate::plan::Step;

/// Says what a failed step means, most important first.
pub(super) fn diagnose(step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
    match step.name.as_str() {
        "check" => check(output, function),
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
        let message = format!("`{}` is not defined in {file}", handler.function);
        let there: Vec<_> = names
            .names
            .iter()
            .map(|name| format!("{} (line {})", name.name, name.line))
            .collect();
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
    let detail = source
        .map(|source| format!("\n    {}", source.trim()))
        .unwrap_or_default();
    Diagnostic::new(format!("{}{detail}", error.message)).at(error.file, error.line, error.column)
}

/// What one of our helpers printed, if it did its work: 0 is well, 1 is a finding.
fn helper<'a, T: Deserialize<'a>>(output: &'a Output) -> Option<T> {
    let worked = matches!(output.status, Some(0 | 1));
    worked
        .then(|| serde_json::from_str(&output.stdout).ok())
        .flatten()
}

/// A helper of ours that failed by itself; nothing where a signal ended it, which the injector explains.
fn broken(output: &Output) -> Vec<Diagnostic> {
    let said = output
        .stderr
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing");
    let message = format!("a helper of the injector failed: {}", said.trim());
    output
        .status
        .map(|_| Diagnostic::new(message).blame(Blame::Ours))
        .into_iter()
        .collect()
}
