//! Rust: compiled by cargo, together with our server, into one static program.

mod commands;
mod diagnose;
mod entry;
mod lock;
mod logins;
mod manifest;
mod packages;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Blame, Diagnostic, Output};
use crate::entry::{misspelt, tool};
use crate::error::PlanError;
use crate::function::Function;
use crate::plan::{
    Action, Dir, ForeignCode, Launch, Network, Place, Plan, Program, ResolvesFrom, Secrets, Serves, Step,
};
use crate::steps::offline;
use crate::toolchain::{BuildScripts, Identity};
use crate::{Builder, Inputs, Package, assets};
use commands::Target;
use entry::Entry;
use manifest::{LOCK, MANIFEST, Manifest};
use settings::Configuration;

/// The builder for Rust.
#[derive(Debug)]
pub struct Rust;

impl Builder for Rust {
    fn id(&self) -> &'static str {
        "rust"
    }

    fn probe(&self, tool: &str) -> Vec<String> {
        vec![if tool == "git" { "--version" } else { "-vV" }.to_owned()]
    }

    fn needs(&self, tool: &str, function: &Function) -> bool {
        let texts = || [MANIFEST, LOCK].iter().filter_map(|name| function.text(function.top(name)?));
        tool != "git" || texts().any(|text| text.contains("git"))
    }

    fn identify(&self, tool: &str, output: &Output) -> Option<Identity> {
        if tool == "git" {
            // git version 2.39.5
            let version = output.stdout.split_whitespace().nth(2)?;
            return Some(Identity { version: version.parse().ok()?, facts: BTreeMap::new() });
        }
        let said = |key: &str| output.stdout.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let facts = said("host:").map(|host| ("host".to_owned(), host.to_owned()));
        Some(Identity { version: said("release:")?.parse().ok()?, facts: facts.into_iter().collect() })
    }

    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, PlanError> {
        let rustc = tool(inputs, "rustc", "every Rust function")?;
        tool(inputs, "cargo", "every Rust function")?;
        misspelt(inputs)?;
        logins::refuse(inputs.function)?;
        let manifest = Manifest::of(inputs.function)?;
        manifest.admits(&rustc.identity.version)?;
        let entry = entry::find(inputs.function, &manifest)?;
        if inputs.policy.build_scripts == BuildScripts::Deny {
            manifest.has_no_build_script(inputs.function)?;
        }
        let lock = lock::of(inputs.function, &manifest)?;
        let target = Target::of(rustc);
        // Build scripts and macros of packages are programs and libraries that cargo makes there.
        let runs_code = manifest.fetches() || manifest.build_script(inputs.function).is_some();
        let generated = manifest.generated(&entry);
        let mut because = because(&manifest, &entry, lock.as_deref(), &target);
        let settings = if manifest.fetches() { Configuration::of(inputs)? } else { Configuration::default() };
        because.extend(settings.because.iter().cloned());

        let deed = |name: &str, why: &str, action| offline(name, why, Blame::Platform, action);
        let write = |path: Place, text: &str| Action::Write { path, text: text.into() };
        let sources = Action::Write { path: kept("cargo/config.toml"), text: settings.text() };
        let mut steps: Vec<Step> = vec![
            deed("source", "a copy, which cargo may write into", copy(Dir::Source.into(), function_dir())),
            deed(
                "beside",
                "our crate, in the function's workspace",
                Action::Link { from: kept("kubeless"), to: crate_file(".kubeless") },
            ),
            deed(
                "manifest",
                "the function's own, with our server added",
                write(crate_file(MANIFEST), &generated),
            ),
        ];
        let mut resolve: Vec<Step> = server().collect();
        if manifest.fetches() {
            steps.insert(0, deed("config", "where packages come from, and nothing else", sources));
            let why = "cargo gets another one, and tokens are not kept";
            steps.extend(
                settings
                    .own
                    .iter()
                    .map(|path| deed(&format!("forget {path}"), why, write(crate_file(path.as_str()), ""))),
            );
            resolve.extend(steps.clone());
            if let Some(lock) = &lock {
                let why = "the function's own, with our server added";
                resolve.push(deed("lock", why, write(crate_file(LOCK), lock)));
            }
            resolve.push(Step {
                name: "fetch".to_owned(),
                why: format!("the packages that {} asks for", if lock.is_some() { LOCK } else { MANIFEST }),
                action: commands::fetch(&target, lock.as_deref(), &settings),
                blame: Blame::Author,
                network: Network::Needed,
            });
            resolve.push(packages::step(inputs.policy.build_scripts, &target, &rustc.identity.version));
            let kept = "so that every build has the same versions";
            resolve.push(deed("keep-lock", kept, copy(crate_file(LOCK), resolved_lock())));
            steps.push(deed(
                "resolved",
                "the versions that were resolved",
                copy(resolved_lock(), crate_file(LOCK)),
            ));
        } else if let Some(lock) = &lock {
            steps.push(deed(
                "lock",
                "the function's own, with our server added",
                write(crate_file(LOCK), lock),
            ));
        }
        let glue =
            Action::Write { path: kept("glue/main.rs"), text: entry.glue(&rustc.identity.version).into() };
        steps.push(deed("glue", "hands the function to the server", glue));
        steps.push(offline("build", "function and server, as one program", Blame::Author, {
            commands::build(&target, manifest.fetches() || lock.is_some())
        }));
        let program = Place { dir: Dir::Out, path: "server".parse().ok() };
        steps.push(deed("program", "what is launched", copy(target.program(), program.clone())));
        Ok(Plan {
            because,
            check: Vec::new(),
            resolve,
            foreign_code: ForeignCode::Possible,
            // cargo writes absolute paths and times of files into its fingerprints, and compiles anew what does not agree:
            // https://doc.rust-lang.org/nightly/nightly-rustc/cargo/core/compiler/fingerprint/index.html
            kept: Serves::InPlace,
            resolves_from: ResolvesFrom::Files(manifest::files(inputs.function)),
            compile: steps,
            verify: Vec::new(),
            executes: [Dir::Out].into_iter().chain(runs_code.then_some(Dir::Kept)).collect(),
            launch: Launch { program: Program::Built(program), args: Vec::new(), env: BTreeMap::new() },
            manifests: [Dir::Source, Dir::Deps]
                .into_iter()
                .flat_map(|dir| [MANIFEST, LOCK].map(|name| Place { dir, path: name.parse().ok() }))
                .chain(settings.own.into_iter().map(|path| Place::new(Dir::Source, path)))
                .collect(),
            refers: BTreeSet::new(),
            secrets: Secrets(settings.secrets),
        })
    }

    fn packages(&self, step: &Step, output: &Output) -> Vec<Package> {
        packages::packages(step, &output.stdout)
    }

    fn inspect(&self, step: &Step, said: Option<&[u8]>, _function: &Function) -> Vec<Diagnostic> {
        said.map(|said| packages::refused(step, said)).unwrap_or_default()
    }

    fn said(&self, step: &Step, output: &Output) -> Option<String> {
        diagnose::said(step, output)
    }

    fn diagnose(&self, step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
        diagnose::diagnose(step, output, function)
    }
}

