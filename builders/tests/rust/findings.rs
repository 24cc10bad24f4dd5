//! What is read out of cargo's data; its failures are recorded in `tests/transcripts/rust/`.

use builders::diagnostic::Output;
use builders::plan::Step;

use super::{CRATE, DENIED, USUAL, World, advice, function, plan, rust};

const METADATA: &str = r#"{
    "packages": [
        {"id": "own", "name": "my-crate", "version": "0.1.0", "source": null, "targets": [{"kind": ["lib"]}, {"kind": ["bin"]}]},
        {"id": "api", "name": "kubeless", "version": "1.0.0", "source": null, "targets": [{"kind": ["lib"]}]},
        {"id": "a", "name": "a", "version": "1.2.3", "source": "registry+x", "rust_version": "1.96", "targets": [{"kind": ["lib"]}]},
        {"id": "m", "name": "m", "version": "2.0.0", "source": "registry+x", "targets": [{"kind": ["proc-macro"]}]},
        {"id": "s", "name": "s", "version": "3.0.0", "source": "registry+x", "targets": [{"kind": ["lib"]}, {"kind": ["custom-build"]}]},
        {"id": "t", "name": "t", "version": "4.0.0", "source": "registry+x", "rust_version": "9.9", "targets": [{"kind": ["custom-build"]}]}
    ],
    "resolve": {"root": "own", "nodes": [
        {"id": "own", "deps": [
            {"pkg": "api", "dep_kinds": [{"kind": null}]}, {"pkg": "a", "dep_kinds": [{"kind": null}]},
            {"pkg": "m", "dep_kinds": [{"kind": "dev"}, {"kind": null}]}, {"pkg": "t", "dep_kinds": [{"kind": "dev"}]}]},
        {"id": "api", "deps": []}, {"id": "m", "deps": []}, {"id": "t", "deps": []}, {"id": "s", "deps": []},
        {"id": "a", "deps": [{"pkg": "s", "dep_kinds": [{"kind": "build"}]}]}
    ]}
}"#;

/// A step of a plan.
fn step(world: &World, name: &str) -> Step {
    let plan = plan(world, &format!("{CRATE}[dependencies]\na = '1'\n")).expect("a plan");
    let steps = [plan.resolve, plan.compile].concat();
    steps.into_iter().find(|one| one.name == name).expect("the step")
}

fn inspected(world: &World, name: &str, said: &str) -> Vec<String> {
    let function = function(world.handler, None, CRATE);
    let found = rust().inspect(&step(world, name), Some(said.as_bytes()), &function);
    found.iter().map(advice).collect()
}

#[test]
fn packages_are_those_that_are_compiled() {
    let output = Output { status: Some(0), stdout: METADATA.to_owned(), stderr: String::new() };
    let found = rust().packages(&step(&USUAL, "packages"), &output);
    let found: Vec<_> = found.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
    assert_eq!(found, ["a 1.2.3", "m 2.0.0", "s 3.0.0"]);
    assert_eq!(rust().packages(&step(&USUAL, "build"), &output), []);
}

#[test]
fn packages_for_a_newer_rust_are_refused_and_where_nothing_may_run_what_would() {
    let newer = "Cargo.toml: `a` 1.2.3 needs Rust 1.96, and this image has 1.95.0 \
                 | choose an older version of it, or an image with Rust 1.96 or later";
    assert_eq!(inspected(&USUAL, "packages", METADATA), [newer]);
    let denied = inspected(&DENIED, "build-scripts", METADATA);
    let hint = "do without it, or ask for INJECTOR_BUILD_SCRIPTS=allow";
    assert_eq!(
        denied,
        [
            newer.to_owned(),
            format!("m 2.0.0, a dependency, is a procedural macro, and nothing may run here | {hint}"),
            format!("s 3.0.0, a dependency, has a build script, and nothing may run here | {hint}"),
        ]
    );
    assert_eq!(inspected(&DENIED, "build-scripts", "{").len(), 1, "what cannot be read allows nothing");
    assert!(inspected(&DENIED, "build", METADATA).is_empty());
}

#[test]
fn the_compiler_is_heard_as_it_would_speak() {
    let message = r#"{"reason":"compiler-message","package_id":"path+file:///x#y@1","target":{"name":"y"},"message":{"message":"unused","code":null,"level":"warning","spans":[],"children":[],"rendered":"warning: unused\n\n"}}"#;
    let stdout = format!("{{\"reason\":\"compiler-artifact\"}}\n{message}\nnot JSON\n{message}\n");
    let output = Output { status: Some(0), stdout, stderr: String::new() };
    let said = rust().said(&step(&USUAL, "build"), &output);
    assert_eq!(said.as_deref(), Some("warning: unused\n\nwarning: unused\n\n"));
    assert_eq!(rust().said(&step(&USUAL, "packages"), &output), None);
}
