//! What arrives is never whole in memory: `cargo xtask bench memory` shows the same of a gigabyte, with the release binary.

use super::pod_of;
use crate::support::archive::{Compression, file, tar, zip};
use crate::support::pod::{HELLO, Pod};
use crate::support::registry::Scheme;
use crate::support::site::{Answer, Site};

/// What a build may take beyond one of a small function, in KiB: a window of 8 MiB, and a little.
const MOST: u64 = 12 << 10;
/// How much arrives.
const SIZE: usize = 40 << 20;

/// As the stand-in of other tests, and says in the end how much memory its parent has taken at most.
const PYTHON: &str = r#"#!/bin/sh
case "$*" in
*check.py*) echo '{"errors":[],"handler":{"state":"defined","names":[]}}' ;;
*compile.py*) sed -n 's/^VmHWM:/peak/p' "/proc/$PPID/status" >&2 ;;
*) echo '{"version":"3.12.1","facts":{"abi":"a","libc":"glibc 2.36","arch":"x86_64","pip":"24"}}' ;;
esac
"#;

/// How much memory a build takes at most, in KiB.
#[track_caller]
fn peak(pod: &Pod) -> u64 {
    pod.tool("python3", PYTHON);
    let ended = pod.build();
    ended.expect(0, &["ready: "]);
    let peak = ended.stderr.lines().find_map(|line| line.split_once("peak")?.1.trim().strip_suffix(" kB"));
    peak.and_then(|peak| peak.trim().parse().ok()).unwrap_or_else(|| panic!("no peak: {}", ended.stderr))
}

/// How much memory a build of a small function takes.
fn least() -> u64 {
    let site = Site::with(zip(&[file("hello.py", HELLO)]));
    peak(&pod_of("url+zip").with("FUNC_URL", site.url("", "archive")))
}

#[test]
fn a_large_archive_takes_no_more_memory_than_its_window() {
    let least = least();
    let block = file("0.bin", vec![0; SIZE / 20]);
    let blocks = (0..20).map(|index| block.called(format!("{index}.bin")));
    let entries: Vec<_> = blocks.chain([file("hello.py", HELLO)]).collect();
    let tar = tar(&entries);
    let tars =
        Compression::ALL.map(|compression| (format!("{compression:?}"), compression.pack_widely(&tar)));
    for (what, archive) in tars.into_iter().chain([("zip".to_owned(), zip(&entries))]) {
        let site = Site::with(archive);
        let pod = pod_of("url+zip").with("FUNC_URL", site.url("", "archive"));
        let peak = peak(&pod.with("INJECTOR_MAX_RATIO", "1000000"));
        assert!(peak < least + MOST, "{what}: {peak} KiB, {least} KiB are for a small one");
    }
}

#[test]
fn a_large_download_takes_little_memory() {
    let site = Site::start(Scheme::Http, |_, _| Answer::Blanks(SIZE as u64));
    let (least, peak) = (least(), peak(&pod_of("url").with("FUNC_URL", site.url("", "hello.py"))));
    assert!(peak < least + MOST / 4, "{peak} KiB, {least} KiB are for a small one");
}

#[test]
fn a_window_that_takes_more_memory_is_refused_unless_it_is_allowed() {
    let tar = tar(&[file("hello.py", HELLO), file("data.bin", vec![0; 20 << 20])]);
    for compression in [Compression::Xz, Compression::Zstd] {
        let site = Site::with(compression.pack_with_window(&tar, 16 << 20));
        let mut pod = pod_of("url+compressedtar").with("FUNC_URL", site.url("", "archive"));
        let said =
            "the archive was compressed with a window of 16 MiB, and 8 MiB are allowed (INJECTOR_MAX_WINDOW)";
        pod.build()
            .expect(21, &["E21 survey failed: ", said, "hint: compress it with `xz -6` or `zstd -19`"]);
        pod.assert_empty();
        pod.set("INJECTOR_MAX_WINDOW", "16Mi");
        pod.build().expect(0, &["ready: "]);
    }
    let pod = pod_of("url+zip").with("INJECTOR_MAX_WINDOW", "256Mi");
    pod.build().expect(11, &["INJECTOR_MAX_WINDOW is \"256Mi\": more than 128 MiB is not supported"]);
}
