//! The tools of an image: where they are, and what they say of themselves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use builders::Builder;
use builders::catalog::{Runtime, RuntimeName, ToolSpec};
use builders::diagnostic::Output;
use builders::function::{Function, Sha256};
use builders::plan::Capture;
use builders::toolchain::{Identity, LEANS_ON, Policy, Tool, Toolchain};
use serde::{Deserialize, Serialize};

use crate::cli::{Build, Environment};
use crate::keys;
use crate::provision::ProvisionError;
use crate::surroundings::Surroundings;
use crate::sys::exec::{self, Command, Ended};
use crate::sys::{fs, host};

/// How long a tool may take to say what it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// The operator's policy, with the choices that belong to this runtime.
pub(crate) fn policy(env: &Environment, runtime: &Runtime, request: &Build) -> Policy {
    let choices = &runtime.environment.choices;
    Policy {
        build_scripts: request.scripts,
        choices: choices.iter().filter_map(|name| Some((name.clone(), env.get(name)?.to_owned()))).collect(),
    }
}

/// A tool that was found: what it said, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// What the plan may know of it.
    pub(crate) tool: Tool,
    /// Its program.
    pub(crate) program: PathBuf,
}

/// What was found of the tools that a function needs.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    /// The tools that answered.
    pub(crate) toolchain: Toolchain,
    /// Their programs.
    pub(crate) programs: BTreeMap<String, PathBuf>,
    /// Why there is none of the others.
    pub(crate) lacking: BTreeMap<String, ProvisionError>,
}

/// What a tool said of itself, and the files on which that depends beside its program, each with its stamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    identity: Identity,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    leans_on: BTreeMap<String, Option<String>>,
}

/// Where answers of tools outlive a build.
pub(crate) trait Memory {
    /// What was answered.
    fn recall(&self, key: Sha256) -> Option<Known>;
    /// Keeps an answer for the next build, which asks again where this fails.
    fn remember(&mut self, key: Sha256, known: &Known);
}

/// Answers of tools, in memory.
pub(crate) type Remembered = BTreeMap<Sha256, Known>;

impl Memory for Remembered {
    fn recall(&self, key: Sha256) -> Option<Known> {
        self.get(&key).cloned()
    }

    fn remember(&mut self, key: Sha256, known: &Known) {
        self.insert(key, known.clone());
    }
}

impl Known {
    /// What a tool said now.
    fn now(mut identity: Identity) -> Self {
        let leans_on = identity.facts.remove(LEANS_ON).unwrap_or_default();
        let stamped = |path: &str| (path.to_owned(), fs::stamp(Path::new(path)).ok());
        Known { leans_on: leans_on.lines().map(stamped).collect(), identity }
    }

    /// Adds the files that tell one release from another.
    fn lean(&mut self, program: &Path, files: &[String]) {
        let home = fs::canonical(program).ok().and_then(|program| program.parent().map(Path::to_owned));
        for path in home.iter().flat_map(|home| files.iter().map(|file| home.join(file))) {
            self.leans_on.insert(path.display().to_string(), fs::stamp(&path).ok());
        }
    }

    /// Whether the tool would say the same.
    fn holds(&self) -> bool {
        self.leans_on.iter().all(|(path, stamp)| fs::stamp(Path::new(path)).ok() == *stamp)
    }
}

/// Under which key a tool's answer is remembered; `None` if it must be asked. One that is a script leads anywhere, as
/// version managers' shims do. The runtime's own tool must say on what its answer depends: an interpreter may have other
/// packages now.
fn key(
    builder: &dyn Builder,
    spec: &ToolSpec,
    program: &Path,
    env: &BTreeMap<String, String>,
) -> Option<Sha256> {
    const ELF: &[u8] = b"\x7fELF";
    if spec.versioned && fs::start(program, ELF.len()).ok()? != ELF {
        return None;
    }
    Some(keys::tool(&fs::stamp(program).ok()?, &builder.probe(&spec.name), env))
}

