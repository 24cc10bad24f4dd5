//! Runs all tests, with the tools that they drive on PATH.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// The version of uv that tests drive.
const UV: &str = "0.13.9";
/// The version of kubernetes-validate that judges manifests.
const KUBERNETES_VALIDATE: &str = "1.37.0";

/// Runs `cargo test --workspace` with further arguments.
///
/// # Errors
/// When a tool that `REQUIRE` needs cannot be had, or a test fails.
pub(crate) fn run(args: &[OsString]) -> anyhow::Result<()> {
    let tools = [
        available("python", "uv", from_pypi("uv", UV, &["--no-deps"]))?,
        available(
            "python",
            "kubernetes-validate",
            from_pypi("kubernetes-validate", KUBERNETES_VALIDATE, &[]),
        )?,
    ];
    available("podman", "podman", crate::containers::prepare())?;
    // Last on PATH: whatever the machine has comes first.
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(env::split_paths(&path).chain(tools.into_iter().flatten()))?;
    let status = Command::new(env!("CARGO"))
        .args(["test", "--workspace"])
        .args(args)
        .env("PATH", path)
        .current_dir(crate::root())
        .status()
        .context("cargo cannot be run")?;
    ensure!(status.success(), "tests failed");
    Ok(())
}

/// What there is of a tool; that there is nothing fails if `REQUIRE` lists what it is for, and else is said.
fn available<T>(name: &str, tool: &str, found: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    if let Err(reason) = &found {
        let required = env::var("REQUIRE").unwrap_or_default();
        if required.split(',').any(|one| one == name) {
            bail!("REQUIRE={required} needs {tool}: {reason:#}");
        }
        eprintln!("SKIP {tool}: {reason:#}");
    }
    Ok(found.ok())
}

/// The directory that holds a package's programs, installed there unless they already are.
fn from_pypi(package: &str, version: &str, flags: &[&str]) -> anyhow::Result<PathBuf> {
    let home = crate::root().join(format!("target/tools/{package}-{version}"));
    let bin = home.join("bin");
    if !bin.join(package).exists() {
        // `--target` needs no virtual environment, which Debian's Python cannot make without a further package.
        let output = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--only-binary=:all:", "--upgrade", "--target"])
            .arg(&home)
            .args(flags)
            .arg(format!("{package}=={version}"))
            .stdin(Stdio::null())
            .output()
            .context("python3 cannot be run")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pip cannot install it: {}", said.trim());
    }
    bin.canonicalize().context("pip left no programs")
}
