//! Reads `requirements.txt` as pip does, so far as a plan and a located message need it.
//!
//! The format: <https://pip.pypa.io/en/stable/reference/requirements-file-format/>.

use std::collections::BTreeSet;

use super::grammar::{Entry, entry, is_remote};
use crate::diagnostic::Diagnostic;
use crate::entry::text;
use crate::error::PlanError;
use crate::function::{Function, RelPath};

/// What a requirements file and the files that it names ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Requirements {
    /// The requirements and constraints, in pip's order.
    pub(super) entries: Vec<Entry>,
    /// Options that are not about one requirement.
    pub(super) options: Vec<FileOption>,
    /// The files that were read, and as what: one may be both, under `-c` and under `-r`.
    pub(super) files: BTreeSet<(RelPath, Kind)>,
    /// Whether any line has a hash.
    pub(super) hashed: Hashed,
    /// Whether a line may name further files in words that only the installer understands.
    pub(super) is_vague: bool,
}

/// Whether what is downloaded is compared with hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Hashed {
    /// It is.
    Yes,
    /// It is not.
    #[default]
    No,
}

/// An option such as `--pre`, without its dashes' variants: `-i` is `--index-url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileOption {
    /// The long name with its dashes.
    pub(super) name: &'static str,
    /// Its value; it may hold a credential.
    pub(super) value: String,
    /// The file.
    pub(super) file: String,
    /// The line, from 1.
    pub(super) line: u32,
}

/// Reads a requirements file and, within the function, those that it names.
///
/// # Errors
/// When a file is missing or is no text, or a line is one that no pip accepts.
pub(super) fn read(function: &Function, path: &RelPath) -> Result<Requirements, PlanError> {
    let mut found = Requirements::default();
    read_file(function, path, Kind::Requirements, DEEPEST, &mut found)?;
    Ok(found)
}

/// Whether the entries of a file are installed or only limit versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// They are installed.
    Requirements,
    /// They limit versions.
    Constraints,
}

/// How deep files may name each other: pip gives up, too, and our stack would end.
const DEEPEST: usize = 100;

/// The path that a requirement consists of, if nothing of the function is there. pip starts from the working
/// directory, which is the function's own, uv from the file; either will do here.
fn absent_path<'a>(requirement: &'a str, file: &RelPath, function: &Function) -> Option<&'a str> {
    let path = requirement.split([';', '[', ' ']).next()?;
    if !path.starts_with("./") && !path.starts_with("../") || path.contains("${") {
        return None;
    }
    let top: Option<RelPath> = file.name().parse().ok();
    let mut bases = top.iter().chain([file]);
    let there = bases.any(|base| {
        // The function's own directory is no `RelPath`.
        base.sibling(path).map_or(path.trim_matches(['.', '/']).is_empty(), |target| {
            let below = format!("{target}/");
            let mut all = function.files.keys().chain(function.links.keys());
            all.any(|one| {
                *one == target || one.as_str().starts_with(&below) || below.starts_with(&format!("{one}/"))
            })
        })
    });
    (!there).then_some(path)
}

fn read_file(
    function: &Function,
    path: &RelPath,
    kind: Kind,
    depth_left: usize,
    found: &mut Requirements,
) -> Result<(), PlanError> {
    if !found.files.insert((path.clone(), kind)) {
        return Ok(());
    }
    let text = text(function, path)?;
    for line in logical_lines(text) {
        let lead = line.text.len() - line.text.trim_start().len();
        let (requirement, options) = split_options(&line.text);
        found.is_vague |= options.iter().any(|(name, _)| name.is_empty());
        let located = |message: &str, hint: &str| {
            Diagnostic::new(message).at(path.as_str(), Some(line.number()), None).hint(hint)
        };
        if !requirement.is_empty() {
            let entry = entry(requirement, path.as_str(), line.number()).map_err(|bad| {
                let (number, column) = line.locate(lead + bad.offset);
                let message = Diagnostic::new(bad.message).at(path.as_str(), Some(number), Some(column));
                PlanError::Manifest(message.hint(bad.hint))
            })?;
            if let Some(absent) = absent_path(requirement, path, function) {
                let message = format!("{absent} is no file or directory of this function");
                let hint = "add it, or correct the path";
                return Err(PlanError::Manifest(located(&message, hint)));
            }
            let constraint = kind == Kind::Constraints;
            found.entries.push(Entry { constraint, ..entry });
        }
        for (name, value) in options {
            match name {
                "--requirement" | "--constraint" => {
                    let kind = if name == "--constraint" { Kind::Constraints } else { kind };
                    // pip fetches URLs and expands variables itself.
                    if value.contains("://") || value.contains("${") {
                        found.is_vague |= !is_remote(&value);
                        continue;
                    }
                    let target =
                        path.sibling(&value).ok().filter(|target| function.files.contains_key(target));
                    let target = target.ok_or_else(|| {
                        let message = format!("{value} is not a file of this function");
                        PlanError::Manifest(located(
                            &message,
                            "add the file, or remove the line that names it",
                        ))
                    })?;
                    let depth_left = depth_left.checked_sub(1).ok_or_else(|| {
                        let message = format!("files that name each other are more than {DEEPEST} deep here");
                        PlanError::Manifest(located(&message, "name them all in one file"))
                    })?;
                    read_file(function, &target, kind, depth_left, found)?;
                }
                "--editable" => {
                    return Err(PlanError::Dependencies(located(
                        "an editable requirement cannot be installed into a function",
                        "remove `-e`: the package is then built and installed like any other",
                    )));
                }
                "--hash" => found.hashed = Hashed::Yes,
                name => found.options.push(FileOption {
                    name,
                    value,
                    file: path.to_string(),
                    line: line.number(),
                }),
            }
        }
    }
    Ok(())
}

