//! Messages of compilers that begin with their place: `hello.go:7:2: undefined: fmt`.

use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::{Diagnostic, pattern};

/// The messages of such a shape, in the order in which they were printed. Indented lines belong to the message before
/// them; others end it. A file's name has no `./` before it.
pub(crate) fn located(printed: &str) -> Vec<Diagnostic> {
    static LINE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:\./)?([^\s:][^:]*):(\d+):(?:(\d+):)? (.+)$"));
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut open = false;
    for line in printed.lines().map(str::trim_end) {
        let detail = line.starts_with([' ', '\t']).then(|| line.trim_start().trim_start_matches("./"));
        if let (Some(detail), Some(last), true) = (detail, found.last_mut(), open) {
            last.message.extend(["\n    ", detail]);
            continue;
        }
        let parts = LINE.captures(line);
        open = parts.is_some();
        found.extend(parts.map(|parts| {
            let number = |group| parts.get(group).and_then(|found| found.as_str().parse().ok());
            Diagnostic::new(&parts[4]).at(&parts[1], number(2), number(3))
        }));
    }
    found
}
