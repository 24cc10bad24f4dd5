//! What was built once, for every other pod: looked up by what it depends on, put back, kept.
//!
//! No cache ever fails a build: whatever one does is a miss, one warning, and the function is built as it would be
//! without.

pub(crate) mod collect;
pub(crate) mod contents;
pub(crate) mod cluster;
mod image;
pub(crate) mod node;
pub(crate) mod record;
pub(crate) mod upkeep;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use builders::Package;
use builders::function::Sha256;

use self::cluster::{Cluster, Pushed, Tagged};
use self::image::Packed;
use self::node::{Access, Flight, Held, Node, NodeError, Turn};
use self::record::{Layer, Part, Progress, Record, SCHEMA};
use crate::cli::{Caching, Mode, Refresh};
use crate::keys::{INJECTOR, Inputs, Keyed};
use crate::report::Reporter;
use crate::sys::tree::{self, Entry, Manifest, Skip, Times, TreeError};
use crate::sys::{fs, host, signal};

/// The caches of one build: the node's, the cluster's, both, or none.
pub(crate) struct Cache<'a> {
    caching: &'a Caching,
    node: Option<Node>,
    cluster: Option<Cluster>,
    reporter: &'a Reporter,
    /// Whether what was resolved can be another thing tomorrow.
    resolution: Resolution,
    /// Whether something was said of the caches: once is enough.
    warned: Cell<bool>,
    /// Whether the registry has an entry that nobody can use.
    spoilt: Cell<bool>,
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
    trees: BTreeMap<Part, Tree>,
}

/// A tree of an entry.
enum Tree {
    /// It is in the node's cache.
    Near(Held),
    /// It is in the registry.
    Far(Packed),
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

/// A tree that was made here.
pub(crate) struct Stored {
    /// What it holds.
    pub(crate) manifest: Manifest,
    /// Where its files are.
    pub(crate) files: PathBuf,
    /// What keeps it on the node, if that has it.
    held: Option<Held>,
}

/// The trees of an entry that was made here.
pub(crate) type Parts<'a> = BTreeMap<Part, &'a Stored>;

/// What is said where an entry could not be kept.
const UNCACHED: &str = "what was built cannot be cached";
/// Where the dependencies stand in a published tree.
const DEPS: &str = "deps";

impl<'a> Cache<'a> {
    /// The caches that somebody asked for.
    pub(crate) fn new(
        caching: &'a Caching,
        node: Option<Result<Node, NodeError>>,
        cluster: Option<Cluster>,
        resolution: Resolution,
        reporter: &'a Reporter,
    ) -> Self {
        let (warned, spoilt) = (Cell::new(false), Cell::new(false));
        let mut cache = Cache { caching, node: None, cluster, reporter, resolution, warned, spoilt };
        cache.node = node.and_then(|node| cache.or_warn("the node's cache cannot be used", node));
        cache
    }

    /// Whether there is none.
    pub(crate) fn is_absent(&self) -> bool {
        self.node.is_none() && self.cluster.is_none()
    }

    /// Looks up an entry: on the node, then in the registry.
    pub(crate) fn find(&self, layer: Layer, keyed: &Keyed) -> Option<Found> {
        if self.caching.refresh == Refresh::Yes {
            return None;
        }
        self.near(layer, keyed).or_else(|| self.far(layer, keyed))
    }

    fn near(&self, layer: Layer, keyed: &Keyed) -> Option<Found> {
        let node = self.node.as_ref()?;
        let record =
            self.or_warn("an entry of the cache cannot be read", node.record(layer, keyed.key))??;
        if self.is_old(&record) {
            return None;
        }
        let mut trees = BTreeMap::new();
        for (part, tree) in &record.parts {
            trees.insert(*part, Tree::Near(self.held(*tree)?));
        }
        Some(Found { record, trees })
    }

    fn far(&self, layer: Layer, keyed: &Keyed) -> Option<Found> {
        let cluster = self.cluster.as_ref()?;
        let found = cluster.find(layer, keyed).inspect_err(|trouble| self.spoilt_by(trouble));
        let (record, image) = self.or_warn("the registry is of no use", found)??;
        if self.is_old(&record) {
            return None;
        }
        // Parts of it may have been fetched before, for another entry.
        let near = |packed: &Packed| self.held(packed.tree).map(Tree::Near);
        let trees = image.trees.into_iter();
        let trees = trees.map(|(part, packed)| (part, near(&packed).unwrap_or(Tree::Far(packed)))).collect();
        let found = Found { record, trees };
        // Where all are here and the node's record is not, or not any more, nobody else would say so.
        self.note(&found);
        Some(found)
    }

