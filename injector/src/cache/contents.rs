//! What a node's cache holds: its records, its trees, and which of them are in use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use builders::function::Sha256;

use super::node::{LEASE, LOCKS, Node, RECORDS, SIZE, TREES, names};
use super::record::Record;
use crate::sys::share::{self, Kind, Taken};
use crate::sys::volume::Lock;
use crate::sys::{fs, host};

/// How long a tree stays of which somebody promised that it will be in use: until a pod that waits for its node, or
/// for its next attempt, runs.
pub(super) const PROMISE: Duration = Duration::from_hours(24);
/// How long something may be on its way: what was stored has no record at once, and a container that failed holds
/// nothing until its next attempt.
pub(super) const GRACE: Duration = Duration::from_mins(10);
/// Among the locks, that of the one who tidies up; its time is when that was last done.
pub(super) const COLLECT: &str = "collect";

/// All that a cache holds.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Its records, the one that was used longest ago first.
    pub(crate) records: Vec<Kept>,
    /// Its trees.
    pub(crate) trees: BTreeMap<Sha256, Stored>,
    /// When it was looked at, since 1970.
    pub(crate) now: Duration,
}

/// A record in a cache.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Its file's name.
    pub(crate) name: String,
    /// When it was last used, since 1970.
    pub(crate) used: Duration,
    /// The trees that it names.
    pub(crate) trees: BTreeSet<Sha256>,
    /// What it says, where that can be read.
    pub(crate) record: Option<Record>,
}

/// A tree in a cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    /// The bytes that it takes.
    pub(crate) bytes: u64,
    /// When it was made, since 1970.
    pub(crate) made: Duration,
    /// Whether it may go.
    pub(crate) state: Use,
}

/// Whether somebody uses a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// A process holds it.
    Held,
    /// Somebody will, or may come back.
    Promised,
    /// Nobody does.
    Free,
}

impl Contents {
    /// Looks into a cache.
    pub(crate) fn of(node: &Node) -> Self {
        let last = last_collected(node);
        // Records first: a tree that is not there then has gone, since it came before its record.
        let mut records: Vec<Kept> =
            names(&node.root.join(RECORDS)).filter_map(|name| kept(node, name)).collect();
        records.sort_unstable_by(|one, other| (one.used, &one.name).cmp(&(other.used, &other.name)));
        let trees = trees(node).filter_map(|tree| {
            let dir = node.place(tree);
            let made = share::changed(&dir).ok()??;
            Some((tree, Stored { bytes: size(&dir), made, state: look(&dir, last).0 }))
        });
        Contents { records, trees: trees.collect(), now: Duration::from_secs(host::now()) }
    }

    /// The bytes that its trees take.
    pub(crate) fn bytes(&self) -> u64 {
        self.trees.values().map(|tree| tree.bytes).sum()
    }

    /// The bytes that a record's trees take, be they its own or also another's.
    pub(crate) fn bytes_of(&self, kept: &Kept) -> u64 {
        kept.trees.iter().filter_map(|tree| self.trees.get(tree)).map(|tree| tree.bytes).sum()
    }

    /// Whether a record is in use: all of its trees are, so that nothing is gained without it. One tree alone says
    /// little, since records share them.
    pub(crate) fn use_of(&self, kept: &Kept) -> Use {
        let mut states =
            kept.trees.iter().map(|tree| self.trees.get(tree).map_or(Use::Free, |one| one.state));
        let weaker = |one: Use, other: Use| if one == Use::Free || other == Use::Held { one } else { other };
        states.next().map_or(Use::Free, |first| states.fold(first, weaker))
    }
}

/// How many bytes the trees of a cache take: much cheaper than all that it holds.
pub(super) fn bytes(node: &Node) -> u64 {
    trees(node).map(|tree| size(&node.place(tree))).sum()
}

/// When somebody last tidied up.
pub(super) fn last_collected(node: &Node) -> Option<Duration> {
    share::changed(&node.root.join(LOCKS).join(COLLECT)).ok().flatten()
}

/// Whether a tree may go, and the lock that keeps it so.
pub(super) fn look(dir: &Path, last: Option<Duration>) -> (Use, Option<Lock>) {
    let lease = dir.join(LEASE);
    match share::lock(&lease, Kind::Exclusive) {
        // What we may not open is another user's to say.
        Ok(Taken::Busy) | Err(_) => (Use::Held, None),
        Ok(Taken::Held(lock)) => match promised(&lease) {
            Some(time) if !has_run_out(time, last) => (Use::Promised, Some(lock)),
            _ => (Use::Free, Some(lock)),
        },
        // Nobody can say whether the promise was kept.
        Ok(Taken::Unsupported) if promised(&lease).is_some() => (Use::Promised, None),
        Ok(Taken::Unsupported | Taken::Absent) => (Use::Free, None),
    }
}

/// When somebody last promised that a tree will be in use, if anybody did.
pub(super) fn promised(lease: &Path) -> Option<Duration> {
    share::changed(lease).ok().flatten().filter(|time| !time.is_zero())
}

/// Whether a promise does not hold any more. Whoever was seen with the tree when the cache was last tidied up got a new
/// one; where that was long ago, or only just now, nobody knows whether a container is between two attempts.
fn has_run_out(promised: Duration, last: Option<Duration>) -> bool {
    let now = Duration::from_secs(host::now());
    promised + PROMISE <= now && last.is_some_and(|last| promised < last && last + GRACE <= now)
}

/// The trees of a cache, by digest.
pub(super) fn trees(node: &Node) -> impl Iterator<Item = Sha256> + use<> {
    names(&node.root.join(TREES)).filter_map(|name| Sha256::from_hex(&name).ok())
}

fn size(tree: &Path) -> u64 {
    fs::read_text(&tree.join(SIZE)).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Reads a record, also one of another injector's that names its trees as ours do.
fn kept(node: &Node, name: String) -> Option<Kept> {
    let file = node.root.join(RECORDS).join(&name);
    let used = share::changed(&file).ok()??;
    let value: Option<serde_json::Value> =
        fs::read(&file).ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let parts = value.as_ref().and_then(|value| value.get("parts")?.as_object());
    let trees = parts.into_iter().flat_map(|parts| parts.values());
    let trees = trees.filter_map(|tree| tree.as_str()?.parse().ok()).collect();
    let record = value.and_then(|value| serde_json::from_value(value).ok());
    Some(Kept { name, used, trees, record })
}
