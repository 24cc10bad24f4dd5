//! A restore: from the node's cache and from the registry (P2, P4), by mounting (P3), and what it is worth to Python (P7).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::competitors::{self, BUN_COPIED, NPM_WARM, PNPM_COPIED, UV_COPIED, UV_COPIED_COMPILED, UV_LINKED};
use super::functions::{Function, Language, Weight};
use super::report::Report;
use super::results::{Found, Goal, Unit};
use super::room::clear;
use super::series::{Series, found, timed, words};
use super::site::Site;
use super::stock::Stock;
use super::{Choice, Section};

/// How those are called that other files name.
pub(super) const NODE: &str = "injector, node's cache";
pub(super) const CLUSTER: &str = "injector, registry";
pub(super) const CLUSTER_ALONE: &str = "injector, registry, no node's cache";
pub(super) const MOUNT: &str = "injector, mount";
const RAW: &str = "raw";
const TAR: &str = "tar x";
const COPY: &str = "cp -a";

/// Prints the rows.
pub(super) fn rows(
    site: &Site,
    function: &Function,
    stock: &Stock,
    choice: &Choice,
    report: &mut Report,
) -> anyhow::Result<()> {
    report.note(&stock.size());
    let mut series = Series::default();
    series.add(RAW, || {
        let to = site.room.fresh("raw");
        let time = stock.shards.unpack(&to);
        clear(&to);
        time
    });
    if choice.has(Section::Node) {
        series.add(NODE, || stock.node_pod(site)?.time());
        beside(&mut series, site, stock);
        competitors::cached(&mut series, site, function.language, &stock.source);
    }
    if choice.has(Section::Registry) {
        series.add(CLUSTER_ALONE, || stock.cluster_pod(site)?.time());
        series.add(CLUSTER, || {
            let cache = site.room.fresh("empty-node");
            let time = stock.cluster_pod(site)?.node(&cache).time();
            clear(&cache);
            time
        });
    }
    if choice.has(Section::Mount) {
        series.add(MOUNT, || stock.node_pod(site)?.with("INJECTOR_CACHE_MODE", "mount").time());
    }
    let times = series.measure(site.rounds.warm);
    report.keep(function, &times);

    let heavy = function.weight == Weight::Heavy;
    let goal = |most: f64| heavy.then_some(Goal::AtMost(most));
    if choice.has(Section::Node) {
        let others: &[(&str, Option<f64>)] = match function.language {
            Language::Python => &[
                (RAW, Some(1.3)),
                (TAR, Some(0.85)),
                (COPY, None),
                (UV_COPIED, Some(0.45)),
                (UV_COPIED_COMPILED, Some(0.45)),
                (UV_LINKED, None),
            ],
            Language::Nodejs => &[
                (RAW, Some(1.3)),
                (TAR, None),
                (COPY, None),
                (NPM_WARM, Some(0.1)),
                (PNPM_COPIED, None),
                (BUN_COPIED, None),
            ],
            Language::Go | Language::Rust | Language::Java => &[(RAW, None), (TAR, None), (COPY, None)],
        };
        for (other, most) in others {
            let what = format!("node's cache / {other}");
            let goal = most.and_then(goal);
            let p2 = if goal.is_some() { "P2" } else { "" };
            report.of(function, p2, &what, Unit::Ratio, times.ratio(NODE, other), goal);
        }
        report.of(function, "", "node's cache", Unit::Milliseconds, times.alone(NODE, 1e3), None);
    }
    if choice.has(Section::Registry) {
        for who in [CLUSTER_ALONE, CLUSTER] {
            let what = who.trim_start_matches("injector, ");
            let p2 = if heavy { "P2" } else { "" };
            report.of(function, p2, &format!("{what} / raw"), Unit::Ratio, times.ratio(who, RAW), goal(1.3));
            report.of(function, "", what, Unit::Milliseconds, times.alone(who, 1e3), None);
        }
    }
    if choice.has(Section::Mount) {
        let found = times.alone(MOUNT, 1e3);
        report.of(function, "P3", "mount", Unit::Milliseconds, found, Some(Goal::AtMost(10.0)));
    }
    if heavy {
        peaks(site, function, stock, choice, report);
    }
    if heavy && function.language == Language::Python && choice.has(Section::Node) {
        imports(site, function, stock, report)?;
    }
    Ok(())
}

