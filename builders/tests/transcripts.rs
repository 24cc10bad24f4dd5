//! What real tools wrote when they failed, and what the diagnosers make of it.
//!
//! `UPDATE=1` rewrites what is expected. `tests/transcripts/<id>/README.md` says how a recording is made.

#![expect(clippy::disallowed_methods, reason = "a test may read files and the environment")]

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs, str};

use builders::diagnostic::{Blame, Diagnostic, Output};
use builders::function::{Function, Sha256, SourceFile};
use builders::plan::{Action, Capture, Credentials, Dir, Network, Run, Step};

#[test]
fn recorded_failures_are_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/transcripts/python");
    let update = env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(&root).expect("the recordings") {
        let dir = entry.expect("an entry").path();
        if !dir.is_dir() {
            continue;
        }
        count += 1;
        let expected = dir.join("expected.txt");
        let found = explain(&dir);
        if update {
            fs::write(&expected, &found).expect("expected.txt is written");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{}\nexpected:\n{expected}found:\n{found}", dir.display()));
        }
    }
    assert!(count > 60, "only {count} recordings were found");
    assert!(wrong.is_empty(), "UPDATE=1 accepts:\n{}", wrong.join("\n"));
}

/// What the builder says of one recording.
fn explain(dir: &Path) -> String {
    let read = |name: &str| fs::read_to_string(dir.join(name)).expect(name);
    let output = Output {
        status: Some(read("status").trim().parse().expect("a status")),
        stdout: read("stdout"),
        stderr: read("stderr"),
    };
    let name = dir.file_name().and_then(|name| name.to_str()).expect("a name");
    let tool = if name.starts_with("uv") { "uv" } else { "python" };
    let wheels = if name.ends_with("no-wheel") { ":all:" } else { "" };
    let step = Step {
        name: "install".to_owned(),
        why: String::new(),
        action: Action::Run(Run {
            tool: tool.to_owned(),
            args: vec![wheels.into()],
            env: BTreeMap::new(),
            cwd: Dir::Source.into(),
            capture: Capture::Ends,
            credentials: Credentials::Given,
        }),
        blame: Blame::Author,
        network: Network::Needed,
    };
    let builder = builders::builder("python").expect("the builder");
    let function = function(&[("requirements.txt", &read("requirements.txt"))]);
    let found = builder.diagnose(&step, &output, &function);
    found.iter().map(|one| render(one) + "\n").collect()
}

/// A diagnostic on one line, its details below it.
fn render(diagnostic: &Diagnostic) -> String {
    let hint = diagnostic.hint.as_deref().unwrap_or("-");
    let blame = diagnostic.blame.map_or_else(|| "-".to_owned(), |blame| format!("{blame:?}").to_lowercase());
    format!("{diagnostic}\n  | {hint}\n  | {blame}")
}

fn function(files: &[(&str, &str)]) -> Function {
    let file = |text: &str| SourceFile {
        size: text.len() as u64,
        sha256: Sha256([0; 32]),
        executable: false,
        text: Some(text.to_owned()),
    };
    let files = files.iter().map(|(path, text)| (path.parse().expect("a path"), file(text)));
    Function { files: files.collect(), ..Function::default() }
}
