//! Which lock is obeyed, and whether it still fits its manifest.

use std::collections::BTreeMap;

use super::install::Installer;
use super::json::{self, Value};
use super::manifest::{Dependency, Kind, Manifest, PACKAGE};
use crate::diagnostic::Diagnostic;
use crate::error::PlanError;
use crate::function::{Function, RelPath};

/// npm's locks, the one that wins first.
const NPM: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];
/// pnpm's lock.
pub(super) const PNPM: &str = "pnpm-lock.yaml";
/// Locks of installers that are not used here.
const FOREIGN: [&str; 3] = ["yarn.lock", "bun.lock", "bun.lockb"];

/// The lock that is obeyed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lock<'a> {
    /// The file.
    pub(super) path: &'a RelPath,
    /// Who made it.
    pub(super) installer: Installer,
}

impl<'a> Lock<'a> {
    /// The lock of a function, if it has one.
    ///
    /// # Errors
    /// When it is not clear which lock counts, or when there is only one that cannot be obeyed.
    pub(super) fn of(function: &'a Function, manifest: &Manifest<'_>) -> Result<Option<Self>, PlanError> {
        let beside = |name: &str| Some(function.files.get_key_value(&manifest.path.sibling(name).ok()?)?.0);
        let npm =
            NPM.iter().find_map(|name| beside(name)).map(|path| Lock { path, installer: Installer::Npm });
        let pnpm = beside(PNPM).map(|path| Lock { path, installer: Installer::Pnpm });
        match (npm, pnpm, manifest.manager.as_deref()) {
            (Some(npm), Some(_), Some("npm")) => Ok(Some(npm)),
            (Some(_), Some(pnpm), Some("pnpm")) => Ok(Some(pnpm)),
            (Some(npm), Some(pnpm), _) => {
                let message =
                    format!("{} stands beside {}, and only one of them can be obeyed", pnpm.path, npm.path);
                let hint = format!(
                    "remove the one that is out of use, or name its installer in {PACKAGE}: `\"packageManager\": \"pnpm@10.0.0\"`"
                );
                Err(PlanError::Dependencies(
                    Diagnostic::new(message).at(pnpm.path.as_str(), None, None).hint(hint),
                ))
            }
            (None, None, _) => match FOREIGN.iter().find_map(|name| beside(name)) {
                Some(path) => Err(foreign(path)),
                None => Ok(None),
            },
            (npm, pnpm, _) => Ok(npm.or(pnpm)),
        }
    }

    /// Why this lock, where there are several.
    pub(super) fn because(self, function: &Function) -> String {
        let others = NPM.iter().chain([&PNPM]).chain(&FOREIGN);
        let others: Vec<_> = others
            .filter_map(|name| self.path.sibling(name).ok())
            .filter(|path| path != self.path && function.files.contains_key(path))
            .map(|path| path.to_string())
            .collect();
        match others.as_slice() {
            [] => format!("{} pins them", self.path),
            [other] => format!("{} pins them; {other} is not read", self.path),
            others => format!("{} pins them; {} are not read", self.path, others.join(" and ")),
        }
    }
}

/// Refuses a lock without its manifest.
///
/// # Errors
/// When there is one.
pub(super) fn alone(function: &Function) -> Result<(), PlanError> {
    let Some(path) = NPM.iter().chain([&PNPM]).find_map(|name| function.top(name)) else { return Ok(()) };
    let message = format!("{path} is of no use without its {PACKAGE}");
    let hint = format!("deploy {PACKAGE} beside it");
    Err(PlanError::Manifest(Diagnostic::new(message).at(path.as_str(), None, None).hint(hint)))
}

fn foreign(path: &RelPath) -> PlanError {
    let message = format!(
        "{path} cannot be obeyed: here are npm and pnpm, with package-lock.json, npm-shrinkwrap.json or pnpm-lock.yaml"
    );
    let hint = format!(
        "make a lock of theirs (`npm install --package-lock-only`), or remove {path} to have the versions chosen anew"
    );
    PlanError::Dependencies(Diagnostic::new(message).at(path.as_str(), None, None).hint(hint))
}

/// What is known of npm's lock before npm reads it.
#[derive(Debug)]
pub(super) struct Pinned<'a> {
    /// What is installed where; a lock of npm 6 and before has none.
    packages: BTreeMap<String, Value<'a>>,
}

impl<'a> Pinned<'a> {
    /// Reads npm's lock. One that is too large to be read here is left to npm.
    ///
    /// # Errors
    /// When it is not JSON.
    pub(super) fn read(function: &'a Function, path: &'a RelPath) -> Result<Self, PlanError> {
        let root = function.text(path).map(|text| json::parse(path.as_str(), text)).transpose()?;
        let packages = root.and_then(|root| root.member("packages")?.members());
        Ok(Pinned { packages: packages.unwrap_or_default() })
    }

    /// Whether a package of it may have a script that runs when it is installed: npm notes which have.
    pub(super) fn may_have_scripts(&self) -> bool {
        let flag = |value: &Value<'_>, name| value.member(name).and_then(Value::get) == Some(true);
        let has = |value: &Value<'_>| flag(value, "hasInstallScript") && !flag(value, "dev");
        self.packages.is_empty() || self.packages.iter().any(|(path, value)| !path.is_empty() && has(value))
    }

    /// The package with this digest, and its version.
    pub(super) fn digested(&self, integrity: &str) -> Option<String> {
        let text = |value: &Value<'_>, name| value.member(name).and_then(Value::get::<String>);
        let is_it = |value: &Value<'_>| text(value, "integrity").is_some_and(|found| found == integrity);
        let (path, value) = self.packages.iter().find(|(_, value)| is_it(value))?;
        Some(format!("{} {}", path.rsplit_once("node_modules/")?.1, text(value, "version")?))
    }

    /// Compares it with the manifest, as `npm ci` does, which however asks the registry first.
    ///
    /// # Errors
    /// When a dependency is not pinned, or to a version that the manifest does not admit.
    pub(super) fn fits(&self, lock: &RelPath, manifest: &Manifest<'_>) -> Result<(), PlanError> {
        if self.packages.is_empty() {
            return Ok(());
        }
        manifest.dependencies.iter().try_for_each(|wanted| self.pins(lock, wanted))
    }

    fn pins(&self, lock: &RelPath, wanted: &Dependency<'_>) -> Result<(), PlanError> {
        let drifted = |message: String| {
            let hint = "run `npm install` where you have both, and deploy the lock that it writes";
            Err(PlanError::Dependencies(wanted.value.says(message).hint(hint)))
        };
        let name = &wanted.name;
        let Some(pinned) = self.packages.get(&format!("node_modules/{name}")) else {
            // npm leaves out optional peers, and what is not for this machine.
            if wanted.section != "dependencies" {
                return Ok(());
            }
            return drifted(format!("{name} is not in {lock}"));
        };
        let version = pinned.member("version").and_then(Value::get::<String>).unwrap_or_default();
        let admits = |range: &nodejs_semver::Range| {
            nodejs_semver::Version::parse(&version).map_or(true, |version| range.satisfies(&version))
        };
        match nodejs_semver::Range::parse(&wanted.wanted) {
            // npm takes a pre-release for any version, but not for a range that names none.
            Ok(_) if matches!(wanted.wanted.trim(), "" | "*") => Ok(()),
            Ok(range) if wanted.kind() == Kind::Remote && !admits(&range) => {
                drifted(format!("{name} is {version} in {lock}, and {} is asked for", wanted.wanted))
            }
            _ => Ok(()),
        }
    }
}
