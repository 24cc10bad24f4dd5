//! What was built once, for every other pod: looked up by what it depends on, put back, kept.
//!
//! No cache ever fails a build: whatever one does is a miss, one warning, and the function is built as it would be
//! without.

pub(crate) mod node;
pub(crate) mod record;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use builders::Package;
use builders::function::Sha256;

use self::node::{Access, Flight, Held, Node, NodeError, Turn};
use self::record::{Layer, Part, Progress, Record, SCHEMA};
use crate::cli::{Caching, Mode, Refresh};
use crate::keys::{INJECTOR, Inputs, Keyed};
use crate::report::Reporter;
use crate::sys::tree::{self, Entry, Manifest, Skip, Times, TreeError};
use crate::sys::{fs, host};

/// The caches of one build: the node's, the cluster's, both, or none.
pub(crate) struct Cache<'a> {
    caching: &'a Caching,
    node: Option<Node>,
    reporter: &'a Reporter,
    /// Whether what was resolved can be another thing tomorrow.
    resolution: Resolution,
    /// Whether something was said of the caches: once is enough.
    warned: Cell<bool>,
}

/// Whether a lock file says what is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// It does: resolved again, it would be the same.
    Locked,
    /// Nothing does.
    Free,
}

/// An entry that is there. Nobody collects its trees while this lives.
pub(crate) struct Found {
    /// What it says of itself.
    pub(crate) record: Record,
    trees: BTreeMap<Part, Held>,
}

/// What a build made, for the caches.
pub(crate) struct Made {
    /// When they were resolved, in seconds since 1970.
    pub(crate) resolved: u64,
    /// Whether it came to its end.
    pub(crate) progress: Progress,
    /// Where its trees are. One that came from a cache, and may be as it was, is named by its digest.
    pub(crate) trees: BTreeMap<Part, (PathBuf, Option<Sha256>)>,
}

/// Where the dependencies stand in a published tree.
const DEPS: &str = "deps";

impl<'a> Cache<'a> {
    /// Opens the caches that somebody asked for.
    pub(crate) fn open(
        caching: &'a Caching,
        node: Option<Result<Node, NodeError>>,
        resolution: Resolution,
        reporter: &'a Reporter,
    ) -> Self {
        let mut cache = Cache { caching, node: None, reporter, resolution, warned: Cell::new(false) };
        cache.node = node.and_then(|node| cache.or_warn("the node's cache cannot be used", node));
        cache
    }

    /// Whether there is none.
    pub(crate) fn is_absent(&self) -> bool {
        self.node.is_none()
    }

    /// Looks up an entry.
    pub(crate) fn find(&self, layer: Layer, keyed: &Keyed) -> Option<Found> {
        if self.caching.refresh == Refresh::Yes {
            return None;
        }
        let node = self.node.as_ref()?;
        let record = self.or_warn("an entry of the node's cache cannot be read", node.record(layer, keyed.key))??;
        let is_old = self.caching.resolve_max_age.filter(|_| self.resolution == Resolution::Free).is_some_and(
            |most| Duration::from_secs(host::now().saturating_sub(record.resolved)) > most,
        );
        if is_old {
            return None;
        }
        let mut trees = BTreeMap::new();
        for (part, tree) in &record.parts {
            let held = self.or_warn("a tree of the node's cache cannot be read", node.hold(*tree))??;
            trees.insert(*part, held);
        }
        Some(Found { record, trees })
    }

    /// Puts a part of an entry into `to`. Where that fails, nothing of it stays there.
    pub(crate) fn place(&self, found: &Found, part: Part, to: &Path) -> Option<()> {
        let held = found.trees.get(&part)?;
        let times = if part == Part::Kept { Times::Kept } else { Times::Dropped };
        let skip = |path: &str| if part == Part::Tree && path == DEPS { Skip::Yes } else { Skip::No };
        let put = held
            .manifest()
            .map_err(Trouble::from)
            .and_then(|manifest| Ok(tree::put(&manifest, &held.files, to, &skip, times)?));
        if let Err(trouble) = put {
            if let (Trouble::Broken(_), Some(node)) = (&trouble, &self.node) {
                // Where it cannot go, each pod finds out by itself.
                let _ = node.discard(held.tree);
            }
            self.warn(&format!("the cache's {} are not used: {trouble}", part.name()));
            return None;
        }
        Some(())
    }

