//! The room that an archive is unpacked into: the kernel sees to it that nothing is made elsewhere.

use std::collections::BTreeMap;
use std::io::{self, Read, Write as _};
use std::path::Path;

use builders::function::RelPath;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt as _};
use rustix::io::Errno;

use super::refusal::{MAX_NAME, MAX_PATH, path, shown};
use super::{CHUNK, Patience, Refusal, UnpackError, awake, read_full};
use crate::content::Limits;

/// An empty directory that is being filled. Every path is resolved beneath it by the kernel (`openat2`), so that
/// whoever exchanges directories for links meanwhile leads us nowhere else.
#[derive(Debug)]
pub(super) struct Room<'limits> {
    dir: Dir,
    limits: &'limits Limits,
    /// Bytes of the archive.
    archive: u64,
    patience: Patience,
    entries: u64,
    /// Bytes of its files, each as often as it is linked: where the function goes, they are copied.
    bytes: u64,
    /// Bytes that are unpacked and not kept.
    overhead: u64,
    /// They are made last, so that nothing is ever unpacked through one.
    links: BTreeMap<RelPath, String>,
    /// Bytes of names and targets in `links`.
    text: usize,
    /// Bytes of all paths.
    paths: u64,
    buffer: Vec<u8>,
}

/// Whether a file is a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Execute {
    /// Its owner may execute it.
    Yes,
    /// It is data.
    No,
}

/// What an entry is, as far as its path is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Directory,
    Other,
}

/// The most text of links that is kept in mind, in bytes: some 40,000 links.
const MAX_LINKS: usize = 4 << 20;
/// How long paths may be on average, in bytes: whoever surveys what was unpacked keeps them all in mind.
const MEAN_PATH: u64 = 256;
/// What a few paths may have in any case, in bytes.
const LEAST_PATHS: u64 = 1 << 20;

