//! What is planned for Python functions: the files are a string, the plan is its text.

mod findings;
mod plans;
mod refusals;

use std::collections::BTreeMap;

use builders::diagnostic::Diagnostic;
use builders::error::PlanError;
use builders::function::{Function, Sha256, SourceFile};
use builders::plan::Plan;
use builders::toolchain::{BuildScripts, Identity, Policy, Settings, Tool, Toolchain};
use builders::{Builder, Inputs, assets, builder};

/// An image, a configuration and an operator; the usual ones by default.
struct World {
    handler: &'static str,
    deps_file: Option<&'static str>,
    tools: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    files: &'static [(&'static str, &'static str)],
    build_scripts: BuildScripts,
    installer: Option<&'static str>,
}

const USUAL: World = World {
    handler: "hello.handler",
    deps_file: None,
    tools: &["python", "pip"],
    env: &[],
    files: &[],
    build_scripts: BuildScripts::Allow,
    installer: None,
};
const WITH_UV: World = World { tools: &["python", "pip", "uv"], ..USUAL };

fn python() -> &'static dyn Builder {
    builder("python").expect("the builder")
}

/// A function from its files: `//- path` begins each.
fn function(world: &World, fixture: &str) -> Function {
    let files = fixture.split("//- ").skip(1).map(|section| {
        let (path, text) = section.split_once('\n').expect("a path and a text");
        let file = SourceFile {
            size: text.len() as u64,
            sha256: Sha256([0; 32]),
            executable: false,
            text: (text != "(binary)\n").then(|| text.to_owned()),
        };
        (path.parse().expect("a path"), file)
    });
    Function {
        handler: world.handler.parse().ok(),
        files: files.collect(),
        deps_file: world.deps_file.map(|path| path.parse().expect("a path")),
        ..Function::default()
    }
}

fn toolchain(world: &World) -> Toolchain {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let mut facts: BTreeMap<String, String> =
        pairs(&[("abi", "cpython-311"), ("arch", "x86_64"), ("libc", "glibc 2.36")]);
    if world.tools.contains(&"pip") {
        facts.insert("pip".to_owned(), "23.2.1".to_owned());
    }
    let tool = |program: &str, version: &str, facts| Tool {
        program: program.to_owned(),
        identity: Identity { version: version.parse().expect("a version"), facts },
    };
    let mut tools = BTreeMap::from([("python".to_owned(), tool("python3.11", "3.11.7", facts))]);
    if world.tools.contains(&"uv") {
        tools.insert("uv".to_owned(), tool("uv", "0.9.1", BTreeMap::new()));
    }
    Toolchain { tools, ..Toolchain::default() }
}

fn plan(world: &World, fixture: &str) -> Result<Plan, PlanError> {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    python().plan(&Inputs {
        function: &function(world, fixture),
        runtime: assets::catalog().expect("the catalogue").get("python").expect("Python"),
        toolchain: &toolchain(world),
        settings: &Settings {
            env: world.env.iter().map(pair).collect(),
            files: world.files.iter().map(pair).collect(),
        },
        policy: &Policy {
            build_scripts: world.build_scripts,
            choices: world
                .installer
                .map(|value| ("INJECTOR_PYTHON_INSTALLER".to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
        },
    })
}

/// The plan's text.
#[track_caller]
fn text(world: &World, fixture: &str) -> String {
    plan(world, fixture).expect("a plan").to_string()
}

/// The lines of a plan that begin so.
fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().map(str::trim).filter(|line| line.starts_with(start)).collect()
}

/// Why there is no plan, with the advice.
#[track_caller]
fn error(world: &World, fixture: &str) -> String {
    match plan(world, fixture).expect_err("no plan") {
        PlanError::Manifest(found) => format!("manifest: {}", advice(&found)),
        PlanError::Dependencies(found) => format!("dependencies: {}", advice(&found)),
        PlanError::Version(found) => format!("version: {}", advice(&found)),
        other => format!("{other:?}"),
    }
}

fn advice(found: &Diagnostic) -> String {
    format!("{found} | {}", found.hint.as_deref().unwrap_or("-"))
}

/// A project, and the lock that was made from it.
const PROJECT: &str = r#"//- pyproject.toml
[project]
name = "fn"
dependencies = [
    "Six == 1.16.0",
    "idna[x] >=2.0 ,<04; python_version > '3'",
]
"#;
const LOCK: &str = r#"//- uv.lock
version = 1
[[package]]
name = "fn"
source = { virtual = "." }
[package.metadata]
requires-dist = [
    { name = "idna", extras = ["x"], marker = "python_full_version > '3'", specifier = ">=2.0,<4" },
    { name = "six", specifier = "==1.16.0" },
    { name = "attrs", marker = "extra == 'dev'" },
]
[[package]]
name = "six"
source = { registry = "https://registry.example/simple" }
"#;
