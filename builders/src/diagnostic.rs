//! Located messages: what a compiler or installer said, in the author's own terms.

use std::fmt;

use regex::Regex;
use serde::Serialize;

/// A place in one of the author's files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    /// The file, as its author named it.
    pub file: String,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, from 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().map_while(|number| number) {
            write!(f, ":{number}")?;
        }
        Ok(())
    }
}

/// Who can mend a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The author of the function.
    Author,
    /// The platform: cluster, network, registry, image. Retrying may help.
    Platform,
    /// Ourselves: something that we generated is wrong.
    Ours,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Where, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// What, in one sentence without a trailing period; further lines add detail.
    pub message: String,
    /// What to do, without the word `hint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Who is to blame, where the evidence is better than the step's own assumption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
}

impl Diagnostic {
    /// A message without a place.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Diagnostic { location: None, message: message.into(), hint: None, blame: None }
    }

    /// The same message at a place.
    #[must_use]
    pub fn at(self, file: impl Into<String>, line: Option<u32>, column: Option<u32>) -> Self {
        Diagnostic { location: Some(Location { file: file.into(), line, column }), ..self }
    }

    /// The same message with advice.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Diagnostic { hint: Some(hint.into()), ..self }
    }

    /// The same message with better evidence of whose fault it is.
    #[must_use]
    pub fn blame(self, blame: Blame) -> Self {
        Diagnostic { blame: Some(blame), ..self }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// What a tool left behind: its status and what was kept of its two streams, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// The exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// Standard output; invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error; invalid UTF-8 replaced.
    pub stderr: String,
}

/// Compiles a pattern of a language's.
///
/// # Panics
/// When it is malformed: it is a literal, and the recordings use each.
pub(crate) fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
