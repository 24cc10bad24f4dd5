//! Python: checked by the interpreter itself, resolved by pip or uv, compiled to byte-code.

mod commands;
mod diagnose;
mod grammar;
mod install;
mod lock;
mod manifest;
mod reach;
mod requirements;
mod settings;

use std::collections::BTreeMap;

use crate::diagnostic::{Blame, Diagnostic, Output, pattern};
use crate::entry::{self, misspelt, tool};
use crate::error::PlanError;
use crate::function::{Function, Handler, RelPath};
use crate::plan::{
    Action, Arg, Capture, Dir, ForeignCode, Launch, Place, Plan, Program, Secrets, Serves, Step,
};
use crate::steps::{Bare, helper, offline, requires, run, scratch, server};
use crate::toolchain::{Identity, Tool};
use crate::{Builder, Inputs, Package, assets};
use manifest::Manifest;

/// The builder for Python.
#[derive(Debug)]
pub struct Python;

impl Builder for Python {
    fn id(&self) -> &'static str {
        "python"
    }

    fn probe(&self, tool: &str) -> Vec<String> {
        if tool == "python" {
            let text = assets::asset("python/probe.py").unwrap_or_default();
            ["-I", "-B", "-c", text].map(str::to_owned).into()
        } else {
            vec!["--version".to_owned()]
        }
    }

    fn needs(&self, tool: &str, function: &Function) -> bool {
        tool == "python" || !matches!(Manifest::of(function), Ok(Manifest::None(_)))
    }

    fn identify(&self, tool: &str, output: &Output) -> Option<Identity> {
        if tool == "python" {
            return serde_json::from_str(&output.stdout).ok();
        }
        // uv 0.9.1 (0fd0d2a 2025-10-09)
        let version = output.stdout.strip_prefix("uv ")?.split_whitespace().next()?;
        Some(Identity { version: version.parse().ok()?, facts: BTreeMap::new() })
    }

    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, PlanError> {
        let python = tool(inputs, "python", "every Python function")?;
        let (handler, file) = handler(inputs.function)?;
        misspelt(inputs)?;
        let install = install::install(inputs, python)?;
        let bare = if install.steps.is_empty() { Bare::Yes } else { Bare::No };
        let mut because = vec![format!("{file} holds the handler {handler}")];
        because.extend(install.because);
        Ok(Plan {
            because,
            check: check(&file, &handler),
            compile: compile(),
            verify: Vec::new(),
            executes: (bare == Bare::No).then_some(Dir::Deps).into_iter().collect(),
            launch: launch(python, &file, &handler, bare),
            resolve: install.steps,
            foreign_code: ForeignCode::Possible,
            kept: Serves::Anywhere,
            resolves_from: install.resolves_from,
            manifests: install.manifests,
            refers: install.refers,
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

/// The handler and its file: module `a.b` is `a/b.py` or `a/b/__init__.py`.
fn handler(function: &Function) -> Result<(Handler, RelPath), PlanError> {
    entry::handler(function, &["py"], "__init__")
}

/// Compiles every file in memory and looks for the handler: 50 ms, before a minute of downloads.
fn check(file: &RelPath, handler: &Handler) -> Vec<Step> {
    let mut args: Vec<Arg> = ["-I", "-S", "-W", "ignore"].map(Arg::from).into();
    args.extend([scratch("check.py").into(), Dir::Source.into()]);
    args.extend([file.as_str().into(), handler.function.as_str().into()]);
    let why = "syntax of every file, and whether the handler is there";
    vec![
        helper("python/check.py"),
        helper("python/compile.py"),
        offline("check", why, Blame::Author, run("python", args, Capture::Whole)),
    ]
}

/// Byte-code of the function itself, for that of its dependencies is kept with them; and the server.
fn compile() -> Vec<Step> {
    let mut steps: Vec<Step> = server("python").collect();
    let why = "byte-code, for a faster first call";
    steps.push(offline("compile", why, Blame::Platform, byte_code(&[Dir::Source, Dir::Server])));
    steps
}

/// Compiles the Python files of rooms, so that the same files give the same byte-code wherever the volume is.
fn byte_code(dirs: &[Dir]) -> Action {
    let mut args: Vec<Arg> = vec!["-I".into(), "-S".into(), scratch("compile.py").into(), Arg::jobs()];
    args.extend(dirs.iter().map(|dir| Arg::from(*dir).then(format!("={}", dir.name()))));
    run("python", args, Capture::Ends)
}

fn launch(python: &Tool, file: &RelPath, handler: &Handler, bare: Bare) -> Launch {
    let version = python.identity.version.prefix(2);
    let server = Place { dir: Dir::Server, path: "kubeless.py".parse().ok() };
    let mut args: Vec<Arg> = vec!["-I".into(), "-u".into(), server.into()];
    args.extend(["--source".into(), Dir::Source.into(), "--deps".into(), Dir::Deps.into()]);
    let module = handler.module.replace('/', ".");
    args.extend(
        ["--file", file.as_str(), "--module", &module, "--function", &handler.function].map(Arg::from),
    );
    Launch {
        program: Program::Tool {
            tool: "python".to_owned(),
            names: vec![format!("python{version}"), "python3".to_owned(), "python".to_owned()],
            requires: requires(python, 2, bare),
        },
        args,
        env: BTreeMap::new(),
    }
}
