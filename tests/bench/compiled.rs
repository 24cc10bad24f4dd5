//! Cold builds of compiled languages beside their tools alone (P6), and a build after an edit of the handler (P8).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::{Room, median, row, timed};

/// Rounds of cold builds, and of builds after an edit.
const ROUNDS: (usize, usize) = (3, 9);
/// What is edited: a text that the handler holds, in the function and in the project without us.
const EDITED: &str = "edit 0";

/// A language, with a function and the project that one would have without us: both have the same handler and the
/// same dependencies.
struct Subject {
    language: &'static str,
    /// The handler's file in the function, and in the project.
    handler: [&'static str; 2],
    /// The tools that one would run in the project.
    tools: &'static [Tool],
}

/// A command that builds the project.
struct Tool {
    name: &'static str,
    /// What it runs with caches of its own, in the given directory.
    command: fn(&Path) -> Command,
    /// The goal of a cold build; `None` if it builds after another tool only.
    cold: Option<&'static str>,
    /// The goal of a build after an edit.
    edit: &'static str,
}

const SUBJECTS: [Subject; 3] = [
    Subject {
        language: "go",
        handler: ["hello.go", "hello.go"],
        tools: &[Tool { name: "go build", command: go, cold: Some("1.05 x"), edit: "0.70 x" }],
    },
    Subject {
        language: "rust",
        handler: ["src/lib.rs", "src/hello.rs"],
        tools: &[Tool {
            name: "cargo build --release",
            command: cargo,
            cold: Some("1.05 x"),
            edit: "0.25 x",
        }],
    },
    Subject {
        language: "java",
        handler: ["Hello.java", "src/main/java/Hello.java"],
        tools: &[
            Tool { name: "mvn package", command: maven, cold: Some("1.05 x"), edit: "0.20 x" },
            Tool { name: "javac", command: javac, cold: None, edit: "0.60 x" },
        ],
    },
];

/// Prints the rows.
pub(super) fn rows(binary: &Path, room: &Room, only: Option<&str>) -> anyhow::Result<()> {
    for subject in SUBJECTS.iter().filter(|subject| only.is_none_or(|only| only == subject.language)) {
        cold(binary, room, subject)?;
        edit(binary, room, subject)?;
    }
    Ok(())
}

/// With nothing cached, downloads included.
fn cold(binary: &Path, room: &Room, subject: &Subject) -> anyhow::Result<()> {
    let language = subject.language;
    for tool in subject.tools {
        let Some(goal) = tool.cold else { continue };
        let (mut ratios, mut extras) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS.0 {
            let project = project(room, subject, &format!("{language}-alone"), round)?;
            let alone = timed(&mut (tool.command)(&project))?.0.as_secs_f64();
            let whole = timed(&mut build(binary, &source(language), &room.fresh(language, round)))?.0;
            ratios.push(whole.as_secs_f64() / alone);
            extras.push(whole.as_secs_f64() - alone);
        }
        let (ratio, extra) = (median(ratios), median(extras));
        row(&format!("P6 {language}: cold build / {}", tool.name), &format!("{ratio:.2} x"), goal);
        row("   the difference", &format!("{extra:.2} s"), "-");
    }
    Ok(())
}

/// After an edit of the handler, with all kept that was made of dependencies.
fn edit(binary: &Path, room: &Room, subject: &Subject) -> anyhow::Result<()> {
    let language = subject.language;
    let function = room.fresh(&format!("{language}-function"), 0);
    copy(&source(language), &function)?;
    let project = project(room, subject, &format!("{language}-edited"), 0)?;
    let keep = room.fresh(&format!("{language}-keep"), 0);
    let ours = |round| {
        let mut build = build(binary, &function, &room.fresh(&format!("{language}-edit"), round));
        build.arg("--keep").arg(&keep);
        build
    };
    timed(&mut ours(0))?;
    for tool in subject.tools {
        timed(&mut (tool.command)(&project))?;
    }
    let mut times = vec![Vec::new(); subject.tools.len()];
    for round in 1..=ROUNDS.1 {
        change(&function.join(subject.handler[0]), round)?;
        change(&project.join(subject.handler[1]), round)?;
        let ours = timed(&mut ours(round))?.0.as_secs_f64();
        for (tool, ratios) in subject.tools.iter().zip(&mut times) {
            ratios.push(ours / timed(&mut (tool.command)(&project))?.0.as_secs_f64());
        }
    }
    for (tool, ratios) in subject.tools.iter().zip(times) {
        let what = format!("P8 {language}: edited handler / {}, warm", tool.name);
        row(&what, &format!("{:.2} x", median(ratios)), tool.edit);
    }
    Ok(())
}

/// The function that is built.
fn source(language: &str) -> PathBuf {
    crate::root().join("tests/bench/functions").join(language)
}

fn build(binary: &Path, function: &Path, volume: &Path) -> Command {
    let mut build = Command::new(binary);
    build.arg("build").arg(function).arg("--volume").arg(volume);
    build
}

/// The project without us, in a new directory: its own files, and those that it shares with the function.
fn project(room: &Room, subject: &Subject, name: &str, round: usize) -> anyhow::Result<PathBuf> {
    let project = room.fresh(name, round);
    copy(&crate::root().join("tests/bench/alone").join(subject.language), &project)?;
    Ok(project)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    timed(Command::new("cp").arg("-r").arg(from).arg(to)).map(|_| ())
}

/// Puts another number into the edited text.
fn change(file: &Path, round: usize) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let stem = EDITED.trim_end_matches('0');
    let start =
        text.find(stem).with_context(|| format!("{} holds no {stem:?}", file.display()))? + stem.len();
    let rest = text[start..].trim_start_matches(|c: char| c.is_ascii_digit());
    fs::write(file, format!("{}{round}{rest}", &text[..start]))?;
    Ok(())
}

fn go(project: &Path) -> Command {
    let mut go = Command::new("go");
    go.args(["build", "-o", "server", "."]).current_dir(project);
    go.env("CGO_ENABLED", "0").env("GOFLAGS", "-buildvcs=false");
    go.env("GOCACHE", project.join("cache")).env("GOMODCACHE", project.join("modules"));
    go
}

fn cargo(project: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release"]).current_dir(project);
    cargo.env("CARGO_HOME", project.join("cargo")).env_remove("CARGO_TARGET_DIR");
    cargo
}

/// Online as one would run it; with all at hand it asks nobody.
fn maven(project: &Path) -> Command {
    let mut maven = Command::new("mvn");
    maven.args(["-B", "-q", "package"]).arg(format!("-Dmaven.repo.local={}", project.join("m2").display()));
    maven.current_dir(project);
    maven
}

/// With the class path that Maven has brought in.
fn javac(project: &Path) -> Command {
    let mut javac = Command::new("javac");
    javac.args(["-d", "classes", "-cp", "target/deps/*"]);
    javac.args(["src/main/java/Hello.java", "src/main/java/Main.java"]).current_dir(project);
    javac
}
