//! Every failure's sentence: what happened, what was found, what to do.

mod arrival;
mod cache;
pub(crate) mod upkeep;

use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::path::Path;

use builders::catalog::{CatalogError, list};
use builders::diagnostic::{Blame, Diagnostic};
use builders::error::{DetectError, PlanError};
use builders::function::BadHandler;
use builders::plan::{Network, Plan};
use builders::toolchain::{Mismatch, Toolchain};

use crate::arrival::Arrived;
use crate::cache::Cache;
use crate::cli::RequestError;
use crate::execute::{Cause, MORE_ROOM, StepFailure};
use crate::failure::{Failure, Stage};
use crate::keys::Keys;
use crate::launch::LaunchError;
use crate::make::Cached;
use crate::pipeline::Prepared;
use crate::pod::PodError;
use crate::provision::{ProvisionError, user};
use crate::publish::{PublishError, Receipt};
use crate::sys::signal::Signal;
use crate::sys::{fs, memory};

use super::termination::{Message, Ran};

/// All that a failure says.
pub(crate) fn message(failure: &Failure) -> Message {
    let mut message = match failure {
        Failure::Request(error) => request(error),
        Failure::Catalog(error) => catalog(error),
        Failure::Survey(error) => arrival::survey(error),
        Failure::Arrival(error) => arrival::arrival(error),
        Failure::Detect(error) => detect(error),
        Failure::Handler(error) => handler(error),
        Failure::Plan(error) => plan_error(error),
        Failure::Provision(error) => provision(error),
        Failure::Step(failure) => step(failure),
        Failure::Publish(error) => publish(error),
        Failure::Launch(error) => launch(error),
        Failure::Install { dest, source } => say(
            Stage::Provision,
            format!("{} cannot be installed: {}", dest.display(), fs::plain(source)),
            &["mount a writable volume there, and give a file's name, not a directory's"],
        ),
        Failure::Upkeep(error) => upkeep::failed(error),
        Failure::Explain(error) => explain(error),
        Failure::Replayed { message, .. } => Message { title: message.clone(), ..Message::default() },
        Failure::Terminated { signal, stage } => terminated(*signal, *stage),
        Failure::Bug(reason) => Message {
            title: "this is a bug of the injector".to_owned(),
            diagnostics: vec![Diagnostic::new(reason.clone())],
            hints: vec![
                "your function is not to blame; please report this with the container's whole log".to_owned(),
            ],
            ..Message::default()
        },
    };
    message.code = failure.code();
    message
}

/// What stands in the termination log while a stage runs, for whoever reads it after we were killed.
pub(crate) fn written_ahead(stage: Stage) -> String {
    let memory = memory::facts().map_or_else(String::new, |facts| format!(" ({facts})"));
    format!(
        "killed in the stage {}, if this is still what you read: the process ended before it could say why\n\n\
         Most often it ran out of memory{memory}, or its pod was evicted or deleted.\n\
         hint: look for OOMKilled or Evicted in `kubectl describe pod`, and raise resources.limits.memory of this container\n",
        stage.name()
    )
}

/// Success, in one line.
pub(crate) fn ready(receipt: &Receipt) -> String {
    let packages = match receipt.packages.len() {
        0 => String::new(),
        1 => ", 1 package".to_owned(),
        several => format!(", {several} packages"),
    };
    let milliseconds: u64 = receipt.durations.values().sum();
    let tenths = milliseconds / 100;
    let cached = match receipt.cached {
        Cached::Nothing => "",
        Cached::Deps => " (deps cached)",
        Cached::Build => " (cached)",
    };
    let Receipt { runtime, key, .. } = receipt;
    format!("ready: {runtime}{packages}, {}.{} s{cached}, {key}", tenths / 10, tenths % 10)
}

/// What `FUNC_RUNTIME` may be.
fn choose_runtime(known: &[String]) -> String {
    format!(
        "set FUNC_RUNTIME to one of: {}, with a version or without; `injector runtimes` lists the versions",
        known.join(", ")
    )
}

/// A message of one sentence with advice.
fn say(stage: Stage, sentence: impl Into<String>, hints: &[&str]) -> Message {
    Message {
        title: format!("{} failed", stage.name()),
        diagnostics: vec![Diagnostic::new(sentence)],
        hints: hints.iter().map(|hint| (*hint).to_owned()).collect(),
        ..Message::default()
    }
}

