//! The file that a download becomes: written and digested as it comes, and gone on with where it broke.

use std::io::{self, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use builders::function::Sha256;
use fs_err as fs;
use httpdate::parse_http_date;
use reqwest::header::{
    ACCEPT_RANGES, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE, LAST_MODIFIED,
    RANGE,
};
use sha2::Digest as _;

use super::error::{Cause, FetchError};

/// What is written at once.
const BUFFER: usize = 64 << 10;
/// What is kept to see what kind of content it is.
const START: usize = 512;

/// A file that is not whole yet.
pub(super) struct Download {
    path: PathBuf,
    file: BufWriter<fs::File>,
    digest: sha2::Sha256,
    size: u64,
    start: Vec<u8>,
    total: Option<u64>,
    /// What tells the server of which version we have a part, if it can go on with that.
    version: Option<HeaderValue>,
}

impl Download {
    /// A file without content, in place of whatever stands there.
    pub(super) fn create(path: &Path) -> Result<Self, FetchError> {
        let removed = fs::remove_file(path).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        });
        // Never through a link that somebody has left there.
        let created = removed.and_then(|()| fs::OpenOptions::new().write(true).create_new(true).open(path));
        let file = created.map_err(|source| FetchError::Room { path: path.to_owned(), source })?;
        Ok(Download {
            path: path.to_owned(),
            file: BufWriter::with_capacity(BUFFER, file),
            digest: sha2::Sha256::new(),
            size: 0,
            start: Vec::new(),
            total: None,
            version: None,
        })
    }

    /// How many bytes there are.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How many there shall be, if the server told.
    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    /// The first bytes.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// Whether the next request asks for the rest alone.
    pub(super) fn goes_on(&self) -> bool {
        self.size > 0 && self.version.is_some()
    }

    /// What asks for the rest, if the server can give it: of this version alone.
    pub(super) fn rest(&self) -> HeaderMap {
        let range = HeaderValue::try_from(format!("bytes={}-", self.size)).ok();
        let pair = range.zip(self.version.clone()).filter(|_| self.goes_on());
        pair.into_iter().flat_map(|(range, version)| [(RANGE, range), (IF_RANGE, version)]).collect()
    }

    /// Begins with the first byte of what these headers tell of.
    pub(super) fn begin(&mut self, headers: &HeaderMap, total: Option<u64>) -> Result<(), FetchError> {
        self.forget()?;
        self.total = total;
        self.version = version(headers);
        Ok(())
    }

    /// Goes on behind the last byte, if that is where what these headers tell of begins.
    pub(super) fn go_on(&mut self, headers: &HeaderMap) -> Result<(), Cause> {
        let told = text(headers, &CONTENT_RANGE).unwrap_or_default();
        match content_range(told) {
            Some((start, total)) if start == self.size && self.total.is_none_or(|known| known == total) => {
                self.total = Some(total);
                Ok(())
            }
            _ => Err(Cause::Misfit(format!("Content-Range is {told:?}, and we have {} bytes", self.size))),
        }
    }

    /// Drops all that came.
    pub(super) fn forget(&mut self) -> Result<(), FetchError> {
        // What is still in the buffer belongs to what is dropped, and may not come after it.
        let dropped =
            self.file.flush().and_then(|()| self.file.get_mut().set_len(0)).and_then(|()| self.file.rewind());
        dropped.map_err(|source| self.room(source))?;
        self.digest = sha2::Sha256::new();
        self.start.clear();
        (self.size, self.total, self.version) = (0, None, None);
        Ok(())
    }

    /// Adds what came.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.digest.update(bytes);
        self.file.write_all(bytes).map_err(|source| self.room(source))?;
        let lacking = START - self.start.len();
        self.start.extend(bytes.iter().take(lacking));
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// It is whole: its size and digest.
    pub(super) fn finish(mut self) -> Result<(u64, Sha256), FetchError> {
        self.file.flush().map_err(|source| self.room(source))?;
        Ok((self.size, Sha256(self.digest.finalize().into())))
    }

    fn room(&self, source: io::Error) -> FetchError {
        FetchError::Room { path: self.path.clone(), source }
    }
}

/// What names a version so exactly that a part of it can be completed: a strong entity tag, else a date of change that
/// was past when the server said it (<https://www.rfc-editor.org/rfc/rfc9110#section-8.8.2.2>).
fn version(headers: &HeaderMap) -> Option<HeaderValue> {
    if text(headers, &ACCEPT_RANGES).is_some_and(|unit| unit.eq_ignore_ascii_case("none")) {
        return None;
    }
    if let Some(tag) = headers.get(ETAG) {
        return Some(tag).filter(|tag| tag.as_bytes().starts_with(b"\"")).cloned();
    }
    let date = |name| parse_http_date(text(headers, name)?).ok();
    let age = date(&DATE)?.duration_since(date(&LAST_MODIFIED)?).ok()?;
    headers.get(LAST_MODIFIED).filter(|_| age >= Duration::from_secs(1)).cloned()
}

/// Where `bytes START-END/TOTAL` begins, and the whole's size, if it is the whole rest.
fn content_range(told: &str) -> Option<(u64, u64)> {
    let (range, total) = told.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end, total): (u64, u64, u64) = (start.parse().ok()?, end.parse().ok()?, total.parse().ok()?);
    (start <= end && end.checked_add(1) == Some(total)).then_some((start, total))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_a_version_exactly_lets_a_part_be_completed() {
        const BEFORE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
        for (headers, expected) in [
            (vec![("etag", "\"a\"")], Some("\"a\"")),
            (vec![("etag", "W/\"a\"")], None),
            (vec![("etag", "W/\"a\""), ("last-modified", BEFORE), ("date", AFTER)], None),
            (vec![("etag", "\"a\""), ("accept-ranges", "none")], None),
            (vec![("last-modified", BEFORE), ("date", AFTER)], Some(BEFORE)),
            (vec![("last-modified", BEFORE), ("date", BEFORE)], None),
            (vec![("last-modified", BEFORE)], None),
            (vec![("last-modified", "yesterday"), ("date", AFTER)], None),
            (vec![], None),
        ] {
            let map = headers
                .iter()
                .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let found = version(&map.collect()).map(|value| value.to_str().expect("text").to_owned());
            assert_eq!(found.as_deref(), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_range_is_the_whole_rest_or_does_not_count() {
        assert_eq!(content_range("bytes 512-1023/1024"), Some((512, 1024)));
        for told in [
            "",
            "bytes */1024",
            "bytes 512-1022/1024",
            "bytes 512-1024/1024",
            "bytes 512-1023/*",
            "512-1023/1024",
            "bytes 5-4/5",
            "bytes 0-18446744073709551615/18446744073709551615",
        ] {
            assert_eq!(content_range(told), None, "{told}");
        }
    }
}
