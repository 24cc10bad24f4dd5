//! What is planned for Rust functions, and what is refused: the files are a string, the plan is its text.

mod findings;
mod plans;
mod refusals;
mod settings;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use builders::error::PlanError;
use builders::plan::{Action, Plan};
use builders::toolchain::{BuildScripts, Policy, Toolchain};
use builders::{Builder, Inputs, assets, builder};

use support::{advice, configuration, function, lines, refusal, tool};

/// An image and an operator; the usual ones by default.
struct World {
    handler: &'static str,
    deps_file: Option<&'static str>,
    tools: &'static [&'static str],
    version: &'static str,
    host: &'static str,
    build_scripts: BuildScripts,
    env: &'static [(&'static str, &'static str)],
    files: &'static [(&'static str, &'static str)],
}

const USUAL: World = World {
    handler: "lib.handler",
    deps_file: None,
    tools: &["rustc", "cargo"],
    version: "1.95.0",
    host: "x86_64-unknown-linux-gnu",
    build_scripts: BuildScripts::Allow,
    env: &[],
    files: &[],
};
const DENIED: World = World { build_scripts: BuildScripts::Deny, ..USUAL };

fn rust() -> &'static dyn Builder {
    builder("rust").expect("the builder")
}

fn plan(world: &World, fixture: &str) -> Result<Plan, PlanError> {
    let facts = [("host", world.host)];
    let tools = world.tools.iter().map(|name| ((*name).to_owned(), tool(name, world.version, &facts)));
    rust().plan(&Inputs {
        function: &function(world.handler, world.deps_file, fixture),
        runtime: assets::catalog().expect("the catalogue").get("rust").expect("Rust"),
        toolchain: &Toolchain { tools: tools.collect(), ..Toolchain::default() },
        settings: &configuration(world.env, world.files),
        policy: &Policy { build_scripts: world.build_scripts, choices: BTreeMap::new() },
    })
}

/// The plan's text.
#[track_caller]
fn text(world: &World, fixture: &str) -> String {
    plan(world, fixture).expect("a plan").to_string()
}

/// What the plan writes to a file, the last time that it does.
#[track_caller]
fn written(world: &World, file: &str, fixture: &str) -> String {
    let plan = plan(world, fixture).expect("a plan");
    let steps = [plan.resolve, plan.compile].concat();
    let texts = steps.iter().rev().find_map(|step| match &step.action {
        Action::Write { path, text } if path.to_string() == file => Some(text.to_string()),
        _ => None,
    });
    texts.unwrap_or_else(|| panic!("{file} is not written"))
}

/// What cargo gets as the manifest.
#[track_caller]
fn manifest(fixture: &str) -> toml::Table {
    written(&USUAL, "<kept>/function/Cargo.toml", fixture).parse().expect("TOML")
}

/// Why there is no plan, with the advice.
#[track_caller]
fn error(world: &World, fixture: &str) -> String {
    refusal(plan(world, fixture))
}

/// A crate.
const CRATE: &str = "//- src/lib.rs\n//- Cargo.toml\n[package]\nname = \"my-crate\"\nversion = \"0.1.0\"\n";
