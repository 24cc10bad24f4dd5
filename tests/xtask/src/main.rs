//! `cargo xtask <verb>`: what developers and CI run beside cargo's own commands.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tasks of development touch the operating system and say so"
)]

#[path = "../../bench/bench.rs"]
mod bench;
mod containers;
#[path = "../../faults/faults.rs"]
mod faults;
mod fuzz;
#[path = "../../fuzz/seeds.rs"]
mod seeds;
mod test;
mod try_example;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use faults::{Options, Stalls};

/// Tasks of this project's development.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Builds a function, starts its server, sends it one request and stops it
    Try {
        /// The function's directory; its `request.json`, if there is one, is what is sent
        #[arg(default_value = "examples/python")]
        dir: PathBuf,
    },
    /// Measures what the injector costs beside what one would run otherwise
    Bench(bench::Options),
    /// Runs the fuzz targets of `tests/fuzz/` with libFuzzer, and says what they covered and found
    Fuzz {
        /// The target that is run; all, if none is named
        target: Option<String>,
        /// How long each is run
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Runs the target once, with this file
        #[arg(long, value_name = "FILE", requires = "target")]
        input: Option<PathBuf>,
    },
    /// Builds and restores while pods are killed, disks are full, bytes change and registries lie; says what went wrong
    Faults {
        /// How many times something is restored
        #[arg(long, default_value_t = 200)]
        restores: usize,
        /// What all chances begin with
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The one story that is told, by the number that a bug was reported with
        #[arg(long, value_name = "STORY")]
        only: Option<u64>,
        /// Registries answer with an error where they would stall, which saves minutes
        #[arg(long)]
        quick: bool,
        /// The injector; one that is made for it, if none is named
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
    /// Brings in the tools that tests drive, then runs `cargo test --workspace`
    Test {
        /// Further arguments for `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().verb {
        Verb::Try { dir } => try_example::run(&dir),
        Verb::Bench(options) => bench::run(try_example::release_binary, &options),
        Verb::Fuzz { target, seconds, input } => fuzz::run(target.as_deref(), seconds, input.as_deref()),
        Verb::Faults { restores, seed, only, quick, binary } => {
            let stalls = if quick { Stalls::None } else { Stalls::Some };
            let binary = binary.map_or_else(try_example::release_binary, Ok)?;
            try_faults(&binary, Options { restores, seed, only, stalls })
        }
        Verb::Test { args } => test::run(&args),
    }
}

/// Shows how far it is, and in the end what came of it.
fn try_faults(binary: &Path, options: Options) -> anyhow::Result<()> {
    let tally = faults::run(binary, options, &mut |tally| {
        eprint!("\r{} of {} restores, {} bugs", tally.restores, options.restores, tally.bugs.len());
    });
    eprintln!();
    println!("{tally}");
    anyhow::ensure!(tally.bugs.is_empty(), "{} bugs with seed {}", tally.bugs.len(), options.seed);
    Ok(())
}

/// The workspace's directory.
fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
