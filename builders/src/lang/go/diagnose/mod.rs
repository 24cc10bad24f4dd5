//! What the output of go and gofmt means, in the author's terms.

mod modules;
mod network;

use super::overlay::is_ours;
use crate::Package;
use crate::diagnostic::{Blame, Diagnostic, Output};
use crate::function::Function;
use crate::located::located;
use crate::plan::Step;

/// Says what a failed step means, most important first.
pub(super) fn diagnose(step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
    if step.name == "fetch" {
        let evidence = network::evidence(output);
        return evidence.map_or_else(|| modules::absent(output, function), |found| vec![found]);
    }
    located(&output.stderr).into_iter().map(whose).collect()
}

/// An error in what is ours is not the author's.
fn whose(found: Diagnostic) -> Diagnostic {
    match &found.location {
        Some(location) if is_ours(&location.file) => found.blame(Blame::Ours),
        _ => found,
    }
}

/// The modules of which the binary is made.
pub(super) fn packages(step: &Step, output: &Output) -> Vec<Package> {
    if step.name != "verify" {
        return Vec::new();
    }
    //     dep	github.com/sirupsen/logrus	v1.6.0	h1:UBcNElsrwanuuMsnGSlYmtmgbb23qDR5dG+6X6Oo89I=
    // What stands for another module follows in a line of its own; ours have no checksum.
    let modules = output.stdout.lines().filter_map(|line| {
        let mut words = line.split('\t').skip(1);
        let kind = words.next().filter(|kind| matches!(*kind, "dep" | "=>"))?;
        Some((kind, words.next()?, words.next()?))
    });
    let mut found: Vec<Package> = Vec::new();
    for (kind, name, version) in modules {
        if kind == "=>" {
            found.pop();
        }
        if version != "(devel)" {
            found.push(Package { name: name.to_owned(), version: version.to_owned() });
        }
    }
    found
}
