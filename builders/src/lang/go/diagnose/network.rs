//! What go, and git for it, say when it was the platform.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::absent::{Named, is_public, named};
use crate::diagnostic::{Diagnostic, Output, pattern};
use crate::network;

/// What speaks for a failure that the author cannot mend, if anything does.
pub(super) fn evidence(output: &Output) -> Option<Diagnostic> {
    let text = own_words(&output.stderr);
    of_settings(&text).or_else(|| {
        let said = network::Said { text: &text, told: &text, host, credentials: ".netrc" };
        network::evidence(said).map(|found| advise(found, &text))
    })
}

/// The text without what servers answered: the public proxy repeats what its own git said.
pub(super) fn own_words(text: &str) -> String {
    let mut theirs = false;
    let ours = text.lines().filter(|line| {
        theirs = line.starts_with('\t') && (theirs || line.starts_with("\tserver response:"));
        !theirs
    });
    ours.flat_map(|line| [line, "\n"]).collect()
}

/// Trouble that only go has, or of which it says nothing but its own words.
struct Cause {
    pattern: Regex,
    /// What stands in braces is a group of the pattern, the module's path, or the host.
    message: &'static str,
    hint: &'static str,
}

/// What is wrong with go's settings, or with what the image lacks for them.
fn of_settings(text: &str) -> Option<Diagnostic> {
    static CAUSES: LazyLock<Vec<Cause>> = LazyLock::new(|| {
        let cause = |text, message, hint| Cause { pattern: pattern(text), message, hint };
        vec![
            // refusing to pass credentials to insecure URL: http://ci-user:xxxxx@registry.example/…
            cause(
                r"refusing to pass credentials to insecure URL: \S+",
                "GOPROXY has a password for {host}, and go sends none over http:",
                "let the URL begin with https:",
            ),
            // Get "http://elsewhere.example/": redirected from secure URL https://registry.example/… to insecure URL …
            cause(
                r"redirected from secure URL (?<from>https://[^/\s]+)\S* to insecure URL (?<to>\S+)",
                "{from} redirects to {to}, and go does not follow from https: to http:",
                "ask the registry's operator to redirect to https:",
            ),
            // invalid proxy URL scheme (must be https, http, file): ftp://registry.example/go
            // GOPROXY list is not the empty string, but contains no entries
            cause(
                r"(?:: |^go: )(?<words>invalid (?:file:// )?proxy URL [^\n]+|GOPROXY list [^\n]+)",
                "GOPROXY cannot be read: {words}",
                "write a URL as in https://registry.example/go, or several with a comma between them",
            ),
            // verifying go.mod: invalid GOSUMDB: malformed verifier id
            cause(
                r"(?<words>(?:invalid|missing) GOSUMDB\b[^\n]*)",
                "GOSUMDB cannot be read: {words}",
                "write the database's name and key, or `off`",
            ),
            // go: GOAUTH encountered an empty command (GOAUTH=;)
            cause(
                r"(?m)^go: (?<words>GOAUTH[ =][^\n]+)",
                "{words}",
                "write `netrc`, `git DIR` or a command that is in the image",
            ),
            // GOVCS disallows using git for private registry.example/acme/greet; see 'go help vcs'
            cause(
                r"GOVCS disallows using (?<tool>\S+) for (?:public|private) (?<path>[^;\s]+)",
                "GOVCS does not allow {path} to come from {tool}",
                "allow it in GOVCS, or name a GOPROXY that has the module",
            ),
            // exec: "git": executable file not found in $PATH
            cause(
                r#"exec: "(?<tool>\w+)": executable file not found in \$PATH"#,
                "{module} comes from a repository, and there is no {tool} in this image",
                "choose an image that has it for the container build, or name a GOPROXY that has the module",
            ),
            // go: git.example/acme/greet.git@v1.0.0: no secure protocol found for repository
            cause(
                r"no secure protocol found for repository",
                "the repository of {module} cannot be reached, or asks for credentials",
                "check the network's way to its host, HTTPS_PROXY, INJECTOR_CA_FILE, and that .netrc is mounted: of a path with .git go tells no more",
            ),
            // fatal: could not read Username for 'https://git.example': terminal prompts disabled
            // fatal: Authentication failed for 'https://git.example/acme/greet.git/'
            cause(
                r"could not read (?:Username|Password) for '(?<url>[^']+)'|Authentication failed for '(?<at>[^']+)'",
                "{host} asks for credentials for {module}, or refuses those given",
                "mount the credentials of its repositories: .netrc; or is the module's path wrong?",
            ),
            // git@git.example: Permission denied (publickey).
            cause(
                r"Permission denied \([^)]*publickey[^)]*\)|Host key verification failed",
                "the repository of {module} cannot be read over SSH",
                "mount a .netrc for https: instead; a key would have to be named by GIT_SSH_COMMAND, passed on by INJECTOR_PASS_ENV",
            ),
            // verifying go.mod: acme.example/polite@v1.0.0/go.mod: reading https://sum.example/lookup/…: 404 Not Found
            cause(
                r"verifying [^\n]+: reading \S+/lookup/\S+: (?:404|410) ",
                "the checksum database does not know {module}",
                "if it is a private module, name it in GOPRIVATE",
            ),
            // verifying go.mod: acme.example/polite@v1.0.0/go.mod: malformed record data
            cause(
                r"malformed (?:record|tree|note)",
                "the checksum database does not answer as one does",
                "check GOSUMDB, HTTPS_PROXY and NO_PROXY: a proxy or a sign-in page may have answered",
            ),
            // go: zip: not a valid zip file
            // go: acme.example/polite@v1.0.0: parsing go.mod: missing module line
            cause(
                r"zip: not a valid zip file|parsing go\.mod: missing module line",
                "what was sent for {module} is no module",
                "check GOPROXY, HTTPS_PROXY and NO_PROXY: a proxy or a sign-in page may have answered",
            ),
        ]
    });
    let mut causes = CAUSES.iter().filter_map(|cause| Some((cause, cause.pattern.captures(text)?)));
    let (cause, found) = causes.find(|(_, found)| !is_public(&found[0]))?;
    let mut message = cause.message.to_owned();
    for group in ["from", "to", "words", "tool", "path"] {
        message =
            message.replace(&format!("{{{group}}}"), found.name(group).map_or("", |group| group.as_str()));
    }
    let module = last_named(text, &found).map_or_else(|| "a module".to_owned(), |named| named.to_string());
    let host = host(&found[0]).unwrap_or_else(|| "the registry".to_owned());
    Some(network::platform(message.replace("{module}", &module).replace("{host}", &host), cause.hint))
}

