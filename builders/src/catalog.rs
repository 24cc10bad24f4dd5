//! The runtimes that are known: TOML, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::DetectError;
use crate::toolchain::Version;

/// The `schema` that this binary reads.
pub const SCHEMA: u32 = 1;

/// All that is known of a language and is not Rust. `runtimes-config/README.md` explains each field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Runtime {
    /// The format's version, [`SCHEMA`].
    pub schema: u32,
    /// The ID, as in `FUNC_RUNTIME` without a version.
    pub id: String,
    /// The name in prose.
    pub title: String,
    /// Other names for the ID.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The versions that are supported, oldest first; each may be a prefix.
    pub versions: Vec<Version>,
    /// The extensions of source files, without the dot.
    pub extensions: Vec<String>,
    /// The names of dependency files, the one that Kubeless used first.
    pub manifests: Vec<String>,
    /// Extensions or names of further files whose text the builder may read.
    #[serde(default)]
    pub texts: Vec<String>,
    /// Files that say exactly what is resolved: with one of them, what was resolved does not age.
    #[serde(default)]
    pub locks: Vec<String>,
    /// Misspelt names of manifests, each with the name that was meant.
    #[serde(default)]
    pub near_misses: BTreeMap<String, String>,
    /// Names of directories that are never part of a function.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// The tools that builds of this language may use.
    #[serde(default)]
    pub tools: Vec<ToolSpec>,
    /// What of the environment its tools may see.
    #[serde(default)]
    pub environment: Environment,
}

/// A tool, and the names under which images have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ToolSpec {
    /// The name that plans use.
    pub name: String,
    /// Program names to look for on PATH, best first. `{version}` is the version asked for; an
    /// entry that has it is passed over when no version was asked for.
    pub programs: Vec<String>,
    /// Whether its version is the runtime's.
    #[serde(default)]
    pub versioned: bool,
    /// Files that say which release it is, as seen from its program's directory.
    #[serde(default)]
    pub leans_on: Vec<String>,
}

/// What of the environment and the configuration files a language's tools may see.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Environment {
    /// Variables that are passed on; a trailing `*` matches any rest.
    #[serde(default)]
    pub pass: Vec<String>,
    /// The package clients' configuration files; `~/` is the user's home. They are linked, never
    /// copied, into the tools' own HOME.
    #[serde(default)]
    pub files: Vec<String>,
    /// Directories of the user's that tools find by a variable, by that variable: `files` are looked for where it says,
    /// and it is set where it is not and the directory is there. `~/` is the user's home, which the tools do not see.
    #[serde(default)]
    pub homes: BTreeMap<String, String>,
    /// Variables that point a tool to a configuration file mounted as a secret, by the file's name; or, for a file
    /// that no variable names, the one of `files` for which it stands.
    #[serde(default)]
    pub mounted: BTreeMap<String, String>,
    /// Variables that name an operator's choice, handed to the builder.
    #[serde(default)]
    pub choices: Vec<String>,
    /// How the tools learn whom to trust.
    #[serde(default)]
    pub ca: Vec<Trust>,
}

impl Environment {
    /// Whether files of this name configure a package client.
    #[must_use]
    pub fn is_configuration(&self, name: &str) -> bool {
        let stands_for = |meant: &String| meant.rsplit('/').next() == Some(name);
        self.mounted.contains_key(name) || self.mounted.values().any(stands_for)
    }
}

/// How one package client learns whom to trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Trust {
    /// The variable that names all the CAs.
    pub replaces: String,
    /// The variable that names CAs beside the client's own, if it has one.
    #[serde(default)]
    pub adds: Option<String>,
    /// The variable that names directories of CAs, where the client reads some beside that file.
    #[serde(default)]
    pub directories: Option<String>,
    /// The key in its configuration files that says the same as the first variable.
    #[serde(default)]
    pub key: Option<String>,
}

