//! The output of tools: what builders make of it, and what a termination message shows of it.

#[path = "../../../builders/tests/recorded/step.rs"]
mod recorded;

use std::collections::BTreeMap;
use std::time::Duration;

use builders::diagnostic::{Blame, Diagnostic, Output};
use builders::function::{Function, Sha256, SourceFile};
use builders::plan::{Action, Step};
use builders::{Builder, builder};

use super::sections::sections;
use crate::execute::{Cause, StepFailure};
use crate::failure::{Failure, Stage};

/// What stands for a credential.
const MASK: &str = "***";

/// Reads a language's ID, then sections: `command` (`step: tool arguments`), `status`, `handler`, `stdout`, `stderr`,
/// `secret`, and files. Whatever a tool says, it is explained, and the message shows it without secrets, within its
/// budget.
///
/// # Panics
/// When that does not hold.
pub fn diagnose(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (head, sections) = sections(&text);
    let Some(builder) = builder(head.trim()) else { return };
    let mut function = Function::default();
    let mut parts = BTreeMap::new();
    for (name, text) in sections {
        match name {
            "command" | "status" | "handler" | "stdout" | "stderr" | "secret" => {
                parts.insert(name, text);
            }
            name => {
                let Ok(path) = name.parse() else { continue };
                let (size, text) = (text.len() as u64, Some(text.to_owned()));
                let file = SourceFile { size, sha256: Sha256([0; 32]), executable: false, text };
                function.files.insert(path, file);
            }
        }
    }
    let part = |name: &str| parts.get(name).copied().unwrap_or_default();
    function.handler = part("handler").trim().parse().ok();
    let step = step(part("command"));
    let status = part("status").trim().parse().ok();
    let output = Output { status, stdout: part("stdout").to_owned(), stderr: part("stderr").to_owned() };
    explained(builder, &step, &output, &function, part("secret"));
}

fn explained(builder: &dyn Builder, step: &Step, output: &Output, function: &Function, secret: &str) {
    let Action::Run(run) = &step.action else { return };
    builder.identify(&run.tool, output);
    let packages = builder.packages(step, output);
    assert!(packages.iter().all(|package| !package.name.is_empty()), "{packages:?}");
    let said = builder.said(step, output);

    let printed = builder.inspect(step, Some(output.stdout.as_bytes()), function);
    let mut diagnostics = builder.diagnose(step, output, function);
    for one in diagnostics.iter().chain(&printed) {
        makes_sense(one);
    }
    diagnostics.extend(printed);
    // Of a secret with a mask in it, the masks of others may seem to be a part.
    let secret = secret.trim();
    let hidden = secret.len() >= 6 && !secret.contains(MASK) && !MASK.contains(secret);
    let is_one_line = !secret.contains(char::is_control);
    let secrets: &[&str] = if hidden && is_one_line { &[secret] } else { &[] };
    let cause = match output.status {
        Some(0) => Cause::Rejected,
        Some(status) => Cause::Status(status),
        None => Cause::Killed(9),
    };
    let failure = StepFailure {
        stage: Stage::Compile,
        step: step.name.clone(),
        blame: Blame::Author,
        network: step.network,
        cause,
        argv: Some(run.args.iter().fold(run.tool.clone(), |line, arg| format!("{line} {arg}"))),
        elapsed: Duration::from_millis(1500),
        diagnostics,
        output: [said.as_ref().unwrap_or(&output.stdout), output.stderr.as_str()].join("\n"),
    };
    super::report(&Failure::Step(failure.into()), secrets);
}

fn makes_sense(diagnostic: &Diagnostic) {
    assert!(!diagnostic.message.trim().is_empty(), "{diagnostic:?}");
    if let Some(location) = &diagnostic.location {
        assert!(!location.file.is_empty(), "{diagnostic:?}");
    }
}

/// The step whose name and command are written `install: npm ci --omit=dev`.
fn step(command: &str) -> Step {
    let (name, command) = command.split_once(": ").unwrap_or(("check", command));
    recorded::step(name, command)
}
