//! Brings a function's dependencies into `deps/node_modules`, with npm or with pnpm.

use std::collections::{BTreeMap, BTreeSet};

use super::commands::{self, Whose};
use super::lock::{self, Lock, Pinned};
use super::manifest::{Kind, Manifest, PACKAGE, PNPM_WORKSPACE};
use super::settings::{self, Added, Configured};
use crate::Inputs;
use crate::diagnostic::{Blame, Diagnostic};
use crate::entry::tool;
use crate::error::PlanError;
use crate::function::{Function, RelPath};
use crate::plan::{Action, Arg, Capture, Dir, Network, Place, ResolvesFrom, Step};
use crate::steps::{helper, offline, run, scratch};
use crate::toolchain::{BuildScripts, Tool, Version};

/// Who installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Installer {
    Npm,
    Pnpm,
}

impl Installer {
    /// The tool's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Installer::Npm => "npm",
            Installer::Pnpm => "pnpm",
        }
    }
}

/// Who installs the dependencies of a function; `None` where there are none, or where no plan can be made.
pub(super) fn installer(function: &Function) -> Option<Installer> {
    let manifest = Manifest::of(function).ok()??;
    let lock = Lock::of(function, &manifest).ok()?;
    manifest.asks().then(|| lock.map_or(Installer::Npm, |lock| lock.installer))
}

/// How the dependencies come in.
#[derive(Debug)]
pub(super) struct Install {
    /// What was decided and why.
    pub(super) because: Vec<String>,
    /// The steps; none where there are no dependencies.
    pub(super) steps: Vec<Step>,
    /// On which files they depend.
    pub(super) resolves_from: ResolvesFrom,
    /// The dependency files that the installer reads or writes.
    pub(super) manifests: BTreeSet<Place>,
    /// Values that no output may show.
    pub(super) secrets: BTreeMap<String, String>,
    /// The room from which the function is launched.
    pub(super) root: Dir,
}

/// Decides how the dependencies of a function come in.
pub(super) fn install(inputs: &Inputs<'_>, manifest: Option<&Manifest<'_>>) -> Result<Install, PlanError> {
    let function = inputs.function;
    let mut done = Install {
        because: Vec::new(),
        steps: Vec::new(),
        resolves_from: ResolvesFrom::Files(BTreeSet::new()),
        manifests: written(function),
        secrets: BTreeMap::new(),
        root: Dir::Source,
    };
    let Some(manifest) = manifest.filter(|manifest| manifest.asks()) else {
        done.because.push(match manifest.map(|manifest| manifest.path).or_else(|| function.top(PACKAGE)) {
            Some(path) => format!("{path} asks for nothing"),
            None => lock::alone(function).map(|()| "there is no dependency file".to_owned())?,
        });
        return Ok(done);
    };
    let lock = Lock::of(function, manifest)?;
    let installer = lock.map_or(Installer::Npm, |lock| lock.installer);
    let program = can_install(inputs, manifest, lock)?;
    done.because.push(format!("{} lists the dependencies", manifest.path));
    let pinned = match lock {
        Some(Lock { path, installer: Installer::Npm }) => {
            let pinned = Pinned::read(function, path)?;
            pinned.fits(path, manifest)?;
            Some(pinned)
        }
        _ => None,
    };
    let configured = Configured::of(inputs, installer);
    done.because.push(match (lock, manifest.manager.as_deref()) {
        (Some(lock), _) => format!("{} installs: {}", installer.name(), lock.because(function)),
        (None, Some(manager)) if manager != "npm" => format!("npm installs: there is no lock of {manager}"),
        (None, _) => "npm installs: there is no lock".to_owned(),
    });
    let whole = needs_whole_source(function, manifest, installer);
    if let Some(why) = &whole {
        if manifest.path.as_str() != PACKAGE {
            let message = format!(
                "{} must see the whole function, and reads {PACKAGE} at its top: {why}",
                installer.name()
            );
            let hint = format!(
                "make it {PACKAGE} at the top of the function, with its lock beside it, and name that in KUBELESS_DEPS_FILE"
            );
            let found = Diagnostic::new(message).at(manifest.path.as_str(), None, None);
            return Err(PlanError::Dependencies(found.hint(hint)));
        }
        done.root = Dir::Deps;
        done.because.push(format!("the function is launched from a copy beside its dependencies: {why}"));
    }
    done.resolves_from = match whole {
        None if !names_places(function, manifest, lock) => {
            ResolvesFrom::Files(read(function, manifest, lock).cloned().collect())
        }
        _ => ResolvesFrom::All,
    };
    done.steps.extend(copies(function, manifest, lock, whole));

    let added = settings::added(inputs, installer, &configured);
    if !added.obeyed.is_empty() {
        done.because.push(format!("{} is obeyed", added.obeyed.join(", ")));
    }
    done.steps.push(Step {
        name: "install".to_owned(),
        why: format!("the packages that {} asks for", lock.map_or(manifest.path, |lock| lock.path)),
        action: commands::install(installer, lock, &added),
        blame: Blame::Author,
        network: Network::Needed,
    });
    done.secrets.clone_from(&added.secrets);

    let deny = inputs.policy.build_scripts == BuildScripts::Deny;
    let mut args: Vec<Arg> = vec![scratch("packages.cjs").into(), Dir::Deps.into()];
    args.extend(deny.then(|| "deny".into()));
    let why = if deny { "what was installed; none of it may have a script" } else { "what was installed" };
    done.steps.push(helper("nodejs/packages.cjs"));
    done.steps.push(offline("packages", why, Blame::Author, run("node", args, Capture::Whole)));
    if configured.get("ignore-scripts") == Some("true") {
        done.because.push("no script runs: ignore-scripts is configured".to_owned());
    } else if !deny {
        let has_packages = !manifest.dependencies.is_empty() || manifest.is_workspace;
        let may_have = pinned.is_none_or(|pinned| pinned.may_have_scripts()) || done.root == Dir::Deps;
        if installer == Installer::Pnpm {
            done.steps.push(script(installer, Whose::Packages, &added));
            let leaves_out = "12".parse().is_ok_and(|changed: Version| program.identity.version >= changed);
            done.steps.extend(
                (leaves_out && done.root == Dir::Deps).then(|| script(installer, Whose::Workspace, &added)),
            );
        } else {
            done.steps.extend(
                (has_packages && may_have).then(|| npm_rebuild(manifest, &added)).into_iter().flatten(),
            );
            let own =
                manifest.scripts.iter().map(|(name, _)| script(installer, Whose::Function(name), &added));
            done.steps.extend(own);
        }
    }
    if installer == Installer::Pnpm {
        done.steps.extend(forget());
    }
    Ok(done)
}

