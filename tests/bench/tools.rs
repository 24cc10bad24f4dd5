//! What is measured beside us: where it is, which version it has, and what is lacking.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::series::{timed, words};
use crate::test::{self, PNPM, UV};

/// The version of Bun that is measured.
const BUN: &str = "1.4.5";

/// What says which version a tool has.
const VERSIONS: [(&str, &[&str]); 9] = [
    ("python3", &["--version"]),
    ("uv", &["--version"]),
    ("node", &["--version"]),
    ("npm", &["--version"]),
    ("pnpm", &["--version"]),
    ("bun", &["--version"]),
    ("go", &["version"]),
    ("cargo", &["--version"]),
    ("mvn", &["--version"]),
];

/// Where tools are.
pub(super) struct Tools {
    path: OsString,
    python: PathBuf,
    installer: &'static str,
}

impl Tools {
    /// Brings in what can be had; what cannot, is said, and its rows say that it was not there.
    pub(super) fn find() -> anyhow::Result<Self> {
        // Not a script that picks one of several, which would be measured with it.
        let mut which = Command::new("python3");
        let output = which.args(["-c", "import sys; print(sys.executable)"]).output();
        let output = output.context("python3 cannot be run")?;
        ensure!(output.status.success(), "python3 does not say where it is");
        let python = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let mut path: Vec<PathBuf> = python.parent().map(PathBuf::from).into_iter().collect();
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let found = [
            ("uv", test::pip("uv", UV, &["--no-deps"])),
            ("pnpm", test::npm("pnpm", PNPM, "pnpm")),
            ("bun", bun()),
        ];
        let installer = if found[0].1.is_ok() { "uv" } else { "pip" };
        for (tool, found) in found {
            match found {
                Ok(bin) => path.push(bin),
                Err(reason) => eprintln!("{tool} cannot be had: {}", words(&reason)),
            }
        }
        Ok(Tools { path: env::join_paths(path)?, python, installer })
    }

    /// The directories of programs.
    pub(super) fn path(&self) -> &OsString {
        &self.path
    }

    /// The same, with another one before them.
    pub(super) fn path_after(&self, first: PathBuf) -> anyhow::Result<OsString> {
        Ok(env::join_paths(std::iter::once(first).chain(env::split_paths(&self.path)))?)
    }

    /// The quickest installer of Python's packages that is there.
    pub(super) fn installer(&self) -> &'static str {
        self.installer
    }

    /// The interpreter itself.
    pub(super) fn python(&self) -> &PathBuf {
        &self.python
    }

    /// What each says of its version.
    pub(super) fn versions(&self) -> BTreeMap<String, String> {
        let version = |(tool, args): (&str, &[&str])| {
            let output = Command::new(tool).args(args).env("PATH", &self.path).output().ok()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let number = said.split_whitespace().find(|word| word.contains('.'))?;
            let number = number.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_end_matches('.');
            let number: String = number.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            output.status.success().then_some((tool.to_owned(), number))
        };
        VERSIONS.into_iter().filter_map(version).collect()
    }
}

/// The directory that holds Bun: its package for this machine, without the script that would choose one.
fn bun() -> anyhow::Result<PathBuf> {
    let package = if cfg!(target_arch = "aarch64") { "bun-linux-aarch64" } else { "bun-linux-x64" };
    let home = crate::root().join(format!("target/tools/bun-{BUN}"));
    let bin = home.join(format!("lib/node_modules/@oven/{package}/bin"));
    if !bin.join("bun").exists() {
        fs::create_dir_all(&home)?;
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--global",
            "--silent",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefix",
        ]);
        timed(npm.arg(&home).arg(format!("@oven/{package}@{BUN}")))?;
    }
    Ok(bin.canonicalize()?)
}