fn request(error: &RequestError) -> Message {
    match error {
        RequestError::Usage(text) => {
            let text = text.trim_start_matches("error: ");
            let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
            let mut message = say(Stage::Request, first, &[]);
            rest.trim().clone_into(&mut message.output);
            message
        }
        RequestError::Value { name: "CODE", .. }
        | RequestError::Unexpected { .. }
        | RequestError::Missing { .. } => say(Stage::Request, error.to_string(), &[]),
        RequestError::Value { .. }
        | RequestError::Address(_)
        | RequestError::Registry(_)
        | RequestError::Runtime(_)
        | RequestError::Digest { .. } => say(
            Stage::Request,
            error.to_string(),
            &["set it in the container's env, or as a flag, which `--help` lists"],
        ),
    }
}

fn catalog(error: &CatalogError) -> Message {
    let hint = "the operator's file of runtimes (INJECTOR_RUNTIMES) is wrong, not the function; check it with `injector runtimes --config FILE`";
    let text = error.to_string();
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let mut message = say(Stage::Request, first, &[hint]);
    rest.clone_into(&mut message.output);
    message
}

/// A message that names who we are, where that is why.
fn say_unreadable(sentence: &str, error: &io::Error) -> Message {
    let hint = format!(
        "we run as {}: give the volume a defaultMode such as 0444, or the pod a securityContext.fsGroup",
        user()
    );
    let hints: &[&str] = if error.kind() == ErrorKind::PermissionDenied { &[&hint] } else { &[] };
    say(Stage::Survey, format!("{sentence}: {}", fs::reason(error)), hints)
}

fn detect(error: &DetectError) -> Message {
    let stage = Stage::Detect;
    match error {
        DetectError::UnknownRuntime { known, .. } => say(stage, error.to_string(), &[&choose_runtime(known)]),
        DetectError::RuntimeNotAllowed { allowed, .. } => say(
            stage,
            error.to_string(),
            &[&format!("allowed here: {}; or ask the operator for more", allowed.join(", "))],
        ),
        DetectError::VersionNotAllowed { allowed, .. } => {
            say(stage, error.to_string(), &[&format!("versions allowed here: {}", list(allowed))])
        }
        DetectError::NoRuntime { found, known } => {
            let mut message = say(stage, format!("{error}: {}", found.join(", ")), &[&choose_runtime(known)]);
            if let Some(archive) = found.iter().find(|name| is_archive(name)) {
                message.hints = vec![format!(
                    "{archive} is named as an archive: set FUNC_CONTENT_TYPE to text+zip or text+compressedtar"
                )];
            }
            message
        }
        DetectError::Ambiguous { candidates } => {
            let mut message = say(stage, error.to_string(), &[]);
            for (runtime, evidence) in candidates {
                message.diagnostics.push(Diagnostic::new(format!("{runtime}: {evidence}")));
            }
            let names: Vec<&str> = candidates.iter().map(|(name, _)| name.as_str()).collect();
            message.hints.push(format!("set FUNC_RUNTIME to the one that is meant: {}", names.join(" or ")));
            message
        }
        DetectError::Empty => say(
            stage,
            error.to_string(),
            &["put the function's file into the ConfigMap, or check what is mounted"],
        ),
    }
}

/// Whether archives are named like that.
fn is_archive(name: &str) -> bool {
    let compressed = |stem: &str| stem.rsplit_once('.').is_some_and(|(_, extension)| extension == "tar");
    name.rsplit_once('.').is_some_and(|(stem, extension)| match extension {
        "zip" | "tar" | "tgz" | "tbz2" | "txz" => true,
        "gz" | "bz2" | "xz" | "zst" => compressed(stem),
        _ => false,
    })
}

fn handler(error: &BadHandler) -> Message {
    say(Stage::Detect, error.to_string(), &["set FUNC_HANDLER, or the ConfigMap's key `handler`"])
}

