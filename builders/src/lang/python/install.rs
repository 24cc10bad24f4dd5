//! Brings a function's dependencies into `deps/`, with pip or with uv.

use std::collections::{BTreeMap, BTreeSet};

use super::byte_code;
use super::commands::{Wanted, export, pip, uv};
use super::grammar::Origin;
use super::lock;
use super::lock::Locked;
use super::manifest::Manifest;
use super::reach;
use super::requirements::{Hashed, Requirements};
use super::settings::{self, Translation};
use crate::Inputs;
use crate::diagnostic::{Blame, Diagnostic};
use crate::entry::tool;
use crate::error::PlanError;
use crate::plan::{Action, Arg, Capture, Dir, Network, Place, ResolvesFrom, Step};
use crate::steps::{helper, offline, run, scratch};
use crate::toolchain::{BuildScripts, Tool};

/// The variable with which an operator chooses the installer.
const CHOICE: &str = "INJECTOR_PYTHON_INSTALLER";

/// How the dependencies come in.
#[derive(Debug)]
pub(super) struct Install {
    /// What was decided and why.
    pub(super) because: Vec<String>,
    /// The steps; none where there are no dependencies.
    pub(super) steps: Vec<Step>,
    /// On which files they depend.
    pub(super) resolves_from: ResolvesFrom,
    /// The dependency files that the installer reads.
    pub(super) manifests: BTreeSet<Place>,
    /// Variables to which they refer.
    pub(super) refers: BTreeSet<String>,
    /// Values that no output may show.
    pub(super) secrets: BTreeMap<String, String>,
}

/// Decides how the dependencies of a function come in.
pub(super) fn install(inputs: &Inputs<'_>, interpreter: &Tool) -> Result<Install, PlanError> {
    let manifest = Manifest::of(inputs.function)?;
    let mut done = Install {
        because: Vec::new(),
        steps: Vec::new(),
        resolves_from: reach::of(inputs, &manifest),
        secrets: manifest.secrets(inputs.function),
        manifests: manifest
            .texts(inputs.function)
            .into_iter()
            .map(|(path, _)| path)
            // uv reads it where it runs.
            .chain(inputs.function.top("uv.toml"))
            .map(|path| Place::new(Dir::Source, path.clone()))
            .collect(),
        refers: manifest.refers(inputs.function),
    };
    if let Manifest::None(why) = manifest {
        done.because.push(why);
        return Ok(done);
    }
    if inputs.policy.build_scripts == BuildScripts::Deny {
        refuse_builds(&manifest)?;
    }
    if matches!(manifest, Manifest::Lock(..) | Manifest::Project(_)) {
        lock::admits(inputs.function, &interpreter.identity.version)?;
    }
    let (installer, why) = choose(inputs, interpreter, &manifest)?;
    done.because.push(format!("{} lists the dependencies", manifest.name()));
    done.because.push(why);
    let mut wanted = Wanted { args: Vec::new(), dir: Dir::Source.into() };
    match &manifest {
        Manifest::None(_) => {}
        Manifest::Requirements(path, requirements) => {
            if requirements.entries.iter().any(|entry| entry.origin == Origin::Local) {
                wanted.dir = scratch("source");
                let (from, to) = (Dir::Source.into(), wanted.dir.clone());
                let why = "building a package of the function's own leaves files beside it";
                done.steps.push(offline("copy-source", why, Blame::Platform, Action::Copy { from, to }));
            }
            wanted.file(within(&wanted.dir, path.as_str()));
            wanted.hashes(requirements.hashed);
        }
        Manifest::Lock(_, locked) => {
            let why = "what the lock pins, as requirements with hashes";
            done.steps.push(offline("export", why, Blame::Author, export()));
            wanted.file(scratch("locked.txt"));
            wanted.hashes(if locked.unhashed.is_empty() { Hashed::Yes } else { Hashed::No });
        }
        Manifest::Project(dependencies) => {
            if let Some(text) = wanted.dependencies(dependencies, &mut done.secrets) {
                let path = scratch("requirements.txt");
                let why = "the project's dependencies, one a line";
                done.steps.push(offline(
                    "write-requirements",
                    why,
                    Blame::Platform,
                    Action::Write { path, text: text.into() },
                ));
            }
        }
    }
    if inputs.policy.build_scripts == BuildScripts::Deny {
        wanted.args.extend(["--only-binary", ":all:"].map(Arg::from));
    }
    let action = match installer {
        Installer::Pip => {
            done.steps.push(helper("python/pip.py"));
            pip(inputs, wanted)
        }
        Installer::Uv(translation) => uv(wanted, translation, &mut done.secrets),
    };
    done.steps.push(Step {
        name: "install".to_owned(),
        why: format!("the packages that {} asks for", manifest.name()),
        action,
        blame: Blame::Author,
        network: Network::Needed,
    });
    done.steps.extend(afterwards());
    Ok(done)
}

