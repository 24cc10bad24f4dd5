//! Reads `package.json`: what a function depends on, what runs when it is installed, and for which Node.js it is.
//!
//! Source: <https://docs.npmjs.com/cli/v11/configuring-npm/package-json>.

use crate::diagnostic::Diagnostic;
use crate::entry::text;
use crate::error::PlanError;
use crate::function::{Function, RelPath};
use crate::toolchain::Version;

use super::json::{self, Value};

/// The file that lists a function's dependencies.
pub(super) const PACKAGE: &str = "package.json";
/// What pnpm reads beside it: settings, and the packages of a workspace.
pub(super) const PNPM_WORKSPACE: &str = "pnpm-workspace.yaml";
/// Where dependencies of a running function stand. npm installs the peers of a root, too.
const SECTIONS: [&str; 3] = ["dependencies", "optionalDependencies", "peerDependencies"];
/// The scripts of its own that `npm install` and `npm ci` run, in their order.
const LIFECYCLE: [&str; 7] =
    ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];

/// What `package.json` says.
#[derive(Debug)]
pub(super) struct Manifest<'a> {
    /// The file.
    pub(super) path: &'a RelPath,
    /// What it asks for.
    pub(super) dependencies: Vec<Dependency<'a>>,
    /// Those of the function's own scripts that run when it is installed: the name, and its place.
    pub(super) scripts: Vec<(&'static str, Value<'a>)>,
    /// Whether it is the root of several packages.
    pub(super) is_workspace: bool,
    /// Which packages may run scripts, in npm's own words.
    pub(super) allowed: Option<Value<'a>>,
    /// The package manager that it names, without a version.
    pub(super) manager: Option<String>,
    /// Whether it holds settings of pnpm, which may name further files.
    pub(super) has_pnpm_settings: bool,
    engines: Option<Value<'a>>,
}

/// One dependency.
#[derive(Debug)]
pub(super) struct Dependency<'a> {
    /// Its name.
    pub(super) name: String,
    /// What is asked for: a range, a tag, a URL, a path, ….
    pub(super) wanted: String,
    /// Where that is written.
    pub(super) value: Value<'a>,
    /// Which section lists it.
    pub(super) section: &'static str,
}

/// Whether a function has a `package.json` without any content.
pub(super) fn is_empty(function: &Function) -> bool {
    function.top(PACKAGE).and_then(|path| function.text(path)).is_some_and(is_blank)
}

fn is_blank(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim().is_empty()
}

impl<'a> Manifest<'a> {
    /// Reads the manifest of a function; `None` where there is none, or an empty one.
    ///
    /// # Errors
    /// When it is malformed.
    pub(super) fn of(function: &'a Function) -> Result<Option<Self>, PlanError> {
        let named = function.deps_file.as_ref().filter(|path| path.name().ends_with(PACKAGE));
        let Some(path) = named.or_else(|| function.top(PACKAGE)) else { return Ok(None) };
        let text = text(function, path)?;
        if is_blank(text) {
            return Ok(None);
        }
        let root = json::parse(path.as_str(), text)?;
        let members = root.members().ok_or_else(|| {
            wrong(
                root,
                "a manifest must be an object",
                "write `{\"dependencies\": {\"lodash\": \"^4.17.21\"}}`",
            )
        })?;
        let mut dependencies = Vec::new();
        for section in SECTIONS {
            let Some(value) = members.get(section).filter(|value| !value.is_empty()) else { continue };
            dependencies.extend(read_section(section, *value)?);
        }
        let scripts = members.get("scripts").and_then(|scripts| scripts.members()).unwrap_or_default();
        let is_script = |value: &Value<'a>| value.get::<String>().is_some_and(|text| !text.is_empty());
        let manager: Option<String> = members.get("packageManager").and_then(|value| value.get());
        Ok(Some(Manifest {
            path,
            dependencies,
            scripts: LIFECYCLE
                .iter()
                .filter_map(|name| Some((*name, *scripts.get(*name).filter(|value| is_script(value))?)))
                .collect(),
            is_workspace: members.get("workspaces").is_some_and(|value| !value.is_empty()),
            allowed: members.get("allowScripts").copied(),
            manager: manager.map(|text| text.split('@').next().unwrap_or_default().to_owned()),
            has_pnpm_settings: members.contains_key("pnpm"),
            engines: members.get("engines").and_then(|engines| engines.member("node")),
        }))
    }

    /// Whether anything must be installed or run.
    pub(super) fn asks(&self) -> bool {
        !self.dependencies.is_empty() || !self.scripts.is_empty() || self.is_workspace
    }

