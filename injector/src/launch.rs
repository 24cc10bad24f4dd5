//! In the main container: what was published is checked against this container, and started.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use builders::builder;
use builders::diagnostic::Blame;
use builders::plan::{Arg, Dir, Piece, Place, Program};
use builders::toolchain::Mismatch;

use crate::cache::node::LEASE;
use crate::cli::Environment;
use crate::failure::{Failure, Stage};
use crate::publish::{FUNCTION, RECEIPT, Receipt, SCHEMA};
use crate::sys::share::{self, Kind, Taken};
use crate::sys::volume::Lock;
use crate::sys::{fs, host};
use crate::toolbox;

/// Why a published function cannot be started here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// Nothing is published.
    #[error("no function is published on the volume {0}")]
    Nothing(String),
    /// The receipt cannot be read.
    #[error("the receipt on the volume {volume} cannot be read: {reason}")]
    Receipt {
        /// The volume.
        volume: String,
        /// Why.
        reason: String,
    },
    /// This container lacks the program.
    #[error("this container has none of {} on PATH", names.join(", "))]
    NoProgram {
        /// The names it may have.
        names: Vec<String>,
        /// Where was looked.
        path: String,
        /// The runtime that the function was built for.
        runtime: String,
    },
    /// The program is there but cannot say what it is.
    #[error("{program} does not run: {said}")]
    Broken {
        /// The program.
        program: String,
        /// What it said instead.
        said: String,
    },
    /// This container is not like the one that built.
    #[error("the function was built for another runtime than this container has")]
    Mismatch {
        /// The runtime that the function was built for.
        runtime: String,
        /// The program that was found.
        program: String,
        /// What differs.
        mismatches: Vec<Mismatch>,
    },
    /// The program was built for another processor.
    #[error("the function was built for {built}, this machine is {found}")]
    Architecture {
        /// The build's.
        built: String,
        /// This machine's.
        found: String,
    },
    /// The cache in which the function lies is not there.
    #[error("the function lies in a cache, which is not mounted here at {}", .0.display())]
    NoCache(PathBuf),
    /// The cache has it no more.
    #[error("the function lies in a cache, which has it no more: {} has gone", .0.display())]
    Gone(PathBuf),
    /// The cache does not let us have it.
    #[error("the function lies in a cache, and cannot be read there: {}", fs::plain(.0))]
    Closed(io::Error),
    /// The program could not be started.
    #[error("{} cannot be started: {}", program.display(), fs::plain(source))]
    Exec {
        /// The program.
        program: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl LaunchError {
    /// The exit status.
    pub(crate) fn code(&self) -> u8 {
        match self {
            LaunchError::Nothing(_)
            | LaunchError::Receipt { .. }
            | LaunchError::NoCache(_)
            | LaunchError::Gone(_)
            | LaunchError::Closed(_) => Stage::Publish.code(Blame::Platform),
            LaunchError::Mismatch { .. } | LaunchError::Architecture { .. } => {
                Stage::Provision.code(Blame::Author)
            }
            LaunchError::NoProgram { .. } | LaunchError::Broken { .. } | LaunchError::Exec { .. } => {
                Stage::Provision.code(Blame::Platform)
            }
        }
    }
}

/// Becomes the function's server; returns only if that fails.
pub(crate) fn launch(volume: &Path, env: &Environment) -> Result<Infallible, Failure> {
    let shown = volume.display().to_string();
    let unreadable = |reason: String| LaunchError::Receipt { volume: shown.clone(), reason };
    // Resolved once: a build that swaps the link meanwhile does not mix two trees.
    let target = fs::read_link(&volume.join(FUNCTION))
        .map_err(|error| unreadable(fs::plain(&error)))?
        .ok_or_else(|| LaunchError::Nothing(shown.clone()))?;
    let root = volume.join(target);
    let bytes = fs::read(&root.join(RECEIPT))
        .map_err(|error| unreadable(fs::plain(&error)))?
        .ok_or_else(|| LaunchError::Nothing(shown.clone()))?;
    let receipt = read_receipt(&bytes).map_err(unreadable)?;

    let _held = receipt.mounted.iter().map(|tree| hold(Path::new(tree))).collect::<Result<Vec<_>, _>>()?;
    let program = find(&receipt, &root, env)?;
    let resolve = |arg: &Arg| arg.0.iter().map(|piece| resolve(piece, &root)).collect::<OsString>();
    let args: Vec<OsString> = receipt.launch.args.iter().map(resolve).collect();
    let mut variables = env.0.clone();
    variables.entry("FUNC_RUNTIME".into()).or_insert_with(|| receipt.runtime.clone().into());
    variables.extend(receipt.launch.env.iter().map(|(name, value)| (name.into(), resolve(value))));
    let source = host::become_program(&program, &args, &variables);
    Err(LaunchError::Exec { program, source }.into())
}

/// Holds a tree of a mounted cache, so that nobody takes it away as long as the server runs.
fn hold(tree: &Path) -> Result<Option<Lock>, LaunchError> {
    // Whoever only looks whether it is in use holds it for no longer.
    const PATIENCE: Duration = Duration::from_secs(1);
    let lock = match share::lock_within(&tree.join(LEASE), Kind::Shared, PATIENCE) {
        Ok(Taken::Held(lock)) => Some(lock),
        // What the build was promised must do.
        Ok(Taken::Unsupported) => None,
        Ok(Taken::Busy) => return Err(LaunchError::Gone(tree.to_owned())),
        Ok(Taken::Absent) => {
            let trees = tree.parent().unwrap_or(tree);
            return Err(match trees.ancestors().nth(2) {
                Some(cache) if !fs::is_dir(trees) => LaunchError::NoCache(cache.to_owned()),
                _ => LaunchError::Gone(tree.to_owned()),
            });
        }
        Err(error) => return Err(LaunchError::Closed(error)),
    };
    lock.as_ref().map_or(Ok(()), Lock::outlive_exec).map_err(LaunchError::Closed)?;
    Ok(lock)
}

fn read_receipt(bytes: &[u8]) -> Result<Receipt, String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(schema) if schema == u64::from(SCHEMA) => {
            serde_json::from_value(value).map_err(|error| error.to_string())
        }
        Some(schema) => {
            Err(format!("its schema is {schema}, this injector reads {SCHEMA}: use the one that built it"))
        }
        None => Err("it has no schema".to_owned()),
    }
}

