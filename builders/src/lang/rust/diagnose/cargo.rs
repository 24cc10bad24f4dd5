//! What cargo itself says, on standard error.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::super::manifest::{LOCK, MANIFEST, Manifest};
use super::network;
use crate::diagnostic::{Blame, Diagnostic, pattern};
use crate::function::Function;
use crate::native;
use crate::network::platform;

/// What cargo's words mean, if anything is known of them.
pub(super) fn errors(stderr: &str, function: &Function) -> Option<Diagnostic> {
    let text = &stderr.replace("<kept>/function/", "");
    let found = CAUSES
        .iter()
        .find_map(|(pattern, explain)| pattern.captures(text).map(|found| explain(&found, text)));
    let found = found.or_else(|| network::evidence(text)).or_else(|| plain(text))?;
    Some(match &found.location {
        Some(location) if location.file == LOCK => match drift(function) {
            Some(drift) if found.message.contains(MANIFEST) => Diagnostic { message: drift, ..found },
            _ => locate(found, function),
        },
        Some(location) if location.line.is_none() => locate(found, function),
        _ => found,
    })
}

/// The first error in cargo's own words, with what caused it.
fn plain(text: &str) -> Option<Diagnostic> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("error")).map(str::trim);
    let first = lines.next()?;
    let first = first.split_once(": ").map_or(first, |(_, rest)| rest);
    let rest: Vec<&str> =
        lines.take_while(|line| !line.starts_with("error")).filter(|line| !line.is_empty()).collect();
    let cause = rest.iter().rposition(|line| *line == "Caused by:").and_then(|at| rest.get(at + 1));
    // Lines are those of the manifest that was made of the function's own.
    let is_place = |line: &&str| line.starts_with("--> Cargo.toml:");
    Some(match cause {
        None if rest.first().is_some_and(is_place) => Diagnostic::new(first).at(MANIFEST, None, None),
        Some(cause) if first.contains(MANIFEST) => Diagnostic::new(*cause).at(MANIFEST, None, None),
        Some(cause) => Diagnostic::new(format!("{first}: {cause}")),
        None => Diagnostic::new(first),
    })
}

/// A build script that failed; one of the function's own that panicked names its line.
fn script_failed(package: &str, script: &str) -> Diagnostic {
    let mut lines = script.lines().map(str::trim).skip_while(|line| !line.contains("panicked at "));
    let place = lines.next().and_then(|line| line.split("panicked at ").nth(1));
    let said = lines.next().or_else(|| script.lines().map(str::trim).rfind(|line| !line.is_empty()));
    let said = said.map(|line| format!(": {line}")).unwrap_or_default();
    let found = Diagnostic::new(format!("the build script of {package} failed{said}"));
    let place: Vec<&str> =
        place.map(|place| place.trim_end_matches(':').split(':').collect()).unwrap_or_default();
    match place[..] {
        [file, line, column] if !file.starts_with(['/', '<']) => {
            found.at(file, line.parse().ok(), column.parse().ok())
        }
        _ => found,
    }
}

/// What of the manifest the lock does not have.
fn drift(function: &Function) -> Option<String> {
    let manifest = Manifest::of(function).ok()?;
    let lock: toml::Table = function.text(function.top(LOCK)?)?.parse().ok()?;
    let locked = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let locked: Vec<(&str, &str)> =
        locked.filter_map(|one| Some((one.get("name")?.as_str()?, one.get("version")?.as_str()?))).collect();
    manifest.asked().find_map(|(name, asked)| {
        let versions: Vec<&str> =
            locked.iter().filter(|(known, _)| *known == name).map(|(_, version)| *version).collect();
        if versions.is_empty() {
            return Some(format!("{name} is in {MANIFEST}, and not in the lock"));
        }
        let suits = versions.iter().any(|version| asked.is_none_or(|asked| may_suit(asked, version)));
        (!suits).then(|| {
            format!(
                "{MANIFEST} asks for {name} {}, and the lock has {}",
                asked.unwrap_or("*"),
                versions.join(", ")
            )
        })
    })
}

