//! A directory in memory for all that is measured, new places in it for every run, and none of it left afterwards.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, ensure};
use rustix::fs::{StatVfsMountFlags, statvfs};

/// How its directories are called, before the number of the process.
const STEM: &str = "injector-bench-";
/// What is needed there: some trees and archives of the largest function, and a registry's blobs.
const NEEDED: u64 = 6 << 30;
/// How much memory is touched before a series: a virtual machine gives freed memory back to its host, and what
/// runs first would have to fetch it.
const TOUCHED: usize = 1 << 30;

/// A directory that goes afterwards.
pub(super) struct Room {
    path: PathBuf,
    made: AtomicUsize,
}

impl Room {
    /// In the given directory, or in memory, or where temporary files go.
    pub(super) fn new(given: Option<&Path>) -> anyhow::Result<Self> {
        let home = match given {
            Some(given) => given.to_owned(),
            None if suits(Path::new("/dev/shm")) => PathBuf::from("/dev/shm"),
            None => std::env::temp_dir(),
        };
        sweep(&home);
        let path = home.join(format!("{STEM}{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        let room = Room { path: path.canonicalize()?, made: AtomicUsize::new(0) };
        fs::create_dir(room.path.join("tmp"))?;
        ensure!(free(&room.path)? >= NEEDED, "{} has no {} GiB", home.display(), NEEDED >> 30);
        Ok(room)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where temporary files go.
    pub(super) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// A place that is not there yet: old ones distort a file system's figures.
    pub(super) fn fresh(&self, name: &str) -> PathBuf {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{name}-{number}"))
    }

    /// The same as an empty directory.
    pub(super) fn fresh_dir(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.fresh(name);
        fs::create_dir(&path)?;
        Ok(path)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        clear(&self.path);
    }
}

/// Removes what is there, whatever it is.
pub(super) fn clear(path: &Path) {
    if fs::remove_dir_all(path).is_err() && path.exists() {
        // Go's module cache is read-only.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(path).status();
        let _ = fs::remove_dir_all(path);
    }
}

/// Lets this machine have its memory again.
pub(super) fn touch_memory() {
    drop(black_box(vec![1_u8; TOUCHED]));
}

/// Whether programs may run there, and enough fits in.
fn suits(path: &Path) -> bool {
    let executes = statvfs(path).is_ok_and(|stat| !stat.f_flag.contains(StatVfsMountFlags::NOEXEC));
    executes && free(path).is_ok_and(|free| free >= NEEDED)
}

fn free(path: &Path) -> anyhow::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.f_bavail * stat.f_frsize)
}

/// Removes what interrupted runs have left.
fn sweep(home: &Path) {
    let Ok(entries) = fs::read_dir(home) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(STEM)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            clear(&entry.path());
        }
    }
}
