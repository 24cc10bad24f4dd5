//! The command lines of pip and uv.

use std::collections::BTreeMap;

use super::lock::Dependency;
use super::manifest::has_credentials;
use super::requirements::Hashed;
use super::settings::{Effective, Translation};
use crate::Inputs;
use crate::plan::{Action, Arg, Capture, Credentials, Dir, Place, Run};
use crate::steps::scratch;

/// Installs with pip, by our program that lets it say when an index answers with an error.
pub(super) fn pip(inputs: &Inputs<'_>, wanted: Wanted) -> Action {
    let quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--no-color"];
    let lean = ["--no-cache-dir", "--no-compile", "--no-warn-script-location", "--prefix="];
    // What says something to an author comes first, as a report shortens a long command.
    let mut args: Vec<Arg> = vec!["-I".into(), scratch("pip.py").into(), "install".into()];
    args.extend(["--target".into(), Dir::Deps.into()]);
    args.extend(wanted.args);
    args.extend(quiet.into_iter().chain(lean).map(Arg::from));
    // What a user's configuration may say and `--target` contradicts, or what would hide the evidence of a failure.
    let mut env = vec![("PIP_USER", "0"), ("PIP_REQUIRE_VIRTUALENV", "0"), ("PIP_ROOT", "")];
    env.extend([("PIP_QUIET", "0"), ("PIP_DRY_RUN", "0"), ("PIP_ROOT_USER_ACTION", "ignore")]);
    if Effective::of(inputs.settings).get("retries").is_some_and(|retries| retries.trim() == "0") {
        env.push(("PIP_RETRIES", "1"));
    }
    Action::Run(Run {
        tool: "python".to_owned(),
        args,
        env: env.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
        cwd: wanted.dir,
        capture: Capture::Ends,
        credentials: Credentials::Given,
    })
}

/// Installs with uv.
pub(super) fn uv(wanted: Wanted, translation: Translation, secrets: &mut BTreeMap<String, String>) -> Action {
    let mut args: Vec<Arg> = ["pip", "install"].map(Arg::from).into();
    args.extend(uv_common());
    args.extend(["--target".into(), Dir::Deps.into()]);
    args.extend(wanted.args);
    args.extend(translation.args);
    secrets.extend(translation.secrets);
    let mut env = uv_env();
    env.extend(translation.env);
    Action::Run(Run {
        tool: "uv".to_owned(),
        args,
        env,
        cwd: wanted.dir,
        capture: Capture::Ends,
        credentials: Credentials::Given,
    })
}

/// Turns `uv.lock` into requirements, without asking the network whether it is up to date.
pub(super) fn export() -> Action {
    let what =
        ["export", "--frozen", "--no-dev", "--no-emit-project", "--format", "requirements-txt", "--quiet"];
    let mut args: Vec<Arg> = what.map(Arg::from).into();
    args.extend(uv_common());
    args.extend(["-o".into(), scratch("locked.txt").into()]);
    Action::Run(Run {
        tool: "uv".to_owned(),
        args,
        env: uv_env(),
        cwd: Dir::Source.into(),
        capture: Capture::Ends,
        credentials: Credentials::Given,
    })
}

fn uv_common() -> Vec<Arg> {
    let quiet = ["--no-progress", "--no-python-downloads", "--color", "never", "--python"];
    quiet.into_iter().map(Arg::from).chain([Arg::tool("python")]).collect()
}

fn uv_env() -> BTreeMap<String, Arg> {
    let cache = scratch("uv-cache").into();
    // Cache and deps may lie on different file systems, where links fail.
    [("UV_CACHE_DIR".to_owned(), cache), ("UV_LINK_MODE".to_owned(), "copy".into())].into()
}

/// What pip and uv are asked for in the same words.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The arguments.
    pub(super) args: Vec<Arg>,
    /// Where relative paths begin.
    pub(super) dir: Place,
}

impl Wanted {
    /// Asks for what a requirements file lists.
    pub(super) fn file(&mut self, place: Place) {
        self.args.extend(["-r".into(), place.into()]);
    }

    /// Compares what is downloaded with hashes.
    pub(super) fn hashes(&mut self, hashed: Hashed) {
        if hashed == Hashed::Yes {
            self.args.push("--require-hashes".into());
        }
    }

    /// Asks for a project's dependencies; the text is what goes to a file. One with a credential
    /// becomes an argument instead, which a plan does not show.
    pub(super) fn dependencies(
        &mut self,
        all: &[Dependency],
        secrets: &mut BTreeMap<String, String>,
    ) -> Option<String> {
        let (secret, plain): (Vec<_>, Vec<_>) = all.iter().partition(|one| has_credentials(&one.text));
        for one in secret {
            let key = format!("{}:{}", one.entry.file, one.entry.line);
            secrets.insert(key.clone(), one.text.clone());
            self.args.push(Arg::secret(key));
        }
        if plain.is_empty() {
            return None;
        }
        self.file(scratch("requirements.txt"));
        Some(plain.iter().flat_map(|one| [one.text.as_str(), "\n"]).collect())
    }
}
