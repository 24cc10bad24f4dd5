//! The fixture cases: their plans, the binary with tools that replay recordings, and with the real ones.

mod case;
mod expected;
mod go;
mod java;
mod language;
mod nodejs;
mod python;
mod room;
mod rust;
mod same;
mod tools;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;

use rustix::process::Signal;

use case::{Variant, cases};
use expected::{alike, differs, expected, same, steady};
use language::{Interpreter, LANGUAGES};
use room::{Ended, Room};
use tools::{Keep, keep, real, replaying};

use crate::support::http::call;
use crate::support::server::Server;

/// Rung 1.
#[test]
fn a_plan_says_what_would_run_and_touches_nothing() {
    for_each_case(|variant| {
        let room = replaying(variant);
        let before = room.listing();
        let ended = room.run("plan");
        let after = room.listing();
        let mut culprits = Vec::new();
        if before != after {
            culprits.push(format!("the plan touched something: {before:#?} {after:#?}"));
        }
        let file = variant.file("plan", ".txt");
        match ended.code {
            Some(0) => {
                // They change with whatever a result depends on, this program among it.
                let (keys, plan): (Vec<&str>, Vec<&str>) =
                    ended.stdout.split_inclusive('\n').partition(|line| line.starts_with("key       "));
                culprits.extend(same(&file, &plan.concat()));
                culprits.extend((keys.len() != 2).then(|| format!("keys: {keys:?}")));
                culprits.extend((!ended.stderr.is_empty()).then(|| format!("warns: {}", ended.stderr)));
            }
            code => {
                culprits.extend(file.exists().then(|| format!("there is no plan: {}", ended.stderr)));
                culprits.extend(ended_otherwise(variant, code, &ended));
                let message = expected(&variant.file("termination", ".txt"));
                let headline = message.lines().next().unwrap_or("a message");
                if !ended.stderr.contains(headline) {
                    culprits.push(format!("{headline:?} is not said: {}", ended.stderr));
                }
            }
        }
        culprits
    });
}

/// Rung 4.
#[test]
fn a_case_ends_as_recorded_tools_let_it() {
    for_each_case(|variant| {
        let room = replaying(variant);
        let ended = room.run("build");
        let mut culprits = Vec::new();
        culprits.extend(ended_otherwise(variant, ended.code, &ended));
        culprits.extend(same(&variant.file("termination", ".txt"), &steady(&ended.message)));
        if ended.code == Some(0) {
            culprits.extend(same(&variant.file("tree", ".txt"), &room.tree()));
        } else {
            culprits.extend(published(&room));
        }
        culprits
    });
}

/// Rung 5. `RECORD=1` keeps what the tools say, for rung 4.
#[test]
fn a_case_ends_in_the_same_way_with_the_real_tools() {
    let found: BTreeMap<&str, Interpreter> =
        LANGUAGES.iter().filter_map(|language| Some((language.id, language.interpreter()?))).collect();
    let mode = if std::env::var_os("RECORD").is_some() { Keep::Recordings } else { Keep::Nothing };
    for_each_case(|variant| {
        let interpreter = found.get(variant.language.id);
        let Some(room) = interpreter.and_then(|interpreter| real(variant, interpreter, mode)) else {
            return Vec::new();
        };
        let ended = room.run("build");
        let mut culprits = Vec::new();
        culprits.extend(ended_otherwise(variant, ended.code, &ended));
        if !culprits.is_empty() {
            return culprits;
        }
        if mode == Keep::Recordings {
            // The recorder passes on what a tool says when it has ended: nothing could be launched with it.
            keep(&room, variant);
            return culprits;
        }
        culprits.extend(alike(
            &variant.file("termination", ".txt"),
            &steady(&ended.message),
            variant.language,
        ));
        if ended.code == Some(0) {
            culprits.extend(differs(&variant.file("tree", ".txt"), &room.tree()));
            culprits.extend(answers(variant, room));
        } else {
            culprits.extend(published(&room));
        }
        culprits
    });
}

/// Runs a check for each case with each of its installers, two at a time, and shows all culprits at once.
fn for_each_case(check: impl Fn(Variant<'_>) -> Vec<String> + Sync) {
    let cases = cases();
    let pending = Mutex::new(cases.iter().flat_map(|(language, case)| case.variants(language)));
    let culprits = Mutex::new(String::new());
    let work = || {
        while let Some(variant) = { pending.lock().expect("the list").next() } {
            let found = catch_unwind(AssertUnwindSafe(|| check(variant)))
                .unwrap_or_else(|_| vec!["panicked: see above".to_owned()]);
            for culprit in found {
                let _ = write!(culprits.lock().expect("the list"), "\n{}: {culprit}", variant.name());
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let culprits = culprits.into_inner().expect("the list");
    assert!(culprits.is_empty(), "{culprits}");
}

/// The exit status, if it is not the case's.
fn ended_otherwise(variant: Variant<'_>, code: Option<i32>, ended: &Ended) -> Option<String> {
    (code != Some(variant.case.exit))
        .then(|| format!("ended with {code:?}, not {}: {}", variant.case.exit, ended.stderr))
}

/// What a failed build must not leave.
fn published(room: &Room) -> Option<String> {
    let link = room.path("volume/function");
    link.is_symlink().then(|| "a failed build was published".to_owned())
}

/// Launches what was built, and asks it what the case says; the answers that were wrong.
fn answers(variant: Variant<'_>, room: Room) -> Vec<String> {
    let mut command = room.command("launch");
    command.env("FUNC_PORT", "0").stderr(Stdio::piped());
    let server = Server::start((room.into_dir(), command));
    let mut culprits = Vec::new();
    for request in &variant.case.requests {
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let response = call(server.port, &request.method, &request.path, &headers, request.send.as_bytes());
        let body = response.text();
        let wanted = request.body.as_deref().unwrap_or(body);
        if (response.status, body) != (request.status, wanted) || !body.contains(&request.contains) {
            let (method, path) = (&request.method, &request.path);
            culprits.push(format!("{method} {path} is answered by {} {body:?}", response.status));
        }
        if let Some(said) = &request.log {
            server.wait_for(said);
        }
    }
    server.signal(Signal::TERM);
    let (status, log) = server.end();
    culprits.extend((!status.success()).then(|| format!("the server ended with {status}: {log}")));
    culprits
}
