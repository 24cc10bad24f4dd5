//! What an operator does with a node's cache: look into it, tidy it up, and see whether it is what it was.

use std::path::{Path, PathBuf};
use std::time::Duration;

use builders::function::Sha256;

use super::collect::{self, Bounds, Collected};
use super::contents::{self, Contents};
use super::node::{Node, NodeError, RECORDS, names};
use crate::sys::fs;
use crate::sys::tree::{self, TreeError};

/// Why nothing was done with a cache, or all is not well with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpkeepError {
    /// There is none.
    #[error("there is no cache in {}", .0.display())]
    None(PathBuf),
    /// It refuses.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Somebody else does it.
    #[error("another process is tidying up the cache, since more than {} s", .0.as_secs())]
    Busy(Duration),
    /// What it holds is not what was stored.
    #[error("{broken} of {all} trees and records in the cache {} are not as they were stored", dir.display())]
    Broken {
        /// The cache.
        dir: PathBuf,
        /// How many trees and records are wrong.
        broken: usize,
        /// How many there are.
        all: usize,
    },
}

/// What was found when a cache was read.
#[derive(Debug)]
pub(crate) struct Verified {
    /// How many trees there are.
    pub(crate) trees: usize,
    /// How many records there are.
    pub(crate) records: usize,
    /// Those with which something is wrong.
    pub(crate) broken: Vec<Broken>,
}

/// A tree or a record that is not what it was.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Which.
    pub(crate) what: String,
    /// What is wrong.
    pub(crate) reason: String,
    /// Why it is still there, if it is.
    pub(crate) stays: Option<String>,
}

/// Says what a cache holds.
pub(crate) fn list(dir: &Path) -> Result<Contents, UpkeepError> {
    there(dir)?;
    Ok(Contents::of(&Node::look(dir)))
}

/// Takes away what is too much, or too old.
pub(crate) fn collect(dir: &Path, bounds: Bounds) -> Result<Collected, UpkeepError> {
    const PATIENCE: Duration = Duration::from_mins(1);
    collect::collect(&open(dir)?, bounds, PATIENCE)?.ok_or(UpkeepError::Busy(PATIENCE))
}

/// Reads all trees and records of a cache, and takes away those that are not what they were.
pub(crate) fn verify(dir: &Path) -> Result<Verified, UpkeepError> {
    let node = open(dir)?;
    let mut verified = Verified { trees: 0, records: 0, broken: Vec::new() };
    for tree in contents::trees(&node) {
        let found = look(&node, tree);
        verified.trees += usize::from(!matches!(found, Ok(Found::Gone)));
        let (reason, stays) = match found {
            Ok(Found::Whole | Found::Gone) => continue,
            Ok(Found::Broken(reason)) => (reason, node.discard(tree).err().map(|error| error.to_string())),
            Err(reason) => (reason, Some("it may be whole".to_owned())),
        };
        verified.broken.push(Broken { what: format!("tree {}", tree.hex()), reason, stays });
    }
    for name in names(&node.root.join(RECORDS)) {
        let found = node.read_record(&name);
        verified.records += usize::from(!matches!(found, Ok(None)));
        let (reason, stays) = match found {
            // What another injector wrote, that one reads.
            Ok(_) | Err(NodeError::Schema { .. }) => continue,
            Err(NodeError::Record { reason, .. }) => (reason, node.forget(&name).err()),
            Err(error) => ("it cannot be read".to_owned(), Some(error)),
        };
        let stays = stays.map(|error| error.to_string());
        verified.broken.push(Broken { what: format!("record {name}"), reason, stays });
    }
    Ok(verified)
}

/// How a tree was found.
enum Found {
    /// As it was stored.
    Whole,
    /// Somebody took it away meanwhile.
    Gone,
    /// Something is wrong.
    Broken(String),
}

/// Reads a tree; an `Err` says why that is not possible.
fn look(node: &Node, tree: Sha256) -> Result<Found, String> {
    let Some(held) = node.hold(tree).map_err(|error| error.to_string())? else {
        let is_there = fs::is_real_dir(&node.place(tree));
        return Ok(if is_there { Found::Broken("it has no lease".to_owned()) } else { Found::Gone });
    };
    let manifest = match held.manifest() {
        Err(NodeError::Tree { reason, .. }) => return Ok(Found::Broken(reason)),
        manifest => manifest.map_err(|error| error.to_string())?,
    };
    match tree::verify(&manifest, &held.files) {
        Ok(()) => Ok(Found::Whole),
        Err(TreeError::Source { path, .. }) if path == held.files && !fs::is_real_dir(&path) => {
            Ok(Found::Broken("its files are missing".to_owned()))
        }
        // Another user's, or a disk that does not answer: perhaps tomorrow.
        Err(error @ (TreeError::Source { .. } | TreeError::Target { .. })) => Err(error.to_string()),
        Err(error) => Ok(Found::Broken(error.to_string())),
    }
}

/// Opens a cache that is there.
fn open(dir: &Path) -> Result<Node, UpkeepError> {
    there(dir).and_then(|()| Ok(Node::open(dir)?))
}

fn there(dir: &Path) -> Result<(), UpkeepError> {
    if Node::is_in(dir) { Ok(()) } else { Err(UpkeepError::None(dir.to_owned())) }
}
