//! Go functions, built as users build them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, fs};

use super::machine::skip;

/// Where builds keep what they compile: a hundred packages of the standard library, once for all tests of a run.
pub(crate) fn kept() -> &'static Path {
    static KEPT: LazyLock<PathBuf> = LazyLock::new(|| fresh("go-kept"));
    &KEPT
}

/// A volume with the function that is the handler of `hello.go`, for one test program; `None` where there is no Go.
pub(crate) fn build(source: &str) -> Option<PathBuf> {
    if Command::new("go").arg("version").output().is_err() {
        skip("go", "there is no go on PATH");
        return None;
    }
    let room = fresh("go-function");
    let (function, volume) = (room.join("function"), room.join("volume"));
    fs::create_dir_all(&function).expect("a directory");
    fs::write(function.join("hello.go"), source).expect("a file");
    let mut build = Command::new(env!("CARGO_BIN_EXE_injector"));
    build.arg("build").arg(function).env_clear();
    build.env("PATH", env::var_os("PATH").unwrap_or_default());
    build.env("FUNC_HANDLER", "hello.Handler").env("INJECTOR_KEEP", kept());
    build.env("KUBELESS_INSTALL_VOLUME", &volume);
    build.env("INJECTOR_TERMINATION_LOG", room.join("termination"));
    let ended = build.output().expect("the binary runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Some(volume)
}

/// A directory of this run's, and of no run before.
fn fresh(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    dir
}
