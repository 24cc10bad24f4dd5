//! What each exit code means, and what to do about it; and what is wrong with a pod.

mod pods;
mod unstarted;

use std::fmt::Write as _;

use builders::diagnostic::Blame;

use crate::cli::RequestError;
use crate::failure::{Failure, Stage};

pub(crate) use pods::explain as explain_pods;

/// An exit code of ours.
struct Entry {
    code: u8,
    /// Its stage and whose it is to mend: `compile, author`.
    name: String,
    /// What it means.
    meaning: &'static str,
    /// What to do.
    next: &'static str,
}

/// An exit code's meaning; all of them without one.
pub(crate) fn explain(code: Option<u8>) -> Result<String, Failure> {
    let Some(code) = code else {
        return Ok(codes().iter().fold(String::new(), |mut text, Entry { code, name, meaning, .. }| {
            let _ = writeln!(text, "{code:>3}  {name:<22} {meaning}");
            text
        }));
    };
    let unknown = || RequestError::Value {
        name: "CODE",
        value: code.to_string(),
        reason: "it is no exit code of the injector; `injector explain` lists them".to_owned(),
    };
    let Entry { name, meaning, next, .. } = find(code.into()).ok_or_else(unknown)?;
    Ok(format!("E{code}  {name}\n\n{meaning}\nnext: {next}\n"))
}

/// What we mean by an exit status.
fn find(status: i32) -> Option<Entry> {
    codes().into_iter().find(|one| i32::from(one.code) == status)
}

fn codes() -> Vec<Entry> {
    let staged = Stage::ALL.into_iter().flat_map(|stage| {
        [(Blame::Author, "author"), (Blame::Platform, "platform")].map(|(blame, who)| {
            let (meaning, next) = meaning(stage, blame);
            Entry { code: stage.code(blame), name: format!("{}, {who}", stage.name()), meaning, next }
        })
    });
    let others = [
        (
            Failure::BUG,
            "the injector",
            "a bug of the injector, or an error in code that it generated; the function is not to blame",
            "report it with the container's whole log",
        ),
        (130, "interrupted", "SIGINT stopped the run; nothing was published", "run it again"),
        (
            143,
            "terminated",
            "SIGTERM stopped the run: the pod was deleted, or its node drained; nothing was published",
            "wait: the build begins again when the container restarts",
        ),
    ];
    let others =
        others.map(|(code, name, meaning, next)| Entry { code, name: name.to_owned(), meaning, next });
    staged.chain(others).collect()
}

/// What a failure in a stage means, and what to do.
fn meaning(stage: Stage, blame: Blame) -> (&'static str, &'static str) {
    match (stage, blame) {
        (Stage::Request, Blame::Author) => (
            "an argument or a variable of the function's manifest makes no sense",
            "mend what the message names, with what it may be; `injector build --help` lists all of them",
        ),
        (Stage::Request, _) => (
            "the operator's own configuration makes no sense, for example the file of allowed runtimes",
            "check it with `injector runtimes --config FILE`",
        ),
        (Stage::Survey, Blame::Author) => (
            "the function itself is not what it should be: a wrong checksum or address, an archive that is broken, hostile or too large, a link that leads out of it",
            "compare the file that the message names, as it is deployed, with what was meant",
        ),
        (Stage::Survey, _) => (
            "the function cannot be read or downloaded: nothing is mounted, the mount changed while it was read, a server or a proxy does not give it, or there is no space for it",
            "check the volume `source` of the pod and INJECTOR_SOURCE, or what the message says of the download; retrying may help",
        ),
        (Stage::Detect, Blame::Author) => (
            "runtime, handler or dependency file cannot be understood",
            "set FUNC_RUNTIME (for example python3.12) and FUNC_HANDLER (module.function), or mend the line that the message names",
        ),
        (Stage::Detect, _) => (
            "the runtime cannot be used on this platform",
            "ask its operator which runtimes are allowed: `injector runtimes`",
        ),
        (Stage::Provision, Blame::Author) => (
            "the image has another version of the language than was asked for, or lacks a tool that the lock file needs",
            "change FUNC_RUNTIME or the image, as the message says; in the main container, use the image that built",
        ),
        (Stage::Provision, _) => (
            "there is no place to work: the volume is not writable, full or mounted noexec, /tmp is read-only, or the image lacks the language; of `injector cache`, something is wrong with a cache",
            "mount emptyDirs at KUBELESS_INSTALL_VOLUME and at /tmp, and build in an image of the language",
        ),
        (Stage::Resolve, Blame::Author) => (
            "the dependencies cannot be resolved as they are written: an unknown package, versions that conflict, a wrong hash, a lock that drifted",
            "mend the line of the dependency file that the message names, and deploy it again",
        ),
        (Stage::Resolve, _) => (
            "the dependencies could not be fetched: registry out of reach, TLS not trusted, proxy, credentials, disk or memory",
            "check the way to the host that the message names: INJECTOR_CA_FILE, HTTPS_PROXY, NO_PROXY, the registry's own configuration; retrying may help",
        ),
        (Stage::Compile, Blame::Author) => (
            "the function does not compile, or its handler does not exist",
            "mend the place that the message names, in the function's own files, and deploy it again; `injector build --dry-run DIR` tries it at home",
        ),
        (Stage::Compile, _) => (
            "the compiler was stopped: out of memory, disk full, or it took too long",
            "raise resources.limits.memory, the emptyDir's sizeLimit or INJECTOR_TIMEOUT; retrying may help",
        ),
        (Stage::Publish, Blame::Author) => {
            ("what was built cannot be published", "mend what the message names")
        }
        (Stage::Publish, _) => (
            "what was built could not be put in force on the volume, or nothing is published there, or the cache in which it lies is not there",
            "check that the volume is not full, and that init and main container mount the same one, and the same cache where INJECTOR_CACHE_MODE is mount",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_and_no_other() {
        let listed = explain(None).expect("a list");
        for Entry { code, .. } in codes() {
            assert!(explain(Some(code)).expect("an explanation").starts_with(&format!("E{code}  ")));
            assert!(listed.lines().any(|line| line.trim_start().starts_with(&format!("{code}  "))), "{code}");
        }
        assert_eq!(listed.lines().count(), 17);
        assert!(explain(Some(1)).is_err());
    }
}
