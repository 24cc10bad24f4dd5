//! What a tree holds: each path, and what stands there.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use builders::function::Sha256;
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
#[serde(rename_all = "lowercase")]
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

impl Manifest {
    /// The digest of the written manifest, by which the tree is known: equal trees have equal digests.
    pub(crate) fn digest(&self) -> Result<Sha256, serde_json::Error> {
        Ok(digest_of(&self.to_bytes()?))
    }

    /// As it is written.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.0)
    }

    /// How much it holds.
    pub(crate) fn usage(&self) -> Usage {
        let sizes = self.0.values().filter_map(|entry| match entry {
            Entry::File { size, .. } => Some(*size),
            Entry::Dir {} | Entry::Link(_) => None,
        });
        sizes.fold(Usage::default(), |sum, size| Usage { files: sum.files + 1, bytes: sum.bytes + size })
    }
}
