//! The only writer of output: the termination log, the story on stderr, data on stdout.
#![expect(clippy::disallowed_methods, clippy::print_stderr, reason = "this room is where output is written")]

pub(crate) mod console;
pub(crate) mod credentials;
pub(crate) mod excerpt;
pub(crate) mod explain;
pub(crate) mod last_words;
pub(crate) mod plain;
pub(crate) mod redact;
pub(crate) mod termination;
pub(crate) mod words;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use builders::diagnostic::Diagnostic;

use crate::cli::{MAX_BUDGET, Named, Termination};
use crate::failure::{Failure, Stage};
use crate::sys::exec::Stream;
use crate::sys::fs::{self, Create, Sync};

use console::{Console, Look, Output};
use redact::Redactor;

/// Tells the story of one run, and writes its last known truth to the termination log.
pub(crate) struct Reporter {
    termination: Option<Termination>,
    ending: Ending,
    /// Whether somebody was told that the termination log cannot be written.
    warned: Cell<bool>,
    /// The bytes that a message may have, also where it is not written.
    budget: usize,
    secrets: BTreeSet<String>,
    redactor: Redactor,
    console: Console,
}

/// Where the last word goes, beside the termination log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It ends the story on stderr.
    Story,
    /// It is data.
    Stdout,
}

impl Reporter {
    /// A reporter that writes to this termination log, if to any.
    pub(crate) fn new(termination: Option<Termination>, look: Look) -> Self {
        last_words::remember(termination.clone());
        Reporter {
            budget: termination.as_ref().map_or(MAX_BUDGET, |one| one.budget),
            termination,
            ending: Ending::Story,
            warned: Cell::new(false),
            secrets: BTreeSet::new(),
            redactor: Redactor::new([]),
            console: Console::stderr(look),
        }
    }

    /// Writes no termination log: nothing of this run shall last.
    pub(crate) fn keep_to_yourself(&mut self) {
        self.termination = None;
        last_words::remember(None);
    }

    /// Writes no termination log: its text is what was asked for, and goes to stdout.
    pub(crate) fn end_on_stdout(&mut self) {
        self.keep_to_yourself();
        self.ending = Ending::Stdout;
    }

    fn end(&self, message: &str) {
        self.write(message, Sync::Now);
        match self.ending {
            Ending::Story => self.console.finish(message),
            Ending::Stdout => self.print(message),
        }
    }

    /// From here on, these values too appear nowhere.
    pub(crate) fn hide(&mut self, secrets: impl IntoIterator<Item = String>) {
        self.secrets.extend(secrets);
        self.redactor = Redactor::new(self.secrets.iter().cloned());
        last_words::hide(self.redactor.clone());
    }

    /// Says which stage runs, also to whoever finds the termination log after we were killed.
    pub(crate) fn stage(&self, stage: Stage) {
        last_words::at(stage);
        self.write(&words::written_ahead(stage), Sync::Later);
    }

    /// Begins a step of a tool, in a section of the plan.
    pub(crate) fn step(&self, section: &str, what: &str) -> Running {
        Running {
            live: self.console.start(section, what),
            stdout: self.console.output(&self.redactor),
            stderr: self.console.output(&self.redactor),
        }
    }

    /// Says something of a section of the plan.
    pub(crate) fn note(&self, section: &str, text: &str) {
        self.console.note(section, &self.redactor.text(text));
    }

    /// Says something that a person should know and that fails nothing.
    pub(crate) fn warn(&self, text: &str) {
        self.console.warning(&self.redactor.text(text));
    }

    /// Reports success: one line.
    pub(crate) fn ready(&self, line: &str) -> String {
        let line = format!("{}\n", self.redactor.text(line));
        self.end(&line);
        line
    }

    /// Reports a failure, and returns the termination message.
    pub(crate) fn failed(&self, failure: &Failure) -> String {
        let message = message(failure, &self.redactor, self.budget);
        self.end(&message);
        message
    }

    /// What a failure found, without credentials.
    pub(crate) fn redacted(&self, diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
        diagnostics.iter().cloned().map(|one| redacted_diagnostic(one, &self.redactor)).collect()
    }

    /// Prints data on stdout.
    pub(crate) fn print(&self, text: &str) {
        let mut out = anstream::stdout().lock();
        // A reader that has gone away (`| head`) is no error of ours.
        let _ = out.write_all(self.redactor.text(text).as_bytes()).and_then(|()| out.flush());
    }

    /// Writes the termination log; that it cannot be written is a warning, once.
    fn write(&self, text: &str, sync: Sync) {
        let Some(termination) = &self.termination else { return };
        if let Err(error) = write(termination, text, sync)
            && termination.named == Named::Yes
            && !self.warned.replace(true)
        {
            let reason = fs::plain(&error);
            self.console.warning(&format!("the termination log cannot be written: {reason}"));
        }
    }
}

fn write(termination: &Termination, text: &str, sync: Sync) -> std::io::Result<()> {
    let create = if termination.named == Named::Yes { Create::IfMissing } else { Create::Never };
    let text = plain::cut(text, termination.budget);
    fs::write_in_place(&termination.path, text.as_bytes(), create, sync)
}

/// The termination message of a failure, without credentials.
pub(crate) fn message(failure: &Failure, redactor: &Redactor, budget: usize) -> String {
    let message = match failure {
        Failure::Replayed { message, .. } => message.clone(),
        failure => termination::compose(&redacted(words::message(failure), redactor), budget),
    };
    // Once more: an escape sequence within a credential hid it until now. The mask is never longer.
    redactor.text(&message)
}

/// A message without credentials. Each part is redacted before it is cut: a half secret is one too.
fn redacted(message: termination::Message, redactor: &Redactor) -> termination::Message {
    let clean = |text: &str| redactor.text(text);
    termination::Message {
        code: message.code,
        title: clean(&message.title),
        diagnostics: message.diagnostics.into_iter().map(|one| redacted_diagnostic(one, redactor)).collect(),
        command: message
            .command
            .map(|ran| termination::Ran { argv: clean(&ran.argv), outcome: clean(&ran.outcome) }),
        hints: message.hints.iter().map(|hint| clean(hint)).collect(),
        output: clean(&message.output),
    }
}

fn redacted_diagnostic(mut one: Diagnostic, redactor: &Redactor) -> Diagnostic {
    if let Some(location) = &mut one.location {
        location.file = redactor.text(&location.file);
    }
    one.message = redactor.text(&one.message);
    one.hint = one.hint.map(|hint| redactor.text(&hint));
    one
}

/// A step that runs.
pub(crate) struct Running {
    live: console::Running,
    stdout: Output,
    stderr: Output,
}

impl Running {
    /// Passes on what the tool wrote.
    pub(crate) fn output(&mut self, stream: Stream, chunk: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.push(chunk),
            Stream::Stderr => self.stderr.push(chunk),
        }
    }

    /// It succeeded.
    pub(crate) fn done(self, elapsed: Duration) {
        self.flush().done(elapsed);
    }

    /// It failed.
    pub(crate) fn failed(self, elapsed: Duration) {
        self.flush().failed(elapsed);
    }

    fn flush(self) -> console::Running {
        // What a stream says is printed to its end when it is dropped.
        self.live
    }
}
