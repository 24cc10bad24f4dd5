//! A build from its start to its end, however that comes: signals, kills, memory, repetition, two at once.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::machine::{Group, other_python, python, skip};
use crate::support::pod::{Ended, HELLO, Pod, Running, names, read, until};

/// A pip that says it is there and then ends by SIGKILL only, as does what it leaves in another session.
const STUBBORN: &str = "trap '' TERM INT; setsid sleep 300 & touch @/pip; while :; do sleep 1; done";
/// A pip that lasts until it is ended.
const SLOW: &str = "touch @/pip; exec sleep 300";
/// A pip that installs nothing, and takes a second.
const UNHURRIED: &str = "touch @/pip; sleep 1";

#[test]
fn sigterm_ends_a_tool_that_ignores_it_with_all_that_it_started() {
    let Some(pod) = Pod::fake_pip(STUBBORN) else {
        return;
    };
    let run = pod.start(&["build"]);
    until("pip runs", || pod.dir("pip").exists());
    until("all of it runs", || pod.processes().len() >= 4);
    let told = Instant::now();
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
    ended.expect(143, &["E143 stopped by SIGTERM in the stage resolve"]);
    pod.assert_empty();
}

#[test]
fn a_second_sigterm_ends_it_at_once() {
    let Some(pod) = Pod::fake_pip(STUBBORN) else {
        return;
    };
    let run = pod.start(&["build"]);
    until("pip runs", || pod.dir("pip").exists());
    run.signal(Signal::TERM);
    thread::sleep(Duration::from_millis(300));
    let told = Instant::now();
    run.signal(Signal::TERM);
    run.wait().expect(143, &["in the stage resolve"]);
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    pod.assert_empty();
}

#[test]
fn sigint_has_its_own_status() {
    let Some(pod) = Pod::fake_pip(SLOW) else { return };
    let run = pod.start(&["build"]);
    until("pip runs", || pod.dir("pip").exists());
    run.signal(Signal::INT);
    run.wait().expect(
        130,
        &["E130 stopped by SIGINT in the stage resolve", "hint: nothing was published; run it again"],
    );
    pod.assert_empty();
}

#[test]
fn sigterm_ends_a_pip_that_waits_for_a_registry() {
    let Some(pod) = Pod::python() else { return };
    let registry = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = registry.local_addr().expect("an address");
    pod.source("requirements.txt", "demo\n");
    let pod = pod.with("PIP_INDEX_URL", format!("http://{address}/simple"));
    let run = pod.start(&["build"]);
    // It is asked and never answers.
    let (_question, _) = registry.accept().expect("pip asks");
    run.signal(Signal::TERM);
    run.wait().expect(143, &["SIGTERM in the stage resolve"]);
    pod.assert_empty();
}

#[test]
fn sigterm_is_heard_while_an_interpreter_is_slow_to_say_what_it_is() {
    let Some(pod) = Pod::python() else { return };
    pod.tool("python3", "#!/bin/sh\ntouch @/probe; exec sleep 300\n");
    let run = pod.start(&["build"]);
    until("it is asked", || pod.dir("probe").exists());
    run.signal(Signal::TERM);
    run.wait().expect(143, &["SIGTERM in the stage provision"]);
    pod.assert_empty();
}

#[test]
fn sigterm_is_heard_while_another_run_holds_the_volume() {
    let Some(pod) = Pod::fake_pip(SLOW) else { return };
    let first = pod.start(&["build"]);
    until("pip runs", || pod.dir("pip").exists());
    let second = pod.start(&["build"]);
    until("it waits", || second.stderr().contains("another injector holds the volume"));
    second.signal(Signal::TERM);
    second.wait().expect(143, &["SIGTERM in the stage provision"]);
    // The one that works is not disturbed.
    assert!(first.message().contains("in the stage resolve"), "{}", first.message());
    first.signal(Signal::TERM);
    first.wait().expect(143, &[]);
    pod.assert_empty();
}