/// What unpacks or copies the same tree.
fn beside<'a>(series: &mut Series<'a>, site: &'a Site, stock: &'a Stock) {
    let into = |name: &'static str, command: fn(&Stock, &Path) -> Command| {
        move || -> anyhow::Result<Duration> {
            let to = site.room.fresh_dir(name)?;
            let taken = timed(&mut command(stock, &to));
            clear(&to);
            Ok(taken?.0)
        }
    };
    let tar = |stock: &Stock, to: &Path| {
        let mut tar = Command::new("tar");
        tar.arg("-xf").arg(&stock.tar).arg("-C").arg(to);
        tar
    };
    let copy = |stock: &Stock, to: &Path| {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(stock.tree.join(".")).arg(to);
        copy
    };
    series.add(TAR, into("tar", tar));
    series.add(COPY, into("copy", copy));
}

/// How much memory a restore takes.
fn peaks(site: &Site, function: &Function, stock: &Stock, choice: &Choice, report: &mut Report) {
    let mut row = |what: &str, peaks: anyhow::Result<Vec<f64>>| {
        let found = match peaks {
            Ok(peaks) => found(peaks),
            Err(reason) => Found::Failed(words(&reason)),
        };
        let what = format!("peak memory of a restore from the {what}");
        report.of(function, "P4", &what, Unit::Mebibytes, found, Some(Goal::AtMost(24.0)));
    };
    let rounds = 0..site.rounds.cold;
    if choice.has(Section::Node) {
        row("node's cache", rounds.clone().map(|_| stock.node_pod(site)?.peak()).collect());
    }
    if choice.has(Section::Registry) {
        row("registry", rounds.clone().map(|_| stock.cluster_pod(site)?.peak()).collect());
        let both = |_| {
            let cache = site.room.fresh("empty-node");
            let peak = stock.cluster_pod(site)?.node(&cache).peak();
            clear(&cache);
            peak
        };
        row("registry into an empty node's cache", rounds.map(both).collect());
    }
}

/// What a first import takes, where byte-code is what was restored, what Python has just made, and where there is none.
fn imports(site: &Site, function: &Function, stock: &Stock, report: &mut Report) -> anyhow::Result<()> {
    const RESTORED: &str = "import, restored";
    const COMPILED: &str = "import, byte-code just made";
    const BARE: &str = "import, no byte-code";
    let built = stock.node_pod(site)?.build()?;
    let restored = built.tree()?.join("deps");
    let [compiled, bare] = [COMPILED, BARE].map(|_| site.room.fresh("imports"));
    for to in [&compiled, &bare] {
        timed(Command::new("cp").arg("-a").arg(&restored).arg(to))?;
        let caches = ["-name", "__pycache__", "-prune", "-exec", "rm", "-r", "{}", "+"];
        timed(Command::new("find").arg(to).args(caches))?;
    }
    // Files that do not compile, such as templates, make its status 1.
    site.tool("python3").args(["-m", "compileall", "-q", "-j0"]).arg(&compiled).output()?;
    let mut series = Series::default();
    for (who, deps) in [(RESTORED, &restored), (COMPILED, &compiled), (BARE, &bare)] {
        series.add(who, move || {
            let mut python = site.tool("python3");
            python.args(["-B", "-c", "import numpy, pandas, sklearn.linear_model"]).env("PYTHONPATH", deps);
            Ok(timed(&mut python)?.0)
        });
    }
    let times = series.measure(site.rounds.warm);
    report.keep(function, &times);
    built.clear();
    for to in [compiled, bare] {
        clear(&to);
    }
    let goal = Some(Goal::AtMost(1.05));
    let found = times.ratio(RESTORED, COMPILED);
    report.of(function, "P7", "import after a restore / with byte-code", Unit::Ratio, found, goal);
    let found = times.ratio(BARE, COMPILED);
    report.of(function, "", "import without byte-code / with it", Unit::Ratio, found, None);
    Ok(())
}
