//! Finds what npm and pnpm themselves say of a failure among all that they print.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::diagnostic::{Diagnostic, Output, pattern};
use crate::function::Function;
use crate::lang::nodejs::lock::Lock;
use crate::lang::nodejs::manifest::{Dependency, Manifest};

/// What an installer said, and what it had been asked.
pub(super) struct Said<'a> {
    /// Both streams.
    pub(super) text: String,
    /// The code of the failure: `E404`, `ERR_PNPM_FETCH_404`, `ENOENT`, ….
    pub(super) code: Option<String>,
    /// The installer's own words about it, without prefixes and frames.
    pub(super) words: String,
    /// Who installs: `npm` or `pnpm`.
    pub(super) tool: &'a str,
    /// The function whose dependencies they are.
    pub(super) function: &'a Function,
    /// Its manifest, if that can be read.
    pub(super) manifest: Option<Manifest<'a>>,
}

impl<'a> Said<'a> {
    /// Reads what an installer said.
    pub(super) fn of(tool: &'a str, output: &Output, function: &'a Function) -> Self {
        let text = format!("{}\n{}", output.stdout, output.stderr);
        let (code, words) = if tool == "npm" { npm(&text) } else { framed(&text).or_else(|| pnpm(&text)) }
            .unwrap_or_default();
        Said { text, code, words, tool, function, manifest: Manifest::of(function).ok().flatten() }
    }

    /// A message at the place of a dependency, or else of the one that asks for it.
    pub(super) fn at(&self, package: &str, message: impl Into<String>) -> Diagnostic {
        let direct = |name: &str| self.wanted(name).is_some();
        let requirers = self.requirers();
        let named = if direct(package) {
            Some(package)
        } else {
            requirers.iter().map(|(name, _)| *name).find(|name| direct(name))
        };
        at(self.manifest.as_ref(), named.unwrap_or(package), message)
    }

    /// Who asks for a package that the function does not ask for itself, for the end of a sentence.
    pub(super) fn asked_by(&self, package: &str) -> String {
        match self.requirers().first() {
            Some((name, version)) => format!(", for which {name} {version} asks"),
            None if self.manifest.is_none() || self.wanted(package).is_some() => String::new(),
            None => ", for which one of the dependencies asks".to_owned(),
        }
    }

    /// What the function asks for, of a package.
    pub(super) fn wanted(&self, package: &str) -> Option<&str> {
        self.dependencies().find(|wanted| wanted.name == package).map(|wanted| wanted.wanted.as_str())
    }

    /// A package's name, if the function asks for just this version of it itself; otherwise nobody's.
    pub(super) fn own<'n>(&self, package: &'n str, version: &str) -> &'n str {
        if self.wanted(package) == Some(version) { package } else { "" }
    }

    /// The packages through which the function asks for the one in trouble, the nearest first; only pnpm says so:
    ///     This error happened while installing the dependencies of wants-missing@1.0.0
    ///      at another@1.0.0
    fn requirers(&self) -> Vec<(&str, &str)> {
        static CHAIN: LazyLock<Regex> =
            LazyLock::new(|| pattern(r"happened while installing the dependencies of (\S+(?:\s+at \S+)*)"));
        let chain = self.find(&CHAIN).unwrap_or_default();
        chain.split_whitespace().filter(|word| *word != "at").map(name_and_version).collect()
    }

    /// The name of the lock that is obeyed.
    pub(super) fn lock(&self) -> &str {
        let lock =
            self.manifest.as_ref().and_then(|manifest| Lock::of(self.function, manifest).ok().flatten());
        lock.map_or("the lock", |lock| lock.path.as_str())
    }

    /// Its text, if that is not too large to be read here.
    pub(super) fn lock_text(&self) -> Option<&str> {
        self.function.text(self.function.top(self.lock())?)
    }

    /// What the function asks for.
    pub(super) fn dependencies(&self) -> impl Iterator<Item = &Dependency<'a>> {
        self.manifest.iter().flat_map(|manifest| &manifest.dependencies)
    }

    /// The first group of a pattern, in the installer's words.
    pub(super) fn find(&self, pattern: &Regex) -> Option<&str> {
        first_group(pattern, &self.words)
    }

    /// The installer's own sentence, where nothing better is known.
    pub(super) fn last_words(&self) -> Option<Diagnostic> {
        static BESIDES: LazyLock<Regex> =
            LazyLock::new(|| pattern(r"^(?:code|errno|syscall|path|signal) |^\s*at |^$"));
        let line = self.words.lines().find(|line| !BESIDES.is_match(line))?;
        Some(Diagnostic::new(format!("{} says: {}", self.tool, line.trim().trim_end_matches('.'))))
    }
}

/// A message at the place of a dependency, if the function asks for it itself.
pub(super) fn at(manifest: Option<&Manifest<'_>>, package: &str, message: impl Into<String>) -> Diagnostic {
    let mut dependencies = manifest.into_iter().flat_map(|manifest| &manifest.dependencies);
    match dependencies.find(|wanted| wanted.name == package) {
        Some(wanted) => wanted.value.says(message),
        None => Diagnostic::new(message),
    }
}

