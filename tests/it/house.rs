//! Holds the project to the rules of its architecture, each failure with the culprit's name.

mod bans;
mod elf;
mod manifests;
mod scan;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bans::trespasses;
pub(crate) use elf::needs_loader;
use manifests::{MAY_USE, direct_dependencies, forbidden, strange_keys, unshared};
use scan::names;

const MAX_LINES: usize = 600;
const MAX_LANGUAGE_LINES: usize = 400;
const MAX_BINARY: u64 = 10 << 20;

#[test]
fn what_a_room_must_not_touch_it_does_not_name() {
    let product = ["builders/src", "injector/src"];
    let files = files(&product).into_iter().filter(|(path, _)| is_rust(path) && !path.ends_with("/tests.rs"));
    let culprits: Vec<String> = files.flat_map(|(path, text)| trespasses(&path, &text)).collect();
    assert_none(&culprits);
}

#[test]
fn no_file_silences_a_lint_without_a_reason() {
    let files = files(&[
        "builders",
        "injector",
        "runtimes-config",
        "tests/it",
        "tests/fuzz/targets",
        "tests/xtask",
        "tests/faults",
    ]);
    let culprits: Vec<String> = files
        .iter()
        .filter(|(path, _)| is_rust(path))
        .flat_map(|(path, text)| lines_of("#[allow]", path, text))
        .map(|place| format!("{place} has an `allow`: write #[expect(…, reason = \"…\")]"))
        .collect();
    assert_none(&culprits);
}

#[test]
fn every_file_says_what_it_is_for_and_fits_in_one_reading() {
    let rooms = [
        "builders",
        "injector",
        "runtimes-config",
        "tests/it",
        "tests/fuzz/fuzz_targets",
        "tests/fuzz/targets",
        "tests/xtask",
        "tests/bench",
        "tests/fake-tools",
        "tests/faults",
    ];
    let files = files(&rooms);
    let culprits: Vec<String> =
        files.iter().filter(|(path, _)| is_rust(path)).flat_map(|(path, text)| shape(path, text)).collect();
    assert_none(&culprits);
}

#[test]
fn nothing_is_left_for_later() {
    let rooms =
        [".ci", "builders", "deploy", "examples", "injector", "runtimes-config", "tests/it", "tests/xtask"];
    let mut culprits = Vec::new();
    for (path, text) in files(&rooms) {
        culprits.extend(postponed(&path, &text));
    }
    assert_none(&culprits);
}

#[test]
fn every_language_has_its_four_rooms() {
    let rooms: Vec<(&str, BTreeSet<String>)> =
        ["runtimes-config", "builders/src/lang", "tests/fixtures", "tests/transcripts"]
            .map(|room| (room, stems(&root().join(room))))
            .into();
    assert_none(&homeless(&rooms));
}

#[test]
fn every_language_is_tried_shown_and_explained() {
    let languages = stems(&root().join("builders/src/lang"));
    let [harness, required] = ["tests/it/fixtures/language.rs", ".ci/run"].map(read);
    let required =
        required.lines().find(|line| line.starts_with("export REQUIRE=")).expect("it requires tools");
    let mut culprits = Vec::new();
    for id in &languages {
        let files = [
            format!("docs/{id}.md"),
            format!("deploy/{id}/deployment.yaml"),
            format!("deploy/{id}/pod.yaml"),
            format!("examples/{id}"),
            format!("tests/it/{id}_server.rs"),
            format!("tests/it/fixtures/{id}.rs"),
            format!("tests/fixtures/{id}/hello"),
            format!("tests/fixtures/{id}/syntax-error"),
        ];
        let absent = files.into_iter().filter(|path| !root().join(path).exists());
        culprits.extend(absent.map(|path| format!("{path} is not there: {id} is not whole without it")));
        if !harness.contains(&format!("&{}", id.to_uppercase())) {
            culprits
                .push(format!("LANGUAGES in tests/it/fixtures/language.rs lacks {id}: its cases never run"));
        }
        if !required.split(['=', ',']).any(|one| one == id) {
            culprits.push(format!("REQUIRE in .ci/run lacks {id}: its tests may be skipped"));
        }
    }
    assert_none(&culprits);
}

