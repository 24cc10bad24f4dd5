//! What fuzzing runs: each target takes any bytes, and holds the product to what it promises of such input.

mod archives;
mod content_type;
mod diagnose;
mod download;
mod handler;
mod manifests;
mod runtime_toml;
mod sections;
#[cfg(test)]
#[path = "../seeds.rs"]
#[expect(clippy::disallowed_methods, reason = "a test may read files")]
mod seeds;
#[expect(clippy::disallowed_methods, reason = "it looks at what was unpacked")]
mod unpack;

pub use content_type::content_type;
pub use diagnose::diagnose;
pub use download::download;
pub use handler::handler;
pub use manifests::manifests;
pub use runtime_toml::runtime_toml;
pub use unpack::{entries, unpack};

use crate::cli::MAX_BUDGET;
use crate::failure::Failure;
use crate::report;
use crate::report::redact::Redactor;

/// How a failure would be reported: within the budget, and as text that is fit for a log and holds no secret.
fn report(failure: &Failure, secrets: &[&str]) {
    let redactor = Redactor::new(secrets.iter().map(ToString::to_string));
    for budget in [300, MAX_BUDGET] {
        let message = report::message(failure, &redactor, budget);
        assert!(message.len() <= budget, "{} bytes in a budget of {budget}: {message}", message.len());
        assert_plain(&message);
        for secret in secrets {
            assert!(!message.contains(secret), "{secret:?} is shown: {message}");
        }
    }
}

/// Whether a terminal and the kubelet show a text as it is.
fn assert_plain(text: &str) {
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "control characters: {text:?}");
    assert!(text.lines().all(|line| line.trim_end() == line), "blanks at the end of a line: {text:?}");
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may read files, and says which it reads"
)]
mod tests {
    use std::fs;

    use super::*;

    type Target = fn(&[u8]);

    /// Each target, by the name of its program.
    const TARGETS: [(&str, Target); 8] = [
        ("content_type", content_type),
        ("diagnose", diagnose),
        ("download", download),
        ("entries", entries),
        ("handler", handler),
        ("manifests", manifests),
        ("runtime_toml", runtime_toml),
        ("unpack", unpack),
    ];

    #[test]
    fn every_seed_keeps_the_promises_of_its_target() {
        for (name, target) in TARGETS {
            let own = seeds::own(name).expect("the seeds can be read");
            assert!(!own.is_empty(), "{name} has no seeds of its own");
            let borrowed = seeds::borrowed(name).expect("the project's own files can be read");
            // Those have tests of their own: some of each kind will do.
            for (seed, bytes) in own.into_iter().chain(borrowed.into_iter().step_by(8)) {
                println!("{name}/{seed}");
                target(&bytes);
            }
        }
    }

    #[test]
    fn every_target_is_a_program_with_a_dictionary() {
        let manifest = fs::read_to_string(seeds::room().join("Cargo.toml")).expect("the manifest");
        for (name, _) in TARGETS {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is no program of Cargo.toml");
            for file in [format!("fuzz_targets/{name}.rs"), format!("dictionaries/{name}")] {
                assert!(seeds::room().join(&file).exists(), "{file} is not there");
            }
        }
    }
}
