//! What the plans of every language are tested with: functions written as one string, and plans read as text.

use std::collections::BTreeMap;

use builders::diagnostic::Diagnostic;
use builders::error::PlanError;
use builders::function::{Function, Sha256, SourceFile};
use builders::plan::Plan;
use builders::toolchain::{Identity, Settings, Tool};

/// A function from its files: `//- path` begins each.
pub(crate) fn function(handler: &str, deps_file: Option<&str>, fixture: &str) -> Function {
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
        handler: handler.parse().ok(),
        files: files.collect(),
        deps_file: deps_file.map(|path| path.parse().expect("a path")),
        ..Function::default()
    }
}

/// A tool of the image, with the facts that it says of itself.
pub(crate) fn tool(program: &str, version: &str, facts: &[(&str, &str)]) -> Tool {
    let identity = Identity {
        version: version.parse().expect("a version"),
        facts: pairs(facts).collect::<BTreeMap<_, _>>(),
    };
    Tool { program: program.to_owned(), identity }
}

/// The package clients' configuration.
pub(crate) fn configuration(env: &[(&str, &str)], files: &[(&str, &str)]) -> Settings {
    Settings { env: pairs(env).collect(), files: pairs(files).collect() }
}

fn pairs(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()))
}

/// The lines of a plan that begin so.
pub(crate) fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().map(str::trim).filter(|line| line.starts_with(start)).collect()
}

/// Why there is no plan, with the advice.
#[track_caller]
pub(crate) fn refusal(plan: Result<Plan, PlanError>) -> String {
    match plan.expect_err("no plan") {
        PlanError::Manifest(found) => format!("manifest: {}", advice(&found)),
        PlanError::Dependencies(found) => format!("dependencies: {}", advice(&found)),
        PlanError::Version(found) => format!("version: {}", advice(&found)),
        other => format!("{other:?}"),
    }
}

/// A diagnostic, and what it advises.
pub(crate) fn advice(found: &Diagnostic) -> String {
    format!("{found} | {}", found.hint.as_deref().unwrap_or("-"))
}

/// Asserts that a handler without a file gets the advice to take another one, for which there is a plan.
#[track_caller]
pub(crate) fn advises(
    plan: impl Fn(&'static str) -> Result<Plan, PlanError>,
    wrong: &'static str,
    right: &'static str,
) {
    match plan(wrong).expect_err("no plan") {
        PlanError::NoModule { meant: Some(meant), .. } => assert_eq!(meant.to_string(), right),
        other => panic!("no advice: {other:?}"),
    }
    plan(right).expect("a plan");
}
