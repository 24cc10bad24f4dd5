//! Why a package could not be built: no compiler, no header, no library.

use std::sync::LazyLock;

use regex::Regex;

use super::packages::Said;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::pattern;
use crate::native;

/// Says what a build lacked.
pub(super) fn failed(said: &Said<'_>, package: &str) -> Diagnostic {
    let cause = native::lack(said.text)
        .or_else(|| last_error(said.text))
        .unwrap_or_else(|| "its build failed".to_owned());
    said.at(package, format!("{package} has no wheel for this image and cannot be built: {cause}"))
        .hint("ask for a version that has a wheel for this Python, or choose an image that has what the build needs")
}

/// The first line in which the build itself speaks of an error.
fn last_error(text: &str) -> Option<String> {
    //       error: Command '['/bin/false', …]' returned non-zero exit status 1.
    static ERROR: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^ +(?:\w*[Ee]rror): (.{1,100})"));
    let mut own = ERROR.captures_iter(text).filter_map(|found| found.get(1)).map(|found| found.as_str());
    own.find(|said| !said.starts_with("subprocess-exited")).map(|said| said.trim_end().to_owned())
}
