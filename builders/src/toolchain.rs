//! What the image offers: tools as they described themselves, and the configuration they find.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::function::as_text;

/// A version: numbers between dots. What follows them (`rc1`, `+local`) is left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(Vec<u32>);

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version: it must begin with a number")]
pub struct BadVersion(pub String);

impl Version {
    /// Whether this is `wanted` or a refinement of it: 3.12.4 is a 3.12, and 3.1 is not.
    #[must_use]
    pub fn is(&self, wanted: &Version) -> bool {
        self.0.starts_with(&wanted.0)
    }

    /// The first `count` numbers.
    #[must_use]
    pub fn prefix(&self, count: usize) -> Version {
        Version(self.0.iter().copied().take(count).collect())
    }
}

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let numbers =
            text.split_once(|c: char| !c.is_ascii_digit() && c != '.').map_or(text, |(head, _)| head);
        let parts: Result<Vec<u32>, _> = numbers.trim_end_matches('.').split('.').map(str::parse).collect();
        parts.map(Version).map_err(|_| BadVersion(text.to_owned()))
    }
}

as_text!(Version, BadVersion);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            write!(f, "{}{number}", if index == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

/// What a tool said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its version.
    pub version: Version,
    /// Further facts that a result may depend on: `abi`, `libc`, `arch`, …
    pub facts: BTreeMap<String, String>,
}

/// What a probe lists beside facts: the files and directories on which its answer depends, apart from the program, one a
/// line. Whoever remembers answers takes it out of them.
pub const LEANS_ON: &str = "leans-on";

/// A fact in which the tool that launches differs from the one that built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The fact: `version`, `abi`, `libc`, `arch`, …
    pub fact: String,
    /// What the build had.
    pub built: String,
    /// What is here; `None` if the tool did not say.
    pub found: Option<String>,
}

impl Identity {
    /// What of `requires` does not hold for this tool. A version may be refined (3.12 -> 3.12.4); a
    /// C library must be of the same family and not older; every other fact must be equal.
    #[must_use]
    pub fn unmet(&self, requires: &BTreeMap<String, String>) -> Vec<Mismatch> {
        let holds = |fact: &str, built: &str, found: &str| match fact {
            "version" => built.parse().is_ok_and(|built| self.version.is(&built)),
            "libc" => not_older(built, found),
            _ => built == found,
        };
        let version = self.version.to_string();
        let found = |fact: &str| {
            if fact == "version" { Some(&version) } else { self.facts.get(fact) }
        };
        requires
            .iter()
            .filter(|(fact, built)| !found(fact).is_some_and(|found| holds(fact, built, found)))
            .map(|(fact, built)| Mismatch {
                fact: fact.clone(),
                built: built.clone(),
                found: found(fact).cloned(),
            })
            .collect()
    }
}

/// Whether the C library `found` can run what was built on `built`: `glibc 2.36`, `musl 1.2.4`.
fn not_older(built: &str, found: &str) -> bool {
    let parse = |text: &str| -> Option<(String, Version)> {
        let (family, version) = text.split_once(' ')?;
        Some((family.to_owned(), version.parse().ok()?))
    };
    match (parse(built), parse(found)) {
        (Some((built, least)), Some((found, version))) => built == found && version >= least,
        _ => built == found,
    }
}

/// A tool that the image has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// The name by which it was found on PATH.
    pub program: String,
    /// What it said of itself.
    #[serde(flatten)]
    pub identity: Identity,
}

/// The tools that the image has, by the names that the runtime gives them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Toolchain {
    /// The tools that were found and answered.
    pub tools: BTreeMap<String, Tool>,
    /// The names of those that were found and did not answer. What follows from that is in the plan.
    #[serde(skip)]
    pub broken: BTreeSet<String>,
}

impl Toolchain {
    /// A tool by its name in `runtime.toml`.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }
}

/// The package clients' own configuration, read but not interpreted. It may hold credentials.
#[derive(Clone, Default)]
pub struct Settings {
    /// Variables that the runtime lets through to its tools.
    pub env: BTreeMap<String, String>,
    /// Configuration files that exist, in the order in which the runtime lists them: the path as it
    /// may be shown, and the text.
    pub files: Vec<(String, String)>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.files.iter().map(|(path, _)| path).collect();
        f.debug_struct("Settings").field("env", &self.env.keys()).field("files", &files).finish()
    }
}

/// The names of the variables to which a text refers as `${NAME}`, `${NAME?}`, `${NAME:-default}` or, as Maven
/// has it, `${env.NAME}`.
#[must_use]
pub fn references(text: &str) -> BTreeSet<String> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.strip_prefix("env.").unwrap_or(name))
        .map(|name| name.split(['?', ':', '-']).next().unwrap_or(name))
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .map(ToOwned::to_owned)
        .collect()
}

/// Whether code of dependencies may run at build time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildScripts {
    /// It may.
    Allow,
    /// It may not; what needs it is refused by name.
    Deny,
}

/// What the operator allows and asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Code of dependencies at build time.
    pub build_scripts: BuildScripts,
    /// Choices that belong to one language, by variable name (`INJECTOR_PYTHON_INSTALLER`).
    pub choices: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_refines_its_prefix() {
        let version = |text: &str| text.parse::<Version>().expect("a version");
        assert!(version("3.12.4").is(&version("3.12")));
        assert!(!version("3.1").is(&version("3.12")));
        assert!(!version("3.12").is(&version("3.1")));
        assert_eq!(version("3.13.0rc1").to_string(), "3.13.0");
        assert!("rc1".parse::<Version>().is_err());
    }

    #[test]
    fn references_are_names_in_braces() {
        let found = references(
            "https://${USER}:${PASS_1}@host/ $HOME ${} ${a b} ${T?} ${S:-none} ${R-} ${env.M} ${a.b} ${open",
        );
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["M", "PASS_1", "R", "S", "T", "USER"]);
    }

    #[test]
    fn what_launches_must_be_what_built() {
        let facts = |libc: &str| BTreeMap::from([("libc".to_owned(), libc.to_owned())]);
        let found = Identity { version: "3.12.4".parse().expect("a version"), facts: facts("glibc 2.36") };
        let requires = |version: &str, libc: &str| {
            let mut requires = facts(libc);
            requires.insert("version".to_owned(), version.to_owned());
            requires
        };
        assert_eq!(found.unmet(&requires("3.12", "glibc 2.31")), []);
        assert_eq!(found.unmet(&requires("3.11", "glibc 2.39")).len(), 2);
        assert_eq!(found.unmet(&requires("3.12", "musl 1.2"))[0].fact, "libc");
        let abi = BTreeMap::from([("abi".to_owned(), "cp312".to_owned())]);
        assert_eq!(found.unmet(&abi)[0].found, None);
    }
}
