//! What Maven says: much, of which one sentence matters. It says all of it on standard output.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::diagnostic::{Diagnostic, pattern};
use crate::lang::java::pom::Pom;

/// What ended Maven, most important first.
pub(super) fn diagnose(said: &str, pom: Option<&Pom<'_>>) -> Vec<Diagnostic> {
    let kinds = [compiler, artifacts, model, plugins, goal, last_words];
    kinds.iter().map(|kind| kind(said, pom)).find(|found| !found.is_empty()).unwrap_or_default()
}

/// The compiler's errors, which Maven says twice: once as they come, once as what made it fail.
fn compiler(said: &str, _: Option<&Pom<'_>>) -> Vec<Diagnostic> {
    // [ERROR] Hello.java:[6,33] ';' expected
    static ERROR: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^\[ERROR\] (?:<scratch>/project/)?(\S.*\.java):\[(\d+),(\d+)\] (?:error: )?(.*?)(?: -> \[Help 1\])?$",
        )
    });
    // [ERROR]   symbol:   variable nane
    static DETAIL: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:\[ERROR\])?\s{2,}(\S.*)$"));
    // [ERROR] Failed to execute goal … Fatal error compiling: error: release version 99 not supported -> [Help 1]
    static FATAL: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"Fatal error compiling: (?:error: )?(.*?)(?: -> \[Help 1\])?\n"));
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut lines = said.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(error) = ERROR.captures(line) else { continue };
        let mut details = Vec::new();
        while let Some(detail) = lines.peek().and_then(|line| DETAIL.captures(line)) {
            details.push(detail[1].to_owned());
            lines.next();
        }
        let message = super::javac::told(&error[4], details.iter().map(String::as_str));
        let error = Diagnostic::new(message).at(&error[1], error[2].parse().ok(), error[3].parse().ok());
        if !found.contains(&error) {
            found.push(error);
        }
    }
    if found.is_empty() {
        found.extend(FATAL.captures(said).map(|fatal| Diagnostic::new(fatal[1].to_owned())));
    }
    found
}

/// What no repository has.
fn artifacts(said: &str, pom: Option<&Pom<'_>>) -> Vec<Diagnostic> {
    // Could not find artifact joda-time:joda-time:jar:2.99.9 in central (https://registry.example/maven2)
    // … The following artifacts could not be resolved: com.example:nothing:jar:1, joda-time:joda-time:jar:2.99.9: …
    static MISSING: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:Could not find artifact|artifacts could not be resolved:|was not found in)((?: [\w.-]+(?::[\w.-]+){2,3}:[^\s:,]+(?: \(\w+\))?,?)+)",
        )
    });
    static ARTIFACT: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"([\w.-]+):([\w.-]+):[\w.-]+:(?:[\w.-]+:)?([^\s:,]+)"));
    static HOST: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"Could not find artifact \S+(?: \(\w+\))? in [\w.-]+ \(\w+://([^/\s)]+)"));
    // No versions available for joda-time:joda-time:jar:[99,) within specified range
    static RANGE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"No versions available for ([\w.-]+):([\w.-]+):\S*?:([\[(][^\s]*) within"));
    // Checksum validation failed, expected '000…' (REMOTE_EXTERNAL) but is actually '1b2…'
    static CHECKSUM: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"Could not transfer artifact ([\w.-]+):([\w.-]+):[\w.-]+:(?:[\w.-]+:)?([^\s:]+) from/to \S+ \(\S+\): Checksum validation failed",
        )
    });
    // Cannot access central (https://…) in offline mode and the artifact x:y:jar:1 has not been downloaded from it before.
    static OFFLINE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"in offline mode and the artifact ([\w.-]+):([\w.-]+):[\w.-]+:(?:[\w.-]+:)?([^\s:]+) has not been downloaded",
        )
    });
    let at = |found: &Captures<'_>, message: String| {
        let line = pom.and_then(|pom| Some((pom.path.as_str(), pom.line_of(&found[1], &found[2])?)));
        let said = Diagnostic::new(message);
        line.map_or(said.clone(), |(path, line)| said.at(path, Some(line), None))
    };
    let name = |found: &Captures<'_>| format!("{}:{}:{}", &found[1], &found[2], &found[3]);
    let mut seen = BTreeSet::new();
    if let Some(found) = CHECKSUM.captures(said) {
        let message = format!("{} is not what the repository's checksum says", name(&found));
        let hint =
            "try again; if it stays so, what lies in the repository or in a proxy before it was changed";
        return vec![at(&found, message).hint(hint)];
    }
    let place = HOST.captures(said).map_or(String::new(), |host| format!(" at {}", &host[1]));
    let missing = |found: Captures<'_>| {
        at(&found, format!("there is no {}{place}", name(&found)))
            .hint("check group, artifact and version, and whether it is in this repository")
    };
    let lists = MISSING.captures_iter(said).map(|list| list.get(1).map_or("", |list| list.as_str()));
    let all = lists.flat_map(|list| ARTIFACT.captures_iter(list));
    let found: Vec<_> = all.filter(|found| seen.insert(name(found))).map(missing).collect();
    if !found.is_empty() {
        return found;
    }
    if let Some(found) = RANGE.captures(said) {
        return vec![at(&found, format!("no version of {}:{} is in {}", &found[1], &found[2], &found[3]))];
    }
    let offline = |found: Captures<'_>| {
        at(&found, format!("{} was not brought in beforehand, and compiling is done offline", name(&found)))
            .hint("make it a dependency of the plugin in pom.xml, so that it is resolved with it")
    };
    OFFLINE.captures(said).map(offline).into_iter().collect()
}