    fn held(&self, tree: Sha256) -> Option<Held> {
        self.or_warn("a tree of the cache cannot be read", self.node.as_ref()?.hold(tree))?
    }

    /// Whether what was resolved shall be resolved again.
    fn is_old(&self, record: &Record) -> bool {
        let age = Duration::from_secs(host::now().saturating_sub(record.resolved));
        let most = self.caching.resolve_max_age.filter(|_| self.resolution == Resolution::Free);
        most.is_some_and(|most| age > most)
    }

    /// Lets an entry of the node's cache count as used.
    pub(crate) fn used(&self, layer: Layer, keyed: &Keyed) {
        if let Some(node) = &self.node {
            node.touch(layer, keyed.key);
        }
    }

    /// Puts parts of an entry into directories, which are there and empty. Where that fails, something may be left there.
    pub(crate) fn place(&self, found: &mut Found, parts: &[(Part, &Path)]) -> Option<()> {
        let fetches = found.trees.values().any(|tree| matches!(tree, Tree::Far(_)));
        for (part, to) in parts {
            self.place_part(found, *part, Some(to))?;
        }
        if fetches {
            self.note(found);
        }
        Some(())
    }

    fn place_part(&self, found: &mut Found, part: Part, to: Option<&Path>) -> Option<()> {
        let placed = match found.trees.get(&part)? {
            Tree::Near(held) => to.map_or(Ok(()), |to| copy(part, held, to)),
            Tree::Far(packed) => {
                let fetched = self.fetched(part, packed, to).inspect_err(|trouble| self.spoilt_by(trouble));
                fetched.map(|held| found.trees.extend(held.map(|held| (part, Tree::Near(held)))))
            }
        };
        placed
            .inspect_err(|trouble| {
                if let (Trouble::Broken(_), Some(node), Some(Tree::Near(held))) =
                    (trouble, &self.node, found.trees.get(&part))
                {
                    // Where it cannot go, each pod finds out by itself.
                    let _ = node.discard(held.tree);
                }
                self.warn(&format!("the cache is of no use: {trouble}"));
            })
            .ok()
    }

    /// Remembers that the registry has an entry that nobody can use: whoever pushes puts another one in its place.
    fn spoilt_by(&self, trouble: &Trouble) {
        self.spoilt.set(self.spoilt.get() || matches!(trouble, Trouble::Broken(_)));
    }

    /// Brings a tree from the registry to the node's cache and to where it is wanted, at once; without the node's cache,
    /// if that has no room.
    fn fetched(&self, part: Part, packed: &Packed, to: Option<&Path>) -> Result<Option<Held>, Trouble> {
        let node = self.node.as_ref().filter(|node| node.access() == Access::Full);
        let Some(cluster) = self.cluster.as_ref().filter(|_| node.is_some() || to.is_some()) else {
            return Ok(None);
        };
        let manifest = cluster.manifest(packed)?;
        let mut bare = manifest.clone();
        if part == Part::Tree {
            // Where the tree is wanted, its dependencies are, too.
            bare.0.remove(DEPS);
        }
        let lay = || to.map_or(Ok(()), |to| tree::lay(&bare, to));
        lay()?;
        let Some(node) = node else {
            return cluster.fetch(part, packed, &manifest, to.as_slice()).map(|()| None);
        };
        let stored = node.store(|near: &Path| {
            tree::lay(&manifest, near)?;
            let roots: Vec<&Path> = [near].into_iter().chain(to).collect();
            cluster.fetch(part, packed, &manifest, &roots)?;
            Ok::<_, Trouble>(manifest.clone())
        });
        match (stored, to) {
            (Ok(held), _) => Ok(Some(held)),
            (Err(Trouble::Failed(why)), Some(to)) => {
                self.warn(&format!("the node's cache cannot be used: {why}"));
                fs::remove(to).and_then(|()| fs::create_dirs(to))?;
                lay()?;
                cluster.fetch(part, packed, &manifest, &[to]).map(|()| None)
            }
            (Err(trouble), _) => Err(trouble),
        }
    }

    /// Lets the node's cache know an entry whose trees it has now.
    fn note(&self, found: &Found) {
        let is_here = found.trees.values().all(|tree| matches!(tree, Tree::Near(_)));
        if let (true, Some(node)) = (is_here, &self.node) {
            self.or_warn("the node's cache cannot be used", node.put(&found.record));
        }
    }

