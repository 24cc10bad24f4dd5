//! Why a tree was not taken or put back: whether the fault lies where it comes from or where it goes.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::sys::fs::reason;

/// Why a tree was not taken or put back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    /// It cannot be read.
    #[error("{} cannot be read: {}", .path.display(), reason(.source))]
    Source {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be written where it goes.
    #[error("{} cannot be written: {}", .path.display(), reason(.source))]
    Target {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not the tree that it was.
    #[error("{path} {what}")]
    Wrong {
        /// The path within the tree.
        path: String,
        /// What is wrong.
        what: Wrong,
    },
    /// A shard is not compressed as it should be.
    #[error("a shard cannot be inflated: {}", reason(.0))]
    Garbled(#[source] io::Error),
    /// A shard ends before its files do.
    #[error("a shard has less than its files")]
    Short,
    /// A shard goes on where its files have ended.
    #[error("a shard has more than its files")]
    Long,
    /// What a shard is packed into takes no more.
    #[error("a shard cannot be packed: {}", reason(.0))]
    Stream(#[source] io::Error),
    /// A file was written to while it was copied.
    #[error("{0} changed while it was copied")]
    Changed(String),
    /// It holds a FIFO, a socket or a device.
    #[error("{0} is neither a file nor a directory nor a link")]
    Special(String),
    /// It holds a name, or a link to one, that is no text.
    #[error("{} is not UTF-8", .0.display())]
    Name(PathBuf),
}

/// How a tree differs from what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Something is not there.
    Missing,
    /// A file has less bytes.
    Shorter,
    /// A file has more bytes.
    Longer,
    /// A file has other bytes.
    Content,
    /// A program is none, or the reverse.
    Mode,
    /// There is something else, or a link that leads elsewhere.
    Kind,
    /// There is something that was not.
    Strange,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wrong::Missing => "is missing",
            Wrong::Shorter => "is shorter than it was",
            Wrong::Longer => "is longer than it was",
            Wrong::Content => "has other content than it had",
            Wrong::Mode => "has another mode than it had",
            Wrong::Kind => "is not what it was",
            Wrong::Strange => "was not there",
        })
    }
}

impl TreeError {
    /// What cannot be read.
    pub(super) fn source(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| TreeError::Source { path: path.to_owned(), source }
    }

    /// What cannot be written.
    pub(super) fn target(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| TreeError::Target { path: path.to_owned(), source }
    }

    /// What is wrong with a path.
    pub(super) fn wrong(path: &str, what: Wrong) -> Self {
        TreeError::Wrong { path: path.to_owned(), what }
    }
}
