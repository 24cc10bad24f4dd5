//! The packages that were resolved, as `cargo metadata` lists them: for the receipt, and to refuse what this build cannot have.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::commands::{self, Target};
use super::manifest::{API, MANIFEST};
use crate::Package;
use crate::diagnostic::{Blame, Diagnostic};
use crate::plan::{Action, Run, Step};
use crate::steps::offline;
use crate::toolchain::{BuildScripts, Version};

/// The step's name; where nothing may run, another one.
const LISTED: &str = "packages";
const DENIED: &str = "build-scripts";
/// The variable that tells [`refused`] the compiler's version; cargo knows none of this name.
const RUSTC: &str = "RUSTC_VERSION_AT_HAND";

/// Lists the packages.
pub(super) fn step(scripts: BuildScripts, target: &Target, rustc: &Version) -> Step {
    let (name, why) = match scripts {
        BuildScripts::Allow => (LISTED, "what was resolved, and whether this compiler will do"),
        BuildScripts::Deny => {
            (DENIED, "what was resolved; none of it may run while the function is compiled")
        }
    };
    let mut action = commands::metadata(target);
    if let Action::Run(run) = &mut action {
        run.env.insert(RUSTC.to_owned(), rustc.to_string().into());
    }
    offline(name, why, Blame::Author, action)
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
    #[serde(default)]
    rust_version: Option<String>,
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

/// What this compiler is too old for, and what may not run while the function is compiled.
pub(super) fn refused(step: &Step, said: &[u8]) -> Vec<Diagnostic> {
    let Action::Run(Run { env, .. }) = &step.action else { return Vec::new() };
    let Some(rustc) = env.get(RUSTC).and_then(|version| version.to_string().parse::<Version>().ok()) else {
        return Vec::new();
    };
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
    let outgrown = |package: &Listed| {
        let least = package.rust_version.as_deref()?;
        let message =
            format!("`{}` {} needs Rust {least}, and this image has {rustc}", package.name, package.version);
        let found = Diagnostic::new(message).at(MANIFEST, None, None);
        let hint = format!("choose an older version of it, or an image with Rust {least} or later");
        least.parse().is_ok_and(|least: Version| rustc < least).then(|| found.hint(hint))
    };
    let packages = metadata.compiled();
    let mut found: Vec<_> = packages.iter().filter_map(|package| outgrown(package)).collect();
    if step.name == DENIED {
        found.extend(packages.into_iter().filter_map(refusal));
    }
    found
}
