//! What this injector can build, and what of it this machine has.

use std::fmt::Write as _;
use std::path::Path;

use builders::builder;
use builders::catalog::{Catalog, Runtime, RuntimeName, list as versions};

use crate::cli::Environment;
use crate::surroundings::Surroundings;
use crate::toolbox;

/// The runtimes, a paragraph each.
pub(crate) fn list(catalog: &Catalog, env: &Environment) -> String {
    catalog.runtimes().iter().fold(String::new(), |mut text, runtime| {
        let names: Vec<_> = [&runtime.id].into_iter().chain(&runtime.aliases).map(String::as_str).collect();
        let _ = writeln!(text, "{}  {}", names.join(", "), runtime.title);
        let _ = writeln!(text, "  versions    {}", versions(&runtime.versions));
        let _ = writeln!(text, "  files       {}", dotted(&runtime.extensions));
        let _ = writeln!(text, "  manifests   {}", runtime.manifests.join(", "));
        for line in tools(runtime, env) {
            let _ = writeln!(text, "  {line}");
        }
        text
    })
}

/// What this machine has of a runtime's tools.
fn tools(runtime: &Runtime, env: &Environment) -> Vec<String> {
    let Some(builder) = builder(&runtime.id) else {
        return Vec::new();
    };
    let name = RuntimeName { id: runtime.id.clone(), version: None };
    let surroundings = Surroundings::bare(env);
    let line = |spec: &builders::catalog::ToolSpec| {
        let mut ask = |program: &Path| toolbox::ask(builder, &spec.name, program, &surroundings.env);
        let here = match toolbox::find(runtime, spec, &name, surroundings.path(), &mut ask) {
            Ok(found) => format!("{} ({})", found.tool.identity.version, found.program.display()),
            Err(error) => format!("not here: {error}"),
        };
        format!("{:<11} {here}", spec.name)
    };
    runtime.tools.iter().map(line).collect()
}

fn dotted(extensions: &[String]) -> String {
    extensions.iter().map(|extension| format!(".{extension}")).collect::<Vec<_>>().join(" ")
}
