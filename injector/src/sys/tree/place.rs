//! A directory that holds a tree: the kernel sees to it that no path within leads out of it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, DirEntry, OpenOptions, OpenOptionsExt as _};
use rustix::fs::OFlags;

use super::{Entry, TreeError};

/// A directory that holds a tree. Every path is resolved beneath it by the kernel (`openat2`), so that whoever
/// exchanges directories for links meanwhile leads us nowhere else.
#[derive(Debug)]
pub(super) struct Place {
    dir: Dir,
    path: PathBuf,
}

/// What stands in a directory.
#[derive(Debug)]
pub(super) enum Found {
    /// A file.
    File,
    /// A directory.
    Dir,
    /// A link, and its text.
    Link(String),
}

impl Place {
    /// Opens a directory.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Place { dir: Dir::open_ambient_dir(path, ambient_authority())?, path: path.to_owned() })
    }

    /// An error of reading something within.
    pub(super) fn unread(&self, path: &str, source: io::Error) -> TreeError {
        TreeError::Source { path: self.path.join(path), source }
    }

    /// An error of writing something within.
    pub(super) fn unwritten(&self, path: &str, source: io::Error) -> TreeError {
        TreeError::Target { path: self.path.join(path), source }
    }

    /// Opens a file to read it; for no FIFO we wait.
    pub(super) fn read(&self, path: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
        Ok(self.dir.open_with(path, &options)?.into_std())
    }

    /// Makes a file.
    pub(super) fn create(&self, path: &str, mode: u32) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        Ok(self.dir.open_with(path, &options)?.into_std())
    }

    /// Makes a directory or a link.
    pub(super) fn lay(&self, path: &str, entry: &Entry) -> Result<(), TreeError> {
        match entry {
            Entry::Dir {} => self.make_dir(path),
            Entry::Link(text) => self.link(path, text),
            Entry::File { .. } => Ok(()),
        }
    }

    /// Makes a directory; one that is there stays, and a link to one is an error.
    pub(super) fn make_dir(&self, path: &str) -> Result<(), TreeError> {
        let mut builder = DirBuilder::new();
        let made = match self.dir.create_dir_with(path, builder.mode(0o755)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match self.dir.symlink_metadata(path) {
                    Ok(metadata) if metadata.is_dir() => Ok(()),
                    _ => Err(error),
                }
            }
            made => made,
        };
        made.map_err(|error| self.unwritten(path, error))
    }

    /// Makes a link, wherever it leads.
    pub(super) fn link(&self, path: &str, text: &str) -> Result<(), TreeError> {
        self.dir.symlink_contents(text, path).map_err(|error| self.unwritten(path, error))
    }

    /// What is in a directory, with paths from the top, which has the empty path.
    pub(super) fn list(
        &self,
        dir: &str,
    ) -> Result<impl Iterator<Item = Result<(String, Found), TreeError>>, TreeError> {
        let below = if dir.is_empty() { "." } else { dir };
        let entries = self.dir.read_dir(below).map_err(|error| self.unread(dir, error))?;
        Ok(entries.map(move |entry| {
            let entry = entry.map_err(|error| self.unread(dir, error))?;
            let path = Path::new(dir).join(entry.file_name());
            let path = path.into_os_string().into_string().map_err(|path| TreeError::Name(path.into()))?;
            let found = self.found(&path, &entry)?;
            Ok((path, found))
        }))
    }

    fn found(&self, path: &str, entry: &DirEntry) -> Result<Found, TreeError> {
        let unread = |error| self.unread(path, error);
        let mut kind = entry.file_type().map_err(unread)?;
        if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
            // Not every file system says in its directories what is there.
            kind = self.dir.symlink_metadata(path).map_err(unread)?.file_type();
        }
        if kind.is_dir() {
            return Ok(Found::Dir);
        }
        if kind.is_file() {
            return Ok(Found::File);
        }
        if !kind.is_symlink() {
            return Err(TreeError::Special(path.to_owned()));
        }
        let text = self.dir.read_link_contents(path).map_err(unread)?.into_os_string();
        text.into_string().map(Found::Link).map_err(|_| TreeError::Name(path.into()))
    }
}
