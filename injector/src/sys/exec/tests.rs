//! Runs real processes: loud, stubborn, escaped, frozen and starved ones.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Output as Finished;
use std::thread;

use tempfile::TempDir;

use super::*;

/// Long enough for a process to heed SIGTERM, short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

/// Longer than any test lasts.
const LONG: Duration = Duration::from_mins(1);

fn command(program: &str, args: &[&str]) -> Command {
    Command {
        program: program.into(),
        args: args.iter().map(OsString::from).collect(),
        env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
        cwd: "/".into(),
        timeout: LONG,
        capture: plan::Capture::Ends,
    }
}

fn shell(script: &str) -> Command {
    command("sh", &["-c", script])
}

fn python(script: &str) -> Command {
    command("python3", &["-c", script])
}

fn run_with(grace: Duration, command: &Command, inbox: &Inbox) -> Outcome {
    let world = World { inbox, grace, root: Path::new("/") };
    prepare().expect("a subreaper");
    run_in(&world, command, &mut |_, _| {}).expect("runs")
}

fn run_short(command: &Command) -> Outcome {
    run_with(SHORT, command, &Inbox::default())
}

fn text(captured: &Captured) -> &str {
    str::from_utf8(&captured.bytes).expect("text")
}

/// The process whose number a tool wrote down.
fn noted(dir: &TempDir) -> os::Pid {
    let number = fs_err::read_to_string(dir.path().join("pid")).expect("a number");
    os::Pid::from_raw(number.trim().parse().expect("a number")).expect("a process")
}

/// Not even a zombie is left.
fn gone(process: os::Pid) -> bool {
    os::test_kill_process(process) == Err(rustix::io::Errno::SRCH)
}

fn skip(reason: &str) {
    writeln!(io::stderr(), "SKIP {reason}").expect("a message");
}

/// Runs an ignored test of this file in a process of its own.
fn apart(wrapper: &[&str], test: &str) -> Finished {
    let this = fs_err::read_link("/proc/self/exe").expect("this program");
    let mut words = wrapper.iter().map(OsString::from).chain([this.into_os_string()]);
    std::process::Command::new(words.next().expect("a program"))
        .args(words)
        .args(["--exact", "--ignored", "--nocapture", &format!("sys::exec::tests::{test}")])
        .output()
        .expect("runs")
}

#[track_caller]
fn assert_passed(finished: &Finished) {
    let said = String::from_utf8_lossy(&finished.stdout);
    let complaint = String::from_utf8_lossy(&finished.stderr);
    assert!(finished.status.success() && said.contains("1 passed"), "{said}{complaint}");
}

#[test]
fn a_status_is_not_a_signal() {
    assert_eq!(run_short(&shell("exit 7")).ended, Ended::Exited(7));
    assert_eq!(run_short(&shell("kill -9 $$")).ended, Ended::Killed(9));
}

#[test]
fn a_tool_sees_the_environment_it_was_given_and_no_other() {
    let mut command = command("env", &[]);
    command.env.push(("GREETING".into(), "good day".into()));
    let seen = run_short(&command).stdout;
    assert_eq!(text(&seen), "GREETING=good day\nPATH=/usr/local/bin:/usr/bin:/bin\n");
}

#[test]
fn a_tool_has_its_directory_no_input_and_a_group_of_its_own() {
    let dir = TempDir::new().expect("a directory");
    let mut command =
        python("import os, sys; print(os.getcwd(), sys.stdin.read(), os.getpgrp() == os.getpid())");
    command.cwd = dir.path().canonicalize().expect("a path");
    let said = run_short(&command).stdout;
    assert_eq!(text(&said), format!("{}  True\n", command.cwd.display()));
}

#[test]
fn a_megabyte_on_stderr_before_stdout_does_not_hang() {
    let outcome =
        run_short(&python("import sys; sys.stderr.write(('x' * 63 + chr(10)) * (1 << 14)); print('done')"));
    assert_eq!(outcome.ended, Ended::Exited(0));
    assert_eq!(text(&outcome.stdout), "done\n");
    assert_eq!(outcome.stderr.left_out, (1 << 20) - 128 * 1024 + 64);
}

