//! What an entry of the cache says of itself: for which inputs it was made, and of which trees it consists.

use std::collections::BTreeMap;
use std::fmt;

use builders::Package;
use builders::function::Sha256;
use serde::{Deserialize, Serialize};

use crate::keys::Inputs;

/// The version of a record's format.
pub(crate) const SCHEMA: u32 = 1;

/// What a record stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layer {
    /// What was resolved, and what was compiled of it: the same for each edit of the function.
    Deps,
    /// The whole published tree.
    Build,
}

impl Layer {
    /// Its name in directories and tags.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Layer::Deps => "deps",
            Layer::Build => "build",
        }
    }

    /// The trees of which an entry may consist.
    pub(crate) fn parts(self) -> &'static [Part] {
        match self {
            Layer::Deps => &[Part::Deps, Part::Kept],
            Layer::Build => &[Part::Deps, Part::Tree],
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A part of what a record stands for: where a tree belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// The room `<deps>`.
    Deps,
    /// The room `<kept>`.
    Kept,
    /// The published tree, with a link in the place of `<deps>`.
    Tree,
}

impl Part {
    /// All of them.
    pub(crate) const ALL: [Part; 3] = [Part::Deps, Part::Kept, Part::Tree];

    /// Its name in messages and in a registry.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Deps => "deps",
            Part::Kept => "kept",
            Part::Tree => "tree",
        }
    }
}

/// Whether an entry has all that it could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Progress {
    /// It has.
    Whole,
    /// Compiling failed after the dependencies had been resolved: a whole one takes its place.
    Partial,
}

/// An entry of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The format's version.
    pub(crate) schema: u32,
    /// The layer.
    pub(crate) layer: Layer,
    /// The digest of the inputs.
    pub(crate) key: Sha256,
    /// On what the key depends, so that a miss can say what changed. No credentials.
    pub(crate) inputs: Inputs,
    /// The digests of its trees' manifests.
    pub(crate) parts: BTreeMap<Part, Sha256>,
    /// The packages that were resolved.
    pub(crate) packages: Vec<Package>,
    /// How many files its trees have.
    pub(crate) files: u64,
    /// How many bytes they have.
    pub(crate) bytes: u64,
    /// Whether it has all that it could have.
    pub(crate) progress: Progress,
    /// When its dependencies were resolved, in seconds since 1970.
    pub(crate) resolved: u64,
    /// When it was made, in seconds since 1970.
    pub(crate) made: u64,
    /// The version of the injector that made it.
    pub(crate) injector: String,
}
