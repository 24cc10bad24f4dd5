//! Files that processes of several users share: how they are made, how they are locked, and how old they are.

use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{
    Access, AtFlags, CWD, FlockOperation, OFlags, Timespec, Timestamps, UTIME_NOW, access, flock, utimensat,
};

use super::host;
use super::volume::{Lock, is_at};

/// How a file is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With others who share it.
    Shared,
    /// By us alone.
    Exclusive,
}

/// How an attempt to lock a file ended.
#[derive(Debug)]
pub(crate) enum Taken {
    /// We hold it.
    Held(Lock),
    /// Another process does.
    Busy,
    /// There is no such file.
    Absent,
    /// This file system has no locks: network file systems may lack them.
    Unsupported,
}

/// Locks a file that is there. What is locked is the file that has the name now: one that was taken away meanwhile is
/// nobody's any more.
pub(crate) fn lock(path: &Path, kind: Kind) -> io::Result<Taken> {
    loop {
        let file = match open(path, kind) {
            Err(error) if is_absent(&error) => return Ok(Taken::Absent),
            file => file?,
        };
        let operation = match kind {
            Kind::Shared => FlockOperation::NonBlockingLockShared,
            Kind::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        match flock(&file, operation) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Taken::Busy),
            Err(_) => return Ok(Taken::Unsupported),
            Ok(()) if is_at(&file, path)? => return Ok(Taken::Held(Lock(file))),
            Ok(()) => {}
        }
    }
}

/// The same, for somebody who may wait a moment: whoever only looks whether a file is locked holds it for no longer.
pub(crate) fn lock_within(path: &Path, kind: Kind, patience: Duration) -> io::Result<Taken> {
    let begun = Instant::now();
    loop {
        match lock(path, kind)? {
            Taken::Busy if begun.elapsed() < patience => std::thread::sleep(Duration::from_millis(5)),
            taken => return Ok(taken),
        }
    }
}

/// Makes a directory in which the group may write, too; one that is there is kept as it is.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        // A volume's group comes down by the setgid bit, which a new mode must not take away.
        Ok(()) => add_mode(path, 0o775),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a file in which the group may write, too; one that is there is an error.
pub(crate) fn create_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o664).open(path)?;
    // The mode above is cut by the umask.
    file.set_permissions(std::fs::Permissions::from_mode(0o664))?;
    file.write_all(bytes)
}

/// Puts a file in its place, or in that of another, by rename from a directory of the same file system.
pub(crate) fn put(path: &Path, bytes: &[u8], through: &Path) -> io::Result<()> {
    let new = through.join(host::random_hex()?);
    let put = create_file(&new, bytes).and_then(|()| fs::rename(&new, path));
    if put.is_err() {
        let _ = fs::remove_file(&new);
    }
    put
}

/// Whether we may write in a directory.
pub(crate) fn may_write(dir: &Path) -> bool {
    access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Says that a file is used now.
pub(crate) fn touch(path: &Path) -> io::Result<()> {
    set_times(path, Timespec { tv_sec: 0, tv_nsec: UTIME_NOW })
}

/// Says that a file was never used.
pub(crate) fn age(path: &Path) -> io::Result<()> {
    set_times(path, Timespec { tv_sec: 0, tv_nsec: 0 })
}

/// When something was changed, since 1970; `None` if it is not there.
pub(crate) fn changed(path: &Path) -> io::Result<Option<Duration>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => {
            let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
            let nanoseconds = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
            Ok(Some(Duration::new(seconds, nanoseconds)))
        }
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn set_times(path: &Path, moment: Timespec) -> io::Result<()> {
    // Of both or of none: to say `now`, leave to write is enough, which a group has.
    let times = Timestamps { last_access: moment, last_modification: moment };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn add_mode(path: &Path, more: u32) -> io::Result<()> {
    let own = fs::metadata(path)?.permissions().mode() & 0o7777;
    fs::set_permissions(path, std::fs::Permissions::from_mode(own | more))
}

/// Opens a file to lock it, and to write, where that is allowed: some network file systems ask for it.
fn open(path: &Path, kind: Kind) -> io::Result<fs::File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(flags);
    if kind == Kind::Exclusive
        && let Ok(file) = options.clone().write(true).open(path)
    {
        return Ok(file);
    }
    options.open(path)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_share_a_lock_and_one_has_it_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lease");
        let take = |kind| lock(&path, kind).expect("it can be tried");
        assert!(matches!(take(Kind::Shared), Taken::Absent));
        create_file(&path, b"").expect("made");
        let (one, two) = (take(Kind::Shared), take(Kind::Shared));
        assert!(matches!((&one, &two), (Taken::Held(_), Taken::Held(_))));
        assert!(matches!(take(Kind::Exclusive), Taken::Busy));
        drop((one, two));
        // Another test's process, just started, may have it for a moment.
        let alone = lock_within(&path, Kind::Exclusive, Duration::from_mins(1)).expect("it can be tried");
        assert!(matches!(alone, Taken::Held(_)));
        assert!(matches!(take(Kind::Shared), Taken::Busy));
        // Another file under the name is another lock.
        put(&path, b"", dir.path()).expect("replaced");
        assert!(matches!(take(Kind::Shared), Taken::Held(_)));
        drop(alone);
    }

    #[test]
    fn who_waits_for_a_lock_gets_it_when_the_other_lets_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lease");
        create_file(&path, b"").expect("made");
        let held = lock(&path, Kind::Exclusive).expect("taken");
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || lock_within(&path, Kind::Shared, Duration::from_mins(1)).expect("it can be tried")
        });
        std::thread::sleep(Duration::from_millis(30));
        assert!(!waiter.is_finished());
        drop(held);
        assert!(matches!(waiter.join().expect("it ends"), Taken::Held(_)));
    }

    #[test]
    fn what_is_made_can_be_written_by_the_group_and_read_by_all() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o2775)).expect("a mode");
        let (sub, file) = (dir.path().join("sub"), dir.path().join("sub/file"));
        create_dir(&sub).expect("made");
        create_dir(&sub).expect("there");
        create_file(&file, b"1").expect("made");
        assert!(create_file(&file, b"2").is_err());
        put(&file, b"3", dir.path()).expect("replaced");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
        assert_eq!((mode(&sub), mode(&file)), (0o2775, 0o664));
        assert_eq!(fs::read(&file).expect("there"), b"3");
        assert!(create_dir(&file).is_err());
    }

    #[test]
    fn a_file_is_as_old_as_its_last_use() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        assert_eq!(changed(&file).expect("looked"), None);
        create_file(&file, b"").expect("made");
        age(&file).expect("aged");
        assert_eq!(changed(&file).expect("looked"), Some(Duration::ZERO));
        touch(&file).expect("touched");
        let used = changed(&file).expect("looked").expect("there").as_secs();
        assert!(host::now().abs_diff(used) < 60);
    }
}
