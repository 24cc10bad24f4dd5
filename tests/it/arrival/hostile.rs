//! Archives that are out for harm: nothing of them stays, and nothing around them changes.

use std::collections::BTreeMap;
use std::fs::{self, FileType};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::process::Signal;
use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use super::{base64, mount, pod_of, published};
use crate::support::archive::{
    Compression, Entry, device, directory, disk, fifo, file, hard_link, link, many_in_gzip, tar, zip,
};
use crate::support::machine::{Mounted, STRANGER, is_root};
use crate::support::pod::{HELLO, Pod, names, until};
use crate::support::site::{Answer, Site};

/// A pod with a mounted archive, its temporary directories in two places, and a directory beside them that is none of
/// anybody's business.
fn pod_with(archive: &[u8]) -> Pod {
    let pod = pod_of("base64+compressedtar");
    mount(&pod, "hello", base64(archive));
    mount(&pod, "../sibling/precious", "precious");
    mount(&pod, "../scratch/.keep", "");
    let scratch = pod.dir("scratch").display().to_string();
    pod.with("INJECTOR_SCRATCH", scratch)
}

/// All that is in and around a pod: kind, mode, size, time and digest. Left out are what each run writes, and the times
/// of directories in which it makes and removes its own.
fn listing(pod: &Pod) -> BTreeMap<String, String> {
    let home = pod.dir("");
    let own = |path: &str| path.starts_with("run-") || path == "volume/.injector/report.json";
    let busy = ["", "scratch", "tmp", "volume", "volume/.injector"];
    let entries = WalkDir::new(&home).into_iter().map(|entry| entry.expect("readable"));
    let listed = entries.filter_map(|entry| {
        let path = entry.path().strip_prefix(&home).expect("below").display().to_string();
        if own(&path) {
            return None;
        }
        let metadata = entry.path().symlink_metadata().expect("there");
        let kind = metadata.file_type();
        let held = if kind.is_file() {
            format!("{:x?}", Sha256::digest(fs::read(entry.path()).expect("readable")))
        } else if kind.is_symlink() {
            fs::read_link(entry.path()).expect("a link").display().to_string()
        } else {
            String::new()
        };
        let is_busy = busy.contains(&&*path) || path == "volume/.injector/lock";
        let time = if is_busy { (0, 0) } else { (metadata.mtime(), metadata.mtime_nsec()) };
        let size = if kind.is_dir() { 0 } else { metadata.len() };
        Some((path, format!("{} {:o} {size} {time:?} {held}", name_of(kind), metadata.mode())))
    });
    listed.collect()
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_file() => "file",
        kind if kind.is_dir() => "directory",
        kind if kind.is_symlink() => "link",
        kind if kind.is_fifo() => "FIFO",
        _ => "special",
    }
}

/// Asserts that an archive is refused with these words, and that nothing is left of it anywhere.
#[track_caller]
fn assert_refused(pod: &Pod, said: &[&str]) {
    // What a first run makes on the volume is there before.
    mount(pod, "../volume/.injector/lock", "");
    let before = listing(pod);
    let ended = pod.build();
    let code = ended.code;
    assert_eq!(code, Some(21), "{said:?}: {}", ended.stderr);
    ended.expect(21, &[&["E21 survey failed: ", "hint: "], said].concat());
    assert_eq!(listing(pod), before, "{said:?}");
}