fn plan_error(error: &PlanError) -> Message {
    match error {
        PlanError::NoHandler { candidates } => {
            let hint = match candidates.first() {
                Some(first) => format!("set FUNC_HANDLER, for example FUNC_HANDLER={first}"),
                None => "set FUNC_HANDLER=module.function".to_owned(),
            };
            say(Stage::Detect, "no handler is named: nobody says which function to call", &[&hint])
        }
        PlanError::NoModule { expected, found, more, meant, .. } => {
            let is_loaded = |file: &String| {
                expected.iter().any(|other| Path::new(other).extension() == Path::new(file).extension())
            };
            let hint = match (found.first(), meant) {
                (Some(file), Some(meant)) => format!("if {file} is meant, set FUNC_HANDLER={meant}"),
                (Some(file), None) if is_loaded(file) => {
                    "name the module in FUNC_HANDLER as its file is named, without the extension, or the file as the handler says".to_owned()
                }
                (Some(file), None) => {
                    format!("{file} is no file that this runtime loads: deploy what is made of it")
                }
                (None, _) => "deploy the function's files".to_owned(),
            };
            let found = match (found.as_slice(), more) {
                ([], _) => "no file at all".to_owned(),
                (found, 0) => found.join(", "),
                (found, more) => format!("{} and {more} more", found.join(", ")),
            };
            say(Stage::Detect, format!("{error}; there is {found}"), &[&hint])
        }
        PlanError::Manifest(diagnostic) => one(Stage::Detect, diagnostic),
        PlanError::Dependencies(diagnostic) => one(Stage::Resolve, diagnostic),
        PlanError::Version(diagnostic) => one(Stage::Provision, diagnostic),
        PlanError::NoTool { needed_for, hint, .. } => {
            say(Stage::Provision, format!("{error}: {needed_for}"), &[hint])
        }
        PlanError::Choice { allowed, .. } => {
            say(Stage::Request, format!("{error}: it may be {}", allowed.join(" or ")), &[])
        }
    }
}

fn one(stage: Stage, diagnostic: &Diagnostic) -> Message {
    Message {
        title: format!("{} failed", stage.name()),
        diagnostics: vec![diagnostic.clone()],
        ..Message::default()
    }
}

fn provision(error: &ProvisionError) -> Message {
    let stage = Stage::Provision;
    match error {
        ProvisionError::Volume { source, .. } | ProvisionError::Scratch { source, .. }
            if source.kind() == ErrorKind::StorageFull =>
        {
            say(stage, format!("{error}: {}", fs::plain(source)), &[MORE_ROOM])
        }
        ProvisionError::Volume { source, .. } => {
            let hint = format!(
                "we run as {}: mount an emptyDir there, not read-only, and set fsGroup or runAsUser to match it",
                user()
            );
            say(stage, format!("{error}: {}", fs::plain(source)), &[&hint])
        }
        ProvisionError::NoExec { room, .. } if room.is_published() => say(
            stage,
            format!("{error}: what is built there could not be loaded"),
            &["use a volume without the mount option noexec for KUBELESS_INSTALL_VOLUME"],
        ),
        ProvisionError::NoExec { .. } => say(
            stage,
            format!("{error}: code of dependencies that a build runs could not be loaded"),
            &[
                "mount it without noexec, or name another directory in INJECTOR_SCRATCH (INJECTOR_KEEP, where that is set)",
            ],
        ),
        ProvisionError::Full { needed, .. } => {
            say(stage, format!("{error}, at least {} KiB are needed", needed >> 10), &[MORE_ROOM])
        }
        ProvisionError::Busy { .. } => say(
            stage,
            error.to_string(),
            &["two pods must not build into one volume: use an emptyDir for each"],
        ),
        ProvisionError::Scratch { source, .. } => {
            let hint = format!(
                "we run as {}: mount an emptyDir at /tmp, or name a writable directory in INJECTOR_SCRATCH",
                user()
            );
            say(stage, format!("{error}: {}", fs::plain(source)), &[&hint])
        }
        ProvisionError::InVolume(_) => say(
            stage,
            error.to_string(),
            &["name a directory elsewhere in INJECTOR_SCRATCH or INJECTOR_KEEP: it may hold credentials"],
        ),
        ProvisionError::Keep { source, .. } => say(
            stage,
            format!("{error}: {}", fs::plain(source)),
            &["name a directory of your own in INJECTOR_KEEP, or none"],
        ),
        ProvisionError::KeepBusy { .. } => {
            say(stage, error.to_string(), &["give each function a directory of its own in INJECTOR_KEEP"])
        }
        ProvisionError::CaFile { source, .. } => say(
            stage,
            format!("{error}: {}", fs::plain(source)),
            &["mount the ConfigMap or Secret with the CA bundle into this container, as PEM"],
        ),
        ProvisionError::NoTool { path, .. } => say(
            stage,
            format!("{error} ({path})"),
            &[
                "run the build in an image of the language, the same as the function's own or with the same version",
            ],
        ),
        ProvisionError::ToolVersion { .. } => say(
            stage,
            error.to_string(),
            &[
                "change FUNC_RUNTIME to the version that the image has, or the image to the version that was asked for",
            ],
        ),
        ProvisionError::ToolNotAllowed { allowed, .. } => say(
            stage,
            error.to_string(),
            &[&format!("versions allowed here: {}; choose an image that has one of them", list(allowed))],
        ),
        ProvisionError::ToolBroken { .. } => {
            say(stage, error.to_string(), &["is the image complete, and for this architecture?"])
        }
        ProvisionError::SourceChanged(_) => say(
            stage,
            error.to_string(),
            &["the ConfigMap was edited just now; the next restart will read it whole"],
        ),
    }
}