    /// What to link where, instead of copying an entry: names in the published tree, and where they are in the
    /// function's container. `None` where nothing is mounted there.
    pub(crate) fn mounted(&self, found: &Found) -> Option<Mounted> {
        let Mode::Mount(at) = &self.caching.mode else { return None };
        let node = self.node.as_ref()?;
        let tree = found.trees.get(&Part::Tree)?;
        let names = self.or_warn("a tree of the node's cache cannot be read", fs::names(&tree.files))?;
        let dirs: BTreeMap<Part, PathBuf> =
            found.trees.iter().map(|(part, held)| (*part, Node::place_at(at, held.tree))).collect();
        for held in found.trees.values() {
            self.or_warn("an entry of the node's cache cannot be leased", node.lease(held.tree))?;
        }
        let files = dirs.get(&Part::Tree)?.join("files");
        let links = names.into_iter().map(|name| (name.clone(), files.join(name))).collect();
        Some(Mounted { links, trees: dirs.into_values().map(|dir| dir.display().to_string()).collect() })
    }

    /// Takes the right to make an entry; waits for another pod that has it. There may be an entry afterwards.
    pub(crate) fn turn(&self, layer: Layer, keyed: &Keyed, patience: Duration) -> Option<Turn> {
        let node = self.node.as_ref().filter(|_| self.caching.refresh == Refresh::No)?;
        let waiting = || self.reporter.warn("another pod makes the same; waiting for it");
        match node.flight(layer, keyed.key, patience, waiting) {
            Flight::Ours(turn) => Some(turn),
            Flight::Failed | Flight::Interrupted => None,
            Flight::Alone(error) => {
                self.warn(&error.to_string());
                None
            }
        }
    }

    /// Why nothing was found: what differs from the most similar entry, in words.
    pub(crate) fn why(&self, layer: Layer, keyed: &Keyed) -> String {
        if self.caching.refresh == Refresh::Yes {
            return "made again, as INJECTOR_REFRESH asks".to_owned();
        }
        let records = self.node.as_ref().map(|node| node.records(layer)).unwrap_or_default();
        let changes = |record: &Record| keyed.inputs.changes_since(&record.inputs);
        if records.iter().any(|record| record.key == keyed.key) {
            return "what was resolved is older than INJECTOR_RESOLVE_MAX_AGE, or not whole".to_owned();
        }
        let similar = |record: &&Record| is_related(&record.inputs, &keyed.inputs);
        match records.iter().filter(similar).map(changes).min_by_key(Vec::len) {
            None => "nothing is cached for this function yet".to_owned(),
            Some(changes) => list(changes.as_slice()),
        }
    }

    /// Keeps what was made, as entries of these layers; gives the last one.
    pub(crate) fn keep(&self, made: &Made, layers: &[(Layer, &Keyed, &[Package])]) -> Option<Found> {
        let node = self.node.as_ref().filter(|node| node.access() == Access::Full)?;
        let mut trees = BTreeMap::new();
        for (part, (dir, known)) in &made.trees {
            let deps = trees.get(&Part::Deps).map(|held: &Held| held.tree);
            let stored = self.store(node, *part, dir, *known, deps);
            trees.insert(*part, self.or_warn("what was built cannot be cached", stored)?);
        }
        let mut last = None;
        for (layer, keyed, packages) in layers {
            let wanted: &[Part] = match layer {
                Layer::Deps => &[Part::Deps, Part::Kept],
                Layer::Build => &[Part::Deps, Part::Tree],
            };
            let parts: BTreeMap<Part, &Held> =
                wanted.iter().filter_map(|part| Some((*part, trees.get(part)?))).collect();
            let record = record(made, *layer, keyed, packages, &parts).and_then(|record| Ok(node.put(&record).map(|()| record)?));
            last = Some(self.or_warn("what was built cannot be cached", record)?);
        }
        let record = last?;
        trees.retain(|part, _| record.parts.contains_key(part));
        Some(Found { record, trees })
    }

