//! Every way in which a function arrives, with the real binary: what is built of it, and what is refused.

mod content;
mod download;
mod files;
mod hostile;
mod memory;
mod serving;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use walkdir::WalkDir;

use crate::support::pod::{Pod, read};

/// Stands in for Python where a test is about files: whatever these are, nothing is wrong with them.
const PYTHON: &str = r#"#!/bin/sh
case "$*" in
*check.py*) echo '{"errors":[],"handler":{"state":"defined","names":[]}}' ;;
*compile.py*) ;;
*) echo '{"version":"3.12.1","facts":{"abi":"a","libc":"glibc 2.36","arch":"x86_64","pip":"24"}}' ;;
esac
"#;

/// A pod whose function is `hello.hello`, and nothing is mounted yet.
fn pod_of(content_type: &str) -> Pod {
    let pod = Pod::bare("/usr/bin:/bin");
    pod.tool("python3", PYTHON);
    pod.with("FUNC_HANDLER", "hello.hello").with("FUNC_CONTENT_TYPE", content_type)
}

/// Base64 as `base64` writes it, in lines.
fn base64(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    text.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line) + "\n").collect()
}

/// Mounts something.
fn mount(pod: &Pod, name: &str, content: impl AsRef<[u8]>) {
    let file = pod.dir("src").join(name);
    fs::create_dir_all(file.parent().expect("it is in the mount")).expect("a directory");
    fs::write(file, content).expect("written");
}

/// The published files of the function, each as `name: text`, with a `*` behind the name if it can be executed and
/// ` -> target` instead of the text if it is a link.
fn published(pod: &Pod) -> Vec<String> {
    let source = pod.function().join("source");
    let entries = WalkDir::new(&source).sort_by_file_name().into_iter().map(|entry| entry.expect("readable"));
    let files = entries.filter(|entry| !entry.file_type().is_dir());
    let shown = files.map(|entry| {
        let name = entry.path().strip_prefix(&source).expect("below").display().to_string();
        if entry.path_is_symlink() {
            return format!("{name} -> {}", fs::read_link(entry.path()).expect("a link").display());
        }
        let mode = entry.metadata().expect("there").permissions().mode();
        let star = if mode & 0o111 == 0 { "" } else { "*" };
        format!("{name}{star}: {}", read(entry.path()).trim_end())
    });
    shown.collect()
}
