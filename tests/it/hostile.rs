//! A volume that somebody else could write before: its links, FIFOs and floods lead nowhere.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::machine::{is_root, public_python};
use crate::support::nodejs::nodes;
use crate::support::pod::{Pod, names, read};

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
}

/// A directory beside the volume with a file that must survive.
fn precious(pod: &Pod) -> std::path::PathBuf {
    let dir = pod.dir("precious");
    fs::create_dir(&dir).expect("a directory");
    fs::write(dir.join("file"), "precious").expect("written");
    dir
}

#[test]
fn generations_that_are_a_link_are_not_cleared_away() {
    let Some(pod) = Pod::python() else { return };
    let precious = precious(&pod);
    symlink(&precious, pod.dir("volume/.builds")).expect("a link");
    pod.build().expect(0, &["ready: "]);
    assert_eq!(names(&precious), ["file"]);
    assert_eq!(pod.generations().len(), 1);
    pod.run(&["build"]).expect(0, &["ready: "]);
}

#[test]
fn a_private_directory_that_is_a_link_is_neither_used_nor_written_to() {
    let Some(pod) = Pod::python() else { return };
    let precious = precious(&pod);
    symlink(&precious, pod.dir("volume/.injector")).expect("a link");
    pod.build().expect(42, &["E42 provision failed: ", "is no directory"]);
    assert_eq!(names(&precious), ["file"]);
}

#[test]
fn a_report_is_written_over_nothing_but_a_report() {
    let Some(pod) = Pod::python() else { return };
    let file = precious(&pod).join("file");
    fs::create_dir(pod.dir("volume/.injector")).expect("a directory");
    symlink(&file, pod.dir("volume/.injector/report.json.new")).expect("a link");
    symlink(&file, pod.dir("volume/.injector/report.json")).expect("a link");
    pod.build().expect(0, &["ready: "]);
    assert_eq!(read(&file), "precious");
    assert!(read(&pod.dir("volume/.injector/report.json")).contains("ready: "));
}

#[test]
fn a_link_does_not_lend_its_target_as_a_lock() {
    let Some(pod) = Pod::python() else { return };
    let dir = precious(&pod);
    fs::create_dir(pod.dir("volume/.injector")).expect("a directory");
    symlink(dir.join("made"), pod.dir("volume/.injector/lock")).expect("a link");
    pod.build().expect(42, &["E42 provision failed: ", "is not usable"]);
    assert_eq!(names(&dir), ["file"]);
}

#[test]
fn nobody_waits_for_a_fifo() {
    let Some(mut pod) = Pod::python() else { return };
    let private = pod.dir("volume/.injector");
    fs::create_dir(&private).expect("a directory");
    fifo(&private.join("lock"));
    pod.build().expect(42, &["E42 provision failed: ", "is not usable"]);

    fs::remove_file(private.join("lock")).expect("removed");
    fs::remove_file(private.join("report.json")).expect("the verdict of the first");
    fifo(&private.join("report.json"));
    pod.build().expect(0, &["ready: "]);

    let deps = pod.dir("volume/requirements.txt");
    fifo(&deps);
    pod.set("KUBELESS_DEPS_FILE", deps.display().to_string());
    pod.build().expect(22, &["E22 survey failed: ", "requirements.txt", "no regular file"]);
}

#[test]
fn a_verdict_that_is_a_flood_is_not_read() {
    let Some(pod) = Pod::python() else { return };
    let private = pod.dir("volume/.injector");
    fs::create_dir(&private).expect("a directory");
    let flood = File::create(private.join("report.json")).expect("a file");
    flood.set_len(1 << 40).expect("a sparse file");
    pod.build().expect(0, &["ready: "]);
}

#[test]
fn a_dependency_file_on_the_volume_leads_nowhere_else() {
    let Some(mut pod) = Pod::python() else { return };
    let secret = precious(&pod).join("file");
    let deps = pod.dir("volume/requirements.txt");
    symlink(&secret, &deps).expect("a link");
    pod.set("KUBELESS_DEPS_FILE", deps.display().to_string());
    let ended = pod.build();
    ended.expect(21, &["E21 survey failed: requirements.txt is a link to "]);
    pod.assert_empty();

    // As a ConfigMap has it.
    fs::remove_file(&deps).expect("removed");
    fs::create_dir(pod.dir("volume/..2026")).expect("a directory");
    fs::write(pod.dir("volume/..2026/requirements.txt"), "# nothing\n").expect("written");
    symlink("..2026", pod.dir("volume/..data")).expect("a link");
    symlink("..data/requirements.txt", &deps).expect("a link");
    pod.build().expect(0, &["ready: "]);

    fs::remove_file(&deps).expect("removed");
    File::create(&deps).expect("a file").set_len(1 << 40).expect("a sparse file");
    pod.build().expect(21, &["E21 survey failed: ", "too large", "more than 1024 KiB in requirements.txt"]);
}

