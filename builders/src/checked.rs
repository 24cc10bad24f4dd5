//! What our helpers print: the check of syntax and handler, which is the same for all languages, and the data of others.

use serde::Deserialize;

use crate::diagnostic::{Blame, Diagnostic, Output};
use crate::function::{Handler, RelPath};

/// The words of a language for a handler that is not there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    /// What the file would have to do: `define`.
    pub(crate) verb: &'static str,
    /// The same in the past: `defined`.
    pub(crate) done: &'static str,
    /// How a function of the handler's name is written.
    pub(crate) example: fn(&str) -> String,
}

/// What a check helper prints.
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

/// What the check of a function's files found.
pub(crate) fn check(output: &Output, handler: Option<&(Handler, RelPath)>, words: Words) -> Vec<Diagnostic> {
    let Some(checked) = helper::<Checked>(output) else {
        return broken(output);
    };
    let mut found: Vec<_> = checked.errors.into_iter().map(syntax).collect();
    let missing = checked.handler.filter(|handler| handler.state == "missing");
    if let (Some(names), Some((handler, file))) = (missing, handler) {
        let Words { verb, done, example } = words;
        let function = &handler.function;
        let there: Vec<_> =
            names.names.iter().map(|name| format!("{} (line {})", name.name, name.line)).collect();
        let hint = if there.is_empty() {
            format!("{verb} it: `{}`", example(function))
        } else {
            format!("the file {verb}s {}; name one of them, or {verb} `{function}`", there.join(", "))
        };
        let message = format!("`{function}` is not {done}");
        found.push(Diagnostic::new(message).at(file.as_str(), None, None).hint(hint));
    }
    found
}

fn syntax(error: SyntaxError) -> Diagnostic {
    let source = error.source.filter(|source| !source.trim().is_empty());
    let detail = source.map(|source| format!("\n    {}", source.trim())).unwrap_or_default();
    Diagnostic::new(format!("{}{detail}", error.message)).at(error.file, error.line, error.column)
}

/// What one of our helpers printed, if it did its work: 0 is well, 1 is a finding.
pub(crate) fn helper<'a, T: Deserialize<'a>>(output: &'a Output) -> Option<T> {
    let worked = matches!(output.status, Some(0 | 1));
    worked.then(|| serde_json::from_str(&output.stdout).ok()).flatten()
}

/// A helper of ours that failed by itself; nothing where a signal ended it, which the injector explains.
pub(crate) fn broken(output: &Output) -> Vec<Diagnostic> {
    let said = output.stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let message = format!("a helper of the injector failed: {}", said.trim());
    output.status.map(|_| Diagnostic::new(message).blame(Blame::Ours)).into_iter().collect()
}