/// What is refused of tar and of zip alike: the entries, and what is said.
fn cases(outside: &Path) -> Vec<(Vec<Entry>, &'static str)> {
    let absolute = outside.join("evil").display().to_string();
    let outside = outside.display().to_string();
    let deep = "d/".repeat(65) + "x.py";
    let long = "n".repeat(256);
    vec![
        (vec![file("../evil.py", "x")], "../evil.py has `..` in its path"),
        (vec![file("lib/../../sibling/precious", "x")], "has `..` in its path"),
        (vec![file(&absolute, "x")], "/sibling/evil has an absolute path"),
        (
            vec![link("out", "../../../sibling")],
            "out is a link to \"../../../sibling\", which is not part of",
        ),
        (vec![link("out", &outside)], "an absolute path"),
        (
            vec![directory("lib"), link("lib/top", ".."), link("lib/out", "top/../x"), link("x", "hello.py")],
            "which is not part of the archive",
        ),
        (
            vec![directory("real"), link("lib", "real"), file("lib/evil.py", "x")],
            "lib/evil.py lies beneath lib, which is a link",
        ),
        (vec![link("gone", "nothing/there")], "gone is a link to \"nothing/there\", which leads to nothing"),
        (vec![link("a", "b"), link("b", "a")], "a is a link to \"b\", which leads to nothing"),
        (vec![fifo("pipe")], "pipe is a FIFO"),
        (vec![device("null")], "null is a character device"),
        (vec![disk("sda")], "sda is a block device"),
        (vec![file("tool", "x").mode(0o4755)], "tool is setuid"),
        (vec![file("tool", "x").mode(0o2755)], "tool is setgid"),
        (vec![file("twice", "x"), file("twice", "y")], "twice is in the archive more than once"),
        (vec![file("a", "x"), file("a/b", "y")], "a/b lies beneath a, which is a file"),
        (vec![file(b"caf\xe9.py", "x")], "has a name that is not UTF-8"),
        (vec![file("bell\u{7}.py", "x")], "has a control character in its name"),
        (vec![file(&deep, "x")], "lies 65 directories deep, and 64 are allowed (INJECTOR_MAX_DEPTH)"),
        (vec![file(&long, "x")], "has a name of 256 bytes in its path, and 255 are allowed"),
    ]
}

#[test]
fn a_hostile_archive_leaves_nothing_and_says_which_entry_it_was() {
    for made in [tar, zip] as [fn(&[Entry]) -> Vec<u8>; 2] {
        // Before and after a part that is as it should be.
        for honest_first in [true, false] {
            let probe = pod_with(b"");
            for (mut entries, said) in cases(&probe.dir("sibling")) {
                let at = if honest_first { 0 } else { entries.len() };
                entries.insert(at, file("hello.py", HELLO));
                mount(&probe, "hello", base64(&made(&entries)));
                assert_refused(&probe, &["hello: ", said]);
            }
        }
    }
}

#[test]
fn a_zip_that_is_made_with_backslashes_is_told_so() {
    let entries = [file("hello.py", HELLO), file("lib\\evil.py", "x")];
    let hint = "hint: pack it with a program that writes `/`";
    assert_refused(&pod_with(&zip(&entries)), &["lib\\evil.py has a backslash in its name", hint]);
}

#[test]
fn a_hard_link_leads_to_an_earlier_file_of_the_archive_or_nowhere() {
    for (entries, said) in [
        (vec![hard_link("out", "../../../sibling/precious")], "out is a hard link to"),
        (vec![hard_link("out", "/etc/passwd")], "out is a hard link to \"/etc/passwd\""),
        (
            vec![hard_link("early", "hello.py"), file("hello.py", HELLO)],
            "early is a hard link to \"hello.py\"",
        ),
        (
            vec![file("hello.py", HELLO), link("a", "hello.py"), hard_link("b", "a")],
            "b is a hard link to \"a\"",
        ),
    ] {
        for compression in [Compression::None, Compression::Gzip] {
            assert_refused(
                &pod_with(&compression.pack(&tar(&entries))),
                &[said, "no earlier file of the archive"],
            );
        }
    }
}

#[test]
fn an_archive_that_is_cut_or_damaged_leaves_nothing() {
    let entries = [file("hello.py", HELLO), file("data", "0123456789".repeat(10_000))];
    for compression in Compression::ALL {
        let whole = compression.pack(&tar(&entries));
        assert_refused(&pod_with(&whole[..whole.len() / 2]), &["is broken: "]);
    }
    let zip = zip(&entries);
    assert_refused(&pod_with(&zip[..zip.len() / 2]), &["hello: "]);
    // A bit of the compressed content.
    for mut whole in [Compression::Gzip.pack(&tar(&entries)), Compression::Zstd.pack(&tar(&entries)), zip] {
        let middle = whole.len() / 2;
        whole[middle] ^= 0x10;
        assert_refused(&pod_with(&whole), &["hello: "]);
    }
}

