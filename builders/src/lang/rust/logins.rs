//! Logins in the URLs of `Cargo.toml` and `Cargo.lock`: cargo writes such URLs into all that it keeps.

use std::sync::LazyLock;

use regex::Regex;

use super::manifest::{LOCK, MANIFEST};
use crate::diagnostic::{Diagnostic, pattern};
use crate::error::PlanError;
use crate::function::{Function, RelPath};
use crate::tables::position;

/// `https://token@host/` and `ssh://user:password@host/`; the `git@` of SSH is no secret.
static LOGIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:[Hh][Tt][Tt][Pp][Ss]?://[^/\s"'@?#]+|[A-Za-z][A-Za-z0-9+.-]*://[^/\s"'@:?#]*:[^/\s"'@?#]+)@"#,
    )
});

/// Refuses URLs with logins.
///
/// # Errors
/// When there is one, with its place.
pub(super) fn refuse(function: &Function) -> Result<(), PlanError> {
    let counts = |path: &&RelPath| {
        [MANIFEST, LOCK].contains(&path.name()) || function.deps_file.as_ref() == Some(path)
    };
    for path in function.files.keys().filter(counts) {
        let text = function.text(path).unwrap_or_default();
        let Some(found) = LOGIN.find(text) else { continue };
        let (line, column) = position(text, found.start());
        let message = "this URL holds credentials, which cargo would write into all that it keeps";
        let found = Diagnostic::new(message).at(path.as_str(), Some(line), Some(column));
        let hint = "leave them out of the URL: a repository's login goes into a mounted .netrc, a registry's token into \
                    CARGO_REGISTRIES_<NAME>_TOKEN";
        return Err(PlanError::Dependencies(found.hint(hint)));
    }
    Ok(())
}