/// Empties pnpm's notes for itself, which nothing else reads: two builds of one function are to be equal.
fn forget() -> impl Iterator<Item = Step> {
    [".modules.yaml", ".pnpm-workspace-state-v1.json"].into_iter().map(|name| {
        let path = Place { dir: Dir::Deps, path: format!("node_modules/{name}").parse().ok() };
        let why = "when and where pnpm ran is nobody's business";
        offline(&format!("forget {name}"), why, Blame::Platform, Action::Write { path, text: "{}\n".into() })
    })
}

/// Runs what packages, or the function itself, have for after their installation.
fn script(installer: Installer, whose: Whose<'_>, added: &Added) -> Step {
    let (name, runs) = match whose {
        Whose::Packages => ("scripts".to_owned(), "packages run when they are"),
        Whose::Function(name) => (format!("script {name}"), "the function runs when it is"),
        Whose::Workspace => ("scripts workspace".to_owned(), "the function runs when it is"),
    };
    Step {
        name,
        why: format!("what {runs} installed"),
        action: commands::scripts(installer, whose, added),
        blame: Blame::Author,
        network: Network::Needed,
    }
}

/// Lets npm run the scripts of packages. It would run those of the function, too, before the packages are
/// ready, and so it is shown a manifest that has none; what it says of whose scripts may run stays.
fn npm_rebuild(manifest: &Manifest<'_>, added: &Added) -> Vec<Step> {
    let rebuild = script(Installer::Npm, Whose::Packages, added);
    if manifest.scripts.is_empty() {
        return vec![rebuild];
    }
    let place = |dir| Place { dir, path: PACKAGE.parse().ok() };
    let text = manifest
        .allowed
        .map_or_else(|| "{}".to_owned(), |allowed| format!("{{\"allowScripts\": {allowed}}}"));
    let deed = |name: &str, why, action| offline(name, why, Blame::Platform, action);
    let stand_in = Action::Write { path: place(Dir::Deps), text: text.into() };
    let own = Action::Copy { from: place(Dir::Source), to: place(Dir::Deps) };
    vec![
        deed("stand-in", "npm runs the function's own scripts too early", stand_in),
        rebuild,
        deed("put back", "the function's own", own),
    ]
}

/// Refuses what the installer cannot install, and what it may not run; else returns the installer's program.
fn can_install<'a>(
    inputs: &Inputs<'a>,
    manifest: &Manifest<'_>,
    lock: Option<Lock<'_>>,
) -> Result<&'a Tool, PlanError> {
    let installer = lock.map_or(Installer::Npm, |lock| lock.installer);
    for wanted in &manifest.dependencies {
        wanted.is_within(inputs.function, manifest.path)?;
        if let Kind::Only(only) = wanted.kind()
            && only != installer.name()
        {
            let message = format!("{} is {only}'s, and {} installs here", wanted.wanted, installer.name());
            let hint = match only {
                "pnpm" => "deploy pnpm-lock.yaml, so that pnpm installs, or write a version",
                _ => "write a version",
            };
            return Err(PlanError::Dependencies(wanted.value.says(message).hint(hint)));
        }
        if installer == Installer::Pnpm && wanted.holds_credentials() {
            let message = format!(
                "the URL of {} holds credentials, which pnpm writes into names of directories",
                wanted.name
            );
            let hint = "leave them out of the URL and of pnpm-lock.yaml, and mount an .npmrc with them, or for git a .netrc";
            return Err(PlanError::Dependencies(wanted.value.says(message).hint(hint)));
        }
    }
    if let (BuildScripts::Deny, Some((name, value))) = (inputs.policy.build_scripts, manifest.scripts.first())
    {
        let message =
            format!("the script {name} would run while the function is built, which is not allowed here");
        let hint = "run it before you deploy, or ask the operator for INJECTOR_BUILD_SCRIPTS=allow";
        return Err(PlanError::Dependencies(value.says(message).hint(hint)));
    }
    let needed_for = lock.map_or(manifest.path, |lock| lock.path);
    tool(inputs, installer.name(), needed_for.as_str()).map_err(|error| match (installer, error) {
        (Installer::Pnpm, PlanError::NoTool { tool, needed_for, hint }) => PlanError::NoTool {
            hint: format!("{hint}, or deploy package-lock.json instead (`npm install --package-lock-only`)"),
            tool,
            needed_for,
        },
        (_, error) => error,
    })
}

