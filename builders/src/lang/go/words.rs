//! The lines of a `go.mod`: each with its verb, which a block `verb ( … )` gives to all lines in it.
//!
//! Source: <https://go.dev/ref/mod#go-mod-file-lexical>.

use crate::diagnostic::Diagnostic;
use crate::error::PlanError;
use crate::function::RelPath;

/// A line that says something.
#[derive(Debug, Clone)]
pub(super) struct Line<'a> {
    /// The file.
    pub(super) path: &'a RelPath,
    /// The line's number.
    pub(super) number: u32,
    /// Its verb.
    pub(super) verb: &'a str,
    /// What follows the verb.
    pub(super) words: Vec<Word>,
}

/// A word, without its quotes.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    column: u32,
}

impl Line<'_> {
    /// A message at this line.
    pub(super) fn says(&self, message: impl Into<String>) -> Diagnostic {
        let column = self.words.first().map_or(1, |word| word.column);
        Diagnostic::new(message).at(self.path.as_str(), Some(self.number), Some(column))
    }

    /// The error that the line is malformed.
    pub(super) fn wrong(&self, message: impl Into<String>, hint: &str) -> PlanError {
        PlanError::Manifest(self.says(message).hint(hint))
    }
}

/// Reads the lines of a file.
pub(super) fn lines<'a>(path: &'a RelPath, text: &'a str) -> Result<Vec<Line<'a>>, PlanError> {
    let mut found = Vec::new();
    let mut block: Option<Line<'a>> = None;
    for (number, text) in (1..).zip(text.lines()) {
        let (mut words, verb) = words(path, number, text)?;
        let line = |verb, words| Line { path, number, verb, words };
        match (&block, words.last().map(|word| word.text.as_str())) {
            (_, None) => {}
            (Some(_), Some(")")) => block = None,
            (Some(opened), Some(_)) => found.push(line(opened.verb, words)),
            (None, Some("(")) => block = Some(line(verb, words.split_off(1))),
            (None, Some(")")) => return Err(line(verb, words).wrong("this closes no block", "remove it")),
            (None, Some(_)) => found.push(line(verb, words.split_off(1))),
        }
    }
    match block {
        None => Ok(found),
        Some(opened) => Err(opened.wrong("the block that begins here is not closed", "close it with `)`")),
    }
}

/// The words of a line, and its first one as it is written.
fn words<'a>(path: &'a RelPath, number: u32, text: &'a str) -> Result<(Vec<Word>, &'a str), PlanError> {
    let mut found = Vec::new();
    let mut first = "";
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let column = u32::try_from(text[..text.len() - rest.len()].chars().count()).unwrap_or(0) + 1;
        let Some(begin) = rest.chars().next().filter(|_| !rest.starts_with("//")) else {
            return Ok((found, first));
        };
        let (word, length) = match begin {
            '"' | '`' => {
                let Some((quoted, _)) = rest[1..].split_once(begin) else {
                    let words = vec![Word { text: rest.to_owned(), column }];
                    let line = Line { path, number, verb: "", words };
                    return Err(
                        line.wrong("the quotes that begin here do not end", "end them on the same line")
                    );
                };
                (quoted, quoted.len() + 2)
            }
            '(' | ')' => (&rest[..1], 1),
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '`' | ','));
                let end = end.unwrap_or(rest.len()).max(1);
                let end = rest[..end].find("//").unwrap_or(end);
                (&rest[..end], end)
            }
        };
        if found.is_empty() {
            first = word;
        }
        found.push(Word { text: word.to_owned(), column });
        rest = &rest[length..];
    }
}