#[test]
fn two_runs_on_one_volume_wait_for_each_other() {
    let Some(pod) = Pod::fake_pip(UNHURRIED) else {
        return;
    };
    pod.build().expect(0, &["ready: python3."]);
    let runs = [pod.start(&["build"]), pod.start(&["build"])];
    let (function, receipt) = (pod.function(), pod.function().join("receipt.json"));
    let readers = thread::spawn(move || {
        let mut seen = 0_u32;
        loop {
            let target = fs::read_link(&function).expect("the link is always there");
            // The tree that it named a moment ago may go; the one that it names then does not.
            let readable = fs::read(&receipt).or_else(|_| fs::read(&receipt));
            assert!(readable.is_ok(), "{target:?}: {readable:?}");
            seen += 1;
            if function.with_file_name("stop").exists() {
                return seen;
            }
        }
    });
    let ended = runs.map(Running::wait);
    fs::write(pod.dir("volume/stop"), "").expect("written");
    assert!(readers.join().expect("always readable") > 100);
    for one in &ended {
        one.expect(0, &["ready: python3."]);
    }
    let waited = |one: &&Ended| one.stderr.contains("waiting for it");
    assert_eq!(ended.iter().filter(waited).count(), 1);
    assert_eq!(pod.generations().len(), 1);
    assert!(receipt_is_in_force(&pod));
    assert_eq!(pod.leftovers(), [""; 0]);
}

fn receipt_is_in_force(pod: &Pod) -> bool {
    let target = fs::read_link(pod.function()).expect("a link");
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned());
    target.is_relative() && name == pod.generations().pop() && pod.function().join("receipt.json").is_file()
}

#[test]
fn a_new_function_replaces_the_old_one_and_a_broken_one_does_not() {
    let Some(pod) = Pod::python() else { return };
    pod.build().expect(0, &[]);
    let first = pod.generations();
    pod.source("hello.py", "def hello(event, context):\n    return 'second'\n");
    pod.build().expect(0, &[]);
    let second = pod.generations();
    assert!(second.len() == 1 && second != first, "{first:?} {second:?}");
    assert!(read(&pod.function().join("source/hello.py")).contains("second"));

    pod.source("hello.py", "def hello(:\n");
    pod.build().expect(61, &["hello.py:1:"]);
    assert_eq!(pod.generations(), second);
    assert!(receipt_is_in_force(&pod));
    assert!(read(&pod.function().join("source/hello.py")).contains("second"));
}

#[test]
fn a_killed_run_has_written_ahead_and_the_next_one_clears_up() {
    let Some(pod) = Pod::fake_pip(SLOW) else { return };
    let run = pod.start(&["build"]);
    until("pip runs", || pod.dir("pip").exists());
    run.signal(Signal::KILL);
    let ended = run.wait();
    assert_eq!(ended.code, None);
    for said in ["killed in the stage resolve", "ran out of memory", "hint: look for OOMKilled"] {
        assert!(ended.message.contains(said), "{}", ended.message);
    }
    assert!(names(&pod.dir("volume/.injector")).contains(&"staging".to_owned()));

    // What a kill between two steps of publishing would leave, and a directory that its maker closed.
    let volume = pod.dir("volume");
    fs::create_dir_all(volume.join(".builds/half/source")).expect("a directory");
    symlink(".builds/half", volume.join(".injector/link.new")).expect("a link");
    fs::write(volume.join(".injector/report.json.new"), "{").expect("written");
    let closed = volume.join(".injector/staging/deps/closed");
    fs::create_dir_all(closed.join("more")).expect("a directory");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("a mode");

    // As in a pod: the volume and `/tmp` are the same ones, the container is new.
    let left = names(&pod.dir("tmp"));
    assert_eq!(left.len(), 1, "the scratch room of the run that was killed");
    for pid in pod.processes() {
        rustix::process::kill_process(pid, Signal::KILL).expect("killed");
    }
    for stranger in ["injector-notes", "injector-0123456789abcdeg", "other"] {
        fs::create_dir(pod.dir("tmp").join(stranger)).expect("made");
    }
    let next = Pod::python().expect("as before");
    let next = next.with("TMPDIR", pod.dir("tmp").display().to_string());
    let next = next.with("KUBELESS_INSTALL_VOLUME", volume.display().to_string());
    next.build().expect(0, &["ready: python3."]);
    assert_eq!(pod.generations().len(), 1);
    assert_ne!(pod.generations(), ["half"]);
    assert!(receipt_is_in_force(&pod));
    assert_eq!(names(&volume.join(".injector")), ["lock", "report.json"]);
    assert_eq!(names(&pod.dir("tmp")), ["injector-0123456789abcdeg", "injector-notes", "other"]);
}

