//! Which file holds the handler, and by which path the crate shows it.

use super::manifest::Manifest;
use crate::diagnostic::Diagnostic;
use crate::error::PlanError;
use crate::function::{Function, Handler, RelPath};
use crate::near::no_module;
use crate::toolchain::Version;

/// Where a crate's library begins if its manifest does not say.
const LIB: &str = "src/lib.rs";
/// Where a program begins.
const MAIN: &str = "src/main.rs";

/// The handler and its place.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) handler: Handler,
    /// The file that holds it.
    pub(super) file: RelPath,
    /// The file with which the library begins.
    pub(super) root: RelPath,
    /// The library's name in paths.
    library: String,
    /// The modules between the two.
    modules: Vec<String>,
}

/// Finds the handler: `lib.NAME` in the crate's root, `orders.NAME` in its module `orders`, and without a crate
/// `hello.NAME` in `hello.rs`.
pub(super) fn find(function: &Function, manifest: &Manifest<'_>) -> Result<Entry, PlanError> {
    let root = manifest.library_file(function)?;
    let has = |path: &str| function.files.get_key_value(path).map(|(path, _)| path.clone());
    let root = root.or_else(|| has(LIB));
    let library = manifest.library();
    let Some(handler) = function.handler.clone() else {
        let files = function.files.keys().filter(|path| path.extension() == Some("rs"));
        let stems = files.filter_map(|path| path.as_str().strip_suffix(".rs"));
        let stems = stems.map(|stem| stem.strip_prefix("src/").unwrap_or(stem).replace('/', "."));
        return Err(PlanError::NoHandler {
            candidates: stems.take(5).map(|module| format!("{module}.<function>")).collect(),
        });
    };
    if !is_identifier(&handler.function) {
        let message = format!("{:?} is no name that a function of Rust can have", handler.function);
        return Err(PlanError::Manifest(
            Diagnostic::new(message).hint("name the function as its source does"),
        ));
    }
    let path = handler.module.replace('.', "/");
    let Some(root) = root else {
        // Without a library, the handler's file is one.
        return match has(&format!("{path}.rs")) {
            Some(file) => Ok(Entry { handler, root: file.clone(), file, library, modules: Vec::new() }),
            None if has(MAIN).is_some() => Err(PlanError::Manifest(
                Diagnostic::new("this is a program, and a function is a library")
                    .at(MAIN, None, None)
                    .hint(format!("rename it to {LIB}, and in it write `{}`", signature(&handler.function))),
            )),
            None => Err(absent(function, handler, vec![format!("{path}.rs"), LIB.to_owned()], "")),
        };
    };
    let (dir, stem) = root.as_str().rsplit_once('/').map_or(("", root.as_str()), |(dir, name)| (dir, name));
    let stem = stem.trim_end_matches(".rs");
    let mut modules: Vec<&str> = path.split('/').collect();
    if modules.len() > 1 && modules[0] == dir {
        modules.remove(0);
    }
    if modules[0] == library || modules[0].replace('-', "_") == library || modules == [stem] {
        modules.remove(0);
    }
    if modules.is_empty() {
        return Ok(Entry { handler, file: root.clone(), root, library, modules: Vec::new() });
    }
    let stem = modules.join("/");
    let below = |name: &str| if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
    let expected = [below(&format!("{stem}.rs")), below(&format!("{stem}/mod.rs"))];
    let modules = modules.into_iter().map(str::to_owned).collect();
    match expected.iter().find_map(|path| has(path)) {
        Some(file) => Ok(Entry { handler, file, root, library, modules }),
        None => Err(absent(function, handler, expected.into(), &below(""))),
    }
}

/// Modules lie below the directory of the library's root; what lies elsewhere is none.
fn absent(function: &Function, handler: Handler, expected: Vec<String>, dir: &str) -> PlanError {
    no_module(function, handler, expected, |path| {
        let stem = path.as_str().strip_suffix(".rs")?;
        let module = stem.strip_prefix(dir).map(|module| module.strip_suffix("/mod").unwrap_or(module));
        Some(module.into_iter().map(str::to_owned).collect())
    })
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

/// How a handler is written.
pub(super) fn signature(function: &str) -> String {
    format!("pub fn {function}(event: kubeless::Event, context: kubeless::Context) -> String")
}

impl Entry {
    /// The program: it only hands the function to the server, so that an edit of the function compiles little. The lints
    /// of the function's manifest hold here, too: those on crates find nothing, whatever their level.
    pub(super) fn glue(&self, version: &Version) -> String {
        let Entry { handler, library, modules, .. } = self;
        let path: String = modules.iter().flat_map(|module| [module, "::"]).collect();
        let function = &handler.function;
        format!(
            "//! Hands the function to its server.\n\n\
             #![allow(unused_crate_dependencies)]\n\n\
             extern crate kubeless as server;\nextern crate {library} as authors;\n\n\
             fn main() {{\n    server::serve(\n        \"{handler}\",\n        \"{version}\",\n        \
             |event: server::Event, context: server::Context| authors::{path}{function}(event, context),\n    );\n}}\n"
        )
    }
}
