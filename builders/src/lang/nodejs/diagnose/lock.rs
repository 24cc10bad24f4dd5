//! What npm and pnpm say of locks: that they do not fit, cannot be read, or pin something else than what was downloaded.

use std::sync::LazyLock;

use regex::Regex;

use super::super::lock::Pinned;
use super::packages::corrupt;
use super::words::{Said, archive, name_and_version};
use crate::diagnostic::{Diagnostic, pattern};

/// How many differences are told.
const TOLD: usize = 10;

/// The lock disagrees with the manifest, or npm cannot make anything of it.
pub(super) fn drift(said: &Said<'_>) -> Diagnostic {
    if said.words.contains("can only install with an existing") {
        return unreadable(said);
    }
    let differences = if said.tool == "npm" { npm(said) } else { pnpm(said) };
    let more = differences.len().saturating_sub(TOLD);
    let mut message = format!("{} does not fit package.json", said.lock());
    for difference in differences.iter().take(TOLD) {
        message = format!("{message}\n    {difference}");
    }
    if more > 0 {
        message = format!("{message}\n    ({more} more)");
    }
    at_lock(said, message, None).hint(format!("run `{}`, and deploy the lock that it writes", renew(said)))
}

/// The command that writes the lock anew.
fn renew(said: &Said<'_>) -> &'static str {
    if said.tool == "npm" { "npm install --package-lock-only" } else { "pnpm install --lockfile-only" }
}

fn at_lock(said: &Said<'_>, message: impl Into<String>, line: Option<u32>) -> Diagnostic {
    Diagnostic::new(message).at(said.lock(), line, None)
}

/// The line of the lock that holds something.
fn line_of(said: &Said<'_>, part: &str) -> Option<u32> {
    let mut numbered = (1..).zip(said.lock_text()?.lines());
    numbered.find(|(_, line)| line.contains(part)).map(|(number, _)| number)
}

/// What of npm's lock differs from the manifest.
fn npm(said: &Said<'_>) -> Vec<String> {
    // Missing: polite@1.0.0 from lock file
    // Invalid: lock file's greet@1.0.0 does not satisfy greet@2.0.0
    static DIFFERENCE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"Missing: (\S+) from lock file|Invalid: lock file's (\S+) does not satisfy (\S+)")
    });
    let told = DIFFERENCE.captures_iter(&said.words).map(|found| {
        let group = |at: usize| found.get(at).map_or("", |group| group.as_str());
        match group(1) {
            "" => format!("{} is locked, and {} is needed", group(2), group(3)),
            missing => format!("{missing} is not locked"),
        }
    });
    told.collect()
}

/// What of pnpm's lock differs from the manifest.
fn pnpm(said: &Said<'_>) -> Vec<String> {
    // * 1 dependencies were added: polite@1.0.0
    // * 1 dependencies are mismatched:
    // - greet (lockfile: ^1.0.0, manifest: ^2.0.0)
    // specifiers in the lockfile ({"greet":"^1.0.0"}) don't match specs in package.json ({"greet":"^2.0.0","polite":"1.0.0"})
    static ADDED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:was|were) (added|removed): ([^*\n]+)"));
    static CHANGED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(\S+) \(lockfile: ([^,]+), manifest: ([^)]+)\)"));
    static SPECIFIERS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"specifiers in the lockfile \((\{.*?\})\) don't match specs in package.json \((\{.*?\})\)")
    });
    let mut told: Vec<String> = Vec::new();
    let group =
        |found: &regex::Captures<'_>, at: usize| found.get(at).map_or("", |group| group.as_str()).to_owned();
    for found in ADDED.captures_iter(&said.words) {
        let what = if &found[1] == "added" { "is not locked" } else { "is locked, and not asked for" };
        told.extend(group(&found, 2).split(',').map(|name| format!("{} {what}", name.trim())));
    }
    for found in CHANGED.captures_iter(&said.words) {
        let [name, locked, wanted] = [1, 2, 3].map(|at| group(&found, at));
        told.push(format!("{name} is locked for {locked}, and {wanted} is asked for"));
    }
    if let Some(found) = SPECIFIERS.captures(&said.words) {
        told.push(format!("locked: {}", group(&found, 1)));
        told.push(format!("asked for: {}", group(&found, 2)));
    }
    told
}

