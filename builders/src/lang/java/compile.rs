//! Compiles: our API and server once for each JDK, the function with javac, or with Maven where its POM asks for more.

use std::collections::BTreeMap;

use super::pom::{Compiler, Pom};
use super::settings::Settings;
use super::source::Sources;
use super::{class_path, maven, place};
use crate::Inputs;
use crate::assets;
use crate::diagnostic::Blame;
use crate::plan::{Action, Arg, Capture, Credentials, Dir, Place, Run, Step};
use crate::steps::offline;
use crate::toolchain::{BuildScripts, Tool};

/// What makes a short run of javac quick: only the first compiler and the plainest collector of the virtual machine,
/// which halves its time.
const QUICK: [&str; 3] = ["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-J-Xshare:auto"];

/// Compiles what is ours: one run for the API, the server and, for Maven, our extension.
pub(super) fn server(mvn: Option<&Tool>) -> Vec<Step> {
    let folders = ["java/api", "java/server"].into_iter().chain(mvn.map(|_| "java/maven"));
    let mut steps = Vec::new();
    let mut args: Vec<Arg> = QUICK.map(Arg::from).into();
    // Without warnings of sun.misc.Signal, and of a target that is not the whole JDK.
    let quiet = ["-XDignore.symbol.file", "-Xlint:-options"];
    args.extend(["-encoding", "UTF-8", "-proc:none"].into_iter().chain(quiet).map(Arg::from));
    args.extend(mvn.map(maven::extension_flags).into_iter().flatten());
    args.extend(["-d".into(), kept("classes").into()]);
    for folder in folders {
        for (name, id) in assets::below(folder) {
            let to = place(Dir::Scratch, &format!("{folder}/{name}"));
            args.push(to.clone().into());
            let asset = Action::Asset { id: id.to_owned(), to };
            steps.push(offline(&format!("source {name}"), "our own", Blame::Platform, asset));
        }
    }
    let run = javac(args, Dir::Scratch.into());
    steps.push(offline("server", "the API and what calls the function", Blame::Ours, run));
    steps
}

/// Compiles the function, and puts the server beside it.
pub(super) fn compile(
    inputs: &Inputs<'_>,
    sources: &Sources<'_>,
    pom: Option<&Pom<'_>>,
    compiler: &Compiler,
    settings: &Settings,
) -> Vec<Step> {
    let copy = |path: &str| {
        let action = Action::Copy { from: kept(&format!("classes/{path}")), to: place(Dir::Server, path) };
        offline(&format!("copy {path}"), "what calls the function", Blame::Platform, action)
    };
    let mut steps: Vec<Step> = ["io/kubeless", "injector/server"].map(copy).into();
    match (compiler, pom) {
        (Compiler::Maven { .. }, Some(pom)) => steps.extend(maven::build(settings, pom, sources)),
        (Compiler::Javac { flags, .. }, _) => steps.push(build(inputs, sources, pom.is_some(), flags)),
        (Compiler::Maven { .. }, None) => {}
    }
    steps
}

fn build(inputs: &Inputs<'_>, sources: &Sources<'_>, has_dependencies: bool, flags: &[String]) -> Step {
    let mut args: Vec<Arg> = QUICK.map(Arg::from).into();
    args.extend(flags.iter().map(|flag| Arg::from(flag.as_str())));
    if !flags.iter().any(|flag| flag == "-encoding") {
        args.extend(["-encoding", "UTF-8"].map(Arg::from));
    }
    let deny = inputs.policy.build_scripts == BuildScripts::Deny;
    args.extend((deny || !has_dependencies).then(|| "-proc:none".into()));
    args.extend(["-d".into(), place(Dir::Out, "classes").into()]);
    let mut entries = vec![Place::from(Dir::Server)];
    entries.extend(has_dependencies.then(|| kept("compile.jar")));
    args.extend(["-cp".into(), class_path(&entries)]);
    // A name may begin as an option does, or as a list of arguments: `-J-version.java`, `@all.java`.
    let is_path = |name: &str| !name.starts_with(['-', '@']);
    let named = |name: &str| if is_path(name) { name.to_owned() } else { format!("./{name}") };
    args.extend(sources.files.iter().map(|path| Arg::from(named(path.as_str()))));
    offline("build", "the function", Blame::Author, javac(args, Dir::Source.into()))
}

fn javac(args: Vec<Arg>, cwd: Place) -> Action {
    Action::Run(Run {
        tool: "javac".to_owned(),
        args,
        env: BTreeMap::new(),
        cwd,
        capture: Capture::Ends,
        credentials: Credentials::Withheld,
    })
}

/// A place in what is kept.
pub(super) fn kept(path: &str) -> Place {
    place(Dir::Kept, path)
}