/// What is wrong with the POM.
fn model(said: &str, pom: Option<&Pom<'_>>) -> Vec<Diagnostic> {
    // [ERROR] 'dependencies.dependency.version' for joda-time:joda-time:jar is missing. @ line 10, column 17
    // [FATAL] Non-resolvable parent POM for …: … and 'parent.relativePath' points at wrong local POM @ line 6, column 11
    // [ERROR] Malformed POM pom.xml: Unrecognised tag: 'dependencis' (position: START_TAG seen …) @ pom.xml, line 9, column 16
    static PROBLEM: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?m)^(?:\[\w+\]\s+(?:- )?){0,2}\[(?:ERROR|FATAL)\]\s+([^\s-].*?)\.? ?@ (?:[^\n]*, )?line (\d+), column (\d+)\s*$",
        )
    });
    // … Unrecognised tag: 'dependencis' @ pom.xml: ParseError at [row,col]:[9,3]
    static UNKNOWN: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?s)Unrecognised tag: '([^']+)'.*?(?:@(\d+):(\d+)\)|\[row,col\]:\[(\d+),(\d+)\])")
    });
    // 'dependencies.dependency.version' for groupId='joda-time', artifactId='joda-time', type='jar' is missing
    static VERSION: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^'dependencies\.dependency\.version' for (?:groupId=')?([\w.-]+)(?:', artifactId='|:)([\w.-]+)\S* .*is missing$|^'dependencies\.dependency\.version' for ([\w.-]+):([\w.-]+)\S* is missing$",
        )
    });
    // … must be a valid version but is '${joda.version}'
    static PROPERTY: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"must be a valid version but is '.*?\$\{([^}]+)\}.*'$"));
    let file = pom.map_or("pom.xml", |pom| pom.path.as_str());
    if let Some(found) = UNKNOWN.captures(said) {
        let mut numbers = found.iter().skip(2).flatten().map(|number| number.as_str().parse().ok());
        let said = Diagnostic::new(format!("Maven knows no element <{}> here", &found[1]));
        return vec![said.at(file, numbers.next().flatten(), numbers.next().flatten())];
    }
    let mut all: Vec<Diagnostic> = Vec::new();
    for found in PROBLEM.captures_iter(said) {
        let mut one =
            Diagnostic::new(found[1].to_owned()).at(file, found[2].parse().ok(), found[3].parse().ok());
        if let Some(named) = VERSION.captures(&found[1]) {
            let names: Vec<_> = named.iter().skip(1).flatten().map(|name| name.as_str()).collect();
            one.message = format!("{} has no version", names.join(":"));
            one = one.hint("write one, or import a BOM that has it in <dependencyManagement>");
        } else if let Some(named) = PROPERTY.captures(&found[1]) {
            one = one.hint(format!("define {} in <properties>", &named[1]));
        }
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// What is wrong with a plugin, before it runs.
fn plugins(said: &str, pom: Option<&Pom<'_>>) -> Vec<Diagnostic> {
    // [ERROR] Could not find goal 'x' in plugin org.apache.maven.plugins:maven-resources-plugin:3.3.1 among available goals …
    static GOAL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:Could not find goal '([^']+)' in plugin|Could not find plugin descriptor for) ([\w.-]+):([\w.-]+):(\S+)( among available goals [^\n]*?)?(?: -> \[Help 1\])?\n",
        )
    });
    let Some(found) = GOAL.captures(said) else { return Vec::new() };
    let goal = found.get(1).map_or("", |goal| goal.as_str());
    let message = format!("{}:{} has no goal `{goal}`", &found[3], &found[4]);
    let line = pom.and_then(|pom| Some((pom.path.as_str(), pom.line_of(&found[2], &found[3])?)));
    let mut one = Diagnostic::new(message);
    if let Some(goals) = found.get(5) {
        one = one
            .hint(format!("it has {}", goals.as_str().trim().trim_start_matches("among available goals ")));
    }
    vec![line.map_or(one.clone(), |(path, line)| one.at(path, Some(line), None))]
}

