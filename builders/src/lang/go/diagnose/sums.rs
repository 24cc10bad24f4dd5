//! Modules that are not what `go.sum`, or the checksum database, says.

use std::sync::LazyLock;

use regex::Regex;

use super::places::Author;
use crate::diagnostic::{Diagnostic, pattern};

/// verifying github.com/google/uuid@v1.6.0: checksum mismatch
///     downloaded: h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=
///     go.sum:     h1:AIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=
static MISMATCH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"verifying ([^\s@]+)@([^\s:/]+)(/go\.mod)?: checksum mismatch\s+downloaded: +(\S+)\s+(\S+): +(\S+)",
    )
});

/// The modules that are not what they should be.
pub(super) fn mismatches(said: &str, author: &Author<'_>) -> Vec<Diagnostic> {
    let explain = |parts: regex::Captures<'_>| {
        let part = |group| parts.get(group).map_or("", |found| found.as_str());
        let (module, version, file, witness) = (part(1), part(2), part(3), part(5));
        let message = format!(
            "{module} {version} is not what {witness} says\n    downloaded: {}\n    {witness}: {}",
            part(4),
            part(6)
        );
        if witness != "go.sum" {
            let hint = "the registry has other bytes than the world saw first: ask who runs it";
            return author.at_module(module, message).hint(hint);
        }
        let begin = format!("{module} {version}{file} ");
        let text =
            author.function.top("go.sum").and_then(|path| author.function.text(path)).unwrap_or_default();
        let line =
            (1..).zip(text.lines()).find(|(_, line)| line.starts_with(&begin)).map(|(number, _)| number);
        Diagnostic::new(message).at("go.sum", line, None).hint(
            "if its author has published this version anew, remove its lines from go.sum and run `go mod tidy`; else somebody has tampered with it",
        )
    };
    MISMATCH.captures_iter(said).map(explain).collect()
}
