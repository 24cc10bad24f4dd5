//! Runs the fuzz targets for a bounded time each, and says what was covered and found.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::seeds;
use crate::test::installed;

/// The version of cargo-fuzz that runs the targets.
const CARGO_FUZZ: &str = "0.13.2";
/// How long one input may take, in seconds, before it counts as found: none takes a tenth of that, but machines have
/// other work, too.
const PATIENCE: u64 = 20;
/// The memory that a target may take, in MiB.
const MEMORY: u64 = 1024;
/// The longest input, in bytes.
const LONGEST: usize = 64 << 10;

/// Runs one target, or all of them, for so many seconds each; or with `input`, one target once.
///
/// # Errors
/// When a target cannot be built, or finds something.
pub(crate) fn run(only: Option<&str>, seconds: u64, input: Option<&Path>) -> anyhow::Result<()> {
    let mut targets = targets()?;
    if let Some(only) = only {
        ensure!(targets.iter().any(|one| one == only), "there are the targets {}", targets.join(", "));
        targets.retain(|one| one == only);
    }
    let room = seeds::room();
    let cargo_fuzz = installed("cargo-fuzz", CARGO_FUZZ, "cargo-fuzz", |home| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["install", "--quiet", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ, "--root"]);
        command.arg(home);
        command
    })?;
    let program = |verb: &str| {
        let mut command = Command::new(cargo_fuzz.join("cargo-fuzz"));
        // The targets' flags are only for compilers that call themselves nightly; the code is safe Rust, which
        // needs no sanitizer to stop where it goes wrong.
        command.arg(verb).args(["--sanitizer", "none", "--fuzz-dir"]).arg(&room).arg("--target-dir");
        command.arg(crate::root().join("target/fuzz")).env("RUSTC_BOOTSTRAP", "1").current_dir(crate::root());
        command
    };
    if let Some(input) = input {
        let [target] = targets.as_slice() else { bail!("name the target of {}", input.display()) };
        let input = input.canonicalize().with_context(|| input.display().to_string())?;
        let status = program("run").arg(target).arg(&input).status().context("cargo-fuzz cannot be run")?;
        ensure!(status.success(), "{target} fails with {}", input.display());
        return Ok(());
    }
    let status = program("build").status().context("cargo-fuzz cannot be run")?;
    ensure!(status.success(), "the targets cannot be built");
    println!(
        "{:<14} {:>8} {:>12} {:>8} {:>15} {:>8} {:>9}  found",
        "target", "seconds", "executions", "per s", "edges", "corpus", "slowest"
    );
    let mut found = Vec::new();
    for target in &targets {
        let log = room.join("artifacts").join(format!("{target}.log"));
        let mut command = program("run");
        command.arg(target).args(starting_points(&room, target)?).arg("--").args([
            format!("-max_total_time={seconds}"),
            format!("-timeout={PATIENCE}"),
            format!("-rss_limit_mb={MEMORY}"),
            format!("-max_len={LONGEST}"),
            format!("-dict={}", room.join("dictionaries").join(target).display()),
            "-print_final_stats=1".to_owned(),
        ]);
        let said = File::create(&log).with_context(|| log.display().to_string())?;
        let status = command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).status()?;
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let artifact =
            said.lines().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path));
        println!("{}", row(target, &said, artifact));
        if !status.success() {
            found.push(format!("{target}: {}", artifact.map_or(log, PathBuf::from).display()));
        }
    }
    ensure!(found.is_empty(), "these were found; see each with --input:\n{}", found.join("\n"));
    Ok(())
}

/// The names of all targets.
fn targets() -> anyhow::Result<Vec<String>> {
    let programs = fs::read_dir(seeds::room().join("fuzz_targets"))?;
    let names = programs.map(|entry| Ok(entry?.path().file_stem().map(|name| name.to_string_lossy().into())));
    let mut names: Vec<String> =
        names.filter_map(anyhow::Result::transpose).collect::<anyhow::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Where a target keeps the inputs that reach something new, and its seeds.
fn starting_points(room: &Path, target: &str) -> anyhow::Result<[PathBuf; 2]> {
    let [corpus, artifacts, begin] =
        ["corpus", "artifacts", "corpus/seeds"].map(|name| room.join(name).join(target));
    for dir in [&corpus, &artifacts, &begin] {
        fs::create_dir_all(dir)?;
    }
    for (name, bytes) in seeds::own(target)?.into_iter().chain(seeds::borrowed(target)?) {
        fs::write(begin.join(name), bytes)?;
    }
    Ok([corpus, begin])
}

/// What libFuzzer said of a run, as a row of the table.
fn row(target: &str, said: &str, artifact: Option<&str>) -> String {
    let last = |key: &str, separators: &[char]| {
        let value = said.rsplit_once(key).map(|(_, rest)| rest.trim_start());
        value.and_then(|rest| rest.split(separators).next()).unwrap_or("-").to_owned()
    };
    let blank = [' ', '\n', '/'];
    let seconds = said.rsplit_once("Done ").map_or("-", |(_, done)| done.split(' ').nth(3).unwrap_or("-"));
    let edges = format!("{} of {}", last("cov: ", &blank), last("modules   (", &blank));
    format!(
        "{target:<14} {seconds:>8} {:>12} {:>8} {edges:>15} {:>8} {:>7} s  {}",
        last("stat::number_of_executed_units:", &blank),
        last("stat::average_exec_per_sec:", &blank),
        last("corp: ", &blank),
        last("stat::slowest_unit_time_sec:", &blank),
        artifact.unwrap_or("nothing")
    )
}
