//! What each exit code means, and what to do about it.

use std::fmt::Write as _;

use builders::diagnostic::Blame;

use crate::cli::RequestError;
use crate::failure::{Failure, Stage};

/// An exit code's meaning; all of them without one.
pub(crate) fn explain(code: Option<u8>) -> Result<String, Failure> {
    let all = codes();
    let Some(code) = code else {
        return Ok(all.iter().fold(String::new(), |mut text, (code, name, meaning)| {
            let _ = writeln!(text, "{code:>3}  {name:<22} {}", meaning.lines().next().unwrap_or_default());
            text
        }));
    };
    let unknown = || RequestError::Value {
        name: "CODE",
        value: code.to_string(),
        reason: "it is no exit code of the injector; `injector explain` lists them".to_owned(),
    };
    let (_, name, meaning) = all.into_iter().find(|(one, ..)| *one == code).ok_or_else(unknown)?;
    Ok(format!("E{code}  {name}\n\n{meaning}\n"))
}

fn codes() -> Vec<(u8, String, &'static str)> {
    let staged = Stage::ALL.into_iter().flat_map(|stage| {
        [(Blame::Author, "author"), (Blame::Platform, "platform")].map(|(blame, who)| {
            (stage.code(blame), format!("{}, {who}", stage.name()), meaning(stage, blame))
        })
    });
    let others = [
        (
            Failure::BUG,
            "the injector",
            "A bug of the injector, or an error in code that it generated.\nThe function is not to blame. Report it with the container's whole log.",
        ),
        (130, "interrupted", "SIGINT stopped the run. Nothing was published.\nRun it again."),
        (
            143,
            "terminated",
            "SIGTERM stopped the run: the pod was deleted, or its node drained. Nothing was published.\nThe build begins again when the container restarts.",
        ),
    ];
    staged.chain(others.map(|(code, name, meaning)| (code, name.to_owned(), meaning))).collect()
}

fn meaning(stage: Stage, blame: Blame) -> &'static str {
    match (stage, blame) {
        (Stage::Request, Blame::Author) => {
            "An argument or a variable of the function's manifest makes no sense.\nThe message names it, with what it may be. `injector build --help` lists them all."
        }
        (Stage::Request, _) => {
            "The operator's own configuration makes no sense, for example the file of allowed runtimes.\nCheck it with `injector runtimes --config FILE`."
        }
        (Stage::Survey, Blame::Author) => {
            "The function itself is not what it should be: a wrong checksum, a link that leads out of it, too large.\nThe message names the file. Compare what is deployed with what was meant."
        }
        (Stage::Survey, _) => {
            "The function cannot be read: nothing is mounted, or the mount changed while it was read.\nCheck the volume `source` of the pod and INJECTOR_SOURCE. Retrying may help."
        }
        (Stage::Detect, Blame::Author) => {
            "Runtime, handler or dependency file cannot be understood.\nSet FUNC_RUNTIME (for example python3.12) and FUNC_HANDLER (module.function); mend the manifest's line that the message names."
        }
        (Stage::Detect, _) => {
            "The runtime cannot be used on this platform.\nAsk its operator which runtimes are allowed: `injector runtimes`."
        }
        (Stage::Provision, Blame::Author) => {
            "The image has another version of the language than was asked for, or lacks a tool that the lock file needs.\nThe message says what was asked for and what was found. Change FUNC_RUNTIME or the image; in the main container, use the image that built."
        }
        (Stage::Provision, _) => {
            "There is no place to work: the volume is not writable, full or mounted noexec, /tmp is read-only, or the image lacks the language.\nMount emptyDirs at KUBELESS_INSTALL_VOLUME and at /tmp, and build in an image of the language."
        }
        (Stage::Resolve, Blame::Author) => {
            "The dependencies cannot be resolved as they are written: an unknown package, versions that conflict, a wrong hash, a lock that drifted.\nThe message names the package and its line in the dependency file."
        }
        (Stage::Resolve, _) => {
            "The dependencies could not be fetched: registry out of reach, TLS not trusted, proxy, credentials, disk or memory.\nThe message names the host. See INJECTOR_CA_FILE, HTTPS_PROXY, NO_PROXY and the registry's own configuration. Retrying may help."
        }
        (Stage::Compile, Blame::Author) => {
            "The function does not compile, or its handler does not exist.\nThe message gives file, line and column in the function's own names."
        }
        (Stage::Compile, _) => {
            "The compiler was stopped: out of memory, disk full, or it took too long.\nRaise resources.limits.memory, the emptyDir's sizeLimit or INJECTOR_TIMEOUT. Retrying may help."
        }
        (Stage::Publish, Blame::Author) => "What was built cannot be published.\nThe message says why.",
        (Stage::Publish, _) => {
            "What was built could not be put in force on the volume, or nothing is published there.\nCheck that the volume is not full, and that init and main container mount the same one."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_and_no_other() {
        let listed = explain(None).expect("a list");
        for (code, ..) in codes() {
            assert!(explain(Some(code)).expect("an explanation").starts_with(&format!("E{code}  ")));
            assert!(listed.lines().any(|line| line.trim_start().starts_with(&format!("{code}  "))), "{code}");
        }
        assert_eq!(listed.lines().count(), 17);
        assert!(explain(Some(1)).is_err());
    }
}
