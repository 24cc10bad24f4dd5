//! What is planned for Go functions, and what is refused: the files are a string, the plan is its text.

mod plans;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use builders::error::PlanError;
use builders::plan::{Action, Plan};
use builders::toolchain::{BuildScripts, Policy, Toolchain};
use builders::{Builder, Inputs, assets, builder};

use support::{configuration, function, lines, refusal, tool};

/// An image and a handler; the usual ones by default.
struct World {
    handler: &'static str,
    deps_file: Option<&'static str>,
    tools: &'static [(&'static str, &'static str)],
}

const USUAL: World =
    World { handler: "hello.Handler", deps_file: None, tools: &[("go", "1.26.8"), ("gofmt", "0")] };

fn go() -> &'static dyn Builder {
    builder("go").expect("the builder")
}

fn plan(world: &World, fixture: &str) -> Result<Plan, PlanError> {
    let tools = world.tools.iter().map(|&(name, version)| (name.to_owned(), tool(name, version, &[])));
    go().plan(&Inputs {
        function: &function(world.handler, world.deps_file, fixture),
        runtime: assets::catalog().expect("the catalogue").get("go").expect("Go"),
        toolchain: &Toolchain { tools: tools.collect(), ..Toolchain::default() },
        settings: &configuration(&[], &[]),
        policy: &Policy { build_scripts: BuildScripts::Deny, choices: BTreeMap::new() },
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

/// What a step of a plan writes.
#[track_caller]
fn written(plan: &Plan, step: &str) -> String {
    let steps = plan.check.iter().chain(&plan.resolve);
    let text = steps.filter(|one| one.name == step).find_map(|one| match &one.action {
        Action::Write { text, .. } => Some(text.to_string()),
        _ => None,
    });
    text.expect("the step writes")
}

/// Why there is no plan, with the advice.
#[track_caller]
fn error(world: &World, fixture: &str) -> String {
    refusal(plan(world, fixture))
}
