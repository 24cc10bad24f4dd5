//! What npm and pnpm say when what is asked for cannot be had.

use std::sync::LazyLock;

use regex::Regex;

use super::words::{Said, name_and_version};
use super::{engines, git, lock, peers};
use crate::diagnostic::{Diagnostic, pattern};
use crate::error::PlanError;
use crate::lang::nodejs::json;
use crate::lang::nodejs::manifest::PACKAGE;

/// Says what is wrong with the dependencies, by the installer's code.
pub(super) fn by_code(said: &Said<'_>) -> Vec<Diagnostic> {
    let code = said.code.as_deref().unwrap_or_default();
    let found = match code {
        "ERESOLVE" | "ERR_PNPM_PEER_DEP_ISSUES" => return peers::diagnose(said),
        "EUSAGE" | "ERR_PNPM_OUTDATED_LOCKFILE" => lock::drift(said),
        "EINTEGRITY" | "ERR_PNPM_TARBALL_INTEGRITY" => lock::integrity(said),
        "ERR_PNPM_LOCKFILE_BREAKING_CHANGE" | "ERR_PNPM_BROKEN_LOCKFILE" => lock::unreadable(said),
        "ERR_PNPM_TARBALL_URL_MISMATCH" | "EALLOWREMOTE" => lock::elsewhere(said),
        "EBADENGINE" | "ERR_PNPM_UNSUPPORTED_ENGINE" => engines::engine(said),
        "EBADPLATFORM" | "ERR_PNPM_UNSUPPORTED_PLATFORM" => engines::platform(said),
        "ERR_PNPM_OTHER_PM_EXPECTED" | "ERR_PNPM_BAD_PM_VERSION" => engines::package_manager(said),
        "E404" | "ERR_PNPM_FETCH_404" | "ERR_PNPM_TARBALL_HTTP_STATUS" => unknown(said),
        "ETARGET" | "ERR_PNPM_NO_MATCHING_VERSION" => no_version(said),
        "ENOVERSIONS" | "ERR_PNPM_NO_VERSIONS" => no_versions(said),
        "EINVALIDPACKAGENAME" | "ERR_PNPM_INVALID_DEPENDENCY_NAME" => bad_name(said),
        "EINVALIDTAGNAME" | "ERR_PNPM_SPEC_NOT_SUPPORTED_BY_ANY_RESOLVER" => bad_version(said),
        "EUNSUPPORTEDPROTOCOL"
        | "ERR_PNPM_WORKSPACE_PKG_NOT_FOUND"
        | "ERR_PNPM_CATALOG_ENTRY_NOT_FOUND_FOR_SPEC" => protocol(said),
        "EALLOWGIT" => git::forbidden(said),
        "ENOTCACHED" | "ERR_PNPM_NO_OFFLINE_TARBALL" => offline(said),
        "EJSONPARSE" => malformed(said),
        "TAR_BAD_ARCHIVE" => corrupt(said),
        _ => None,
    };
    found.into_iter().collect()
}

/// Says so by the words, where there is no code, or one that tells nothing.
pub(super) fn by_words(said: &Said<'_>) -> Option<Diagnostic> {
    let known = [git::unreadable, missing_file, protocol, malformed, engines::package_manager];
    known.iter().find_map(|known| known(said))
}

/// Advice where a registry may hide what it has.
const PRIVATE: &str = "for a private package, configure its registry and credentials (.npmrc, NPM_REGISTRY, NPM_SCOPE): without them a registry may answer so, too";

/// npm error 404  The requested resource 'no-such-package@^1.0.0' could not be found or you do not have permission to access it.
/// no-such-package is not in the npm registry, or you have no permission to fetch it.
fn unknown(said: &Said<'_>) -> Option<Diagnostic> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"404 +(?:The requested resource )?'([^']+)'|(?m)^(?:help: )?(\S.*?) is not in the npm registry",
        )
    });
    static URL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?:GET |HTTP 404 for )https?://(?:[^@/\s]*@)?([^/\s]+)/(\S*?)(?:: Not Found|\s|$)")
    });
    static TARBALL: LazyLock<Regex> = LazyLock::new(|| pattern(r"([^/]+)/-/[^/]*?-(\d[^/]*)\.tgz$"));
    let url = URL.captures(&said.words)?;
    if said.code.as_deref() == Some("ERR_PNPM_TARBALL_HTTP_STATUS") && !said.words.contains("HTTP 404") {
        return None;
    }
    let host = &url[1];
    if let Some(archive) = TARBALL.captures(&url[2]) {
        let (name, version) = (&archive[1], &archive[2]);
        let message = format!("{host} has no {name} {version}, which {} pins", said.lock());
        return Some(
            said.at(name, message)
                .hint(format!("choose a version that is there, and renew the lock; {PRIVATE}")),
        );
    }
    let (name, _) = name_and_version(said.find(&NAME)?);
    let message = format!("there is no package {name} at {host}{}", said.asked_by(name));
    Some(said.at(name, message).hint(format!("check the spelling; {PRIVATE}")))
}

