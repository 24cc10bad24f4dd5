//! What a result depends on: digests over length-prefixed fields, so that no two inputs run together.

use std::collections::BTreeMap;

use builders::function::{Function, RelPath, Sha256};
use builders::plan::{Plan, ResolvesFrom};
use builders::toolchain::Toolchain;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::sys::fs::digest_of;
use crate::sys::host;

/// What identifies the program that makes a result: its version, and the digest of its sources.
pub(crate) const INJECTOR: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("INJECTOR_SOURCES"));

/// All on which a result depends, by kind and name, for example `file requirements.txt` or `tool python`: short values
/// as they are, others as digests, and no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Inputs(pub(crate) BTreeMap<String, String>);

/// The keys of one function's results, with that on which they depend.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// What its dependencies are resolved from.
    pub(crate) deps: Keyed,
    /// What the whole of it is made from.
    pub(crate) build: Keyed,
}

/// A key, and what it is the digest of.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    /// The digest.
    pub(crate) key: Sha256,
    /// The inputs.
    pub(crate) inputs: Inputs,
}

/// The keys of a function that is made by this plan, with these tools. `settings` is what tools see of the environment
/// and of their configuration ([`Surroundings::inputs`](crate::surroundings::Surroundings::inputs)), `salt` what the
/// operator says.
///
/// # Errors
/// Something of the plan cannot be written as JSON.
pub(crate) fn of(
    function: &Function,
    plan: &Plan,
    toolchain: &Toolchain,
    settings: Inputs,
    salt: Option<&str>,
) -> Result<Keys, serde_json::Error> {
    let counts = |path: &RelPath| match &plan.resolves_from {
        ResolvesFrom::All => true,
        ResolvesFrom::Files(files) => files.contains(path),
    };
    let mut deps = settings;
    deps.add(Kind::Of, "injector", INJECTOR);
    deps.add(Kind::Of, "architecture", host::architecture());
    for (name, tool) in &toolchain.tools {
        deps.add(Kind::Tool, name, tool.identity.version.to_string());
        for (fact, value) in &tool.identity.facts {
            deps.add(Kind::Tool, &format!("{name} ({fact})"), value);
        }
    }
    if let Some(salt) = salt {
        deps.add(Kind::Setting, "INJECTOR_CACHE_SALT", short(salt.as_bytes()));
    }
    deps.add(Kind::Of, "how dependencies are resolved", short(&serde_json::to_vec(&plan.resolve)?));
    deps.files(function, counts);
    let deps = deps.keyed("deps-2");

    let mut build = deps.inputs.clone();
    build.files(function, |_| true);
    // The steps alone: the words in which a plan explains itself change nothing.
    let steps = (&plan.check, &plan.compile, &plan.verify, &plan.launch);
    build.add(Kind::Of, "how the function is built", short(&serde_json::to_vec(&steps)?));
    build.add(Kind::Of, "dependencies", deps.key.to_string());
    Ok(Keys { build: build.keyed("build-2"), deps })
}

/// What kind of input something is: no file is taken for a variable of its name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A file or a link of the function.
    File,
    /// A tool.
    Tool,
    /// A variable, or a configuration file.
    Setting,
    /// Anything else.
    Of,
}

impl Inputs {
    /// Adds one.
    pub(crate) fn add(&mut self, kind: Kind, name: &str, value: impl Into<String>) {
        let kind = match kind {
            Kind::File => "file",
            Kind::Tool => "tool",
            Kind::Setting => "setting",
            Kind::Of => "of",
        };
        self.0.insert(format!("{kind} {name}"), value.into());
    }

    /// Adds those of a function's files that count, and what is a link among them.
    fn files(&mut self, function: &Function, counts: impl Fn(&RelPath) -> bool) {
        for (path, file) in function.files.iter().filter(|(path, _)| counts(path)) {
            let executable = if file.executable { ", executable" } else { "" };
            self.add(Kind::File, path.as_str(), format!("{}{executable}", file.sha256));
        }
        for (path, target) in function.links.iter().filter(|(path, _)| counts(path)) {
            self.add(Kind::File, path.as_str(), format!("-> {target}"));
        }
    }

    fn keyed(self, schema: &str) -> Keyed {
        let mut fields = Fields::new(schema);
        for (name, value) in &self.0 {
            fields.add(name.as_bytes());
            fields.add(value.as_bytes());
        }
        Keyed { key: fields.digest(), inputs: self }
    }

    /// What changed since `older`, in words: `requirements.txt changed`, `python 3.12.4 -> 3.12.5`.
    pub(crate) fn changes_since(&self, older: &Inputs) -> Vec<String> {
        let names = self.0.keys().chain(older.0.keys().filter(|name| !self.0.contains_key(*name)));
        let changes = names.filter_map(|name| {
            let shown = name.split_once(' ').map_or(name.as_str(), |(_, shown)| shown);
            match (older.0.get(name), self.0.get(name)) {
                (old, new) if old == new => None,
                (Some(old), Some(new)) if is_telling(old) && is_telling(new) => {
                    Some(format!("{shown} {old} -> {new}"))
                }
                (Some(_), Some(_)) => Some(format!("{shown} changed")),
                (None, _) => Some(format!("{shown} is new")),
                (_, None) => Some(format!("{shown} is gone")),
            }
        });
        changes.collect()
    }
}

/// Whether people learn something from a value.
fn is_telling(value: &str) -> bool {
    value.len() <= 40 && !value.starts_with("sha256:") && !value.starts_with("->")
}

/// The digest of a value, as it stands among inputs.
pub(crate) fn short(value: &[u8]) -> String {
    digest_of(value).to_string()
}

/// The digest of all on which a verdict depends that no network can change, ourselves excepted: the
/// build, and what its tools see of the environment.
pub(crate) fn verdict(build: Sha256, env: &BTreeMap<String, String>) -> Sha256 {
    let mut fields = Fields::new("verdict-1");
    fields.add(&build.0);
    for (name, value) in env {
        fields.add(name.as_bytes());
        fields.add(value.as_bytes());
    }
    fields.digest()
}

/// The digest of all on which depends what a tool says of itself: its program, and how it is asked.
pub(crate) fn tool(program: &str, args: &[String], env: &BTreeMap<String, String>) -> Sha256 {
    let mut fields = Fields::new("tool-1");
    fields.add(program.as_bytes());
    for field in args.iter().chain(env.iter().flat_map(|(name, value)| [name, value])) {
        fields.add(field.as_bytes());
    }
    fields.digest()
}

struct Fields(sha2::Sha256);

impl Fields {
    fn new(schema: &str) -> Self {
        let mut fields = Fields(sha2::Sha256::new());
        fields.add(schema.as_bytes());
        fields
    }

    fn add(&mut self, field: &[u8]) {
        self.0.update((field.len() as u64).to_le_bytes());
        self.0.update(field);
    }

    fn digest(self) -> Sha256 {
        Sha256(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_together() {
        let of = |fields: &[&str]| {
            let mut all = Fields::new("x");
            for field in fields {
                all.add(field.as_bytes());
            }
            all.digest()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
    }

    #[test]
    fn a_verdict_changes_with_the_build_and_with_the_environment() {
        let (one, two) = (Sha256([1; 32]), Sha256([2; 32]));
        let env = |value: &str| BTreeMap::from([("A".to_owned(), value.to_owned())]);
        let first = verdict(one, &env("x"));
        assert_ne!(first, verdict(one, &env("y")));
        assert_ne!(first, verdict(two, &env("x")));
    }
}