/// Whether a version could be one that is asked for: false only where it is plain that it is not.
fn may_suit(asked: &str, version: &str) -> bool {
    let numbers =
        |text: &str| -> Option<Vec<u64>> { text.split('.').map(|part| part.parse().ok()).collect() };
    let Some((asked, found)) = numbers(asked.trim_start_matches('^')).zip(numbers(version)) else {
        return true;
    };
    let fixed = asked.iter().position(|number| *number != 0).map_or(asked.len(), |first| first + 1);
    found.starts_with(&asked[..fixed.min(asked.len())]) && found >= asked
}

/// Puts a message about a package at the line of the manifest that names it.
fn locate(found: Diagnostic, function: &Function) -> Diagnostic {
    let Some(location) = found.location.clone() else { return found };
    let text = function.top(&location.file).and_then(|path| function.text(path));
    let named = found.message.split('`').nth(1).and_then(|quoted| quoted.split([' ', '=', '@']).next());
    let line = text.zip(named).and_then(|(text, name)| {
        let begins = |line: &str| {
            let line = line.trim_start().trim_start_matches('"');
            let header = line.trim_start_matches('[').trim_end().trim_end_matches(']');
            let rest = line
                .strip_prefix(name)
                .or_else(|| header.ends_with(&format!("dependencies.{name}")).then_some("="));
            rest.is_some_and(|rest| rest.starts_with(['=', ' ', '.', '"']))
        };
        text.lines().position(begins)
    });
    let line = line.and_then(|line| u32::try_from(line + 1).ok());
    found.at(location.file, line, None)
}

