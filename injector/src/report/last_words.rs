//! What is written when the main flow no longer can: on a panic, and when a signal's grace ends.

use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

use crate::cli::{MAX_BUDGET, Termination};
use crate::failure::{Failure, Stage};
use crate::sys::fs::Sync;
use crate::sys::host;
use crate::sys::signal::Signal;

use super::redact::Redactor;

struct Memory {
    termination: Option<Termination>,
    stage: Stage,
    redactor: Option<Redactor>,
}

static MEMORY: Mutex<Memory> =
    Mutex::new(Memory { termination: None, stage: Stage::Request, redactor: None });

/// Remembers where the message goes.
pub(super) fn remember(termination: Option<Termination>) {
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner).termination = termination;
}

/// Remembers what may appear nowhere.
pub(super) fn hide(redactor: Redactor) {
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner).redactor = Some(redactor);
}

/// Remembers which stage runs.
pub(super) fn at(stage: Stage) {
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner).stage = stage;
}

/// Writes the message of a panic and exits: with `panic = "abort"` the process would end with
/// SIGABRT and without a word.
pub(crate) fn on_panic(info: &PanicHookInfo<'_>) {
    let reason = info.payload_as_str().unwrap_or("no reason given");
    let place = info.location().map_or_else(String::new, |location| format!(" at {location}"));
    say(|_| Failure::Bug(format!("{reason}{place}")));
    host::exit(Failure::BUG);
}

/// Writes the message of a signal after which the main flow did not end in time.
pub(crate) fn on_late_signal(signal: Signal) {
    say(|stage| Failure::Terminated { signal, stage });
}

fn say(failure: impl FnOnce(Stage) -> Failure) {
    // Never waits: the panic may have come from whoever holds the lock.
    let Ok(memory) = MEMORY.try_lock() else { return };
    let budget = memory.termination.as_ref().map_or(MAX_BUDGET, |termination| termination.budget);
    let nothing = Redactor::new([]);
    let redactor = memory.redactor.as_ref().unwrap_or(&nothing);
    let message = super::message(&failure(memory.stage), redactor, budget);
    if let Some(termination) = &memory.termination {
        // There is nobody left to tell that this failed too.
        let _ = super::write(termination, &message, Sync::Now);
    }
    eprint!("{message}");
}
