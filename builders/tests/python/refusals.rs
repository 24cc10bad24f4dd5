//! What cannot be planned, and the advice for it.

use std::fmt::Write as _;

use builders::toolchain::BuildScripts;

use super::support::advises;
use super::{LOCK, PROJECT, USUAL, WITH_UV, World, error, plan, text};

#[test]
fn a_lock_that_was_made_from_other_dependencies_is_refused() {
    let drift = |lock: &str| error(&WITH_UV, &format!("//- hello.py\n{PROJECT}{lock}"));
    let mend = "| run `uv lock` and deploy the uv.lock that it writes";
    assert_eq!(
        drift(&LOCK.replace("==1.16.0", "==1.15.0").replace("\"idna\"", "\"flask\"")),
        format!(
            "dependencies: pyproject.toml:4: uv.lock was made from other dependencies: flask was removed, idna was added, six was changed {mend}"
        )
    );
    assert_eq!(
        drift("//- uv.lock\n[[package]\n").split(": ").take(2).collect::<Vec<_>>(),
        ["manifest", "uv.lock:1:11"]
    );
    assert!(error(&USUAL, &format!("//- hello.py\n{PROJECT}{LOCK}")).starts_with("NoTool { tool: \"uv\""));
    assert!(error(&WITH_UV, &format!("//- hello.py\n{LOCK}")).contains("without its pyproject.toml"));
}

#[test]
fn a_project_for_other_versions_is_refused() {
    let project = |wanted: &str| {
        format!(
            "//- hello.py\n//- pyproject.toml\n[project]\nname = 'x'\nrequires-python = '{wanted}'\ndependencies = ['six']\n"
        )
    };
    assert_eq!(
        error(&USUAL, &project(">=3.12")),
        "version: pyproject.toml:3: the project is for Python >=3.12, this image has 3.11.7 | choose an image of such a version, or widen `requires-python`"
    );
    assert!(text(&USUAL, &project(">=3.9,<4")).contains("write-requirements"));
}

#[test]
fn building_may_be_forbidden() {
    let deny = World { build_scripts: BuildScripts::Deny, ..USUAL };
    let with = |line: &str| format!("//- hello.py\n//- pkg/setup.py\n//- requirements.txt\nsix\n{line}\n");
    assert!(
        text(&deny, &with("pkg @ https://a.example/pkg-1-py3-none-any.whl")).contains("--only-binary :all:")
    );
    for line in
        ["pkg @ git+https://a.example/pkg", "./pkg", "https://a.example/pkg.tar.gz", "--no-binary six"]
    {
        let refused = error(&deny, &with(line));
        assert!(refused.starts_with("dependencies: requirements.txt:2: "), "{line}: {refused}");
    }
}

#[test]
fn what_no_pip_accepts_is_refused_at_its_column() {
    let refused = |line: &str| error(&USUAL, &format!("//- hello.py\n//- requirements.txt\n\n  {line}\n"));
    for (line, expected) in [
        (
            "six = 1.0",
            "manifest: requirements.txt:2:7: Invalid requirement: \"six = 1.0\" | write `==` for an exact version",
        ),
        (
            "pip install six",
            "manifest: requirements.txt:2:3: Invalid requirement: \"pip install six\" | write the package's name alone, without `pip install`",
        ),
        (
            "<<<<<<< HEAD",
            "manifest: requirements.txt:2:3: Invalid requirement: \"<<<<<<< HEAD\" | a requirement begins with the package's name, for example `requests>=2.31`",
        ),
        (
            "six[a >1",
            "manifest: requirements.txt:2:6: Invalid requirement: \"six[a >1\" | close the list of extras with `]`",
        ),
        (
            "six \\\nidna",
            "manifest: requirements.txt:3:1: Invalid requirement: \"six idna\" | after the name comes a version such as `==1.2`; each requirement has a line of its own",
        ),
        (
            "-r gone.txt",
            "manifest: requirements.txt:2: gone.txt is not a file of this function | add the file, or remove the line that names it",
        ),
        (
            "-c ../../etc/x",
            "manifest: requirements.txt:2: ../../etc/x is not a file of this function | add the file, or remove the line that names it",
        ),
        (
            "./wheels/gone.whl",
            "manifest: requirements.txt:2: ./wheels/gone.whl is no file or directory of this function | add it, or correct the path",
        ),
        (
            "-e ./pkg",
            "dependencies: requirements.txt:2: an editable requirement cannot be installed into a function | remove `-e`: the package is then built and installed like any other",
        ),
    ] {
        assert_eq!(refused(line), expected, "{line}");
    }
    for line in [
        "six",
        "six==1.0 # why",
        "a.b_c[x, y]~=1.0; python_version<'4'",
        "six (>=1.0)",
        "six===1",
        "six>=1,<2",
        "./wheels/x-1.0-py3-none-any.whl ; python_version>'3'",
        "./pkg[extra]",
        "x.whl",
        "https://a.example/x#egg=y",
        "pkg @ git+https://a.example/x@v1#egg=pkg",
        "--pre",
        "${NAME}/x",
        "--some-new-option",
    ] {
        let files = "//- hello.py\n//- pkg/setup.py\n//- wheels/x-1.0-py3-none-any.whl\n//- requirements.txt";
        text(&USUAL, &format!("{files}\n{line}\n"));
    }
    assert!(
        error(&USUAL, "//- hello.py\n//- requirements.txt\n(binary)\n")
            .starts_with("manifest: requirements.txt: the file is not UTF-8")
    );
}