#[test]
fn a_child_that_is_killed_for_memory_is_told_with_limit_and_peak() {
    let Some(python) = python() else { return };
    let real = python.bin.join("python3").display().to_string();
    // 200 MiB, written to at once, of the 64 MiB that there may be.
    let hog = format!("exec {real} -c 'x = bytearray(b\"x\") * (200 << 20)'");
    for (code, stage, step) in [(52, "resolve", "install"), (62, "compile", "check")] {
        let Some(group) = Group::of_memory(64 << 20) else {
            return;
        };
        let Some(mut pod) = Pod::fake_pip(&hog) else {
            return;
        };
        if step == "check" {
            let script = format!("#!/bin/sh\n[ \"$2\" = -B ] && exec {real} \"$@\"\n{hog}\n");
            pod.tool("python3", &script);
        }
        let join = format!("echo $$ >{} && exec \"$@\"", group.members().display());
        pod.wrap(&["/bin/sh", "-c", &join, "sh"]);
        let said =
            format!("E{code} {stage} failed: the step {step} was killed for memory (limit 64 MiB, peak 6");
        pod.build().expect(code, &[&said, "resources.limits.memory"]);
        pod.assert_empty();
    }
}

#[test]
fn an_authors_error_is_repeated_at_once() {
    let Some(mut pod) = Pod::fake_pip("exit 0") else {
        return;
    };
    pod.source("hello.py", "def hello(event, context:\n    pass\n");
    let first = pod.build();
    first.expect(61, &["hello.py:1:10"]);
    assert!(!pod.calls().is_empty(), "the check ran");

    let second = pod.build();
    assert_eq!((second.code, &second.message), (Some(61), &first.message));
    assert_eq!(pod.calls(), [""; 0], "no tool but the probe");
    assert_eq!(pod.leftovers(), [""; 0]);

    let again = |pod: &Pod, why: &str| {
        pod.build().expect(61, &["hello.py:1:"]);
        assert!(!pod.calls().is_empty(), "built again: {why}");
    };
    pod.set("INJECTOR_REPLAY", "off");
    again(&pod, "it was asked for");
    pod.unset("INJECTOR_REPLAY");
    pod.set("PIP_INDEX_URL", "http://127.0.0.1:9/simple");
    again(&pod, "the environment is another one");
    pod.source("hello.py", "def hello(event, context::\n    pass\n");
    again(&pod, "the source is another one");
    pod.build();
    assert_eq!(pod.calls(), [""; 0]);

    let report = pod.dir("volume/.injector/report.json");
    let written = read(&report);
    let value: serde_json::Value = serde_json::from_str(&written).expect("JSON");
    let at = value["at"].as_u64().expect("seconds");
    for (why, text) in [
        ("the report is no JSON", "{\"schema\": 1, \"code\"".to_owned()),
        ("the report is too old", written.replace(&at.to_string(), &(at - 700).to_string())),
        ("the report is of the future", written.replace(&at.to_string(), &(at + 700).to_string())),
        ("the report is of another format", written.replace("\"schema\": 1", "\"schema\": 2")),
    ] {
        assert_ne!(text, written, "{why}");
        fs::write(&report, text).expect("written");
        again(&pod, why);
    }

    // A copy judges alike; one with a byte more, which nobody reads, may judge otherwise.
    let copy = pod.dir("bin/injector");
    let shown = copy.display().to_string();
    pod.run(&["install", &shown]).expect(0, &[]);
    pod.wrap(&["/bin/sh", "-c", "shift; exec \"$0\" \"$@\"", &shown]);
    pod.build().expect(61, &[]);
    assert_eq!(pod.calls(), [""; 0]);
    let mut program = fs::OpenOptions::new().append(true).open(&copy).expect("a file");
    program.write_all(b"x").expect("written");
    drop(program);
    again(&pod, "the injector is another one");

    pod.source("hello.py", HELLO);
    pod.build().expect(0, &["ready: "]);
}