#[test]
fn a_line_of_ten_megabytes_is_streamed_whole_and_kept_in_part() {
    const LINE: usize = 10 << 20;
    let mut streamed = 0;
    let command = python("print('a' + ' x' * ((10 << 19) - 1))");
    let outcome = run(&command, &mut |stream, chunk| {
        assert_eq!(stream, Stream::Stdout);
        streamed += chunk.len();
    })
    .expect("runs");
    assert_eq!(streamed, LINE);
    let kept = text(&outcome.stdout);
    assert!(kept.starts_with("a x x") && kept.ends_with(" x x\n"));
    assert!(kept.contains("x \n… 10112 KiB left out …\nx"), "{}", &kept[65_500..65_600]);
    assert!(kept.len() < 128 * 1024 + 64);
}

#[test]
fn bytes_that_are_no_text_arrive_as_they_are() {
    let outcome = run_short(&shell(r"printf 'a\377\376\000b'"));
    assert_eq!(outcome.stdout.bytes, b"a\xff\xfe\0b");
}

#[test]
fn data_is_captured_whole_and_kept_out_of_the_story() {
    let mut command = python("import sys; sys.stdout.write('x' * (9 << 20)); sys.stderr.write('story')");
    command.capture = plan::Capture::Whole;
    let mut story = Vec::new();
    let outcome = run(&command, &mut |stream, chunk| {
        assert_eq!(stream, Stream::Stderr);
        story.extend_from_slice(chunk);
    })
    .expect("runs");
    assert_eq!(story, b"story");
    assert_eq!((outcome.stdout.bytes.len(), outcome.stdout.left_out), (8 << 20, 1 << 20));
    assert_eq!(text(&outcome.stderr), "story");
}

