//! What is refused before anything runs, and how that is said.

use super::support::advises;
use super::{USUAL, World, error, plan};

/// Why a manifest is refused.
#[track_caller]
fn refused(manifest: &str) -> String {
    error(&USUAL, &format!("//- hello.go\n//- lib/lib.go\n//- go.mod\n{manifest}"))
}

#[test]
fn the_handler_needs_its_file_and_a_name_that_can_be_called() {
    let with = |handler| World { handler, ..USUAL };
    assert!(error(&with(""), "//- hello.go\n").contains("\"hello.<function>\""));
    let said = error(&with("a.b.Handler"), "//- hello.go\n");
    for name in ["a/b.go", "a/b/b.go", r#"found: ["hello.go"]"#] {
        assert!(said.contains(name), "{name} in {said}");
    }
    assert!(plan(&with("a.b.Handler"), "//- a/b/b.go\n").is_ok());
    assert!(plan(&with("hello.Überall"), "//- hello.go\n").is_ok());
    assert_eq!(
        error(&with("hello.handler"), "//- hello.go\n"),
        "manifest: the handler hello.handler cannot be called: Go functions are private to their package unless \
         their names begin with a capital | call it `Handler`, in the file and in FUNC_HANDLER"
    );
    for odd in ["hello.Say-hello", "hello.Say$"] {
        assert!(error(&with(odd), "//- hello.go\n").contains("is not an identifier"), "{odd}");
    }
}

#[test]
fn a_misspelt_manifest_gets_advice() {
    for (wrong, said) in [
        ("gomod", "no tool reads a dependency file of this name | rename it to go.mod"),
        (
            "Gopkg.toml",
            "the tool that reads this file is not run here | name the dependencies in go.mod instead",
        ),
    ] {
        let found = error(&USUAL, &format!("//- hello.go\n//- {wrong}\n\n"));
        assert_eq!(found, format!("manifest: {wrong}: {said}"));
    }
    assert!(plan(&USUAL, "//- hello.go\n//- go.mod\n//- Gopkg.toml\n").is_ok(), "left from before");
}

#[test]
fn a_malformed_manifest_says_where() {
    for (manifest, said) in [
        (
            "go 1.21\n",
            "go.mod:1:1: the file does not say which module this is | let `module function` be its first line",
        ),
        ("module\n", "go.mod:1:1: one module path is expected | write `module function`"),
        ("module a\ngo latest\n", "go.mod:2:4: a version of Go is expected | write `go 1.22`"),
        (
            "module a\nrequire (\n\tx.org/a v1.0.0\n",
            "go.mod:2:9: the block that begins here is not closed | close it with `)`",
        ),
        ("module a\n)\n", "go.mod:2:1: this closes no block | remove it"),
        ("module \"a\n", "go.mod:1:8: the quotes that begin here do not end | end them on the same line"),
        (
            "module a\nrequire x.org/a // v1\n",
            "go.mod:2:9: x.org/a is required without a version | write one, such as `v1.2.3`; `go get` finds the latest",
        ),
        ("module a\nrequire x.org/a 1.0.0\n", "go.mod:2:9: 1.0.0 is no version of x.org/a | write v1.0.0"),
        (
            "module a\nrequire a b c\n",
            "go.mod:2:9: a module and its version are expected | write `require github.com/sirupsen/logrus v1.9.3`",
        ),
        (
            "module a\nreplace x.org/a ./lib\n",
            "go.mod:2:9: a module, `=>`, and what stands for it are expected | write `replace example.com/lib => ./lib`",
        ),
        (
            "module log\n",
            "go.mod:1:8: the module cannot be named log: Go itself has that name | name it `function`",
        ),
    ] {
        assert_eq!(refused(manifest), format!("manifest: {said}"), "{manifest}");
    }
}

#[test]
fn what_stands_for_a_module_must_be_deployed() {
    for (path, said) in [
        (
            "../lib",
            "../lib leads out of the function | deploy the module within the function, and name it like `./lib`",
        ),
        ("./nope", "nope is not among the function's files | deploy it with the function"),
        ("./lib", "lib is no module: it has no go.mod | give it one: `go mod init`"),
    ] {
        let found = refused(&format!("module a\n\nreplace x.org/a => {path}\n"));
        assert_eq!(found, format!("dependencies: go.mod:3:9: {said}"));
    }
    for accepted in ["/opt/lib", "x.org/b v1.0.0"] {
        assert!(
            plan(&USUAL, &format!("//- hello.go\n//- go.mod\nmodule a\nreplace x.org/a => {accepted}\n"))
                .is_ok()
        );
    }
}

#[test]
fn a_newer_go_is_asked_of_the_image_and_not_downloaded() {
    assert_eq!(
        refused("module a\n\ngo 1.27rc1\ntoolchain go1.28.0\n"),
        "version: go.mod:3:4: the function is for Go 1.27rc1, this image has 1.26.8 | choose an image of such a \
         version, or write a lower one if the function allows it"
    );
    assert!(plan(&USUAL, "//- hello.go\n//- go.mod\nmodule a\ngo 1.26.8\ntoolchain go1.28.0\n").is_ok());
}

#[test]
fn a_handler_is_of_the_functions_own_module() {
    let inner = World { handler: "app.hello.Handler", ..USUAL };
    assert_eq!(
        error(&inner, "//- app/hello.go\n//- app/go.mod\nmodule a\n"),
        "manifest: app/go.mod: this makes another module of the handler's directory than the function is | move \
         go.mod to the top of the function, or deploy that directory alone"
    );
}

#[test]
fn a_handler_is_looked_for_elsewhere_and_under_names_that_are_near() {
    for (fixture, wrong, right) in [
        ("//- cmd/hello.go\n", "hello.Handler", "cmd.hello.Handler"),
        ("//- pkg/users/users.go\n", "users.List", "pkg.users.List"),
    ] {
        advises(|handler| plan(&World { handler, ..USUAL }, fixture), wrong, right);
    }
}