/// npm error notarget No matching version found for greet@^99.0.0.
/// No matching version found for greet@^99.0.0 while fetching it from https://registry.example/
fn no_version(said: &Said<'_>) -> Option<Diagnostic> {
    static WANTED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"No matching version found for (\S.*?)(?:\.?$|(?m:\.?$)| while fetching| with a date before)",
        )
    });
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| pattern(r"with a date before ([^\s,]+)"));
    static LATEST: LazyLock<Regex> = LazyLock::new(|| pattern(r#"latest release of \S+ is "([^"]+)""#));
    let (name, range) = name_and_version(said.find(&WANTED)?);
    let range = range.trim_end_matches('.');
    let own = said.own(name, range);
    let asked_by = said.asked_by(own);
    if let Some(before) = said.find(&BEFORE) {
        let message =
            format!("no version of {name} satisfies {name}@{range} and is from before {before}{asked_by}");
        return Some(
            said.at(own, message)
                .hint("ask for an older version, or change `before` or `min-release-age` in .npmrc"),
        );
    }
    let latest = said.find(&LATEST).map(|latest| format!("; the latest is {latest}")).unwrap_or_default();
    let message = format!("no version of {name} satisfies {name}@{range}{asked_by}{latest}");
    Some(
        said.at(own, message)
            .hint(format!("ask for a version that exists: `npm view {name} versions` lists them")),
    )
}

/// npm error No versions available for withdrawn
/// No versions available for withdrawn. The package may be unpublished.
fn no_versions(said: &Said<'_>) -> Option<Diagnostic> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"No versions available for (\S+?)\.?(?:\s|$)"));
    let name = said.find(&NAME)?;
    let message = format!("the registry has no version of {name}{}", said.asked_by(name));
    Some(said.at(name, message).hint("it may have been withdrawn: use another package"))
}

/// npm error Invalid package name "Not A Name" of package "Not A Name@^1.0.0": name can only contain URL-friendly characters.
/// The current package contains a dependency with an invalid name: "Not A Name"
fn bad_name(said: &Said<'_>) -> Option<Diagnostic> {
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| pattern(r#"Invalid package name "([^"]+)"|with an invalid name: "([^"]+)""#));
    let name = said.find(&NAME)?;
    Some(
        said.at(name, format!("{name:?} cannot be a package's name"))
            .hint("check the spelling: `name` or `@scope/name`"),
    )
}

/// npm error Invalid tag name "not a version!" of package "greet@not a version!": Tags may not have any characters that …
/// "greet@not a version!" isn't supported by any available resolver.
fn bad_version(said: &Said<'_>) -> Option<Diagnostic> {
    static SPEC: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"of package "([^"]+)"|(?m)^"?([^"\n]+?)"? isn't supported by any available resolver"#)
    });
    let (name, wanted) = name_and_version(said.find(&SPEC)?);
    let own = said.own(name, wanted);
    let message = format!("{wanted:?} is not a version of {name}{}", said.asked_by(own));
    Some(said.at(name, message).hint("write a version or a range, as in `1.2.3` or `^1.2.0`"))
}

/// npm error Unsupported URL Type "workspace:": workspace:^
/// In : "greet@workspace:^" is in the dependencies but no package named "greet" is present in the workspace
/// No catalog entry 'greet' was found for catalog 'default'.
fn protocol(said: &Said<'_>) -> Option<Diagnostic> {
    static NPM: LazyLock<Regex> = LazyLock::new(|| pattern(r#"Unsupported URL Type "[^"]+": (\S+)"#));
    static WORKSPACE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#""(\S+@workspace:[^"]*)" is in the dependencies|Cannot resolve package from workspace[^\n]*\n+Failed to resolve (\S+)"#,
        )
    });
    static CATALOG: LazyLock<Regex> = LazyLock::new(|| pattern(r"No catalog entry '([^']+)' was found"));
    let hint = "write a version";
    if let Some(wanted) = said.find(&NPM) {
        let mut dependencies = said.manifest.iter().flat_map(|manifest| &manifest.dependencies);
        let message = format!("npm does not know {wanted:?}");
        return Some(match dependencies.find(|dependency| dependency.wanted == wanted) {
            Some(dependency) => dependency.value.says(message),
            None => Diagnostic::new(format!("{message}, for which one of the dependencies asks")),
        })
        .map(|message| {
            message.hint(if wanted.starts_with("link:") { "write `file:` instead" } else { hint })
        });
    }
    if let Some(name) = said.find(&CATALOG) {
        let message = format!("no catalog has an entry for {name}");
        return Some(
            said.at(name, message).hint("deploy the pnpm-workspace.yaml that has it, or write a version"),
        );
    }
    let (name, range) = name_and_version(said.find(&WORKSPACE)?);
    let own = said.own(name, range);
    let message = format!("{name} is in no workspace of the function{}", said.asked_by(own));
    Some(said.at(own, message).hint("deploy the whole workspace, or write a version"))
}

