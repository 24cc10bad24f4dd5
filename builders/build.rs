//! Embeds `runtimes-config/`: a table of paths and texts, made anew when a file there changes.

#![expect(clippy::disallowed_methods, reason = "a build script reads files and says what it read")]
#![expect(clippy::unnecessary_debug_formatting, reason = "quotes and escapes make a path a literal")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or(io::ErrorKind::NotFound);
    let root = variable("CARGO_MANIFEST_DIR")?.join("../runtimes-config").canonicalize()?;
    let mut files = Vec::new();
    walk(&root, &mut files)?;
    files.sort();
    let mut table = String::from(
        "/// Path and text of each embedded file, by path.\npub static ASSETS: &[(&str, &str)] = &[\n",
    );
    for file in files {
        let name = file.strip_prefix(&root).map_err(io::Error::other)?;
        let _ = writeln!(table, "    ({name:?}, include_str!({file:?})),");
    }
    table.push_str("];\n");
    fs::write(variable("OUT_DIR")?.join("assets.rs"), table)
}

/// Collects the files below `dir` that belong to a runtime; directories count too, so that a new file is noticed.
fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", dir.display());
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("__pycache__") {
            walk(&path, files)?;
        } else if path.is_file() && !path.ends_with("README.md") {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
    Ok(())
}
