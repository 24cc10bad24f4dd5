//! What failures of steps mean.

use builders::diagnostic::Output;

use super::{USUAL, advice, function, plan, python};

#[test]
fn tools_say_what_they_are() {
    let said = |stdout: &str| Output { status: Some(0), stdout: stdout.to_owned(), stderr: String::new() };
    let probe = said(r#"{"version": "3.12.1", "facts": {"abi": "cpython-312"}}"#);
    let found = python().identify("python", &probe).expect("an identity");
    assert_eq!(
        (found.version.to_string(), found.facts["abi"].as_str()),
        ("3.12.1".to_owned(), "cpython-312")
    );
    let uv = python().identify("uv", &said("uv 0.9.1 (0fd0d2a 2025-10-09)\n")).expect("an identity");
    assert_eq!(uv.version.to_string(), "0.9.1");
    assert_eq!(python().identify("uv", &said("bash: uv: not found")), None);
}

/// What a step of the usual plan says when it fails.
fn diagnosed(step: &str, status: i32, stdout: &str, stderr: &str) -> Vec<String> {
    let fixture = "//- hello.py\n//- requirements.txt\n\nrequests==2.20.0\n";
    let plan = plan(&USUAL, fixture).expect("a plan");
    let steps = [plan.check, plan.resolve].concat();
    let step = steps.iter().find(|one| one.name == step).expect("the step");
    let output = Output { status: Some(status), stdout: stdout.to_owned(), stderr: stderr.to_owned() };
    let found = python().diagnose(step, &output, &function(&USUAL, fixture));
    found.iter().map(|one| format!("{} | {:?}", advice(one), one.blame)).collect()
}

#[test]
fn what_the_helpers_find_is_located() {
    let broken = r#"{"errors": [{"file": "a.py", "line": 3, "column": 7, "message": "invalid syntax", "source": "  def f(:\n"}],
        "handler": {"state": "unchecked", "names": []}}"#;
    assert_eq!(diagnosed("check", 1, broken, ""), ["a.py:3:7: invalid syntax\n    def f(: | - | None"]);
    let missing = r#"{"errors": [], "handler": {"state": "missing", "names": [{"name": "hi", "line": 4}]}}"#;
    assert_eq!(
        diagnosed("check", 1, missing, ""),
        [
            "hello.py: `handler` is not defined | the file defines hi (line 4); name one of them, or define `handler` | None"
        ]
    );
    assert_eq!(
        diagnosed("check", 2, "", "Traceback\nOSError: x\n"),
        ["a helper of the injector failed: OSError: x | - | Some(Ours)"]
    );
    let conflicts = r#"{"checked": 2, "packages": [], "conflicts":
        [{"package": "Requests", "version": "2.20.0", "requires": "urllib3<1.25", "found": "2.2.0"}]}"#;
    assert_eq!(
        diagnosed("conflicts", 1, conflicts, ""),
        [
            "requirements.txt:2: Requests 2.20.0 needs urllib3<1.25, and 2.2.0 is installed | choose versions that go together | None"
        ]
    );
}

#[test]
fn trouble_that_passed_is_no_evidence() {
    let retry = |left| {
        format!(
            "WARNING: Retrying (Retry(total={left}, connect=None)) after connection broken by 'ReadTimeoutError(\"HTTPSConnectionPool(host='a.example', port=443): Read timed out.\")': /simple/nix/\n"
        )
    };
    let unknown = "ERROR: Could not find a version that satisfies the requirement nix (from requests==2.20.0->-r x (line 2)) (from versions: none)\n";
    let passed = diagnosed("install", 1, "", &format!("{}{unknown}", retry(4)));
    assert!(passed[0].starts_with("requirements.txt:2: there is no package nix in the index"), "{passed:?}");
    let lasted = diagnosed("install", 1, "", &format!("{}{}{unknown}", retry(1), retry(0)));
    assert_eq!(
        lasted,
        [
            "a.example cannot be reached | check egress (network policy, a mesh's sidecar), HTTPS_PROXY and the registry's URL | Some(Platform)"
        ]
    );
    let other = retry(0).replace("nix", "another");
    assert_eq!(diagnosed("install", 1, "", &format!("{other}{unknown}")), passed);
}

#[test]
fn an_index_that_failed_counts_where_its_package_is_missed() {
    let failed = "WARNING: Could not fetch URL https://b.example/simple/nix/: 403 Client Error: Forbidden for url: https://b.example/simple/nix/ - skipping\n";
    let missed = |versions: &str| {
        format!(
            "{failed}ERROR: Could not find a version that satisfies the requirement nix==2 (from versions: {versions})\n"
        )
    };
    let said = |stderr: &str| {
        diagnosed(
            "install",
            1,
            "Looking in indexes: https://a.example/simple, https://b.example/simple\n",
            stderr,
        )[0]
        .clone()
    };
    assert!(said(&missed("none")).starts_with("b.example refuses access (403) | "), "no index has it");
    assert!(
        said(&missed("1.0, 1.1")).starts_with("no version of nix satisfies nix==2"),
        "another index has it"
    );
    let down = missed("1.0").replace("403 Client Error: Forbidden", "502 Server Error: Bad Gateway");
    assert!(said(&down).starts_with("b.example is in trouble (502) | "), "it could have the version");
    let conflict = said(&format!("{failed}ERROR: ResolutionImpossible: for help visit …\n"));
    assert!(conflict.starts_with("these requirements contradict"), "nothing was missed: {conflict}");
}

#[test]
fn of_very_many_errors_no_more_are_told_than_anybody_reads() {
    let missing = |number| {
        format!(
            "ERROR: Could not find a version that satisfies the requirement p{number}==1 (from versions: 2)\n"
        )
    };
    let said = |count| diagnosed("install", 1, "", &(0..count).map(missing).collect::<String>()).len();
    assert_eq!((said(7), said(101)), (7, 100));
}