/// Why a runtime's description is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Not TOML, or not of this shape.
    #[error("{file}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// What the parser said.
        message: String,
    },
    /// A value contradicts another one, or the schema.
    #[error("{file}: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong.
        message: String,
    },
}

/// The operator's file: which of the built-in runtimes are allowed, and in which versions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Operator {
    schema: u32,
    #[serde(default)]
    runtimes: BTreeMap<String, Allowed>,
}

/// What an operator says of one runtime.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Allowed {
    versions: Option<Vec<Version>>,
}

/// The runtimes that may be used, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Catalog {
    /// Those that may be used.
    runtimes: Vec<Runtime>,
    /// Those that an operator's file took away.
    withheld: Vec<Runtime>,
}

impl Catalog {
    /// Reads and checks descriptions, each with the name of its file.
    ///
    /// # Errors
    /// When one cannot be parsed or contradicts itself or another.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, CatalogError> {
        let mut runtimes: Vec<Runtime> = Vec::new();
        let mut taken = BTreeSet::new();
        for (file, text) in files {
            let runtime: Runtime = toml::from_str(text).map_err(|error| syntax(file, &error))?;
            let invalid = |message| CatalogError::Invalid { file: file.to_owned(), message };
            check(&runtime).map_err(invalid)?;
            for name in [&runtime.id].into_iter().chain(&runtime.aliases) {
                if !taken.insert(name.clone()) {
                    return Err(invalid(format!("the name {name:?} is taken by another runtime")));
                }
            }
            runtimes.push(runtime);
        }
        Ok(Catalog { runtimes, withheld: Vec::new() })
    }

    /// The runtimes that an operator's file leaves, with the versions that it leaves.
    ///
    /// # Errors
    /// When the file cannot be parsed, or names what is not known.
    pub fn restrict(&self, file: &str, text: &str) -> Result<Self, CatalogError> {
        let operator: Operator = toml::from_str(text).map_err(|error| syntax(file, &error))?;
        let invalid = |message| CatalogError::Invalid { file: file.to_owned(), message };
        if operator.schema != SCHEMA {
            return Err(invalid(format!("schema is {}, this injector reads {SCHEMA}", operator.schema)));
        }
        let mut kept = Vec::new();
        for (id, allowed) in &operator.runtimes {
            let mut runtime = self.get(id).cloned().ok_or_else(|| {
                invalid(format!("there is no runtime {id:?}; there are: {}", self.ids().join(", ")))
            })?;
            if let Some(versions) = &allowed.versions {
                if let Some(unknown) = versions.iter().find(|one| !runtime.supports(one)) {
                    let supported = list(&runtime.versions);
                    return Err(invalid(format!("{id} {unknown} is not supported; supported: {supported}")));
                }
                runtime.versions = versions.iter().flat_map(|one| runtime.narrowed(one)).collect();
            }
            kept.push(runtime);
        }
        if kept.is_empty() {
            return Err(invalid("it allows no runtime; list at least one under [runtimes]".to_owned()));
        }
        let is_kept = |runtime: &&Runtime| kept.iter().any(|kept: &Runtime| kept.id == runtime.id);
        let withheld = self.runtimes.iter().filter(|runtime| !is_kept(runtime)).cloned().collect();
        Ok(Catalog { runtimes: kept, withheld })
    }

    /// The runtimes, in order.
    #[must_use]
    pub fn runtimes(&self) -> &[Runtime] {
        &self.runtimes
    }

    /// The runtimes that are known and may not be used here, in order.
    #[must_use]
    pub fn withheld(&self) -> &[Runtime] {
        &self.withheld
    }

    /// A runtime by ID or alias.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Runtime> {
        self.runtimes.iter().find(|runtime| runtime.is_called(name))
    }

    /// The IDs, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.runtimes.iter().map(|runtime| runtime.id.clone()).collect()
    }

    /// The runtime that `hint` names.
    ///
    /// # Errors
    /// When it is not known, or its version is not allowed.
    pub fn find(&self, hint: &RuntimeName) -> Result<&Runtime, DetectError> {
        let runtime = self.get(&hint.id).ok_or_else(|| {
            match self.withheld.iter().find(|runtime| runtime.is_called(&hint.id)) {
                Some(runtime) => {
                    DetectError::RuntimeNotAllowed { title: runtime.title.clone(), allowed: self.ids() }
                }
                None => DetectError::UnknownRuntime { asked: hint.to_string(), known: self.ids() },
            }
        })?;
        match &hint.version {
            Some(version) if !runtime.supports(version) => Err(DetectError::VersionNotAllowed {
                id: runtime.id.clone(),
                asked: version.clone(),
                allowed: runtime.versions.clone(),
            }),
            _ => Ok(runtime),
        }
    }
}

