//! Lets Maven bring in what a POM asks for, and compile where only it can.

use std::sync::LazyLock;

use regex::Regex;

use super::compile::kept;
use super::place;
use super::pom::{Compiler, Pom};
use super::settings::{PROJECT, Settings};
use super::source::Sources;
use crate::assets::asset;
use crate::diagnostic::{Blame, Output, pattern};
use crate::entry::tool;
use crate::error::PlanError;
use crate::function::{Function, RelPath};
use crate::plan::{Action, Arg, Capture, Credentials, Dir, Network, Place, ResolvesFrom, Run, Step};
use crate::steps::{offline, scratch};
use crate::toolchain::{Identity, Tool};
use crate::{Inputs, Package};

/// The last phase that makes classes: <https://maven.apache.org/guides/introduction/introduction-to-the-lifecycle.html>.
const PHASE: &str = "process-classes";

/// Where a project keeps arguments for Maven: <https://maven.apache.org/configure.html#mvn-maven-config-file>.
const CONFIG: &str = ".mvn/maven.config";

/// Reads `mvn --version`.
pub(super) fn identify(said: &str) -> Option<Identity> {
    let after =
        |start: &str| said.lines().find_map(|line| line.split_once(start).map(|(_, rest)| rest.trim()));
    let version = after("Apache Maven ")?.parse().ok()?;
    let facts = after("Maven home: ").map(|home| ("home".to_owned(), home.to_owned()));
    Some(Identity { version, facts: facts.into_iter().collect() })
}

/// On which files the dependencies depend: the POM, and what Maven reads beside it.
pub(super) fn resolves_from(function: &Function, pom: Option<&Pom<'_>>, compiler: &Compiler) -> ResolvesFrom {
    let by_maven = matches!(compiler, Compiler::Maven { .. });
    let counts = |path: &&RelPath| {
        pom.is_some_and(|pom| *path == pom.path)
            || path.as_str().starts_with(".mvn/")
            || by_maven && path.extension() != Some("java")
    };
    ResolvesFrom::Files(function.files.keys().filter(counts).cloned().collect())
}

/// How our extension is compiled: against the Maven of the image, and for Java 11, since older Mavens do not find it in
/// newer class files.
pub(super) fn extension_flags(mvn: &Tool) -> Vec<Arg> {
    let home = mvn.identity.facts.get("home").map_or("", String::as_str);
    ["-source", "11", "-target", "11", "-cp", &format!("{home}/lib/*:{home}/boot/*")].map(Arg::from).into()
}

/// The image's Maven.
pub(super) fn mvn<'a>(inputs: &Inputs<'a>, pom: &Pom<'_>) -> Result<&'a Tool, PlanError> {
    tool(inputs, "mvn", &format!("the dependencies in {}", pom.path))
}

/// Brings in the dependencies, and the plugins where Maven compiles.
pub(super) fn resolve(
    inputs: &Inputs<'_>,
    pom: &Pom<'_>,
    compiler: &Compiler,
    settings: &Settings,
) -> Vec<Step> {
    let write = |path: &str, why: &str, text: &str| {
        let action = Action::Write { path: kept(path), text: text.into() };
        offline(&format!("write {}", path.rsplit('/').next().unwrap_or(path)), why, Blame::Platform, action)
    };
    let mut steps = vec![write(
        "classes/META-INF/sisu/javax.inject.Named",
        "by which Maven finds our extension",
        "injector.maven.Resolve\n",
    )];
    let release = inputs.toolchain.tool("javac").map(|javac| javac.identity.version.prefix(1).to_string());
    for (id, path) in REPOSITORY {
        let text = asset(id).unwrap_or_default().replace("{release}", release.as_deref().unwrap_or_default());
        steps.push(write(&format!("m2/io/kubeless/{path}"), "what Kubeless' POMs refer to", &text));
    }
    steps.extend(settings.steps.iter().cloned());
    // Here `.mvn/` is not read: of its arguments, those that say what the POM means.
    let words = inputs.function.top(CONFIG).and_then(|path| inputs.function.text(path)).unwrap_or_default();
    let words =
        words.split_whitespace().filter(|word| ["-D", "-P"].iter().any(|begin| word.starts_with(begin)));
    let own: Vec<Arg> = words.map(Arg::from).collect();
    let mut args = vec![
        Arg::from("-Dinjector.jars=").then(Dir::Deps),
        Arg::from("-Dinjector.compile=").then(kept("compile.jar")),
    ];
    let by_maven = matches!(compiler, Compiler::Maven { .. });
    args.extend(by_maven.then(|| format!("-Dinjector.phase={PHASE}").into()));
    args.push("validate".into());
    steps.push(Step {
        name: "fetch".to_owned(),
        why: format!("the jars that {} asks for", pom.path),
        action: run(settings, Dir::Source.into(), pom, [own, args], Credentials::Given),
        blame: Blame::Author,
        network: Network::Needed,
    });
    steps
}

/// Compiles with Maven, in a copy: it writes beside the POM.
pub(super) fn build(settings: &Settings, pom: &Pom<'_>, sources: &Sources<'_>) -> Vec<Step> {
    let project = scratch(PROJECT);
    let copy = Action::Copy { from: Dir::Source.into(), to: project.clone() };
    let mut args = vec!["-o".into(), Arg::from("-Dinjector.classes=").then(place(Dir::Out, "classes"))];
    args.extend(sources.are_flat().then(|| Arg::from("-Dinjector.sources=").then(project.clone())));
    args.push(PHASE.into());
    let compile = run(settings, project, pom, [Vec::new(), args], Credentials::Withheld);
    vec![
        offline("copy project", "Maven writes beside the POM", Blame::Platform, copy),
        offline("build", "the function", Blame::Author, compile),
    ]
}

/// Runs Maven. Where the function's own arguments say something else than ours, ours win: they come later.
fn run(
    settings: &Settings,
    cwd: Place,
    pom: &Pom<'_>,
    [own, args]: [Vec<Arg>; 2],
    credentials: Credentials,
) -> Action {
    let mut all: Vec<Arg> = ["-B", "-ntp", "-C", "-Dstyle.color=never", "-f"].map(Arg::from).into();
    all.push(pom.path.as_str().into());
    all.extend(own);
    all.push(Arg::from("-Dmaven.repo.local=").then(kept("m2")));
    all.push(Arg::from("-Dmaven.ext.class.path=").then(kept("classes")));
    all.extend(settings.args(credentials));
    all.extend(args);
    Action::Run(Run {
        tool: "mvn".to_owned(),
        args: all,
        env: settings.env(credentials),
        cwd,
        capture: Capture::Ends,
        credentials,
    })
}

/// What the POMs of Kubeless' functions refer to, each with its place among what was installed here.
const REPOSITORY: [(&str, &str); 2] = [
    ("java/repository/kubeless.pom", "kubeless/1.0-SNAPSHOT/kubeless-1.0-SNAPSHOT.pom"),
    ("java/repository/params.pom", "params/1.0-SNAPSHOT/params-1.0-SNAPSHOT.pom"),
];

/// What the `fetch` step resolved.
pub(super) fn packages(step: &Step, output: &Output) -> Vec<Package> {
    static RESOLVED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?m)^.*\[INFO\] resolved (\S+:\S+):(\S+)$"));
    if step.name != "fetch" {
        return Vec::new();
    }
    let package =
        |found: regex::Captures<'_>| Package { name: found[1].to_owned(), version: found[2].to_owned() };
    RESOLVED.captures_iter(&output.stdout).map(package).collect()
}
