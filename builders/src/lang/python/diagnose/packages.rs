//! What pip and uv say when the requirements cannot be met.

use std::sync::LazyLock;

use regex::Regex;

use super::build;
use crate::diagnostic::Diagnostic;
use crate::function::Function;
use crate::lang::python::grammar::{Entry, normalise};
use crate::lang::python::pattern;

/// What an installer said, and what it had been asked.
pub(super) struct Said<'a> {
    /// Both streams.
    pub(super) text: &'a str,
    /// The same on one line and without frames: uv wraps what it says.
    pub(super) flat: &'a str,
    /// The function whose requirements they are.
    pub(super) function: &'a Function,
    /// The requirements with their places.
    pub(super) entries: &'a [&'a Entry],
    /// Whether building was forbidden.
    pub(super) only_wheels: OnlyWheels,
}

/// Whether building was forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnlyWheels {
    Yes,
    No,
}

impl Said<'_> {
    /// A message at the line of a requirement's package, or else of the one that asks for it.
    pub(super) fn at(&self, requirement: &str, message: String) -> Diagnostic {
        let named = |name: &str| {
            let name = normalise(name);
            self.entries.iter().find(|entry| entry.name.as_ref() == Some(&name))
        };
        let package = name_of(requirement);
        let why = |line: &&str| line.contains(package) && WHY.is_match(line);
        let requirer = || {
            let line = self.text.lines().find(why)?;
            WORD.find_iter(line).find_map(|word| named(word.as_str()))
        };
        let message = Diagnostic::new(message);
        match named(package).or_else(requirer) {
            Some(entry) => message.at(entry.file.as_str(), Some(entry.line), None),
            None => message,
        }
    }

    /// The file and the line that begin with an option.
    fn line_of(&self, option: &str) -> Option<(&str, u32)> {
        self.function.files.iter().find_map(|(path, file)| {
            let lines = file.text.as_deref()?.lines();
            let (number, _) = (1..).zip(lines).find(|(_, line)| line.trim().starts_with(option))?;
            Some((path.as_str(), number))
        })
    }

    /// What follows the first match of a pattern's group.
    fn find(&self, pattern: &Regex) -> Option<&str> {
        let found = pattern.captures(self.flat)?;
        found.iter().skip(1).flatten().next().map(|group| group.as_str())
    }
}

/// Collecting idna<2.8,>=2.5 (from requests==2.20.0->-r /rooms/source/requirements.txt (line 1))
/// help: `chardet` (v1.0) was included because `requests` (v2.20.0) depends on `chardet`
static WHY: LazyLock<Regex> = LazyLock::new(|| pattern(r"\(from |because|depends on"));

/// `requests` in `requests==2.20.0`
static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"));

/// The package's name at the beginning of a requirement.
fn name_of(requirement: &str) -> &str {
    WORD.find(requirement).map_or(requirement, |name| name.as_str())
}

/// The most that is told of one kind: each is looked for up to the end of the output, and a message has no room for more.
const MOST: usize = 100;

/// Says what is wrong with the requirements, if the installer's words are known.
pub(super) fn diagnose(said: &Said<'_>) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    let rule = RULES.iter().find(|rule| rule.pattern.is_match(said.flat));
    for captures in rule.iter().flat_map(|rule| rule.pattern.captures_iter(said.flat)).take(MOST) {
        let groups: Vec<&str> = captures.iter().skip(1).flatten().map(|group| group.as_str()).collect();
        found.extend(rule.map(|rule| (rule.meaning)(said, &groups)));
    }
    found.dedup();
    found
}