#[test]
fn documents_name_only_files_that_exist() {
    let mut culprits = Vec::new();
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"] {
        let text = read(document);
        let gone = paths_in(&text).filter(|path| !root().join(path).exists());
        culprits.extend(
            gone.map(|path| format!("{document} names {path}, which is not there: mend the document")),
        );
    }
    assert_none(&culprits);
}

#[test]
fn crates_use_only_what_the_architecture_grants_them() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo answers in JSON");
    let mut culprits = Vec::new();
    for (krate, granted) in MAY_USE {
        let used = direct_dependencies(&metadata, krate);
        assert!(!used.is_empty(), "cargo lists no dependencies of {krate}");
        for stranger in used.iter().filter(|used| !granted.contains(&used.as_str())) {
            culprits.push(format!(
                "{krate} uses {stranger}: do without, or grant it in MAY_USE of tests/it/house.rs"
            ));
        }
    }
    culprits.extend(forbidden(&read("deny.toml"), &read("Cargo.lock")));
    assert_none(&culprits);
}

#[test]
fn the_workspace_manifest_holds_only_what_crates_share() {
    let mut culprits = strange_keys(&read("Cargo.toml"));
    for member in ["builders", "injector", "tests/xtask"] {
        culprits.extend(unshared(&format!("{member}/Cargo.toml"), &read(&format!("{member}/Cargo.toml"))));
    }
    assert_none(&culprits);
}

#[test]
fn the_release_binary_is_small_static_and_needs_nothing_around_it() {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package", "injector"])
        .current_dir(root())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "cargo build --release: {status}");
    let profiles = Path::new(env!("CARGO_BIN_EXE_injector")).ancestors().nth(2).expect("target/<triple>");
    let binary = profiles.join("release/injector");
    let bytes = fs::read(&binary).expect("cargo leaves the binary beside that of the debug build");

    let size = bytes.len() as u64;
    assert!(size < MAX_BINARY, "the release binary has {size} bytes, {MAX_BINARY} are too many");
    assert_eq!(needs_loader(&bytes), Some(false), "{} is not static; is RUSTFLAGS set?", binary.display());

    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIP chroot: only root may");
        return;
    }
    let empty = tempfile::tempdir().expect("a directory");
    fs::copy(&binary, empty.path().join("injector")).expect("a copy");
    let output = Command::new("chroot").arg(empty.path()).args(["/injector", "--version"]).output();
    let output = output.expect("chroot is on PATH");
    let expected = concat!("injector ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "in an empty root: {output:?}");
}