#[test]
fn files_that_name_each_other_without_end_are_refused() {
    let mut chain = "//- hello.py\n//- requirements.txt\n-r r0.txt\n".to_owned();
    for number in 0..20_000 {
        let _ = writeln!(chain, "//- r{number}.txt\n-r r{}.txt", number + 1);
    }
    chain.push_str("//- r20000.txt\nsix\n");
    let refused = error(&USUAL, &chain);
    assert!(refused.starts_with("manifest: r99.txt:1: files that name each other"), "{refused}");
    // In a circle there is nothing more to read.
    assert!(
        text(&USUAL, "//- hello.py\n//- requirements.txt\nsix\n-r requirements.txt\n").contains("install")
    );
}

#[test]
fn a_project_says_where_it_is_wrong() {
    let refused = |text: &str| error(&USUAL, &format!("//- hello.py\n//- pyproject.toml\n{text}\n"));
    for (text, expected) in [
        (
            "[project]\ndependencies = [\n  'six',\n  'idna = 3',\n]",
            "manifest: pyproject.toml:4:9: Invalid requirement: \"idna = 3\"",
        ),
        (
            "[project]\ndependencies = [\"six\\n--index-url x\"]",
            "manifest: pyproject.toml:2:18: a dependency is one line",
        ),
        (
            "[project]\ndynamic = ['dependencies']",
            "dependencies: pyproject.toml:2: the dependencies are dynamic",
        ),
        (
            "[tool.poetry.dependencies]\npython = '3'\nsix = '*'",
            "dependencies: pyproject.toml:1: these dependencies are in Poetry's own form",
        ),
        ("[project", "manifest: pyproject.toml:1:9: "),
    ] {
        let found = refused(text);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn the_handler_needs_its_file() {
    let dotted = World { handler: "pkg.sub.run", ..USUAL };
    let plan = text(&dotted, "//- pkg/sub/__init__.py\n");
    assert!(plan.contains("--file pkg/sub/__init__.py --module pkg.sub --function run"), "{plan}");
    let found = error(&USUAL, "//- main.py\n");
    assert!(found.contains(r#"expected: ["hello.py", "hello/__init__.py"], found: ["main.py"]"#), "{found}");
    let unnamed = World { handler: "", ..USUAL };
    assert_eq!(
        error(&unnamed, "//- a/b.py\n//- c/__init__.py\n"),
        r#"NoHandler { candidates: ["a.b.<function>", "c.<function>"] }"#
    );
}

#[test]
fn a_misspelt_manifest_gets_advice() {
    let found = error(&USUAL, "//- hello.py\n//- requirments.txt\nsix\n");
    assert_eq!(
        found,
        "manifest: requirments.txt: no tool reads a dependency file of this name | rename it to requirements.txt"
    );
    text(&USUAL, "//- hello.py\n//- requirments.txt\nsix\n//- requirements.txt\n");
}

#[test]
fn a_handler_is_looked_for_elsewhere_and_under_names_that_are_near() {
    for (fixture, wrong, right) in [
        ("//- app/hello.py\n", "hello.run", "app.hello.run"),
        ("//- src/app/__init__.py\n", "app.run", "src.app.run"),
        ("//- Hello.py\n", "hello.run", "Hello.run"),
    ] {
        advises(|handler| plan(&World { handler, ..USUAL }, fixture), wrong, right);
    }
}