/// A way to say something, and what it means.
struct Rule {
    pattern: Regex,
    /// From what was said and the groups that matched.
    meaning: fn(&Said<'_>, &[&str]) -> Diagnostic,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |text, meaning: fn(&Said<'_>, &[&str]) -> Diagnostic| Rule { pattern: pattern(text), meaning };
    vec![
        // idna==3.7 --hash=sha256:82fee1fc78add43492d3a1898bfa6d8a904cc97d8427f683ed8e798d07761aa0
        rule(r"(\S+) --hash=sha256:([0-9a-f]{64})", |said, found| {
            let hash = found.get(1).copied().unwrap_or_default();
            unhashed(said, found).hint(format!("add to its line: --hash=sha256:{hash}"))
        }),
        // error: In `--require-hashes` mode, all requirements must have a hash, but none were provided for: idna==3.7
        rule(r"must have a hash, but none were provided for: (\S+)", |said, found| {
            unhashed(said, found)
                .hint("add its hash, as `pip hash` or `uv pip compile --generate-hashes` tells it")
        }),
        // In --require-hashes mode, all requirements must have their versions pinned with ==. These do not: idna from …
        // error: In `--require-hashes` mode, all requirements must have their versions pinned with `==`, but found: idna>=3
        rule(
            r"must have their versions pinned with `?==`?(?:\. These do not|, but found): (\S+)",
            |said, found| {
                let name = name_of(first(found));
                let message = format!("{name} has no exact version, which a file with hashes needs");
                said.at(name, message).hint("pin it with `==`, and add its hash")
            },
        ),
        // six==1.16.0 from https://… (from -r requirements.txt (line 1)): Expected sha256 0000… Got 8abb…
        rule(
            r"(\S+) from \S+ \(from [^:]*\): Expected sha256 ([0-9a-f]{64}).*? Got ([0-9a-f]{64})",
            mismatch,
        ),
        // cause: Hash mismatch for `six==1.16.0` Expected: sha256:0000… Computed: sha256:8abb…
        rule(
            r"Hash mismatch for `([^`]+)` Expected: (?:sha256:)?(.+?) Computed: (?:sha256:)?(\w+)",
            mismatch,
        ),
        // ERROR: ResolutionImpossible: for help visit …
        rule("ResolutionImpossible", |said, _| conflict(said)),
        // ERROR: Failed building wheel for python-Levenshtein
        // ERROR: Failed to build 'mysqlclient' when getting requirements to build wheel
        // error: Failed to build `python-levenshtein==0.12.2`
        rule(r"Failed building wheel for (\S+)|Failed to build ['`]([^'`]+)['`]", |said, found| {
            build::failed(said, first(found))
        }),
        // × Getting requirements to build wheel did not run successfully.
        rule(r".*Collecting (\S+).*did not run successfully", |said, found| {
            build::failed(said, first(found))
        }),
        // ERROR: Package 'fn' requires a different Python: 3.11.7 not in '>=3.12'
        rule(r"Package '([^']+)' requires a different Python: (\S+) not in '([^']+)'", |said, found| {
            let [package, here, wants] = found else {
                return Diagnostic::new(first(found));
            };
            other_python(said, package, wants, here)
        }),
        // Because the current Python version (3.11.7) does not satisfy Python>=3.12 and django==6.0 depends on Python>=3.12
        rule(
            r"the current Python version \(([^)]+)\) does not satisfy Python(\S+) and (\S+)",
            |said, found| {
                let [here, wants, package] = found else {
                    return Diagnostic::new(first(found));
                };
                other_python(said, package, wants, here)
            },
        ),
        // ERROR: Could not find a version that satisfies the requirement six==99.0 (from versions: 0.9.0, 0.9.1)
        rule(
            r"Could not find a version that satisfies the requirement (\S+(?: ?[<>=!~,]+ ?[\w.*]+)*)(?: \(from .+?\))? \(from versions: ([^)]*)\)",
            no_version,
        ),
        // Because this-package-is-in-no-index was not found in the package registry and you require …
        rule(r"Because (\S+) was not found in the package registry", |said, found| {
            unknown(said, first(found))
        }),
        // Because python-levenshtein==0.12.2 has no usable wheels and you require …
        rule(r"Because (\S+) has no usable wheels", |said, found| no_wheel(said, first(found))),
        // Because there is no version of six==99.0 and you require six==99.0
        rule(r"Because there (?:is|are) no versions? of (\S+?)(?:,| and)", |said, found| {
            unsatisfied(said, first(found), "").hint(ANOTHER)
        }),
        // Because only six<=1.17.0 is available and you require six>99, we can conclude that …
        rule(
            r"Because only (\S+) is available and (?:you require|\S+ depends on) (\S+?)(?:,| and)",
            |said, found| {
                let [there, wanted] = found else {
                    return Diagnostic::new(first(found));
                };
                unsatisfied(said, wanted, &format!("; there is only {there}")).hint(ANOTHER)
            },
        ),
        // cause: Because requests==2.20.0 depends on urllib3>=1.21.1,<1.25 and you require …, we can conclude that …
        rule(
            r"No solution found when resolving dependencies:? (?:cause: )?(.+?)(?: hint: .*)?$",
            |said, found| {
                let reasons = CONCLUSION.replace_all(first(found), ", but ");
                let reasons =
                    reasons.rsplit_once(", we can conclude that").map_or(&*reasons, |(reasons, _)| reasons);
                let reasons = reasons.strip_prefix("Because ").unwrap_or(reasons);
                said.at(reasons, format!("the requirements cannot all be met: {reasons}"))
                    .hint("loosen one of these versions, or leave it to the installer")
            },
        ),
        // ERROR: Invalid requirement: 'idna==3.7==3.8': Expected comma (within version specifier), … (from line 2 of …)
        rule(r"Invalid requirement: '([^']*)'", |said, found| {
            said.at(first(found), format!("Invalid requirement: {:?}", first(found))).hint(SYNTAX)
        }),
        // error: Couldn't parse requirement in `requirements.txt` at position 4 cause: after parsing `3.7`, found …
        rule(
            r"Couldn't parse requirement in `[^`]+` at position \d+ (?:cause|Caused by): (.+?)(?: \S+ \^+)?$",
            |said, found| {
                let names = said.entries.iter().filter_map(|entry| entry.name.as_deref());
                let named: Vec<_> = names.filter(|name| said.flat.contains(*name)).collect();
                said.at(
                    named.last().copied().unwrap_or_default(),
                    format!("Invalid requirement: {}", first(found)),
                )
                .hint(SYNTAX)
            },
        ),
        // __main__.py: error: no such option: --foo
        rule(r"no such option: (\S+)", |said, found| {
            let option = first(found);
            let message = Diagnostic::new(format!("pip knows no option {option} in a requirements file"));
            match said.line_of(option) {
                Some((file, line)) => message.at(file, Some(line), None),
                None => message,
            }
        }),
        // error: Unexpected '-', expected '-c', '-e', '-r' or the start of a requirement: requirements.txt:2:1
        rule(r"Unexpected '-', expected .* start of a requirement: (\S+):(\d+):(\d+)", |_, found| {
            let number = |at: usize| found.get(at).and_then(|text| text.parse().ok());
            Diagnostic::new("uv knows no such option in a requirements file").at(
                first(found),
                number(1),
                number(2),
            )
        }),
    ]
});

