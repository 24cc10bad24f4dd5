//! What npm and pnpm say when it was the platform.

use std::sync::LazyLock;

use regex::Regex;

use super::words::{Said, first_group};
use crate::diagnostic::{Diagnostic, pattern};
use crate::network;

/// What speaks for a failure that the author cannot mend, if anything does.
pub(super) fn evidence(said: &Said<'_>) -> Option<Diagnostic> {
    // npm error Only HTTP(S) protocols are supported
    // node-fetch cannot load ftp://registry.example/greet. URL scheme "ftp" is not supported.
    static SCHEME: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"Only HTTP\(S\) protocols are supported|URL scheme .* is not supported"));
    // npm error Invalid auth configuration found: `_auth` must be renamed to `//registry.example/:_auth` in project config
    static LOGIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"`([^`]+)` must be renamed to `([^`]+)`"));
    let code = said.code.as_deref().unwrap_or_default();
    let words = if said.words.is_empty() { &said.text } else { &said.words };
    let invalid = if code == "ERR_INVALID_URL" || words.contains("relative URL without a base") {
        Some("the registry's URL is not one")
    } else {
        SCHEME.is_match(words).then_some("the registry's URL begins neither with http: nor with https:")
    };
    if let Some(message) = invalid {
        let hint = "write it whole, as in https://registry.example/npm/: see NPM_REGISTRY and .npmrc";
        return Some(network::platform(message, hint));
    }
    if code == "ERR_INVALID_AUTH"
        && let Some(found) = LOGIN.captures(words)
    {
        let message = format!("`{}` does not say for which registry it is", &found[1]);
        return Some(network::platform(message, &format!("write `{}` in .npmrc", &found[2])));
    }
    if let Some(what) = denied(words) {
        let hint = "the volumes of the build must be writable for its user: see securityContext and fsGroup";
        return Some(network::platform(format!("{} may not write: {what}", said.tool), hint));
    }
    let Requests { refused, warned } = requests(said);
    of(&said.text, &format!("{refused}{code}\n{words}\n{warned}"), said)
}

/// The same, of what a script printed that was run, or of the installer itself.
pub(super) fn of(text: &str, told: &str, said: &Said<'_>) -> Option<Diagnostic> {
    if let Some(host) = behind_a_proxy(told) {
        return Some(network::proxy_unreachable(&host));
    }
    let found = network::evidence(network::Said { text, told, host, credentials: ".npmrc" })?;
    let more =
        if matches!(said.code.as_deref(), Some("ECONNREFUSED" | "ENOTFOUND" | "EAI_AGAIN" | "ETIMEDOUT"))
            && host(told).is_some_and(|host| said.pins(&host))
        {
            Some(format!("{} names this host, whatever registry is configured", said.lock()))
        } else if found.message.ends_with("(401)") {
            unexpanded(&said.text)
        } else {
            None
        };
    let hint = found.hint.iter().cloned().chain(more).collect::<Vec<_>>().join("; ");
    Some(Diagnostic { hint: Some(hint), ..found })
}

/// A variable to which `.npmrc` refers, and of which pnpm makes nothing.
fn unexpanded(text: &str) -> Option<String> {
    // WARN  Issue while reading "<deps>/.npmrc". Failed to replace env in config: ${NPM_TOKEN}
    // [WARN] Ignored project-level auth setting "…": environment variables are not expanded in …
    static UNSET: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"Failed to replace env in config: \$\{(\w+)\}"));
    if text.contains("Ignored project-level auth setting") {
        return Some("this pnpm expands no variables in the function's own .npmrc".to_owned());
    }
    Some(format!("{}, to which .npmrc refers, is not set", first_group(&UNSET, text)?))
}

/// Requests of which other lines tell than those of the failure itself.
struct Requests {
    /// Those that npm tells of without their host.
    refused: String,
    /// Those that pnpm tells of without the cause.
    warned: String,
}

fn requests(said: &Said<'_>) -> Requests {
    // npm http fetch GET 401 https://registry.example/greet 5ms (cache skip)
    // npm http cache greet@https://registry.example/greet/-/greet-1.0.0.tgz 1ms (cache hit)
    static NPM: LazyLock<Regex> = LazyLock::new(|| pattern(r"^npm http (?:fetch GET (\d+) |cache )"));
    // [WARN] GET https://registry.example/greet error (ENOTFOUND). Will retry in 1 seconds. 1 retries left.
    static PNPM: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:\sWARN\s\s|\[WARN\] )GET (\S+) error "));
    let code = said.code.as_deref().unwrap_or_default();
    let lines = |counts: &dyn Fn(&str) -> bool| {
        said.text.lines().filter(|line| counts(line)).flat_map(|line| [line, "\n"]).collect()
    };
    Requests {
        refused: lines(&|line| {
            NPM.captures(line).is_some_and(|found| match found.get(1) {
                Some(status) => code.strip_prefix('E') == Some(status.as_str()),
                None => code == "ECONNRESET",
            })
        }),
        warned: lines(&|line| {
            let url = first_group(&PNPM, line);
            url.is_some_and(|url| said.words.contains(url) || !said.words.contains("://"))
        }),
    }
}

/// The host that was asked for, where what refused was something else: a proxy. The port tells them apart.
fn behind_a_proxy(told: &str) -> Option<String> {
    // request to https://registry.example/greet failed, reason: connect ECONNREFUSED 10.0.0.1:3128
    static CONNECT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"request to (https?)://([^/\s:]+)(?::(\d+))?/\S* failed, reason: connect E[A-Z]+ \S+:(\d+)")
    });
    let found = CONNECT.captures(told)?;
    let default = if &found[1] == "https" { "443" } else { "80" };
    let asked = found.get(3).map_or(default, |port| port.as_str());
    (asked != &found[4]).then(|| host(&found[0]).unwrap_or_else(|| found[2].to_owned()))
}

/// What was not permitted.
fn denied(words: &str) -> Option<&str> {
    // EACCES: permission denied, mkdir '<deps>/node_modules'
    // Failed to create virtual store slot directory at "…": Permission denied (os error 13)
    static DENIED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"((?:EACCES|EPERM|EROFS): [^\n{\[]+)|((?:Permission denied|Read-only file system) \(os error \d+\))",
        )
    });
    first_group(&DENIED, words).map(str::trim)
}

/// The host that was spoken to, without credentials.
pub(super) fn host(text: &str) -> Option<String> {
    static HOSTS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
        [
            // request to https://registry.example/greet failed, reason: getaddrinfo ENOTFOUND proxy.example
            pattern(r"getaddrinfo [A-Z_]+ (\S+)"),
            // ssh: Could not resolve hostname git.example: Name or service not known
            pattern(r"ssh: (?:Could not resolve hostname|connect to host) ([^\s:]+)"),
            pattern(r"(?:https?|git|ssh)://(?:[^@/\s]*@)?((?:\[[^\]\s]+\]|[^/\s:)`']+)(?::\d+)?)"),
        ]
    });
    // npm error   https://www.npmjs.com/forgot
    let text = text.replace("https://www.npmjs.com/", "");
    HOSTS.iter().find_map(|pattern| first_group(pattern, &text)).map(str::to_owned)
}

impl Said<'_> {
    /// Whether the lock has archives at this host.
    fn pins(&self, host: &str) -> bool {
        let url = format!("://{host}/");
        self.lock_text().is_some_and(|text| text.contains(&url))
    }
}
