//! A volume's file system: room that is left, whether programs may run on it, and who holds it.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{FlockOperation, OFlags, StatVfsMountFlags, flock, statvfs};
use rustix::io::{FdFlags, fcntl_setfd};

/// What a file system has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes that we may still write.
    pub(crate) free: u64,
    /// Bytes in all.
    pub(crate) total: u64,
    /// Whether programs and libraries on it may be executed.
    pub(crate) executes: Executes,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB free of {} KiB", self.free >> 10, self.total >> 10)
    }
}

/// Whether a file system allows execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Executes {
    /// It does.
    Yes,
    /// It is mounted `noexec`.
    No,
}

/// The room on the file system that holds `path`.
pub(crate) fn space(path: &Path) -> io::Result<Space> {
    let stat = statvfs(path)?;
    let executes = if stat.f_flag.contains(StatVfsMountFlags::NOEXEC) { Executes::No } else { Executes::Yes };
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    // Without a size, as a ramfs has none, a file system does not say what is free either.
    let free = if stat.f_blocks == 0 { u64::MAX } else { bytes(stat.f_bavail) };
    Ok(Space { free, total: bytes(stat.f_blocks), executes })
}

/// An exclusive lock, held as long as the value lives; the kernel frees it when its holder dies.
#[derive(Debug)]
pub(crate) struct Lock(pub(super) fs::File);

impl Lock {
    /// Leaves the lock to the program that this process becomes.
    pub(crate) fn outlive_exec(&self) -> io::Result<()> {
        Ok(fcntl_setfd(&self.0, FdFlags::empty())?)
    }
}

/// How waiting for a lock ended.
#[derive(Debug)]
pub(crate) enum Locked {
    /// We hold it.
    Held(Lock),
    /// Another process kept it too long.
    TimedOut,
    /// `give_up` said so.
    GivenUp,
}

/// Waits for the lock on a file. `waiting` is called once, before the first wait.
pub(crate) fn lock(
    path: &Path,
    patience: Duration,
    waiting: impl FnOnce(),
    give_up: &dyn Fn() -> bool,
) -> io::Result<Locked> {
    let mut options = fs::OpenOptions::new();
    // Whoever wrote here before may have put a link or a FIFO in its place.
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    options.create(true).truncate(false).write(true);
    let mut file = options.open(path)?;
    let begun = Instant::now();
    let mut waiting = Some(waiting);
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(&file, path)? => return Ok(Locked::Held(Lock(file))),
            // Whoever tidies up took it away before we had it.
            Ok(()) => {
                file = options.open(path)?;
                continue;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        if give_up() {
            return Ok(Locked::GivenUp);
        }
        if begun.elapsed() > patience {
            return Ok(Locked::TimedOut);
        }
        if let Some(waiting) = waiting.take() {
            waiting();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether this file still has this name.
pub(super) fn is_at(file: &fs::File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_a_lock_and_the_other_waits() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let take = |patience| {
            let mut waits = 0;
            let got = lock(&path, Duration::from_millis(patience), || waits += 1, &|| false);
            (got.expect("the file can be locked"), waits)
        };
        let (held, waits) = take(0);
        assert!(matches!(held, Locked::Held(_)) && waits == 0);
        let (second, waits) = take(60);
        assert!(matches!(second, Locked::TimedOut) && waits == 1, "{second:?}, {waits}");
        drop(held);
        assert!(matches!(take(0).0, Locked::Held(_)));
    }

    #[test]
    fn a_tmpfs_says_what_it_has() {
        let space = space(Path::new("/dev/shm")).expect("a file system");
        assert!(space.total > 0 && space.free <= space.total);
    }

    #[test]
    fn a_file_system_without_a_size_is_not_full() {
        let space = space(Path::new("/proc")).expect("a file system");
        assert_eq!((space.total, space.free), (0, u64::MAX));
    }
}
