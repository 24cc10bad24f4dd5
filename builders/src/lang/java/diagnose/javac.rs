//! What javac says.

use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::{Diagnostic, pattern};

/// The errors, in javac's order, with what it adds to each: the symbol, where it was looked for, what was required.
pub(super) fn errors(said: &str) -> Vec<Diagnostic> {
    // Foo.java:7: error: cannot find symbol
    static ERROR: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(\S.*\.java):(\d+): error: (.*)$"));
    // Foo.java:9: warning: [deprecation] Date(int,int,int) in Date has been deprecated
    static OTHER: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:\S.*\.java:\d+: |error: |warning: |Note: |\d+ (?:error|warning)s?$)"));
    let lines: Vec<&str> = said.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(error) = ERROR.captures(line) else { continue };
        let rest = &lines[index + 1..];
        let rest = &rest[..rest.iter().position(|line| OTHER.is_match(line)).unwrap_or(rest.len())];
        let caret = rest.iter().position(|line| line.trim() == "^");
        let column = caret.and_then(|caret| u32::try_from(rest[caret].find('^')? + 1).ok());
        let mut message = error[3].to_owned();
        let source = caret.map(|caret| caret.saturating_sub(1));
        for (number, detail) in rest.iter().enumerate() {
            if Some(number) != caret && Some(number) != source && !detail.trim().is_empty() {
                message.push_str("\n    ");
                message.push_str(&detail.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        found.push(Diagnostic::new(message).at(&error[1], error[2].parse().ok(), column));
    }
    found
}