/// A lock that the installer does not understand.
pub(super) fn unreadable(said: &Said<'_>) -> Diagnostic {
    // Lockfile <deps>/pnpm-lock.yaml not compatible with current pnpm: it was generated with lockfileVersion 5.4, but the current pnpm version supports lockfileVersion 9.x
    // The lockfile at "<deps>/pnpm-lock.yaml" is broken: tab characters must not be used in indentation (2:1)
    static VERSION: LazyLock<Regex> = LazyLock::new(|| pattern(r"lockfileVersion(?: of)? (\d+[.\d]*)"));
    static BROKEN: LazyLock<Regex> = LazyLock::new(|| pattern(r"is broken: (.+?) \((\d+):(\d+)\)"));
    let hint = format!("write it anew: `{}`", renew(said));
    let own = || {
        let first = said.lock_text()?.lines().next()?.strip_prefix("lockfileVersion:")?;
        Some(first.trim().trim_matches(['\'', '"']))
    };
    let is_version = said.code.as_deref() == Some("ERR_PNPM_LOCKFILE_BREAKING_CHANGE")
        || said.words.contains("is incompatible with");
    if is_version && let Some(version) = said.find(&VERSION).or_else(own) {
        let hint = format!(
            "{hint} with a pnpm of the image's version, or choose an image with the pnpm that wrote it"
        );
        return at_lock(said, format!("this pnpm does not read a lock of version {version}"), Some(1))
            .hint(hint);
    }
    let Some(found) = BROKEN.captures(&said.words) else {
        return at_lock(said, "this is no lock that npm can read", None).hint(hint);
    };
    let number = |at: usize| found.get(at).and_then(|number| number.as_str().parse().ok());
    let message = format!("the lock cannot be read: {}", &found[1]);
    Diagnostic::new(message).at(said.lock(), number(2), number(3)).hint(hint)
}

/// What was downloaded is not what the lock pins.
pub(super) fn integrity(said: &Said<'_>) -> Option<Diagnostic> {
    // npm error sha512-… integrity checksum failed when using sha512: wanted sha512-… but got sha512-…. (166 bytes)
    // Got unexpected checksum for "https://registry.example/greet/-/greet-1.0.0.tgz". Wanted "sha512-…". Got "sha512-…".
    static HASHES: LazyLock<Regex> = LazyLock::new(|| {
        let hash = r#""?(sha\d+-[\w+/ ]+=*)"?"#;
        pattern(&format!(r"(?:wanted|Wanted:?)\s+{hash}\.?\s+(?:but got|Got|Actual:)\s+{hash}"))
    });
    if said.text.contains("TAR_BAD_ARCHIVE") {
        return Some(corrupt(said));
    }
    let hashes = HASHES.captures(&said.words)?;
    let [expected, got] = [1, 2].map(|at| hashes.get(at).map_or("", |hash| hash.as_str()).replace(' ', ""));
    // npm names the package in its warnings alone, and those come only where the lock has the archive's URL:
    // npm warn tarball tarball data for greet@https://registry.example/greet/-/greet-1.0.0.tgz (sha512-…) seems to be corrupted.
    let warned =
        said.text.lines().find(|line| line.contains("seems to be corrupted") && line.contains(&expected));
    let archive = archive(warned.unwrap_or(&said.words));
    let named = archive.map(|[_, name, version]| format!("{name} {version}"));
    let pinned = || Pinned::read(said.function, said.function.top(said.lock())?).ok()?.digested(&expected);
    let what = named.or_else(pinned).unwrap_or_else(|| "a package".to_owned());
    let message = format!(
        "what was downloaded for {what} does not have the expected hash\n    expected {expected}\n    got      {got}"
    );
    Some(at_lock(said, message, line_of(said, &expected)).hint(
        "if it was published anew, remove its entry and write the lock again; otherwise the archive is not the one that was meant",
    ))
}

/// An archive that is to come from elsewhere than from the registry.
pub(super) fn elsewhere(said: &Said<'_>) -> Option<Diagnostic> {
    // greet@1.0.0 has a tarball URL (https://a.example/greet/-/greet-1.0.0.tgz) that does not match the registry's published metadata (https://b.example/…)
    // npm error Refusing to fetch "greet@https://a.example/greet/-/greet-1.0.0.tgz"
    static ENTRY: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"(\S+@\S+) has a tarball URL \(([^)]+)\)|Refusing to fetch "(\S+?@)(https?://[^"]+)""#)
    });
    let found = ENTRY.captures(&said.words)?;
    let [package, url] =
        [found.get(1).or(found.get(3))?, found.get(2).or(found.get(4))?].map(|group| group.as_str());
    let (name, version) = name_and_version(package.trim_end_matches('@'));
    let host = super::network::host(url).unwrap_or_default();
    let package = format!("{name} {version}");
    let message = format!(
        "{} is to come from {host}, which is not the registry that is configured",
        package.trim_end()
    );
    Some(if let Some(line) = line_of(said, url) {
        at_lock(said, message, Some(line))
            .hint(format!("write the lock anew with this registry: `{}`", renew(said)))
    } else {
        said.at(name, message).hint("put the package into the registry, or `allow-remote=all` into .npmrc")
    })
}