    /// Stores one tree, unless the node has it.
    fn store(
        &self,
        node: &Node,
        part: Part,
        dir: &Path,
        known: Option<Sha256>,
        deps: Option<Sha256>,
    ) -> Result<Held, Trouble> {
        let times = if part == Part::Kept { Times::Kept } else { Times::Dropped };
        let link = deps.filter(|_| part == Part::Tree);
        let skip = |path: &str| if link.is_some() && path == DEPS { Skip::Yes } else { Skip::No };
        if let Some(known) = known
            && tree::take(dir, None, &skip, times)?.digest()? == known
            && let Some(held) = node.hold(known)?
        {
            return Ok(held);
        }
        node.store(|to: &Path| {
            let mut manifest = tree::take(dir, Some(to), &skip, times)?;
            if let Some(deps) = link {
                let target = format!("../../{}/files", deps.hex());
                fs::link(Path::new(&target), &to.join(DEPS))?;
                manifest.0.insert(DEPS.to_owned(), Entry::Link(target));
            }
            Ok::<Manifest, Trouble>(manifest)
        })
    }

    /// The result; of what went wrong, a person hears.
    fn or_warn<T, E: Into<Trouble>>(&self, what: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.warn(&format!("{what}: {}", error.into()))).ok()
    }

    /// Says what is wrong with a cache, once.
    fn warn(&self, text: &str) {
        if !self.warned.replace(true) {
            self.reporter.warn(&format!("{text}; the function is built without it"));
        }
    }
}

/// How a function reaches what lies in a mounted cache.
pub(crate) struct Mounted {
    /// Names in the published tree, and where they lead.
    pub(crate) links: Vec<(std::ffi::OsString, PathBuf)>,
    /// The directories of the trees that must be there.
    pub(crate) trees: Vec<String>,
}

impl Found {
    /// The digest of one of its trees.
    pub(crate) fn tree(&self, part: Part) -> Option<Sha256> {
        self.trees.get(&part).map(|held| held.tree)
    }
}

/// What went wrong with a cache.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// It has something that is not what it should be.
    #[error("{0}")]
    Broken(String),
    /// It, or the place to which something was copied, cannot be used.
    #[error("{0}")]
    Failed(String),
}

impl From<TreeError> for Trouble {
    fn from(error: TreeError) -> Self {
        let said = error.to_string();
        match error {
            TreeError::Source { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Trouble::Failed(said)
            }
            TreeError::Source { .. } | TreeError::Wrong { .. } => Trouble::Broken(said),
            TreeError::Target { .. }
            | TreeError::Changed(_)
            | TreeError::Special(_)
            | TreeError::Name(_) => Trouble::Failed(said),
        }
    }
}

impl From<NodeError> for Trouble {
    fn from(error: NodeError) -> Self {
        let said = error.to_string();
        if let NodeError::Tree { .. } = error { Trouble::Broken(said) } else { Trouble::Failed(said) }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Failed(fs::plain(&error))
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Trouble::Broken(error.to_string())
    }
}

fn record(
    made: &Made,
    layer: Layer,
    keyed: &Keyed,
    packages: &[Package],
    parts: &BTreeMap<Part, &Held>,
) -> Result<Record, Trouble> {
    let mut usage = fs::Usage::default();
    for held in parts.values() {
        let tree = held.manifest()?.usage();
        usage = fs::Usage { files: usage.files + tree.files, bytes: usage.bytes + tree.bytes };
    }
    Ok(Record {
        schema: SCHEMA,
        layer,
        key: keyed.key,
        inputs: keyed.inputs.clone(),
        parts: parts.iter().map(|(part, held)| (*part, held.tree)).collect(),
        packages: packages.to_vec(),
        files: usage.files,
        bytes: usage.bytes,
        progress: made.progress,
        resolved: made.resolved,
        made: host::now(),
        injector: INJECTOR.to_owned(),
    })
}

/// Whether an entry may have been made for an earlier state of the same function: more of its inputs are the same
/// than not.
fn is_related(older: &Inputs, inputs: &Inputs) -> bool {
    let same = inputs.0.iter().filter(|(name, value)| older.0.get(*name) == Some(value)).count();
    2 * same > inputs.0.len()
}

/// The first few of some changes.
fn list(changes: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = changes.len().saturating_sub(SHOWN);
    let shown = changes.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
