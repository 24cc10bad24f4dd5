//! What is planned for Python functions: the files are a string, the plan is its text.

mod findings;
mod plans;
mod reach;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use builders::error::PlanError;
use builders::function::Function;
use builders::plan::Plan;
use builders::toolchain::{BuildScripts, Policy, Toolchain};
use builders::{Builder, Inputs, assets, builder};

use support::{advice, configuration, lines, refusal, tool};

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

fn function(world: &World, fixture: &str) -> Function {
    support::function(world.handler, world.deps_file, fixture)
}

fn toolchain(world: &World) -> Toolchain {
    let mut facts = vec![("abi", "cpython-311"), ("arch", "x86_64"), ("libc", "glibc 2.36")];
    if world.tools.contains(&"pip") {
        facts.push(("pip", "23.2.1"));
    }
    let mut tools = BTreeMap::from([("python".to_owned(), tool("python3.11", "3.11.7", &facts))]);
    if world.tools.contains(&"uv") {
        tools.insert("uv".to_owned(), tool("uv", "0.9.1", &[]));
    }
    Toolchain { tools, ..Toolchain::default() }
}

fn plan(world: &World, fixture: &str) -> Result<Plan, PlanError> {
    python().plan(&Inputs {
        function: &function(world, fixture),
        runtime: assets::catalog().expect("the catalogue").get("python").expect("Python"),
        toolchain: &toolchain(world),
        settings: &configuration(world.env, world.files),
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

/// Why there is no plan, with the advice.
#[track_caller]
fn error(world: &World, fixture: &str) -> String {
    refusal(plan(world, fixture))
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