impl<'limits> Room<'limits> {
    /// Opens an empty directory for an archive of `size` bytes.
    pub(super) fn open(
        path: &Path,
        limits: &'limits Limits,
        size: u64,
        patience: Patience,
    ) -> Result<Self, UnpackError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        if dir.entries()?.next().is_some() {
            let reason = format!("{} is not empty", path.display());
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, reason).into());
        }
        Ok(Room {
            dir,
            limits,
            archive: size,
            patience,
            entries: 0,
            bytes: 0,
            overhead: 0,
            links: BTreeMap::new(),
            text: 0,
            paths: 0,
            buffer: vec![0; CHUNK],
        })
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    pub(super) fn limits(&self) -> &'limits Limits {
        self.limits
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes a directory; one that is there stays.
    pub(super) fn directory(&mut self, name: &[u8]) -> Result<(), UnpackError> {
        let Some(path) = self.admit(name, Is::Directory)? else { return Ok(()) };
        if self.is_dir(&path) { Ok(()) } else { self.make(&path, |dir| dir.create_dir(path.as_str())) }
    }

    /// Writes a file of `size` bytes.
    pub(super) fn file(
        &mut self,
        name: &[u8],
        size: u64,
        execute: Execute,
        content: &mut dyn Read,
    ) -> Result<(), UnpackError> {
        let path = self.admit_below(name)?;
        self.charge(path.as_str(), size)?;
        let mut options = OpenOptions::new();
        let mode = if execute == Execute::Yes { 0o755 } else { 0o644 };
        options.write(true).create_new(true).mode(mode);
        let mut file = self.make(&path, |dir| dir.open_with(path.as_str(), &options))?;
        let mut written = 0;
        loop {
            awake()?;
            let count = read_full(content, &mut self.buffer, path.as_str())?;
            written += count as u64;
            if count == 0 || written > size {
                break;
            }
            file.write_all(&self.buffer[..count]).map_err(|error| failed(&path, &error))?;
        }
        if written == size {
            return Ok(());
        }
        let than = if written > size { "more" } else { "less" };
        Err(Refusal::Broken(format!("it has {than} than its {size} bytes")).of(path.as_str()))
    }

    /// Notes a symbolic link.
    pub(super) fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let path = self.admit_below(name)?;
        let refuse = |refusal: Refusal| Err(refusal.of(path.as_str()));
        let Ok(text) = str::from_utf8(target) else { return refuse(Refusal::LinkOut(shown(target))) };
        if text.starts_with('/') {
            return refuse(Refusal::LinkAbsolute(shown(target)));
        }
        if text.len() > MAX_PATH {
            return refuse(Refusal::LongPath(text.len()));
        }
        if let Some(long) = text.split('/').map(str::len).find(|bytes| *bytes > MAX_NAME) {
            return refuse(Refusal::LongName(long));
        }
        // The text alone must stay within, whatever links it passes through.
        if text.is_empty() || path.sibling(text).is_err() {
            return refuse(Refusal::LinkOut(shown(target)));
        }
        self.text += path.as_str().len() + text.len();
        if self.text > MAX_LINKS {
            return refuse(Refusal::Links(MAX_LINKS));
        }
        // Its place is taken, so that what comes later under its name is noticed.
        self.make(&path, |dir| match dir.symlink_metadata(path.as_str()) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
                Some(parent) if !dir.exists(parent.as_str()) => Err(error),
                _ => Ok(()),
            },
            Err(error) => Err(error),
        })?;
        self.links.insert(path, text.to_owned());
        Ok(())
    }

    /// Gives a file of the archive another name.
    pub(super) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), UnpackError> {
        let link = self.admit_below(name)?;
        let outside = || Refusal::HardLink(shown(target)).of(link.as_str());
        let file = path(target).ok().flatten().filter(|file| !self.links.contains_key(file));
        let file = file.ok_or_else(outside)?;
        let metadata = match self.dir.symlink_metadata(file.as_str()) {
            Err(error) if !is_absence(&error) => return Err(failed(&link, &error)),
            metadata => metadata.ok().filter(Metadata::is_file).ok_or_else(outside)?,
        };
        self.charge(link.as_str(), metadata.len())?;
        self.make(&link, |dir| dir.hard_link(file.as_str(), dir, link.as_str()))
    }

    /// Counts bytes of a file before they are written.
    fn charge(&mut self, entry: &str, bytes: u64) -> Result<(), UnpackError> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.within_limits(entry)
    }

    /// Counts bytes that are unpacked and not kept: they cost time.
    pub(super) fn pass_over(&mut self, entry: &str, bytes: u64) -> Result<(), UnpackError> {
        self.overhead = self.overhead.saturating_add(bytes);
        self.within_limits(entry)
    }

    fn within_limits(&self, entry: &str) -> Result<(), UnpackError> {
        let Limits { unpacked, ratio, .. } = *self.limits;
        if self.bytes > unpacked || self.overhead > unpacked {
            return Err(Refusal::Large(unpacked).of(entry));
        }
        let all = self.bytes.saturating_add(self.overhead);
        if all > Limits::RATIO_FLOOR && all > self.archive.saturating_mul(ratio) {
            return Err(Refusal::Ratio(ratio).of(entry));
        }
        Ok(())
    }

    /// Makes the links, and sees to it that each leads to something within.
    pub(super) fn finish(&mut self) -> Result<(), UnpackError> {
        for (path, target) in &self.links {
            self.dir.symlink(target, path.as_str()).map_err(|error| failed(path, &error))?;
        }
        for (path, target) in &self.links {
            awake()?;
            // Through further links, too: the kernel follows them, and says where they leave the room.
            let Err(error) = self.dir.metadata(path.as_str()) else { continue };
            let target = shown(target.as_bytes());
            let refusal = match error.raw_os_error() {
                None if error.kind() == io::ErrorKind::PermissionDenied => Refusal::LinkOut(target),
                Some(code) if code == Errno::LOOP.raw_os_error() => Refusal::LinkNowhere(target),
                _ if is_absence(&error) => Refusal::LinkNowhere(target),
                _ => return Err(failed(path, &error)),
            };
            return Err(refusal.of(path.as_str()));
        }
        Ok(())
    }

    /// Removes all that is in the room.
    pub(super) fn clear(&self) -> io::Result<()> {
        for entry in self.dir.entries()? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.dir.remove_dir_all(entry.file_name())?;
            } else {
                self.dir.remove_file(entry.file_name())?;
            }
        }
        Ok(())
    }

    /// The path of an entry that is not the top itself.
    fn admit_below(&mut self, name: &[u8]) -> Result<RelPath, UnpackError> {
        self.admit(name, Is::Other)?.ok_or_else(|| Refusal::NoName.of(&shown(name)))
    }

    /// The path of an entry that may be made, as far as names tell; `None` for the top.
    fn admit(&mut self, name: &[u8], is: Is) -> Result<Option<RelPath>, UnpackError> {
        awake()?;
        let refuse = |refusal: Refusal| Err(refusal.of(&shown(name)));
        self.count(&shown(name))?;
        let path = match path(name) {
            Ok(Some(path)) => path,
            Ok(None) => return Ok(None),
            Err(refusal) => return refuse(refusal),
        };
        self.paths += path.as_str().len() as u64;
        let most = self.limits.entries.saturating_mul(MEAN_PATH).max(LEAST_PATHS);
        if self.paths > most {
            return refuse(Refusal::Paths(most));
        }
        let slashes = path.as_str().matches('/').count() as u64;
        let found = if is == Is::Directory { slashes + 1 } else { slashes };
        if found > self.limits.depth {
            return refuse(Refusal::Deep { found, allowed: self.limits.depth });
        }
        if self.links.contains_key(&path) {
            return refuse(Refusal::Twice);
        }
        if let Some(parent) = ancestors(&path).find(|parent| self.links.contains_key(parent)) {
            return refuse(Refusal::Beneath { parent, is: "link" });
        }
        Ok(Some(path))
    }

    /// Makes something, and the directories above it where they are missing.
    fn make<T>(&mut self, path: &RelPath, how: impl Fn(&Dir) -> io::Result<T>) -> Result<T, UnpackError> {
        let made = match how(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let missing = ancestors(path).take_while(|dir| !self.dir.exists(dir.as_str()));
                for dir in missing.collect::<Vec<_>>().iter().rev() {
                    self.count(path.as_str())?;
                    self.dir.create_dir(dir.as_str()).map_err(|error| failed(dir, &error))?;
                }
                how(&self.dir)
            }
            made => made,
        };
        made.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Refusal::Twice.of(path.as_str()),
            io::ErrorKind::NotADirectory => {
                match ancestors(path).filter(|parent| !self.is_dir(parent)).last() {
                    Some(parent) => Refusal::Beneath { parent, is: "file" }.of(path.as_str()),
                    None => error.into(),
                }
            }
            _ => error.into(),
        })
    }

    /// Counts a file, directory or link before it is made.
    fn count(&mut self, entry: &str) -> Result<(), UnpackError> {
        self.entries += 1;
        let allowed = self.limits.entries;
        if self.entries > allowed { Err(Refusal::Many(allowed).of(entry)) } else { Ok(()) }
    }

    fn is_dir(&self, path: &RelPath) -> bool {
        self.dir.symlink_metadata(path.as_str()).is_ok_and(|metadata| metadata.is_dir())
    }
}

/// The directories above a path, the lowest first.
fn ancestors(path: &RelPath) -> impl Iterator<Item = RelPath> {
    std::iter::successors(path.parent(), RelPath::parent)
}

/// Whether there is nothing at a path.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What the operating system refused, with the entry.
fn failed(path: &RelPath, error: &io::Error) -> UnpackError {
    let reason = crate::sys::fs::plain(error);
    io::Error::new(error.kind(), format!("failed to unpack {path}: {reason}")).into()
}
