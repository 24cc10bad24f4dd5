//! Python: checked by the interpreter itself, resolved by pip or uv, compiled to byte-code.

mod commands;
mod diagnose;
mod grammar;
mod install;
mod lock;
mod manifest;
mod requirements;
mod settings;

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;

use crate::catalog::Runtime;
use crate::diagnostic::{Blame, Diagnostic, Output};
use crate::error::PlanError;
use crate::function::{Function, Handler, RelPath};
use crate::plan::{
    Action, Arg, Capture, Credentials, Dir, Launch, Network, Place, Plan, Program, Run, Secrets, Step,
};
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
            let probe: Probe = serde_json::from_str(&output.stdout).ok()?;
            return Some(Identity { version: probe.version.parse().ok()?, facts: probe.facts });
        }
        // uv 0.9.1 (0fd0d2a 2025-10-09)
        let version = output.stdout.strip_prefix("uv ")?.split_whitespace().next()?;
        Some(Identity { version: version.parse().ok()?, facts: BTreeMap::new() })
    }

    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, PlanError> {
        let python = tool(inputs, "python", "every Python function")?;
        let (handler, file) = handler(inputs.function)?;
        misspelt(inputs.function, inputs.runtime)?;
        let install = install::install(inputs, python)?;
        let bare = if install.steps.is_empty() { Bare::Yes } else { Bare::No };
        let mut because = vec![format!("{file} holds the handler {handler}")];
        because.extend(install.because);
        Ok(Plan {
            because,
            check: check(&file, &handler),
            compile: compile(),
            verify: Vec::new(),
            executes: !install.steps.is_empty(),
            launch: launch(python, &file, &handler, bare),
            resolve: install.steps,
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

/// What `probe.py` prints.
#[derive(Debug, Deserialize)]
struct Probe {
    version: String,
    facts: BTreeMap<String, String>,
}

/// A tool of the image, or the error that says what needs it.
fn tool<'a>(inputs: &Inputs<'a>, name: &str, needed_for: &str) -> Result<&'a Tool, PlanError> {
    inputs.toolchain.tool(name).ok_or_else(|| PlanError::NoTool {
        tool: name.to_owned(),
        needed_for: needed_for.to_owned(),
        hint: format!("choose an image that has {name}"),
    })
}

/// The handler and its file: module `a.b` is `a/b.py` or `a/b/__init__.py`.
fn handler(function: &Function) -> Result<(Handler, RelPath), PlanError> {
    let sources = function.files.keys().filter(|path| path.extension() == Some("py"));
    let Some(handler) = function.handler.clone() else {
        let modules = sources.filter_map(|path| path.as_str().strip_suffix(".py"));
        let modules = modules.map(|module| module.trim_end_matches("/__init__").replace('/', "."));
        return Err(PlanError::NoHandler {
            candidates: modules.take(5).map(|module| format!("{module}.<function>")).collect(),
        });
    };
    let stem = handler.module.replace('.', "/");
    let expected = vec![format!("{stem}.py"), format!("{stem}/__init__.py")];
    let file =
        expected.iter().find_map(|name| name.parse().ok().filter(|path| function.files.contains_key(path)));
    match file {
        Some(file) => Ok((handler, file)),
        None => Err(PlanError::NoModule {
            handler,
            expected,
            found: sources.take(10).map(ToString::to_string).collect(),
        }),
    }
}

/// Refuses a manifest whose name no tool knows, where the right one is absent.
fn misspelt(function: &Function, runtime: &Runtime) -> Result<(), PlanError> {
    if function.deps_file.is_some() || runtime.manifests.iter().any(|name| function.top(name).is_some()) {
        return Ok(());
    }
    let near = runtime.near_misses.iter().find(|(wrong, _)| function.top(wrong).is_some());
    near.map_or(Ok(()), |(wrong, right)| {
        Err(PlanError::Manifest(
            Diagnostic::new("no tool reads a dependency file of this name")
                .at(wrong, None, None)
                .hint(format!("rename it to {right}")),
        ))
    })
}

/// Compiles every file in memory and looks for the handler: 50 ms, before a minute of downloads.
fn check(file: &RelPath, handler: &Handler) -> Vec<Step> {
    let mut args: Vec<Arg> = ["-I", "-S", "-W", "ignore"].map(Arg::from).into();
    args.extend([scratch("check.py").into(), Dir::Source.into()]);
    args.extend([file.as_str().into(), handler.function.as_str().into()]);
    let why = "syntax of every file, and whether the handler is there";
    vec![
        helper("check"),
        helper("compile"),
        offline("check", why, Blame::Author, python(args, Capture::Whole)),
    ]
}

/// Byte-code of the function itself, for that of its dependencies is kept with them; and the server.
fn compile() -> Vec<Step> {
    let server = assets::below("python/server").map(|(name, id)| {
        let to = Place { dir: Dir::Server, path: name.parse().ok() };
        let asset = Action::Asset { id: id.to_owned(), to };
        offline(&format!("server {name}"), "what calls the function", Blame::Platform, asset)
    });
    let mut steps: Vec<Step> = server.collect();
    let why = "byte-code, for a faster first call";
    steps.push(offline("compile", why, Blame::Platform, byte_code(&[Dir::Source, Dir::Server])));
    steps
}

/// Compiles the Python files of rooms, so that the same files give the same byte-code wherever the volume is.
fn byte_code(dirs: &[Dir]) -> Action {
    let mut args: Vec<Arg> = vec!["-I".into(), scratch("compile.py").into(), "--jobs".into(), Arg::jobs()];
    args.extend(dirs.iter().map(|dir| Arg::from(*dir).then(format!("={}", dir.name()))));
    python(args, Capture::Ends)
}

fn launch(python: &Tool, file: &RelPath, handler: &Handler, bare: Bare) -> Launch {
    let version = python.identity.version.prefix(2);
    let mut requires = BTreeMap::from([("version".to_owned(), version.to_string())]);
    if bare == Bare::No {
        let facts = ["abi", "arch", "libc"].map(|fact| python.identity.facts.get_key_value(fact));
        requires.extend(facts.into_iter().flatten().map(|(fact, value)| (fact.clone(), value.clone())));
    }
    let mut args: Vec<Arg> = vec!["-I".into(), "-u".into(), server().into()];
    args.extend(["--source".into(), Dir::Source.into(), "--deps".into(), Dir::Deps.into()]);
    let module = handler.module.replace('/', ".");
    args.extend(
        ["--file", file.as_str(), "--module", &module, "--function", &handler.function].map(Arg::from),
    );
    Launch {
        program: Program::Tool {
            tool: "python".to_owned(),
            names: vec![format!("python{version}"), "python3".to_owned(), "python".to_owned()],
            requires,
        },
        args,
        env: BTreeMap::new(),
    }
}

/// Whether a function has no dependencies, so that it runs with any build of its Python version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bare {
    Yes,
    No,
}

/// Puts one of our Python files where a later step runs it.
fn helper(name: &str) -> Step {
    let id = format!("python/{name}.py");
    let to = scratch(&format!("{name}.py"));
    let why = format!("our program behind `{name}`");
    offline(&format!("{name}-helper"), &why, Blame::Platform, Action::Asset { id, to })
}

/// A step that works without the network.
fn offline(name: &str, why: &str, blame: Blame, action: Action) -> Step {
    Step { name: name.to_owned(), why: why.to_owned(), action, blame, network: Network::Unused }
}

/// Where the function's server is.
fn server() -> Place {
    Place { dir: Dir::Server, path: "kubeless.py".parse().ok() }
}

/// Runs Python outside the volume.
fn python(args: Vec<Arg>, capture: Capture) -> Action {
    Action::Run(Run {
        tool: "python".to_owned(),
        args,
        env: BTreeMap::new(),
        cwd: Dir::Scratch.into(),
        capture,
        credentials: Credentials::Withheld,
    })
}

/// A place in the scratch room.
fn scratch(name: &str) -> Place {
    Place { dir: Dir::Scratch, path: name.parse().ok() }
}

/// Compiles a pattern of this folder.
///
/// # Panics
/// When it is malformed: it is a literal, and the recordings use each.
fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
