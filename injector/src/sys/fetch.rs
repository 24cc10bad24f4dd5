//! stub
use builders::diagnostic::Blame;
use builders::function::{RelPath, Sha256};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
#[derive(Debug, Clone)]
pub(crate) struct Address(String);
#[derive(Debug, thiserror::Error)]
#[error("bad")]
pub(crate) struct BadAddress;
impl FromStr for Address {
    type Err = BadAddress;
    fn from_str(s: &str) -> Result<Self, BadAddress> {
        Ok(Address(s.into()))
    }
}
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Address {
    pub(crate) fn secrets(&self) -> impl Iterator<Item = String> {
        std::iter::empty()
    }
    pub(crate) fn file_name(&self) -> Option<RelPath> {
        None
    }
}
pub(crate) struct Network {}
impl Network {
    pub(crate) fn secrets(&self) -> impl Iterator<Item = String> {
        std::iter::empty()
    }
}
pub(crate) struct Fetched {
    pub size: u64,
    pub sha256: Sha256,
    pub is_web_page: bool,
}
#[derive(Debug, thiserror::Error)]
#[error("bad")]
pub(crate) struct FetchError;
impl FetchError {
    pub(crate) fn blame(&self) -> Blame {
        Blame::Platform
    }
}
pub(crate) fn fetch(
    _from: &Address,
    _to: &Path,
    _max: u64,
    _timeout: Duration,
    _network: &Network,
    _retrying: &mut dyn FnMut(&str),
) -> Result<Fetched, FetchError> {
    Err(FetchError)
}
impl FetchError {
    pub(crate) fn hints(&self) -> &[&str] {
        &[]
    }
}