/// Why the installer must see all of the function, if it must.
fn needs_whole_source(function: &Function, manifest: &Manifest<'_>, installer: Installer) -> Option<String> {
    let local = manifest.dependencies.iter().find(|wanted| matches!(wanted.kind(), Kind::Local(_)));
    let settings =
        [PNPM_WORKSPACE, ".pnpmfile.cjs", ".pnpmfile.mjs"].iter().find_map(|name| function.top(name));
    let settings = settings.or(manifest.has_pnpm_settings.then_some(manifest.path));
    if let Some((name, _)) = manifest.scripts.first() {
        Some(format!("its script {name} runs there"))
    } else if let Some(wanted) = local {
        Some(format!("{} is a part of it", wanted.name))
    } else if manifest.is_workspace {
        Some("it is a workspace".to_owned())
    } else {
        let settings = settings.filter(|_| installer == Installer::Pnpm);
        settings.map(|path| format!("pnpm's settings in {path} may name its files"))
    }
}

/// Copies what the installer reads to where it installs.
fn copies(
    function: &Function,
    manifest: &Manifest<'_>,
    lock: Option<Lock<'_>>,
    whole: Option<String>,
) -> Vec<Step> {
    let copy = |from: Place, to: Place, why: &str| {
        let name = format!("copy {}", from.path.as_ref().map_or("source", RelPath::as_str));
        offline(&name, why, Blame::Platform, Action::Copy { from, to })
    };
    if let Some(why) = whole {
        return vec![copy(Dir::Source.into(), Dir::Deps.into(), &why)];
    }
    let place = |dir, path: &str| Place { dir, path: path.parse().ok() };
    read(function, manifest, lock)
        .map(|path| {
            // A dependency file may be named otherwise, by the environment; installers know one name.
            let name = if path == manifest.path { PACKAGE } else { path.name() };
            copy(place(Dir::Source, path.as_str()), place(Dir::Deps, name), "what the installer reads")
        })
        .collect()
}

/// The files that the installer reads where it need not see the whole function.
fn read<'a>(
    function: &'a Function,
    manifest: &Manifest<'a>,
    lock: Option<Lock<'a>>,
) -> impl Iterator<Item = &'a RelPath> {
    [Some(manifest.path), lock.map(|lock| lock.path), function.top(".npmrc")].into_iter().flatten()
}

/// Whether they name files by absolute paths, where the function itself may be mounted.
fn names_places(function: &Function, manifest: &Manifest<'_>, lock: Option<Lock<'_>>) -> bool {
    let named = |path: &RelPath| {
        let text = function.text(path).unwrap_or_default();
        ["file:/", "link:/"].iter().any(|begin| text.contains(begin))
    };
    manifest.dependencies.iter().any(|wanted| wanted.wanted.trim().starts_with('/'))
        || read(function, manifest, lock).any(named)
}

/// The dependency files of a function, its copies, and what installers write beside them.
fn written(function: &Function) -> BTreeSet<Place> {
    const OWN: [&str; 8] = [
        PACKAGE,
        ".npmrc",
        PNPM_WORKSPACE,
        "package-lock.json",
        "npm-shrinkwrap.json",
        lock::PNPM,
        "yarn.lock",
        "bun.lock",
    ];
    const INSTALLED: [&str; 6] = [
        PACKAGE,
        "package-lock.json",
        "node_modules/.package-lock.json",
        "node_modules/.modules.yaml",
        "node_modules/.pnpm/lock.yaml",
        "node_modules/.pnpm-workspace-state-v1.json",
    ];
    let own = function
        .files
        .keys()
        .filter(|path| OWN.contains(&path.name()) || Some(*path) == function.deps_file.as_ref());
    let own = own.flat_map(|path| [Dir::Source, Dir::Deps].map(|dir| Place::new(dir, path.clone())));
    let installed = INSTALLED.iter().map(|path| Place { dir: Dir::Deps, path: path.parse().ok() });
    own.chain(installed).collect()
}