/// Looks for the tools that the function needs, and asks each what it is. That of the runtime's own version must be
/// there; whether the others must, the plan says. What they said in a build with the same environment still holds, as long
/// as their programs are the same files, and those on which they lean.
pub(crate) fn probe(
    builder: &dyn Builder,
    runtime: &Runtime,
    name: &RuntimeName,
    function: &Function,
    surroundings: &Surroundings,
    memory: &mut dyn Memory,
) -> Result<Probed, ProvisionError> {
    let env = surroundings.inherited();
    let mut probed = Probed::default();
    for spec in runtime.tools.iter().filter(|spec| builder.needs(&spec.name, function)) {
        let mut identity = |program: &Path| {
            let key = key(builder, spec, program, &env);
            if let Some(known) = key.and_then(|key| memory.recall(key)).filter(Known::holds) {
                return Ok(known.identity);
            }
            let mut known = asked(builder, &spec.name, program, &surroundings.env)?;
            known.lean(program, &spec.leans_on);
            if let Some(key) = key.filter(|_| !spec.versioned || !known.leans_on.is_empty()) {
                memory.remember(key, &known);
            }
            Ok(known.identity)
        };
        match find(runtime, spec, name, surroundings.path(), &mut identity) {
            Ok(found) => {
                probed.toolchain.tools.insert(spec.name.clone(), found.tool);
                probed.programs.insert(spec.name.clone(), found.program);
            }
            Err(error) if spec.versioned => return Err(error),
            Err(error) => {
                if let ProvisionError::ToolBroken { .. } = error {
                    probed.toolchain.broken.insert(spec.name.clone());
                }
                probed.lacking.insert(spec.name.clone(), error);
            }
        }
    }
    Ok(probed)
}

/// The program names of a tool, with the version that was asked for filled in.
pub(crate) fn names(spec: &ToolSpec, name: &RuntimeName) -> Vec<String> {
    let fill = |program: &String| match &name.version {
        Some(version) => Some(program.replace("{version}", &version.to_string())),
        None => (!program.contains("{version}")).then(|| program.clone()),
    };
    spec.programs.iter().filter_map(fill).collect()
}

/// Finds a tool under one of its names. A name that is there but does not answer, as version
/// managers' shims do, or that is of another version, gives way to the next one.
pub(crate) fn find(
    runtime: &Runtime,
    spec: &ToolSpec,
    name: &RuntimeName,
    path: &str,
    ask: &mut dyn FnMut(&Path) -> Result<Identity, String>,
) -> Result<Found, ProvisionError> {
    let names = names(spec, name);
    let mut failure = ProvisionError::NoTool { names: names.clone(), path: path.to_owned() };
    for program_name in names {
        let Some(program) = host::find_program(&program_name, path) else {
            continue;
        };
        let identity = match ask(&program) {
            Ok(identity) => identity,
            Err(said) => {
                failure = failure.or_instead(ProvisionError::ToolBroken { program: program_name, said });
                continue;
            }
        };
        let version = &identity.version;
        // Half a version may be asked for, such as 3, of which not all is allowed.
        let missed = name.version.as_ref().filter(|asked| !version.is(asked));
        if spec.versioned && (missed.is_some() || !runtime.supports(version)) {
            let (title, found, program) = (runtime.title.clone(), version.clone(), program_name);
            let allowed = || runtime.versions.clone();
            failure = failure.or_instead(match missed.cloned() {
                Some(wanted) => ProvisionError::ToolVersion { title, wanted, found, program },
                None => ProvisionError::ToolNotAllowed { title, allowed: allowed(), found, program },
            });
            continue;
        }
        return Ok(Found { tool: Tool { program: program_name, identity }, program });
    }
    Err(failure)
}

/// Runs a program so that it says what it is; an `Err` is what it said instead.
pub(crate) fn ask(
    builder: &dyn Builder,
    tool: &str,
    program: &Path,
    env: &BTreeMap<String, String>,
) -> Result<Identity, String> {
    asked(builder, tool, program, env).map(|known| known.identity)
}

/// The same, with that on which the answer depends.
fn asked(
    builder: &dyn Builder,
    tool: &str,
    program: &Path,
    env: &BTreeMap<String, String>,
) -> Result<Known, String> {
    let command = Command {
        program: program.to_owned(),
        args: builder.probe(tool).into_iter().map(OsString::from).collect(),
        env: env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        cwd: PathBuf::from("/"),
        timeout: PROBE_TIMEOUT,
        capture: Capture::Whole,
    };
    let outcome = exec::run(&command, &mut |_, _| {}).map_err(|error| error.to_string())?;
    let output = Output {
        status: if let Ended::Exited(status) = outcome.ended { Some(status) } else { None },
        stdout: outcome.stdout.text(),
        stderr: outcome.stderr.text(),
    };
    builder.identify(tool, &output).map(Known::now).ok_or_else(|| {
        let said = [output.stderr.trim(), output.stdout.trim()].join(" ");
        let first = said.trim().lines().next().unwrap_or_default();
        format!("{}: {first}", outcome.ended)
    })
}