/// `@acme/greet@^1.0.0` is `@acme/greet` and `^1.0.0`.
pub(super) fn name_and_version(text: &str) -> (&str, &str) {
    let at = text.char_indices().skip(1).find(|(_, c)| *c == '@');
    at.map_or((text, ""), |(at, _)| (&text[..at], &text[at + 1..]))
}

/// The host, the package and the version of the first archive to which a text refers.
pub(super) fn archive(text: &str) -> Option<[String; 3]> {
    // https://registry.example/@acme/greet/-/greet-1.0.0.tgz
    static ARCHIVE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"https?://(?:[^@/\s]*@)?([^/\s]+)/(?:\S*?/)?((?:@[^/\s]+(?:/|%2[fF]))?[^/@\s]+)/-/[^/\s]*?-(\d\S*?)\.tgz",
        )
    });
    let found = ARCHIVE.captures(text)?;
    Some([1, 2, 3].map(|at| found[at].replace("%2f", "/").replace("%2F", "/")))
}

/// The first group that took part in a match.
pub(super) fn first_group<'t>(pattern: &Regex, text: &'t str) -> Option<&'t str> {
    pattern.captures(text)?.iter().skip(1).flatten().next().map(|group| group.as_str())
}

/// A code, if there is one, and the words that go with it.
type Words = (Option<String>, String);

/// npm begins each of its own lines alike.
fn npm(text: &str) -> Option<Words> {
    // npm error code E404
    // npm ERR! code E404
    let own = |line: &'_ str| {
        ["npm error", "npm ERR!"]
            .iter()
            .find_map(|prefix| line.strip_prefix(prefix))
            .map(|rest| rest.strip_prefix(' ').unwrap_or(rest).to_owned())
    };
    // Advice for npmjs.com, whichever registry it was:
    //     https://www.npmjs.com/forgot
    let lines = text.lines().filter(|line| !line.ends_with("npmjs.com/forgot"));
    let lines: Vec<String> = lines.filter_map(own).collect();
    let code = lines.iter().find_map(|line| line.strip_prefix("code ")).map(|code| code.trim().to_owned());
    (!lines.is_empty()).then(|| (code, lines.join("\n")))
}

/// pnpm up to 11 begins its words with a code, up to 10 between thin spaces, and then goes on to the end.
fn pnpm(text: &str) -> Option<Words> {
    // ERR_PNPM_FETCH_404  GET https://registry.example/greet: Not Found - 404
    // [ERR_PNPM_FETCH_404] GET https://registry.example/greet: Not Found - 404
    // ERROR  This project is configured to use yarn
    static CODE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:\s([A-Z][A-Z0-9_]+)\s\s|\[([A-Z][A-Z0-9_]+)\] )(.*)$"));
    static BESIDES: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:Progress: |\s+at .*[:(<]|\sWARN\s|\[WARN\])"));
    let mut lines =
        text.lines().skip_while(|line| CODE.captures(line).is_none_or(|found| is_warning(&found)));
    let first = CODE.captures(lines.next()?)?;
    let code = first.get(1).or(first.get(2)).map(|code| code.as_str()).filter(|code| *code != "ERROR");
    let said = first.get(3).map_or("", |said| said.as_str());
    let words: Vec<_> = std::iter::once(said).chain(lines.filter(|line| !BESIDES.is_match(line))).collect();
    Some((code.map(str::to_owned), words.join("\n")))
}

fn is_warning(found: &Captures<'_>) -> bool {
    found.iter().skip(1).take(2).flatten().any(|code| code.as_str() == "WARN")
}

/// pnpm 12 draws a frame, and breaks lines at blanks, `-` and `/`.
fn framed(text: &str) -> Option<Words> {
    // Error: ERR_PNPM_FETCH_404
    // × installing dependencies
    // ├─▶ Failed to resolve dependency tree: GET https://registry.example/no-such-
    // │   package: Not Found - 404
    // ╰─▶ GET https://registry.example/no-such-package: Not Found - 404
    // help: …
    let (before, frame) = text.split_once("  × ")?;
    let code = before.lines().rev().find_map(|line| line.strip_prefix("Error: ")).map(str::trim);
    // What it was about comes first, then the causes, which tell more.
    let frame = frame.find(['├', '╰']).map_or(frame, |causes| &frame[causes..]);
    let mut words = String::new();
    for line in frame.lines() {
        let content = line.trim_start_matches(|c: char| c.is_whitespace() || c == '│');
        let begins = ["├─▶ ", "╰─▶ ", "help: "].iter().find_map(|mark| content.strip_prefix(mark));
        if begins.is_some() || content.is_empty() {
            words.push('\n');
        } else if !words.ends_with(['-', '/', '\n']) && !words.is_empty() {
            words.push(' ');
        }
        words.push_str(begins.unwrap_or(content));
    }
    Some((code.filter(|code| !code.is_empty()).map(str::to_owned), words))
}
