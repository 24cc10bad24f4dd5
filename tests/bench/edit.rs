//! A build after an edit of the handler, with all at hand that was made of dependencies (P8).

use std::cell::Cell;
use std::path::Path;
use std::process::Command;

use super::competitors::{self, CARGO, GO, JAVAC, MAVEN};
use super::functions::{Function, Language, edit};
use super::report::Report;
use super::results::{Goal, Unit};
use super::room::clear;
use super::series::{Series, timed};
use super::site::Site;
use super::stock;

/// How ours is called in the results.
pub(super) const EDITED: &str = "injector, edited handler";

/// Makes a command that builds the project.
type Make = fn(&Site, &Path) -> Command;

/// Prints the rows.
pub(super) fn rows(site: &Site, function: &Function, report: &mut Report) -> anyhow::Result<()> {
    let source = stock::source(site, function)?;
    let cache = site.room.fresh("edit-cache");
    stock::pod(site, &source).node(&cache).time()?;
    let number = Cell::new(0);
    let change = |file: &Path| {
        number.set(number.get() + 1);
        edit(file, number.get())
    };
    let (tools, project) = (tools(function.language), site.room.fresh_dir("edited")?);
    let mut series = Series::default();
    series.add(EDITED, || {
        change(&source.join(function.handler))?;
        // A new volume and a new scratch room: all that is left of the build before is in the cache.
        stock::pod(site, &source).node(&cache).restores_dependencies().time()
    });
    if !tools.is_empty() {
        competitors::project(function, &project)?;
    }
    for &(who, make, _) in tools {
        timed(&mut make(site, &project))?;
        let (project, change) = (&project, &change);
        series.add(&warm(who), move || {
            change(&project.join(handler(function.language)))?;
            Ok(timed(&mut make(site, project))?.0)
        });
    }
    let times = series.measure(site.rounds.warm);
    report.keep(function, &times);
    for &(who, _, most) in tools {
        let what = format!("edited handler / {who}, warm");
        let found = times.ratio(EDITED, &warm(who));
        report.of(function, "P8", &what, Unit::Ratio, found, Some(Goal::AtMost(most)));
    }
    report.of(function, "", "edited handler", Unit::Milliseconds, times.alone(EDITED, 1e3), None);
    clear(&project);
    clear(&cache);
    Ok(())
}

/// How a tool is called in the results when it finds what it made before.
pub(super) fn warm(who: &str) -> String {
    format!("{who}, warm")
}

/// What builds the project after an edit, and the most that ours may take beside it.
fn tools(language: Language) -> &'static [(&'static str, Make, f64)] {
    match language {
        Language::Python | Language::Nodejs => &[],
        Language::Go => &[(GO, competitors::go, 0.7)],
        Language::Rust => &[(CARGO, competitors::cargo, 0.25)],
        // Maven first: it brings in the class path.
        Language::Java => &[(MAVEN, maven, 0.2), (JAVAC, competitors::javac, 0.6)],
    }
}

fn maven(site: &Site, project: &Path) -> Command {
    competitors::maven(site, project, &project.join("repository"))
}

/// The handler's file in the project without us.
fn handler(language: Language) -> &'static str {
    match language {
        Language::Rust => "src/hello.rs",
        Language::Java => "src/main/java/Hello.java",
        Language::Python | Language::Nodejs | Language::Go => "hello.go",
    }
}