#[test]
fn what_cannot_be_started_says_why() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("script");
    let start = |command: &Command| run(command, &mut |_, _| {}).expect_err("fails");

    let absent = command("/nowhere/tool", &[]);
    let error = start(&absent);
    assert!(matches!(&error, ExecError::Start { source, .. } if source.kind() == io::ErrorKind::NotFound));
    assert_eq!(error.to_string(), "/nowhere/tool cannot be started");

    fs_err::write(&file, "#!/nowhere/interpreter\n").expect("a file");
    let script = command(file.to_str().expect("text"), &[]);
    let error = start(&script);
    assert!(
        matches!(&error, ExecError::Start { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    );

    assert!(run_short(&command("chmod", &["755", file.to_str().expect("text")])).ended == Ended::Exited(0));
    assert!(matches!(start(&script), ExecError::Interpreter { .. }));

    let mut homeless = shell("true");
    homeless.cwd = "/nowhere".into();
    assert!(matches!(start(&homeless), ExecError::Directory { .. }));

    let wordy = command("echo", &[&"x".repeat(4 << 20)]);
    let error = start(&wordy);
    assert!(
        matches!(&error, ExecError::Start { source, .. } if source.kind() == io::ErrorKind::ArgumentListTooLong)
    );
}

#[test]
fn a_tool_that_leaves_nothing_behind_is_not_waited_for() {
    let quickest = (0..5).map(|_| {
        let begin = Instant::now();
        run_short(&shell("exit 0"));
        begin.elapsed()
    });
    assert!(quickest.min().expect("five") < LINGER / 2);
}

#[test]
fn a_tool_that_runs_too_long_is_ended() {
    let mut command = shell("echo begun; exec sleep 600");
    command.timeout = SHORT;
    let outcome = run_with(LONG, &command, &Inbox::default());
    assert_eq!(outcome.ended, Ended::TimedOut);
    assert_eq!(text(&outcome.stdout), "begun\n");
    assert!(outcome.elapsed >= SHORT && outcome.elapsed < LONG);
}

#[test]
fn a_tool_that_ignores_sigterm_is_killed_after_the_grace() {
    let mut command = shell("trap '' TERM; while :; do sleep 0.05; done");
    command.timeout = SHORT;
    let begin = Instant::now();
    let outcome = run_short(&command);
    assert_eq!(outcome.ended, Ended::TimedOut);
    assert_eq!(outcome.survivors, [0; 0]);
    assert!(begin.elapsed() >= SHORT * 2 && begin.elapsed() < LONG);
}

#[test]
fn sigterm_reaches_all_that_the_tool_started_and_they_may_end_properly() {
    // A shell heeds the signal when its child has ended, which must get it as well.
    let mut command = shell("trap 'echo tidy; exit 3' TERM; setsid -w sleep 600");
    command.timeout = SHORT;
    let begin = Instant::now();
    let outcome = run_with(LONG, &command, &Inbox::default());
    assert_eq!(outcome.ended, Ended::TimedOut);
    assert_eq!(text(&outcome.stdout), "tidy\n");
    assert!(begin.elapsed() < LONG);
}

#[test]
fn a_child_that_still_writes_is_heard_out() {
    let outcome = run_short(&shell("(sleep 0.03; echo late) & echo early"));
    assert_eq!(outcome.ended, Ended::Exited(0));
    assert_eq!(text(&outcome.stdout), "early\nlate\n");
}

#[test]
fn a_child_that_holds_the_pipe_is_ended_with_its_parent() {
    let dir = TempDir::new().expect("a directory");
    let mut command = shell("sleep 600 & echo $! > pid");
    command.cwd = dir.path().into();
    let begin = Instant::now();
    let outcome = run_with(LONG, &command, &Inbox::default());
    assert_eq!(outcome.ended, Ended::Exited(0));
    assert!(gone(noted(&dir)));
    assert!(begin.elapsed() < LONG);
}

#[test]
fn a_grandchild_in_a_session_of_its_own_does_not_survive() {
    let dir = TempDir::new().expect("a directory");
    let mut command = shell(
        "setsid sh -c 'trap \"\" TERM; echo $$ > note; mv note pid; exec sleep 600' &
         until test -f pid; do sleep 0.01; done; exit 4",
    );
    command.cwd = dir.path().into();
    let outcome = run_short(&command);
    assert_eq!(outcome.ended, Ended::Exited(4));
    assert_eq!(outcome.survivors, [0; 0]);
    assert!(gone(noted(&dir)));
}

#[test]
fn orphans_are_reaped_while_the_tool_still_runs() {
    // The orphan's number is free once it is reaped: then `kill -0` fails.
    let outcome = run_short(&shell(
        r"orphan=$(sh -c 'sleep 0.05 >&2 & echo $!')
           for i in $(seq 100); do kill -0 $orphan || { echo reaped; exit; }; sleep 0.05; done",
    ));
    assert_eq!(text(&outcome.stdout), "reaped\n");
}

#[test]
fn a_signal_ends_the_tool_and_wins_over_its_status() {
    let inbox = Inbox::default();
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SHORT);
            inbox.deliver(Signal::Interrupt);
        });
        run_with(LONG, &shell("trap 'exit 0' TERM; while :; do sleep 0.02; done"), &inbox)
    });
    assert_eq!(outcome.ended, Ended::Terminated(Signal::Interrupt));
}

#[test]
fn a_signal_between_two_tools_ends_the_next_one() {
    let inbox = Inbox::default();
    inbox.deliver(Signal::Terminate);
    let outcome = run_with(LONG, &shell("exec sleep 600"), &inbox);
    assert_eq!(outcome.ended, Ended::Terminated(Signal::Terminate));
}

#[test]
fn a_second_signal_kills_at_once() {
    let inbox = Inbox::default();
    let begin = Instant::now();
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SHORT);
            inbox.deliver(Signal::Terminate);
            thread::sleep(SHORT);
            inbox.deliver(Signal::Interrupt);
        });
        run_with(LONG, &shell("trap '' TERM; while :; do sleep 0.02; done"), &inbox)
    });
    assert_eq!(outcome.ended, Ended::Terminated(Signal::Terminate));
    assert_eq!(outcome.survivors, [0; 0]);
    assert!(begin.elapsed() < LONG);
}

