//! What cargo and the compiler mean when they fail.

mod cargo;
mod compiler;
mod network;

use crate::diagnostic::{Diagnostic, Output};
use crate::function::Function;
use crate::plan::Step;

/// What a failed step means.
pub(super) fn diagnose(step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
    if output.status.is_none() {
        return Vec::new();
    }
    let compiled = if step.name == "build" { compiler::errors(output, function) } else { Vec::new() };
    if compiled.is_empty() { cargo::errors(&output.stderr, function).into_iter().collect() } else { compiled }
}

/// What the compiler would have told a person.
pub(super) fn said(step: &Step, output: &Output) -> Option<String> {
    (step.name == "build").then(|| compiler::rendered(&output.stdout))
}
