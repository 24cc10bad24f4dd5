//! Volumes, scratch rooms and images as clusters have them: full, closed, another's, without a tool.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::machine::{Mounted, is_root, other_python, public_python, python};
use crate::support::pod::{HELLO, Pod, names};

#[test]
fn a_volume_that_is_full_is_told_before_anything_runs() {
    let Some(pod) = Pod::python() else { return };
    let volume = pod.dir("volume");
    let Some(_mounted) = Mounted::tmpfs(&volume, "size=128k,mode=1777") else {
        return;
    };
    fs::write(volume.join("ballast"), vec![1; 100 << 10]).expect("written");
    let shown = volume.display();
    pod.build()
        .expect(42, &[&format!("E42 provision failed: {shown} has 28 KiB free of 128 KiB"), "sizeLimit"]);
    pod.assert_empty();

    // As much as there is room for.
    let _ = fs::write(volume.join("more"), vec![1; 28 << 10]);
    pod.build().expect(42, &[&format!("{shown} has 0 KiB free of 128 KiB")]);
    pod.assert_empty();
}

#[test]
fn a_volume_without_inodes_is_full_too() {
    let Some(pod) = Pod::python() else { return };
    let volume = pod.dir("volume");
    let Some(_mounted) = Mounted::tmpfs(&volume, "size=1m,nr_inodes=3,mode=1777") else {
        return;
    };
    let ended = pod.build();
    ended.expect(
        42,
        &[&format!("the volume {} is not usable", volume.display()), "No space left", "sizeLimit"],
    );
    assert!(!ended.message.contains("fsGroup"), "{}", ended.message);
    pod.assert_empty();
}

#[test]
fn a_volume_that_packages_fill_is_the_platforms_to_mend() {
    let Some(mut pod) = Pod::python() else { return };
    let volume = pod.dir("volume");
    let Some(_mounted) = Mounted::tmpfs(&volume, "size=1m,mode=1777") else {
        return;
    };
    pod.wheel(3 << 20);
    let ended = pod.build();
    ended.expect(
        52,
        &["E52 resolve failed: ", &volume.display().to_string(), " KiB free of 1024 KiB", "sizeLimit"],
    );
    pod.assert_empty();

    // And one that leaves what it wrote.
    let Some(mut pod) = Pod::fake_pip("dd if=/dev/zero of=\"$INJECTOR_FILL\" bs=64k 2>/dev/null; exit 1")
    else {
        return;
    };
    let volume = volume.display().to_string();
    pod.set("KUBELESS_INSTALL_VOLUME", volume.as_str());
    pod.set("INJECTOR_PASS_ENV", "INJECTOR_FILL");
    pod.set("INJECTOR_FILL", format!("{volume}/.injector/staging/deps/x"));
    pod.build()
        .expect(52, &[&format!("E52 resolve failed: {volume} is full: 0 KiB free of 1024 KiB"), "sizeLimit"]);
}

#[test]
fn a_scratch_room_that_is_full_is_named() {
    let Some(mut pod) = Pod::python() else { return };
    let tmp = pod.dir("tmp");
    let Some(_mounted) = Mounted::tmpfs(&tmp, "size=1m,mode=1777") else {
        return;
    };
    pod.wheel(3 << 20);
    pod.build().expect(52, &["E52 resolve failed: ", &tmp.display().to_string(), " KiB free of 1024 KiB"]);
    pod.assert_empty();

    fs::write(tmp.join("ballast"), vec![1; 1 << 20]).expect("written");
    pod.build()
        .expect(42, &["E42 provision failed: ", &tmp.display().to_string(), "has 0 KiB free of 1024 KiB"]);
    fs::remove_file(tmp.join("ballast")).expect("removed");
    pod.assert_empty();
}

#[test]
fn a_volume_that_byte_code_fills_is_not_the_compilers_fault() {
    let Some(pod) = Pod::python() else { return };
    let volume = pod.dir("volume");
    let Some(_mounted) = Mounted::tmpfs(&volume, "size=1m,mode=1777") else {
        return;
    };
    let functions: Vec<String> = (0..20_000).map(|index| format!("def f{index}(): pass")).collect();
    pod.source("hello.py", &format!("{HELLO}{}\n", functions.join("\n")));
    let ended = pod.build();
    ended.expect(62, &["E62 compile failed: ", &volume.display().to_string(), " KiB free of 1024 KiB"]);
    pod.assert_empty();
}

#[test]
fn a_volume_that_forbids_execution_will_do_for_a_function_without_dependencies() {
    let Some(mut pod) = Pod::python() else { return };
    let volume = pod.dir("volume");
    let Some(_mounted) = Mounted::tmpfs(&volume, "size=4m,noexec,mode=1777") else {
        return;
    };
    pod.build().expect(0, &[]);
    fs::remove_file(pod.function()).expect("removed");
    fs::remove_dir_all(pod.dir("volume/.builds")).expect("removed");
    pod.wheel(1);
    pod.build().expect(42, &[&format!("the volume {} is mounted noexec", volume.display())]);
    pod.assert_empty();
}

