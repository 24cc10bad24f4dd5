//! Files, several at once: each is read once, digested and written on the way.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fs::{Timespec, Timestamps, UTIME_OMIT, futimens, ioctl_ficlone};
use rustix::io::Errno;

use super::place::Place;
use super::{Digest, Entry, File, Times, TreeError, Wrong};
use crate::sys::parallel;

/// How much is read at once, in bytes. Each thread has one buffer of this size.
pub(super) const BUFFER: usize = 128 << 10;
/// A file of more bytes than this is worth an effort of its own.
pub(super) const LARGE: u64 = 1 << 20;
/// How many items a thread takes at once: neighbours, which lie in one directory.
const BATCH: usize = 8;

/// Does something with each of `items`, in several threads with one buffer each; results come with the item's index, in
/// no order. The first error ends it.
pub(super) fn each<I: Sync, T: Send>(
    items: &[I],
    work: impl Fn(&I, &mut [u8]) -> Result<T, TreeError> + Sync,
) -> Result<Vec<(usize, T)>, TreeError> {
    parallel::each(items, BATCH, || vec![0; BUFFER], |item, buffer| work(item, buffer))
}

/// What a file is; it is copied to `target`, where there is one.
pub(super) fn digested(
    path: &str,
    source: &Place,
    target: Option<&Place>,
    times: Times,
    buffer: &mut [u8],
) -> Result<Entry, TreeError> {
    let unread = |error| source.unread(path, error);
    let mut from = source.read(path).map_err(unread)?;
    let metadata = from.metadata().map_err(unread)?;
    if !metadata.is_file() {
        return Err(TreeError::Special(path.to_owned()));
    }
    let (size, executable) = (metadata.len(), metadata.mode() & 0o100 != 0);
    let mode = if executable { File::PROGRAM } else { File::DATA };
    let changed = match times {
        Times::Kept => Some(nanoseconds(metadata.mtime(), metadata.mtime_nsec()).ok_or_else(|| {
            unread(io::Error::new(io::ErrorKind::InvalidData, "the time of its last change is out of bounds"))
        })?),
        Times::Dropped => None,
    };
    let digest = if let Some(target) = target {
        let mut to = target.create(path, mode).map_err(|error| target.unwritten(path, error))?;
        pump(&mut from, size, buffer, |bytes| to.write_all(bytes))
    } else {
        pump(&mut from, size, buffer, |_| Ok(()))
    };
    let digest = digest.map_err(|stop| match stop {
        Stop::Read(error) => unread(error),
        Stop::Write(error) => target.unwrap_or(source).unwritten(path, error),
        Stop::Size(_) => TreeError::Changed(path.to_owned()),
    })?;
    Ok(Entry::File { size, digest, executable, changed })
}

/// Copies a file, and sees to it that it is what it was.
pub(super) fn copied(
    file: &File<'_>,
    source: &Place,
    target: &Place,
    times: Times,
    may_clone: &AtomicBool,
    buffer: &mut [u8],
) -> Result<(), TreeError> {
    let path = file.path;
    let unread = |error| unlike(&error, path).unwrap_or_else(|| source.unread(path, error));
    let mut from = source.read(path).map_err(unread)?;
    let unwritten = |error| target.unwritten(path, error);
    let mut to = target.create(path, file.mode()).map_err(unwritten)?;
    let stamp = cloned(file, &from, &to, may_clone).map_err(unread)?;
    let digest = if stamp.is_some() {
        pump(&mut from, file.size, buffer, |_| Ok(()))
    } else {
        pump(&mut from, file.size, buffer, |bytes| to.write_all(bytes))
    };
    let digest = digest.map_err(|stop| match stop {
        Stop::Read(error) => unread(error),
        Stop::Write(error) => unwritten(error),
        Stop::Size(what) => TreeError::wrong(path, what),
    })?;
    if digest != *file.digest {
        return Err(TreeError::wrong(path, Wrong::Content));
    }
    // What was read must be what had been cloned.
    if let Some(before) = stamp
        && before != Stamp::of(&from).map_err(unread)?
    {
        return Err(TreeError::Changed(path.to_owned()));
    }
    match (times, file.changed) {
        (Times::Kept, Some(changed)) => set_changed(&to, changed).map_err(unwritten),
        _ => Ok(()),
    }
}

/// When a file was written to, or anything else of it was changed.
#[derive(Debug, PartialEq, Eq)]
struct Stamp([i64; 4]);

impl Stamp {
    fn of(file: &std::fs::File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Stamp([metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()]))
    }
}

/// Lets a large file share its blocks with the copy, where the file system can do that: nothing is written then. Small
/// ones are as soon copied, and the kernel would wait until each of those that are new has reached the disk. Returns
/// what the file's stamp was before; `None` if nothing was cloned.
fn cloned(
    file: &File<'_>,
    from: &std::fs::File,
    to: &std::fs::File,
    may_clone: &AtomicBool,
) -> io::Result<Option<Stamp>> {
    if file.size < LARGE || !may_clone.load(Relaxed) {
        return Ok(None);
    }
    let stamp = Stamp::of(from)?;
    // Whatever it is that it cannot do, it is asked once.
    let is_cloned = ioctl_ficlone(to, from).is_ok();
    may_clone.fetch_and(is_cloned, Relaxed);
    Ok(is_cloned.then_some(stamp))
}

/// Why a file was not read to its end.
pub(super) enum Stop {
    /// It cannot be read.
    Read(io::Error),
    /// What was read cannot be written.
    Write(io::Error),
    /// It has more bytes, or less.
    Size(Wrong),
}

/// Reads a file of `size` bytes; never more than one byte beyond.
pub(super) fn pump(
    from: &mut std::fs::File,
    size: u64,
    buffer: &mut [u8],
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<Digest, Stop> {
    let mut hasher = blake3::Hasher::new();
    let mut left = size;
    loop {
        // One more than there should be, so that most files are read to their end at once.
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1).min(buffer.len());
        let count = match from.read(&mut buffer[..wanted]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count.map_err(Stop::Read)?,
        };
        left = left.checked_sub(count as u64).ok_or(Stop::Size(Wrong::Longer))?;
        hasher.update(&buffer[..count]);
        write(&buffer[..count]).map_err(Stop::Write)?;
        match (count, left) {
            (_, 0) if count < wanted => return Ok(Digest(hasher.finalize().into())),
            (0, _) => return Err(Stop::Size(Wrong::Shorter)),
            _ => {}
        }
    }
}

/// What is wrong where a file should be.
pub(super) fn unlike(error: &io::Error, path: &str) -> Option<TreeError> {
    let what = match error.kind() {
        io::ErrorKind::NotFound => Wrong::Missing,
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => Wrong::Kind,
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Wrong::Kind,
        _ => return None,
    };
    Some(TreeError::wrong(path, what))
}

const SECOND: i64 = 1_000_000_000;

fn nanoseconds(seconds: i64, rest: i64) -> Option<i64> {
    seconds.checked_mul(SECOND)?.checked_add(rest)
}

/// Sets when a file was changed, in nanoseconds since 1970.
pub(super) fn set_changed(file: &std::fs::File, changed: i64) -> io::Result<()> {
    let last_modification =
        Timespec { tv_sec: changed.div_euclid(SECOND), tv_nsec: changed.rem_euclid(SECOND) };
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    Ok(futimens(file, &Timestamps { last_access, last_modification })?)
}