/// The goal that failed, in its own words.
fn goal(said: &str, pom: Option<&Pom<'_>>) -> Vec<Diagnostic> {
    // [ERROR] Failed to execute goal g:a:v:goal (id) on project hello: Some rule failed: …
    static FAILED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?s)\[ERROR\] Failed to execute goal ([\w.-]+):([\w.-]+):([\w.-]+):([\w-]+)(?: \([^)]*\))? on project [^:]+:\s*(.*?)(?: -> \[Help 1\]|\n\[ERROR\]\s*\n)",
        )
    });
    let Some(found) = FAILED.captures(said) else { return Vec::new() };
    // Compilation failure: Compilation failure:
    // [ERROR] Source option 5 is no longer supported. Use 7 or later.
    let words: Vec<&str> = found[5]
        .lines()
        .map(|line| line.trim_start_matches("[ERROR]").trim())
        .filter(|line| !line.replace("Compilation failure", "").trim_matches([':', ' ']).is_empty())
        .collect();
    let message = format!("{}:{} failed: {}", &found[2], &found[4], words.join("\n    "));
    let line = pom.and_then(|pom| Some((pom.path.as_str(), pom.line_of(&found[1], &found[2])?)));
    let mut one = Diagnostic::new(message);
    // Maven 3.8 takes maven-compiler-plugin 3.1 where the POM says nothing.
    if found[5].contains(" is no longer supported. Use ") {
        one = one.hint("write a newer one into maven.compiler.source and maven.compiler.target, in <properties>, or a newer version of maven-compiler-plugin");
    }
    vec![line.map_or(one.clone(), |(path, line)| one.at(path, Some(line), None))]
}

/// The first error, where nothing better is known.
fn last_words(said: &str, _: Option<&Pom<'_>>) -> Vec<Diagnostic> {
    // [ERROR] [ERROR] Project 'g:fn:1' is duplicated in the reactor @
    let errors = said.lines().filter(|line| line.starts_with("[ERROR]"));
    let preludes = ["Some problems", "The build could not read", "The project"];
    let first = errors
        .map(|line| line.replace("[ERROR]", "").trim().trim_end_matches(" @").to_owned())
        .find(|line| !line.is_empty() && !preludes.iter().any(|prelude| line.starts_with(prelude)));
    first.map(|line| Diagnostic::new(line.trim_end_matches(" -> [Help 1]"))).into_iter().collect()
}