impl Runtime {
    /// Whether this is its ID or another name for that.
    fn is_called(&self, name: &str) -> bool {
        self.id == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// Whether a version, or one of which it is a prefix, is listed.
    #[must_use]
    pub fn supports(&self, version: &Version) -> bool {
        self.versions.iter().any(|listed| version.is(listed) || listed.is(version))
    }

    /// What is supported of a version: itself, or those of which it is a prefix.
    fn narrowed(&self, version: &Version) -> Vec<Version> {
        if self.versions.iter().any(|listed| version.is(listed)) {
            return vec![version.clone()];
        }
        self.versions.iter().filter(|listed| listed.is(version)).cloned().collect()
    }

    /// How one would ask for its newest version.
    #[must_use]
    pub fn example(&self) -> String {
        self.versions.last().map_or_else(|| self.id.clone(), |version| format!("{}{version}", self.id))
    }
}

/// Versions, for a sentence.
#[must_use]
pub fn list(versions: &[Version]) -> String {
    versions.iter().map(Version::to_string).collect::<Vec<_>>().join(", ")
}

fn syntax(file: &str, error: &toml::de::Error) -> CatalogError {
    CatalogError::Syntax { file: file.to_owned(), message: error.to_string().trim_end().to_owned() }
}

fn check(runtime: &Runtime) -> Result<(), String> {
    if runtime.schema != SCHEMA {
        return Err(format!("schema is {}, this injector reads {SCHEMA}", runtime.schema));
    }
    for name in [&runtime.id].into_iter().chain(&runtime.aliases) {
        let parsed: Result<RuntimeName, _> = name.parse();
        if !parsed.is_ok_and(|parsed| parsed.version.is_none()) {
            return Err(format!("{name:?} is not an ID: letters, `-` and `_`"));
        }
    }
    if runtime.versions.is_empty() || runtime.extensions.is_empty() {
        return Err("versions and extensions must not be empty".to_owned());
    }
    if let Some(extension) = runtime.extensions.iter().find(|extension| extension.starts_with('.')) {
        return Err(format!("the extension {extension:?} is written without its dot"));
    }
    for (wrong, right) in &runtime.near_misses {
        if !runtime.manifests.contains(right) || runtime.manifests.contains(wrong) {
            return Err(format!("near-misses: {wrong:?} -> {right:?} does not lead to a manifest"));
        }
    }
    if let Some(tool) = runtime.tools.iter().find(|tool| tool.programs.is_empty()) {
        return Err(format!("the tool {:?} has no programs", tool.name));
    }
    let Environment { files, mounted, .. } = &runtime.environment;
    let stands_for_none = |meant: &&String| meant.starts_with("~/") && !files.contains(meant);
    if let Some(meant) = mounted.values().find(stands_for_none) {
        return Err(format!("mounted: {meant:?} is not among the files"));
    }
    Ok(())
}

/// A runtime as it is asked for: ID and version, `python3.12`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeName {
    /// The ID or an alias.
    pub id: String,
    /// The version; `None` is whatever the image has.
    pub version: Option<Version>,
}

/// Why a text names no runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no runtime; write an ID and a version, for example python3.12")]
pub struct BadRuntimeName(pub String);

