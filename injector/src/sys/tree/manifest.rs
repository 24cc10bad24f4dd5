//! What a tree holds: each path, and what stands there.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use builders::function::Sha256;
use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::sys::fs::{Usage, digest_of};

/// A file's BLAKE3 digest, written in hexadecimal digits: half the time of SHA-256, and more than one file at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Digest(pub(crate) [u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a BLAKE3 digest")]
pub(crate) struct BadDigest(String);

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let digest = blake3::Hash::from_hex(text).map_err(|_| BadDigest(text.to_owned()))?;
        Ok(Digest(digest.into()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl TryFrom<String> for Digest {
    type Error = BadDigest;

    fn try_from(text: String) -> Result<Self, BadDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Entry {
    /// A directory.
    Dir {},
    /// A file.
    File {
        /// Bytes.
        size: u64,
        /// Of its content.
        digest: Digest,
        /// Whether it may be executed.
        executable: bool,
        /// When it was changed, in nanoseconds since 1970, where somebody goes by that, as cargo does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        changed: Option<i64>,
    },
    /// A symbolic link, and its target as written.
    Link(String),
}

/// A tree, by path below its root: directories before what is in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Manifest(pub(crate) BTreeMap<String, Entry>);

/// A file of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct File<'manifest> {
    /// Its path below the root.
    pub(crate) path: &'manifest str,
    /// Bytes.
    pub(crate) size: u64,
    /// Of its content.
    pub(crate) digest: &'manifest Digest,
    /// Whether it may be executed.
    pub(crate) executable: bool,
    /// When it was changed, in nanoseconds since 1970.
    pub(crate) changed: Option<i64>,
}

impl<'manifest> File<'manifest> {
    /// What stands at a path, if it is a file.
    pub(crate) fn of(path: &'manifest str, entry: &'manifest Entry) -> Option<Self> {
        match entry {
            Entry::File { size, digest, executable, changed } => {
                Some(File { path, size: *size, digest, executable: *executable, changed: *changed })
            }
            Entry::Dir {} | Entry::Link(_) => None,
        }
    }

    /// What may be done with a program: to be read and executed by everyone, and written by its owner.
    pub(super) const PROGRAM: u32 = 0o755;
    /// What may be done with any other file.
    pub(super) const DATA: u32 = 0o644;

    /// What may be done with it.
    pub(super) fn mode(&self) -> u32 {
        if self.executable { Self::PROGRAM } else { Self::DATA }
    }
}

/// Why bytes are no manifest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadManifest {
    /// It has too many bytes.
    #[error("a manifest of {0} bytes is too long")]
    Long(usize),
    /// It is not written as one is, or could lead out of its directory.
    #[error("it is no manifest: {0}")]
    Text(#[from] serde_json::Error),
}

impl Manifest {
    /// The most bytes that one is read from.
    pub(crate) const MOST_BYTES: usize = 256 << 20;

    /// Reads what [`Manifest::to_bytes`] wrote, or what somebody else put in its place: whatever comes of it can be
    /// laid out without leaving a directory.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BadManifest> {
        if bytes.len() > Self::MOST_BYTES {
            return Err(BadManifest::Long(bytes.len()));
        }
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let entries = reader.deserialize_map(Entries)?;
        reader.end()?;
        Ok(Manifest(entries))
    }

    /// The digest of the written manifest, by which the tree is known: equal trees have equal digests.
    pub(crate) fn digest(&self) -> Result<Sha256, serde_json::Error> {
        Ok(digest_of(&self.to_bytes()?))
    }

    /// As it is written.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.0)
    }

    /// Its files, by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = File<'_>> {
        self.0.iter().filter_map(|(path, entry)| File::of(path, entry))
    }

    /// How much it holds.
    pub(crate) fn usage(&self) -> Usage {
        self.files()
            .fold(Usage::default(), |sum, file| Usage { files: sum.files + 1, bytes: sum.bytes + file.size })
    }
}

/// The most entries of a tree that is read.
const MOST_ENTRIES: usize = 2_000_000;
/// The longest name, in bytes; the kernel knows no longer one.
const MOST_NAME: usize = 255;
/// The longest path, or text of a link, in bytes.
const MOST_PATH: usize = 4095;

/// Reads entries, each as soon as its place is known to be a good one.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = BTreeMap<String, Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the entries of a tree")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        let mut bytes = 0_u64;
        while let Some((path, entry)) = map.next_entry::<String, Entry>()? {
            if let Some(refusal) = refusal(&path, &entry, &entries) {
                return Err(A::Error::custom(format_args!("{path:?} {refusal}")));
            }
            if let Entry::File { size, .. } = entry {
                bytes = bytes.checked_add(size).ok_or_else(|| A::Error::custom("it holds too many bytes"))?;
            }
            entries.insert(path, entry);
            if entries.len() > MOST_ENTRIES {
                return Err(A::Error::custom(format_args!("it has more than {MOST_ENTRIES} entries")));
            }
        }
        Ok(entries)
    }
}

/// Why an entry cannot follow these ones.
fn refusal(path: &str, entry: &Entry, before: &BTreeMap<String, Entry>) -> Option<&'static str> {
    let is_strange = |name: &str| matches!(name, "" | "." | "..") || name.len() > MOST_NAME;
    if path.len() > MOST_PATH || path.contains('\0') || path.split('/').any(is_strange) {
        return Some("is no path below a directory");
    }
    // As it is written by us, so that nothing comes twice, and a directory before what is in it.
    if before.last_key_value().is_some_and(|(last, _)| last.as_str() >= path) {
        return Some("is out of order");
    }
    let is_dir = |parent: &str| matches!(before.get(parent), Some(Entry::Dir {}));
    if path.rsplit_once('/').is_some_and(|(parent, _)| !is_dir(parent)) {
        return Some("is in no directory");
    }
    match entry {
        Entry::Link(text) if text.is_empty() || text.len() > MOST_PATH || text.contains('\0') => {
            Some("is a link that leads nowhere")
        }
        Entry::Dir {} | Entry::File { .. } | Entry::Link(_) => None,
    }
}