type Explain = fn(&Captures<'_>, &str) -> Diagnostic;

/// What cargo says, the most particular first.
static CAUSES: LazyLock<Vec<(Regex, Explain)>> = LazyLock::new(|| {
    let cause = |text: &str, explain: Explain| (pattern(text), explain);
    vec![
        // error: cannot update the lock file Cargo.toml because --locked was passed to prevent this
        // error: the lock file Cargo.lock needs to be updated but --locked was passed to prevent this
        cause(r"(?:needs to be updated but|because) --(?:locked|frozen) was passed", |_, _| {
            Diagnostic::new(format!("it does not agree with {MANIFEST}"))
                .at(LOCK, None, None)
                .hint("run `cargo update --workspace` beside it, and bring the new one along")
        }),
        // error: checksum for `itoa v1.0.18` changed between lock files
        cause(
            r"checksum for `([^`]+)` (?:changed between lock files|could not be calculated)",
            |found, _| {
                Diagnostic::new(format!("the checksum of `{}` is not the registry's", &found[1]))
                .at(LOCK, None, None)
                .hint("if you trust the registry, remove the package from the lock and run `cargo update --workspace`")
            },
        ),
        // lock file version `99` was found, but this version of Cargo does not understand this lock file, …
        cause(r"lock file version `?(\d+)`? (?:was found|requires)", |found, _| {
            Diagnostic::new(format!("it is of version {}, which this image's cargo does not read", &found[1]))
                .at(LOCK, None, None)
                .hint("choose an image with a newer Rust, or make the lock with the one that this image has")
        }),
        // dependency (itoa) specified without providing a local path, Git repository, version, or workspace …
        cause(r"dependency \((\S+)\) specified without", |found, _| {
            Diagnostic::new(format!("`{}` has neither a version nor a path", &found[1]))
                .at(MANIFEST, None, None)
                .hint(format!("write `{} = \"1\"`, with the version that you use", &found[1]))
        }),
        // error: no matching package named `no-such-crate` found
        cause(r"no matching packages? named `([^`]+)` found", |found, text| {
            let searched = text.lines().find_map(|line| line.trim().strip_prefix("location searched: "));
            let searched = searched.map(|place| format!(" in {place}")).unwrap_or_default();
            let hint = if text.contains("you're using offline mode") {
                "nothing is downloaded here: it must be among the packages that are mounted"
            } else {
                "check its name; one of another registry needs `registry = …`"
            };
            Diagnostic::new(format!("there is no package `{}`{searched}", &found[1]))
                .at(MANIFEST, None, None)
                .hint(hint)
        }),
        // error: failed to select a version for the requirement `greet = "^1.0.0"` (locked to 1.1.0)
        cause(r"for the requirement `(\S+) = [^`]+` \(locked to ([^)]+)\)", |found, _| {
            Diagnostic::new(format!("there is no version {1} of `{0}` any more", &found[1], &found[2]))
                .at(LOCK, None, None)
                .hint(format!("run `cargo update {}`, and bring the new {LOCK} along", &found[1]))
        }),
        // error: the listed checksum of `vendor/greet/src/lib.rs` has changed:
        cause(r"the listed checksum of `([^`]+)` has changed", |found, _| {
            Diagnostic::new("the file is not as `cargo vendor` has left it")
                .at(&found[1], None, None)
                .hint("run `cargo vendor` again; a package of your own is named in [patch]")
        }),
        // error: failed to select a version for the requirement `itoa = "^99"`
        // candidate versions found which didn't match: 1.0.18, 1.0.17, 1.0.16, ...
        cause(r"failed to select a version for the requirement `([^`]+)`", |found, text| {
            let there = text
                .lines()
                .find_map(|line| line.trim().strip_prefix("candidate versions found which didn't match: "));
            let there = there.map(|versions| format!("there are {}", versions.trim_end_matches(", ...")));
            Diagnostic::new(format!("no version fits `{}`", &found[1]))
                .at(MANIFEST, None, None)
                .hint(there.unwrap_or_else(|| "ask for a version that there is".to_owned()))
        }),
        // package `function` depends on `itoa` with feature `nope` but `itoa` does not have that feature.
        cause(r"depends on `([^`]+)` with feature `([^`]+)` but", |found, _| {
            Diagnostic::new(format!("`{}` has no feature {}", &found[1], &found[2]))
                .at(MANIFEST, None, None)
                .hint("choose one of its features, or leave it out")
        }),
        // error: failed to select a version for `libgit2-sys`.
        cause(r"failed to select a version for `([^`]+)`", |found, _| {
            Diagnostic::new(format!("no version of `{}` suits all that ask for it", &found[1]))
                .at(MANIFEST, None, None)
                .hint("see cargo's own words below, which name who asks for what")
        }),
        // error: rustc 1.95.0 is not supported by the following package:
        //   greet@1.0.0 requires rustc 1.99
        cause(
            r"rustc (\S+) is not supported by the following packages?:\s+(\S+?)@(\S+) requires rustc (\S+)",
            |found, _| {
                Diagnostic::new(format!(
                    "`{}` {} needs Rust {}, and this image has {}",
                    &found[2], &found[3], &found[4], &found[1]
                ))
                .at(MANIFEST, None, None)
                .hint("choose an older version of it, or an image with a newer Rust")
            },
        ),
        // error: failed to run custom build command for `openssl-sys v0.9.1`
        cause(r"failed to run custom build command for `([^`]+)`", |found, text| {
            let script = &text[found.get(0).map_or(0, |all| all.start())..];
            let package = found[1].split(" (").next().unwrap_or_default();
            match native::lack(script) {
                Some(lack) => platform(format!("{lack}; {package} needs it"), "choose an image that has it"),
                None => script_failed(package, script),
            }
        }),
        // process didn't exit successfully: `rustc …` (signal: 9, SIGKILL: kill)
        cause(r"\(signal: 9, SIGKILL: kill\)", |_, _| {
            platform(
                "the compiler was killed, most likely for memory",
                "raise the memory limit of the build container",
            )
        }),
        cause(r"could not compile `kubeless` ", |_, _| {
            Diagnostic::new("our server does not compile").blame(Blame::Ours)
        }),
    ]
});
