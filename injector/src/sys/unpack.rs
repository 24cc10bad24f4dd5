//! stand-in
use crate::content::Limits;
use builders::diagnostic::Blame;
use std::{fmt, io, path::Path};
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format;
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a")
    }
}
#[derive(Debug)]
pub(crate) enum Refusal {
    Deep {},
    Many(u64),
    Large(u64),
    Ratio(u64),
    Broken(String),
    Encrypted,
    Method(String),
    Backslash,
}
#[derive(Debug, thiserror::Error)]
#[error("bad")]
pub(crate) enum UnpackError {
    NotAnArchive(String),
    Refused { entry: String, refusal: Refusal },
    Window {},
    Stopped,
    Io(io::Error),
}
impl UnpackError {
    pub(crate) fn blame(&self) -> Blame {
        Blame::Platform
    }
}
pub(crate) struct Unpacked {
    pub format: Format,
    pub entries: u64,
    pub bytes: u64,
}
pub(crate) fn recognise(_start: &[u8]) -> Option<Format> {
    None
}
pub(crate) fn unpack(_archive: &Path, _room: &Path, _limits: &Limits) -> Result<Unpacked, UnpackError> {
    Err(UnpackError::Stopped)
}