/// What was decided, and why.
fn because(manifest: &Manifest<'_>, entry: &Entry, lock: Option<&str>, target: &Target) -> Vec<String> {
    let mut because = vec![format!("{} holds the handler {}", entry.file, entry.handler)];
    because.push(match (manifest.path, manifest.fetches(), lock) {
        (None, ..) => "there is no dependency file".to_owned(),
        (Some(path), false, _) => format!("{path} asks for no package"),
        (Some(path), true, None) => format!("{path} lists the dependencies, and there is no {LOCK}"),
        (Some(_), true, Some(_)) => format!("{LOCK} is obeyed, and must agree with {MANIFEST}"),
    });
    because.extend(manifest.because());
    because.push(target.because());
    because
}

fn copy(from: Place, to: Place) -> Action {
    Action::Copy { from, to }
}

/// Puts our crate in place: the server, and what functions are written against.
fn server() -> impl Iterator<Item = Step> {
    assets::below("rust/server").map(|(name, id)| {
        let action = Action::Asset { id: id.to_owned(), to: kept(&format!("kubeless/{name}")) };
        offline(&format!("server {name}"), "what calls the function", Blame::Platform, action)
    })
}

/// A place that outlives the build, where somebody asked for it.
fn kept(path: &str) -> Place {
    Place { dir: Dir::Kept, path: path.parse().ok() }
}

/// Where the function is compiled: always the same directory, since cargo's fingerprints hold its name.
fn function_dir() -> Place {
    kept("function")
}

fn crate_file(name: &str) -> Place {
    kept(&format!("function/{name}"))
}

/// The lock as it was resolved.
fn resolved_lock() -> Place {
    Place { dir: Dir::Deps, path: LOCK.parse().ok() }
}
