//! The Python of the machine, and the packages that it makes for the registry.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The packages by the names of their files: `acmegreeting` is a wheel, `nosy` (looks around while it is
/// built) and `leaky` (says what it found, and fails) must be built.
pub(crate) static PACKAGES: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let python = PYTHON.as_deref().expect("only asked for where there is a Python");
    let output = Command::new(python)
        .args(["-I", "-c", include_str!("packages.py")])
        .output()
        .expect("Python runs");
    let made: BTreeMap<String, String> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    made.into_iter()
        .map(|(name, content)| (name, STANDARD.decode(content).expect("base64")))
        .collect()
});

/// The interpreter itself: what is on PATH may be a version manager's slow shim.
pub(crate) static PYTHON: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let asked = Command::new("python3")
        .args(["-c", "import pip, sys; print(sys.executable)"])
        .output()
        .ok()?;
    asked
        .status
        .success()
        .then(|| String::from_utf8_lossy(&asked.stdout).trim().into())
});

/// uv, if it is on PATH.
pub(crate) static UV: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join("uv"))
        .find(|file| file.is_file())
});

/// A tool's directory, or word that a test is skipped without it.
///
/// # Panics
/// Where `REQUIRE` lists Python and the tool is not there.
pub(crate) fn dir_of(tool: &'static LazyLock<Option<PathBuf>>, name: &str) -> Option<&'static Path> {
    let found = tool.as_deref().and_then(Path::parent);
    if found.is_none() {
        let required = env::var("REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|required| required == "python"),
            "REQUIRE={required} needs {name} on PATH"
        );
        eprintln!("SKIP python: {name} is not on PATH");
    }
    found
}
