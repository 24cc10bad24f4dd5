//! The story of a run, on standard error.

use std::io::Write as _;
use std::time::Duration;

/// How the story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Lines.
    Plain,
    /// For a person who watches.
    Terminal,
}

impl Look {
    /// The look that fits where standard error goes.
    pub(crate) fn of_stderr() -> Self {
        use std::io::IsTerminal as _;
        if std::io::stderr().is_terminal() {
            Look::Terminal
        } else {
            Look::Plain
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Well.
    Done,
    /// Badly.
    Failed,
}

pub(crate) struct Console {
    step: String,
}

impl Console {
    pub(crate) fn new(_look: Look) -> Self {
        Console { step: String::new() }
    }
    fn line(&mut self, text: &str) {
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }
    pub(crate) fn begin(&mut self, stage: &str, name: &str) {
        self.step = format!("{stage}: {name}");
        self.line(&format!("{}…", self.step.clone()));
    }
    pub(crate) fn output(&mut self, chunk: &[u8]) {
        let _ = anstream::stderr().lock().write_all(chunk);
    }
    pub(crate) fn end(&mut self, how: How, elapsed: Duration) {
        self.line(&format!("{} {how:?} {elapsed:?}", self.step.clone()));
    }
    pub(crate) fn warn(&mut self, text: &str) {
        self.line(&format!("warning: {text}"));
    }
    pub(crate) fn ready(&mut self, line: &str) {
        self.line(line);
    }
    pub(crate) fn failed(&mut self, message: &str) {
        self.line(message);
    }
}
