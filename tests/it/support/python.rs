//! The Python interpreters of this machine, and our files for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::machine::skip;

/// `python3` on PATH, and of those in pyenv the oldest and the newest that we support.
///
/// Empty, with a line that says so, where there is none, unless `REQUIRE` names python.
pub(crate) fn interpreters() -> &'static [PathBuf] {
    static FOUND: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let mut installed: Vec<_> = fs::read_dir(home.join(".pyenv/versions"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| described(&entry.path().join("bin/python3")))
            .collect();
        installed.sort();
        let mut chosen: Vec<_> = described(Path::new("python3")).into_iter().collect();
        chosen.extend(installed.first().cloned());
        chosen.extend(installed.last().cloned());
        chosen.sort();
        chosen.dedup_by(|one, other| one.0 == other.0);
        if chosen.is_empty() {
            skip("python", "there is no python3 on PATH");
        }
        chosen.into_iter().map(|(_, path)| path).collect()
    })
}

/// An interpreter's version and its path, if it runs and is one that we support.
fn described(python: &Path) -> Option<((u32, u32), PathBuf)> {
    let script = "import sys; print(sys.version_info[0], sys.version_info[1], sys.executable)";
    let output = Command::new(python).args(["-I", "-c", script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut words = text.trim().splitn(3, ' ');
    let version = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let path = PathBuf::from(words.next()?);
    (version >= (3, 9)).then_some((version, path))
}

/// One of our Python files.
pub(crate) fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes-config/python").join(name)
}

/// A directory with these files.
pub(crate) fn tree(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, text) in files {
        put(&dir.path().join(path), text);
    }
    dir
}

/// Writes a file, with the directories above it.
pub(crate) fn put(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory is made");
    fs::write(path, text).expect("a file is written");
}

/// Runs an interpreter to its end.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(python: &Path, args: impl IntoIterator<Item = S>) -> Output {
    Command::new(python).args(args).output().expect("the interpreter runs")
}

/// What was printed, as JSON, with the exit status.
pub(crate) fn answer(output: &Output) -> (serde_json::Value, Option<i32>) {
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (json, output.status.code())
}
