//! Runs all tests, with the tools that they drive on PATH.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// The version of uv that tests drive.
pub(crate) const UV: &str = "0.13.9";
/// The version of pnpm that tests drive: the last that every supported Node.js from 18 on can run.
pub(crate) const PNPM: &str = "10.34.8";
/// The version of kubernetes-validate that judges manifests.
const KUBERNETES_VALIDATE: &str = "1.37.0";
/// The versions of Node.js that tests drive beside the machine's own.
const NODES: [&str; 5] = ["18.20.8", "20.20.2", "22.23.3", "24.21.0", "26.10.0"];

/// Runs `cargo test --workspace` with further arguments.
///
/// # Errors
/// When a tool that `REQUIRE` needs cannot be had, or a test fails.
pub(crate) fn run(args: &[OsString]) -> anyhow::Result<()> {
    available("podman", "images to test pods in", crate::containers::prepare())?;
    let uv = available("python", "uv", pip("uv", UV, &["--no-deps"]))?;
    let validate = pip("kubernetes-validate", KUBERNETES_VALIDATE, &[]);
    let validate = available("python", "kubernetes-validate", validate)?;
    let pnpm = available("nodejs", "pnpm", npm("pnpm", PNPM, "pnpm"))?;
    let package = format!("node-linux-{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" });
    let mut nodes = Vec::new();
    for version in NODES {
        let name = format!("Node.js {version}");
        nodes.extend(available("nodejs", &name, npm(&package, version, "node"))?);
    }
    // Last on PATH: whatever the machine has comes first.
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(env::split_paths(&path).chain([uv, validate, pnpm].into_iter().flatten()))?;
    let status = Command::new(env!("CARGO"))
        .args(["test", "--workspace"])
        .args(args)
        .env("PATH", path)
        .env("INJECTOR_TEST_NODES", env::join_paths(nodes)?)
        .current_dir(crate::root())
        .status()
        .context("cargo cannot be run")?;
    ensure!(status.success(), "tests failed");
    Ok(())
}

/// What was found; `None`, which is said, if it cannot be had and `REQUIRE` does not list what needs it.
fn available<T>(name: &str, tool: &str, found: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    let reason = match found {
        Ok(found) => return Ok(Some(found)),
        Err(reason) => reason,
    };
    let required = env::var("REQUIRE").unwrap_or_default();
    if required.split(',').any(|one| one == name) {
        bail!("REQUIRE={required} needs {tool}: {reason:#}");
    }
    eprintln!("SKIP {tool}: {reason:#}");
    Ok(None)
}

/// The directory that holds the program of a package from Python's index.
pub(crate) fn pip(package: &str, version: &str, flags: &[&str]) -> anyhow::Result<PathBuf> {
    // `--target` needs no virtual environment, which Debian's Python cannot make without a further package.
    installed(package, version, package, |home| {
        let mut command = Command::new("python3");
        command
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--only-binary=:all:", "--upgrade", "--target"])
            .arg(home)
            .args(flags)
            .arg(format!("{package}=={version}"));
        command
    })
}

/// The directory that holds a program of a package from npm's registry.
pub(crate) fn npm(package: &str, version: &str, program: &str) -> anyhow::Result<PathBuf> {
    installed(package, version, program, |home| {
        let mut command = Command::new("npm");
        command
            .args([
                "install",
                "--global",
                "--silent",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--prefix",
            ])
            .arg(home)
            .arg(format!("{package}@{version}"));
        command
    })
}

/// The directory that holds a program, brought there by an installer unless it already is.
pub(crate) fn installed(
    package: &str,
    version: &str,
    program: &str,
    installer: impl FnOnce(&Path) -> Command,
) -> anyhow::Result<PathBuf> {
    let home = crate::root().join(format!("target/tools/{package}-{version}"));
    let bin = home.join("bin");
    if !bin.join(program).exists() {
        let mut command = installer(&home);
        let output = command.stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("{} cannot be run", command.get_program().display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{package} cannot be installed: {}", said.trim());
    }
    bin.canonicalize().with_context(|| format!("{package} has no programs"))
}