fn step(failure: &StepFailure) -> Message {
    let mut message = Message {
        title: format!("{} failed", failure.stage.name()),
        diagnostics: failure.diagnostics.clone(),
        output: failure.output.clone(),
        ..Message::default()
    };
    if failure.blame == Blame::Ours {
        "this is a bug of the injector".clone_into(&mut message.title);
    }
    let seconds = failure.elapsed.as_secs_f64();
    message.command = failure.argv.as_ref().map(|argv| {
        let outcome = match &failure.cause {
            // It says after how long by itself.
            Cause::TimedOut(_) => failure.cause.to_string(),
            cause => format!("{cause} after {seconds:.1} s"),
        };
        Ran { argv: argv.clone(), outcome }
    });
    let (sentence, hint) = match &failure.cause {
        Cause::Status(_) | Cause::Rejected if !failure.diagnostics.is_empty() => return message,
        Cause::Status(status) => (format!("the step {} ended with exit status {status}", failure.step), None),
        Cause::Killed(_) => (
            format!("the step {} was {}", failure.step, failure.cause),
            Some("somebody else ended it; was the node short of memory? See `kubectl describe pod`"),
        ),
        Cause::OutOfMemory(_) => (
            format!("the step {} was {}", failure.step, failure.cause),
            Some("raise resources.limits.memory of this container"),
        ),
        Cause::TimedOut(_) => (
            format!("the step {} was {}", failure.step, failure.cause),
            Some(match failure.network {
                Network::Needed => {
                    "is the registry slow, or out of reach? Raise INJECTOR_TIMEOUT if it only needs longer"
                }
                Network::Unused => "raise INJECTOR_TIMEOUT, or the CPU limit of this container",
            }),
        ),
        Cause::Full(..) => (failure.cause.to_string(), Some(MORE_ROOM)),
        Cause::NotStarted(_) | Cause::Io(_) | Cause::Rejected => {
            (format!("the step {} could not be done: {}", failure.step, failure.cause), None)
        }
    };
    message.diagnostics.insert(0, Diagnostic::new(sentence));
    message.hints.extend(hint.map(ToOwned::to_owned));
    message
}

fn publish(error: &PublishError) -> Message {
    match error {
        PublishError::Io { source, .. } => {
            say(Stage::Publish, format!("{error}: {source}"), &["is the volume full, or was it unmounted?"])
        }
        PublishError::Receipt(source) => say(Stage::Publish, format!("{error}: {source}"), &[]),
    }
}

fn launch(error: &LaunchError) -> Message {
    let mut message = match error {
        LaunchError::Nothing(_) => say(
            Stage::Publish,
            error.to_string(),
            &[
                "did the init container run `injector build`, and is its volume mounted here, at KUBELESS_INSTALL_VOLUME?",
            ],
        ),
        LaunchError::Receipt { .. } => say(
            Stage::Publish,
            error.to_string(),
            &["use the same injector to build and to launch, and let nobody else write to the volume"],
        ),
        LaunchError::NoProgram { path, runtime, .. } => say(
            Stage::Provision,
            format!("{error} ({path})"),
            &[&format!("the function needs an image with {runtime}")],
        ),
        LaunchError::Broken { .. } => {
            say(Stage::Provision, error.to_string(), &["is the image complete, and for this architecture?"])
        }
        LaunchError::Architecture { .. } => say(
            Stage::Provision,
            error.to_string(),
            &[
                "build in the same pod: a volume of another machine was mounted, or an image for another processor is emulated",
            ],
        ),
        LaunchError::Mismatch { runtime, program, mismatches } => {
            let mut message = say(Stage::Provision, error.to_string(), &[]);
            // The version says most: an ABI of another one is its consequence.
            let (version, others): (Vec<_>, Vec<_>) =
                mismatches.iter().partition(|one| one.fact == "version");
            let sentence = |one: &Mismatch| {
                let found = one.found.as_deref().unwrap_or("nothing");
                let Mismatch { fact, built, .. } = one;
                Diagnostic::new(format!(
                    "the function was built for {fact} {built}, {program} here has {found}"
                ))
            };
            let sentences: Vec<_> = version.into_iter().chain(others).map(sentence).collect();
            if !sentences.is_empty() {
                message.diagnostics = sentences;
            }
            message.hints.push(format!(
                "use the same image, or one with {runtime}, for the init container that builds and for this one"
            ));
            message
        }
        LaunchError::NoCache(_) => say(
            Stage::Publish,
            error.to_string(),
            &[
                "mount the cache's volume in this container, too, read-only, at INJECTOR_CACHE_MOUNT of the init container (INJECTOR_CACHE_DIR, where that is not set)",
            ],
        ),
        LaunchError::Gone(_) => say(
            Stage::Publish,
            error.to_string(),
            &[
                "delete the pod, so that its init container builds again; is this container's cache that of the init container, and did nobody remove files from it by hand?",
            ],
        ),
        LaunchError::Closed(_) => say(
            Stage::Publish,
            error.to_string(),
            &[&format!("we run as {}: use the user or the fsGroup of the init container", user())],
        ),
        LaunchError::Exec { .. } => say(
            Stage::Provision,
            error.to_string(),
            &["is the volume mounted noexec, or the program for another architecture?"],
        ),
    };
    "launch failed".clone_into(&mut message.title);
    message
}

