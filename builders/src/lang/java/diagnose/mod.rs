//! What a failed step of a Java function means: what javac and Maven say.

mod javac;
mod jvm;
mod maven;
mod network;

use crate::diagnostic::{Diagnostic, Output};
use crate::function::Function;
use crate::plan::{Action, Network, Step};

use super::pom::Pom;

/// What a step's output means, most important first.
pub(super) fn diagnose(step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
    let text = [output.stdout.as_str(), output.stderr.as_str()].join("\n");
    if let Some(trouble) = jvm::trouble(&text) {
        return vec![trouble];
    }
    match &step.action {
        Action::Run(run) if run.tool == "mvn" => {
            let trouble = (step.network == Network::Needed).then(|| network::evidence(&text)).flatten();
            let mended = || maven::diagnose(&text, Pom::of(function).ok().flatten().as_ref());
            trouble.map_or_else(mended, |trouble| vec![trouble])
        }
        Action::Run(run) if run.tool == "javac" => javac::errors(&text),
        _ => Vec::new(),
    }
}
