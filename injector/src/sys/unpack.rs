//! stub
use crate::content::Limits;
use builders::diagnostic::Blame;
use std::fmt;
use std::path::Path;
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format;
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a")
    }
}
#[derive(Debug, thiserror::Error)]
#[error("bad")]
pub(crate) struct UnpackError;
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
    Err(UnpackError)
}
impl UnpackError {
    pub(crate) fn hints(&self) -> &[&str] {
        &[]
    }
}