/// The module of which a message tells: the last one that was named before.
fn last_named<'a>(text: &'a str, found: &Captures<'_>) -> Option<Named<'a>> {
    named(&text[..found.get(0)?.end()]).last()
}

/// More advice, where go has ways of its own.
fn advise(found: Diagnostic, text: &str) -> Diagnostic {
    let host = host(text).unwrap_or_default();
    let more = if found.message.ends_with("(401)") && host.contains(':') {
        Some(format!("with a port, go looks for `machine {host}` in it, and git for the name alone"))
    } else if text.contains(": verifying ") {
        Some(
            "or do without the checksum database, for modules of GOPRIVATE or GONOSUMDB, or by GOSUMDB=off"
                .to_owned(),
        )
    } else if text.contains("unrecognized import path")
        && ["resolved", "(401)"].iter().any(|end| found.message.ends_with(end))
    {
        Some("or is the module's path wrong?".to_owned())
    } else {
        None
    };
    let hint = found.hint.iter().cloned().chain(more).collect::<Vec<_>>().join("; ");
    // Registries refuse single modules in this way: which one it is matters as much as the host.
    let message = match (found.message.strip_suffix(" (403)"), named(text).next()) {
        (Some(refused), Some(module)) => format!("{refused} to {module} (403)"),
        _ => found.message,
    };
    Diagnostic { message, hint: Some(hint), ..found }
}

/// The host that was spoken to, without credentials.
pub(super) fn host(text: &str) -> Option<String> {
    // An older go writes `read "http:/registry.example/@v/v1.0.0.zip": unexpected EOF`.
    static HOSTS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        [
            // ssh: Could not resolve hostname git.example: Name or service not known
            pattern(r"ssh: (?:Could not resolve hostname|connect to host) ([^\s:]+)"),
            pattern(r#"https?://?(?:[^@/\s]*@)?((?:\[[^\]\s]+\]|[^/\s:'"]+)(?::\d+)?)"#),
        ]
    });
    HOSTS.iter().find_map(|pattern| Some(pattern.captures(text)?[1].to_owned()))
}
