//! What is planned for Node.js functions, and what failures mean: the files are a string, the plan is its text.

mod findings;
mod plans;
mod reach;
mod refusals;
mod settings;
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
    installer_version: &'static str,
    env: &'static [(&'static str, &'static str)],
    files: &'static [(&'static str, &'static str)],
    build_scripts: BuildScripts,
}

const USUAL: World = World {
    handler: "hello.handler",
    deps_file: None,
    tools: &["npm", "pnpm"],
    installer_version: "10.9.2",
    env: &[],
    files: &[],
    build_scripts: BuildScripts::Allow,
};
const DENIED: World = World { build_scripts: BuildScripts::Deny, ..USUAL };

fn nodejs() -> &'static dyn Builder {
    builder("nodejs").expect("the builder")
}

fn function(world: &World, fixture: &str) -> Function {
    support::function(world.handler, world.deps_file, fixture)
}

fn toolchain(world: &World) -> Toolchain {
    let facts = [("abi", "127"), ("arch", "x86_64"), ("libc", "glibc 2.36")];
    let mut tools = BTreeMap::from([("node".to_owned(), tool("node", "22.1.0", &facts))]);
    for name in world.tools {
        tools.insert((*name).to_owned(), tool(name, world.installer_version, &[]));
    }
    Toolchain { tools, ..Toolchain::default() }
}

fn plan(world: &World, fixture: &str) -> Result<Plan, PlanError> {
    nodejs().plan(&Inputs {
        function: &function(world, fixture),
        runtime: assets::catalog().expect("the catalogue").get("nodejs").expect("Node.js"),
        toolchain: &toolchain(world),
        settings: &configuration(world.env, world.files),
        policy: &Policy { build_scripts: world.build_scripts, choices: BTreeMap::new() },
    })
}

/// The plan's text.
#[track_caller]
fn text(world: &World, fixture: &str) -> String {
    plan(world, fixture).expect("a plan").to_string()
}

/// The one line of a plan that begins so.
#[track_caller]
fn line<'a>(text: &'a str, start: &str) -> &'a str {
    let found = lines(text, start);
    assert_eq!(found.len(), 1, "{start:?} in\n{text}");
    found[0]
}

/// Why there is no plan, with the advice.
#[track_caller]
fn error(world: &World, fixture: &str) -> String {
    refusal(plan(world, fixture))
}

/// A function, and what it depends on.
const WITH_MS: &str = "//- hello.js\n//- package.json\n{\"dependencies\": {\"ms\": \"^2.1.0\"}}\n";
/// The lock that was made from it.
const LOCK: &str = r#"//- package-lock.json
{"lockfileVersion": 3, "packages": {
  "": {"dependencies": {"ms": "^2.1.0"}},
  "node_modules/ms": {"version": "2.1.3"}
}}
"#;
