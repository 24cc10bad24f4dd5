//! What the injector itself costs (P1), and cold builds of interpreted languages beside their installers (P6).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::{Room, median, row, timed};

/// Rounds of the measurement without a network, and of the one with it.
const ROUNDS: (usize, usize) = (40, 5);

/// Stands in for Python: answers what the injector's helpers would, and says how much memory its
/// parent has used at most.
const FAKE: &str = r#"#!/bin/sh
case "$*" in
*check.py*) echo '{"errors":[],"handler":{"state":"defined","names":[]}}' ;;
*compile.py*) sed -n 's/^VmHWM:/peak/p' "/proc/$PPID/status" >&2 ;;
*) echo '{"version":"3.12.1","facts":{"abi":"a","libc":"glibc 2.36","arch":"x86_64","pip":"24"}}' ;;
esac
"#;

/// Prints the rows.
pub(super) fn rows(binary: &Path, room: &Room, only: Option<&str>) -> anyhow::Result<()> {
    if only.is_none() {
        let own = own_cost(binary, room)?;
        let milliseconds = own.time.as_secs_f64() * 1e3;
        row(
            "P1 function without dependencies, less the tools' time",
            &format!("{milliseconds:.1} ms"),
            "10 ms",
        );
        row("P1 peak memory", &format!("{:.1} MiB", own.peak_kib / 1024.0), "8 MiB");
    }
    if only.is_none_or(|only| only == "python") {
        let (ratio, extra) = against(binary, room, "python", |example, to| Ok(pip(example, to)))?;
        row("P6 cold build of examples/python / pip install --target", &format!("{ratio:.2} x"), "-");
        row("   of which check, conflicts and byte-code (pip makes its own)", &format!("{extra:.2} s"), "-");
    }
    if only.is_none_or(|only| only == "nodejs") {
        let (ratio, extra) = against(binary, room, "nodejs", npm)?;
        row("P6 cold build of examples/nodejs / npm ci", &format!("{ratio:.2} x"), "-");
        row("   of which check, npm's version and list of packages", &format!("{extra:.2} s"), "-");
    }
    Ok(())
}

/// A function that needs nothing, and the fake interpreter.
pub(super) fn furnish(room: &Room) -> anyhow::Result<()> {
    let path = &room.0;
    fs::create_dir_all(path.join("bin"))?;
    fs::create_dir_all(path.join("src"))?;
    let fake = path.join("bin/python3");
    fs::write(&fake, FAKE)?;
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755))?;
    fs::write(path.join("src/hello.py"), "def handler(event, context):\n    return 'hello'\n")?;
    fs::write(path.join("src/handler"), "hello.handler")?;
    Ok(())
}

struct Cost {
    time: Duration,
    peak_kib: f64,
}

/// What a build takes beyond the three starts of the tool that it makes.
fn own_cost(binary: &Path, room: &Room) -> anyhow::Result<Cost> {
    furnish(room)?;
    let path = format!("{}:/usr/bin:/bin", room.0.join("bin").display());
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS.0 {
        let mut alone = Duration::ZERO;
        for argument in ["probe", "check.py", "compile.py"] {
            let mut tool = Command::new(room.0.join("bin/python3"));
            alone += timed(tool.arg(argument).env_clear().env("PATH", &path))?.0;
        }
        let mut build = Command::new(binary);
        build.arg("build").arg(room.0.join("src")).arg("--volume").arg(room.fresh("volume", round));
        build.env_clear().env("PATH", &path).env("TMPDIR", &room.0);
        let (time, story) = timed(&mut build)?;
        times.push(time.saturating_sub(alone));
        peaks.push(peak_kib(&story)?);
    }
    times.sort();
    Ok(Cost { time: times[times.len() / 2], peak_kib: peaks.into_iter().fold(0.0, f64::max) })
}

/// What the fake tool said of its parent's memory.
pub(super) fn peak_kib(story: &str) -> anyhow::Result<f64> {
    let peak = story.lines().find_map(|line| line.strip_prefix("peak")?.trim().strip_suffix(" kB"));
    Ok(peak.context("the fake tool did not say the peak")?.trim().parse()?)
}

/// What one would run without us, with nothing cached.
fn pip(example: &Path, to: &Path) -> Command {
    let mut pip = Command::new("python3");
    pip.args(["-I", "-m", "pip", "install", "-q", "--no-cache-dir", "--target"]).arg(to);
    pip.arg("-r").arg(example.join("requirements.txt"));
    pip
}

/// Likewise.
fn npm(example: &Path, to: &Path) -> anyhow::Result<Command> {
    fs::create_dir_all(to)?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(example.join(name), to.join(name))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--cache"]);
    npm.arg(to.join("cache")).current_dir(to);
    Ok(npm)
}

/// The medians of the ratio to the installer alone, and of the difference.
fn against(
    binary: &Path,
    room: &Room,
    language: &str,
    installer: fn(&Path, &Path) -> anyhow::Result<Command>,
) -> anyhow::Result<(f64, f64)> {
    let example = crate::root().join("examples").join(language);
    let (mut ratios, mut extras) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS.1 {
        let alone = room.fresh(&format!("{language}-alone"), round);
        let alone = timed(&mut installer(&example, &alone)?)?.0.as_secs_f64();
        let mut build = Command::new(binary);
        build.arg("build").arg(&example).arg("--volume").arg(room.fresh(language, round));
        let whole = timed(build.env("INJECTOR_PYTHON_INSTALLER", "pip"))?.0.as_secs_f64();
        ratios.push(whole / alone);
        extras.push(whole - alone);
    }
    Ok((median(ratios), median(extras)))
}
