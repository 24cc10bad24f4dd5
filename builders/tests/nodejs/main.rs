//! What is planned for Node.js functions, and what failures mean: the files are a string, the plan is its text.

mod findings;
mod plans;
mod refusals;
mod settings;

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
    let facts = [("abi", "127"), ("arch", "x86_64"), ("libc", "glibc 2.36")];
    let facts = facts.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let tool = |program: &str, version: &str, facts| Tool {
        program: program.to_owned(),
        identity: Identity { version: version.parse().expect("a version"), facts },
    };
    let mut tools = BTreeMap::from([("node".to_owned(), tool("node", "22.1.0", facts))]);
    for name in world.tools {
        tools.insert((*name).to_owned(), tool(name, world.installer_version, BTreeMap::new()));
    }
    Toolchain { tools, ..Toolchain::default() }
}

fn plan(world: &World, fixture: &str) -> Result<Plan, PlanError> {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    nodejs().plan(&Inputs {
        function: &function(world, fixture),
        runtime: assets::catalog().expect("the catalogue").get("nodejs").expect("Node.js"),
        toolchain: &toolchain(world),
        settings: &Settings {
            env: world.env.iter().map(pair).collect(),
            files: world.files.iter().map(pair).collect(),
        },
        policy: &Policy { build_scripts: world.build_scripts, choices: BTreeMap::new() },
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

/// A function, and what it depends on.
const WITH_MS: &str = "//- hello.js\n//- package.json\n{\"dependencies\": {\"ms\": \"^2.1.0\"}}\n";
/// The lock that was made from it.
const LOCK: &str = r#"//- package-lock.json
{"lockfileVersion": 3, "packages": {
  "": {"dependencies": {"ms": "^2.1.0"}},
  "node_modules/ms": {"version": "2.1.3"}
}}
"#;