    /// What to link where, instead of copying an entry: names in the published tree, and where they are in the
    /// function's container. `None` where nothing is mounted there.
    pub(crate) fn mounted(&self, found: &mut Found) -> Option<Mounted> {
        let Mode::Mount(at) = &self.caching.mode else { return None };
        let node = self.node.as_ref()?;
        for part in [Part::Deps, Part::Tree] {
            self.place_part(found, part, None)?;
        }
        let mut dirs = BTreeMap::new();
        let mut links = Vec::new();
        for (part, tree) in &found.trees {
            // Where the node's cache could not take it, nothing is there to be mounted.
            let Tree::Near(held) = tree else { return None };
            self.or_warn("an entry of the cache cannot be leased", node.lease(held.tree))?;
            let dir = Node::place_at(at, held.tree);
            if *part == Part::Tree {
                let names = self.or_warn("a tree of the cache cannot be read", fs::names(&held.files))?;
                links.extend(names.into_iter().map(|name| (name.clone(), dir.join("files").join(name))));
            }
            dirs.insert(*part, dir.display().to_string());
        }
        self.note(found);
        Some(Mounted { links, trees: dirs.into_values().collect() })
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
            return "built anew: INJECTOR_REFRESH asks for it".to_owned();
        }
        let records = self.node.as_ref().map(|node| node.records(layer)).unwrap_or_default();
        let changes = |record: &Record| keyed.inputs.changes_since(&record.inputs);
        if let Some(record) = records.iter().find(|record| record.key == keyed.key) {
            let is_old = self.is_old(record);
            let old = "what was resolved is older than INJECTOR_RESOLVE_MAX_AGE";
            return format!(
                "built anew: {}",
                if is_old { old } else { "what the cache has of it is broken" }
            );
        }
        let similar = |record: &&Record| is_related(&record.inputs, &keyed.inputs);
        match records.iter().filter(similar).map(changes).min_by_key(Vec::len) {
            None => "nothing for this function yet".to_owned(),
            Some(changes) => format!("built anew: {}", list(changes.as_slice())),
        }
    }

    /// Keeps what was made, as entries of these layers; gives what all pods have of the last one.
    pub(crate) fn keep(
        &self,
        made: &Made,
        layers: &[(Layer, &Keyed, &[Package])],
        scratch: &Path,
    ) -> Option<Kept> {
        let stored = self.stored(made)?;
        let node = self.node.as_ref().filter(|_| stored.values().all(|tree| tree.held.is_some()));
        let mut until = self.caching.push.map(host::within);
        let mut kept = None;
        for (layer, keyed, packages) in layers {
            let parts: Parts =
                layer.parts().iter().filter_map(|part| Some((*part, stored.get(part)?))).collect();
            let record = record(made, *layer, keyed, packages, &parts);
            let record = self.or_warn(UNCACHED, record)?;
            if let Some(node) = node {
                self.or_warn(UNCACHED, node.put(&record))?;
            }
            let pushed = until.and_then(|until| self.pushed(&record, &parts, scratch, until));
            // What did not take the one does not take the other.
            until = until.filter(|_| pushed.is_some());
            let theirs = if pushed == Some(Pushed::Theirs) { self.far(*layer, keyed) } else { None };
            kept = theirs.map(Kept::Theirs).or_else(|| {
                let near = |tree: &Stored| Some(Tree::Near(self.held(tree.held.as_ref()?.tree)?));
                let trees = parts.iter().filter_map(|(part, tree)| Some((*part, near(tree)?))).collect();
                node.is_some().then_some(Kept::Ours(Found { record, trees }))
            });
        }
        if let Some(node) = node {
            let collected = collect::collect_if_due(node, self.caching.max_size);
            self.or_warn("the cache cannot be tidied up", collected);
        }
        kept
    }

    /// Stores what was made on the node. What that cannot take stays where it is, if the registry may still take it.
    fn stored(&self, made: &Made) -> Option<BTreeMap<Part, Stored>> {
        let mut node = self.node.as_ref().filter(|node| node.access() == Access::Full);
        let mut all: BTreeMap<Part, Stored> = BTreeMap::new();
        for (part, (dir, known)) in &made.trees {
            let deps = all.get(&Part::Deps).map(|deps| deps.manifest.digest()).transpose();
            let deps = self.or_warn(UNCACHED, deps)?;
            let stored = node.and_then(|node| {
                let held = store(node, *part, dir, *known, deps);
                let stored = held.and_then(|held| Ok((held.manifest()?, held)));
                let (manifest, held) = self.or_warn(UNCACHED, stored)?;
                Some(Stored { manifest, files: held.files.clone(), held: Some(held) })
            });
            let stored = if let Some(stored) = stored {
                stored
            } else {
                node = None;
                self.cluster.as_ref().filter(|_| self.caching.push.is_some())?;
                let manifest = self.or_warn(UNCACHED, taken(*part, dir, None, deps))?;
                Stored { manifest, files: dir.clone(), held: None }
            };
            all.insert(*part, stored);
        }
        Some(all)
    }

