//! Modules that cannot be had as `go.mod` asks for them.

use std::sync::LazyLock;

use regex::Regex;

use super::absent::{self, Named};
use super::places::Author;
use crate::diagnostic::{Diagnostic, pattern};
use crate::located::located;

/// What keeps modules from being fetched.
pub(super) fn found(said: &str, author: &Author<'_>) -> Vec<Diagnostic> {
    let mut found: Vec<_> = located(said).iter().filter_map(|one| in_manifest(one, author)).collect();
    found.extend(unlocated(said, author));
    found
}

/// A message about a line of `go.mod` or `go.sum`: what go reads is a copy, with lines of ours at its end.
pub(super) fn in_manifest(one: &Diagnostic, author: &Author<'_>) -> Option<Diagnostic> {
    let location = one.location.as_ref()?;
    let name = ["go.mod", "go.sum"].into_iter().find(|name| {
        [format!("<deps>/{name}"), format!("../deps/{name}")].contains(&location.file)
            || location.file == *name
    })?;
    let own = author.manifest.as_ref().and_then(|manifest| manifest.file).map(|(path, _)| path.as_str());
    let file = own.filter(|_| name == "go.mod").unwrap_or(name);
    let found = Diagnostic::new(&one.message).at(file, location.line, location.column);
    let message = one.message.as_str();
    // require github.com/google/uuid: version "v2.0.0" invalid: should be v0 or v1, not v2
    Some(if message.contains("should be v0 or v1, not ") {
        found.hint("from v2 on the path says so, too: `github.com/google/uuid/v2 v2.0.0`")
    } else if message.contains("unknown directive: ") || message.contains("unknown block type: ") {
        found.hint("write one of module, go, require, replace, exclude, retract")
    } else if name == "go.sum" {
        found.hint("`go mod tidy` writes go.sum anew")
    } else {
        found
    })
}

/// What go says without a place.
pub(super) fn unlocated(said: &str, author: &Author<'_>) -> Vec<Diagnostic> {
    let text = said.replace("go: downloading", "\u{0}downloading");
    let mut found = Vec::new();
    for parts in MODULE.captures_iter(&text) {
        let [module, version, reason] = parts.extract().1;
        if !NEWER.is_match(&parts[0]) {
            found.push(reasons(module, version, reason.trim_end(), author));
        }
    }
    for parts in NEWER.captures_iter(&text) {
        let [module, version, wanted, here] = parts.extract().1;
        let message = format!("{module} {version} is for Go {wanted}, this image has {here}");
        let hint = "choose an image of such a version, or require an older one of the module";
        found.push(author.at_module(module, message).hint(hint));
    }
    found.extend(absent::unnamed(&text, author));
    for (pattern, message, hint) in &*OTHERS {
        found.extend(pattern.captures(&text).map(|parts| {
            let part = |group| parts.get(group).map_or("", |found| found.as_str());
            let fill = |text: &str| text.replace("{1}", part(1)).replace("{2}", part(2));
            author.at_package(part(1), fill(message)).hint(fill(hint))
        }));
    }
    if let Some(parts) = CYCLE.captures(&text) {
        let message =
            format!("import cycle not allowed\n    {}", parts[1].replace('\t', "").replace('\n', "\n    "));
        found.push(author.at_handler(message).hint("move what both need into a package of its own"));
    }
    found
}

/// What is wrong with one module.
fn reasons(module: &str, version: &str, reason: &str, author: &Author<'_>) -> Diagnostic {
    let at = |message: String| author.at_module(module, message);
    // parsing go.mod:
    // 	module declares its path as: github.com/sirupsen/logrus
    // 	        but was required as: github.com/Sirupsen/logrus
    if let Some((_, path)) = reason.split_once("module declares its path as: ") {
        let path = path.lines().next().unwrap_or_default().trim();
        return at(format!("{module} calls itself {path}")).hint(format!("require and import {path}"));
    }
    if let Some((message, hint)) = absent::why(reason, Some(Named { path: module, version: Some(version) })) {
        return at(message).hint(hint);
    }
    at(format!("{module} {version}: {reason}"))
}

/// go: github.com/google/uuid@v1.99.0: reading https://…
static MODULE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?m)^go: (?:[^\s:@]+@\S+ requires\n\s+)*([^\s:@]+)@(v[^\s:]+): (.+(?:\n[ \t]+.+)*)")
});
/// go: golang.org/x/text@v0.31.0 requires go >= 1.24.0 (running go 1.22.10; GOTOOLCHAIN=local)
/// go: example.com/lib@v0.0.0: module ./lib requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)
static NEWER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?m)^go: ([^\s:@]+)@(v[^\s:]+)(?:: module \S+)? requires go >= (\S+) \(running go ([^;)]+)")
});
///     imports function/a from b.go: import cycle not allowed
static CYCLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?m)^package \S+\n(?:\timports \S+ from main\.go\n)?((?:\timports .+\n)*\timports .+): import cycle not allowed",
    )
});

/// Patterns without a version, with message and hint.
static OTHERS: LazyLock<Vec<(Regex, &str, &str)>> = LazyLock::new(|| {
    vec![
        // go: malformed module path "company/lib": missing dot in first path element
        (
            pattern(r#"(?m)^go: malformed module path "([^"]+)": (.+)$"#),
            "{1} is no module path: {2}",
            "a module that is not published needs a line `replace {1} => ./…`",
        ),
        // go: inconsistent vendoring in .:
        // 	github.com/google/uuid@v1.6.0: is explicitly required in go.mod, but not marked as explicit in vendor/modules.txt
        (
            pattern(r"(?m)^go: inconsistent vendoring in .*:\n\t(?P<module>[^@:\n]+)(?:@[^:\n]+)?: (.+)$"),
            "go.mod and vendor/modules.txt differ: {1} {2}",
            "run `go mod vendor`, and deploy what it makes",
        ),
        // package function/injector-server
        // 	imports function: build constraints exclude all Go files in .
        // function: no non-test Go files in .
        (
            pattern(
                r"(?m)^\s*(?:imports |package )?(\S+): (?:build constraints exclude all|no non-test) Go files in ",
            ),
            "every Go file of {1} is left out: by its name, a build constraint or `import \"C\"`",
            "cgo is off here, and files such as x_test.go and x_windows.go are not for this build",
        ),
        // go: updates to go.mod needed
        (
            pattern(r"(?m)^go: updates to go\.mod needed()()"),
            "go.mod is not complete",
            "`go mod tidy` completes go.mod and go.sum; deploy both",
        ),
    ]
});