#[test]
fn a_scratch_room_that_forbids_execution_will_do_for_a_crate_whose_build_runs_no_code() {
    let pod = Pod::bare("/usr/bin:/bin");
    pod.tool("rustc", "#!/bin/sh\necho release: 1.95.0\necho host: x86_64-unknown-linux-gnu\n");
    pod.tool("cargo", "#!/bin/sh\necho release: 1.95.0\n[ \"$1\" = -vV ] || exit 101\n");
    let pod = pod.with("FUNC_HANDLER", "hello.handler");
    pod.source("hello.rs", "pub fn handler() {}\n");
    let tmp = pod.dir("tmp");
    let Some(_mounted) = Mounted::tmpfs(&tmp, "size=4m,noexec,mode=1777") else {
        return;
    };
    let manifest = "lib.path = \"hello.rs\"\n[package]\nname = \"hello\"\nversion = \"1.0.0\"\n";
    pod.source("Cargo.toml", manifest);
    pod.build().expect(61, &["cargo build"]);
    pod.source("Cargo.toml", &format!("{manifest}[dependencies]\nserde = \"1\"\n"));
    let shown = format!("E42 provision failed: the scratch room {}", tmp.display());
    pod.build().expect(42, &[&shown, "is mounted noexec", "INJECTOR_SCRATCH"]);
    pod.source("Cargo.toml", &format!("{manifest}build = \"hello.rs\"\n"));
    pod.build().expect(42, &["is mounted noexec"]);
    pod.assert_empty();
}

#[test]
fn a_volume_that_cannot_be_written_is_told_with_who_we_are() {
    let Some(mut pod) = Pod::python() else { return };
    let volume = pod.dir("volume");
    let Some(mounted) = Mounted::tmpfs(&volume, "size=4m,mode=0755") else {
        return;
    };
    let shown = format!("the volume {} is not usable", volume.display());
    mounted.remount("ro");
    pod.build().expect(42, &[&shown, "Read-only file system", "we run as UID 0, GID 0"]);
    mounted.remount("rw");
    pod.run_as(1000, 1000);
    pod.build().expect(42, &[&shown, "Permission denied", "we run as UID 1000, GID 1000", "fsGroup"]);
    // Another's private directory is no better.
    fs::create_dir(volume.join(".injector")).expect("made");
    fs::set_permissions(volume.join(".injector"), Permissions::from_mode(0o700)).expect("a mode");
    fs::set_permissions(&volume, Permissions::from_mode(0o777)).expect("a mode");
    pod.build().expect(42, &[&shown, "UID 1000"]);
    fs::set_permissions(volume.join(".injector"), Permissions::from_mode(0o755)).expect("a mode");
    pod.build().expect(42, &[&shown, "UID 1000"]);
    pod.assert_empty();
}

#[test]
fn a_scratch_room_that_cannot_be_made_names_the_variable() {
    let Some(mut pod) = Pod::python() else { return };
    let Some(mounted) = Mounted::tmpfs(&pod.dir("tmp"), "size=4m") else {
        return;
    };
    mounted.remount("ro");
    let shown = format!("the scratch directory {} is not usable: ", pod.dir("tmp").display());
    pod.build().expect(42, &[&shown, "Read-only file system", "INJECTOR_SCRATCH"]);

    pod.set("INJECTOR_SCRATCH", pod.dir("volume/scratch").display().to_string());
    pod.build().expect(
        42,
        &["lies in the shared volume", "name a directory elsewhere in INJECTOR_SCRATCH or INJECTOR_KEEP"],
    );
    assert_eq!(names(&pod.dir("volume/scratch")), [""; 0]);
    pod.set("INJECTOR_SCRATCH", pod.dir("elsewhere").display().to_string());
    pod.build().expect(0, &[]);
    assert_eq!(names(&pod.dir("elsewhere")), [""; 0]);
}

#[test]
fn an_image_without_the_language_or_with_another_version_says_so() {
    let Some(python) = python() else { return };
    let Some(mut pod) = Pod::python() else { return };
    pod.set_path(&[Path::new("/nonexistent")]);
    pod.build().expect(42, &["none of python3, python is on PATH (/nonexistent)"]);

    pod.set_path(&[&python.bin]);
    let absent = (9..=14)
        .map(|minor| format!("3.{minor}"))
        .find(|version| *version != python.version && !python.bin.join(format!("python{version}")).exists());
    let absent = absent.expect("no image has them all");
    pod.set("FUNC_RUNTIME", format!("python{absent}"));
    let said = format!("Python {absent} was asked for, this image has {}.", python.version);
    pod.build().expect(41, &[&said, "change FUNC_RUNTIME"]);

    // Nor does half a version let in what the operator does not allow.
    let runtimes = pod.dir("runtimes.toml");
    fs::write(&runtimes, format!("schema = 1\n[runtimes.python]\nversions = [\"{absent}\"]\n"))
        .expect("written");
    pod.set("INJECTOR_RUNTIMES", runtimes.display().to_string());
    pod.set("FUNC_RUNTIME", "python3");
    let said = format!("E41 provision failed: this image has Python {}.", python.version);
    pod.build().expect(41, &[&said, &format!("versions allowed here: {absent};")]);
    pod.unset("INJECTOR_RUNTIMES");

    pod.set("FUNC_RUNTIME", "python2.7");
    pod.build().expect(31, &["2.7", "versions allowed here: 3.9, 3.10, 3.11, 3.12, 3.13, 3.14"]);
    pod.set("FUNC_RUNTIME", "cobol1");
    pod.build().expect(31, &["cobol", "one of: go, ", " python, "]);

    // A version manager's shim for a version that is not installed.
    pod.set_path(&[&pod.dir("bin"), &python.bin]);
    pod.tool(&format!("python{}", python.version), "#!/bin/sh\necho no such version >&2; exit 127\n");
    pod.set("FUNC_RUNTIME", format!("python{}", python.version));
    pod.build().expect(0, &[&format!("ready: python{}, ", python.version)]);
    pod.set_path(&[&pod.dir("bin")]);
    pod.build().expect(42, &["does not run: exit 127: no such version"]);
    assert_eq!(pod.leftovers(), [""; 0]);
}