/// A line after its continuations were joined, with what is needed to find a column again.
#[derive(Debug, Default)]
struct Line {
    text: String,
    /// Where in `text` each of the file's lines begins, and its number from 1.
    parts: Vec<(usize, u32)>,
}

impl Line {
    /// The first of the file's lines.
    fn number(&self) -> u32 {
        self.parts.first().map_or(1, |(_, number)| *number)
    }

    /// The line and the column, both from 1, of a byte of `text`.
    fn locate(&self, offset: usize) -> (u32, u32) {
        let part = self.parts.iter().rev().find(|(start, _)| *start <= offset);
        let (start, number) = part.copied().unwrap_or((0, 1));
        let before = self.text.get(start..offset).map_or(0, |text| text.chars().count());
        (number, u32::try_from(before).map_or(1, |before| before.saturating_add(1)))
    }
}

/// Joins continued lines, then removes comments, as pip does; a line that is a comment does not continue.
fn logical_lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    for (number, raw) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let comment = raw.trim_start().starts_with('#');
        let continued = !comment && raw.ends_with('\\');
        let line = open.get_or_insert_with(Line::default);
        line.parts.push((line.text.len(), number));
        line.text.push_str(raw.trim_end_matches('\\'));
        if !continued {
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    for line in &mut lines {
        let kept = comment(&line.text).unwrap_or(&line.text).trim_end().len();
        line.text.truncate(kept);
    }
    lines.retain(|line| !line.text.is_empty());
    lines
}

/// What stands before a comment: a `#` within a word, as in a URL, begins none.
fn comment(text: &str) -> Option<&str> {
    text.match_indices('#')
        .map(|(at, _)| &text[..at])
        .find(|before| before.is_empty() || before.ends_with(char::is_whitespace))
}

/// Splits a line into its requirement and its options, as pip does: options begin at the first word with a dash. One
/// that is not known here has no name.
fn split_options(text: &str) -> (&str, Vec<(&'static str, String)>) {
    let start = words(text).find(|(_, word)| word.starts_with('-')).map_or(text.len(), |(at, _)| at);
    let (requirement, rest) = text.split_at(start);
    let mut options = Vec::new();
    let mut words = words(rest).map(|(_, word)| word);
    while let Some(word) = words.next() {
        let Some((name, takes_value, inline)) = option(word) else {
            options.extend(word.starts_with('-').then(|| ("", word.to_owned())));
            continue;
        };
        let value = match inline {
            Some(value) => value,
            None if takes_value => words.next().unwrap_or_default(),
            None => "",
        };
        options.push((name, value.trim_matches(['"', '\'']).to_owned()));
    }
    (requirement.trim(), options)
}

/// The words of a text, each with its offset.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let offset = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    text.split_whitespace().map(move |word| (offset(word), word))
}

/// The options that a plan must know, as long name, short name, and whether a value follows. Others are pip's affair.
const OPTIONS: [(&str, &str, bool); 17] = [
    ("--requirement", "-r", true),
    ("--constraint", "-c", true),
    ("--editable", "-e", true),
    ("--hash", "", true),
    ("--index-url", "-i", true),
    ("--extra-index-url", "", true),
    ("--find-links", "-f", true),
    ("--no-index", "", false),
    ("--no-binary", "", true),
    ("--only-binary", "", true),
    ("--trusted-host", "", true),
    ("--prefer-binary", "", false),
    ("--pre", "", false),
    ("--require-hashes", "", false),
    ("--use-feature", "", true),
    ("--config-settings", "", true),
    ("--global-option", "", true),
];

/// Recognises `--name`, `--name=value`, `-x` and `-xvalue`.
fn option(word: &str) -> Option<(&'static str, bool, Option<&str>)> {
    let (written, inline) = match word.split_once('=') {
        Some((written, value)) if word.starts_with("--") => (written, Some(value)),
        _ => (word, None),
    };
    OPTIONS.iter().find_map(|&(long, short, takes_value)| {
        if written == long {
            return Some((long, takes_value, inline));
        }
        let rest = word.strip_prefix(short).filter(|_| !short.is_empty() && !word.starts_with("--"))?;
        Some((long, takes_value, (!rest.is_empty()).then_some(rest)))
    })
}
