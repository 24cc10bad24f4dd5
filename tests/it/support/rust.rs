//! The Rust toolchain of this machine, and functions compiled with our server.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::machine::skip;
use super::server::Server;

/// The function that most tests call, and what it is compiled with: once for all tests.
const FUNCTION: &str = include_str!("function.rs");

/// One of the ways in which the function of the tests answers, as a program; `None` where there is no Rust.
fn program() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<(TempDir, PathBuf)>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let found = Command::new("rustc").arg("--version").stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            skip("rust", "there is no rustc on PATH");
            return None;
        }
        let room = tempfile::tempdir().expect("a directory");
        let program = compile(room.path(), FUNCTION);
        Some((room, program))
    });
    built.as_ref().map(|(_, program)| program.as_path())
}

/// The root of our crate.
pub(crate) fn server() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes-config/rust/server/src/lib.rs")
}

/// Compiles our crate and a `main` that serves with it.
fn compile(room: &Path, main: &str) -> PathBuf {
    let server = server();
    fs::write(room.join("main.rs"), main).expect("a file");
    let rustc = |arguments: &[&str], file: &Path| {
        let mut command = Command::new("rustc");
        command.args(["--edition", "2021", "--out-dir"]).arg(room).args(arguments).arg(file);
        let output = command.output().expect("rustc runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let denied = ["-D", "warnings", "-D", "missing-docs", "-D", "unsafe-op-in-unsafe-fn"];
    rustc(&[&["--crate-type", "rlib", "--crate-name", "kubeless"], &denied[..]].concat(), &server);
    let path = format!("kubeless={}", room.join("libkubeless.rlib").display());
    rustc(&["--extern", &path], &room.join("main.rs"));
    room.join("main")
}

/// The command that serves the function of the tests, `way` of answering; `None` where there is no Rust.
pub(crate) fn command(way: &str) -> Option<(TempDir, Command)> {
    let mut command = Command::new(program()?);
    command.arg(way).env_clear().env("FUNC_PORT", "0").stdin(Stdio::null()).stderr(Stdio::piped());
    Some((tempfile::tempdir().expect("a directory"), command))
}

/// Serves the function of the tests, `way` of answering; `None` where there is no Rust.
pub(crate) fn serve(way: &str) -> Option<Server> {
    command(way).map(Server::start)
}
