//! What real tools wrote when they failed, and what the diagnosers make of it.
//!
//! `UPDATE=1` rewrites what is expected. `tests/transcripts/<id>/README.md` says how a recording is made.

#![expect(clippy::disallowed_methods, reason = "a test may read files and the environment")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use builders::diagnostic::{Diagnostic, Output};
use builders::function::{Function, RelPath, Sha256, SourceFile};
use builders::plan::Step;
use builders::{BUILDERS, Builder};

#[path = "recorded/step.rs"]
mod recorded;

#[test]
fn recorded_failures_are_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/transcripts");
    let update = env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for builder in BUILDERS {
        let recordings: Vec<_> =
            entries(&root.join(builder.id())).into_iter().filter(|path| path.is_dir()).collect();
        let count = recordings.len();
        assert!(count > 10, "only {count} recordings were found for {}", builder.id());
        for dir in recordings {
            let found = explain(*builder, &dir);
            let expected = dir.join("expected.txt");
            if update {
                fs::write(&expected, &found).expect("expected.txt is written");
            }
            let expected = fs::read_to_string(&expected).unwrap_or_default();
            if found != expected {
                wrong.push(format!("{}\nexpected:\n{expected}found:\n{found}", dir.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "UPDATE=1 accepts:\n{}", wrong.join("\n"));
}

/// What the builder says of one recording.
fn explain(builder: &dyn Builder, dir: &Path) -> String {
    let read = |name: &str| fs::read_to_string(dir.join(name)).expect(name);
    let output = Output {
        status: Some(read("status").trim().parse().expect("a status")),
        stdout: read("stdout"),
        stderr: read("stderr"),
    };
    let found = builder.diagnose(&step(&read("command")), &output, &function(&dir.join("in")));
    found.iter().map(|one| render(one) + "\n").collect()
}

/// The step whose name and command were recorded as `install: npm ci --omit=dev`.
fn step(command: &str) -> Step {
    let (name, command) = command.split_once(": ").expect("a step's name");
    assert!(!command.trim().is_empty(), "a tool");
    recorded::step(name, command)
}

/// A diagnostic on one line, its details below it.
fn render(diagnostic: &Diagnostic) -> String {
    let hint = diagnostic.hint.as_deref().unwrap_or("-");
    let blame = diagnostic.blame.map_or_else(|| "-".to_owned(), |blame| format!("{blame:?}").to_lowercase());
    format!("{diagnostic}\n  | {hint}\n  | {blame}")
}

/// The function whose files a directory holds; its handler stands beside that, where a tool's words are about it.
fn function(dir: &Path) -> Function {
    let files = below(dir).into_iter().map(|path| {
        let bytes = fs::read(&path).expect("a file");
        let name = path.strip_prefix(dir).ok().and_then(Path::to_str);
        let name: RelPath = name.expect("a name").parse().expect("a path");
        let (size, text) = (bytes.len() as u64, String::from_utf8(bytes).ok());
        (name, SourceFile { size, sha256: Sha256([0; 32]), executable: false, text })
    });
    let handler = fs::read_to_string(dir.with_file_name("handler")).ok();
    let handler = handler.map(|text| text.trim().parse().expect("a handler"));
    Function { files: files.collect(), handler, ..Function::default() }
}

fn below(dir: &Path) -> Vec<PathBuf> {
    // git keeps no directory of a case that is about no file.
    if !dir.exists() {
        return Vec::new();
    }
    let all = |path: PathBuf| if path.is_dir() { below(&path) } else { vec![path] };
    entries(dir).into_iter().flat_map(all).collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("the recordings");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}