#[test]
fn another_interpreter_judges_anew() {
    let Some(mut pod) = Pod::python() else { return };
    let Some(other) = other_python() else { return };
    pod.source("hello.py", "def hello(:\n");
    pod.build().expect(61, &[]);
    let first = read(&pod.dir("volume/.injector/report.json"));
    pod.set_path(&[&other.bin]);
    pod.build().expect(61, &[]);
    assert_ne!(read(&pod.dir("volume/.injector/report.json")), first);
}

#[test]
fn what_the_network_may_mend_is_tried_again() {
    let unreachable = "echo 'WARNING: Retrying (Retry(total=0)) after connection broken by \
                       NewConnectionError(\"Failed to establish a new connection: [Errno 111] Connection refused\")': /simple/demo/ >&2; \
                       echo 'ERROR: No matching distribution found for demo' >&2; exit 1";
    let Some(pod) = Pod::fake_pip(unreachable) else {
        return;
    };
    for _ in 0..2 {
        pod.build().expect(52, &["E52 resolve failed"]);
        assert!(pod.calls().contains(&"pip".to_owned()));
    }
}

#[test]
fn the_termination_log_says_what_runs_and_then_how_it_ended() {
    let Some(pod) = Pod::fake_pip(SLOW) else { return };
    let run = pod.start(&["build"]);
    until("pip runs", || pod.dir("pip").exists());
    let ahead = run.message();
    assert!(ahead.starts_with("killed in the stage resolve, if this is still what you read"), "{ahead}");
    assert!(ahead.len() < 1024 && ahead.ends_with('\n'), "{ahead}");
    run.signal(Signal::TERM);
    let ended = run.wait();
    assert!(!ended.message.contains("still what you read"), "{}", ended.message);

    let Some(pod) = Pod::python() else { return };
    let ended = pod.build();
    ended.expect(0, &["ready: python3.", " s, sha256:"]);
    assert_eq!(ended.message.lines().count(), 1, "{}", ended.message);
    assert!(ended.stderr.ends_with(&ended.message), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn the_termination_log_is_written_in_place_within_its_budget() {
    let Some(mut pod) = Pod::python() else { return };
    let log = pod.dir("named-log");
    pod.set("INJECTOR_TERMINATION_LOG", log.display().to_string());
    fs::write(&log, "x".repeat(9000)).expect("written");
    let inode = |path: &Path| fs::metadata(path).expect("there").ino();
    let before = inode(&log);
    pod.build().expect(0, &[]);
    assert!(read(&log).starts_with("ready: ") && read(&log).lines().count() == 1, "{}", read(&log));
    assert_eq!(inode(&log), before, "it is a bind mount");

    let broken = (0..200).map(|index| format!("{index}.py"));
    for name in broken {
        pod.source(&name, "def f(:\n    a line of Python that is wrong\n");
    }
    pod.set("INJECTOR_TERMINATION_BUDGET", "300");
    let ended = pod.build();
    assert_eq!(ended.code, Some(61));
    let message = read(&log);
    assert!(message.len() <= 300 && message.len() > 200, "{message}");
    assert!(message.starts_with("E61 compile failed: "), "{message}");

    // A dry run shows what the kubelet would.
    let dry = pod.run(&["build", "--dry-run"]);
    assert!(dry.stdout.len() <= 300, "{}", dry.stdout);

    pod.set("INJECTOR_TERMINATION_BUDGET", "many");
    pod.build();
    assert!(
        read(&log).starts_with("E11 request failed: INJECTOR_TERMINATION_BUDGET is \"many\""),
        "{}",
        read(&log)
    );
}

#[test]
fn an_unwritable_termination_log_is_a_warning_and_an_absent_default_is_not_made() {
    let Some(mut pod) = Pod::python() else { return };
    pod.set("INJECTOR_TERMINATION_LOG", "/nonexistent/log");
    let ended = pod.build();
    ended.expect(0, &[]);
    assert_eq!(ended.stderr.matches("the termination log cannot be written").count(), 1, "{}", ended.stderr);

    let default = Path::new("/dev/termination-log");
    if default.exists() {
        return skip("termination-log", "this is a pod, with a log of its own");
    }
    pod.set("INJECTOR_TERMINATION_LOG", "");
    let ended = pod.build();
    ended.expect(0, &[]);
    assert!(!ended.stderr.contains("termination log"), "{}", ended.stderr);
    assert!(!default.exists());
}

#[test]
fn a_dry_run_prints_the_message_and_leaves_nothing() {
    let Some(pod) = Pod::python() else { return };
    for (text, code) in [(HELLO, 0), ("def hello(:\n", 61)] {
        pod.source("hello.py", text);
        let dry = pod.run(&["build", "--dry-run"]);
        assert_eq!((dry.code, dry.message.as_str()), (Some(code), ""), "{}", dry.stderr);
        assert_eq!(names(&pod.dir("volume")), [""; 0]);
        assert_eq!(names(&pod.dir("tmp")), [""; 0]);
        assert_eq!(names(&pod.dir("src")), ["hello.py"]);
        if code == 0 {
            assert!(dry.stdout.starts_with("ready: ") && dry.stdout.lines().count() == 1, "{}", dry.stdout);
        } else {
            // Compared with what a build writes, but for how long its check took.
            let timeless = |text: &str| -> String {
                let lines = text.lines().map(|line| line.split(" after ").next().unwrap_or(line));
                lines.collect::<Vec<_>>().join("\n")
            };
            assert_eq!(timeless(&dry.stdout), timeless(&pod.build().message));
        }
    }
}

#[test]
fn a_dependency_file_that_is_a_link_within_the_function_counts() {
    let Some(mut pod) = Pod::python() else { return };
    pod.wheel(1);
    let source = pod.dir("src");
    fs::create_dir(source.join("requirements")).expect("a directory");
    fs::rename(source.join("requirements.txt"), source.join("requirements/base.txt")).expect("moved");
    symlink("requirements/base.txt", source.join("requirements.txt")).expect("a link");
    pod.build().expect(0, &[", 1 package, "]);
}

#[test]
fn a_volume_within_the_function_is_no_part_of_it() {
    let Some(mut pod) = Pod::python() else { return };
    let volume = pod.dir("src/out");
    pod.set("KUBELESS_INSTALL_VOLUME", volume.display().to_string());
    pod.build().expect(0, &["ready: "]);
    pod.build().expect(0, &["ready: "]);
    assert_eq!(names(&volume.join("function/source")), ["__pycache__", "hello.py"]);
}

#[test]
fn tools_see_what_their_files_refer_to_and_nothing_else() {
    let Some(mut pod) = Pod::fake_pip("env >@/seen; echo \"$WANTED_TOKEN\"") else { return };
    pod.source("requirements.txt", "--index-url http://ci:${WANTED_TOKEN}@localhost/simple\ndemo\n");
    pod.source("notes.txt", "Set ${OTHER_TOKEN} and ${HOME}.\n");
    for name in ["WANTED_TOKEN", "OTHER_TOKEN", "ASKED_FOR", "STRAY"] {
        pod.set(name, format!("value-of-{name}"));
    }
    pod.set("INJECTOR_PASS_ENV", "ASKED_FOR");
    let ended = pod.build();
    let ended = ended.expect(0, &["ready: "]);
    let seen = read(&pod.dir("seen"));
    for (name, passed) in
        [("WANTED_TOKEN", true), ("ASKED_FOR", true), ("OTHER_TOKEN", false), ("STRAY", false)]
    {
        assert_eq!(seen.contains(&format!("{name}=value-of-{name}")), passed, "{name} in {seen}");
    }
    assert!(
        !ended.stderr.contains("value-of-WANTED_TOKEN") && ended.stderr.contains("***"),
        "{}",
        ended.stderr
    );
}

#[test]
fn tools_use_no_more_processors_than_the_container_has() {
    let Some(group) = Group::of_one_processor() else { return };
    let Some(mut pod) = Pod::fake_pip("true") else { return };
    let join = format!("echo $$ >{} && exec \"$@\"", group.members().display());
    pod.wrap(&["/bin/sh", "-c", &join, "sh"]);
    pod.build().expect(0, &["ready: "]);
    let calls = pod.calls();
    let compiling: Vec<_> = calls.iter().filter(|call| call.contains("/compile.py ")).collect();
    assert!(
        !compiling.is_empty() && compiling.iter().all(|call| call.contains("/compile.py 1 ")),
        "{calls:?}"
    );
}
