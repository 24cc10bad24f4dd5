//! What was missing when native code was built: a compiler, a header, a library. Build tools say it alike in all languages.

use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::pattern;

/// Says what a build lacked, if what it printed tells so.
pub(crate) fn lack(printed: &str) -> Option<String> {
    CAUSES.iter().find_map(|(pattern, message)| {
        let found = pattern.captures(printed)?;
        let what = found.iter().skip(1).flatten().next().map_or("", |group| group.as_str());
        Some(message.replace("{}", what))
    })
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
        // error: linker `cc` not found
        (pattern("linker `([^`]+)` not found"), "there is no {} in this image"),
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
        // gyp ERR! stack Error: not found: make
        (pattern(&format!(r"Error: not found: ({tools})")), "there is no {} in this image"),
        // gyp ERR! stack Error: Could not find any Python installation to use
        (pattern("Could not find any (Python) installation"), "there is no {} in this image"),
        // sh: 1: node-gyp: not found
        // make: g++: No such file or directory
        (
            pattern(&format!(
                r"sh: (?:line )?\d+: (\S+): (?:command )?not found|make: ({tools}): No such file"
            )),
            "there is no {} in this image",
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
        // rust-lld: error: unable to find library -lfoo
        (pattern(r"(?:cannot find|unable to find library) (-l\w+)"), "the library {} is not in this image"),
    ]
});
