//! Why a package could not be built: no compiler, no header, no library.

use std::sync::LazyLock;

use regex::Regex;

use super::packages::Said;
use crate::diagnostic::Diagnostic;
use crate::lang::python::pattern;

/// Says what a build lacked.
pub(super) fn failed(said: &Said<'_>, package: &str) -> Diagnostic {
    let cause = CAUSES.iter().find_map(|(pattern, message)| {
        let found = pattern.captures(said.text)?;
        let what = found.iter().skip(1).flatten().next().map_or("", |group| group.as_str());
        Some(message.replace("{}", what))
    });
    let cause = cause.or_else(|| last_error(said.text)).unwrap_or_else(|| "its build failed".to_owned());
    said.at(package, format!("{package} has no wheel for this image and cannot be built: {cause}"))
        .hint("ask for a version that has a wheel for this Python, or choose an image that has what the build needs")
}

/// What a build lacks, the most particular first; `{}` is the first group.
static CAUSES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let tools =
        r"(?:[\w./-]*-)?(?:gcc|cc|g\+\+|c\+\+|clang|clang\+\+|gfortran|cargo|rustc|cmake|make|ninja|swig)";
    vec![
        // error: [Errno 2] No such file or directory: 'gcc'
        (pattern(&format!("No such file or directory: '({tools})'")), "there is no {} in this image"),
        // error: command 'gcc' failed: No such file or directory
        (pattern(&format!("command '({tools})' failed: No such file")), "there is no {} in this image"),
        // unable to execute 'x86_64-linux-gnu-gcc': No such file or directory
        (pattern(&format!("unable to execute '({tools})'")), "there is no {} in this image"),
        // error: can't find Rust compiler
        (pattern("can't find (Rust) compiler"), "there is no {} compiler in this image"),
        // Modules/common.h:15:10: fatal error: lber.h: No such file or directory
        (pattern(r"fatal error: '?([\w./+-]+\.h\w*)'?(?::| file) "), "the header {} is not in this image"),
        // Error: pg_config executable not found.
        (pattern(r"(\w+_config) executable not found"), "{} is not in this image"),
        // Package 'libxml-2.0', required by 'virtual:world', not found
        (
            pattern(r"(?:No package|Package) '([\w.+-]+)',? (?:required by .*)?(?:not )?found"),
            "the library {} is not in this image",
        ),
        // /bin/sh: 1: pkg-config: not found
        (
            pattern(r"(pkg-config): (?:command )?not found|No such file or directory: '(pkg-config)'"),
            "there is no {} in this image",
        ),
        // Command 'pkg-config --exists mysqlclient' returned non-zero exit status 1.
        (
            pattern(r"Command 'pkg-config --exists ([\w.+-]+)' returned non-zero"),
            "the library {} is not in this image",
        ),
        // error: Command '['/bin/false', '-Wsign-compare', …]' returned non-zero exit status 1.
        (pattern(r"error: Command '\['([^']+)'.*returned non-zero exit status"), "{} failed"),
        // /usr/bin/ld: cannot find -lfoo
        (pattern(r"cannot find (-l\w+)"), "the library {} is not in this image"),
    ]
});

/// The first line in which the build itself speaks of an error.
fn last_error(text: &str) -> Option<String> {
    //       error: Command '['/bin/false', …]' returned non-zero exit status 1.
    static ERROR: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^ +(?:\w*[Ee]rror): (.{1,100})"));
    let mut own = ERROR.captures_iter(text).filter_map(|found| found.get(1)).map(|found| found.as_str());
    own.find(|said| !said.starts_with("subprocess-exited")).map(|said| said.trim_end().to_owned())
}
