//! The termination message: a failure in at most as many bytes as the kubelet keeps, best first.

use std::collections::HashSet;

use builders::diagnostic::Diagnostic;

use super::excerpt::excerpt;
use super::plain::{cut, plain};

/// What must be useful alone, in bytes: the kubelet divides 12 KiB by the number of containers in a pod
/// (<https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/status/status_manager.go>).
const EARLY: usize = 1024;
/// The longest first line, in bytes.
const HEADLINE: usize = 256;
/// The most that advice may take of the first KiB, in bytes.
const ADVICE: usize = 448;
/// The longest command line that is shown, in bytes.
const COMMAND: usize = 160;
/// The widest place that others are aligned with, in characters.
const PLACE: usize = 32;
/// Less room than this shows nothing worth reading.
const LEAST: usize = 24;

/// All that a failure says, before it is cut to a budget.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    /// The exit status, which is the error's code.
    pub(crate) code: u8,
    /// What failed: `compile failed`.
    pub(crate) title: String,
    /// What is wrong, most important first.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What was run.
    pub(crate) command: Option<Ran>,
    /// Advice besides that of the diagnostics, without the word `hint`.
    pub(crate) hints: Vec<String>,
    /// The tool's output, from which the most telling lines are chosen.
    pub(crate) output: String,
}

/// A command that came to its end.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    /// The command with symbolic rooms: `go build -o <out>/server .`.
    pub(crate) argv: String,
    /// How it ended: `exit 1 after 2.1 s`.
    pub(crate) outcome: String,
}

/// Composes the termination message in at most `budget` bytes of plain text.
///
/// Headline, first diagnostics, command and advice stand within the first KiB; then the other diagnostics and
/// the tool's output while room is left. When it is short, output goes first, then the command, the later
/// diagnostics, the advice, and at last the end of the headline.
pub(crate) fn compose(message: &Message, budget: usize) -> String {
    let findings = findings(&message.diagnostics);
    let title = format!("E{} {}", message.code, one_line(&message.title));
    let line = |place| match findings.first() {
        Some(first) => format!("{title}: {}", first.headline(place)),
        None => title.trim_end().to_owned(),
    };
    let mut whole = line(usize::MAX);
    let said_whole = whole.len() <= HEADLINE;
    if !said_whole {
        whole = line(HEADLINE / 2);
    }
    let headline = cut(&whole, HEADLINE);
    let Some(mut room) = budget.checked_sub(headline.len() + 1) else {
        return cut(&headline, budget).into_owned();
    };

    // Room is given in the order of importance; the page is put together in the order of reading.
    let hints = hints(message);
    let (advice, advised) = fill(&hints, room.saturating_sub(1).min(ADVICE), nothing);
    room -= cost(&advice);

    let said_whole = said_whole && findings.len() == 1 && findings[0].more.is_empty();
    let listed = if said_whole { Vec::new() } else { table(&findings) };
    let mut command = message.command.as_ref().map(command_line).unwrap_or_default();
    let early = EARLY.saturating_sub(headline.len() + 1 + cost(&advice) + cost(&command));
    let (mut first, shown) = fill(&listed, room.min(early).saturating_sub(1), more);
    if shown == 0 && listed.len() > 1 {
        // The headline says one of them.
        first = Some(more(listed.len() - 1)).filter(|count| count.len() < room).unwrap_or_default();
    }
    // What is more important and found no room must not be outlived by what is less so.
    let starved = shown < listed.len() && room < early;
    room -= cost(&first);
    if starved || cost(&command) > room {
        command.clear();
        room = 0;
    }
    room -= cost(&command);

    let share = if message.output.trim().is_empty() { room } else { room / 2 };
    let (later, shown_later) = fill(&listed[shown..], share.saturating_sub(1), more);
    room -= cost(&later);
    let (later_advice, _) = fill(&hints[advised..], room.saturating_sub(1), nothing);
    room -= cost(&later_advice);

    let mut page = format!("{headline}\n");
    for section in [first, command + &advice, later, later_advice] {
        push(&mut page, &section);
    }
    let said = Said::new(&page, &findings[..findings.len().min((shown + shown_later).max(1))]);
    let output = excerpt(&message.output, |line| said.covers(line), room.saturating_sub(1));
    push(&mut page, &output);
    page
}

/// A diagnostic as plain text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Finding {
    /// The file, and the line and column if they are known; may be empty.
    place: String,
    /// The line, if it is known.
    line: Option<u32>,
    /// The first line of the message.
    message: String,
    /// Its further lines.
    more: Vec<String>,
}

impl Finding {
    fn new(diagnostic: &Diagnostic) -> Self {
        let mut lines = lines(&diagnostic.message).into_iter();
        let location = diagnostic.location.as_ref();
        Finding {
            place: location.map(|place| one_line(&place.to_string())).unwrap_or_default(),
            line: location.and_then(|place| place.line),
            message: lines.next().unwrap_or_default(),
            more: lines.collect(),
        }
    }

