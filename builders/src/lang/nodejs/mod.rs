//! Node.js: checked by the interpreter itself, resolved by npm or pnpm, launched as it is.

mod commands;
mod diagnose;
mod install;
mod json;
mod lock;
mod manifest;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Blame, Diagnostic, Output};
use crate::entry::{self, misspelt, tool};
use crate::error::PlanError;
use crate::function::{Function, Handler, RelPath};
use crate::plan::{
    Action, Arg, Capture, Dir, ForeignCode, Launch, Place, Plan, Program, Secrets, Serves, Step,
};
use crate::steps::{Bare, helper, offline, requires, run, scratch, server};
use crate::toolchain::{Identity, Tool};
use crate::{Builder, Inputs, Package, assets};
use manifest::{Manifest, PACKAGE};

/// The builder for Node.js.
#[derive(Debug)]
pub struct Nodejs;

impl Builder for Nodejs {
    fn id(&self) -> &'static str {
        "nodejs"
    }

    fn probe(&self, tool: &str) -> Vec<String> {
        if tool == "node" {
            let text = assets::asset("nodejs/probe.cjs").unwrap_or_default();
            ["-e", text].map(str::to_owned).into()
        } else {
            vec!["--version".to_owned()]
        }
    }

    fn needs(&self, tool: &str, function: &Function) -> bool {
        tool == "node" || install::installer(function).is_some_and(|installer| installer.name() == tool)
    }

    fn identify(&self, tool: &str, output: &Output) -> Option<Identity> {
        if tool == "node" {
            return serde_json::from_str(&output.stdout).ok();
        }
        Some(Identity { version: output.stdout.trim().parse().ok()?, facts: BTreeMap::new() })
    }

    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, PlanError> {
        let node = tool(inputs, "node", "every Node.js function")?;
        let (handler, file) = handler(inputs.function)?;
        misspelt(inputs)?;
        let manifest = Manifest::of(inputs.function)?;
        if let Some(manifest) = &manifest {
            manifest.admits(&node.identity.version)?;
        }
        let install = install::install(inputs, manifest.as_ref())?;
        let bare = if install.steps.is_empty() { Bare::Yes } else { Bare::No };
        let mut because = vec![format!("{file} holds the handler {handler}")];
        because.extend(install.because);
        Ok(Plan {
            because,
            check: check(&file, &handler),
            compile: compile(inputs.function, bare, install.root),
            verify: Vec::new(),
            executes: (bare == Bare::No).then_some(Dir::Deps).into_iter().collect(),
            launch: launch(node, install.root, &file, &handler, bare),
            resolve: install.steps,
            foreign_code: ForeignCode::Possible,
            kept: Serves::Anywhere,
            resolves_from: install.resolves_from,
            manifests: install.manifests,
            refers: BTreeSet::new(),
            secrets: Secrets(install.secrets),
        })
    }

    fn packages(&self, step: &Step, output: &Output) -> Vec<Package> {
        diagnose::packages(step, output)
    }

    fn diagnose(&self, step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
        diagnose::diagnose(step, output, function)
    }
}

/// The handler and its file: module `a.b` is `a/b.js`, `.mjs` or `.cjs`, or such an `index` in `a/b/`.
fn handler(function: &Function) -> Result<(Handler, RelPath), PlanError> {
    entry::handler(function, &["js", "mjs", "cjs"], "index")
}

/// Parses every file and looks for the handler: one process, before a minute of downloads.
fn check(file: &RelPath, handler: &Handler) -> Vec<Step> {
    let mut args: Vec<Arg> =
        ["--no-warnings", "--expose-internals", "--experimental-vm-modules"].map(Arg::from).into();
    args.extend([scratch("check.cjs").into(), Dir::Source.into()]);
    args.extend([file.as_str().into(), handler.function.as_str().into()]);
    let why = "syntax of every file, and whether the handler is there";
    vec![helper("nodejs/check.cjs"), offline("check", why, Blame::Author, run("node", args, Capture::Whole))]
}

/// The server, and a link by which both `require` and `import` find the dependencies from beside the source.
fn compile(function: &Function, bare: Bare, root: Dir) -> Vec<Step> {
    let mut steps: Vec<Step> = server("nodejs").collect();
    if manifest::is_empty(function) {
        let path = Place { dir: Dir::Source, path: PACKAGE.parse().ok() };
        let write = Action::Write { path, text: "{}\n".into() };
        steps.push(offline("manifest", "Node.js loads no file beside an empty one", Blame::Platform, write));
    }
    if bare == Bare::No && root == Dir::Source {
        let place = |dir| Place { dir, path: "node_modules".parse().ok() };
        let link = Action::Link { from: place(Dir::Deps), to: place(Dir::Tree) };
        steps.push(offline("link", "where the function looks for its packages", Blame::Platform, link));
    }
    steps
}

fn launch(node: &Tool, root: Dir, file: &RelPath, handler: &Handler, bare: Bare) -> Launch {
    let server = Place { dir: Dir::Server, path: "kubeless.cjs".parse().ok() };
    let mut args: Vec<Arg> = vec![server.into(), "--root".into(), root.into()];
    args.extend(["--file", file.as_str(), "--function", &handler.function].map(Arg::from));
    let names = [format!("node{}", node.identity.version.prefix(1)), "node".to_owned(), "nodejs".to_owned()];
    Launch {
        program: Program::Tool {
            tool: "node".to_owned(),
            names: names.into(),
            requires: requires(node, 1, bare),
        },
        args,
        env: BTreeMap::new(),
    }
}
