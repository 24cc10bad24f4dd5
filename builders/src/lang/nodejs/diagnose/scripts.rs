//! Why a script failed that packages, or the function itself, run when they are installed.

use std::sync::LazyLock;

use regex::Regex;

use super::network;
use super::words::Said;
use crate::diagnostic::{Diagnostic, pattern};
use crate::lang::nodejs::manifest::{Dependency, Kind};
use crate::native;

/// A script that was run.
#[derive(Debug, Default)]
struct Script {
    /// Whose it is; empty for the function's own.
    package: String,
    /// When it runs: `postinstall`.
    stage: String,
    /// What was run.
    command: String,
    /// How it ended: `exit 3`, `SIGKILL`.
    end: String,
    /// What it printed.
    printed: String,
}

/// Says why the scripts of packages failed.
pub(super) fn of_packages(said: &Said<'_>) -> Vec<Diagnostic> {
    static IGNORED: LazyLock<Regex> = LazyLock::new(|| pattern(r"Ignored build scripts: ([^\n]+)"));
    if let Some(ignored) = said.find(&IGNORED) {
        let message = format!("pnpm may not run the scripts of {}", ignored.trim_end_matches('.'));
        let hint = "allow them in pnpm-workspace.yaml: `pnpm approve-builds` writes what it needs";
        return vec![Diagnostic::new(message).hint(hint)];
    }
    if said.code.as_deref() == Some("ERR_PNPM_CONFIG_CONFLICT_FROZEN_STORE_WITH_FORCE") {
        let message = "pnpm does not run the function's own scripts with a store that is frozen";
        let hint = "leave `frozen-store` out, and mount a store that may be written";
        return vec![crate::network::platform(message, hint)];
    }
    let script = if said.tool == "npm" { npm(said) } else { pnpm(said) };
    match script {
        Some(script) => vec![failed(said, &script)],
        None => network::evidence(said).or_else(|| said.last_words()).into_iter().collect(),
    }
}

/// Says why a script of the function's own failed, which npm ran alone.
pub(super) fn own(said: &Said<'_>, stage: &str) -> Vec<Diagnostic> {
    let script = Script { stage: stage.to_owned(), printed: said.text.clone(), ..Script::default() };
    vec![failed(said, &script)]
}

fn failed(said: &Said<'_>, script: &Script) -> Diagnostic {
    let Script { package, stage, command, end, printed } = script;
    let runs = if package.is_empty() {
        format!("the function's script `{stage}`")
    } else {
        format!("{package} runs `{command}` when it is installed, which")
    };
    if end == "SIGKILL" {
        let hint = "most likely it ran out of memory: raise the memory limit of the build container";
        return crate::network::platform(format!("{runs} was killed"), hint);
    }
    if let Some(found) = network::of(printed, printed, said) {
        return Diagnostic { message: format!("{runs} failed: {}", found.message), ..found };
    }
    let lack = native::lack(printed);
    let hint = match (&lack, package.as_str()) {
        (_, "") => format!("try `{} run {stage}` in a copy of the function as it is deployed", said.tool),
        (Some(_), _) => {
            format!("choose an image that has it, or a version of {package} that need not be built")
        }
        (None, _) => format!("choose another version of {package}, or give its script what it asks for"),
    };
    let end = if end.is_empty() { String::new() } else { format!(" ({end})") };
    let why = lack.or_else(|| telling(printed)).map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!("{runs} failed{end}{why}");
    let own = said.manifest.iter().flat_map(|manifest| &manifest.scripts).find(|(name, _)| name == stage);
    match own {
        Some((_, value)) if package.is_empty() => value.says(message),
        _ => said.at(package, message),
    }
    .hint(hint)
}

