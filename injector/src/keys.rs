//! What a result depends on: digests over length-prefixed fields, so that no two inputs run together.

use std::collections::BTreeMap;

use builders::function::{Function, RelPath, Sha256};
use builders::plan::{Plan, ResolvesFrom};
use builders::toolchain::{Settings, Toolchain};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// All on which a result depends, by what it is in words, for example `requirements.txt` or `python`: short values as
/// they are, others as digests, and no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Inputs(pub(crate) BTreeMap<String, String>);

/// The digest of what a build is made of: the function's tree, the plan, the tools.
pub(crate) fn build(
    function: &Function,
    plan: &Plan,
    toolchain: &Toolchain,
) -> Result<Sha256, serde_json::Error> {
    let mut fields = Fields::new("build-1");
    fields.add(&serde_json::to_vec(&function.files)?);
    fields.add(&serde_json::to_vec(&function.links)?);
    fields.add(&serde_json::to_vec(plan)?);
    fields.add(&serde_json::to_vec(toolchain)?);
    Ok(fields.digest())
}

/// The digest of what dependencies are resolved from: the files that count, how, and with what.
pub(crate) fn deps(
    function: &Function,
    plan: &Plan,
    toolchain: &Toolchain,
    settings: &Settings,
    env: &BTreeMap<String, String>,
) -> Result<Sha256, serde_json::Error> {
    let mut fields = Fields::new(concat!("deps-1 ", env!("CARGO_PKG_VERSION")));
    let counts = |path: &RelPath| match &plan.resolves_from {
        ResolvesFrom::All => true,
        ResolvesFrom::Files(files) => files.contains(path),
    };
    let files: BTreeMap<_, _> = function.files.iter().filter(|(path, _)| counts(path)).collect();
    fields.add(&serde_json::to_vec(&files)?);
    fields.add(&serde_json::to_vec(&function.links)?);
    fields.add(&serde_json::to_vec(&plan.resolve)?);
    fields.add(&serde_json::to_vec(toolchain)?);
    let files = settings.files.iter().map(|(path, text)| (path, text));
    for (name, value) in env.iter().chain(files) {
        fields.add(name.as_bytes());
        fields.add(value.as_bytes());
    }
    Ok(fields.digest())
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
