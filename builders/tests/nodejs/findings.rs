//! What failures of our helpers' steps mean; those of npm and pnpm are recorded in `tests/transcripts/nodejs/`.

use builders::diagnostic::Output;

use super::{DENIED, USUAL, World, advice, function, nodejs, plan};

/// What a step of a plan says when it fails.
fn diagnosed(world: &World, step: &str, status: i32, stdout: &str, stderr: &str) -> Vec<String> {
    let fixture = "//- hello.js\n//- package.json\n{\"dependencies\": {\n  \"left-pad\": \"^1.0.0\"}}\n";
    let plan = plan(world, fixture).expect("a plan");
    let steps = [plan.check, plan.resolve].concat();
    let step = steps.iter().find(|one| one.name == step).expect("the step");
    let output = Output { status: Some(status), stdout: stdout.to_owned(), stderr: stderr.to_owned() };
    let found = nodejs().diagnose(step, &output, &function(world, fixture));
    found.iter().map(|one| format!("{} | {:?}", advice(one), one.blame)).collect()
}

#[test]
fn what_the_check_finds_is_located() {
    let broken = r#"{"errors": [{"file": "a.mjs", "line": 3, "column": 7, "message": "Unexpected token ')'", "source": "  f(;)\n"}],
        "handler": {"state": "unchecked", "names": []}}"#;
    assert_eq!(
        diagnosed(&USUAL, "check", 1, broken, ""),
        ["a.mjs:3:7: Unexpected token ')'\n    f(;) | - | None"]
    );
    let missing = r#"{"errors": [], "handler": {"state": "missing", "names": [{"name": "hi", "line": 4}]}}"#;
    assert_eq!(
        diagnosed(&USUAL, "check", 1, missing, ""),
        [
            "hello.js: `handler` is not exported | the file exports hi (line 4); name one of them, or export `handler` | None"
        ]
    );
    let bare = r#"{"errors": [], "handler": {"state": "missing", "names": []}}"#;
    assert_eq!(
        diagnosed(&USUAL, "check", 1, bare, ""),
        [
            "hello.js: `handler` is not exported | export it: `module.exports = { handler: (event, context) => … }` | None"
        ]
    );
    assert_eq!(
        diagnosed(&USUAL, "check", 2, "", "check.cjs: RangeError: x\n"),
        ["a helper of the injector failed: check.cjs: RangeError: x | - | Some(Ours)"]
    );
}

#[test]
fn packages_with_scripts_are_refused_by_name() {
    let installed = r#"{"packages": [{"name": "left-pad", "version": "1.0.0"}, {"name": "b", "version": "2.0.0"}],
        "scripts": [{"name": "left-pad", "version": "1.0.0", "script": "postinstall"}, {"name": "b", "version": "2.0.0", "script": "install"}]}"#;
    let hint = "ask for a version that has none, or the operator for INJECTOR_BUILD_SCRIPTS=allow | None";
    assert_eq!(
        diagnosed(&DENIED, "packages", 1, installed, ""),
        [
            format!(
                "package.json:2:15: left-pad 1.0.0 has the script `postinstall`, and code of dependencies may not run at build time here | {hint}"
            ),
            format!(
                "b 2.0.0 has the script `install`, and code of dependencies may not run at build time here | {hint}"
            ),
        ]
    );
}

#[test]
fn what_was_installed_is_listed() {
    let plan =
        plan(&USUAL, "//- hello.js\n//- package.json\n{\"dependencies\": {\"b\": \"2\"}}\n").expect("a plan");
    let step = plan.resolve.iter().find(|one| one.name == "packages").expect("the step");
    let stdout = r#"{"packages": [{"name": "b", "version": "2.0.0"}], "scripts": []}"#.to_owned();
    let output = Output { status: Some(0), stdout, stderr: String::new() };
    let found = nodejs().packages(step, &output);
    assert_eq!(
        found.iter().map(|one| format!("{} {}", one.name, one.version)).collect::<Vec<_>>(),
        ["b 2.0.0"]
    );
}