fn explain(error: &PodError) -> Message {
    let hint = match error {
        PodError::Unread(_) => None,
        PodError::Empty => Some("kubectl has said why above, or found nothing; for the exit codes alone, call `injector explain` without a pipe".to_owned()),
        PodError::NoPod { selector, .. } => {
            let label = selector.as_deref().unwrap_or("function=NAME");
            Some(format!("feed it pods: `kubectl get pod -l {label} -o json | injector explain`"))
        }
        PodError::NotJson(_) | PodError::Malformed(_) => {
            Some("feed it what kubectl prints: `kubectl get pod NAME -o json | injector explain`".to_owned())
        }
    };
    let mut message = say(Stage::Request, error.to_string(), &[]);
    message.hints.extend(hint);
    message
}

fn terminated(signal: Signal, stage: Stage) -> Message {
    let hint = match signal {
        Signal::Terminate => {
            "the pod was deleted, or its node drained; the build begins again when the container restarts"
        }
        Signal::Interrupt => "nothing was published; run it again",
    };
    Message {
        title: format!("stopped by {} in the stage {}", signal.name(), stage.name()),
        hints: vec![hint.to_owned()],
        ..Message::default()
    }
}

/// What a build would do, for people.
pub(crate) fn plan(
    prepared: &Prepared,
    toolchain: &Toolchain,
    plan: &Plan,
    keys: &Keys,
    cache: &Cache<'_>,
) -> String {
    let mut text = String::new();
    if let Some(Arrived { origin, .. }) = &prepared.arrived {
        let archive = origin.archive.as_ref().map_or_else(String::new, |archive| format!(", {archive}"));
        let _ = writeln!(text, "origin    {}{archive}, {}", origin.from, origin.sha256);
    }
    let _ = writeln!(text, "runtime   {}: {}", prepared.detected.runtime.id, prepared.detected.evidence);
    if let Some(handler) = &prepared.survey.function.handler {
        let _ = writeln!(text, "handler   {handler}");
    }
    for (name, tool) in &toolchain.tools {
        let _ = writeln!(text, "tool      {name} {} ({})", tool.identity.version, tool.program);
    }
    let _ = write!(text, "{}\n{plan}", cache::plan(keys, cache));
    text
}

/// The same for programs.
pub(crate) fn plan_as_json(
    prepared: &Prepared,
    toolchain: &Toolchain,
    plan: &Plan,
    keys: &Keys,
    cache: &Cache<'_>,
) -> Result<String, Failure> {
    let value = serde_json::json!({
        "schema": 1,
        "origin": prepared.arrived.as_ref().map(|arrived| &arrived.origin),
        "runtime": prepared.detected.runtime.id,
        "evidence": prepared.detected.evidence,
        "handler": prepared.survey.function.handler,
        "tools": toolchain.tools,
        "plan": plan,
        "cache": cache::plan_as_json(keys, cache),
    });
    let text = serde_json::to_string_pretty(&value).map_err(|error| Failure::Bug(error.to_string()))?;
    Ok(format!("{text}\n"))
}