/// The program: one of this container's that is what the build used, or a built one.
fn find(receipt: &Receipt, root: &Path, env: &Environment) -> Result<PathBuf, Failure> {
    let (tool, names, requires) = match &receipt.launch.program {
        Program::Built(place) => return runs_here(receipt).map(|()| at(place, root)),
        Program::Tool { tool, names, requires } => (tool, names, requires),
    };
    let builder = builder(&receipt.builder).ok_or_else(|| {
        Failure::Bug(format!("the receipt names the builder {:?}, which is not known", receipt.builder))
    })?;
    let runtime = receipt.runtime.clone();
    let mut failure = LaunchError::NoProgram {
        names: names.clone(),
        path: env.path().to_owned(),
        runtime: runtime.clone(),
    };
    let variables: BTreeMap<String, String> =
        env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for name in names {
        let Some(program) = host::find_program(name, env.path()) else {
            continue;
        };
        let found = toolbox::ask(builder, tool, &program, &variables);
        let worse = match found {
            Err(said) => LaunchError::Broken { program: name.clone(), said },
            Ok(identity) => {
                let mismatches = identity.unmet(requires);
                if mismatches.is_empty() {
                    return Ok(program);
                }
                LaunchError::Mismatch { runtime: runtime.clone(), program: name.clone(), mismatches }
            }
        };
        if !matches!(failure, LaunchError::Mismatch { .. }) {
            failure = worse;
        }
    }
    Err(failure.into())
}

/// Whether a program that was built runs on this machine's processor.
fn runs_here(receipt: &Receipt) -> Result<(), Failure> {
    let (built, found) = (receipt.arch.clone(), host::architecture());
    if built == found { Ok(()) } else { Err(LaunchError::Architecture { built, found }.into()) }
}

fn resolve(piece: &Piece, root: &Path) -> OsString {
    match piece {
        Piece::Text(text) => text.into(),
        Piece::Place(place) => at(place, root).into(),
        Piece::Jobs {} => host::parallelism().to_string().into(),
        // A receipt holds no secrets; an author who wrote one by hand gets its name.
        Piece::Secret(key) | Piece::Tool(key) => key.into(),
    }
}

fn at(place: &Place, root: &Path) -> PathBuf {
    let dir = match place.dir {
        Dir::Tree => root.to_owned(),
        Dir::Source | Dir::Deps | Dir::Out | Dir::Server | Dir::Scratch | Dir::Kept | Dir::Root => {
            root.join(place.dir.name())
        }
    };
    place.path.as_ref().map_or_else(|| dir.clone(), |path| dir.join(path.as_str()))
}
