//! Many pods of one function at once: one of them builds (P5), and restores do not stand in one another's way.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::functions::{Function, Weight};
use super::report::Report;
use super::results::{Found, Goal, Unit};
use super::room::{clear, touch_memory};
use super::series::{Series, found, words};
use super::site::{Pod, Site};
use super::stock::{self, Stock};

/// The functions that many pods build at once.
const BUILT: [&str; 2] = ["python-fastapi", "nodejs-express"];
/// How many pods.
const PODS: [usize; 2] = [4, 8];
/// What counts as an installer, and what it is told then.
const INSTALLERS: [&str; 3] = ["python3", "uv", "npm"];

/// Prints the rows of pods that find nothing: how often an installer runs.
pub(super) fn builds(site: &Site, function: &Function, report: &mut Report) -> anyhow::Result<()> {
    if !BUILT.contains(&function.name) {
        return Ok(());
    }
    let source = stock::source(site, function)?;
    let counter = Counter::new(site)?;
    for pods in PODS {
        let mut counts = Vec::new();
        let mut fault = None;
        for _ in 0..site.rounds.cold {
            touch_memory();
            let cache = site.room.fresh("shared-cache");
            let ready = (0..pods)
                .map(|_| stock::pod(site, &source).node(&cache).with("PATH", &counter.path))
                .collect();
            match counter.of(|| at_once(ready)) {
                Ok(count) => counts.push(count),
                Err(reason) => fault = Some(words(&reason)),
            }
            clear(&cache);
        }
        let what = format!("runs of an installer for {pods} pods at once on an empty cache");
        let found = fault.map_or_else(|| found(counts), Found::Failed);
        report.of(function, "P5", &what, Unit::Count, found, Some(Goal::Exactly(1.0)));
    }
    Ok(())
}

/// Prints the rows of pods that find it in the node's cache.
pub(super) fn restores(site: &Site, function: &Function, stock: &Stock, report: &mut Report) {
    const ONE: &str = "one restore";
    const FOUR: &str = "four restores at once";
    const MOUNTS: &str = "eight mounts at once";
    if function.weight != Weight::Heavy {
        return;
    }
    let mut series = Series::default();
    series.add(ONE, || at_once(vec![stock.node_pod(site)?]));
    series.add(FOUR, || at_once((0..4).map(|_| stock.node_pod(site)).collect::<anyhow::Result<_>>()?));
    series.add(MOUNTS, || {
        let mount = |_| Ok(stock.node_pod(site)?.with("INJECTOR_CACHE_MODE", "mount"));
        at_once((0..8).map(mount).collect::<anyhow::Result<_>>()?)
    });
    let times = series.measure(site.rounds.warm);
    report.keep(function, &times);
    let found = times.ratio(FOUR, ONE);
    report.of(function, "P5", "4 restores at once / one", Unit::Ratio, found, Some(Goal::AtMost(4.5)));
    report.of(function, "", MOUNTS, Unit::Milliseconds, times.alone(MOUNTS, 1e3), None);
}

/// How long it takes until the last of them is ready.
fn at_once(mut pods: Vec<Pod>) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let started: Vec<_> = pods.iter_mut().map(Pod::start).collect();
    let mut ended = Vec::new();
    for child in started {
        ended.push(child.and_then(|mut child| Ok(child.wait()?)));
    }
    let time = begun.elapsed();
    for pod in &pods {
        clear(pod.volume());
    }
    for status in ended {
        let status = status?;
        ensure!(status.success(), "injector: {status}");
    }
    Ok(time)
}

/// Installers that note when they run.
struct Counter {
    path: std::ffi::OsString,
    notes: PathBuf,
}

impl Counter {
    fn new(site: &Site) -> anyhow::Result<Self> {
        let bin = site.room.fresh_dir("counted")?;
        let notes = bin.join("notes");
        for name in INSTALLERS {
            let Some(real) = which(site, name) else { continue };
            let script = format!(
                "#!/bin/sh\ncase \" $* \" in *' install '*|*' ci '*) echo >>{} ;; esac\nexec {} \"$@\"\n",
                notes.display(),
                real.display()
            );
            let file = bin.join(name);
            File::create(&file)?.write_all(script.as_bytes())?;
            fs::set_permissions(&file, Permissions::from_mode(0o755))?;
        }
        Ok(Counter { path: site.tools.path_after(bin)?, notes })
    }

    /// How many ran meanwhile.
    fn of(&self, run: impl FnOnce() -> anyhow::Result<Duration>) -> anyhow::Result<f64> {
        fs::write(&self.notes, "")?;
        run()?;
        let notes = fs::read_to_string(&self.notes).context("the notes")?;
        Ok(f64::from(u32::try_from(notes.lines().count())?))
    }
}

fn which(site: &Site, name: &str) -> Option<PathBuf> {
    std::env::split_paths(site.tools.path()).map(|dir| dir.join(name)).find(|file| Path::is_file(file))
}
