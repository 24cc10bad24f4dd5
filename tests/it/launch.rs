//! The main container: what was published is started there, or it says in words why not.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::support::http;
use crate::support::machine::{Mounted, STRANGER, is_root, other_python, public_python, python};
use crate::support::pod::{HELLO, Pod, Running, names, until};

/// The port on which a launched server listens, once it says so.
pub(crate) fn port(run: &Running) -> u16 {
    let said = || run.stderr().split_once("listening on :").map(|(_, rest)| rest.to_owned());
    until("it listens", || said().is_some());
    let rest = said().expect("just now");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a port")
}

/// Launches, asks the function, and ends it as the kubelet would.
#[track_caller]
fn assert_serves(pod: &Pod, answer: &str) {
    let run = pod.start_as(&["launch"], &[("FUNC_PORT", "0")]);
    let port = port(&run);
    let program = fs::read_link(format!("/proc/{}/exe", run.id())).expect("it runs");
    assert!(program.to_string_lossy().contains("python"), "the injector became {}", program.display());
    assert_eq!(http::get(port, "/").text(), answer);
    run.signal(Signal::TERM);
    run.wait().expect(0, &[]);
}

#[test]
fn a_function_is_served_by_the_same_process_until_sigterm() {
    let Some(pod) = Pod::python() else { return };
    pod.build().expect(0, &[]);
    assert_serves(&pod, "hello");
}

#[test]
fn the_port_is_the_one_that_is_asked_for() {
    let Some(mut pod) = Pod::python() else { return };
    pod.build().expect(0, &[]);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr());
    let free = free.expect("a port").port();
    pod.set("FUNC_PORT", free.to_string());
    let run = pod.start(&["launch"]);
    assert_eq!(port(&run), free);
    assert_eq!(http::get(free, "/healthz").status, 200);
    run.signal(Signal::TERM);
    run.wait().expect(0, &[]);
}

#[test]
fn a_port_that_is_none_is_told_before_the_server_starts() {
    let Some(mut pod) = Pod::python() else { return };
    pod.build().expect(0, &[]);
    pod.set("FUNC_PORT", "http");
    pod.run(&["launch"]).expect(11, &["E11 request failed: FUNC_PORT is \"http\": a port is expected"]);
}

#[test]
fn a_volume_may_be_mounted_elsewhere_and_the_interpreter_lie_elsewhere() {
    let Some(python) = python() else { return };
    let Some(mut pod) = Pod::python() else { return };
    pod.source("hello.py", "import demo\n\ndef hello(event, context):\n    return demo.WORD\n");
    pod.wheel(1);
    pod.build().expect(0, &["1 package"]);
    let elsewhere = pod.dir("elsewhere");
    fs::rename(pod.dir("volume"), &elsewhere).expect("moved");
    pod.set("KUBELESS_INSTALL_VOLUME", elsewhere.display().to_string());
    let link = pod.dir("bin/python3");
    symlink(python.bin.join("python3"), link).expect("linked");
    pod.set_path(&[&pod.dir("bin")]);
    assert_serves(&pod, "demo");
}

#[test]
fn another_user_launches_from_a_volume_that_it_cannot_write() {
    let Some(python) = public_python() else { return };
    let Some(mut pod) = Pod::python() else { return };
    if !is_root() {
        return;
    }
    pod.set_path(&[&python.bin]);
    pod.source("hello.py", "import demo\n\ndef hello(event, context):\n    return demo.WORD\n");
    pod.wheel(1);
    let binary = pod.dir("bin/injector").display().to_string();
    pod.run(&["install", &binary]).expect(0, &[]);
    let Some(mounted) = Mounted::tmpfs(&pod.dir("volume"), "size=8m,mode=1777") else {
        return;
    };
    // The image's umask must not decide who can read.
    pod.wrap(&["/bin/sh", "-c", "umask 077; shift; exec \"$0\" \"$@\"", &binary]);
    pod.run_as(1000, 1000);
    pod.build().expect(0, &["1 package"]);
    mounted.remount("ro");
    pod.run_as(STRANGER, STRANGER);
    assert_serves(&pod, "demo");
}

