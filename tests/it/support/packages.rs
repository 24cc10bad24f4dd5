//! The packages that the registry serves, and uv.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::machine;

/// The packages by the names of their files: `acmegreeting` is a wheel, `nosy` (looks around while it is
/// built) and `leaky` (says what it found, and fails) must be built.
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

/// uv, if it is on PATH.
pub(crate) fn uv() -> Option<PathBuf> {
    let found = machine::on_path("uv");
    if found.is_none() {
        machine::skip("python", "there is no uv on PATH");
    }
    found
}