/// What follows an installation: it is checked as a whole, and compiled once for all functions that share it.
fn afterwards() -> [Step; 3] {
    let args = vec!["-I".into(), "-S".into(), scratch("conflicts.py").into(), Dir::Deps.into()];
    let why = "whether the installed packages go together";
    let compile = byte_code(&[Dir::Deps]);
    [
        helper("python/conflicts.py"),
        offline("conflicts", why, Blame::Author, run("python", args, Capture::Whole)),
        offline("compile-deps", "byte-code, kept with the packages", Blame::Platform, compile),
    ]
}

/// A file below a place that has a path or is a room.
fn within(place: &Place, file: &str) -> Place {
    let path = place.path.as_ref().map_or_else(|| file.to_owned(), |path| format!("{path}/{file}"));
    Place { dir: place.dir, path: path.parse().ok() }
}

/// The installer, and for uv what pip's configuration becomes.
enum Installer {
    Pip,
    Uv(Translation),
}

/// Chooses the installer, and says why in a sentence that names keys and no values.
fn choose(
    inputs: &Inputs<'_>,
    interpreter: &Tool,
    manifest: &Manifest,
) -> Result<(Installer, String), PlanError> {
    let choice = inputs.policy.choices.get(CHOICE).map_or("auto", String::as_str);
    if !["auto", "pip", "uv"].contains(&choice) {
        return Err(PlanError::Choice {
            variable: CHOICE.to_owned(),
            value: choice.to_owned(),
            allowed: ["auto", "pip", "uv"].map(str::to_owned).into(),
        });
    }
    let missing = |name: &str, hint: &str| PlanError::NoTool {
        tool: name.to_owned(),
        needed_for: manifest.name().to_owned(),
        hint: hint.to_owned(),
    };
    let has_uv = inputs.toolchain.tool("uv").is_some();
    let has_pip = interpreter.identity.facts.contains_key("pip");
    let mut translation = settings::for_uv(inputs.settings);
    if let Manifest::Requirements(_, wanted) = manifest {
        translation.requirements(wanted);
    }
    let lost = translation.lost.join(", ");
    if matches!(manifest, Manifest::Lock(..)) {
        tool(inputs, "uv", "uv.lock").map_err(|_| {
            missing(
                "uv",
                "choose an image that has uv, or deploy requirements.txt (`uv export -o requirements.txt`)",
            )
        })?;
        return Ok((Installer::Uv(translation), "uv installs, as it made the lock".to_owned()));
    }
    let pip = |why: &str| Ok((Installer::Pip, format!("pip installs: {why}")));
    match choice {
        "pip" if has_pip => pip("it was asked for"),
        "pip" => Err(missing("pip", "choose an image that has pip")),
        "uv" if !has_uv => {
            Err(missing("uv", "choose an image that has uv, or leave the choice to the injector"))
        }
        "auto" if !has_uv && !has_pip => Err(missing("pip", "choose an image that has pip or uv")),
        "auto" if inputs.toolchain.broken.contains("uv") => pip("uv does not run"),
        "auto" if !has_uv => pip("uv is not in this image"),
        "auto" if !lost.is_empty() && has_pip => pip(&format!("uv has no counterpart for {lost}")),
        _ => {
            let why = if choice == "uv" { "it was asked for" } else { "it is in this image" };
            let mut why = format!("uv installs: {why}");
            if !translation.translated.is_empty() {
                why = format!("{why}; translated for it from pip: {}", translation.translated.join(", "));
            }
            if !lost.is_empty() {
                why = format!("{why}; it has no counterpart for {lost}");
            }
            Ok((Installer::Uv(translation), why))
        }
    }
}

/// Refuses what is built whatever `--only-binary` says.
fn refuse_builds(manifest: &Manifest) -> Result<(), PlanError> {
    let refuse = |what: &str, file: &str, line| {
        Err(PlanError::Dependencies(
            Diagnostic::new(format!("{what} must be built, and building dependencies is not allowed here"))
                .at(file, line, None)
                .hint("name a wheel instead, or ask the operator for INJECTOR_BUILD_SCRIPTS=allow"),
        ))
    };
    if let Manifest::Lock(_, Locked { unhashed, .. }) = manifest
        && let Some(name) = unhashed.first()
    {
        return refuse(name, manifest.name(), None);
    }
    let built = |origin| matches!(origin, Origin::Url | Origin::Local);
    if let Some(entry) = manifest.entries().into_iter().find(|entry| built(entry.origin) && !entry.constraint)
    {
        return refuse(entry.name.as_deref().unwrap_or("this requirement"), &entry.file, Some(entry.line));
    }
    let Manifest::Requirements(_, Requirements { options, .. }) = manifest else {
        return Ok(());
    };
    let option = options.iter().find(|option| match option.name {
        "--no-binary" => option.value != ":none:",
        "--only-binary" => option.value == ":none:",
        _ => false,
    });
    option.map_or(Ok(()), |option| {
        let what = format!("what {} {} names", option.name, option.value);
        refuse(&what, &option.file, Some(option.line))
    })
}
