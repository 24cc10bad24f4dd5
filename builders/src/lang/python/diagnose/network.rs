//! Evidence that it was the platform: network, registry, disk, memory.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::{Blame, Diagnostic};
use crate::lang::python::grammar::normalise;
use crate::lang::python::pattern;

/// What speaks for a failure that the author cannot mend, if anything does.
pub(super) fn evidence(text: &str) -> Option<Diagnostic> {
    let mut hint = false;
    let told = text.lines().filter(|line| {
        // An older uv wraps its hints, and ends them with an empty line.
        hint = line.contains("hint: ") || hint && !line.trim().is_empty();
        hint || TOLD.is_match(line)
    });
    let told: String = told.flat_map(|line| [line, "\n"]).collect();
    let found = CAUSES.iter().find_map(|cause| {
        let text = if cause.anywhere { text } else { &told };
        cause.pattern.captures(text).map(|found| (cause, text, found))
    });
    found.map(|(cause, searched, found)| {
        let (start, end) = found.get(0).map_or((0, 0), |all| (all.start(), all.end()));
        let line = searched[..start].rfind('\n').map_or(0, |before| before + 1)..end;
        // The line that tells of the trouble names its index, where there are several.
        let host = host(&searched[line]).or_else(|| host(text));
        let host = host.unwrap_or_else(|| "the registry".to_owned());
        let status = found.iter().skip(1).flatten().next().map_or("", |group| group.as_str());
        let message = cause.message.replace("{host}", &host).replace("{status}", status);
        Diagnostic::new(message).hint(cause.hint).blame(Blame::Platform)
    })
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

/// One kind of trouble.
struct Cause {
    pattern: Regex,
    /// Whether a build's own output counts too.
    anywhere: bool,
    message: &'static str,
    hint: &'static str,
}

/// The kinds of trouble, the most particular first.
static CAUSES: LazyLock<Vec<Cause>> = LazyLock::new(|| {
    let told = |text, message, hint| Cause { pattern: pattern(text), anywhere: false, message, hint };
    let anywhere = |text, message, hint| Cause { pattern: pattern(text), anywhere: true, message, hint };
    vec![
        // ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device
        anywhere(
            r"No space left on device|Disk quota exceeded",
            "no space is left for the dependencies",
            "give the volumes of the build (function, tmp) more room",
        ),
        // gcc: fatal error: Killed signal terminated program cc1
        anywhere(
            r"(?m)Cannot allocate memory|Killed signal terminated program|^\s*MemoryError$",
            "the installer ran out of memory",
            "raise the memory limit of the build container",
        ),
        // OSError('Tunnel connection failed: 407 Proxy Authentication Required')
        //   cause: tunnel error: proxy authorization required
        told(
            r"407 Proxy Authentication|407 Client Error|proxy authorization required",
            "the proxy asks for credentials",
            "put user and password into HTTPS_PROXY, or the host into NO_PROXY",
        ),
        // ProxyError('Cannot connect to proxy.', NewConnectionError(…
        //   cause: tunnel error: failed to create underlying connection
        told(
            r"Tunnel connection failed: \d+|tunnel error: unsuccessful",
            "the proxy refuses to connect to {host}",
            "ask for access, or put the host into NO_PROXY",
        ),
        told(
            r"ProxyError|proxy connection error|tunnel error",
            "the proxy cannot be reached on the way to {host}",
            "check HTTPS_PROXY, or put the registry's host into NO_PROXY",
        ),
        // [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006)
        //   cause: invalid peer certificate: UnknownIssuer
        told(
            r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|SSL certificate problem|server certificate verification failed",
            "the certificate of {host} is not trusted",
            "give the company's CA in INJECTOR_CA_FILE",
        ),
        // Failed to resolve 'no-such-host.invalid' ([Errno -2] Name or service not known)
        //   cause: dns error
        told(
            r"Name or service not known|Temporary failure in name resolution|No address associated with hostname|dns error|failed to lookup address|Could not resolve host",
            "the name of {host} cannot be resolved",
            "check the registry's URL and the cluster's DNS",
        ),
        // WARNING: 401 Error, Credentials not correct for https://registry.example/simple/six/
        // hint: An index URL (…) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)
        told(
            r"401 Error|401 Client Error|401 Unauthorized|HTTP error 401",
            "{host} asks for credentials, or refuses those given (401)",
            "mount the registry's credentials: pip.conf or netrc",
        ),
        // hint: An index (https://registry.example/simple) returned a 403 Forbidden error. …
        told(
            r"403 Client Error|403 Forbidden|HTTP error 403",
            "{host} refuses access (403)",
            "check the registry's credentials and what they allow, and the name: some registries answer so for a package that they do not have",
        ),
        //   cause: HTTP status client error (429 Too Many Requests) for url (…)
        //   cause: HTTP status server error (503 Service Unavailable) for url (…)
        // Could not fetch URL https://registry.example/simple/six/: 429 Client Error: Too Many Requests for url: …
        // Could not fetch URL …: Max retries exceeded with url: /simple/six/ (Caused by ResponseError('too many 503 error responses'))
        // ERROR: HTTP error 503 while getting https://registry.example/packages/…
        told(
            r"429 Client Error|429 Too Many Requests|HTTP error 429",
            "{host} gets too many requests (429)",
            "try again later, or use a mirror that has no such limit",
        ),
        told(
            r"too many (\d+) error responses|HTTP error (5\d\d)|\b(5\d\d) (?:Internal Server Error|Bad Gateway|Service Unavailable|Gateway Timeout|Server Error)",
            "{host} is in trouble ({status})",
            "the registry is overloaded or down: try again later",
        ),
        // Failed to establish a new connection: [Errno 111] Connection refused
        told(
            r"Connection refused",
            "{host} refuses connections",
            "check the registry's URL, and HTTPS_PROXY or NO_PROXY if there is a proxy",
        ),
        // ConnectionResetError(104, 'Connection reset by peer')
        told(
            r"Connection reset by peer|RemoteDisconnected|Connection aborted|IncompleteRead|connection closed before",
            "the connection to {host} was cut",
            "try again; a proxy or firewall may have closed it",
        ),
        // ConnectTimeoutError(<…>, 'Connection to registry.example timed out. (connect timeout=15)')
        told(
            r"timed out|Network is unreachable|No route to host|fatal: unable to access .*Failed to connect to",
            "{host} cannot be reached",
            "check egress (network policy, a mesh's sidecar), HTTPS_PROXY and the registry's URL",
        ),
    ]
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
