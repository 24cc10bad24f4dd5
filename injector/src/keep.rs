//! What was resolved, kept for the next build of the same function, for whoever asks: one entry, in a directory of theirs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use builders::Package;
use builders::function::Sha256;
use serde::{Deserialize, Serialize};

use crate::provision::ProvisionError;
use crate::sys::volume::{self, Lock, Locked};
use crate::sys::{fs, signal};
use crate::toolbox::Remembered;

/// The entry's file, written last and removed first.
const ENTRY: &str = "entry.json";
/// The room of dependencies, as it was resolved.
const DEPS: &str = "deps";
/// What tools said of themselves.
const TOOLS: &str = "tools.json";
/// The format of an entry.
const SCHEMA: u32 = 1;

/// A directory that outlives builds. One run at a time uses it.
#[derive(Debug)]
pub(crate) struct Keep {
    dir: PathBuf,
    _lock: Lock,
}

/// What is known of the dependencies that are kept.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    schema: u32,
    key: Sha256,
    packages: Vec<Package>,
}

impl Keep {
    /// Opens the directory, and waits for another run that uses it.
    pub(crate) fn open(
        dir: &Path,
        patience: Duration,
        waiting: impl FnOnce(),
    ) -> Result<Self, ProvisionError> {
        let wrong = |source| ProvisionError::Keep { path: dir.to_owned(), source };
        dir.parent().map_or(Ok(()), fs::create_dirs).map_err(wrong)?;
        fs::create_private_dir(dir).map_err(wrong)?;
        let dir = fs::canonical(dir).map_err(wrong)?;
        let give_up = || signal::received().is_some();
        match volume::lock(&dir.join("lock"), patience, waiting, &give_up).map_err(wrong)? {
            Locked::Held(lock) => Ok(Keep { dir, _lock: lock }),
            Locked::TimedOut | Locked::GivenUp => {
                Err(ProvisionError::KeepBusy { path: dir, waited: patience })
            }
        }
    }

    /// The room `<kept>`.
    pub(crate) fn room(&self) -> PathBuf {
        self.dir.join("kept")
    }

    /// What tools said of themselves when they were last asked.
    pub(crate) fn remembered(&self) -> Remembered {
        let bytes = fs::read(&self.dir.join(TOOLS)).ok().flatten();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Keeps that for the next build, which asks again where this fails.
    pub(crate) fn remember(&self, remembered: &Remembered) {
        if let (false, Ok(bytes)) = (remembered.is_empty(), serde_json::to_vec(remembered)) {
            let _ = fs::replace(&self.dir.join(TOOLS), &bytes);
        }
    }

    /// Puts the dependencies that were resolved for `key` in place; `None` where there are none, or are not whole.
    pub(crate) fn restore(&self, key: Sha256, deps: &Path) -> Option<Vec<Package>> {
        let bytes = fs::read(&self.dir.join(ENTRY)).ok()??;
        let entry: Entry = serde_json::from_slice(&bytes).ok()?;
        if entry.schema != SCHEMA || entry.key != key {
            // What is resolved instead changes `<kept>`, and may not come to its end.
            fs::remove(&self.dir.join(ENTRY)).ok()?;
            return None;
        }
        let copied = fs::copy(&self.dir.join(DEPS), deps);
        if copied.is_err() {
            // Half of it would be in the way of what is resolved now.
            fs::remove(&self.dir.join(ENTRY))
                .and_then(|()| fs::remove(deps))
                .and_then(|()| fs::create_dirs(deps))
                .ok()?;
        }
        copied.ok().map(|()| entry.packages)
    }

    /// Keeps what was resolved for `key` in place of what was kept before.
    pub(crate) fn store(&self, key: Sha256, packages: &[Package], deps: &Path) -> std::io::Result<()> {
        let (entry, kept) = (self.dir.join(ENTRY), self.dir.join(DEPS));
        fs::remove(&entry)?;
        fs::remove(&kept)?;
        fs::copy(deps, &kept)?;
        let made = Entry { schema: SCHEMA, key, packages: packages.to_vec() };
        fs::replace(&entry, &serde_json::to_vec(&made)?)
    }
}