    /// Pushes an entry, if there is a registry.
    fn pushed(&self, record: &Record, parts: &Parts, scratch: &Path, until: Instant) -> Option<Pushed> {
        let cluster = self.cluster.as_ref().filter(|_| record.progress == Progress::Whole)?;
        let anew = self.caching.refresh == Refresh::Yes || self.spoilt.get();
        let how = if anew { Tagged::Anew } else { Tagged::First };
        self.or_warn("nothing was pushed", cluster.push(record, parts, how, scratch, until))
    }

    /// The result; of what went wrong, a person hears.
    fn or_warn<T, E: Into<Trouble>>(&self, what: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.warn(&format!("{what}: {}", error.into()))).ok()
    }

    /// Says what is wrong with a cache, once.
    fn warn(&self, text: &str) {
        if signal::received().is_none() && !self.warned.replace(true) {
            self.reporter.warn(&format!("{text}; the build goes on without that"));
        }
    }
}

/// What all pods have of an entry that was made here.
pub(crate) enum Kept {
    /// What was made here.
    Ours(Found),
    /// What another pod had pushed before.
    Theirs(Found),
}

/// Stores one tree, unless the node has it.
fn store(
    node: &Node,
    part: Part,
    dir: &Path,
    known: Option<Sha256>,
    deps: Option<Sha256>,
) -> Result<Held, Trouble> {
    if let Some(known) = known
        && taken(part, dir, None, deps)?.digest()? == known
        && let Some(held) = node.hold(known)?
    {
        return Ok(held);
    }
    node.store(|to: &Path| taken(part, dir, Some(to), deps))
}

/// Takes a tree, into the node's cache or where it is; in the place of its dependencies, a link leads to theirs.
fn taken(part: Part, dir: &Path, to: Option<&Path>, deps: Option<Sha256>) -> Result<Manifest, Trouble> {
    let link = deps.filter(|_| part == Part::Tree).map(|deps| format!("../../{}/files", deps.hex()));
    let mut manifest = tree::take(dir, to, &beside_deps(part), times(part))?;
    if let Some(link) = link {
        if let Some(to) = to {
            fs::link(Path::new(&link), &to.join(DEPS))?;
        }
        manifest.0.insert(DEPS.to_owned(), Entry::Link(link));
    }
    Ok(manifest)
}

/// Copies a tree from the node's cache.
fn copy(part: Part, held: &Held, to: &Path) -> Result<(), Trouble> {
    Ok(tree::put(&held.manifest()?, &held.files, to, &beside_deps(part), times(part))?)
}

/// Whether the times of its files are of any use.
fn times(part: Part) -> Times {
    if part == Part::Kept { Times::Kept } else { Times::Dropped }
}

/// Passes over the dependencies in a published tree: they are a tree of their own.
fn beside_deps(part: Part) -> impl Fn(&str) -> Skip {
    move |path| if part == Part::Tree && path == DEPS { Skip::Yes } else { Skip::No }
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
        self.record.parts.get(&part).copied()
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
            TreeError::Source { .. }
            | TreeError::Wrong { .. }
            | TreeError::Garbled(_)
            | TreeError::Short
            | TreeError::Long => Trouble::Broken(said),
            TreeError::Target { .. }
            | TreeError::Stream(_)
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
        error.downcast::<TreeError>().map_or_else(|error| Trouble::Failed(fs::plain(&error)), Trouble::from)
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
    parts: &Parts,
) -> Result<Record, Trouble> {
    let mut usage = fs::Usage::default();
    let mut trees = BTreeMap::new();
    for (part, Stored { manifest, .. }) in parts {
        let tree = manifest.usage();
        usage = fs::Usage { files: usage.files + tree.files, bytes: usage.bytes + tree.bytes };
        trees.insert(*part, manifest.digest()?);
    }
    Ok(Record {
        schema: SCHEMA,
        layer,
        key: keyed.key,
        inputs: keyed.inputs.clone(),
        parts: trees,
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