/// npm error enoent ENOENT: no such file or directory, open '<deps>/local-1.0.0.tgz'
/// Could not install from "<deps>/local" as it does not exist.
fn missing_file(said: &Said<'_>) -> Option<Diagnostic> {
    static MISSING: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"ENOENT: no such file or directory, \w+ '([^']+)'|Could not install from "([^"]+)""#)
    });
    let path = said.find(&MISSING)?;
    let mut dependencies = said.manifest.iter().flat_map(|manifest| &manifest.dependencies);
    let local = dependencies.find(|wanted| {
        let own = wanted.wanted.trim_start_matches("file:").trim_start_matches("./");
        own.len() < wanted.wanted.len() && path.replace(' ', "").ends_with(&format!("/{own}"))
    })?;
    let message = format!("{} is not there", local.wanted);
    Some(local.value.says(message).hint("deploy it with the function"))
}

/// npm error request to https://registry.example/greet/-/greet-1.0.0.tgz failed: cache mode is 'only-if-cached' but no cached response is available.
/// A package is missing from the store but cannot download it in offline mode. The missing package may be downloaded from https://…
fn offline(said: &Said<'_>) -> Option<Diagnostic> {
    static URL: LazyLock<Regex> = LazyLock::new(|| pattern(r"https?://[^/\s]+/(\S+?)(?:/-/\S+)?(?:\s|\.?$)"));
    let name = said.find(&URL)?.replace("%2f", "/");
    let message =
        format!("{name} would have to be downloaded, and `offline` is configured for {}", said.tool);
    Some(
        said.at(&name, message)
            .hint("remove `offline` from .npmrc and from the environment, or mount a cache that holds it"),
    )
}

/// npm error JSON.parse Invalid package.json: JSONParseError: Expected double-quoted property name in JSON at position 65 (line 5 column 3) while …
///  ERROR  Unexpected token "}" (0x7D) in JSON at position 65 while parsing near "…" in <deps>/package.json
///   ╰─▶ trailing comma at line 5 column 3
fn malformed(said: &Said<'_>) -> Option<Diagnostic> {
    static JSON: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:JSONParseError: |JSON\.parse )?([^\n]+?) in JSON at position \d+|([^\n]+?) at line \d+ column \d+(?:\n|$)",
        )
    });
    let path = said.function.deps_file.as_ref().filter(|path| path.name() == PACKAGE);
    let path = path.or_else(|| said.function.top(PACKAGE))?;
    let wrong = said.find(&JSON)?;
    // Where the builder finds the mistake too, it says better what it is.
    match json::parse(path.as_str(), said.function.text(path)?) {
        Err(PlanError::Manifest(found)) => Some(found),
        _ => Some(Diagnostic::new(format!("a package.json is not JSON: {wrong}"))),
    }
}

/// npm error TAR_BAD_ARCHIVE: Unrecognized archive format
pub(super) fn corrupt(said: &Said<'_>) -> Option<Diagnostic> {
    static ARCHIVE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(https?://[^/\s]+/)\S+?/-/(\S+?)\.tgz"));
    let archive = ARCHIVE.captures_iter(&said.text).last();
    let what = archive.as_ref().map_or("a package", |found| found.get(2).map_or("", |name| name.as_str()));
    let host = archive.as_ref().and_then(|found| super::network::host(&found[1]));
    let message =
        format!("what {} sends for {what} is no archive", host.as_deref().unwrap_or("the registry"));
    Some(crate::network::platform(
        message,
        "check the registry's URL, HTTPS_PROXY and NO_PROXY: a proxy or a sign-in page may have answered",
    ))
}