#[test]
fn a_verdict_on_the_volume_holds_no_credentials() {
    let Some(mut pod) = Pod::fake_pip("echo \"ERROR: Invalid requirement: '$MY_TOKEN'\" >&2; exit 1") else {
        return;
    };
    pod.set("INJECTOR_PASS_ENV", "MY_TOKEN");
    pod.set("MY_TOKEN", "hunter2hunter2");
    pod.source("requirements.txt", "demo\n");
    let ended = pod.build();
    assert!(ended.message.contains("***"), "{}", ended.message);
    let report = read(&pod.dir("volume/.injector/report.json"));
    assert!(report.contains("\"diagnostics\": [\n"), "{report}");
    assert!(!report.contains("hunter2"), "{report}");
}

#[test]
fn what_a_tool_closed_is_cleared_away_by_its_own_user() {
    let (Some(python), Some(mut pod)) = (public_python(), Pod::python()) else { return };
    if !is_root() {
        return;
    }
    pod.set_path(&[&python.bin]);
    pod.run_as(1000, 1000);
    let closed = pod.dir("volume/.injector/staging/deps/closed");
    fs::create_dir_all(closed.join("more")).expect("a directory");
    for dir in ["", "/staging", "/staging/deps", "/staging/deps/closed", "/staging/deps/closed/more"] {
        chown(pod.dir(&format!("volume/.injector{dir}")), Some(1000), Some(1000)).expect("an owner");
    }
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).expect("a mode");
    pod.build().expect(0, &["ready: "]);
    assert_eq!(pod.leftovers(), [""; 0]);
}

#[test]
fn what_code_of_dependencies_plants_is_replaced_and_never_followed() {
    let plants =
        "cd @/volume/.injector/staging && mkfifo receipt.json && ln -s @/precious/file server/kubeless.py
        ln -s @/precious link; mkdir extra closed; echo 1 >extra/file; chmod 0 closed";
    let Some(pod) = Pod::fake_pip(plants) else { return };
    let file = precious(&pod).join("file");
    pod.build().expect(0, &["ready: "]);
    assert_eq!(read(&file), "precious");
    for name in ["receipt.json", "server/kubeless.py"] {
        let kind = fs::symlink_metadata(pod.function().join(name)).expect("a file").file_type();
        assert!(kind.is_file(), "{name}: {kind:?}");
    }
    assert_eq!(names(&pod.function()), ["deps", "out", "receipt.json", "server", "source"]);
}

/// A Node.js function with one dependency, which this script installs as npm.
fn fake_npm(package: &str, installs: &str) -> Option<Pod> {
    let node = nodes().last()?;
    let pod = Pod::bare(&format!("{}:/usr/bin:/bin", node.path.parent()?.display()));
    pod.source("hello.js", "exports.hello = () => 'hello'");
    pod.source("package.json", package);
    let script = format!("#!/bin/sh\ncase $1 in --version) echo 10.9.0 ;; install) {installs} ;; esac\n");
    pod.tool("npm", &script);
    Some(pod.with("FUNC_HANDLER", "hello.hello"))
}

#[test]
fn the_link_to_the_packages_takes_the_place_of_what_is_planted_there() {
    for plants in ["mkdir -p ../node_modules/demo", "ln -s @/precious ../node_modules"] {
        let package = r#"{"dependencies": {"demo": "1"}}"#;
        let Some(pod) = fake_npm(package, &format!("mkdir node_modules && {plants}")) else { return };
        let precious = precious(&pod);
        pod.build().expect(0, &["ready: "]);
        let link = pod.function().join("node_modules");
        assert_eq!(fs::read_link(link).expect("a link"), Path::new("deps/node_modules"));
        assert_eq!(names(&precious), ["file"]);
    }
}

#[test]
fn a_deed_that_fails_is_told_without_paths_of_the_volume() {
    let package = r#"{"dependencies": {"demo": "1"}, "scripts": {"postinstall": "true"}}"#;
    let Some(pod) = fake_npm(package, "true ;; rebuild) rm ../source/package.json") else {
        return;
    };
    let ended = pod.build();
    ended.expect(52, &["E52 resolve failed: the step put back could not be done: ", "No such file"]);
    assert!(!ended.message.contains("staging"), "{}", ended.message);
}

#[test]
fn credentials_are_left_in_files_that_code_of_dependencies_links_to() {
    let plants = "ln -sf @/precious/file @/volume/.injector/staging/source/requirements.txt";
    let Some(pod) = Pod::fake_pip(plants) else { return };
    let file = precious(&pod).join("file");
    fs::write(&file, "https://me:hunter2hunter2@registry.example").expect("written");
    pod.build().expect(0, &["ready: "]);
    assert_eq!(read(&file), "https://me:hunter2hunter2@registry.example");
}

#[test]
fn a_room_for_which_code_of_dependencies_puts_a_link_ends_the_build() {
    let plants = "cd @/volume/.injector/staging && rmdir out && ln -s @/precious out";
    let Some(pod) = Pod::fake_pip(plants) else { return };
    let file = precious(&pod).join("file");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("a mode");
    pod.build().expect(
        51,
        &["E51 resolve failed: the step install could not be done: it replaced the directory <out>"],
    );
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    pod.assert_empty();
}