#[test]
fn what_an_archive_may_cost_is_limited_by_flags_and_variables() {
    let entries: Vec<_> = (0..20).map(|index| file(format!("lib/{index}.py"), "x".repeat(1000))).collect();
    let many = [&entries[..], &[file("a/b/c/hello.py", HELLO)]].concat();
    for archive in [Compression::Gzip.pack(&tar(&many)), zip(&many)] {
        for (variable, value, said) in [
            ("INJECTOR_MAX_ENTRIES", "10", "is one more than the 10 entries that are allowed"),
            ("INJECTOR_MAX_UNPACKED", "8Ki", "makes the archive unpack to more than 8 KiB"),
            ("INJECTOR_MAX_DEPTH", "2", "a/b/c/hello.py lies 3 directories deep, and 2 are allowed"),
        ] {
            assert_refused(&pod_with(&archive).with(variable, value), &[said, variable]);
            let flag = format!("--{}", variable["INJECTOR_".len()..].to_lowercase().replace('_', "-"));
            let flagged = pod_with(&archive).run(&["build", &flag, value]);
            flagged.expect(21, &[said]);
        }
    }
}

#[test]
fn what_is_honest_in_an_archive_is_kept() {
    let entries = [
        file("hello.py", HELLO),
        directory("lib").mode(0o3777),
        directory("lib"),
        file("lib/tool", "#!/bin/sh\n").mode(0o700),
        link("lib/up", "../hello.py"),
        link("again", "lib/up"),
        link("folder", "lib/"),
        link("lib/loop", "."),
        file("a file with spaces, grüße.txt", "x"),
    ];
    for archive in [tar(&entries), zip(&entries)] {
        let pod = pod_with(&archive);
        pod.build().expect(0, &["ready: "]);
        let expected = [
            "a file with spaces, grüße.txt: x",
            "again -> lib/up",
            "folder -> lib/",
            &format!("hello.py: {}", HELLO.trim_end()),
            "lib/loop -> .",
            "lib/tool*: #!/bin/sh",
            "lib/up -> ../hello.py",
        ];
        assert_eq!(published(&pod), expected);
        let mode = fs::metadata(pod.function().join("source/lib")).expect("there").mode();
        assert_eq!(mode & 0o7000, 0, "{mode:o}");
    }
}

#[test]
fn modes_of_an_archive_keep_nobody_from_what_it_holds() {
    let entries = [
        directory("lib").mode(0),
        file("lib/words.py", "x").mode(0),
        file("hello.py", HELLO).mode(0o200),
        file("tool", "x").mode(0o100),
    ];
    for archive in [tar(&entries), zip(&entries)] {
        let mut pod = pod_with(&archive);
        if !is_root() {
            return;
        }
        pod.run_as(STRANGER, STRANGER);
        pod.unset("INJECTOR_SCRATCH");
        pod.build().expect(0, &["ready: "]);
        let hello = format!("hello.py: {}", HELLO.trim_end());
        assert_eq!(published(&pod), [&hello, "lib/words.py: x", "tool*: x"]);
        for path in ["lib", "lib/words.py", "hello.py", "tool"] {
            let mode = fs::metadata(pod.function().join("source").join(path)).expect("there").mode();
            assert_eq!(mode & 0o444, 0o444, "{path}: {mode:o}");
        }
    }
}

/// 10 GiB of zeros in some 10 MiB.
fn bombs() -> [Vec<u8>; 2] {
    let zeros = vec![0; 16 << 20];
    let first = file("0.bin", &zeros);
    let zeros_in_zip: Vec<_> = (0..640).map(|index| first.called(format!("{index}.bin"))).collect();
    [many_in_gzip(640, &zeros), zip(&zeros_in_zip)]
}