#[test]
fn another_version_is_refused_with_both() {
    let (Some(python), Some(other)) = (python(), other_python()) else {
        return;
    };
    let Some(mut pod) = Pod::python() else { return };
    pod.build().expect(0, &[]);
    pod.set_path(&[&other.bin]);
    let ended = pod.run(&["launch"]);
    let (built, here) = (&python.version, &other.version);
    let said =
        format!("E41 launch failed: the function was built for version {built}, python3 here has {here}.");
    let advice = format!("one with python{built}");
    ended.expect(41, &[&said, &advice]);
    assert_eq!(ended.stdout, "");

    // The right one under its own name is found behind it.
    pod.set_path(&[&other.bin, &python.bin]);
    assert_serves(&pod, "hello");

    pod.set_path(&[Path::new("/nonexistent")]);
    let none = format!("none of python{0}, python3, python on PATH (/nonexistent)", python.version);
    pod.run(&["launch"]).expect(42, &["E42 launch failed: ", &none]);
    pod.tool("python3", "#!/bin/sh\necho broken >&2\nexit 127\n");
    pod.set_path(&[&pod.dir("bin")]);
    pod.run(&["launch"]).expect(42, &["python3 does not run: exit 127: broken"]);
}

#[test]
fn what_is_not_published_or_not_ours_cannot_be_launched() {
    let Some(pod) = Pod::python() else { return };
    pod.run(&["launch"])
        .expect(72, &["E72 launch failed: no function is published on the volume", "injector build"]);
    pod.source("hello.py", "def hello(:\n");
    pod.build().expect(61, &[]);
    pod.run(&["launch"]).expect(72, &["no function is published"]);

    pod.source("hello.py", HELLO);
    pod.build().expect(0, &[]);
    let file = fs::canonicalize(pod.function()).expect("published").join("receipt.json");
    let receipt = fs::read_to_string(&file).expect("a receipt");
    for (text, said) in [
        (receipt.replace("\"schema\": 1", "\"schema\": 2"), "its schema is 2, this injector reads 1"),
        (receipt.replace("\"schema\": 1", "\"form\": 1"), "it has no schema"),
        (receipt[..receipt.len() / 2].to_owned(), "EOF while parsing"),
        (receipt.replace("\"launch\"", "\"lunch\""), "missing field `launch`"),
        (String::new(), "EOF while parsing"),
    ] {
        fs::write(&file, text).expect("written");
        pod.run(&["launch"]).expect(72, &["E72 launch failed: the receipt on the volume", said]);
    }
    fs::remove_file(&file).expect("removed");
    pod.run(&["launch"]).expect(72, &["no function is published"]);
    fs::remove_file(pod.function()).expect("removed");
    fs::create_dir(pod.function()).expect("made");
    assert_eq!(pod.run(&["launch"]).code, Some(72));
}

#[test]
fn install_puts_a_program_that_runs_from_there() {
    let pod = Pod::bare("/nonexistent");
    let dest = pod.dir("bin/injector");
    let shown = dest.display().to_string();
    for _ in 0..2 {
        // The second time over one that is there, and that may be running.
        let ended = pod.run(&["install", &shown]);
        ended.expect(0, &[]);
        assert_eq!(fs::metadata(&dest).expect("there").permissions().mode() & 0o7777, 0o755);
        let own = fs::read(env!("CARGO_BIN_EXE_injector")).expect("this program");
        assert!(fs::read(&dest).expect("there") == own);
        let runs = Command::new(&dest).arg("--version").env_clear().output();
        assert!(String::from_utf8_lossy(&runs.expect("it runs").stdout).starts_with("injector 0."));
        assert_eq!(names(&pod.dir("bin")), ["injector"]);
    }
    for bad in [pod.dir("bin"), pod.dir("missing/injector"), PathBuf::from("/proc/injector")] {
        let shown = bad.display().to_string();
        pod.run(&["install", &shown])
            .expect(42, &[&format!("{shown} cannot be installed: "), "mount a writable volume"]);
    }
    assert_eq!(names(&pod.dir("bin")), ["injector"]);
    pod.run(&["install"])
        .expect(11, &["E11 request failed: the following required arguments were not provided"]);
}

