//! What cargo, and git for it, say when it was the platform: network, registries, and how they are configured.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::diagnostic::{Diagnostic, pattern};
use crate::network::{self, platform};

/// What speaks for a failure that the author cannot mend, if anything does.
pub(super) fn evidence(text: &str) -> Option<Diagnostic> {
    let told = &told(text);
    let found = CAUSES.iter().find_map(|(cause, explain)| explain(&cause.captures(told)?, text));
    let said = network::Said { text, told, host, credentials: "cargo-credentials.toml, or .netrc for git" };
    found.or_else(|| network::evidence(said))
}

/// What ended it: the last error with all its causes, and what git said where that was asked. Trouble that passed is
/// told as a warning before; of git's, too.
fn told(text: &str) -> String {
    let last = text.rmatch_indices("error: ").find(|(at, _)| *at == 0 || text[..*at].ends_with('\n'));
    let (before, last) = text.split_at(last.map_or(0, |(at, _)| at));
    let gits = |line: &&str| {
        ["fatal: ", "ssh: ", "remote: "].iter().any(|start| line.starts_with(start))
            || line.contains("Permission denied (")
    };
    let git = before.lines().filter(|line| last.contains("`git fetch ") && gits(line));
    git.chain(last.lines()).flat_map(|line| [line, "\n"]).collect()
}

/// The host of the first URL that is asked for; where none is named, the registry by its name.
fn host(text: &str) -> Option<String> {
    // failed to download from `https://registry.example/index/config.json`
    // fatal: unable to access 'https://git.example/words.git/': …
    // ssh://git@git.example/words.git
    static HOST: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\b(?:https?|ssh|git)://(?:[^/\s@]*@)?([^/\s`'@]+)"));
    //     Updating `company` index
    static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"Updating `([^`]+)` index"));
    let mut hosts = HOST.captures_iter(text).map(|found| found[1].to_owned());
    hosts
        .find(|host| host != "doc.rust-lang.org")
        .or_else(|| Some(format!("the registry {}", &NAME.captures(text)?[1])))
}

