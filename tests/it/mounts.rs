//! Every way in which Kubernetes mounts a function, and mounts that change while they are read.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use walkdir::WalkDir;

use crate::support::machine::{Mounted, STRANGER, is_root, may_mount, public_python};
use crate::support::mount::AtomicWriter;
use crate::support::pod::{HELLO, Pod, names, read};

/// A pod with nothing mounted yet, and what mounts a function in it.
fn pod() -> Option<(Pod, AtomicWriter)> {
    let pod = Pod::python()?;
    fs::remove_file(pod.dir("src/hello.py")).expect("removed");
    let writer = AtomicWriter::new(pod.dir("src"));
    Some((pod, writer))
}

/// The files below a directory, with their bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = WalkDir::new(dir).into_iter().map(|entry| entry.expect("an entry"));
    let relative = |path: &Path| path.strip_prefix(dir).expect("below it").display().to_string();
    entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| (relative(entry.path()), fs::read(entry.path()).expect("a file")))
        .collect()
}

/// Asserts that these files, and no others, are published, byte for byte.
#[track_caller]
fn assert_published<P: AsRef<str>, B: AsRef<[u8]>>(pod: &Pod, expected: &[(P, B)]) {
    let mut found = files(&pod.function().join("source"));
    found.retain(|path, _| !path.contains("__pycache__"));
    let expected = expected.iter().map(|(path, bytes)| (path.as_ref().to_owned(), bytes.as_ref().to_vec()));
    assert_eq!(found, expected.collect());
}

/// Has its containers see this directory or file in the place of another, mounted with these options.
fn bind(pod: &mut Pod, mounts: &[(&Path, &Path)], options: &str) {
    let mounts = mounts.iter().map(|(from, to)| {
        let (from, to) = (from.display(), to.display());
        format!("mount --bind '{from}' '{to}' && mount -o remount,bind,{options} '{to}' && ")
    });
    let mounts: Vec<_> = mounts.collect();
    pod.wrap(&["/usr/bin/unshare", "-m", "--", "/bin/sh", "-c", &(mounts.concat() + "exec \"$@\""), "sh"]);
}

/// A generation of a function that names itself in each file.
fn generation(number: u32) -> Vec<(String, String)> {
    let mark = format!("# generation {number}\n");
    let mut files: Vec<_> =
        (0..20).map(|index| (format!("package/part{index:02}.py"), mark.clone())).collect();
    files.push((format!("hello{number}.py"), format!("{mark}{HELLO}")));
    files.push(("handler".to_owned(), format!("hello{number}.hello")));
    files
}

/// Ends a thread with the value, also where a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_config_map_that_changes_while_it_is_read_is_seen_at_one_generation_or_not_at_all() {
    let Some((mut pod, mut writer)) = pod() else { return };
    pod.unset("FUNC_HANDLER");
    writer.write(&generation(0));
    let (mut seen, mut unsettled) = (0, 0);
    let stop = AtomicBool::new(false);
    scope(|threads| {
        threads.spawn(|| {
            for number in (1..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                writer.write(&generation(number));
                // Now and then it holds still for long enough.
                sleep(Duration::from_millis(u64::from(number % 16).saturating_sub(8) * 20));
            }
        });
        let _stop = Stop(&stop);
        for run in 0..24 {
            let ended = pod.run(if run % 3 == 0 { &["build"] } else { &["plan"] });
            match ended.code {
                Some(0) => seen += 1,
                Some(22) if ended.stderr.contains("kept changing while it was read") => unsettled += 1,
                code => panic!("{code:?}: {}", ended.stderr),
            }
            let published = names(&pod.function().join("source"));
            let handler = published.iter().find_map(|name| name.strip_prefix("hello")?.strip_suffix(".py"));
            if let Some(number) = handler {
                let mut expected = generation(number.parse().expect("a number"));
                expected.retain(|(path, _)| path != "handler");
                assert_published(&pod, &expected);
            }
        }
    });
    eprintln!("{seen} saw one generation, {unsettled} none");
    assert!(seen > 0, "nothing was ever built");
    pod.build().expect(0, &["ready: "]);
    assert_eq!(pod.leftovers(), [""; 0]);
}

