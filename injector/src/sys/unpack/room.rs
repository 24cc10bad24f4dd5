//! The room that an archive is unpacked into: the kernel sees to it that nothing is made elsewhere.

use std::collections::BTreeMap;
use std::io::{self, Read, Write as _};
use std::path::Path;

use builders::function::RelPath;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};

use super::refusal::{MAX_PATH, path, shown};
use super::{CHUNK, Refusal, UnpackError, awake};
use crate::content::Limits;

/// An empty directory that is being filled. Every path is resolved beneath it by the kernel (`openat2`), so that
/// whoever exchanges directories for links meanwhile leads us nowhere else.
#[derive(Debug)]
pub(super) struct Room<'limits> {
    dir: Dir,
    limits: &'limits Limits,
    /// Bytes of the archive.
    archive: u64,
    entries: u64,
    bytes: u64,
    /// What counts against the limits: bytes of files, of hard links' files, and of what describes entries.
    spent: u64,
    /// They are made last, so that nothing is ever unpacked through one.
    links: BTreeMap<RelPath, String>,
    /// Bytes of names and targets in `links`.
    text: usize,
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

impl<'limits> Room<'limits> {
    /// Opens an empty directory for an archive of `size` bytes.
    pub(super) fn open(path: &Path, limits: &'limits Limits, size: u64) -> Result<Self, UnpackError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        if dir.entries()?.next().is_some() {
            let reason = format!("{} is not empty", path.display());
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, reason).into());
        }
        Ok(Room {
            dir,
            limits,
            archive: size,
            entries: 0,
            bytes: 0,
            spent: 0,
            links: BTreeMap::new(),
            text: 0,
            buffer: vec![0; CHUNK],
        })
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
            let read = content.read(&mut self.buffer);
            let count = read.map_err(|error| UnpackError::unreadable(path.as_str(), error))?;
            written += count as u64;
            if count == 0 || written > size {
                break;
            }
            file.write_all(&self.buffer[..count])?;
        }
        if written != size {
            let than = if written > size { "more" } else { "less" };
            return Err(Refusal::Broken(format!("it has {than} than its {size} bytes")).of(path.as_str()));
        }
        self.bytes += size;
        Ok(())
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
        let metadata = self.dir.symlink_metadata(file.as_str()).map_err(|_| outside())?;
        if !metadata.is_file() {
            return Err(outside());
        }
        // It will be copied, not linked, where the function goes.
        self.charge(link.as_str(), metadata.len())?;
        self.make(&link, |dir| dir.hard_link(file.as_str(), dir, link.as_str()))?;
        self.bytes += metadata.len();
        Ok(())
    }

    /// Counts bytes that an entry unpacks to, before they are unpacked.
    pub(super) fn charge(&mut self, entry: &str, bytes: u64) -> Result<(), UnpackError> {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > self.limits.unpacked {
            return Err(Refusal::Large(self.limits.unpacked).of(entry));
        }
        if self.spent > Limits::RATIO_FLOOR && self.spent > self.archive.saturating_mul(self.limits.ratio) {
            return Err(Refusal::Ratio(self.limits.ratio).of(entry));
        }
        Ok(())
    }

    /// Makes the links, and sees to it that each leads to something within.
    pub(super) fn finish(&mut self) -> Result<(), UnpackError> {
        for (path, target) in &self.links {
            self.dir.symlink(target, path.as_str())?;
        }
        for (path, target) in &self.links {
            awake()?;
            // Through further links, too: the kernel follows them, and says where they leave the room.
            match self.dir.metadata(path.as_str()) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(Refusal::LinkOut(shown(target.as_bytes())).of(path.as_str()));
                }
                Err(_) => return Err(Refusal::LinkNowhere(shown(target.as_bytes())).of(path.as_str())),
            }
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
                    self.dir.create_dir(dir.as_str())?;
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
