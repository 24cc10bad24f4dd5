//! What was measured: rows with their goals, and every single time, as they are kept in `tests/bench/results.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a run, or several on the same machine, have found.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Results {
    /// The machine, in words.
    pub(super) machine: String,
    /// The versions of what was compared.
    pub(super) versions: BTreeMap<String, String>,
    /// The table.
    pub(super) rows: Vec<Row>,
    /// Seconds, by function, by who took them, by round.
    pub(super) times: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
}

/// A line of the table.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Row {
    /// The goal's name, `P1` to `P10`; empty for what is told for orientation.
    pub(super) id: String,
    /// What is measured.
    pub(super) what: String,
    /// In what.
    pub(super) unit: Unit,
    /// The figure, or why there is none.
    pub(super) found: Found,
    /// What it should be.
    pub(super) goal: Option<Goal>,
}

/// A figure, or why there is none.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Found {
    /// It was measured.
    Figure(Figure),
    /// It could not be.
    Failed(String),
}

/// The middle of several, and how far they reach.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Figure {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// What figures count.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    /// Times of something else.
    Ratio,
    Seconds,
    Milliseconds,
    Mebibytes,
    /// How many.
    Count,
}

/// What a figure should be.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    Exactly(f64),
}

impl Results {
    /// Puts a later run's results in the place of the same ones of this.
    pub(super) fn merge(&mut self, later: Results) {
        if self.machine != later.machine {
            *self = later;
            return;
        }
        self.versions.extend(later.versions);
        for row in later.rows {
            match self.rows.iter_mut().find(|old| old.id == row.id && old.what == row.what) {
                Some(old) => *old = row,
                None => self.rows.push(row),
            }
        }
        for (function, times) in later.times {
            self.times.entry(function).or_default().extend(times);
        }
    }

    /// The median of one's times with a function, in seconds.
    pub(super) fn median(&self, function: &str, who: &str) -> Option<f64> {
        Figure::of(self.times.get(function)?.get(who)?.clone()).map(|figure| figure.median)
    }
}

impl Row {
    /// Whether the goal is met; `None` without a goal.
    pub(super) fn met(&self) -> Option<bool> {
        let goal = self.goal?;
        let Found::Figure(Figure { median, high, low }) = self.found else { return Some(false) };
        // As it is printed: what reads as the goal is the goal.
        let shown = |value: f64| self.unit.round(value);
        Some(match goal {
            Goal::AtMost(most) => shown(median) <= most,
            Goal::AtLeast(least) => shown(median) >= least,
            // What is counted is right each time, or it is wrong.
            #[expect(clippy::float_cmp, reason = "both are small whole numbers")]
            Goal::Exactly(number) => low == number && high == number,
        })
    }

    /// The figure and how far its rounds reach, as texts.
    pub(super) fn figure(&self) -> (String, String) {
        let Found::Figure(Figure { median, low, high }) = self.found else {
            return ("failed".to_owned(), String::new());
        };
        (self.unit.show(median), format!("{} – {}", self.unit.number(low), self.unit.number(high)))
    }

    /// The goal, as a text.
    pub(super) fn goal(&self) -> String {
        match self.goal {
            None => String::new(),
            Some(Goal::AtMost(most)) => format!("≤ {}", self.unit.show(most)),
            Some(Goal::AtLeast(least)) => format!("≥ {}", self.unit.show(least)),
            Some(Goal::Exactly(number)) => self.unit.show(number),
        }
    }
}

impl Figure {
    /// Of one or more; `None` of none.
    pub(super) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (&low, &high) = (figures.first()?, figures.last()?);
        let middle = figures.len() / 2;
        let median = match figures.len() % 2 {
            0 => f64::midpoint(figures[middle - 1], figures[middle]),
            _ => figures[middle],
        };
        Some(Figure { median, low, high })
    }
}

impl Unit {
    /// With its name.
    fn show(self, value: f64) -> String {
        let name = match self {
            Unit::Ratio => " ×",
            Unit::Seconds => " s",
            Unit::Milliseconds => " ms",
            Unit::Mebibytes => " MiB",
            Unit::Count => "",
        };
        format!("{}{name}", self.number(value))
    }

    fn number(self, value: f64) -> String {
        format!("{value:.*}", self.decimals(value))
    }

    fn round(self, value: f64) -> f64 {
        let scale = 10_f64.powi(i32::try_from(self.decimals(value)).unwrap_or(0));
        (value * scale).round() / scale
    }

    fn decimals(self, value: f64) -> usize {
        match self {
            Unit::Count => 0,
            Unit::Ratio | Unit::Seconds if value < 10.0 => 2,
            _ if value < 100.0 => 1,
            _ => 0,
        }
    }
}