#[test]
fn files_of_a_config_map_may_lie_in_directories_and_have_names_of_people() {
    let Some((mut pod, mut writer)) = pod() else { return };
    let main = "from grüße.worte import HALLO\ndef hello(event, context):\n    return HALLO\n";
    let tree = [
        ("grüße/hallo.py", main),
        ("grüße/worte.py", "HALLO = 'Grüß Gott'\n"),
        ("with space/and more/ein Wort.txt", "x"),
        ("日本/🦀 (1).txt", "x"),
        ("requirements.txt", "\n"),
    ];
    writer.write(&tree);
    pod.set("FUNC_HANDLER", "grüße.hallo.hello");
    pod.build().expect(0, &["ready: "]);
    assert_published(&pod, &tree);
    let plan = pod.run(&["plan"]);
    assert!(plan.stdout.contains("grüße/hallo.py holds the handler"), "{}", plan.stdout);

    // Which the kubelet would not write: a directory of its own kind within.
    fs::create_dir(pod.dir("src/..data/..hidden")).expect("a directory");
    fs::write(pod.dir("src/..data/..hidden/file"), "").expect("written");
    pod.build().expect(0, &["ready: "]);
    assert_published(&pod, &tree);
}

#[test]
fn a_file_mounted_by_sub_path_is_the_function() {
    let Some((mut pod, _)) = pod() else { return };
    if !may_mount() {
        return;
    }
    let volume = pod.dir("config");
    let mut writer = AtomicWriter::new(volume.clone());
    writer.write(&[("hello.py", HELLO), ("pkg/words.py", "WORD = 1\n"), ("unmounted.py", "")]);
    // The kubelet resolves the links, and the container's runtime makes what is mounted over.
    fs::write(pod.dir("src/hello.py"), "").expect("written");
    fs::create_dir(pod.dir("src/pkg")).expect("a directory");
    let real = volume.join("..data").canonicalize().expect("a directory");
    let (file, dir) = (pod.dir("src/hello.py"), pod.dir("src/pkg"));
    bind(&mut pod, &[(&real.join("hello.py"), &file), (&real.join("pkg"), &dir)], "ro");
    pod.build().expect(0, &["ready: "]);
    assert_published(&pod, &[("hello.py", HELLO), ("pkg/words.py", "WORD = 1\n")]);
}

#[test]
fn bytes_that_are_no_text_are_published_as_they_are() {
    let Some((pod, mut writer)) = pod() else { return };
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let tree = [("hello.py", HELLO.as_bytes()), ("model.bin", &bytes), ("empty", b"")];
    writer.write(&tree);
    pod.build().expect(0, &["ready: "]);
    assert_published(&pod, &tree);
    writer.write(&[("hello.py", HELLO.as_bytes()), ("requirements.txt", b"d\xe9mo\n")]);
    pod.build().expect(31, &["requirements.txt", "is not UTF-8 text"]);
    writer.write(&[("hello.py", HELLO.as_bytes()), ("handler", b"h\xe9llo.hello\n")]);
    pod.build().expect(0, &["ready: "]);
}

