//! go: where its modules come from, with what credentials, and what of them a build sees.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;

use super::pod::Pod;

/// A pod whose function is Go's.
pub(super) fn settle(pod: &mut Pod) -> &mut Pod {
    // What the standard library compiles to is the same for all of them.
    let compiled = concat!(env!("CARGO_TARGET_TMPDIR"), "/go-build");
    std::fs::create_dir_all(compiled).expect("a directory");
    std::fs::create_dir_all(pod.path("keep/kept")).expect("a directory");
    symlink(compiled, pod.path("keep/kept/go-build")).expect("a link");
    let keep = pod.path("keep");
    pod.var("INJECTOR_KEEP", &keep).var("GONOSUMDB", "acme.example")
}

/// A `go.mod` that asks for these modules, the first of them on line 5.
pub(super) fn manifest(modules: &[String]) -> String {
    let mut text = String::from("module function\n\ngo 1.21\n\n");
    for module in modules {
        let _ = writeln!(text, "require {module} v1.0.0");
    }
    text
}

/// A handler that says what the first of these modules says.
pub(super) fn handler(modules: &[String]) -> String {
    format!(
        "package kubeless\n\nimport (\n\tgreeting \"{}\"\n\n\t\"github.com/kubeless/kubeless/pkg/functions\"\n)\n\n\
         func Hello(event functions.Event, context functions.Context) (string, error) {{\n\treturn greeting.Text, nil\n}}\n",
        modules[0]
    )
}
