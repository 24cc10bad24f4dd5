//! TOML: where a file is malformed.

use crate::diagnostic::Diagnostic;

/// What is wrong with a file that is not TOML, or not of its format's shape.
pub(crate) fn malformed(file: &str, text: &str, error: &toml::de::Error) -> Diagnostic {
    let place = error.span().map(|span| position(text, span.start));
    let message = error.message().lines().next().unwrap_or_default();
    Diagnostic::new(message).at(file, place.map(|(line, _)| line), place.map(|(_, column)| column))
}

/// Line and column, both from 1, of a byte of a text.
pub(crate) fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}
