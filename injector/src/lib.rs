//! The deeds: reads a mounted function, carries out its plan, publishes the result, says what happened.
//!
//! The modules are listed in the order in which a build passes through them.

mod cli;
mod content;
mod pipeline;
mod arrival;
mod netrc;
mod network;
mod survey;
mod surroundings;
mod toolbox;
mod provision;
mod keys;
mod docker;
mod cache;
mod keep;
mod verdict;
mod execute;
mod make;
mod publish;
mod launch;
mod runtimes;
mod pod;
mod failure;
mod report;
mod sys;

#[cfg(any(fuzzing, test))]
#[path = "../../tests/fuzz/targets/mod.rs"]
pub mod fuzzing;

use std::process::ExitCode;

use cache::collect::Bounds;
use cache::upkeep::{self, UpkeepError};
use cli::{Format, Request, Upkeep, UpkeepDeed, Verb};
use failure::Failure;
use pod::PodError;
use report::Reporter;
use report::{explain, last_words, words};

/// Runs the program, and returns its exit status.
#[must_use]
pub fn run() -> ExitCode {
    std::panic::set_hook(Box::new(last_words::on_panic));
    let (request, termination, look) = cli::read();
    let mut reporter = Reporter::new(Some(termination), look);
    let code = match request {
        Ok(request) => obey(request, &mut reporter),
        Err(error) => Err(error.into()),
    };
    ExitCode::from(code.unwrap_or_else(|failure| {
        reporter.failed(&failure);
        failure.code()
    }))
}

/// Does what is asked, and returns the exit status of what reported itself.
fn obey(request: Request, reporter: &mut Reporter) -> Result<u8, Failure> {
    let Request { verb, env, .. } = request;
    match verb {
        Verb::Build(build) => {
            sys::prepare(last_words::on_late_signal).map_err(|error| Failure::Bug(error.to_string()))?;
            Ok(pipeline::build(&build, &env, reporter))
        }
        Verb::DryRun(build) => {
            sys::prepare(last_words::on_late_signal).map_err(|error| Failure::Bug(error.to_string()))?;
            reporter.end_on_stdout();
            pipeline::dry_run(*build, &env, reporter)
        }
        Verb::Plan(build, format) => {
            sys::prepare(last_words::on_late_signal).map_err(|error| Failure::Bug(error.to_string()))?;
            reporter.keep_to_yourself();
            let plan = pipeline::plan(&build, &env, format, reporter)?;
            reporter.print(&plan);
            Ok(0)
        }
        Verb::Launch { volume } => match launch::launch(&volume, &env)? {},
        Verb::Install { dest } => {
            sys::fs::install(&dest).map_err(|source| Failure::Install { dest, source })?;
            Ok(0)
        }
        Verb::Runtimes { config } => {
            let catalog = pipeline::catalog(config.as_deref())?;
            reporter.print(&runtimes::list(&catalog, &env));
            Ok(0)
        }
        Verb::Cache(upkeep) => look_after(&upkeep, reporter),
        Verb::Explain(code) => {
            let fed = if code.is_none() { sys::host::fed().map_err(PodError::from)? } else { None };
            reporter.print(&match fed {
                Some(text) => explain::explain_pods(&pod::read(&text)?),
                None => explain::explain(code)?,
            });
            Ok(0)
        }
        Verb::Print(text) => {
            reporter.print(&text);
            Ok(0)
        }
    }
}

/// Does what an operator asks of a cache.
fn look_after(Upkeep { dir, deed }: &Upkeep, reporter: &Reporter) -> Result<u8, Failure> {
    match deed {
        UpkeepDeed::List(format) => {
            let contents = upkeep::list(dir)?;
            reporter.print(&match format {
                Format::Text => words::upkeep::listing(&contents),
                Format::Json => words::upkeep::listing_as_json(&contents)?,
            });
        }
        UpkeepDeed::Collect { max_size, max_age } => {
            let bounds = Bounds { size: *max_size, age: *max_age };
            reporter.print(&words::upkeep::collected(&upkeep::collect(dir, bounds)?));
        }
        UpkeepDeed::Verify => {
            let verified = upkeep::verify(dir)?;
            reporter.print(&words::upkeep::verified(&verified));
            if !verified.broken.is_empty() {
                let (broken, all) = (verified.broken.len(), verified.trees + verified.records);
                return Err(UpkeepError::Broken { dir: dir.clone(), broken, all }.into());
            }
        }
    }
    Ok(0)
}
