//! `cargo xtask bench`: the injector side by side with what one would run otherwise, interleaved, as ratios.

mod arrival;
mod compiled;
mod interpreted;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;

/// Prints the table: all of it, or the rows of one language, or those of `memory`.
///
/// # Errors
/// When a build fails, or a file cannot be written.
pub(crate) fn run(binary: &Path, only: Option<&str>) -> anyhow::Result<()> {
    let room = Room::new()?;
    println!("{:<66} {:>10} {:>10}", "what", "figure", "goal");
    interpreted::rows(binary, &room, only)?;
    arrival::rows(binary, &room, only)?;
    compiled::rows(binary, &room, only)
}

fn row(what: &str, figure: &str, goal: &str) {
    println!("{what:<66} {figure:>10} {goal:>10}");
}

/// A directory that goes afterwards.
struct Room(PathBuf);

impl Room {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("injector-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Room(path))
    }

    /// A new directory for each run: old ones distort a file system's figures.
    fn fresh(&self, name: &str, round: usize) -> PathBuf {
        self.0.join(format!("{name}-{round}"))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Go's module cache is read-only.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&self.0).status();
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// How long a command takes, and what it said on stderr.
fn timed(command: &mut Command) -> anyhow::Result<(Duration, String)> {
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let time = begun.elapsed();
    let [said, story] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    ensure!(output.status.success(), "{command:?}: {}\n{said}{story}", output.status);
    Ok((time, story))
}
