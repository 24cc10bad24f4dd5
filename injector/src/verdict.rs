//! The last verdict, kept on the volume: for programs that ask, and for a container that restarts.

use std::io;
use std::path::Path;

use builders::diagnostic::Diagnostic;
use builders::function::Sha256;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::provision::PRIVATE;
use crate::sys::{fs, host};

/// The version of the report's format.
const SCHEMA: u32 = 1;
/// The report's name in the volume's private directory.
const REPORT: &str = "report.json";
/// How long a verdict may be repeated, in seconds.
const LIFETIME: u64 = 600;

/// How a run ended.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: u32,
    /// The exit status.
    code: u8,
    /// The termination message.
    message: &'a str,
    /// Located messages, whole.
    diagnostics: &'a [Diagnostic],
    /// When, in seconds since 1970.
    at: u64,
    /// All on which the verdict depends, if the same inputs would give it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats: Option<Sha256>,
}

/// What of a report is needed to repeat it.
#[derive(Debug, Deserialize)]
struct Last {
    schema: u32,
    code: u8,
    message: String,
    at: u64,
    repeats: Option<Sha256>,
}

/// Writes the report of a run: what was said of it, without credentials. `inputs` is the digest of what
/// it depended on, if it came so far.
pub(crate) fn write(
    volume: &Path,
    failure: Option<&Failure>,
    message: &str,
    diagnostics: &[Diagnostic],
    inputs: Option<Sha256>,
) -> io::Result<()> {
    let private = volume.join(PRIVATE);
    if !fs::is_real_dir(&private) {
        // Nothing was provisioned, or a link leads to a place that is not ours to write.
        return Ok(());
    }
    let report = Report {
        schema: SCHEMA,
        code: failure.map_or(0, Failure::code),
        message,
        diagnostics,
        at: host::now(),
        repeats: inputs.filter(|_| failure.is_some_and(Failure::repeats)).and_then(with_ourselves),
    };
    fs::replace(&private.join(REPORT), &serde_json::to_vec_pretty(&report)?)
}

/// The last verdict, if the same inputs led to it a short while ago. A report that cannot be read
/// repeats nothing.
pub(crate) fn last(volume: &Path, inputs: Sha256) -> Option<Failure> {
    let bytes = fs::read(&volume.join(PRIVATE).join(REPORT)).ok()??;
    let last: Last = serde_json::from_slice(&bytes).ok()?;
    let now = host::now();
    let fresh = last.at <= now && now - last.at < LIFETIME;
    let same = |repeats| with_ourselves(inputs).is_some_and(|found| found == repeats);
    (last.schema == SCHEMA && fresh && last.repeats.is_some_and(same))
        .then_some(Failure::Replayed { code: last.code, message: last.message })
}

/// Another injector may judge otherwise. Its program is digested only when that matters.
fn with_ourselves(inputs: Sha256) -> Option<Sha256> {
    let own = fs::own_digest().ok()?;
    Some(fs::digest_of(&[inputs.0, own.0].concat()))
}