#[test]
fn data_goes_to_stdout_and_a_wrong_request_to_the_termination_log() {
    let pod = Pod::bare("/nonexistent");
    for args in
        [["--help"].as_slice(), &["--version"], &["build", "--help"], &["explain"], &["help", "launch"]]
    {
        let ended = pod.run(args);
        ended.expect(0, &[]);
        assert!(ended.stdout.contains("injector") || ended.stdout.contains("the"), "{args:?}");
        assert_eq!((ended.stderr.as_str(), ended.message.as_str()), ("", ""), "{args:?}");
    }
    let wrong = pod.run(&["build", "--retries=3"]);
    wrong.expect(11, &["E11 request failed: unexpected argument '--retries' found", "Usage: injector build"]);
    assert!(wrong.stderr.contains(&wrong.message) && wrong.stdout.is_empty(), "{}", wrong.stderr);
    pod.run(&["compile"]).expect(11, &["unrecognized subcommand 'compile'"]);
}

#[test]
fn every_exit_code_is_explained() {
    let pod = Pod::bare("/nonexistent");
    let all = pod.run(&["explain"]).stdout;
    let codes: Vec<&str> = all.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(codes.len(), 17);
    for code in codes {
        for asked in [code.to_owned(), format!("E{code}")] {
            let ended = pod.run(&["explain", &asked]);
            ended.expect(0, &[]);
            assert!(ended.stdout.starts_with(&format!("E{code}  ")) && ended.stdout.lines().count() > 2);
        }
    }
    pod.run(&["explain", "1"]).expect(11, &["CODE is \"1\": it is no exit code of the injector"]);
    pod.run(&["explain", "many"]).expect(11, &["CODE is \"many\": a whole number is expected"]);
}

#[test]
fn an_operators_file_restricts_the_runtimes() {
    let Some(python) = python() else { return };
    let Some(mut pod) = Pod::python() else { return };
    let Some(other) = (9..=14).map(|minor| format!("3.{minor}")).find(|one| *one != python.version) else {
        return;
    };
    let file = pod.dir("runtimes.toml");
    pod.set("INJECTOR_RUNTIMES", file.display().to_string());
    let write = |text: &str| fs::write(&file, text).expect("written");

    write(&format!("schema = 1\n[runtimes.python]\nversions = [\"{}\"]\n", python.version));
    let listed = pod.run(&["runtimes"]);
    listed.expect(0, &[]);
    assert!(listed.stdout.contains(&format!("versions    {}\n", python.version)), "{}", listed.stdout);
    assert!(listed.stdout.contains(&python.bin.display().to_string()), "{}", listed.stdout);
    pod.build().expect(0, &[]);
    pod.set("FUNC_RUNTIME", format!("python{other}"));
    pod.build().expect(31, &[&other, &format!("versions allowed here: {}", python.version)]);

    // What the image has is not what the operator allows.
    write(&format!("schema = 1\n[runtimes.python]\nversions = [\"{other}\"]\n"));
    pod.unset("FUNC_RUNTIME");
    pod.set_path(&[&python.bin]);
    let said = format!("E41 provision failed: this image has Python {}.", python.version);
    pod.build().expect(41, &[&said, &format!("versions allowed here: {other}; choose an image")]);

    for (text, said) in [
        ("schema = 1\n[runtimes.cobol]\n", "there is no runtime \"cobol\"; there are: go, "),
        ("schema = 9\n[runtimes.python]\n", "schema is 9, this injector reads 1"),
        ("schema = 1\n[runtimes.python\n", "TOML parse error at line 2"),
        ("schema = 1\n", "it allows no runtime"),
    ] {
        write(text);
        for command in ["build", "runtimes"] {
            pod.run(&[command]).expect(12, &["E12 request failed: ", said, "INJECTOR_RUNTIMES"]);
        }
    }
    fs::remove_file(&file).expect("removed");
    pod.build().expect(12, &["there is no such file"]);
    fs::write(&file, [0xff, 0xfe]).expect("written");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("a mode");
    pod.build().expect(12, &["invalid utf-8"]);
}

#[test]
fn a_program_that_was_built_for_another_processor_is_told() {
    let Some(pod) = Pod::python() else { return };
    pod.build().expect(0, &[]);
    let path = pod.dir("volume/function/receipt.json");
    let mut receipt: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).expect("a receipt")).expect("JSON");
    receipt["arch"] = "s390x".into();
    receipt["launch"]["program"] = serde_json::json!({"built": "<out>/server"});
    fs::write(&path, receipt.to_string()).expect("written");
    pod.run(&["launch"]).expect(41, &["the function was built for s390x, this machine is "]);
}
