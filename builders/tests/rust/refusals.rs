//! What is refused before anything runs, and how that is said.

use super::support::advises;
use super::{CRATE, DENIED, USUAL, World, error, plan, text};

/// Why a crate's manifest is refused.
#[track_caller]
fn refused(manifest: &str) -> String {
    error(&USUAL, &format!("{CRATE}{manifest}"))
}

#[test]
fn the_handler_needs_its_file() {
    let nobody = World { handler: "", ..USUAL };
    assert_eq!(
        error(&nobody, "//- src/lib.rs\n//- src/a/b.rs\n//- b.txt\n"),
        r#"NoHandler { candidates: ["a.b.<function>", "lib.<function>"] }"#
    );
    let other = World { handler: "orders.run", ..USUAL };
    let said = error(&other, CRATE);
    assert!(said.contains(r#"expected: ["src/orders.rs", "src/orders/mod.rs"]"#), "{said}");
    let said = error(&other, "//- a.txt\n");
    assert!(said.contains(r#"["orders.rs", "src/lib.rs"], found: ["a.txt"]"#), "{said}");
    assert_eq!(
        error(&World { handler: "hello.my-run", ..USUAL }, "//- hello.rs\n"),
        "manifest: \"my-run\" is no name that a function of Rust can have | name the function as its source does"
    );
}

#[test]
fn a_program_is_told_how_to_be_a_function() {
    let said = error(&USUAL, "//- src/main.rs\n//- Cargo.toml\n[package]\nname = 'x'\n");
    assert_eq!(
        said,
        "manifest: src/main.rs: this is a program, and a function is a library | rename it to src/lib.rs, and in it write \
         `pub fn handler(event: kubeless::Event, context: kubeless::Context) -> String`"
    );
}

#[test]
fn a_manifest_that_is_misspelt_or_malformed_says_where() {
    assert_eq!(
        error(&USUAL, "//- src/lib.rs\n//- cargo.toml\n"),
        "manifest: cargo.toml: no tool reads a dependency file of this name | rename it to Cargo.toml"
    );
    assert!(refused("[dependencies\n").starts_with("manifest: Cargo.toml:4:14: "));
    let said = error(&USUAL, &format!("{CRATE}[dependencies]\nitoa = '1'\n//- Cargo.lock\nversion = \n"));
    assert!(said.starts_with("manifest: Cargo.lock:1:11: "), "{said}");
}

#[test]
fn a_url_with_a_login_is_refused_and_not_repeated() {
    let hint = "leave them out of the URL: a repository's login goes into a mounted .netrc, a registry's token into \
                CARGO_REGISTRIES_<NAME>_TOKEN";
    let message = "this URL holds credentials, which cargo would write into all that it keeps";
    for (rest, place) in [
        ("[dependencies]\nx = { git = 'https://user:s3cr3t@git.example/x' }\n", "Cargo.toml:5:14"),
        ("[dependencies]\nx = { git = 'https://s3cr3t@git.example/x' }\n", "Cargo.toml:5:14"),
        (
            "[dependencies]\nx = { version = '1', registry-index = 'sparse+https://u:p@a.example/' }\n",
            "Cargo.toml:5:40",
        ),
        ("[patch.'ssh://u:s3cr3t@git.example/x']\nx = { path = 'x' }\n//- x/Cargo.toml\n", "Cargo.toml:4:9"),
        (
            "[dependencies]\nx = '1'\n//- Cargo.lock\nsource = \"git+https://u:s3cr3t@git.example/x\"\n",
            "Cargo.lock:1:11",
        ),
        ("//- lib/Cargo.toml\nx = { git = 'http://s3cr3t@git.example/x' }\n", "lib/Cargo.toml:1:14"),
    ] {
        assert_eq!(refused(rest), format!("dependencies: {place}: {message} | {hint}"), "{rest}");
    }
    for plain in ["https://git.example/x@1", "ssh://git@git.example/x", "https://git.example/?x=a:b@c"] {
        text(&USUAL, &format!("{CRATE}[dependencies]\nx = {{ git = '{plain}' }}\n"));
    }
}

#[test]
fn what_is_inherited_from_a_workspace_is_refused_where_there_is_none() {
    let hint = "write what it stands for in the workspace's manifest: that is not part of the function";
    for (manifest, place, key) in [
        ("edition.workspace = true\n", "4:1", "edition"),
        ("workspace = '..'\n", "4:1", "workspace"),
        ("[dependencies]\nserde = { workspace = true }\n", "5:1", "serde"),
        ("[target.'cfg(unix)'.dependencies]\nserde.workspace = true\n", "5:1", "serde"),
        ("[lints]\nworkspace = true\n", "4:2", "lints"),
    ] {
        let expected = format!(
            "manifest: Cargo.toml:{place}: `{key}` is inherited from a workspace, which is not here | {hint}"
        );
        assert_eq!(refused(manifest), expected);
    }
    text(&USUAL, &format!("{CRATE}edition.workspace = true\n[workspace.package]\nedition = '2021'\n"));
    assert_eq!(
        error(&USUAL, "//- src/lib.rs\n//- Cargo.toml\n[workspace]\nmembers = ['a']\n"),
        "manifest: Cargo.toml:1:2: a workspace without a package of its own is no function \
         | mount one of its members, or add a [package] here"
    );
}

#[test]
fn a_path_must_stay_in_the_function() {
    assert_eq!(
        refused("[dependencies]\na = { path = '../a' }\n"),
        "dependencies: Cargo.toml:5:7: ../a lies outside of the function | bring the package along, in a directory of the function"
    );
    assert_eq!(
        refused("[dependencies]\na.path = './b/../a/'\n"),
        "dependencies: Cargo.toml:5:3: there is no a/Cargo.toml | bring the package along, in a directory of the function"
    );
}

#[test]
fn what_cannot_be_a_function_is_refused() {
    assert!(refused("[lib]\nproc-macro = true\n").contains("5:1: a procedural macro is no function"));
    assert!(refused("[lib]\npath = 'x.rs'\n").contains("5:1: there is no file x.rs"));
    assert!(
        refused("[dependencies]\nkl = { package = 'kubeless' }\n")
            .contains("5:1: kubeless is listed under another name")
    );
    let said = error(&USUAL, "//- src/lib.rs\n//- Cargo.toml\n[package]\nname = 'kubeless'\n");
    assert!(said.contains("2:1: the name kubeless is taken"), "{said}");
}

#[test]
fn a_newer_rust_than_there_is_is_refused() {
    assert_eq!(
        refused("rust-version = '1.100'\n"),
        "version: Cargo.toml:4:1: the function needs Rust 1.100, and this image has 1.95.0 \
         | choose an image with Rust 1.100 or later, or lower `rust-version`"
    );
    let old = World { version: "1.80.1", ..USUAL };
    assert_eq!(
        error(&old, &format!("{CRATE}edition = '2024'\n")),
        "version: Cargo.toml:4:1: the edition 2024 needs Rust 1.85, and this image has 1.80.1 \
         | choose an image with Rust 1.85 or later, or an older edition"
    );
    assert!(
        refused("edition = '2027'\n")
            .starts_with("manifest: Cargo.toml:4:1: the edition \"2027\" is not known")
    );
    text(&USUAL, &format!("{CRATE}rust-version = '1.95'\nedition = '2024'\n"));
}

#[test]
fn a_build_script_of_the_functions_own_is_refused_where_none_may_run() {
    let refusal = |script| {
        format!(
            "dependencies: {script}: the function has a build script, and none may run here | do without it, or ask for INJECTOR_BUILD_SCRIPTS=allow"
        )
    };
    assert_eq!(error(&DENIED, &format!("{CRATE}//- build.rs\n")), refusal("build.rs"));
    assert_eq!(error(&DENIED, &format!("{CRATE}build = 'make.rs'\n//- make.rs\n")), refusal("make.rs"));
    text(&DENIED, &format!("{CRATE}build = false\n//- build.rs\n"));
    text(&USUAL, &format!("{CRATE}//- build.rs\n"));
}

#[test]
fn both_tools_must_be_there() {
    let without = World { tools: &["rustc"], ..USUAL };
    assert!(error(&without, CRATE).contains("tool: \"cargo\""));
}

#[test]
fn a_handler_is_looked_for_elsewhere_and_under_names_that_are_near() {
    let in_crate = |path: &str| format!("{CRATE}\n//- {path}\n");
    for (fixture, wrong, right) in [
        (in_crate("src/api/orders.rs"), "orders.run", "api.orders.run"),
        (in_crate("src/api/orders/mod.rs"), "orders.run", "api.orders.run"),
        (in_crate("src/orders.rs"), "oders.run", "orders.run"),
        ("//- functions/hello.rs\n".to_owned(), "hello.run", "functions.hello.run"),
    ] {
        advises(|handler| plan(&World { handler, ..USUAL }, &fixture), wrong, right);
    }
    let outside = error(&World { handler: "orders.run", ..USUAL }, &in_crate("orders.rs"));
    assert!(outside.contains("\"orders.rs\"") && outside.ends_with("meant: None }"), "{outside}");
}
