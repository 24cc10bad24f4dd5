//! The files that go sees in the function's directory and that are not there: our `main`, the server, Kubeless' interface.
//!
//! `go build -overlay` reads a list of such files: <https://pkg.go.dev/cmd/go#hdr-Compile_packages_and_dependencies>.
//! Vendored packages need not be listed in `vendor/modules.txt`. So what is published stays as its author wrote it, and no path of a build gets into the binary.

use super::manifest::{GO_MOD, Manifest};
use super::modfile::{Module, Sums, ours};
use crate::assets;
use crate::diagnostic::Blame;
use crate::function::{Function, Handler, RelPath};
use crate::plan::{Action, Arg, Dir, Place, Step};
use crate::steps::{offline, scratch};

/// The directory in the function's that holds what is ours.
const OURS: &str = "injector-server";
/// Where the interface is.
pub(super) const API: &str = "injector-server/api";
/// Where the server is.
pub(super) const SERVER: &str = "injector-server/server";
/// The list of files.
pub(super) const LIST: &str = "go/overlay.json";
/// Joins function and server.
const MAIN: &str = "main.go";

/// The directory of our `main`: below the handler's package, so that it may import that even if it is internal.
pub(super) fn main(file: &RelPath) -> String {
    file.parent().map_or_else(|| OURS.to_owned(), |dir| format!("{dir}/{OURS}"))
}

/// Whether a file that go speaks of is one of these.
pub(super) fn is_ours(file: &str) -> bool {
    file.split('/').any(|part| part == OURS)
}

/// Puts the files in place, and lists them.
pub(super) fn steps(
    function: &Function,
    manifest: &Manifest<'_>,
    (handler, file): (&Handler, &RelPath),
    sums: Sums,
) -> Vec<Step> {
    let deed = |name: &str, why, action| offline(name, why, Blame::Platform, action);
    let mut steps = Vec::new();
    let mut seen = Vec::new();
    let modules: Vec<Module> = ours(function, manifest).collect();
    for (name, id) in assets::below("go/server") {
        let to = scratch(&format!("go/{OURS}/{name}"));
        if name == MAIN {
            seen.push((format!("{}/{MAIN}", main(file)), to.clone()));
            let text = main_text(manifest, file, handler, id).into();
            steps.push(deed("main", "joins function and server", Action::Write { path: to, text }));
            continue;
        }
        let name = format!("{OURS}/{name}");
        let below = |module: &Module| name.strip_prefix(module.dir).map(|rest| (module.path, rest));
        let Some((module, rest)) = modules.iter().find_map(below) else { continue };
        seen.push(match sums {
            Sums::Vendored => (format!("vendor/{module}{rest}"), to.clone()),
            Sums::Given | Sums::Found => (name.clone(), to.clone()),
        });
        let asset = Action::Asset { id: id.to_owned(), to };
        steps.push(deed(&format!("server {}", &name[OURS.len() + 1..]), "what calls the function", asset));
    }
    if function.top(GO_MOD).is_none() {
        seen.push((GO_MOD.to_owned(), Place { dir: Dir::Deps, path: GO_MOD.parse().ok() }));
    }
    let write = Action::Write { path: scratch(LIST), text: overlay(&seen) };
    steps.push(deed("overlay", "the files that only go shall see in the function", write));
    steps
}

/// Our `main`, with the function's package and name in it.
fn main_text(manifest: &Manifest<'_>, file: &RelPath, handler: &Handler, id: &str) -> String {
    let module = &manifest.module;
    let package = file.parent().map_or_else(|| module.clone(), |dir| format!("{module}/{dir}"));
    let text = assets::asset(id).unwrap_or_default();
    text.replace("FUNCTION_PACKAGE", &package)
        .replace("FUNCTION_NAME", &handler.function)
        .replace("FUNCTION_HANDLER", &handler.to_string())
}

/// The list as go reads it.
fn overlay(seen: &[(String, Place)]) -> Arg {
    let mut text = Arg::from("{\"Replace\": {");
    for (index, (name, real)) in seen.iter().enumerate() {
        let begin = if index == 0 { "\n  \"" } else { ",\n  \"" };
        let name = Place { dir: Dir::Source, path: name.parse().ok() };
        text = text.then(begin).then(name).then("\": \"").then(real.clone()).then("\"");
    }
    text.then("\n}}\n")
}
