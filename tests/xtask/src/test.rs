//! Runs all tests, with the tools that they drive on PATH.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// The version of uv that tests drive.
const UV: &str = "0.13.9";

/// Runs `cargo test --workspace` with further arguments.
///
/// # Errors
/// When a tool that `REQUIRE` needs cannot be had, or a test fails.
pub(crate) fn run(args: &[OsString]) -> anyhow::Result<()> {
    let tools = uv();
    if let Err(reason) = &tools {
        let required = env::var("REQUIRE").unwrap_or_default();
        if required.split(',').any(|name| name == "python") {
            bail!("REQUIRE={required} needs uv: {reason:#}");
        }
        eprintln!("SKIP uv: {reason:#}");
    }
    // Last on PATH: whatever the machine has comes first.
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(env::split_paths(&path).chain(tools.ok()))?;
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

/// The directory that holds uv, installed there unless it already is.
fn uv() -> anyhow::Result<PathBuf> {
    let home = crate::root().join(format!("target/tools/uv-{UV}"));
    let bin = home.join("bin");
    if !bin.join("uv").exists() {
        // `--target` needs no virtual environment, which Debian's Python cannot make without a further package.
        let output = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--only-binary=:all:", "--no-deps", "--upgrade", "--target"])
            .arg(&home)
            .arg(format!("uv=={UV}"))
            .stdin(Stdio::null())
            .output()
            .context("python3 cannot be run")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pip cannot install it: {}", said.trim());
    }
    bin.canonicalize().context("pip left no programs")
}
