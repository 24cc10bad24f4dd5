//! One builder for each key, and others that wait for what it makes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use builders::function::Sha256;

use super::{LOCKS, Node, NodeError};
use crate::cache::record::Layer;
use crate::sys::fs::{self, Create, Sync};
use crate::sys::share;
use crate::sys::signal;
use crate::sys::volume::{self, Lock, Locked};

/// Who builds.
#[derive(Debug)]
pub(crate) enum Flight {
    /// We do, and others wait. What was waited for may be there now.
    Ours(Turn),
    /// We do, as all others who waited: the build for which we waited failed.
    Failed,
    /// We do, whatever others do.
    Alone(NodeError),
    /// Nobody: we were told to stop.
    Interrupted,
}

/// The right to build for all who wait, until it is dropped or its process ends.
#[derive(Debug)]
pub(crate) struct Turn {
    file: PathBuf,
    _lock: Lock,
}

impl Node {
    /// Waits for the turn to build what belongs to a key. `waiting` is called once, before the first wait.
    pub(crate) fn flight(
        &self,
        layer: Layer,
        key: Sha256,
        patience: Duration,
        waiting: impl FnOnce(),
    ) -> Flight {
        if let Err(error) = self.writable() {
            return Flight::Alone(error);
        }
        let file = self.root.join(LOCKS).join(format!("{layer}-{}", key.hex()));
        let _ = share::create_file(&file, b"");
        let before = failures(&file);
        let give_up = || signal::received().is_some();
        let lock = match volume::lock(&file, patience, waiting, &give_up) {
            Ok(Locked::Held(lock)) => lock,
            Ok(Locked::TimedOut) => return Flight::Alone(NodeError::Busy(patience)),
            Ok(Locked::GivenUp) => return Flight::Interrupted,
            Err(source) => return Flight::Alone(self.refuses("locked", source)),
        };
        if failures(&file) != before {
            return Flight::Failed;
        }
        // The time serves the collector alone.
        let _ = share::touch(&file);
        Flight::Ours(Turn { file, _lock: lock })
    }
}

impl Turn {
    /// Says to all who wait that nothing was made, so that they need not fail one after the other.
    pub(crate) fn failed(self) {
        let count = failures(&self.file).wrapping_add(1).to_string();
        // Where this fails, they do.
        let _ = fs::write_in_place(&self.file, count.as_bytes(), Create::Never, Sync::Later);
    }
}

/// How many builds of a key have failed.
fn failures(lock: &Path) -> u64 {
    fs::read_text(lock).and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
