//! With nothing cached: beside the tool alone (P6), and what Kubeless did in each pod beside a warm replica (P9).

use std::path::Path;

use super::competitors::{self, MAVEN, NPM, PIP, UV_COMPILED, kubeless};
use super::functions::{Function, Language, Weight};
use super::report::Report;
use super::results::{Goal, Unit};
use super::room::clear;
use super::series::Series;
use super::site::Site;
use super::stock::Stock;

/// How those are called that other files name.
pub(super) const COLD: &str = "injector, cold";
const REPLICA: &str = "injector, warm replica";
const UNCACHED: &str = "injector, cold, without a cache";
const DRIVING_PIP: &str = "injector, cold, with pip";

/// Prints the rows.
pub(super) fn rows(site: &Site, function: &Function, stock: &Stock, report: &mut Report) {
    let mut series = Series::default();
    competitors::cold(&mut series, site, function, &stock.source);
    let installer = site.tools.installer();
    let (source, heavy) = (&stock.source, function.weight == Weight::Heavy);
    add(&mut series, site, source, COLD, installer);
    if function.language == Language::Python {
        add(&mut series, site, source, DRIVING_PIP, "pip");
    }
    if heavy {
        add(&mut series, site, source, UNCACHED, installer);
    }
    series.add(REPLICA, || stock.node_pod(site)?.time());
    let times = series.measure(site.rounds.cold);
    report.keep(function, &times);

    let pairs: &[(&str, &str)] = match function.language {
        Language::Python => &[(COLD, UV_COMPILED), (DRIVING_PIP, PIP)],
        Language::Nodejs => &[(COLD, NPM)],
        Language::Go | Language::Rust => &[(COLD, kubeless(function.language))],
        Language::Java => &[(COLD, MAVEN)],
    };
    for (ours, tool) in pairs {
        // The goal grants 20 ms beside the twentieth part.
        let found = times.compared(ours, tool, |ours, tool| (ours - 0.02) / tool);
        let what = format!("{ours}, less 20 ms / {tool}");
        report.of(function, "P6", &what, Unit::Ratio, found, Some(Goal::AtMost(1.05)));
        report.of(function, "", "the difference", Unit::Seconds, times.difference(ours, tool), None);
    }
    if heavy {
        let found = times.ratio(COLD, UNCACHED);
        report.of(function, "", "cold, storing / cold, without a cache", Unit::Ratio, found, None);
    }
    let goal = match function.language {
        Language::Python => 30.0,
        Language::Nodejs | Language::Go => 15.0,
        Language::Rust => 25.0,
        Language::Java => 5.0,
    };
    let kubeless = kubeless(function.language);
    let found = times.ratio(kubeless, REPLICA);
    let what = format!("{kubeless} / warm replica");
    report.of(function, "P9", &what, Unit::Ratio, found, Some(Goal::AtLeast(goal)));
    report.of(function, "", kubeless, Unit::Seconds, times.alone(kubeless, 1.0), None);
}

/// Lets a pod take turns that finds nothing and, unless it has no cache, leaves all there.
fn add<'a>(
    series: &mut Series<'a>,
    site: &'a Site,
    source: &'a Path,
    who: &'static str,
    installer: &'static str,
) {
    series.add(who, move || {
        let cache = site.room.fresh("cold-cache");
        let pod = site.pod(source).with("INJECTOR_PYTHON_INSTALLER", installer);
        let time = if who == UNCACHED { pod } else { pod.node(&cache) }.time();
        clear(&cache);
        time
    });
}