type Explain = fn(&Captures<'_>, &str) -> Option<Diagnostic>;

/// Trouble that only cargo has, the most particular first; the whole output comes beside what matched.
static CAUSES: LazyLock<Vec<(Regex, Explain)>> = LazyLock::new(|| {
    let cause = |text, explain: Explain| (pattern(text), explain);
    vec![
        //   no token found for `mirror`
        //   consider setting up an alternate registry in Cargo's configuration
        cause(r"no token found for `([^`]+)`\s+consider setting up", |found, _| {
            let name = &found[1];
            let message = format!("the source {name} asks for a token, and none is known by that name");
            let hint = format!(
                "name its URL in CARGO_REGISTRIES_{0}_INDEX, and the token in CARGO_REGISTRIES_{0}_TOKEN",
                variable(name)
            );
            Some(platform(message, &hint))
        }),
        //   no token found for `company`, please run `cargo login --registry company`
        //   no token found, please run `cargo login`
        cause(r"no token found(?: for `([^`]+)`)?, please run", |found, _| {
            let name = found.get(1).map_or("crates-io", |name| name.as_str());
            Some(platform(format!("the registry {name} asks for a token"), &token(name)))
        }),
        //   token rejected for `company`, please run `cargo login --registry company`
        cause(r"token rejected for `([^`]+)`", |found, text| {
            let name = &found[1];
            let host = host(text).unwrap_or_default();
            Some(platform(format!("{host} refuses the token of the registry {name} (401)"), &token(name)))
        }),
        //   authenticated registries require a credential-provider to be configured
        cause(r"require a credential-provider to be configured", |_, text| {
            let message =
                format!("{} asks for a token, and no credential provider is configured", host(text)?);
            Some(platform(
                message,
                "leave CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS out, or set it to cargo:token",
            ))
        }),
        //   sparse registry url must end in a slash `/`: sparse+https://registry.example/index
        cause(r"sparse registry url must end in a slash `/`: (\S+)", |found, _| {
            Some(platform(
                format!("the URL {} lacks its last slash", &found[1]),
                "end a registry's URL in /, as its operator gives it",
            ))
        }),
        //   could not find a configured source with the name `company` when attempting to lookup `crates-io` (…)
        cause(
            r"could not find a configured source with the name `([^`]+)` when attempting to lookup `([^`]+)`",
            |found, _| {
                let (name, instead) =
                    (&found[1], if &found[2] == "crates-io" { "crates.io" } else { &found[2] });
                let message = format!("{name} shall stand for {instead}, and no URL is known for it");
                let hint = format!(
                    "set CARGO_REGISTRIES_{}_INDEX, which for a sparse registry begins with sparse+https:",
                    variable(name)
                );
                Some(platform(message, &hint))
            },
        ),
        //   [7] Could not connect to server (Failed to connect to 10.0.0.1 port 3128 after 0 ms: Could not connect to server)
        // fatal: unable to access 'https://…': Failed to connect to 10.0.0.1 port 3128 after 0 ms: Couldn't connect to server
        cause(r"Failed to connect to (\S+) port (\d+) after", |found, text| {
            let host = host(&told(text)).or_else(|| host(text))?;
            let (name, port) =
                host.rsplit_once(':').map_or((host.as_str(), None), |(name, port)| (name, Some(port)));
            let is_asked = found[1] == *name
                && port.map_or(["80", "443"].contains(&&found[2]), |port| found[2] == *port);
            (!is_asked).then(|| network::proxy_unreachable(&host))
        }),
        //   [5] Could not resolve proxy name (Could not resolve proxy: proxy.example)
        cause(r"Could not resolve proxy", |_, text| Some(network::proxy_unreachable(&host(&told(text))?))),
        //   failed to get successful HTTP response from `https://registry.example/crates/greet/1.0.0/download` (10.0.0.1), got 404
        cause(r"successful HTTP response from `(\S+)`(?: \([^)]*\))?, got (404|410)\b", |found, text| {
            let message = format!(
                "{} lists a package that it does not have: {} ({})",
                host(text)?,
                &found[1],
                &found[2]
            );
            Some(platform(
                message,
                "the registry is not complete, or its `dl` in config.json is wrong: ask its operator",
            ))
        }),
        //   failed to verify the checksum of `greet v1.0.0 (registry `company`)`
        cause(r"failed to verify the checksum of `(\S+ v[^\s`]+)", |found, text| {
            let message = format!("what {} sent for {} is not what its index lists", host(text)?, &found[1]);
            Some(platform(
                message,
                "a proxy or the mirror changed it, or answered with a page: ask the registry's operator",
            ))
        }),
        //   failed to receive HTTP 200 response: got 404; class=Net (12)
        // fatal: repository 'https://git.example/words.git/' not found
        cause(
            r"failed to receive HTTP 200 response: got 404|fatal: repository '\S+' not found",
            |_, text| {
                let repository = REPOSITORY.captures(text)?;
                let message = format!("there is no repository {}", &repository[1]);
                Some(
                    Diagnostic::new(message).hint(
                        "check its URL; some servers say so where credentials are missing: mount .netrc",
                    ),
                )
            },
        ),
        // fatal: could not read Username for 'https://git.example': terminal prompts disabled
        // fatal: Authentication failed for 'https://git.example/words.git/'
        cause(
            r"could not read (?:Username|Password) for '\S+'|fatal: Authentication failed for '\S+'",
            |found, _| {
                let message = format!("{} asks for credentials, or refuses those given", host(&found[0])?);
                Some(platform(message, "mount the credentials of its repositories: .netrc"))
            },
        ),
        // git@git.example: Permission denied (publickey).
        cause(
            r"Permission denied \([^)]*publickey[^)]*\)|Host key verification failed|no authentication methods succeeded",
            |_, text| {
                let message = format!("{} cannot be read over SSH", &REPOSITORY.captures(text)?[1]);
                Some(platform(message, "name it by its https: URL, and mount .netrc"))
            },
        ),
        //   could not execute process `git fetch …` (never executed)
        cause(r"could not execute process `git ", |_, text| {
            let repository = REPOSITORY.captures(text)?;
            let message =
                format!("{} comes from a repository, and there is no git in this image", &repository[1]);
            Some(platform(message, "choose an image that has git, or set CARGO_NET_GIT_FETCH_WITH_CLI=false"))
        }),
        //   failed to read root of directory source: /mirror/vendor
        //   local registry path is not a directory: /mirror/crates
        cause(r"(?:root of directory source|registry path is not a directory): (\S+)", |found, _| {
            let path = &found[1];
            Some(if path.starts_with('/') {
                let hint = "mount the volume that brings them on the container `build`";
                platform(format!("there are no packages at {path}"), hint)
            } else {
                Diagnostic::new(format!(
                    "the function brings no {path}/ along, which its .cargo/config.toml names"
                ))
                .hint("run `cargo vendor`, and deploy its directory, too")
            })
        }),
        //   registry index was not found in any configuration: `acme`
        cause(r"registry index was not found in any configuration: `([^`]+)`", |found, _| {
            let hint = format!(
                "set CARGO_REGISTRIES_{}_INDEX on the container `build`, or name it in .cargo/config.toml",
                variable(&found[1])
            );
            Some(
                Diagnostic::new(format!("no URL is known for the registry `{}`", &found[1]))
                    .at("Cargo.toml", None, None)
                    .hint(hint),
            )
        }),
    ]
});

//   unable to update https://git.example/words.git
static REPOSITORY: LazyLock<Regex> = LazyLock::new(|| pattern(r"unable to update (\S+)"));

/// Where a registry's token belongs.
fn token(name: &str) -> String {
    let variable = if name == "crates-io" {
        "CARGO_REGISTRY".to_owned()
    } else {
        format!("CARGO_REGISTRIES_{}", variable(name))
    };
    format!("mount the registry's credentials: cargo-credentials.toml, or set {variable}_TOKEN from a Secret")
}

/// A registry's name in the name of a variable.
fn variable(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