impl FromStr for RuntimeName {
    type Err = BadRuntimeName;

    fn from_str(text: &str) -> Result<Self, BadRuntimeName> {
        let bad = || BadRuntimeName(text.to_owned());
        let (id, version) = text.split_at(text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len()));
        let named = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '-' | '_'));
        if !named || !version.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Err(bad());
        }
        let version = if version.is_empty() { None } else { Some(version.parse().map_err(|_| bad())?) };
        Ok(RuntimeName { id: id.to_owned(), version })
    }
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "{version}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "schema = 1\ntitle = 'X'\nmanifests = ['m.txt']\n";

    fn toml(id: &str, rest: &str) -> String {
        format!("{HEAD}id = '{id}'\nversions = ['3.9', '3.12']\nextensions = ['{id}']\n{rest}")
    }

    fn catalog() -> Catalog {
        let (one, two) = (toml("xx", "aliases = ['ex']"), toml("yy", ""));
        Catalog::parse([("xx", one.as_str()), ("yy", two.as_str())]).expect("a catalog")
    }

    #[test]
    fn a_name_is_an_id_and_a_version() {
        let name: RuntimeName = "nodejs_distroless8".parse().expect("a name");
        assert_eq!(
            (name.id.as_str(), name.version.map(|v| v.to_string())),
            ("nodejs_distroless", Some("8".into()))
        );
        for bad in ["", "3.12", "py thon3", "python3.x", "python..", "python3.12; rm"] {
            assert!(bad.parse::<RuntimeName>().is_err(), "{bad:?} was taken for a runtime");
        }
    }

    #[test]
    fn a_version_must_be_listed() {
        let catalog = catalog();
        assert!(catalog.find(&"ex3.12.1".parse().expect("a name")).is_ok());
        assert!(catalog.find(&"xx3".parse().expect("a name")).is_ok());
        let missing = catalog.find(&"xx2.7".parse().expect("a name"));
        assert!(matches!(missing, Err(DetectError::VersionNotAllowed { .. })), "{missing:?}");
        let unknown = catalog.find(&"cobol".parse().expect("a name"));
        assert!(matches!(unknown, Err(DetectError::UnknownRuntime { .. })), "{unknown:?}");
    }

    #[test]
    fn an_operator_leaves_only_what_the_file_lists() {
        let left =
            catalog().restrict("f", "schema = 1\n[runtimes.xx]\nversions = ['3.12']").expect("a catalog");
        assert_eq!(left.ids(), ["xx"]);
        assert!(left.find(&"xx3.9".parse().expect("a name")).is_err());
        let versions = |text: &str| {
            let left = catalog().restrict("f", &format!("schema = 1\n[runtimes.xx]\nversions = {text}"));
            list(&left.expect("a catalog").runtimes()[0].versions)
        };
        assert_eq!(versions("['3.12.4']"), "3.12.4");
        assert_eq!(versions("['3']"), "3.9, 3.12", "it takes away, and adds no 3.7");
        for bad in [
            "schema = 1",
            "schema = 2\n[runtimes.xx]",
            "schema = 1\n[runtimes.zz]",
            "schema = 1\n[runtimes.xx]\nargv = ['sh']",
            "schema = 1\n[runtimes.xx]\nversions = ['2.7']",
        ] {
            assert!(catalog().restrict("f", bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_description_that_contradicts_itself_is_refused() {
        let dotted = toml("xx", "").replace("['xx']", "['.xx']");
        let stray = toml("xx", "[near-misses]\n'a' = 'b'");
        let argv = toml("xx", "argv = ['sh']");
        let for_none = toml("xx", "environment = { mounted = { 'a' = '~/.a' } }");
        for bad in [dotted, stray, argv, for_none, toml("x3", ""), toml("xx", "aliases = ['xx']")] {
            assert!(Catalog::parse([("f", bad.as_str())]).is_err(), "{bad} was accepted");
        }
    }
}
