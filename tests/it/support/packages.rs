//! The packages that the registry serves, and uv.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::machine;

/// The packages by their paths: `acmegreeting` is a wheel, a package of npm's (with what the registry says of
/// it) and a crate (with what the index says of it), `nosy` (looks around while it is built or installed) and `leaky` (says what it found, and fails) run code.
pub(crate) static PACKAGES: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let python = machine::python().expect("only asked for where there is a Python");
    let output = Command::new(python.bin.join("python3"))
        .args(["-I", "-c", include_str!("packages.py")])
        .output()
        .expect("Python runs");
    let made: BTreeMap<String, String> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    made.into_iter().map(|(name, content)| (name, STANDARD.decode(content).expect("base64"))).collect()
});

/// A tool of a language, if it is on PATH.
pub(crate) fn tool(language: &str, name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    if found.is_none() {
        machine::skip(language, &format!("there is no {name} on PATH"));
    }
    found
}