/// …, we can conclude that you require urllib3>=1.21.1,<1.25. And because you require urllib3==2.2.0
static CONCLUSION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r",? we can conclude that .+?\. And because (?:we know from \(\d+\) that )?"));

/// Advice where a requirement is not one.
const SYNTAX: &str = "write a name and versions, as in `idna==3.7` or `idna>=3,<4`";

/// Advice where a version does not exist.
const ANOTHER: &str = "ask for a version that exists";

fn first<'a>(found: &[&'a str]) -> &'a str {
    found.first().copied().unwrap_or_default()
}

fn unhashed(said: &Said<'_>, found: &[&str]) -> Diagnostic {
    let name = name_of(first(found));
    said.at(name, format!("{} has no hash, though other lines have one", first(found)))
}

fn mismatch(said: &Said<'_>, found: &[&str]) -> Diagnostic {
    let [package, expected, got] = found else {
        return Diagnostic::new(first(found));
    };
    let detail = format!("\n    expected sha256:{expected}\n    got      sha256:{got}");
    said.at(package, format!("what was downloaded for {package} does not have the expected hash{detail}"))
        .hint("if the version was changed, change the hash too; otherwise the archive is not the one that was meant")
}

/// The reasons stand between a headline and an empty line:
///     The user requested urllib3==2.2.0
///     requests 2.20.0 depends on urllib3<1.25 and >=1.21.1
fn conflict(said: &Said<'_>) -> Diagnostic {
    let reasons = said.text.lines().skip_while(|line| !line.starts_with("The conflict is caused by"));
    let reasons: Vec<_> = reasons.skip(1).map(str::trim).take_while(|line| !line.is_empty()).collect();
    let shown: Vec<_> =
        reasons.iter().map(|reason| reason.replace("The user requested", "you ask for")).collect();
    let package = reasons.iter().find_map(|reason| reason.strip_prefix("The user requested "));
    let package = package.or(reasons.first().copied()).unwrap_or_default();
    let message = if shown.is_empty() {
        "these requirements contradict each other".to_owned()
    } else {
        format!("requirements contradict each other: {}", shown.join(", but "))
    };
    said.at(package, message).hint("loosen one of these versions, or leave it to the installer")
}

