//! The steps that plans of several languages have: our own programs, the function's server, what works offline.

use std::collections::BTreeMap;

use crate::assets;
use crate::diagnostic::Blame;
use crate::plan::{Action, Arg, Capture, Credentials, Dir, Network, Place, Run, Step};
use crate::toolchain::Tool;

/// A step that works without the network.
pub(crate) fn offline(name: &str, why: &str, blame: Blame, action: Action) -> Step {
    Step { name: name.to_owned(), why: why.to_owned(), action, blame, network: Network::Unused }
}

/// Puts one of our own programs, such as `python/check.py`, where a later step runs it.
pub(crate) fn helper(id: &str) -> Step {
    let file = id.rsplit('/').next().unwrap_or(id);
    let name = file.split('.').next().unwrap_or(file);
    let action = Action::Asset { id: id.to_owned(), to: scratch(file) };
    let why = format!("our program behind `{name}`");
    offline(&format!("{name}-helper"), &why, Blame::Platform, action)
}

/// Puts the files of a language's server in place.
pub(crate) fn server(language: &str) -> impl Iterator<Item = Step> {
    let folder = format!("{language}/server");
    let files: Vec<_> = assets::below(&folder).collect();
    files.into_iter().map(|(name, id)| {
        let to = Place { dir: Dir::Server, path: name.parse().ok() };
        let asset = Action::Asset { id: id.to_owned(), to };
        offline(&format!("server {name}"), "what calls the function", Blame::Platform, asset)
    })
}

/// Runs a tool outside the volume, without credentials.
pub(crate) fn run(tool: &str, args: Vec<Arg>, capture: Capture) -> Action {
    Action::Run(Run {
        tool: tool.to_owned(),
        args,
        env: BTreeMap::new(),
        cwd: Dir::Scratch.into(),
        capture,
        credentials: Credentials::Withheld,
    })
}

/// A place in the scratch room.
pub(crate) fn scratch(name: &str) -> Place {
    Place { dir: Dir::Scratch, path: name.parse().ok() }
}

/// Whether a function has no dependencies, so that it runs with any build of its language's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare {
    Yes,
    No,
}

/// What must be equal between build and launch; of the version, the first `count` numbers.
pub(crate) fn requires(tool: &Tool, count: usize, bare: Bare) -> BTreeMap<String, String> {
    let version = tool.identity.version.prefix(count);
    let mut requires = BTreeMap::from([("version".to_owned(), version.to_string())]);
    if bare == Bare::No {
        let facts = ["abi", "arch", "libc"].map(|fact| tool.identity.facts.get_key_value(fact));
        requires.extend(facts.into_iter().flatten().map(|(fact, value)| (fact.clone(), value.clone())));
    }
    requires
}