/// npm tells of one script.
fn npm(said: &Said<'_>) -> Option<Script> {
    // npm error code 3
    // npm error path <deps>/node_modules/scripted
    // npm error command failed
    // npm error command sh -c node setup.js
    // npm error setup.js: the words for "xx" are not there
    // What is a part of the function has no `node_modules` in its path.
    static SCRIPT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?m)^path (?:\S*?node_modules/|<deps>/)(\S+)$(?:\n.*)*?\n(?:signal (\w+)\n)?command sh -c (.*)$",
        )
    });
    let found = SCRIPT.captures(&said.words)?;
    let group = |at: usize| found.get(at).map_or("", |group| group.as_str());
    let end = match group(2) {
        "" => format!("exit {}", said.code.as_deref().unwrap_or_default()),
        signal => signal.to_owned(),
    };
    let package = group(1).rsplit_once("node_modules/").map_or(group(1), |(_, package)| package);
    Some(Script {
        package: named(said, package),
        stage: String::new(),
        command: group(3).to_owned(),
        end,
        printed: said.words[found.get(0)?.end()..].to_owned(),
    })
}

/// The name by which the function asks for what lies in a directory of its own; of other packages, the directory is the name.
fn named(said: &Said<'_>, directory: &str) -> String {
    let is_it = |wanted: &&Dependency<'_>| match wanted.kind() {
        Kind::Local(path) => path.trim_start_matches("./").trim_end_matches('/') == directory,
        _ => false,
    };
    said.dependencies().find(is_it).map_or(directory, |wanted| wanted.name.as_str()).to_owned()
}

/// pnpm runs several at once; the one that failed has the last word. `.` is the function itself.
fn pnpm(said: &Said<'_>) -> Option<Script> {
    // .../scripted@1.0.0/node_modules/scripted postinstall$ node setup.js
    // .../scripted@1.0.0/node_modules/scripted postinstall: setup.js: the words for "xx" are not there
    // .../scripted@1.0.0/node_modules/scripted postinstall: Failed
    // ELIFECYCLE  Command failed with exit code 3.
    // ╰─▶ scripted@1.0.0 postinstall: `node setup.js` exited with exit status: 3
    static LINE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?m)^((\S+) ((?:pre|post)?(?:install|prepare|prepublish)))([$:]) ?(.*)$"));
    static END: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"exit code (\d+)|exit status:\s+(\d+)|signal: \d+ \((\w+)\)"));
    let lines: Vec<_> = LINE.captures_iter(&said.text).collect();
    let last = lines.last()?;
    let directory = last[2].rsplit_once("node_modules/").map_or(&last[2], |(_, package)| package);
    let package = if directory == "." { String::new() } else { named(said, directory) };
    let end = said.find(&END).unwrap_or("1");
    let mut script = Script {
        package,
        stage: last[3].to_owned(),
        end: if end.starts_with("SIG") { end.to_owned() } else { format!("exit {end}") },
        ..Script::default()
    };
    for line in lines.iter().filter(|line| line[1] == last[1]) {
        match (&line[4], &line[5]) {
            ("$", command) => command.clone_into(&mut script.command),
            (_, "Failed") => {}
            (_, printed) => script.printed.extend([printed, "\n"]),
        }
    }
    Some(script)
}

/// The line that tells most of what a script printed: the first that speaks of an error, or else the last.
fn telling(printed: &str) -> Option<String> {
    static ERROR: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?m)^(?:\w*Error|error|fatal error)(?: \[\w+\])?: .+$"));
    static BESIDES: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^\s*(?:at .*|Node\.js v\S+|Log files were not .*|A complete log .*|Command failed.*|[{}].*)?$|ELIFECYCLE|/_logs/",
        )
    });
    let error = ERROR.find(printed).map(|line| line.as_str());
    let last = || printed.lines().rev().find(|line| !BESIDES.is_match(line));
    let line = error.or_else(last)?;
    Some(line.trim().replace("<deps>/", "").chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_line_speaks_of_an_error() {
        assert_eq!(telling("a\nTypeError: b\nc\n"), Some("TypeError: b".to_owned()));
        assert_eq!(telling("a\nb\n    at c (d:1)\n\nNode.js v22.0.0\n"), Some("b".to_owned()));
        assert_eq!(telling("\n"), None);
    }
}