#[test]
fn running_out_of_memory_is_told_with_the_limit() {
    let group = Path::new("/sys/fs/cgroup/memory").join(format!("injector-test-{}", std::process::id()));
    if fs_err::create_dir(&group).is_err() {
        return skip("out of memory: no writable control group of version 1");
    }
    fs_err::write(group.join("memory.limit_in_bytes"), "33554432").expect("a limit");
    // Our own facts, as they would be if this process were in that group.
    let root = TempDir::new().expect("a directory");
    fs_err::create_dir_all(root.path().join("proc/self")).expect("a directory");
    let name = group.file_name().expect("a name").to_string_lossy();
    fs_err::write(root.path().join("proc/self/cgroup"), format!("4:memory:/{name}\n0::/\n")).expect("a file");
    fs_err::create_dir_all(root.path().join("sys/fs")).expect("a directory");
    symlink("/sys/fs/cgroup", root.path().join("sys/fs/cgroup")).expect("a link");

    let world = World { inbox: &Inbox::default(), grace: SHORT, root: root.path() };
    let joined = format!("echo $$ > {}/cgroup.procs; exec ", group.display());
    let modest = run_in(&world, &shell(&format!("{joined} true")), &mut |_, _| {}).expect("runs");
    let hog = shell(&format!("{joined} python3 -c 'len(bytearray(256 << 20))'"));
    let hog = run_in(&world, &hog, &mut |_, _| {}).expect("runs");
    fs_err::remove_dir(&group).expect("an empty group");

    assert_eq!(modest.ended, Ended::Exited(0));
    assert_eq!(modest.out_of_memory, None);
    assert_eq!(hog.ended, Ended::Killed(9));
    let facts = hog.out_of_memory.expect("facts");
    assert_eq!((facts.limit, facts.oom_kills), (Some(32 << 20), 1));
    assert!(facts.peak.is_some_and(|peak| peak > 16 << 20 && peak <= 32 << 20));
}

#[test]
fn what_cannot_be_killed_is_named_and_not_waited_for_for_ever() {
    assert_passed(&apart(&[], "a_frozen_process_survives"));
}

#[test]
#[ignore = "run in a process of its own, whose other runs the survivor would delay"]
fn a_frozen_process_survives() {
    let group = Path::new("/sys/fs/cgroup/freezer").join(format!("injector-test-{}", std::process::id()));
    if fs_err::create_dir(&group).is_err() {
        return skip("frozen process: no writable control group of version 1");
    }
    let dir = TempDir::new().expect("a directory");
    let mut command = shell(&format!(
        "sh -c 'echo $$ > {group}/cgroup.procs; echo $$ > note; mv note pid; exec sleep 600' &
         until test -f pid; do sleep 0.01; done
         echo FROZEN > {group}/freezer.state
         until grep -q FROZEN {group}/freezer.state; do sleep 0.01; done",
        group = group.display()
    ));
    command.cwd = dir.path().into();
    let outcome = run_short(&command);
    fs_err::write(group.join("freezer.state"), "THAWED").expect("thaws");
    let swept = run_short(&shell("exit 0"));
    fs_err::remove_dir(&group).expect("an empty group");

    assert_eq!(outcome.ended, Ended::Exited(0));
    assert_eq!(outcome.survivors, [noted(&dir).as_raw_nonzero().get()]);
    assert_eq!(swept.survivors, [0; 0]);
    assert!(gone(noted(&dir)));
}

#[test]
fn as_the_first_process_of_a_container_nothing_escapes_into_our_group() {
    let wrapper = ["unshare", "--pid", "--fork", "--mount-proc", "setsid"];
    let possible = std::process::Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").status();
    if !possible.is_ok_and(|status| status.success()) {
        return skip("first process: no process namespace to be had");
    }
    assert_passed(&apart(&wrapper, "an_orphan_in_the_group_of_the_first_process_is_ended"));
}

#[test]
#[ignore = "run as the first process of a namespace"]
fn an_orphan_in_the_group_of_the_first_process_is_ended() {
    assert_eq!((os::getpid(), os::getpgrp()), (os::Pid::INIT, os::Pid::INIT));
    let dir = TempDir::new().expect("a directory");
    let mut command = python(
        "import os, time
if os.fork() == 0:
    os.setpgid(0, 1)
    open('note', 'w').write(str(os.getpid()))
    os.rename('note', 'pid')
    time.sleep(600)
while not os.path.exists('pid'): time.sleep(0.01)",
    );
    command.cwd = dir.path().into();
    let outcome = run_short(&command);
    assert_eq!(outcome.ended, Ended::Exited(0));
    assert!(gone(noted(&dir)));
}

#[test]
fn others_cannot_read_this_process() {
    prepare().expect("prepared");
    let behaviour = os::dumpable_behavior().expect("known");
    assert!(matches!(behaviour, os::DumpableBehavior::NotDumpable));
}
