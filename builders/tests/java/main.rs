//! What is planned for Java functions, and what is said of their class files: the files are a string, the plan is its text.

mod classes;
mod plans;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use builders::error::PlanError;
use builders::function::Function;
use builders::plan::Plan;
use builders::toolchain::{BuildScripts, Policy, Toolchain};
use builders::{Builder, Inputs, assets, builder};

use support::{configuration, refusal, tool};

fn java() -> &'static dyn Builder {
    builder("java").expect("the builder")
}

fn function(handler: &str, fixture: &str) -> Function {
    support::function(handler, None, fixture)
}

/// What an image with JDK 17 and Maven leads to.
fn planned(handler: &str, fixture: &str, build_scripts: BuildScripts) -> Result<Plan, PlanError> {
    let mvn = tool("mvn", "3.9.11", &[("home", "/opt/maven")]);
    let tools = [("javac", tool("javac", "17.0.15", &[])), ("mvn", mvn)];
    java().plan(&Inputs {
        function: &function(handler, fixture),
        runtime: assets::catalog().expect("the catalogue").get("java").expect("Java"),
        toolchain: &Toolchain {
            tools: tools.into_iter().map(|(name, tool)| (name.to_owned(), tool)).collect(),
            ..Toolchain::default()
        },
        settings: &configuration(&[], &[]),
        policy: &Policy { build_scripts, choices: BTreeMap::new() },
    })
}

/// The plan.
#[track_caller]
fn plan(handler: &str, fixture: &str) -> Plan {
    planned(handler, fixture, BuildScripts::Allow).expect("a plan")
}

/// Why there is no plan, with the advice.
#[track_caller]
fn error(handler: &str, fixture: &str) -> String {
    refusal(planned(handler, fixture, BuildScripts::Allow))
}

/// A function with a POM that has this in it, beside its coordinates.
fn with_pom(inner: &str) -> String {
    format!(
        "//- Hello.java\npublic class Hello {{}}\n//- pom.xml\n<project>\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>a</groupId><artifactId>b</artifactId><version>1</version>\n{inner}\n</project>\n"
    )
}
