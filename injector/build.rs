//! Gives this program an identity: the digest of the sources that it is made of, so that no cache mistakes one for another.

#![expect(clippy::disallowed_methods, reason = "a build script reads files and says what it read")]

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use sha2::{Digest as _, Sha256};

fn main() -> io::Result<()> {
    let here = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    let workspace = here.join("..").canonicalize()?;
    let mut files = vec![workspace.join("Cargo.lock")];
    for part in ["injector/src", "builders/src", "runtimes-config"] {
        walk(&workspace.join(part), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.strip_prefix(&workspace).map_err(io::Error::other)?;
        for field in [name.as_os_str().as_encoded_bytes(), &fs::read(&file)?] {
            digest.update((field.len() as u64).to_le_bytes());
            digest.update(field);
        }
    }
    let first = digest.finalize().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    println!("cargo::rustc-env=INJECTOR_SOURCES={first:016x}");
    Ok(())
}

/// Collects the files below `dir`; directories count too, so that a new file is noticed.
fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", dir.display());
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("__pycache__") {
            walk(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
