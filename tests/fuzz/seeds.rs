//! Where fuzzing starts from: the files below `seeds/`, and what the project has anyway that a target can read.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The directory of everything about fuzzing.
pub(crate) fn room() -> PathBuf {
    tests().join("fuzz")
}

/// A seed: a name, and the bytes.
pub(crate) type Seed = (String, Vec<u8>);

/// A target's own seeds, among them whatever once broke its promise.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn own(target: &str) -> io::Result<Vec<Seed>> {
    read_below(&room().join("seeds").join(target))
}

/// What the project has for other reasons and a target can read.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn borrowed(target: &str) -> io::Result<Vec<Seed>> {
    match target {
        "diagnose" => recordings(),
        "manifests" => functions(),
        "runtime_toml" => descriptions(),
        _ => Ok(Vec::new()),
    }
}

/// The descriptions of all runtimes.
fn descriptions() -> io::Result<Vec<Seed>> {
    let files = read_below(&tests().join("../runtimes-config"))?.into_iter();
    let seeds = files.filter(|(path, _)| path.ends_with("/runtime.toml"));
    Ok(seeds.map(|(path, bytes)| (path.replace('/', "-"), bytes)).collect())
}

/// The recorded output of tools.
fn recordings() -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for (language, name, dir) in cases("transcripts")? {
        let mut seed = format!("{language}\n").into_bytes();
        for part in ["command", "status", "handler", "stdout", "stderr"] {
            if let Ok(bytes) = fs::read(dir.join(part)) {
                section(&mut seed, part, &bytes);
            }
        }
        for (path, bytes) in read_below(&dir.join("in"))? {
            section(&mut seed, &path, &bytes);
        }
        seeds.push((format!("{language}-{name}"), seed));
    }
    Ok(seeds)
}

/// The functions of the fixtures.
fn functions() -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for (language, name, dir) in cases("fixtures")? {
        let files = read_below(&dir.join("in"))?;
        if files.is_empty() {
            continue;
        }
        let case = fs::read_to_string(dir.join("case.toml")).unwrap_or_default();
        let handler = case.lines().find_map(|line| line.strip_prefix("handler = \"")?.strip_suffix('"'));
        let mut seed = format!("{language} {}\n", handler.unwrap_or("hello.handler")).into_bytes();
        for (path, bytes) in files {
            section(&mut seed, &path, &bytes);
        }
        seeds.push((format!("{language}-{name}"), seed));
    }
    Ok(seeds)
}

/// Adds a section as the targets read it.
fn section(seed: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    if seed.last() != Some(&b'\n') {
        seed.push(b'\n');
    }
    seed.extend_from_slice(format!("//- {name}\n").as_bytes());
    seed.extend_from_slice(bytes);
}

/// The directories of all languages in a room: language, name, and path of each.
fn cases(room: &str) -> io::Result<Vec<(String, String, PathBuf)>> {
    let room = tests().join(room);
    let mut cases = Vec::new();
    for language in names_in(&room)?.into_iter().filter(|name| room.join(name).is_dir()) {
        for name in names_in(&room.join(&language))? {
            let dir = room.join(&language).join(&name);
            if dir.is_dir() {
                cases.push((language.clone(), name, dir));
            }
        }
    }
    Ok(cases)
}

/// The files below a directory, by path from there; a directory that is not there has none.
fn read_below(dir: &Path) -> io::Result<Vec<Seed>> {
    let mut files = Vec::new();
    if !dir.is_dir() {
        return Ok(files);
    }
    for name in names_in(dir)? {
        let path = dir.join(&name);
        if path.is_dir() {
            let below = read_below(&path)?;
            files.extend(below.into_iter().map(|(rest, bytes)| (format!("{name}/{rest}"), bytes)));
        } else {
            files.push((name, fs::read(path)?));
        }
    }
    Ok(files)
}

/// The names in a directory, sorted.
fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// `tests/`.
fn tests() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut above = package.ancestors().map(|dir| dir.join("tests"));
    above.find(|dir| dir.join("fuzz/seeds").is_dir()).unwrap_or_default()
}
