//! What Maven says when it was the platform, or its settings. The words are those of 3.8, 3.9 and 4.

use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::{Blame, Diagnostic, pattern};
use crate::network;

/// What speaks for a failure that the author cannot mend, if anything does.
pub(super) fn evidence(said: &str) -> Option<Diagnostic> {
    let told: String = said.lines().filter(|line| is_told(line)).flat_map(|line| [line, "\n"]).collect();
    of_maven(said).or_else(|| of_proxy(&told)).or_else(|| {
        let credentials = "settings.xml, whose server has the mirror's or the repository's id";
        network::evidence(network::Said { text: said, told: &told, host, credentials })
    })
}

/// Whether Maven speaks itself, of an error or of what led to one.
fn is_told(line: &str) -> bool {
    ["[ERROR]", "[FATAL]", "[WARNING]"].iter().any(|level| line.starts_with(level))
}

/// The host of the repository that was asked.
fn host(text: &str) -> Option<String> {
    static HOSTS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        let url = r"[a-z]+://(?:[^@/\s]*@)?((?:\[[^\]\s]+\]|[^/\s:),]+)(?::\d+)?)";
        // Could not transfer artifact acme:greeting:pom:1.0 from/to company (https://registry.example/maven): …
        [pattern(&format!(r"from/to [^()]+ \({url}")), pattern(url)]
    });
    // [ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/DependencyResolutionException
    let lines = text.lines().filter(|line| !line.contains("[Help 1] http"));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    HOSTS.iter().find_map(|pattern| pattern.captures(&text)).map(|found| found[1].to_owned())
}

/// Trouble that only Maven has, or only Maven's words tell.
struct Cause {
    pattern: Regex,
    /// What stands in braces is a group of the pattern, or the host.
    message: &'static str,
    hint: &'static str,
    blame: Blame,
}

static CAUSES: LazyLock<Vec<Cause>> = LazyLock::new(|| {
    let cause = |text, message, hint, blame| Cause { pattern: pattern(text), message, hint, blame };
    vec![
        // Non-parseable settings <scratch>/settings.xml: end tag name </settings> must match start tag name <servers>
        //   from line 2 (position: TEXT seen ...</mirrors>\n</settings>... @3:12)  @ <scratch>/settings.xml, line 3, column 12
        //  * FATAL: Could not decrypt password (fix the corrupted password or remove it, if unused) {cO1D…}
        cause(
            r"(?:Error building settings\s+\* FATAL: (?:Non-parseable settings \S+: )?|Non-parseable settings \S+: )(?<words>.*?)(?: \{.*| \(position: .*|  ?@ .*|, line \d.*)?\n",
            "Maven's settings cannot be read: {words}",
            "mend settings.xml, which is mounted or in the user's home",
            Blame::Platform,
        ),
        // Checksum validation failed, expected '<!DOCTYPE' (REMOTE_EXTERNAL) but is actually '4e01…'
        cause(
            r"Checksum validation failed, expected '?[^0-9a-f'\s]",
            "{host} does not answer as a registry does",
            "check the registry's URL, HTTPS_PROXY and NO_PROXY: a proxy or a sign-in page may have answered",
            Blame::Platform,
        ),
        // Could not transfer artifact acme:greeting:jar:1.0 from/to company (…): Checksum validation failed, expected …
        // Could not transfer artifact … from/to company (…): Checksum validation failed, no checksums available
        cause(
            r"(?:artifact|metadata) (?<artifact>\S+) from/to .*?: Checksum validation failed, no checksums available",
            "{host} has no checksum for {artifact}",
            "ask the registry's operator for the .sha1 files",
            Blame::Platform,
        ),
        cause(
            r"(?:artifact|metadata) (?<artifact>\S+) from/to .*?: Checksum validation failed",
            "what {host} sends for {artifact} does not match its checksum",
            "a proxy or the registry changes what it hands on: tell its operator",
            Blame::Platform,
        ),
        // from/to maven-default-http-blocker (http://0.0.0.0/): Blocked mirror for repositories:
        //   [company (http://registry.example/maven, default, releases+snapshots)]
        cause(
            r"Blocked mirror for repositories: \[\S+ \((?<url>[^,)]+)",
            "Maven asks no repository at http:, as {url} is",
            "let its URL begin with https:, or name a mirror of it in settings.xml",
            Blame::Author,
        ),
        // Cannot access ftp://registry.example/maven with type default using the available connector factories
        cause(
            r"Cannot access (?<url>\S+) with type \S+ using",
            "Maven cannot speak to {url}",
            "let the URL begin with https:",
            Blame::Platform,
        ),
        // Cannot access company (http://registry.example) in offline mode and the artifact acme:greeting:pom:1.0 has not
        //   been downloaded from it before.
        cause(
            r"in offline mode and the (?:artifact|metadata) (?<artifact>\S+) has not",
            "{artifact} is not here, and the settings keep Maven offline",
            "take <offline> out of settings.xml, or name a mirror at file: that has it",
            Blame::Author,
        ),
    ]
});

/// What Maven alone says.
fn of_maven(told: &str) -> Option<Diagnostic> {
    CAUSES.iter().find_map(|cause| {
        let found = cause.pattern.captures(told)?;
        let start = found.get(0).map_or(0, |all| all.start());
        let line = told[..start].rfind('\n').map_or(0, |before| before + 1);
        let host = host(&told[line..]).unwrap_or_else(|| "the registry".to_owned());
        let mut message = cause.message.replace("{host}", &host);
        for name in cause.pattern.capture_names().flatten() {
            message =
                message.replace(&format!("{{{name}}}"), found.name(name).map_or("", |group| group.as_str()));
        }
        Some(Diagnostic::new(message).hint(cause.hint).blame(cause.blame))
    })
}

/// A proxy that is not there: another host than the repository's refuses to be connected with, or has no address.
fn of_proxy(told: &str) -> Option<Diagnostic> {
    static TRIED: LazyLock<Regex> = LazyLock::new(|| {
        // from/to company (https://registry.example/maven): Connect to 127.0.0.1:8 [/127.0.0.1] failed: Connection refused
        // from/to company (https://registry.example/maven): no-such-proxy.invalid: Name or service not known
        let tried = r"Connect to (?<there>\S+) \[\S* failed: ";
        let unknown = r"(?<name>[^\s:]+): (?:Name or service not known|Temporary failure in name resolution)";
        pattern(&format!(r"from/to [^()]+ \([a-z]+://(?<host>[^/\s),]+).*?: (?:{tried}|{unknown})"))
    });
    let found = TRIED.captures(told)?;
    let group = |name| found.name(name).map(|group| group.as_str());
    let host = found["host"].rsplit('@').next()?;
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let is_theirs = match group("there") {
        Some(there) if host.contains(':') => there == host,
        Some(there) => there.split_once(':').is_some_and(|(there, _)| there == name),
        None => group("name") == Some(name),
    };
    (!is_theirs).then(|| network::proxy_unreachable(host))
}