    /// Place and message, at most so many bytes of the place: its end, where line and column stand.
    fn headline(&self, place: usize) -> String {
        let begin = self.place.ceil_char_boundary(self.place.len().saturating_sub(place));
        let place = if begin == 0 { self.place.clone() } else { format!("…{}", &self.place[begin..]) };
        match (place.as_str(), self.message.as_str()) {
            ("", message) => message.to_owned(),
            (place, "") => place.to_owned(),
            (place, message) => format!("{place}: {message}"),
        }
    }

    /// All lines, the place padded to `width` characters.
    fn render(&self, width: usize) -> String {
        let first = match self.place.as_str() {
            "" => self.message.clone(),
            place => format!("{place:width$}  {}", self.message),
        };
        let mut text = format!("{}\n", first.trim_end());
        for line in &self.more {
            text.extend(["    ", line, "\n"]);
        }
        text
    }
}

/// The diagnostics as plain text, each once.
fn findings(diagnostics: &[Diagnostic]) -> Vec<Finding> {
    let mut seen = HashSet::new();
    diagnostics
        .iter()
        .map(Finding::new)
        .filter(|finding| !(finding.place.is_empty() && finding.message.is_empty()))
        .filter(|finding| seen.insert(finding.clone()))
        .collect()
}

/// The findings, their messages aligned.
fn table(findings: &[Finding]) -> Vec<String> {
    let widths = findings.iter().map(|finding| finding.place.chars().count());
    let width = widths.filter(|&width| width <= PLACE).max().unwrap_or(0);
    findings.iter().map(|finding| finding.render(width)).collect()
}

/// All advice, each once, the diagnostics' own first.
fn hints(message: &Message) -> Vec<String> {
    let mut seen = HashSet::new();
    let own = message.diagnostics.iter().filter_map(|diagnostic| diagnostic.hint.as_ref());
    own.chain(&message.hints)
        .map(|hint| lines(hint).join("\n      "))
        .filter(|hint| !hint.is_empty() && seen.insert(hint.clone()))
        .map(|hint| format!("hint: {hint}\n"))
        .collect()
}

fn command_line(ran: &Ran) -> String {
    let outcome = one_line(&ran.outcome);
    let outcome = cut(&outcome, COMMAND / 2);
    let argv = one_line(&ran.argv);
    let line = format!("$ {}    {outcome}", cut(&argv, COMMAND - outcome.len() - "$     \n".len()));
    format!("{}\n", line.trim_end())
}

/// As many items as fit into `room`, and their number. What `rest` says of those that are left has its room
/// too. The first is cut rather than left out.
fn fill(items: &[String], room: usize, rest: fn(usize) -> String) -> (String, usize) {
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        let rest_if_last = rest(items.len() - index - 1);
        let left = room.saturating_sub(text.len() + rest_if_last.len());
        if item.len() <= left {
            text.push_str(item);
        } else if index == 0 && left >= LEAST {
            return (format!("{}\n{rest_if_last}", cut(item, left - 1)), 1);
        } else if index == 0 {
            return (text, 0);
        } else {
            return (text + &rest(items.len() - index), index);
        }
    }
    (text, items.len())
}

/// Says that `count` items are not shown.
fn more(count: usize) -> String {
    if count == 0 {
        return nothing(count);
    }
    format!("({count} more)\n")
}

/// Says nothing of items that are not shown.
fn nothing(_: usize) -> String {
    String::new()
}

/// What a section takes, with the blank line before it.
fn cost(section: &str) -> usize {
    if section.is_empty() { 0 } else { section.len() + 1 }
}

/// Adds a section after a blank line.
fn push(page: &mut String, section: &str) {
    if !section.is_empty() {
        page.push('\n');
        page.push_str(section);
    }
}

/// The lines of a text that say anything; the first without indentation.
fn lines(text: &str) -> Vec<String> {
    let text = plain(text);
    text.trim_start().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A text as one line.
pub(super) fn one_line(text: &str) -> String {
    let lines = lines(text);
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// What a reader of the page knows already.
struct Said<'a> {
    lines: HashSet<&'a str>,
    findings: &'a [Finding],
}

impl<'a> Said<'a> {
    fn new(page: &'a str, findings: &'a [Finding]) -> Self {
        Said { lines: page.lines().map(str::trim).collect(), findings }
    }

    /// Whether a line of output repeats the page, or one of its findings in the tool's own form.
    fn covers(&self, line: &str) -> bool {
        let names = |number: u32| {
            let mut numbers = line.split(|c: char| !c.is_ascii_digit());
            numbers.any(|found| found.parse() == Ok(number))
        };
        self.lines.contains(line.trim())
            || self.findings.iter().any(|finding| {
                !finding.message.is_empty()
                    && line.contains(&finding.message)
                    && finding.line.is_none_or(names)
            })
    }
}

#[cfg(test)]
#[path = "termination_tests.rs"]
mod tests;
