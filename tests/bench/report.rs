//! The table as it comes into being: a row is printed as soon as it is known, and a fault in one loses no other.

use std::fmt::Write as _;

use super::functions::Function;
use super::results::{Found, Goal, Results, Row, Unit};
use super::series::{Times, words};
use super::site::Site;

/// What was found so far.
pub(super) struct Report {
    results: Results,
    /// A section's title that no row stands below yet.
    title: Option<String>,
}

impl Report {
    /// Of this machine.
    pub(super) fn new(site: &Site) -> Self {
        let results = Results { machine: machine(), versions: site.tools.versions(), ..Results::default() };
        println!("{}", results.machine);
        println!("{:<4}{:<78}{:>10}  {:<19}{:>9}", "", "what", "figure", "least – most", "goal");
        Report { results, title: None }
    }

    /// Measures what belongs together; if it fails as a whole, a row says so.
    pub(super) fn section(&mut self, title: &str, measure: impl FnOnce(&mut Report) -> anyhow::Result<()>) {
        self.title = Some(title.to_owned());
        if let Err(reason) = measure(self) {
            let found = Found::Failed(words(&reason));
            self.row("", title, Unit::Count, found, None);
        }
    }

    /// One more row.
    pub(super) fn row(&mut self, id: &str, what: &str, unit: Unit, found: Found, goal: Option<Goal>) {
        if let Some(title) = self.title.take() {
            println!("{title}");
        }
        let row = Row { id: id.to_owned(), what: what.to_owned(), unit, found, goal };
        let (figure, reach) = row.figure();
        let verdict = match row.met() {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        let goal = row.goal();
        println!("{:<4}{what:<78}{figure:>10}  {reach:<19}{goal:>9}  {verdict}", row.id);
        if let Found::Failed(reason) = &row.found {
            // One fault often spoils several rows in turn.
            let told = |old: &Row| matches!(&old.found, Found::Failed(old) if old == reason);
            if !self.results.rows.iter().any(told) {
                println!("    {reason}");
            }
        }
        self.results.rows.push(row);
    }

    /// Something that is no figure.
    pub(super) fn note(&mut self, text: &str) {
        if let Some(title) = &mut self.title {
            let _ = write!(title, ": {text}");
        }
    }

    /// A row about a function.
    pub(super) fn of(
        &mut self,
        function: &Function,
        id: &str,
        what: &str,
        unit: Unit,
        found: Found,
        goal: Option<Goal>,
    ) {
        self.row(id, &format!("{}: {what}", function.name), unit, found, goal);
    }

    /// Keeps every single time.
    pub(super) fn keep(&mut self, function: &Function, times: &Times) {
        let kept = self.results.times.entry(function.name.to_owned()).or_default();
        for (who, taken) in times.taken() {
            kept.insert(who.clone(), taken.clone());
        }
    }

    /// All of it.
    pub(super) fn finish(self) -> Results {
        let with_goal = self.results.rows.iter().filter_map(Row::met);
        let (met, missed): (Vec<bool>, Vec<bool>) = with_goal.partition(|met| *met);
        println!("{} of {} goals met", met.len(), met.len() + missed.len());
        self.results
    }
}

/// This machine, in words.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?.to_owned();
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let memory = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.strip_suffix(" kB")?.parse::<f64>().ok())
        .map_or(0.0, |kib| kib / f64::from(1 << 20));
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores of {cpu}, {memory:.0} GiB, Linux {}", kernel.trim())
}
