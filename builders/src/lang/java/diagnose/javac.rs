//! What javac says.

use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::{Diagnostic, pattern};

/// The errors, in javac's order.
pub(super) fn errors(said: &str) -> Vec<Diagnostic> {
    // Foo.java:7: error: cannot find symbol
    static ERROR: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:(?:\./)?(\S.*\.java):(\d+): )?error: (.*\S.*)$"));
    // Foo.java:9: warning: [deprecation] Date(int,int,int) in Date has been deprecated
    static OTHER: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:\S.*\.java:\d+: |error: |warning: |Note: |\d+ (?:error|warning)s?$)"));
    static ABSENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^package \S+ does not exist$"));
    let lines: Vec<&str> = said.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(error) = ERROR.captures(line) else { continue };
        let rest = &lines[index + 1..];
        let rest = &rest[..rest.iter().position(|line| OTHER.is_match(line)).unwrap_or(rest.len())];
        // Below the line of source, which may hold wide characters and tabs, the caret is where it is in characters.
        let caret = rest.iter().position(|line| line.trim() == "^");
        let column = caret.and_then(|caret| u32::try_from(rest[caret].find('^')? + 1).ok());
        let is_detail = |number: usize| caret.is_none_or(|caret| number != caret && number + 1 != caret);
        let details = rest.iter().enumerate().filter(|(number, _)| is_detail(*number)).map(|(_, line)| *line);
        let mut one = Diagnostic::new(told(&error[3], details));
        if ABSENT.is_match(&error[3]) {
            one = one.hint("name the dependency that has it in pom.xml, or deploy the file that has it");
        } else if error[3].contains(r"'\ufeff'") {
            one = one.hint("save the file as UTF-8 without a byte order mark, which begins it");
        }
        found.push(match error.get(1) {
            Some(file) => one.at(file.as_str(), error[2].parse().ok(), column),
            None => one,
        });
    }
    found
}

/// An error with what follows it: which symbol was looked for, where, and what was required.
pub(super) fn told<'a>(message: &str, details: impl Iterator<Item = &'a str>) -> String {
    let mut message = message.to_owned();
    // What stands behind the type variables says nothing that the author has not written.
    for detail in details.take_while(|detail| !detail.trim_start().starts_with("where ")) {
        let detail = detail.split_whitespace().collect::<Vec<_>>().join(" ");
        if message == "cannot find symbol" && detail.starts_with("symbol: ") {
            message = format!("{message}: {}", &detail["symbol: ".len()..]);
        } else if !detail.is_empty() {
            message.extend(["\n    ", &detail]);
        }
    }
    message
}
