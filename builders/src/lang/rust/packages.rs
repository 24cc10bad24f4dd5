//! The packages that were resolved, as `cargo metadata` lists them: for the receipt, and to refuse what this build cannot have.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::commands::{self, Target};
use super::manifest::API;
use crate::Package;
use crate::diagnostic::{Blame, Diagnostic};
use crate::plan::Step;
use crate::steps::offline;
use crate::toolchain::BuildScripts;

/// The step's name; where nothing may run, another one.
const LISTED: &str = "packages";
const DENIED: &str = "build-scripts";

/// Lists the packages.
pub(super) fn step(scripts: BuildScripts, target: &Target) -> Step {
    let (name, why) = match scripts {
        BuildScripts::Allow => (LISTED, "what was resolved"),
        BuildScripts::Deny => {
            (DENIED, "what was resolved; none of it may run while the function is compiled")
        }
    };
    offline(name, why, Blame::Author, commands::metadata(target))
}

/// What cargo says of packages.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Listed>,
    resolve: Graph,
}

#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
    name: String,
    version: String,
    source: Option<String>,
    targets: Vec<Built>,
}

#[derive(Debug, Deserialize)]
struct Built {
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Graph {
    root: Option<String>,
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Metadata {
    /// The packages that are compiled, the function's own among them, not what only its tests need.
    fn compiled(&self) -> Vec<&Listed> {
        let nodes: BTreeMap<&str, &Node> =
            self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut reached = BTreeSet::new();
        let mut pending: Vec<&str> = self.resolve.root.iter().map(String::as_str).collect();
        while let Some(id) = pending.pop() {
            if reached.insert(id) {
                let edges = nodes.get(id).into_iter().flat_map(|node| &node.deps);
                let needed =
                    edges.filter(|edge| edge.dep_kinds.iter().any(|one| one.kind.as_deref() != Some("dev")));
                pending.extend(needed.map(|edge| edge.pkg.as_str()));
            }
        }
        self.packages.iter().filter(|package| reached.contains(package.id.as_str())).collect()
    }
}

/// The packages, without the function and what belongs to us.
pub(super) fn packages(step: &Step, said: &str) -> Vec<Package> {
    if ![LISTED, DENIED].contains(&step.name.as_str()) {
        return Vec::new();
    }
    let Ok(metadata) = serde_json::from_str::<Metadata>(said) else { return Vec::new() };
    let foreign =
        |package: &&Listed| package.name != API && metadata.resolve.root.as_ref() != Some(&package.id);
    let named = |package: &Listed| Package { name: package.name.clone(), version: package.version.clone() };
    metadata.compiled().into_iter().filter(foreign).map(named).collect()
}

/// What may not run while the function is compiled.
pub(super) fn refused(step: &Step, said: &[u8]) -> Vec<Diagnostic> {
    if step.name != DENIED {
        return Vec::new();
    }
    let Ok(metadata) = serde_json::from_slice::<Metadata>(said) else {
        return vec![Diagnostic::new("cargo's list of packages cannot be read").blame(Blame::Ours)];
    };
    let refusal = |package: &Listed| {
        let is =
            |wanted: &str| package.targets.iter().any(|target| target.kind.iter().any(|kind| kind == wanted));
        let what = match (is("custom-build"), is("proc-macro")) {
            (true, _) => "has a build script",
            (_, true) => "is a procedural macro",
            _ => return None,
        };
        let from = package.source.as_ref().map_or("of the function", |_| "a dependency");
        let message =
            format!("{} {}, {from}, {what}, and nothing may run here", package.name, package.version);
        Some(Diagnostic::new(message).hint("do without it, or ask for INJECTOR_BUILD_SCRIPTS=allow"))
    };
    metadata.compiled().into_iter().filter_map(refusal).collect()
}
