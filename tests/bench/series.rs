//! Several that do the same, in turns: A B C, B C A, … and what comes of it as medians of ratios within one round.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::results::{Figure, Found};
use super::room::touch_memory;

/// What is measured of one of them, in each round.
type Run<'a> = Box<dyn FnMut() -> anyhow::Result<Duration> + 'a>;

/// Those that take turns.
#[derive(Default)]
pub(super) struct Series<'a>(Vec<(String, Run<'a>)>);

/// Seconds by who took them, by round; or why there are none.
pub(super) struct Times(BTreeMap<String, Result<Vec<f64>, String>>);

impl<'a> Series<'a> {
    /// One more; what it takes is what it says.
    pub(super) fn add(&mut self, who: &str, run: impl FnMut() -> anyhow::Result<Duration> + 'a) {
        self.0.push((who.to_owned(), Box::new(run)));
    }

    /// One that could not be made ready.
    pub(super) fn lacks(&mut self, who: &str, why: &str) {
        let why = why.to_owned();
        self.add(who, move || anyhow::bail!("{why}"));
    }

    /// Lets all of them run so many times. Whoever fails once is out, and the others go on.
    pub(super) fn measure(mut self, rounds: usize) -> Times {
        let mut times: BTreeMap<String, Result<Vec<f64>, String>> =
            self.0.iter().map(|(who, _)| (who.clone(), Ok(Vec::new()))).collect();
        for _ in 0..rounds {
            touch_memory();
            for (who, run) in &mut self.0 {
                let Some(Ok(taken)) = times.get_mut(who) else { continue };
                match run() {
                    Ok(time) => taken.push(time.as_secs_f64()),
                    Err(reason) => {
                        times.insert(who.clone(), Err(words(&reason)));
                    }
                }
            }
            if !self.0.is_empty() {
                self.0.rotate_left(1);
            }
        }
        Times(times)
    }
}

impl Times {
    /// The median of what one takes, divided by what another takes in the same round.
    pub(super) fn ratio(&self, one: &str, other: &str) -> Found {
        self.compared(one, other, |one, other| one / other)
    }

    /// The median of how much longer one takes, in seconds.
    pub(super) fn difference(&self, one: &str, other: &str) -> Found {
        self.compared(one, other, |one, other| one - other)
    }

    /// The median of what is made of both.
    pub(super) fn compared(&self, one: &str, other: &str, compare: fn(f64, f64) -> f64) -> Found {
        match (self.of(one), self.of(other)) {
            (Ok(one), Ok(other)) => {
                found(one.iter().zip(other).map(|(&one, &other)| compare(one, other)).collect())
            }
            (Err(reason), _) | (_, Err(reason)) => Found::Failed(reason),
        }
    }

    /// The median of what one takes, in seconds times the factor.
    pub(super) fn alone(&self, who: &str, factor: f64) -> Found {
        match self.of(who) {
            Ok(times) => found(times.iter().map(|time| time * factor).collect()),
            Err(reason) => Found::Failed(reason),
        }
    }

    /// All that was taken, of whoever did not fail.
    pub(super) fn taken(&self) -> impl Iterator<Item = (&String, &Vec<f64>)> {
        self.0.iter().filter_map(|(who, times)| Some((who, times.as_ref().ok()?)))
    }

    fn of(&self, who: &str) -> Result<&[f64], String> {
        match self.0.get(who) {
            Some(Ok(times)) => Ok(times),
            Some(Err(reason)) => Err(format!("{who}: {reason}")),
            None => Err(format!("{who} was not measured")),
        }
    }
}

/// A figure of what was found, if anything was.
pub(super) fn found(figures: Vec<f64>) -> Found {
    Figure::of(figures).map_or_else(|| Found::Failed("nothing was measured".to_owned()), Found::Figure)
}

/// How long a command takes, and what it said on stderr.
pub(super) fn timed(command: &mut Command) -> anyhow::Result<(Duration, String)> {
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let time = begun.elapsed();
    let [said, story] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let name = command.get_program().display();
    ensure!(output.status.success(), "{name}: {}\n{said}{story}", output.status);
    Ok((time, story))
}

/// A reason on one line, of bearable length.
pub(super) fn words(reason: &anyhow::Error) -> String {
    let text = format!("{reason:#}");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