    /// Compares the Node.js that was found with the versions that the function is for.
    ///
    /// # Errors
    /// When it is for others. A range that cannot be read is passed over, as npm does.
    pub(super) fn admits(&self, found: &Version) -> Result<(), PlanError> {
        let Some((value, wanted)) = self.engines.and_then(|value| Some((value, value.get::<String>()?)))
        else {
            return Ok(());
        };
        let range = nodejs_semver::Range::parse(&wanted);
        let version = nodejs_semver::Version::parse(found.to_string());
        match (range, version) {
            (Ok(range), Ok(version)) if !range.satisfies(&version) => {
                let said =
                    value.says(format!("the function is for Node.js {wanted}, this image has {found}"));
                let hint = "choose an image of such a version, or widen `engines`";
                Err(PlanError::Version(said.hint(hint)))
            }
            _ => Ok(()),
        }
    }
}

/// What a dependency is, by the words of <https://docs.npmjs.com/cli/v11/using-npm/package-spec>.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// From a registry, a repository or a URL, or of the image: an absolute path, to what is mounted there.
    Remote,
    /// A file or directory of the function, as it is written.
    Local(&'a str),
    /// A protocol that only this installer knows.
    Only(&'static str),
}

impl Dependency<'_> {
    /// What it is.
    pub(super) fn kind(&self) -> Kind<'_> {
        let wanted = self.wanted.trim();
        let protocols =
            [("workspace:", "pnpm"), ("catalog:", "pnpm"), ("portal:", "yarn"), ("patch:", "yarn")];
        let local = wanted.strip_prefix("file:").or_else(|| wanted.strip_prefix("link:"));
        if let Some((_, installer)) = protocols.iter().find(|(protocol, _)| wanted.starts_with(protocol)) {
            Kind::Only(installer)
        } else if local.unwrap_or(wanted).starts_with('/') {
            Kind::Remote
        } else if let Some(path) = local {
            Kind::Local(path)
        } else if wanted.starts_with(['.', '~']) && wanted.contains('/')
            || !wanted.contains(':') && [".tgz", ".tar.gz", ".tar"].iter().any(|end| wanted.ends_with(end))
        {
            Kind::Local(wanted)
        } else {
            Kind::Remote
        }
    }

    /// Whether it is a URL with a password or a token; the `git@` of SSH is neither.
    pub(super) fn holds_credentials(&self) -> bool {
        let Some((scheme, rest)) = self.wanted.split_once("://") else { return false };
        let authority = rest.split('/').next().unwrap_or_default();
        let login = authority.rsplit_once('@').map(|(login, _)| login);
        login
            .is_some_and(|login| login.contains(':') || scheme.ends_with("http") || scheme.ends_with("https"))
    }

    /// Refuses a path that no copy of the function holds.
    ///
    /// # Errors
    /// When it leads out of the function, or to nothing.
    pub(super) fn is_within(&self, function: &Function, manifest: &RelPath) -> Result<(), PlanError> {
        let Kind::Local(path) = self.kind() else { return Ok(()) };
        let refuse =
            |message: String, hint: &str| Err(PlanError::Dependencies(self.value.says(message).hint(hint)));
        let Ok(path) = manifest.sibling(path) else {
            let hint = "deploy the package within the function, and name it like `file:./lib`";
            return refuse(format!("{} leads out of the function", self.wanted), hint);
        };
        let has = |path: &str| function.files.contains_key(path) || function.links.contains_key(path);
        let below = format!("{path}/");
        if has(path.as_str()) || has(&format!("{below}{PACKAGE}")) {
            Ok(())
        } else if function.files.keys().any(|file| file.as_str().starts_with(&below)) {
            refuse(
                format!("{path} is no package: it has no {PACKAGE}"),
                "give it one with a name and a version",
            )
        } else {
            refuse(format!("{path} is not among the function's files"), "deploy it with the function")
        }
    }
}

/// Reads a section of dependencies.
fn read_section<'a>(section: &'static str, value: Value<'a>) -> Result<Vec<Dependency<'a>>, PlanError> {
    let members = value.members().ok_or_else(|| {
        let hint = "write names and versions, such as `{\"lodash\": \"^4.17.21\"}`";
        wrong(value, &format!("{section} must be an object"), hint)
    })?;
    let read = |(name, value): (String, Value<'a>)| match value.get::<String>() {
        Some(wanted) => Ok(Dependency { name, wanted, value, section }),
        None => Err(wrong(
            value,
            &format!("the version of {name} must be a string"),
            "put it in double quotes, such as `\"^4.17.21\"`",
        )),
    };
    members.into_iter().map(read).collect()
}

fn wrong(value: Value<'_>, message: &str, hint: &str) -> PlanError {
    let said: Diagnostic = value.says(message);
    PlanError::Manifest(said.hint(hint))
}