fn other_python(said: &Said<'_>, package: &str, wants: &str, here: &str) -> Diagnostic {
    said.at(package, format!("{package} needs Python {wants}, and this is {here}"))
        .hint("ask for a version of the package that supports this Python, or for another runtime")
}

fn unknown(said: &Said<'_>, package: &str) -> Diagnostic {
    said.at(package, format!("there is no package {package} in the index"))
        .hint("check the spelling, and whether it supports this Python; for a private package, configure its index (pip.conf, PIP_INDEX_URL)")
}

fn no_wheel(said: &Said<'_>, package: &str) -> Diagnostic {
    said.at(
        package,
        format!("{package} has no wheel for this Python and machine, and building is not allowed here"),
    )
    .hint("ask for a version that has a wheel, or the operator for INJECTOR_BUILD_SCRIPTS=allow")
}

/// pip found no version: none at all, none for this Python, or none that the requirement allows.
fn no_version(said: &Said<'_>, found: &[&str]) -> Diagnostic {
    // Ignored the following versions that require a different python version: 6.0 Requires-Python >=3.12; 6.0.1 …
    static IGNORED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"require a different python version: (.+?) (?:ERROR|WARNING):"));
    let requirement = first(found);
    let name = name_of(requirement);
    let versions: Vec<_> =
        found.get(1).map_or("none", |all| all.trim()).split(", ").filter(|one| *one != "none").collect();
    let asked = requirement.split_once("==").map(|(_, version)| version.trim());
    let ignored = said.find(&IGNORED).unwrap_or_default();
    let mut other = ignored.split("; ").filter_map(|one| one.split_once(" Requires-Python "));
    let other = other.find(|(version, _)| asked.is_none_or(|asked| asked == *version));
    if let Some((version, wants)) = other {
        return said
            .at(name, format!("{name} {version} needs Python {wants}, which this is not"))
            .hint("ask for a version of the package that supports this Python, or for another runtime");
    }
    if said.only_wheels == OnlyWheels::Yes {
        return no_wheel(said, requirement);
    }
    if versions.is_empty() {
        return unknown(said, name);
    }
    let last = versions[versions.len().saturating_sub(5)..].join(", ");
    unsatisfied(said, requirement, &format!("; the last ones are {last}")).hint(ANOTHER)
}

fn unsatisfied(said: &Said<'_>, requirement: &str, there: &str) -> Diagnostic {
    let name = name_of(requirement);
    said.at(name, format!("no version of {name} satisfies {requirement}{there}"))
}