#[test]
fn a_bomb_is_refused_before_more_is_written_than_is_allowed() {
    for bomb in bombs() {
        assert!((8 << 20..12 << 20).contains(&bomb.len()), "{} bytes", bomb.len());
        let site = Site::with(bomb);
        let mut pod = pod_of("url+zip").with("FUNC_URL", site.url("", "bomb"));
        // The download, what may be unpacked, and a little: who writes more meets the end of the disk.
        let Some(_room) = Mounted::tmpfs(&pod.dir("scratch"), "size=46m,mode=1777") else { return };
        pod.set("INJECTOR_SCRATCH", pod.dir("scratch").display().to_string());
        pod.set("INJECTOR_MAX_UNPACKED", "33Mi");
        pod.build()
            .expect(21, &["2.bin makes the archive unpack to more than 33 MiB (INJECTOR_MAX_UNPACKED)"]);
        assert_eq!(names(&pod.dir("scratch")), [""; 0]);
        pod.assert_empty();
    }
}

#[test]
fn a_full_disk_is_the_platforms_trouble() {
    let zeros = vec![0; 8 << 20];
    let archive = Compression::Gzip.pack(&tar(&[file("hello.py", HELLO), file("data", &zeros)]));
    for (content, content_type) in [(archive, "url+compressedtar"), (zeros, "url")] {
        let site = Site::with(content);
        let mut pod = pod_of(content_type).with("FUNC_URL", site.url("", "hello.py"));
        let Some(_room) = Mounted::tmpfs(&pod.dir("scratch"), "size=2m,mode=1777") else { return };
        pod.set("INJECTOR_SCRATCH", pod.dir("scratch").display().to_string());
        pod.build().expect(22, &["E22 survey failed: ", "No space left on device", "hint: "]);
        assert_eq!(site.requests(), 1);
        assert_eq!(names(&pod.dir("scratch")), [""; 0]);
        pod.assert_empty();
    }
}

/// A pod whose archive takes minutes to unpack.
fn slow() -> (Pod, Site) {
    let [bomb, _] = bombs();
    let site = Site::with(bomb);
    let pod = pod_of("url+zip").with("FUNC_URL", site.url("", "bomb"));
    (pod.with("INJECTOR_MAX_UNPACKED", "4Gi").with("INJECTOR_MAX_RATIO", "100000"), site)
}

/// Whether it has unpacked something.
fn unpacks(pod: &Pod) -> bool {
    WalkDir::new(pod.dir("tmp")).into_iter().flatten().any(|entry| entry.file_name() == "1.bin")
}

#[test]
fn sigterm_ends_a_download_and_an_unpacking_and_leaves_nothing() {
    let site = Site::start(crate::support::registry::Scheme::Http, |_, _| Answer::Stalls(HELLO.into(), 7));
    let pod = pod_of("url").with("FUNC_URL", site.url("", "hello.py"));
    for (verb, before) in [("build", 0), ("plan", 1)] {
        let run = pod.start(&[verb]);
        until("it is asked for", || site.requests() == before + 1);
        run.signal(Signal::TERM);
        assert_eq!(run.wait().code, Some(143), "{verb}");
        assert_eq!(pod.leftovers(), [""; 0], "{verb}");
    }
    pod.assert_empty();
    assert_eq!(site.requests(), 2);

    let (pod, _site) = slow();
    let run = pod.start(&["build"]);
    until("it unpacks", || unpacks(&pod));
    run.signal(Signal::TERM);
    run.wait().expect(143, &["E143 stopped by SIGTERM in the stage survey"]);
    pod.assert_empty();
}

#[test]
fn what_a_killed_run_leaves_is_cleared_away_by_the_next() {
    let (mut pod, _site) = slow();
    let run = pod.start(&["build"]);
    until("it unpacks", || unpacks(&pod));
    run.signal(Signal::KILL);
    let ended = run.wait();
    assert_eq!(ended.code, None);
    assert!(ended.message.contains("killed in the stage survey"), "{}", ended.message);
    assert_eq!(pod.leftovers().len(), 1, "{:?}", pod.leftovers());

    let hello = Site::with(HELLO.into());
    pod.set("FUNC_URL", hello.url("", "hello.py"));
    pod.set("FUNC_CONTENT_TYPE", "url");
    pod.build().expect(0, &["ready: "]);
    assert_eq!(pod.leftovers(), [""; 0]);
}
