//! What pip and uv say when it was the platform, and what of it passed.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::Diagnostic;
use crate::lang::python::grammar::normalise;
use crate::lang::python::pattern;
use crate::network;

/// What speaks for a failure that the author cannot mend, if anything does.
pub(super) fn evidence(text: &str) -> Option<Diagnostic> {
    let mut hint = false;
    let told = text.lines().filter(|line| {
        // An older uv wraps its hints, and ends them with an empty line.
        hint = line.contains("hint: ") || hint && !line.trim().is_empty();
        hint || TOLD.is_match(line)
    });
    let told: String = told.flat_map(|line| [line, "\n"]).collect();
    network::evidence(network::Said { text, told: &told, host, credentials: "pip.conf or netrc" })
}

/// The text without trouble that passed: attempts after which there was another one, and pages of an index without
/// which pip found the package, or whose package it did not miss in the end.
pub(super) fn lasting(text: &str) -> String {
    // WARNING: Retrying (Retry(total=4, connect=None, read=None, redirect=None, status=None)) after connection broken by …
    static PASSING: LazyLock<Regex> = LazyLock::new(|| pattern(r"Retrying \(Retry\(total=[1-9]"));
    // WARNING: Retrying (…) after connection broken by 'NewConnectionError(…)': /simple/six/
    // WARNING: Could not fetch URL https://registry.example/simple/six/: 403 Client Error: Forbidden for url: … - skipping
    static PAGE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"Retrying .*: /(?:\S*/)?([^/\s]+)/$|Could not fetch URL \S+/([^/\s]+)/: "));
    let missed = missed(text);
    let lasts = |line: &&str| {
        let page = PAGE.captures(line);
        let package = page.iter().flat_map(|found| found.iter().skip(1).flatten()).next();
        !PASSING.is_match(line)
            && package.is_none_or(|package| {
                let found = missed.get(&normalise(package.as_str()));
                // Some indexes answer 403 for every package that they do not have.
                found.is_some_and(|found| *found == Found::Nothing || !line.contains(": 403 "))
            })
    };
    text.lines().filter(lasts).flat_map(|line| [line, "\n"]).collect()
}

/// Whether pip found other versions of a package that it misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    OtherVersions,
}

/// The packages for whose want pip gave up.
fn missed(text: &str) -> BTreeMap<String, Found> {
    // ERROR: Could not find a version that satisfies the requirement six==99.0 (from versions: 0.9.0, 0.9.1)
    static MISSED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"Could not find a version that satisfies the requirement ([\w.-]+)(?:.*\(from versions: (\w+))?",
        )
    });
    let found = MISSED.captures_iter(text).filter_map(|found| {
        let version = found.get(2).map_or("none", |version| version.as_str());
        let others = if version == "none" { Found::Nothing } else { Found::OtherVersions };
        Some((normalise(found.get(1)?.as_str()), others))
    });
    found.collect()
}

/// Lines in which the installers themselves speak, not a build that they ran.
///     WARNING: Retrying …
///     Could not fetch URL …: There was a problem confirming the ssl certificate: …
///       cause: tcp connect error
///       Caused by: tcp connect error
///     hint: An index (…) returned a 403 Forbidden error. …
///       fatal: unable to access '…': Could not resolve host: git.example
///     ssh: Could not resolve hostname git.example: Name or service not known
static TOLD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^[\s│╰├─▶]*(?:WARNING:|ERROR:|error:|cause:|Caused by:|hint:|fatal:|ssh:|Could not fetch URL)")
});

/// The host that was spoken to, without credentials.
fn host(text: &str) -> Option<String> {
    static HOSTS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        let url = r"[a-z+]+://(?:[^@/\s]*@)?([^/\s:)`]+(?::\d+)?)";
        vec![
            //   cause: Failed to fetch: https://registry.example/simple/six/
            pattern(&format!("Failed to fetch: `?{url}")),
            // fatal: unable to access 'https://git.example/six.git/': …
            pattern(&format!("fatal: unable to access '{url}")),
            // ssh: Could not resolve hostname git.example: …
            // ssh: connect to host git.example port 22: Connection refused
            pattern(r"ssh: (?:Could not resolve hostname|connect to host) ([^\s:]+)"),
            // HTTPSConnection(host='registry.example', port=443): Failed to resolve …
            pattern(r"host='([^']+)'(?:, port=(\d+))?"),
            // hint: An index (https://registry.example/simple) returned …
            pattern(&format!(r"An index(?: URL)? \({url}")),
            // Looking in indexes: https://registry.example/simple
            pattern(&format!(
                "(?:Looking in indexes:|Could not fetch URL|Credentials not correct for) {url}"
            )),
        ]
    });
    let found = HOSTS.iter().find_map(|pattern| pattern.captures(text))?;
    let host = found.get(1)?.as_str();
    let port = found.get(2).map(|port| port.as_str()).filter(|port| *port != "443");
    Some(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}
