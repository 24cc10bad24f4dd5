//! Why a script failed that packages, or the function itself, run when they are installed.

use std::sync::LazyLock;

use regex::Regex;

use super::network;
use super::words::Said;
use crate::diagnostic::{Blame, Diagnostic, pattern};
use crate::native;

/// A script that was run.
#[derive(Debug, Default)]
struct Script {
    /// Whose it is.
    package: String,
    /// What was run.
    command: String,
    /// How it ended: `exit 3`, `SIGKILL`.
    end: String,
    /// What it printed.
    printed: String,
}

/// Says why the script of a package failed.
pub(super) fn of_packages(said: &Said<'_>) -> Vec<Diagnostic> {
    static IGNORED: LazyLock<Regex> = LazyLock::new(|| pattern(r"Ignored build scripts: ([^\n]+)"));
    if let Some(ignored) = said.find(&IGNORED) {
        let message = format!("pnpm may not run the scripts of {}", ignored.trim_end_matches('.'));
        let hint = "allow them in `onlyBuiltDependencies` (pnpm 10) or `allowBuilds` of pnpm-workspace.yaml";
        return vec![Diagnostic::new(message).hint(hint)];
    }
    if let Some(name) = own_among_them(said) {
        return own_said(said, name, &said.words);
    }
    let script = if said.tool == "npm" { npm(said) } else { pnpm(said) };
    let Some(script) = script else {
        return network::evidence(said).or_else(|| said.last_words()).into_iter().collect();
    };
    if let Some(platform) = platform(said, &script) {
        return vec![platform];
    }
    let Script { package, command, end, .. } = &script;
    let lack = native::lack(&script.printed);
    let hint = match lack {
        Some(_) => format!("choose an image that has it, or a version of {package} that need not be built"),
        None => format!("choose another version of {package}, or give its script what it asks for"),
    };
    let why = lack.or_else(|| telling(&script.printed)).map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!("{package} runs `{command}` when it is installed, which failed ({end}){why}");
    vec![said.at(package, message).hint(hint)]
}

/// Says why a script of the function's own failed.
pub(super) fn own(said: &Said<'_>, name: &str) -> Vec<Diagnostic> {
    own_said(said, name, &said.text)
}

fn own_said(said: &Said<'_>, name: &str, printed: &str) -> Vec<Diagnostic> {
    let script =
        said.manifest.iter().flat_map(|manifest| &manifest.scripts).find(|(script, _)| *script == name);
    let command = script.and_then(|(_, value)| value.get::<String>()).unwrap_or_default();
    let script_said =
        Script { package: String::new(), command, end: String::new(), printed: printed.to_owned() };
    if let Some(platform) = platform(said, &script_said) {
        return vec![platform];
    }
    let why = native::lack(printed).or_else(|| telling(printed)).map(|why| format!(": {why}"));
    let message = format!("the script `{name}` failed{}", why.unwrap_or_default());
    let found = script.map_or_else(|| Diagnostic::new(message.clone()), |(_, value)| value.says(&message));
    vec![found.hint(format!("try `{} run {name}` in a copy of the function as it is deployed", said.tool))]
}

/// The function's own script that failed when `npm rebuild` ran it with those of packages:
///     npm error path <deps>
///     npm error command failed
///     npm error command sh -c node build.js
fn own_among_them(said: &Said<'_>) -> Option<&'static str> {
    static OWN: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?m)^path <deps>$(?:\n.*)*?\n(?:signal \w+\n)?command sh -c (.*)$"));
    let command = said.find(&OWN)?;
    let mut scripts = said.manifest.iter().flat_map(|manifest| &manifest.scripts);
    let (name, _) = scripts.find(|(_, value)| value.get::<String>().as_deref() == Some(command))?;
    Some(name)
}

/// What speaks for the platform: the network that a script used, or memory.
fn platform(said: &Said<'_>, script: &Script) -> Option<Diagnostic> {
    if script.end == "SIGKILL" {
        let message = format!("the script `{}` of {} was killed", script.command, script.package);
        return Some(
            Diagnostic::new(message)
                .hint("most likely it ran out of memory: raise the memory limit of the build container")
                .blame(Blame::Platform),
        );
    }
    network::of(&script.printed, &script.printed, said)
}

/// npm tells of one script:
///     npm error code 3
///     npm error path <deps>/node_modules/scripted
///     npm error command failed
///     npm error command sh -c node setup.js
///     npm error setup.js: the words for "xx" are not there
fn npm(said: &Said<'_>) -> Option<Script> {
    static SCRIPT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?m)^path \S*?node_modules/(\S+)$(?:\n.*)*?\n(?:signal (\w+)\n)?command sh -c (.*)$")
    });
    let found = SCRIPT.captures(&said.words)?;
    let group = |at: usize| found.get(at).map_or("", |group| group.as_str());
    let end = match group(2) {
        "" => format!("exit {}", said.code.as_deref().unwrap_or_default()),
        signal => signal.to_owned(),
    };
    let package = group(1).rsplit_once("node_modules/").map_or(group(1), |(_, package)| package);
    Some(Script {
        package: package.to_owned(),
        command: group(3).to_owned(),
        end,
        printed: said.words[found.get(0)?.end()..].to_owned(),
    })
}

/// pnpm runs several at once; the one that failed has the last word:
///     .../scripted@1.0.0/node_modules/scripted postinstall$ node setup.js
///     .../scripted@1.0.0/node_modules/scripted postinstall: setup.js: the words for "xx" are not there
///     .../scripted@1.0.0/node_modules/scripted postinstall: Failed
///      ELIFECYCLE  Command failed with exit code 3.
///       ╰─▶ scripted@1.0.0 postinstall: `node setup.js` exited with exit status: 3
fn pnpm(said: &Said<'_>) -> Option<Script> {
    static LINE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?m)^(\S*node_modules/((?:@[^/\s]+/)?[^/\s]+) (?:pre|post)?(?:install|prepare))([$:]) ?(.*)$",
        )
    });
    static END: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"exit code (\d+)|exit status:\s+(\d+)|signal: \d+ \((\w+)\)"));
    let lines: Vec<_> = LINE.captures_iter(&said.text).collect();
    let prefix = lines.last()?.get(1)?.as_str();
    let mut script = Script { package: lines.last()?.get(2)?.as_str().to_owned(), ..Script::default() };
    for line in lines.iter().filter(|line| &line[1] == prefix) {
        match (&line[3], &line[4]) {
            ("$", command) => command.clone_into(&mut script.command),
            (_, "Failed") => {}
            (_, printed) => script.printed.extend([printed, "\n"]),
        }
    }
    let end = said.find(&END).unwrap_or("1");
    script.end = if end.starts_with("SIG") { end.to_owned() } else { format!("exit {end}") };
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
