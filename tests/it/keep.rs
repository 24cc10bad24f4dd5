//! `--keep`: what was resolved serves the next build of the same function, and never another one.

use std::fs;

use crate::support::pod::{Pod, names};

/// Installs a package of one file, which says what the function asked for, unless that is broken.
const PIP: &str = "grep -q broken @/src/requirements.txt && exit 1; cp @/src/requirements.txt @/volume/.injector/staging/deps/demo.txt; exit 0";

/// A pod that keeps, and how often its pip was called.
fn pod() -> Option<Pod> {
    let pod = Pod::fake_pip(PIP)?;
    let keep = pod.dir("keep").display().to_string();
    Some(pod.with("INJECTOR_KEEP", keep))
}

fn installed(pod: &Pod) -> usize {
    calls(pod, "pip")
}

/// How often a tool noted that it was called.
fn calls(pod: &Pod, tool: &str) -> usize {
    fs::read_to_string(pod.dir("calls")).map_or(0, |calls| calls.lines().filter(|line| *line == tool).count())
}

fn demo(pod: &Pod) -> String {
    fs::read_to_string(pod.function().join("deps/demo.txt")).expect("it was installed, or kept")
}

#[test]
fn what_was_resolved_is_not_resolved_again_until_something_changes() {
    let Some(pod) = pod() else { return };
    let first = pod.build();
    first.expect(0, &[]);
    let second = pod.build();
    second.expect(0, &[]);
    assert!(second.stderr.contains("kept from an earlier build"), "{}", second.stderr);
    assert_eq!((installed(&pod), demo(&pod).as_str()), (1, "demo\n"));

    // What code of dependencies leaves there does not meet the credentials of another resolving.
    fs::write(pod.dir("keep/kept/planted"), "by a build script").expect("written");
    pod.source("requirements.txt", "demo>1\n");
    pod.build().expect(0, &[]);
    assert_eq!((installed(&pod), demo(&pod).as_str()), (2, "demo>1\n"));
    assert_eq!(names(&pod.dir("keep/kept")), [""; 0]);
}

#[test]
fn what_was_resolved_from_one_index_does_not_serve_for_another() {
    let Some(mut pod) = pod() else { return };
    for index in ["https://one.example/simple", "https://two.example/simple"] {
        pod.set("PIP_INDEX_URL", index);
        pod.build().expect(0, &[]);
        pod.build().expect(0, &[]);
    }
    assert_eq!(installed(&pod), 2);
}

#[test]
fn what_is_kept_and_not_whole_is_made_anew() {
    let Some(pod) = pod() else { return };
    pod.build().expect(0, &[]);
    fs::write(pod.dir("keep/entry.json"), "{").expect("written");
    pod.build().expect(0, &[]);
    assert_eq!(installed(&pod), 2);
    fs::remove_dir_all(pod.dir("keep/deps")).expect("removed");
    pod.build().expect(0, &[]);
    assert_eq!((installed(&pod), demo(&pod).as_str()), (3, "demo\n"));
}

#[test]
fn a_failed_build_keeps_nothing() {
    let Some(pod) = Pod::fake_pip("exit 1") else { return };
    let pod = pod.with("INJECTOR_KEEP", "").with("INJECTOR_KEEP", "/proc/none");
    pod.build()
        .expect(42, &["E42 provision failed: the directory /proc/none is not usable", "INJECTOR_KEEP"]);
    let keep = pod.dir("keep").display().to_string();
    let pod = pod.with("INJECTOR_KEEP", keep);
    pod.build().expect(51, &[]);
    assert_eq!(names(&pod.dir("keep")), ["kept", "lock"]);
}

/// Else its dependencies would meet what the other build has left in `<kept>`.
#[test]
fn what_was_kept_is_void_as_soon_as_something_else_is_resolved() {
    let Some(pod) = pod() else { return };
    pod.build().expect(0, &[]);
    pod.source("requirements.txt", "broken\n");
    pod.build().expect(51, &[]);
    assert_eq!(names(&pod.dir("keep")), ["deps", "kept", "lock"]);
    pod.source("requirements.txt", "demo\n");
    pod.build().expect(0, &[]);
    assert_eq!(demo(&pod), "demo\n");
}

#[test]
fn a_tool_that_is_the_same_file_is_not_asked_again_what_it_is() {
    let Some(mut pod) = pod() else { return };
    let uv = |pod: &Pod, version: &str| {
        pod.tool("uv", &format!("#!/bin/sh\necho uv >>@/calls\necho uv {version}\n"));
    };
    uv(&pod, "0.13.9");
    for _ in 0..2 {
        pod.build().expect(0, &[]);
    }
    assert_eq!(calls(&pod, "uv"), 1);
    uv(&pod, "0.13.10");
    pod.build().expect(0, &[]);
    assert_eq!(calls(&pod, "uv"), 2);
    pod.set("UV_OFFLINE", "1");
    pod.build().expect(0, &[]);
    assert_eq!(calls(&pod, "uv"), 3, "another environment");
}

#[test]
fn what_is_kept_does_not_lie_on_the_volume() {
    let Some(pod) = pod() else { return };
    let inside = pod.dir("volume/keep").display().to_string();
    pod.with("INJECTOR_KEEP", inside).build().expect(42, &["lies in the shared volume", "INJECTOR_KEEP"]);
}
