//! What is refused: names that lead elsewhere, and what else has no place in a function.

use std::fmt;

use builders::function::RelPath;

use super::UnpackError;
use crate::content::Bytes;

/// What is wrong with an entry: reads on after its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `/etc/passwd`.
    Absolute,
    /// `../x`.
    Parent,
    /// Nothing is left of its name.
    NoName,
    /// Another encoding.
    NotUtf8,
    /// Line breaks, NUL and the like.
    Control,
    /// Windows' separator, which is a part of a name here.
    Backslash,
    /// A component of this many bytes.
    LongName(usize),
    /// A path or a target of this many bytes.
    LongPath(usize),
    /// In so many directories.
    Deep {
        /// This many.
        found: u64,
        /// The limit.
        allowed: u64,
    },
    /// More entries than this.
    Many(u64),
    /// More bytes than this.
    Large(u64),
    /// More bytes than this many times those of the archive.
    Ratio(u64),
    /// Something of that name was there before.
    Twice,
    /// In something that is no directory.
    Beneath {
        /// Its path.
        parent: RelPath,
        /// What it is.
        is: &'static str,
    },
    /// A link to an absolute path.
    LinkAbsolute(String),
    /// A link that leaves the tree.
    LinkOut(String),
    /// A link that leads to nothing.
    LinkNowhere(String),
    /// More text of links than is kept in mind.
    Links(usize),
    /// A hard link to something else than an earlier file.
    HardLink(String),
    /// A device, a FIFO or a socket.
    Special(&'static str),
    /// Setuid or setgid.
    Privileged(&'static str),
    /// A file with holes.
    Sparse,
    /// A kind of entry that tar has not standardised.
    Kind(u8),
    /// A directory or a link with content.
    Content(&'static str),
    /// Encrypted.
    Encrypted,
    /// A compression that is not supported.
    Method(String),
    /// Damaged: what was found.
    Broken(String),
}

impl Refusal {
    /// The error of an entry.
    pub(super) fn of(self, entry: &str) -> UnpackError {
        let entry = if entry.is_empty() { "an entry" } else { entry };
        UnpackError::Refused { entry: entry.to_owned(), refusal: self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Absolute => f.write_str("has an absolute path"),
            Refusal::Parent => f.write_str("has `..` in its path"),
            Refusal::NoName => f.write_str("has no name"),
            Refusal::NotUtf8 => f.write_str("has a name that is not UTF-8"),
            Refusal::Control => f.write_str("has a control character in its name"),
            Refusal::Backslash => {
                f.write_str("has a backslash in its name, as some programs write in place of `/`")
            }
            Refusal::LongName(bytes) => {
                write!(f, "has a name of {bytes} bytes in its path, and {MAX_NAME} are allowed")
            }
            Refusal::LongPath(bytes) => write!(f, "has a path of {bytes} bytes, and {MAX_PATH} are allowed"),
            Refusal::Deep { found, allowed } => {
                write!(f, "lies {found} directories deep, and {allowed} are allowed (INJECTOR_MAX_DEPTH)")
            }
            Refusal::Many(allowed) => {
                write!(f, "is one more than the {allowed} entries that are allowed (INJECTOR_MAX_ENTRIES)")
            }
            Refusal::Large(allowed) => {
                write!(f, "makes the archive unpack to more than {} (INJECTOR_MAX_UNPACKED)", Bytes(*allowed))
            }
            Refusal::Ratio(allowed) => write!(
                f,
                "makes the archive unpack to more than {allowed} times its size (INJECTOR_MAX_RATIO)"
            ),
            Refusal::Twice => f.write_str("is in the archive more than once"),
            Refusal::Beneath { parent, is } => write!(f, "lies beneath {parent}, which is a {is}"),
            Refusal::LinkAbsolute(target) => write!(f, "is a link to \"{target}\", an absolute path"),
            Refusal::LinkOut(target) => {
                write!(f, "is a link to \"{target}\", which is not part of the archive")
            }
            Refusal::LinkNowhere(target) => write!(f, "is a link to \"{target}\", which leads to nothing"),
            Refusal::Links(bytes) => write!(
                f,
                "is a link too many: names and targets of links may have {} in all",
                Bytes(*bytes as u64)
            ),
            Refusal::HardLink(target) => {
                write!(f, "is a hard link to \"{target}\", which is no earlier file of the archive")
            }
            Refusal::Special(kind) => write!(f, "is a {kind}"),
            Refusal::Privileged(bit) => write!(f, "is {bit}"),
            Refusal::Sparse => f.write_str("is a sparse file"),
            Refusal::Kind(kind) => {
                write!(f, "is of kind {:?}, which is no file, directory or link", char::from(*kind))
            }
            Refusal::Content(kind) => write!(f, "is a {kind} with content"),
            Refusal::Encrypted => f.write_str("is encrypted"),
            Refusal::Method(method) => write!(f, "is compressed with {method}, which is not supported"),
            Refusal::Broken(what) => write!(f, "is broken: {what}"),
        }
    }
}

/// The most bytes of a name: what file systems can keep.
pub(super) const MAX_NAME: usize = 255;
/// The most bytes of a path: a quarter of the kernel's 4096 is left for where the function is published.
pub(super) const MAX_PATH: usize = 3072;

/// The path of an entry; `None` if that is the top of the archive itself.
pub(super) fn path(name: &[u8]) -> Result<Option<RelPath>, Refusal> {
    let text = str::from_utf8(name).map_err(|_| Refusal::NotUtf8)?;
    if text.is_empty() {
        return Err(Refusal::NoName);
    }
    if text.contains(char::is_control) {
        return Err(Refusal::Control);
    }
    if text.starts_with('/') {
        return Err(Refusal::Absolute);
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(Refusal::Parent);
    }
    if let Some(long) = parts.iter().find(|part| part.len() > MAX_NAME) {
        return Err(Refusal::LongName(long.len()));
    }
    let path = parts.join("/");
    if path.len() > MAX_PATH {
        return Err(Refusal::LongPath(path.len()));
    }
    if path.is_empty() { Ok(None) } else { path.parse().map(Some).map_err(|_| Refusal::Control) }
}

/// A name for people: printable, and at most a line.
pub(super) fn shown(name: &[u8]) -> String {
    const MOST: usize = 120;
    let text = String::from_utf8_lossy(name);
    let mut shown = String::new();
    for char in text.chars() {
        if shown.len() > MOST {
            shown.push('…');
            break;
        }
        match char {
            '\'' | '"' | '\\' => shown.push(char),
            char => shown.extend(char.escape_debug()),
        }
    }
    shown
}
