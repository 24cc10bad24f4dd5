//! What the output of go and gofmt means, in the author's terms.

mod absent;
mod compile;
mod handler;
mod imports;
mod modules;
mod network;
mod places;
mod sums;

use self::places::Author;
use crate::Package;
use crate::diagnostic::{Blame, Diagnostic, Output};
use crate::function::Function;
use crate::located::located;
use crate::plan::Step;

/// Says what a failed step means, most important first.
pub(super) fn diagnose(step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic> {
    let said = &output.stderr;
    let author = Author::of(function);
    match step.name.as_str() {
        "check" => syntax(said),
        "fetch" => {
            let found = sums::mismatches(said, &author);
            let found =
                if found.is_empty() { network::evidence(output).into_iter().collect() } else { found };
            if found.is_empty() { modules::found(said, &author) } else { found }
        }
        "build" => machine(said).map_or_else(|| compile::found(said, &author), |found| vec![found]),
        _ => vec![Diagnostic::new("the binary cannot be read").blame(Blame::Ours)],
    }
}

/// What gofmt says. Of what it says about one place, that a semicolon is missing tells least.
fn syntax(said: &str) -> Vec<Diagnostic> {
    let mut found = located(said);
    let is_vague = |one: &Diagnostic| one.message.starts_with("expected ';'");
    for place in found.chunk_by_mut(|one, next| one.location == next.location) {
        place.sort_by_key(is_vague);
    }
    found
}

/// Trouble of the machine's that makes compilers say all kinds of things.
fn machine(said: &str) -> Option<Diagnostic> {
    // sync/atomic: write <scratch>/tmp/go-build1/b040/importcfg: no space left on device
    let full = ["no space left on device", "disk quota exceeded"];
    // go build net/http: /usr/local/go/pkg/tool/linux_amd64/compile: signal: killed
    // fatal error: runtime: out of memory
    // fork/exec /usr/local/go/pkg/tool/linux_amd64/compile: cannot allocate memory
    let memory =
        ["signal: killed", "out of memory", "cannot allocate memory", "failed to reserve page summary"];
    // ./hello.go:7:14: cannot use "out of memory" (untyped string constant) as int value
    let quotes = |line: &str| {
        line.split_once(".go:").is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let own: Vec<&str> = said.lines().filter(|line| !quotes(line)).collect();
    let has = |phrases: &[&str]| own.iter().any(|line| phrases.iter().any(|phrase| line.contains(phrase)));
    let (message, hint) = if has(&full) {
        ("no space is left to compile", "give the volumes of the build (function, tmp) more room")
    } else if has(&memory) {
        ("the compiler ran out of memory", "raise the memory limit of the build container")
    } else {
        return None;
    };
    Some(crate::network::platform(message, hint))
}

/// The modules of which the binary is made.
pub(super) fn packages(step: &Step, output: &Output) -> Vec<Package> {
    if step.name != "verify" {
        return Vec::new();
    }
    //     dep	github.com/sirupsen/logrus	v1.6.0	h1:UBcNElsrwanuuMsnGSlYmtmgbb23qDR5dG+6X6Oo89I=
    // What stands for a module follows in a line of its own; a directory has no version.
    let modules = output.stdout.lines().filter_map(|line| {
        let mut words = line.split('\t').skip(1);
        let kind = words.next().filter(|kind| matches!(*kind, "dep" | "=>"))?;
        Some((kind, words.next()?, words.next()?))
    });
    let mut found: Vec<Package> = Vec::new();
    for (kind, name, version) in modules {
        if kind == "=>" {
            found.pop();
        }
        if version != "(devel)" {
            found.push(Package { name: name.to_owned(), version: version.to_owned() });
        }
    }
    found
}