fn lines_of(token: &str, path: &str, text: &str) -> Vec<String> {
    let names = names(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let found = names.iter().filter(|name| name.is(token));
    found.map(|name| format!("{path}:{}", name.line)).collect()
}

/// What is wrong with a file's first line and length.
fn shape(path: &str, text: &str) -> Vec<String> {
    let mut culprits = Vec::new();
    if !text.starts_with("//! ") {
        culprits.push(format!("{path} does not begin with a `//!` sentence: say what it is for"));
    }
    let is_language = path.starts_with("builders/src/lang/");
    let most = if is_language { MAX_LANGUAGE_LINES } else { MAX_LINES };
    let lines = text.lines().count();
    if lines > most {
        culprits
            .push(format!("{path} has {lines} lines, {most} are the most: split it where the topic changes"));
    }
    culprits
}

/// Lines that put work off.
fn postponed(path: &str, text: &str) -> Vec<String> {
    // In two halves each, so that this file does not accuse itself.
    const MARKS: [&str; 4] =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let lines = text.lines().enumerate();
    let marked = lines.filter(|(_, line)| MARKS.iter().any(|mark| line.contains(mark)));
    marked.map(|(index, line)| format!("{path}:{} puts work off: {}", index + 1, line.trim())).collect()
}

/// The paths from the root that a document quotes, but for those with a placeholder.
fn paths_in(document: &str) -> impl Iterator<Item = &str> {
    const ROOMS: [&str; 8] =
        [".cargo/", ".ci/", "builders/", "deploy/", "examples/", "injector/", "runtimes-config/", "tests/"];
    let quoted = document.split('`').skip(1).step_by(2);
    quoted.filter(|text| ROOMS.iter().any(|room| text.starts_with(room)) && !text.contains(['<', ' ', '*']))
}

/// Stems that are in one room and not in all.
fn homeless(rooms: &[(&str, BTreeSet<String>)]) -> Vec<String> {
    let all: BTreeSet<&String> = rooms.iter().flat_map(|(_, stems)| stems).collect();
    let mut culprits = Vec::new();
    for stem in all {
        for (room, _) in rooms.iter().filter(|(_, stems)| !stems.contains(stem)) {
            culprits.push(format!(
                "{stem} has no place in {room}/: add it, or take {stem} out of the other rooms"
            ));
        }
    }
    culprits
}

/// The languages that have a place in a room: its directories, and its files but for `mod.rs` and documents.
fn stems(room: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(room) else {
        return BTreeSet::new();
    };
    entries
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.is_dir() || is_rust(&path.to_string_lossy()) && !path.ends_with("mod.rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.replace('-', "_")))
        .collect()
}

fn assert_none(culprits: &[String]) {
    let list = culprits.iter().fold(String::new(), |mut list, culprit| {
        let _ = write!(list, "\n  {culprit}");
        list
    });
    assert!(culprits.is_empty(), "rules of ARCHITECTURE.md are broken:{list}");
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text files below the rooms, by path from the root; a room that does not exist yet has none.
fn files(rooms: &[&str]) -> Vec<(String, String)> {
    let below = |room: &&str| walkdir::WalkDir::new(root().join(room)).sort_by_file_name().into_iter();
    rooms
        .iter()
        .filter(|room| root().join(room).exists())
        .flat_map(below)
        .map(|entry| entry.expect("a directory entry").into_path())
        .filter(|path| path.is_file())
        .filter_map(|path| {
            let name = path.strip_prefix(root()).ok()?.to_str()?.to_owned();
            Some((name, fs::read_to_string(&path).ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_its_sentence_or_too_long_is_named() {
        let long = format!("//! Words.\n{}", "\n".repeat(400));
        assert_eq!(shape("injector/src/cli.rs", &long), [""; 0]);
        assert_eq!(shape("builders/src/lang/go.rs", &long).len(), 1);
        assert_eq!(shape("injector/src/cli.rs", &"\n".repeat(601)).len(), 2);
    }

    #[test]
    fn work_put_off_is_named() {
        let line = concat!("x();\n    // FIX", "ME: later\n");
        assert_eq!(postponed("a.py", line), [concat!("a.py:2 puts work off: // FIX", "ME: later")]);
        assert_eq!(postponed("a.py", "x();\n"), [""; 0]);
    }

    #[test]
    fn a_document_quotes_paths() {
        let document = "see `builders/src/lib.rs`, `builders/src/lang/<id>.rs` and `cargo xtask`";
        assert_eq!(paths_in(document).collect::<Vec<_>>(), ["builders/src/lib.rs"]);
    }

    #[test]
    fn a_language_without_one_of_its_rooms_is_named() {
        let set = |stems: &[&str]| stems.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let rooms = [("facts", set(&["go", "java"])), ("code", set(&["go"]))];
        let culprits = homeless(&rooms);
        assert_eq!(culprits.len(), 1, "{culprits:?}");
        assert!(culprits[0].starts_with("java has no place in code/"));
    }
}
