//! Go: the function and our server are compiled into one static binary, which needs nothing else to run.

mod commands;
mod diagnose;
mod manifest;
mod modfile;
mod overlay;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Output};
use crate::entry::{self, foreign, misspelt, tool};
use crate::error::PlanError;
use crate::function::{Function, Handler, RelPath};
use crate::plan::{Dir, ForeignCode, Launch, Place, Plan, Program, ResolvesFrom, Secrets, Serves, Step};
use crate::toolchain::Identity;
use crate::{Builder, Inputs, Package};
use commands::{build, server, syntax, verify};
use manifest::{GO_MOD, Manifest};
use modfile::SUMS;

/// The builder for Go.
#[derive(Debug)]
pub struct Go;

impl Builder for Go {
    fn id(&self) -> &'static str {
        "go"
    }

    fn probe(&self, tool: &str) -> Vec<String> {
        vec![if tool == "gofmt" { "-h" } else { "version" }.to_owned()]
    }

    fn needs(&self, _tool: &str, _function: &Function) -> bool {
        true
    }

    fn identify(&self, tool: &str, output: &Output) -> Option<Identity> {
        // gofmt has no version of its own, and says how it is used.
        let said = if tool == "gofmt" {
            output.stderr.contains("usage: gofmt").then_some("0")
        } else {
            // go version go1.26.8 linux/amd64
            output.stdout.strip_prefix("go version go")
        };
        Some(Identity { version: said?.split(' ').next()?.parse().ok()?, facts: BTreeMap::new() })
    }

    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, PlanError> {
        let go = tool(inputs, "go", "every Go function")?;
        let (handler, file) = handler(inputs.function)?;
        misspelt(inputs)?;
        if inputs.function.top("go.mod").is_none() {
            foreign(inputs.function, &["Gopkg.toml", "glide.yaml"], "go.mod")?;
        }
        callable(&handler)?;
        let manifest = Manifest::of(inputs.function)?;
        manifest.holds(inputs.function, &file)?;
        manifest.admits(&go.identity.version)?;
        let modules = modfile::modules(inputs.function, &manifest, &go.identity.version);
        let mut because = vec![format!("{file} holds the handler {handler}")];
        because.extend(modules.because);
        let mut check = overlay::steps(inputs.function, &manifest, (&handler, &file), modules.sums);
        check.extend(inputs.toolchain.tool("gofmt").and_then(|_| syntax(inputs.function)));
        Ok(Plan {
            because,
            check,
            resolve: modules.steps,
            foreign_code: ForeignCode::Impossible,
            // With `-trimpath`, its cache knows no directory.
            kept: Serves::Anywhere,
            resolves_from: ResolvesFrom::Files(modules.files),
            compile: vec![build(&file, modules.sums)],
            verify: vec![verify()],
            executes: BTreeSet::from([Dir::Out]),
            launch: Launch { program: Program::Built(server()), args: Vec::new(), env: BTreeMap::new() },
            manifests: written(&manifest),
            refers: BTreeSet::new(),
            secrets: Secrets::default(),
        })
    }

    fn packages(&self, step: &Step, output: &Output) -> Vec<Package> {
        diagnose::packages(step, output)
    }

    fn diagnose(&self, step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
        diagnose::diagnose(step, output, function)
    }
}

/// The handler and its file: module `a.b` is `a/b.go`, or `a/b/b.go` as Go names the main file of a package.
fn handler(function: &Function) -> Result<(Handler, RelPath), PlanError> {
    let module = function.handler.as_ref().map_or("", |handler| &handler.module);
    entry::handler(function, &["go"], module.rsplit(['.', '/']).next().unwrap_or(module))
}

/// Refuses a name that no other package can call.
fn callable(handler: &Handler) -> Result<(), PlanError> {
    let name = &handler.function;
    let refuse =
        |message: String, hint: String| Err(PlanError::Manifest(Diagnostic::new(message).hint(hint)));
    let is_name =
        name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(char::is_numeric);
    match name.chars().next() {
        _ if !is_name => refuse(
            format!("the handler {handler} names no Go function: {name:?} is not an identifier"),
            format!("name one such as `{}.Handler`", handler.module),
        ),
        Some(first) if !first.is_uppercase() => {
            let exported: String = first.to_uppercase().chain(name.chars().skip(1)).collect();
            refuse(
                format!(
                    "the handler {handler} cannot be called: Go functions are private to their package unless their names begin with a capital"
                ),
                format!("call it `{exported}`, in the file and in FUNC_HANDLER"),
            )
        }
        _ => Ok(()),
    }
}

/// The dependency files, and what go makes of them.
fn written(manifest: &Manifest<'_>) -> BTreeSet<Place> {
    let own = manifest.file.map(|(path, _)| Place::new(Dir::Source, path.clone()));
    let made = [GO_MOD, SUMS].map(|name| Place { dir: Dir::Deps, path: name.parse().ok() });
    own.into_iter().chain(made).collect()
}
