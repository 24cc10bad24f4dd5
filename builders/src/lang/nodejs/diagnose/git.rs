//! What npm and pnpm say of packages that come from git repositories.

use std::sync::LazyLock;

use regex::Regex;

use super::words::{Said, name_and_version};
use crate::diagnostic::{Diagnostic, pattern};
use crate::lang::nodejs::manifest::Dependency;

/// npm 12 fetches nothing from git, unless it is told to:
///     npm error Refusing to fetch "words@git+https://git.example/words.git"
pub(super) fn forbidden(said: &Said<'_>) -> Option<Diagnostic> {
    static REFUSED: LazyLock<Regex> = LazyLock::new(|| pattern(r#"Refusing to fetch "([^"]+)""#));
    let (name, _) = name_and_version(said.find(&REFUSED)?);
    let message = format!("{name} comes from a git repository, and this npm may not fetch from any");
    Some(said.at(name, message).hint("ask for a released version, or put `allow-git=all` into .npmrc"))
}

/// There is no git, or it cannot read the repository.
pub(super) fn unreadable(said: &Said<'_>) -> Option<Diagnostic> {
    // npm error syscall spawn git
    // spawn git ENOENT
    // git ls-remote failed: `git` executable not found on PATH.
    static NO_GIT: LazyLock<Regex> =
        LazyLock::new(|| pattern("syscall spawn git|spawn git ENOENT|`git` executable not found"));
    // npm error fatal: '/no-such-repository.git' does not appear to be a git repository
    // npm error ERROR: Repository not found.
    // npm error git@git.example: Permission denied (publickey).
    static REFUSED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:fatal|ERROR): ([^\n]+?)(?: fatal: |\n|$)|(\S+: Permission denied[^\n]*)|(Host key verification failed)",
        )
    });
    let source = source(said);
    let name = source.map_or("a dependency", |source| source.name.as_str());
    let at = |message: String| match source {
        Some(source) => source.value.says(message),
        None => Diagnostic::new(message),
    };
    if NO_GIT.is_match(&said.words) {
        let message = format!("{name} comes from a git repository, and there is no git in this image");
        return Some(at(message).hint("choose an image that has git, or ask for a released version"));
    }
    let refused = said.words.contains("git ls-remote") || said.words.contains("git --no-replace-objects");
    let why = said.find(&REFUSED).filter(|_| refused)?.trim_end_matches('.');
    let hint = "check its URL, and whether it can be read without credentials";
    Some(at(format!("the repository of {name} cannot be read: {why}")).hint(hint))
}

/// The dependency whose repository was spoken of, or else the first that has one.
fn source<'a>(said: &'a Said<'_>) -> Option<&'a Dependency<'a>> {
    // https://docs.npmjs.com/cli/v11/using-npm/package-spec
    static GIT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:git[+:@]|github:|gitlab:|bitbucket:|gist:|\w+://\S+\.git(?:#|$)|[\w.-]+/[\w.-]+(?:#|$))",
        )
    });
    let dependencies = said.manifest.iter().flat_map(|manifest| &manifest.dependencies);
    let sources: Vec<_> = dependencies.filter(|wanted| GIT.is_match(&wanted.wanted)).collect();
    let path = |wanted: &str| {
        let end = wanted.rsplit_once('#').map_or(wanted, |(url, _)| url);
        end.rsplit([':', '@']).next().unwrap_or(end).trim_start_matches('/').to_owned()
    };
    let spoken_of = sources.iter().find(|source| said.words.contains(&path(&source.wanted)));
    spoken_of.or(sources.first()).copied()
}
