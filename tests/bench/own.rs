//! What the injector itself costs (P1), and how soon an error is where Kubernetes shows it (P10).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};

use super::report::Report;
use super::results::{Goal, Unit};
use super::room::{clear, touch_memory};
use super::series::{found, timed};
use super::site::{Pod, Site};

/// Rounds: each takes some milliseconds.
const ROUNDS: usize = 40;
/// How often somebody looks for an error.
const INTERVAL: Duration = Duration::from_micros(50);

/// Stands in for Python: answers what the injector's helpers would, and says how much memory its
/// parent has used at most.
const FAKE: &str = r#"#!/bin/sh
case "$*" in
*check.py*) echo '{"errors":[],"handler":{"state":"defined","names":[]}}' ;;
*compile.py*) sed -n 's/^VmHWM:/peak/p' "/proc/$PPID/status" >&2 ;;
*) echo '{"version":"3.12.1","facts":{"abi":"a","libc":"glibc 2.36","arch":"x86_64","pip":"24"}}' ;;
esac
"#;
/// How it is started in a build.
const STARTS: [&str; 3] = ["probe", "check.py", "compile.py"];

/// Finds an error, and notes the time as the last thing that it does.
const BROKEN: &str = r#"#!/bin/sh
case "$*" in
*check.py*)
    echo '{"errors":[{"file":"hello.py","line":1,"column":4,"message":"invalid syntax","source":"def"}],"handler":{"state":"unchecked","names":[]}}'
    date +%s%N >NOTE
    exit 1 ;;
*) echo '{"version":"3.12.1","facts":{"abi":"a","libc":"glibc 2.36","arch":"x86_64","pip":"24"}}' ;;
esac
"#;

/// Prints what a build takes beyond the starts of the tool that it makes.
pub(super) fn cost(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    let home = furnish(site, FAKE)?;
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    touch_memory();
    for _ in 0..ROUNDS {
        let mut alone = Duration::ZERO;
        for argument in STARTS {
            let mut tool = Command::new(home.join("bin/python3"));
            alone += timed(tool.arg(argument).env_clear().env("PATH", "/usr/bin:/bin"))?.0;
        }
        let built = pod(site, &home).build()?;
        times.push(built.time.saturating_sub(alone).as_secs_f64() * 1e3);
        peaks.push(peak(&built.story)?);
        built.clear();
    }
    let what = "a function without dependencies, less the tools' time";
    report.row("P1", what, Unit::Milliseconds, found(times), Some(Goal::AtMost(10.0)));
    report.row("P1", "its peak of memory", Unit::Mebibytes, found(peaks), Some(Goal::AtMost(8.0)));
    clear(&home);
    Ok(())
}

/// Prints how long it takes from the end of a compiler that found an error to the termination log.
pub(super) fn error(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    let home = site.room.fresh("broken");
    let note = home.join("note");
    furnish_at(&home, &BROKEN.replace("NOTE", &note.display().to_string()))?;
    let log = home.join("termination-log");
    let mut times = Vec::new();
    touch_memory();
    for _ in 0..ROUNDS {
        fs::write(&log, "")?;
        let over = AtomicBool::new(false);
        let seen = thread::scope(|scope| {
            let watch = scope.spawn(|| watch(&log, &over));
            let mut pod = pod(site, &home).with("INJECTOR_TERMINATION_LOG", &log);
            let ended = pod.start().and_then(|mut child| Ok(child.wait()?));
            clear(pod.volume());
            over.store(true, Ordering::Relaxed);
            ensure!(ended?.code() == Some(61), "the build did not end with 61");
            watch.join().ok().flatten().context("the termination log has no E61")
        })?;
        let exited: u64 = fs::read_to_string(&note)?.trim().parse()?;
        let seen = seen.duration_since(SystemTime::UNIX_EPOCH)?;
        times.push(seen.saturating_sub(Duration::from_nanos(exited)).as_secs_f64() * 1e3);
    }
    let what = "from a compiler's end to its error in the termination log";
    report.row("P10", what, Unit::Milliseconds, found(times), Some(Goal::AtMost(5.0)));
    clear(&home);
    Ok(())
}

/// When the error is there; once more after all is over.
fn watch(log: &Path, over: &AtomicBool) -> Option<SystemTime> {
    loop {
        let last = over.load(Ordering::Relaxed);
        if fs::read_to_string(log).is_ok_and(|text| text.starts_with("E61")) {
            return Some(SystemTime::now());
        }
        if last {
            return None;
        }
        thread::sleep(INTERVAL);
    }
}

/// A function that needs nothing, and a fake interpreter.
pub(super) fn furnish(site: &Site, fake: &str) -> anyhow::Result<PathBuf> {
    let home = site.room.fresh("own");
    furnish_at(&home, fake)?;
    Ok(home)
}

fn furnish_at(home: &Path, fake: &str) -> anyhow::Result<()> {
    for dir in ["bin", "src"] {
        fs::create_dir_all(home.join(dir))?;
    }
    let tool = home.join("bin/python3");
    fs::write(&tool, fake)?;
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755))?;
    fs::write(home.join("src/hello.py"), "def handler(event, context):\n    return 'hello'\n")?;
    fs::write(home.join("src/handler"), "hello.handler")?;
    Ok(())
}

/// The fake that says its parent's peak of memory.
pub(super) fn fake() -> &'static str {
    FAKE
}

fn pod(site: &Site, home: &Path) -> Pod {
    site.pod(&home.join("src")).with("PATH", format!("{}:/usr/bin:/bin", home.join("bin").display()))
}

/// What the fake tool said of its parent's memory, in MiB.
pub(super) fn peak(story: &str) -> anyhow::Result<f64> {
    let peak = story.lines().find_map(|line| line.strip_prefix("peak")?.trim().strip_suffix(" kB"));
    let kib: f64 = peak.context("the fake tool did not say the peak")?.trim().parse()?;
    Ok(kib / 1024.0)
}
