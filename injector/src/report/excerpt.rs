//! The most telling lines of a tool's output, for those who will not read all of it.

use std::collections::VecDeque;

use super::plain::{cut, plain};

/// The longest piece of one line that is shown, in bytes.
const LINE: usize = 400;
/// What stands for lines that are left out.
const GAP: &str = "…\n";
/// Less room than this shows nothing worth reading.
const LEAST: usize = 24;

/// What the lines that report a failure have in common, in lower case.
const TELLING: [&str; 24] = [
    "error",
    "fatal",
    "fail",
    "cannot",
    "can't",
    "could not",
    "unable to",
    "not found",
    "no such",
    "no matching",
    "not allowed",
    "denied",
    "refused",
    "forbidden",
    "unauthorized",
    "traceback",
    "exception",
    "panic",
    "undefined",
    "unresolved",
    "timed out",
    "no space",
    "out of memory",
    "killed",
];
/// What looks like a failure and is none.
const REASSURING: [&str; 5] = ["0 errors", "no errors", "0 failed", "0 failures", "without error"];
/// How lines begin that only say that time passes.
const PROGRESS: [&str; 18] = [
    "Collecting ",
    "Downloading ",
    "Downloaded ",
    "Downloading: ",
    "Using cached ",
    "Requirement already ",
    "Preparing metadata",
    "Updating ",
    "Locking ",
    "Adding ",
    "Compiling ",
    "Fetching ",
    "Progress (",
    "[INFO]",
    // Whose errors follow, in what go says; those name their files.
    "# ",
    "go: downloading ",
    "go: extracting ",
    "npm http ",
];

/// What lines contain that lead to files which go with the build, or tell how to run the tool again.
const GONE: [&str; 6] = [
    "/_logs/",
    "For a full report see:",
    "[ERROR] To see the full stack trace",
    "[ERROR] Re-run Maven",
    "[ERROR] For more information about the errors",
    "[ERROR] [Help ",
];
/// What Maven puts before a line, and says alone in place of a blank one.
const LEVELS: [&str; 3] = ["[ERROR]", "[WARNING]", "[INFO]"];

/// How much a line tells; the smaller, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Error,
    Warning,
}

/// Chooses from a tool's `output` what fits into `room` bytes, in its own order, gaps marked with `…`: all of
/// it if possible, else the lines that look like errors, each with the line after it, and then the end. Blank
/// lines, progress, and lines that were `said` already are left out. Each line ends with a newline.
pub(crate) fn excerpt(output: &str, said: impl Fn(&str) -> bool, room: usize) -> String {
    let output = plain(output);
    let lines: Vec<_> = output
        .lines()
        .filter(|line| {
            !line.is_empty() && !LEVELS.contains(line) && !GONE.iter().any(|gone| line.contains(gone))
        })
        .map(|line| cut(line, LINE))
        .filter(|line| !said(line) && (weight(line).is_some() || !is_progress(line)))
        .collect();
    let mut pick = Pick::new(lines.iter().map(AsRef::as_ref).collect(), room);
    if pick.all_fit() {
        return lines.iter().flat_map(|line| [line.as_ref(), "\n"]).collect();
    }
    let telling = by_importance(&lines);
    for &index in &telling {
        if pick.take(index) && index + 1 < lines.len() {
            pick.take(index + 1);
        }
    }
    // The end of a tool's output is where it gave up.
    (0..lines.len()).rev().all(|index| pick.take(index));
    match pick.text() {
        text if !text.is_empty() || room < LEAST => text,
        _ => telling
            .first()
            .copied()
            .or(lines.len().checked_sub(1))
            .map(|index| format!("{}\n", cut(&lines[index], room - 1)))
            .unwrap_or_default(),
    }
}

/// Lines chosen so far, and what they cost.
struct Pick<'a> {
    lines: Vec<&'a str>,
    taken: Vec<bool>,
    size: usize,
    room: usize,
}

impl<'a> Pick<'a> {
    fn new(lines: Vec<&'a str>, room: usize) -> Self {
        Pick {
            taken: vec![false; lines.len()],
            lines,
            // While nothing is taken, everything is one gap.
            size: GAP.len(),
            room,
        }
    }

    fn all_fit(&self) -> bool {
        self.lines.iter().map(|line| line.len() + 1).sum::<usize>() <= self.room
    }

    /// Takes a line if there is room for it and for the gaps that it makes; says whether it is taken now.
    fn take(&mut self, index: usize) -> bool {
        if self.taken[index] {
            return true;
        }
        let joins_before = index.checked_sub(1).is_none_or(|before| self.taken[before]);
        let joins_after = self.taken.get(index + 1).is_none_or(|&after| after);
        let gaps_closed = usize::from(joins_before) + usize::from(joins_after);
        let size = self.size + self.lines[index].len() + 1 + GAP.len() - gaps_closed * GAP.len();
        if size <= self.room {
            self.size = size;
            self.taken[index] = true;
        }
        self.taken[index]
    }

    fn text(&self) -> String {
        if !self.taken.contains(&true) {
            return String::new();
        }
        let mut text = String::with_capacity(self.size);
        for (index, line) in self.lines.iter().enumerate() {
            if self.taken[index] {
                text.push_str(line);
                text.push('\n');
            } else if index == 0 || self.taken[index - 1] {
                text.push_str(GAP);
            }
        }
        text
    }
}

