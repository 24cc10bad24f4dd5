//! The command lines of go and gofmt.

use std::collections::BTreeMap;

use super::manifest::GO_MOD;
use super::modfile::Sums;
use super::overlay;
use crate::diagnostic::Blame;
use crate::function::{Function, RelPath};
use crate::plan::{Action, Arg, Capture, Credentials, Dir, Network, Place, Run, Step};
use crate::steps::{offline, scratch};

/// What is launched.
pub(super) fn server() -> Place {
    Place { dir: Dir::Out, path: "server".parse().ok() }
}

/// Parses every file that could be compiled: one process, before a minute of downloads.
pub(super) fn syntax(function: &Function) -> Option<Step> {
    let counts = |path: &&RelPath| {
        let passed_over = |part: &str| part.starts_with(['.', '_']) || ["testdata", "vendor"].contains(&part);
        path.extension() == Some("go")
            && !path.name().ends_with("_test.go")
            && !path.as_str().split('/').any(passed_over)
    };
    let mut files = function.files.keys().filter(counts).map(|path| path.as_str().into()).peekable();
    files.peek()?; // Without files it would read its standard input.
    // Without `-l` it would print the files.
    let args = ["-e", "-l", "--"].map(Arg::from).into_iter().chain(files).collect();
    let action = Action::Run(Run {
        tool: "gofmt".to_owned(),
        args,
        env: BTreeMap::new(),
        cwd: Dir::Source.into(),
        capture: Capture::Ends,
        credentials: Credentials::Withheld,
    });
    Some(offline("check", "syntax of every file", Blame::Author, action))
}

/// Fetches modules, all that could be needed, so that an edit of the function needs no other ones.
pub(super) fn fetch(which: &[&str], why: String) -> Step {
    let mut args: Vec<Arg> = ["mod", "download"].map(Arg::from).into();
    args.extend(modfile());
    args.extend(which.iter().copied().map(Arg::from));
    Step {
        name: "fetch".to_owned(),
        why,
        action: go(args, Credentials::Given, []),
        blame: Blame::Author,
        network: Network::Needed,
    }
}

/// Compiles function and server.
pub(super) fn build(file: &RelPath, sums: Sums) -> Step {
    let mode = match sums {
        Sums::Given => "-mod=readonly",
        // What was fetched fills in what go.mod and go.sum lack; nothing else is in reach.
        Sums::Found => "-mod=mod",
        Sums::Vendored => "-mod=vendor",
    };
    let mut args: Vec<Arg> = vec!["build".into(), mode.into()];
    args.extend(modfile());
    args.extend(["-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o"].map(Arg::from));
    args.extend([server().into(), format!("./{}", overlay::main(file)).into()]);
    let action = go(args, Credentials::Withheld, [("GOPROXY", "off"), ("GOSUMDB", "off")]);
    offline("build", "the function and its server, as one static binary", Blame::Author, action)
}

/// Asks the binary of what it is made.
pub(super) fn verify() -> Step {
    let args = vec!["version".into(), "-m".into(), server().into()];
    let mut action = go(args, Credentials::Withheld, []);
    if let Action::Run(run) = &mut action {
        run.capture = Capture::Whole;
    }
    offline("verify", "of which modules the binary is made", Blame::Ours, action)
}

/// Where go finds the modfile, and the files that only it sees.
fn modfile() -> [Arg; 2] {
    let modfile = Place { dir: Dir::Deps, path: GO_MOD.parse().ok() };
    [Arg::from("-modfile=").then(modfile), Arg::from("-overlay=").then(scratch(overlay::LIST))]
}

/// Runs go with caches of our own, and with nothing that could make it another go or the function another module.
fn go<const N: usize>(args: Vec<Arg>, credentials: Credentials, further: [(&str, &str); N]) -> Action {
    let kept = |name: &str| Arg::from(Place { dir: Dir::Kept, path: name.parse().ok() });
    let own = [
        ("CGO_ENABLED", "0".into()),
        ("GOCACHE", kept("go-build")),
        ("GOFLAGS", "-modcacherw".into()),
        ("GOMAXPROCS", Arg::jobs()),
        ("GOMODCACHE", kept("go-mod")),
        ("GOTOOLCHAIN", "local".into()),
        ("GOWORK", "off".into()),
    ];
    let further = further.map(|(name, value)| (name, value.into()));
    let env = own.into_iter().chain(further).map(|(name, value)| (name.to_owned(), value));
    Action::Run(Run {
        tool: "go".to_owned(),
        args,
        env: env.collect(),
        cwd: Dir::Source.into(),
        capture: Capture::Ends,
        credentials,
    })
}