#[test]
fn a_version_that_is_asked_for_is_found_by_its_own_name() {
    let (Some(python), Some(other)) = (python(), other_python()) else {
        return;
    };
    let Some(mut pod) = Pod::python() else { return };
    pod.set("FUNC_RUNTIME", format!("python{}", other.version));
    pod.set_path(&[&python.bin, &other.bin]);
    pod.build().expect(0, &[&format!("ready: python{}, ", other.version)]);
}

#[test]
fn a_user_without_name_and_home_builds_on_a_read_only_root() {
    let Some(python) = public_python() else { return };
    let Some(mut pod) = Pod::python() else { return };
    if !is_root() {
        return;
    }
    pod.wheel(1);
    let rooms = ["volume", "tmp", "log"].map(|name| Mounted::tmpfs(&pod.dir(name), "size=8m,mode=1777"));
    if rooms.iter().any(Option::is_none) {
        return;
    }
    let log = pod.dir("log/termination-log");
    fs::write(&log, "").expect("written");
    fs::set_permissions(&log, Permissions::from_mode(0o666)).expect("a mode");
    pod.set("INJECTOR_TERMINATION_LOG", log.display().to_string());
    let binary = pod.dir("bin/injector");
    pod.run(&["install", &binary.display().to_string()]).expect(0, &[]);

    let before = listing(&pod.dir("src"));
    let inside = "mount -o remount,bind,ro / && ! touch /probe 2>/dev/null \
                  && shift && exec setpriv --reuid 1000730000 --regid 0 --clear-groups -- \"$0\" \"$@\"";
    let unshare = ["/usr/bin/unshare", "-m", "--", "/bin/sh", "-c", inside, &binary.display().to_string()];
    pod.wrap(&unshare);
    pod.set_path(&[&python.bin, Path::new("/usr/bin"), Path::new("/bin")]);
    let ended = pod.build();
    assert_eq!(ended.code, Some(0), "{}{}", fs::read_to_string(&log).expect("text"), ended.stderr);
    assert!(fs::read_to_string(&log).expect("text").contains(", 1 package, "));
    assert_eq!(listing(&pod.dir("src")), before);
    assert_eq!(pod.leftovers(), [""; 0]);

    // Everything that is published can be read by others, and entered; the rest cannot.
    let function = fs::canonicalize(pod.function()).expect("published");
    for (path, mode, uid) in listing(&function).into_iter().map(|(path, mode, uid, _)| (path, mode, uid)) {
        let needed = if mode & 0o040_000 == 0 { 0o444 } else { 0o555 };
        assert_eq!((mode & needed, uid), (needed, 1_000_730_000), "{path}");
        assert_eq!(mode & 0o022, 0, "{path} can be written by others");
    }
    let private = fs::metadata(pod.dir("volume/.injector")).expect("there");
    assert_eq!(private.mode() & 0o777, 0o700);
}

/// Each path below `dir` with its mode, owner and time of change.
fn listing(dir: &Path) -> Vec<(String, u32, u32, i64)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for name in names(&dir) {
            let path = dir.join(name);
            let metadata = fs::symlink_metadata(&path).expect("there");
            found.push((
                path.display().to_string(),
                metadata.mode(),
                metadata.uid(),
                metadata.mtime_nsec() + metadata.mtime() * 1_000_000_000,
            ));
            if metadata.is_dir() {
                dirs.push(path);
            }
        }
    }
    found
}

#[test]
fn a_volume_whose_path_no_tool_could_be_given_is_refused() {
    let Some(mut pod) = Pod::python() else { return };
    let odd = pod.dir("").join(OsStr::from_bytes(b"odd-\xff"));
    fs::create_dir(&odd).expect("a directory");
    symlink(&odd, pod.dir("link")).expect("a link");
    pod.set("KUBELESS_INSTALL_VOLUME", pod.dir("link").display().to_string());
    pod.build().expect(42, &["E42 provision failed: the volume ", "is not UTF-8"]);
}
