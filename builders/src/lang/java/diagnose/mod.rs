//! What a failed step of a Java function means: what javac and Maven say.

mod javac;

use crate::diagnostic::{Diagnostic, Output};
use crate::function::Function;
use crate::plan::Step;

/// What a step's output means, most important first.
pub(super) fn diagnose(step: &Step, output: &Output, _function: &Function) -> Vec<Diagnostic> {
    match step.name.as_str() {
        "build" | "server" => javac::errors(&output.stderr),
        _ => Vec::new(),
    }
}
