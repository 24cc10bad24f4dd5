//! Java: compiled by javac, resolved by Maven, launched by the container's own `java`.

mod classfile;
mod compile;
mod diagnose;
mod maven;
mod pom;
mod settings;
mod source;
mod verify;

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Output};
use crate::entry::{foreign, misspelt, tool};
use crate::error::PlanError;
use crate::function::Function;
use crate::plan::{Arg, Dir, ForeignCode, Launch, Place, Plan, Program, Secrets, Serves, Step};
use crate::steps::{Bare, requires};
use crate::toolchain::{BuildScripts, Identity, Tool};
use crate::{Builder, Inputs, Package};
use pom::{Compiler, Pom};
use settings::Settings;
use source::Sources;

/// The builder for Java.
#[derive(Debug)]
pub struct Java;

impl Builder for Java {
    fn id(&self) -> &'static str {
        "java"
    }

    fn probe(&self, tool: &str) -> Vec<String> {
        // What the launcher says itself costs a fifth of what `javac -version` does.
        let args: &[&str] = match tool {
            "mvn" => &["-B", "-Dstyle.color=never", "--version"],
            "javac" => &["-J-XshowSettings:properties", "-J-version"],
            _ => &["-XshowSettings:properties", "-version"],
        };
        args.iter().map(|&arg| arg.to_owned()).collect()
    }

    fn needs(&self, tool: &str, function: &Function) -> bool {
        tool == "javac" || !matches!(Pom::of(function), Ok(None))
    }

    fn identify(&self, tool: &str, output: &Output) -> Option<Identity> {
        if tool == "mvn" {
            return maven::identify(&output.stdout);
        }
        let mut lines = output.stderr.lines().chain(output.stdout.lines());
        let version = lines.find_map(|line| line.trim().strip_prefix("java.version = "))?;
        Some(Identity { version: version.parse().ok()?, facts: BTreeMap::new() })
    }

    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, PlanError> {
        let javac = tool(inputs, "javac", "every Java function")?;
        let sources = Sources::of(inputs.function)?;
        misspelt(inputs)?;
        let pom = Pom::of(inputs.function)?;
        if pom.is_none() {
            foreign(inputs.function, &["build.gradle", "build.gradle.kts"], pom::POM)?;
        }
        let mut because = vec![format!("{} holds the handler {}", sources.file, sources.handler)];
        because.extend(sources.because.clone());
        let mvn = pom.as_ref().map(|pom| maven::mvn(inputs, pom)).transpose()?;
        let mut resolve = compile::server(mvn);
        let (mut compiler, mut settings) = (Compiler::default(), Settings::default());
        if let Some(pom) = &pom {
            compiler = pom.compiler(javac)?;
            pom.loads_nothing(inputs.function)?;
            if inputs.policy.build_scripts == BuildScripts::Deny {
                pom.runs_nothing(&compiler)?;
            }
            because.push(format!("{} lists the dependencies", pom.path));
            because.push(compiler.why());
            settings = Settings::of(inputs)?;
            because.append(&mut settings.because);
            resolve.extend(maven::resolve(inputs, pom, &compiler, &settings));
        } else {
            because.push(match inputs.function.top(pom::POM) {
                Some(path) => format!("{path} is empty: there are no dependencies"),
                None => "there is no dependency file".to_owned(),
            });
        }
        Ok(Plan {
            because,
            check: Vec::new(),
            foreign_code: ForeignCode::Possible,
            kept: Serves::Anywhere,
            resolves_from: maven::resolves_from(inputs.function, pom.as_ref(), &compiler),
            resolve,
            compile: compile::compile(inputs, &sources, pom.as_ref(), &compiler, &settings),
            verify: verify::steps(&sources),
            executes: BTreeSet::new(),
            launch: launch(javac, &sources, pom.is_some()),
            manifests: pom.iter().map(|pom| Place::new(Dir::Source, pom.path.clone())).collect(),
            refers: BTreeSet::new(),
            secrets: Secrets(settings.secrets),
        })
    }

    fn packages(&self, step: &Step, output: &Output) -> Vec<Package> {
        maven::packages(step, output)
    }

    fn inspect(&self, _step: &Step, file: Option<&[u8]>, function: &Function) -> Vec<Diagnostic> {
        verify::inspect(file, function)
    }

    fn diagnose(&self, step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
        diagnose::diagnose(step, output, function)
    }
}

/// A place in a room.
fn place(dir: Dir, path: &str) -> Place {
    Place { dir, path: path.parse().ok() }
}

/// Several places, as Java lists them.
fn class_path(entries: &[Place]) -> Arg {
    let mut path = Arg(Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        path = path.then(if index == 0 { "" } else { ":" }).then(entry.clone());
    }
    path
}

/// The serial collector takes the least memory, and a container has few processors; what the class data archive of
/// the JDK brings in start-up is on by default.
fn launch(javac: &Tool, sources: &Sources<'_>, has_dependencies: bool) -> Launch {
    let mut entries = vec![Dir::Server.into(), place(Dir::Out, "classes")];
    entries.extend(sources.resources.clone());
    entries.extend(has_dependencies.then(|| place(Dir::Deps, "classpath.jar")));
    let handler = &sources.handler;
    let mut args: Vec<Arg> = vec!["-XX:+UseSerialGC".into(), "-cp".into(), class_path(&entries)];
    args.extend(["injector.server.Main", &sources.class, &handler.function].map(Arg::from));
    args.push(handler.to_string().into());
    Launch {
        program: Program::Tool {
            tool: "java".to_owned(),
            names: vec!["java".to_owned()],
            requires: requires(javac, 1, Bare::Yes),
        },
        args,
        env: BTreeMap::new(),
    }
}

impl Compiler {
    /// Why it is this one.
    fn why(&self) -> String {
        match self {
            Compiler::Javac { .. } => {
                "javac compiles, since the POM builds as Maven does by default: an edit runs no Maven"
                    .to_owned()
            }
            Compiler::Maven { why } => format!("Maven compiles: {why}"),
        }
    }
}
