//! What is said of a node's cache to whoever looks after it.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cache::collect::Collected;
use crate::cache::contents::{Contents, Kept, Use};
use crate::cache::node::NodeError;
use crate::cache::record::Record;
use crate::cache::upkeep::{UpkeepError, Verified};
use crate::failure::{Failure, Stage};

use super::super::termination::Message;
use super::{say, user};

/// Why nothing was done with a cache, or all is not well with it.
pub(super) fn failed(error: &UpkeepError) -> Message {
    let stage = Stage::Provision;
    let mut message = match error {
        UpkeepError::None(_) => say(
            stage,
            error.to_string(),
            &[
                "name the directory that builds have in INJECTOR_CACHE_DIR, as it is mounted here; the first build makes it",
            ],
        ),
        UpkeepError::Node(NodeError::ReadOnly(_)) => say(
            stage,
            error.to_string(),
            &[&format!(
                "we run as {}: mount it writable here, and use the user or the fsGroup of the builds",
                user()
            )],
        ),
        UpkeepError::Node(_) => say(
            stage,
            error.to_string(),
            &[&format!("we run as {}; is its volume there, and sound?", user())],
        ),
        UpkeepError::Busy(_) => say(stage, error.to_string(), &["try again later"]),
        UpkeepError::Broken { .. } => say(
            stage,
            error.to_string(),
            &[
                "look for the node's disk, and for whoever may write to the cache; what was taken away is built again when it is needed",
                "delete pods that run from such a tree (INJECTOR_CACHE_MODE=mount): they need it until they are made anew",
            ],
        ),
    };
    "cache failed".clone_into(&mut message.title);
    message
}

/// What a cache holds, for people: a line for each record, the one that was used last first.
pub(crate) fn listing(contents: &Contents) -> String {
    let header = ["layer", "key", "made from", "packages", "size", "age", "last use", "state"];
    let rows = contents.records.iter().rev().map(|kept| row(contents, kept));
    let rows: Vec<[String; 8]> = [header.map(ToOwned::to_owned)].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for row in rows.iter().filter(|_| rows.len() > 1) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    let in_use = contents.trees.values().filter(|tree| tree.state != Use::Free).count();
    let (records, trees) =
        (several(contents.records.len() as u64, "record"), several(contents.trees.len() as u64, "tree"));
    let _ = writeln!(text, "{records}, {trees}, {}; {in_use} in use or promised", size(contents.bytes()));
    text
}

fn row(contents: &Contents, kept: &Kept) -> [String; 8] {
    let ago = |time: Duration| time_span(contents.now.saturating_sub(time));
    let (bytes, used, state) = (size(contents.bytes_of(kept)), ago(kept.used), state(contents.use_of(kept)));
    let Some(record) = &kept.record else {
        let name = kept.name.trim_end_matches(".json");
        let (layer, key) = name.split_once('-').unwrap_or(("", name));
        let dash = || "-".to_owned();
        let said = "it cannot be read".to_owned();
        return [layer.to_owned(), short(key), said, dash(), bytes, dash(), used, state.to_owned()];
    };
    [
        record.layer.to_string(),
        short(&record.key.hex()),
        made_from(record),
        record.packages.len().to_string(),
        bytes,
        ago(Duration::from_secs(record.made)),
        used,
        state.to_owned(),
    ]
}

/// The same for programs.
pub(crate) fn listing_as_json(contents: &Contents) -> Result<String, Failure> {
    let records: Vec<_> = contents
        .records
        .iter()
        .rev()
        .map(|kept| {
            serde_json::json!({
                "name": kept.name,
                "record": kept.record,
                "trees": kept.trees,
                "bytes": contents.bytes_of(kept),
                "used": kept.used.as_secs(),
                "state": state(contents.use_of(kept)),
            })
        })
        .collect();
    let trees: Vec<_> = contents
        .trees
        .iter()
        .map(|(tree, stored)| {
            serde_json::json!({
                "tree": tree,
                "bytes": stored.bytes,
                "made": stored.made.as_secs(),
                "state": state(stored.state),
            })
        })
        .collect();
    let value =
        serde_json::json!({ "schema": 1, "records": records, "trees": trees, "bytes": contents.bytes() });
    let text = serde_json::to_string_pretty(&value).map_err(|error| Failure::Bug(error.to_string()))?;
    Ok(format!("{text}\n"))
}

/// What was taken away, in one line.
pub(crate) fn collected(collected: &Collected) -> String {
    let Collected { records, trees, freed, left } = collected;
    let (records, trees) = (several(*records, "record"), several(*trees, "tree"));
    format!("removed {records} and {trees}, {}; {} left\n", size(*freed), size(*left))
}

/// What was found when a cache was read: a line for each thing that is broken, and one for all.
pub(crate) fn verified(verified: &Verified) -> String {
    let mut text = String::new();
    for broken in &verified.broken {
        let fate = match &broken.stays {
            None => "taken away".to_owned(),
            Some(reason) => format!("left there: {reason}"),
        };
        let _ = writeln!(text, "{}: {}; {fate}", broken.what, broken.reason);
    }
    let whole = match verified.broken.len() {
        0 => "all".to_owned(),
        broken => (verified.trees + verified.records - broken).to_string(),
    };
    let (trees, records) =
        (several(verified.trees as u64, "tree"), several(verified.records as u64, "record"));
    let _ = writeln!(text, "{trees} and {records}: {whole} as stored");
    text
}

/// From what an entry was made, as far as it has room in a line: the tools, and some of the files.
fn made_from(record: &Record) -> String {
    const MOST: usize = 2;
    let inputs = || record.inputs.0.iter();
    let tools = inputs().filter_map(|(name, value)| Some((name.strip_prefix("tool ")?, value)));
    // What else a tool says of itself has a name in parentheses.
    let mut said: Vec<String> = tools
        .filter(|(name, _)| !name.contains('('))
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let files: Vec<&str> = inputs().filter_map(|(name, _)| name.strip_prefix("file ")).collect();
    said.extend(files.iter().take(MOST).map(|name| (*name).to_owned()));
    if files.len() > MOST {
        said.push(several((files.len() - MOST) as u64, "more file"));
    }
    said.join(", ")
}

fn state(state: Use) -> &'static str {
    match state {
        Use::Held => "in use",
        Use::Promised => "promised",
        Use::Free => "free",
    }
}

fn short(key: &str) -> String {
    key.chars().take(12).collect()
}

fn several(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Bytes in the largest unit of which there is one.
fn size(bytes: u64) -> String {
    let unit = ["KiB", "MiB", "GiB", "TiB"].into_iter().enumerate().rev().find_map(|(index, unit)| {
        let tenths = (u128::from(bytes) * 10) >> (10 * (index + 1));
        (tenths >= 10).then(|| format!("{}.{} {unit}", tenths / 10, tenths % 10))
    });
    unit.unwrap_or_else(|| format!("{bytes} bytes"))
}

/// A time in the largest unit of which there is one.
fn time_span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_short() {
        let sizes = [0, 1023, 1024, 1_500_000, 10 << 30, u64::MAX].map(size);
        assert_eq!(sizes, ["0 bytes", "1023 bytes", "1.0 KiB", "1.4 MiB", "10.0 GiB", "16777215.9 TiB"]);
        let times =
            [0, 59, 60, 7199, 86_400, 8_640_000].map(|seconds| time_span(Duration::from_secs(seconds)));
        assert_eq!(times, ["0 s", "59 s", "1 min", "1 h", "1 d", "100 d"]);
    }
}
