//! docs/performance.md and its drawing, from what was measured.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use super::functions::FUNCTIONS;
use super::plot::{draw, spoken};
use super::results::{Figure, Found, Results, Row};

/// The method in words, with places for what is found.
const TEMPLATE: &str = include_str!("performance.md");

/// Adds a run to the results that are kept, and writes both documents anew.
pub(super) fn add(later: Results) -> anyhow::Result<()> {
    let mut results = if kept().exists() { read()? } else { Results::default() };
    results.merge(later);
    let text = serde_json::to_string_pretty(&results)?;
    fs::write(kept(), text + "\n")?;
    write(&results)
}

/// The results that are kept.
pub(super) fn read() -> anyhow::Result<Results> {
    let file = kept();
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| file.display().to_string())
}

/// Writes both documents.
pub(super) fn write(results: &Results) -> anyhow::Result<()> {
    let docs = crate::root().join("docs");
    let versions: Vec<String> =
        results.versions.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
    let text = TEMPLATE
        .replace("{{machine}}", &results.machine)
        .replace("{{versions}}", &versions.join(", "))
        .replace("{{goals}}", goals(results).trim_end())
        .replace("{{times}}", times(results).trim_end())
        .replace("{{more}}", more(results).trim_end());
    fs::write(docs.join("performance.md"), text)?;
    fs::write(docs.join("performance.svg"), draw(results))?;
    Ok(())
}

fn kept() -> PathBuf {
    crate::root().join("tests/bench/results.json")
}

/// The rows that have a goal, by its number.
fn goals(results: &Results) -> String {
    let mut rows: Vec<&Row> = results.rows.iter().filter(|row| row.goal.is_some()).collect();
    let number = |row: &Row| row.id.trim_start_matches('P').parse().unwrap_or(u32::MAX);
    rows.sort_by_key(|row| number(row));
    let mut table = "| | what | goal | figure | least – most | |\n|---|---|---|---|---|---|\n".to_owned();
    for row in rows {
        let (figure, reach) = row.figure();
        let verdict = match &row.found {
            Found::Failed(reason) => format!("failed: {}", reason.replace('|', "/")),
            Found::Figure(_) if row.met() == Some(true) => "met".to_owned(),
            Found::Figure(_) => "**not met**".to_owned(),
        };
        let _ = writeln!(
            table,
            "| {} | {} | {} | {figure} | {reach} | {verdict} |",
            row.id,
            row.what,
            row.goal()
        );
    }
    table
}

/// The rows that are for orientation.
fn more(results: &Results) -> String {
    let mut table = "| what | figure | least – most |\n|---|---|---|\n".to_owned();
    for row in results.rows.iter().filter(|row| row.goal.is_none()) {
        let (figure, reach) = row.figure();
        let reach = match &row.found {
            Found::Failed(reason) => reason.replace('|', "/"),
            Found::Figure(_) => reach,
        };
        let _ = writeln!(table, "| {} | {figure} | {reach} |", row.what);
    }
    table
}

/// Every median, by function.
fn times(results: &Results) -> String {
    let mut text = String::new();
    for function in &FUNCTIONS {
        let Some(times) = results.times.get(function.name) else { continue };
        let mut medians: Vec<(f64, &String)> =
            times.iter().filter_map(|(who, taken)| Some((Figure::of(taken.clone())?.median, who))).collect();
        medians.sort_by(|one, other| one.0.total_cmp(&other.0));
        let listed: Vec<String> =
            medians.iter().map(|(time, who)| format!("{who} {}", spoken(*time))).collect();
        let _ = writeln!(text, "- **{}** (`{}`): {}", function.title, function.name, listed.join("; "));
    }
    text
}
