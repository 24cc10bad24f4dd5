//! The step that a recording is of; the fuzz targets read this file, too.

use std::collections::BTreeMap;

use builders::diagnostic::Blame;
use builders::plan::{Action, Capture, Credentials, Dir, Network, Run, Step};

/// A step of this name that runs this command: a tool and its arguments, separated by blanks.
pub(crate) fn step(name: &str, command: &str) -> Step {
    let mut words = command.split_whitespace().map(str::to_owned);
    Step {
        name: name.to_owned(),
        why: String::new(),
        action: Action::Run(Run {
            tool: words.next().unwrap_or_default(),
            args: words.map(Into::into).collect(),
            env: BTreeMap::new(),
            cwd: Dir::Source.into(),
            capture: Capture::Ends,
            credentials: Credentials::Given,
        }),
        blame: Blame::Author,
        network: Network::Needed,
    }
}