/// The lines that tell of a failure, best first. Compilers err first and pip gives up last, so it alternates
/// between the two ends.
fn by_importance(lines: &[impl AsRef<str>]) -> Vec<usize> {
    let mut order = Vec::new();
    for wanted in [Weight::Error, Weight::Warning] {
        let mut ends: VecDeque<usize> =
            (0..lines.len()).filter(|&index| weight(lines[index].as_ref()) == Some(wanted)).collect();
        while let Some(index) = ends.pop_front() {
            order.push(index);
            order.extend(ends.pop_back());
        }
    }
    order
}

fn weight(line: &str) -> Option<Weight> {
    let line = line.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    if !has(&TELLING) || has(&REASSURING) {
        None
    } else if line.contains("warn") {
        Some(Weight::Warning)
    } else {
        Some(Weight::Error)
    }
}

/// Whether a line only says that time passes: a step of many, a bar, or a rule.
fn is_progress(line: &str) -> bool {
    let line = line.trim_start();
    PROGRESS.iter().any(|begin| line.starts_with(begin))
        || line.contains(['━', '█'])
        || line.chars().all(|c| matches!(c, '-' | '=' | '#' | '.' | '*' | '_' | '>' | '%' | ' ' | '0'..='9'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nothing_said(_: &str) -> bool {
        false
    }

    #[test]
    fn short_output_is_shown_whole_without_blanks_and_progress() {
        let output = "Collecting flask\nDownloading x: not found\n  ━━━━━━ 1.2/1.2 MB eta 0:00:00\n\n\nnote: one\n------\n  two\n";
        assert_eq!(excerpt(output, nothing_said, 100), "Downloading x: not found\nnote: one\n  two\n");
        assert_eq!(excerpt("", nothing_said, 100), "");
        assert_eq!(excerpt("50%\r100%\n", nothing_said, 100), "");
        let output =
            "npm error code E404\nnpm error A complete log of this run can be found in: /x/_logs/y.log\n";
        assert_eq!(excerpt(output, nothing_said, 100), "npm error code E404\n");
        let output = "[INFO] Building fn 1\n[WARNING] odd\n[ERROR] Malformed POM\n[ERROR]\n[ERROR] Re-run Maven using -X\n[ERROR] [Help 1] http://x\n";
        assert_eq!(excerpt(output, nothing_said, 100), "[WARNING] odd\n[ERROR] Malformed POM\n");
        assert_eq!(
            excerpt("# function\n./hello.go:15:15: too many errors\n", nothing_said, 100),
            "./hello.go:15:15: too many errors\n"
        );
    }

    #[test]
    fn errors_come_with_the_line_after_them_and_gaps_are_marked() {
        let mut lines: Vec<String> = (0..50).map(|n| format!("step {n:02}")).collect();
        lines[10] = "ERROR: it broke".to_owned();
        lines[11] = "  because".to_owned();
        lines[30] = "fatal: it broke again".to_owned();
        assert_eq!(
            excerpt(&lines.join("\n"), nothing_said, 85),
            "…\nERROR: it broke\n  because\n…\nfatal: it broke again\nstep 31\n…\nstep 48\nstep 49\n"
        );
    }

    #[test]
    fn first_and_last_errors_win_over_those_between_and_over_warnings() {
        let output = "warning: error-prone\nx1\nerror: 1\nx2\nerror: 2\nx3\nerror: 3\nx4\n0 errors so far\n";
        assert_eq!(excerpt(output, nothing_said, 36), "…\nerror: 1\nx2\n…\nerror: 3\nx4\n…\n");
    }

    #[test]
    fn without_errors_the_end_is_shown() {
        let output = (0..100).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        assert_eq!(excerpt(&output, nothing_said, 24), "…\nline 98\nline 99\n");
    }

    #[test]
    fn what_was_said_is_not_repeated() {
        assert_eq!(excerpt("one\ntwo\nthree\n", |line| line == "two", 100), "one\nthree\n");
    }

    #[test]
    fn one_endless_line_is_cut() {
        let output = format!("Error: {}", "x".repeat(1 << 20));
        assert_eq!(excerpt(&output, nothing_said, 30), format!("Error: {}…\n", "x".repeat(19)));
        assert_eq!(excerpt(&output, nothing_said, 4096).len(), LINE + 1);
        assert_eq!(excerpt(&output, nothing_said, 10), "");
    }

    proptest! {
        #[test]
        fn an_excerpt_keeps_to_its_room_and_its_order(
            lines in prop::collection::vec("(error |warning: )?[a-z ]{0,30}", 0..60),
            room in 0usize..600,
        ) {
            let output = lines.join("\n");
            let text = excerpt(&output, nothing_said, room);
            prop_assert!(text.len() <= room);
            prop_assert!(text.is_empty() || text.ends_with('\n'));
            let mut rest = output.lines().map(str::trim_end);
            for line in text.lines().filter(|line| *line != "…") {
                let wanted = line.strip_suffix('…').unwrap_or(line);
                prop_assert!(rest.any(|found| found.starts_with(wanted)), "{line:?} is out of order");
            }
        }
    }
}
