//! `cargo xtask bench`: the injector side by side with what one would run otherwise, interleaved, as ratios.

mod arrival;
mod cold;
mod competitors;
mod document;
mod edit;
mod functions;
mod own;
mod plot;
mod raw;
mod registry;
mod report;
mod results;
mod room;
mod scale;
mod series;
mod site;
mod stock;
mod tools;
mod warm;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::ensure;
use clap::Args;

use functions::{FUNCTIONS, Function, Language, Weight};
use report::Report;
use room::Room;
use site::Site;

/// What is measured, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Sections (own, cold, node, registry, mount, scale, edit, error, memory), languages and functions
    /// (python-numpy, …) that are measured [default: all]
    what: Vec<String>,
    /// How often each takes its turn; where nothing is cached, three times at most
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Where all is measured [default: in memory]
    #[arg(long, value_name = "DIR")]
    room: Option<PathBuf>,
    /// The injector that is measured [default: one that is compiled for it]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Puts the results into tests/bench/results.json, docs/performance.md and docs/performance.svg
    #[arg(long)]
    write: bool,
    /// Measures nothing: writes both documents anew from the results that are there
    #[arg(long, conflicts_with_all = ["what", "write"])]
    draw: bool,
}

/// What belongs together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Own,
    Error,
    Cold,
    Node,
    Registry,
    Mount,
    Scale,
    Edit,
    Memory,
}

const SECTIONS: [(&str, Section); 9] = [
    ("own", Section::Own),
    ("error", Section::Error),
    ("cold", Section::Cold),
    ("node", Section::Node),
    ("registry", Section::Registry),
    ("mount", Section::Mount),
    ("scale", Section::Scale),
    ("edit", Section::Edit),
    ("memory", Section::Memory),
];

/// Measures, and prints the table.
///
/// # Errors
/// When nothing can be measured at all, or a file cannot be written. What cannot be measured is a row that says so.
pub(crate) fn run(binary: impl FnOnce() -> anyhow::Result<PathBuf>, options: &Options) -> anyhow::Result<()> {
    if options.draw {
        return document::write(&document::read()?);
    }
    let choice = Choice::of(&options.what)?;
    let binary = options.binary.clone().map_or_else(binary, Ok)?;
    let begun = Instant::now();
    let site = Site::new(&binary, Room::new(options.room.as_deref())?, options.rounds)?;
    let mut report = Report::new(&site);
    measure(&site, &choice, &mut report);
    eprintln!("== {:.0} s, in {}", begun.elapsed().as_secs_f64(), site.room.path().display());
    let results = report.finish();
    if options.write { document::add(results) } else { Ok(()) }
}

/// Section by section; those of one function share what is made ready for them.
fn measure(site: &Site, choice: &Choice, report: &mut Report) {
    if choice.has(Section::Own) {
        report.section("Without dependencies", |report| own::cost(site, report));
    }
    if choice.has(Section::Error) {
        report.section("An error", |report| own::error(site, report));
    }
    for function in choice.functions() {
        if choice.any(&[Section::Cold, Section::Node, Section::Registry, Section::Mount]) {
            report.section(function.title, |report| {
                let stock = stock::Stock::of(site, function)?;
                if choice.any(&[Section::Node, Section::Registry, Section::Mount]) {
                    warm::rows(site, function, &stock, choice, report)?;
                }
                if choice.has(Section::Cold) {
                    cold::rows(site, function, &stock, report);
                }
                if choice.has(Section::Scale) {
                    scale::restores(site, function, &stock, report);
                }
                Ok(())
            });
        } else if choice.has(Section::Scale) && function.weight == Weight::Heavy {
            report.section(function.title, |report| {
                scale::restores(site, function, &stock::Stock::of(site, function)?, report);
                Ok(())
            });
        }
        if choice.has(Section::Scale) {
            report.section("Many pods at once", |report| scale::builds(site, function, report));
        }
        if choice.has(Section::Edit) {
            report.section("An edited handler", |report| edit::rows(site, function, report));
        }
    }
    if choice.has(Section::Memory) {
        report.section("Memory", |report| arrival::rows(site, report));
    }
}

/// What was asked for.
pub(crate) struct Choice {
    sections: Vec<Section>,
    names: Vec<String>,
}

impl Choice {
    fn of(what: &[String]) -> anyhow::Result<Self> {
        let mut choice = Choice { sections: Vec::new(), names: Vec::new() };
        for word in what {
            if let Some((_, section)) = SECTIONS.iter().find(|(name, _)| name == word) {
                choice.sections.push(*section);
                continue;
            }
            let known = |function: &Function| function.name == word || function.language.name() == word;
            ensure!(FUNCTIONS.iter().any(known), "{word:?} is no section, no language and no function");
            choice.names.push(word.clone());
        }
        Ok(choice)
    }

    /// Whether this section is measured.
    fn has(&self, section: Section) -> bool {
        match section {
            // They are about no function: whoever names one does not want them.
            Section::Own | Section::Error | Section::Memory if !self.names.is_empty() => {
                self.sections.contains(&section)
            }
            _ => self.sections.is_empty() || self.sections.contains(&section),
        }
    }

    fn any(&self, sections: &[Section]) -> bool {
        sections.iter().any(|&section| self.has(section))
    }

    fn functions(&self) -> impl Iterator<Item = &'static Function> {
        FUNCTIONS.iter().filter(|function| {
            let named = |name: &String| name == function.name || name == Language::name(function.language);
            self.names.is_empty() || self.names.iter().any(named)
        })
    }
}