#[test]
fn a_secret_is_published_so_that_another_user_can_read_it() {
    let Some((pod, writer)) = pod() else { return };
    let Some(_mounted) = Mounted::tmpfs(&pod.dir("src"), "size=4m,mode=1777") else { return };
    writer.with_mode(0o400).write(&[("hello.py", HELLO), ("key.pem", "x")]);
    pod.build().expect(0, &["ready: "]);
    assert_published(&pod, &[("hello.py", HELLO), ("key.pem", "x")]);
    let mode = fs::metadata(pod.function().join("source/key.pem")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn a_file_that_this_user_may_not_read_is_named_with_what_to_set() {
    let (Some(python), Some((mut pod, writer))) = (public_python(), pod()) else { return };
    if !is_root() {
        return;
    }
    let mut writer = writer.with_mode(0o400);
    writer.write(&[("hello.py", HELLO), ("requirements.txt", "")]);
    pod.set_path(&[&python.bin]);
    pod.run_as(STRANGER, STRANGER);
    let who = format!("we run as UID {STRANGER}");
    pod.build().expect(
        22,
        &["E22 survey failed: hello.py cannot be read: Permission denied", &who, "defaultMode", "fsGroup"],
    );
    fs::set_permissions(pod.dir("src/..data").canonicalize().expect("there"), Permissions::from_mode(0o700))
        .expect("a mode");
    pod.build().expect(22, &["E22 survey failed: ", "Permission denied", &who]);
    fs::set_permissions(pod.dir("src"), Permissions::from_mode(0o700)).expect("a mode");
    pod.build().expect(22, &["E22 survey failed: ", "Permission denied", &who]);
}

#[test]
fn several_sources_projected_into_one_volume_are_one_function() {
    let Some((pod, mut writer)) = pod() else { return };
    let tree = [
        ("hello.py", HELLO),
        ("shared/words.py", "WORD = 1\n"),
        ("settings/limits.json", "{}"),
        ("token", "eyJhbGciOi"),
    ];
    writer.write(&tree);
    pod.build().expect(0, &["ready: "]);
    assert_published(&pod, &tree);
    // A token is renewed, and a source may go.
    writer.write(&[("hello.py", HELLO), ("token", "another")]);
    pod.build().expect(0, &["ready: "]);
    assert_published(&pod, &[("hello.py", HELLO), ("token", "another")]);
}

#[test]
fn a_function_without_code_is_told() {
    let Some((mut pod, mut writer)) = pod() else { return };
    pod.build().expect(31, &["E31 detect failed: the function has no files"]);
    let plan = pod.run(&["plan"]);
    assert!(plan.stderr.contains("E31 detect failed: the function has no files"), "{}", plan.stderr);
    writer.write(&[] as &[(&str, &str)]);
    pod.build().expect(31, &["E31 detect failed: the function has no files"]);
    pod.unset("FUNC_HANDLER");
    writer.write(&[("handler", "hello.hello")]);
    pod.build().expect(31, &["E31 detect failed: the function has no files"]);
    writer.write(&[("handler", "hello.hello"), ("hello.py", "")]);
    pod.build().expect(61, &["E61 compile failed: hello.py", "`hello` is not defined"]);
}

#[test]
fn a_directory_that_has_the_name_of_the_key_is_source() {
    let Some((mut pod, mut writer)) = pod() else { return };
    let tree = [("handler/__init__.py", HELLO), ("handler/handler", "data")];
    writer.write(&tree);
    pod.set("FUNC_HANDLER", "handler.hello");
    pod.build().expect(0, &["ready: "]);
    assert_published(&pod, &tree);
}

#[test]
fn a_config_map_may_be_as_large_as_kubernetes_lets_it() {
    let Some((pod, mut writer)) = pod() else { return };
    let pad = |text: &str, size: usize| format!("{text}{}\n", "#".repeat(size - text.len() - 1));
    let whole = [("hello.py", pad(HELLO, 1 << 20))];
    writer.write(&whole);
    pod.build().expect(0, &["ready: "]);
    assert_published(&pod, &whole);

    let deps = [("hello.py", HELLO.to_owned()), ("requirements.txt", pad("# nothing\n", 1 << 20))];
    writer.write(&deps);
    pod.build().expect(0, &["ready: "]);
    assert_published(&pod, &deps);
    writer.write(&[("hello.py", HELLO.to_owned()), ("requirements.txt", pad("# nothing\n", (1 << 20) + 1))]);
    pod.build().expect(31, &["requirements.txt", "too large"]);
}

#[test]
fn a_mount_that_is_read_only_is_only_read() {
    let Some((mut pod, mut writer)) = pod() else { return };
    if !may_mount() {
        return;
    }
    writer.write(&[("hello.py", HELLO), ("requirements.txt", "")]);
    let src = pod.dir("src");
    bind(&mut pod, &[(&src, &src)], "ro");
    let before = files(&src);
    pod.build().expect(0, &["ready: "]);
    assert!(pod.run(&["plan"]).stdout.contains("hello.py holds the handler"));
    assert_eq!(files(&src), before);
}

#[test]
fn a_volume_whose_data_lies_elsewhere_is_not_read() {
    let Some((pod, mut writer)) = pod() else { return };
    fs::create_dir(pod.dir("precious")).expect("a directory");
    fs::write(pod.dir("precious/hello.py"), HELLO).expect("written");
    for target in ["../precious", "/etc", "hello", "..", "..data"] {
        symlink(target, pod.dir("src/..data")).expect("a link");
        let ended = pod.build();
        ended.expect(21, &["E21 survey failed: ", "..data"]);
        fs::remove_file(pod.dir("src/..data")).expect("removed");
    }
    symlink("../precious", pod.dir("src/..2026")).expect("a link");
    symlink("..2026", pod.dir("src/..data")).expect("a link");
    pod.build().expect(21, &["E21 survey failed: ", "..data"]);
    pod.assert_empty();
    fs::remove_file(pod.dir("src/..data")).expect("removed");
    writer.write(&[("hello.py", HELLO)]);
    pod.build().expect(0, &["ready: "]);
    assert_eq!(names(&pod.dir("precious")), ["hello.py"]);
    assert!(read(&pod.function().join("source/hello.py")).contains("def hello"));
}

#[test]
fn one_file_is_a_function() {
    let Some((mut pod, mut writer)) = pod() else { return };
    writer.write(&[("hello.py", HELLO), ("other.py", "def\n"), ("requirements.txt", "demo\n")]);
    let file = pod.dir("src/hello.py");
    pod.set("INJECTOR_SOURCE", file.display().to_string());
    pod.build().expect(0, &["ready: "]);
    assert_published(&pod, &[("hello.py", HELLO)]);
    let plan = pod.run(&["plan"]);
    assert!(plan.stdout.contains("hello.py holds the handler hello.hello"), "{}", plan.stdout);

    // A laptop's volume is beside it.
    pod.unset("KUBELESS_INSTALL_VOLUME");
    fs::remove_dir_all(pod.dir("src")).expect("removed");
    fs::create_dir(pod.dir("src")).expect("a directory");
    pod.source("hello.py", HELLO);
    let ended = pod.run(&["build", &file.display().to_string()]);
    ended.expect(0, &["ready: "]);
    assert_eq!(read(&pod.dir("src/.injector-out/function/source/hello.py")), HELLO);
    pod.unset("FUNC_HANDLER");
    let ended = pod.run(&["build", &file.display().to_string()]);
    ended.expect(31, &["no handler is named", "FUNC_HANDLER=hello.<function>"]);

    let absent = pod.dir("src/absent.py").display().to_string();
    pod.run(&["build", &absent]).expect(22, &[&format!("E22 survey failed: there is nothing at {absent}")]);
    pod.run(&["build", "/dev/null"])
        .expect(21, &["E21 survey failed: null is neither a file nor a directory"]);
}

#[test]
fn a_mounted_directory_has_limits() {
    let Some((mut pod, mut writer)) = pod() else { return };
    writer.write(&[("hello.py", HELLO), ("a/b/c.py", "# c\n"), ("a/d.py", "")]);
    for (variable, enough, less, said) in [
        ("INJECTOR_MAX_ENTRIES", 5, 4, "it has more than 4 files, directories and links"),
        ("INJECTOR_MAX_UNPACKED", HELLO.len() + 4, HELLO.len() + 3, "of files"),
        ("INJECTOR_MAX_DEPTH", 2, 1, "it has more than 1 directories in one another"),
    ] {
        pod.set(variable, enough.to_string());
        pod.build().expect(0, &["ready: "]);
        pod.set(variable, less.to_string());
        pod.build().expect(21, &["E21 survey failed: ", said, &format!("raise {variable}")]);
        pod.unset(variable);
    }
}
