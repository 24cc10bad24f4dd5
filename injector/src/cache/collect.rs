//! Keeps a node's cache within its bounds: what was not used for longest goes first, and what is in use stays.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use builders::function::Sha256;

use super::contents::{self, COLLECT, Contents, GRACE, Kept, PROMISE, Use};
use super::node::{LEASE, LOCKS, Node, NodeError, RECORDS, TMP, TOOLS, names};
use crate::sys::share::{self, Kind, Taken};
use crate::sys::volume::{self, Locked};
use crate::sys::{fs, host, signal};

/// How far a cache is let grow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    /// The most bytes that its trees may take.
    pub(crate) size: Option<u64>,
    /// For how long a record may be of no use to anybody.
    pub(crate) age: Option<Duration>,
}

/// What was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Collected {
    /// Records.
    pub(crate) records: u64,
    /// Trees.
    pub(crate) trees: u64,
    /// The bytes that these took.
    pub(crate) freed: u64,
    /// The bytes that the others take.
    pub(crate) left: u64,
}

/// Locks that nobody took, and tools of which nobody asked, for so long are forgotten.
const FORGOTTEN: Duration = Duration::from_hours(30 * 24);

/// Tidies up after something was stored, where that is due: when the cache is larger than it may be, and once a day.
/// `None` where it is not, or where somebody else does.
pub(crate) fn collect_if_due(node: &Node, size: Option<u64>) -> Result<Option<Collected>, NodeError> {
    let now = Duration::from_secs(host::now());
    let is_due = contents::last_collected(node).is_none_or(|last| last + PROMISE <= now);
    if is_due || size.is_some_and(|size| contents::bytes(node) > size) {
        collect(node, Bounds { size, age: None }, Duration::ZERO)
    } else {
        Ok(None)
    }
}

/// Makes room for the next build where the disk is full, though the cache is not larger than it may be. Not for each
/// one: what is larger than the disk would drive out all others again and again.
pub(super) fn make_room(node: &Node) {
    const TOO_LITTLE: u64 = 4 << 20;
    let now = Duration::from_secs(host::now());
    let is_full = volume::space(&node.root).is_ok_and(|space| space.free < TOO_LITTLE);
    if is_full && contents::last_collected(node).is_none_or(|last| last + GRACE <= now) {
        let half = contents::bytes(node) / 2;
        let _ = collect(node, Bounds { size: Some(half), age: None }, Duration::ZERO);
    }
}

/// Tidies up; `None` if somebody else does for longer than we have patience.
pub(crate) fn collect(
    node: &Node,
    bounds: Bounds,
    patience: Duration,
) -> Result<Option<Collected>, NodeError> {
    node.writable()?;
    let file = node.root.join(LOCKS).join(COLLECT);
    let last = contents::last_collected(node);
    let _ = share::create_file(&file, b"");
    let _turn = match volume::lock(&file, patience, || (), &|| signal::received().is_some()) {
        Ok(Locked::Held(lock)) => Some(lock),
        Ok(Locked::TimedOut | Locked::GivenUp) => return Ok(None),
        // Two at once are in each other's way, and do no harm.
        Err(_) => None,
    };
    let contents = Contents::of(node);
    for (tree, _) in contents.trees.iter().filter(|(_, stored)| stored.state == Use::Held) {
        // Where a function stops and comes back, its tree is still there. Who only copies was promised nothing.
        let lease = node.place(*tree).join(LEASE);
        if contents::promised(&lease).is_some() {
            let _ = share::touch(&lease);
        }
    }
    sweep(node, contents.now);
    let collected = Round::new(node, &contents, last).collect(bounds);
    // What is seen twice within a moment has not been seen for longer.
    if last.is_none_or(|last| last + GRACE <= contents.now) {
        let _ = share::touch(&file);
    }
    Ok(Some(collected))
}

/// Removes what dead processes left, and what nobody asks for.
fn sweep(node: &Node, now: Duration) {
    let in_room = |room: &str| {
        let dir = node.root.join(room);
        names(&dir).map(move |name| dir.join(name)).collect::<Vec<_>>()
    };
    let is_older = |path: &_, age| share::changed(path).ok().flatten().is_some_and(|time| time + age <= now);
    for made in in_room(TMP).into_iter().filter(|path| is_older(path, GRACE)) {
        let may_go = match share::lock(&made.join(LEASE), Kind::Exclusive) {
            Ok(Taken::Held(_) | Taken::Absent) => true,
            Ok(Taken::Unsupported) => is_older(&made, PROMISE),
            Ok(Taken::Busy) | Err(_) => false,
        };
        if may_go {
            // What is another user's, the user's own pods remove.
            let _ = fs::remove(&made);
        }
    }
    for lock in
        in_room(LOCKS).into_iter().filter(|path| !path.ends_with(COLLECT) && is_older(path, FORGOTTEN))
    {
        if let Ok(Taken::Held(_) | Taken::Unsupported) = share::lock(&lock, Kind::Exclusive) {
            let _ = fs::remove(&lock);
        }
    }
    for tool in in_room(TOOLS).into_iter().filter(|path| is_older(path, FORGOTTEN)) {
        let _ = fs::remove(&tool);
    }
}

/// One round of tidying up.
struct Round<'a> {
    node: &'a Node,
    contents: &'a Contents,
    /// When the round before this one was.
    last: Option<Duration>,
    /// How many records name each tree.
    named: BTreeMap<Sha256, usize>,
    sum: Collected,
}

impl<'a> Round<'a> {
    fn new(node: &'a Node, contents: &'a Contents, last: Option<Duration>) -> Self {
        let mut named = BTreeMap::new();
        for tree in contents.records.iter().flat_map(|kept| &kept.trees) {
            *named.entry(*tree).or_insert(0) += 1;
        }
        let sum = Collected { left: contents.bytes(), ..Collected::default() };
        Round { node, contents, last, named, sum }
    }

    fn collect(mut self, bounds: Bounds) -> Collected {
        for (tree, stored) in &self.contents.trees {
            if !self.named.contains_key(tree) && stored.made + GRACE <= self.contents.now {
                self.take(*tree);
            }
        }
        // A little more than it must be, so that not each build has to.
        let target = bounds.size.filter(|most| self.sum.left > *most).map(|most| most - most / 10);
        for kept in &self.contents.records {
            let is_old = bounds.age.is_some_and(|age| kept.used + age <= self.contents.now);
            let is_due = target.is_some_and(|target| self.sum.left > target);
            if self.is_of_no_use(kept) || (is_old || is_due) && self.contents.use_of(kept) == Use::Free {
                self.forget(kept);
            }
        }
        self.sum
    }

    /// Whether nobody can make anything of a record: it cannot be read, or a tree has gone.
    fn is_of_no_use(&self, kept: &Kept) -> bool {
        let lacks_one = kept.trees.iter().any(|tree| !self.contents.trees.contains_key(tree));
        lacks_one || kept.trees.is_empty() && kept.record.is_none()
    }

    /// Removes a record, unless it was used meanwhile, and the trees that no other names.
    fn forget(&mut self, kept: &Kept) {
        let file = self.node.root.join(RECORDS).join(&kept.name);
        let is_same = share::changed(&file).is_ok_and(|used| used == Some(kept.used));
        if !is_same || fs::remove(&file).is_err() {
            return;
        }
        self.sum.records += 1;
        for tree in &kept.trees {
            let others = self.named.get_mut(tree).map_or(0, |count| {
                *count -= 1;
                *count
            });
            if others == 0 {
                self.take(*tree);
            }
        }
    }

    /// Takes a tree away, unless somebody uses it.
    fn take(&mut self, tree: Sha256) {
        let dir = self.node.place(tree);
        let Some(stored) = self.contents.trees.get(&tree) else { return };
        // Held until it is out of sight, so that nobody begins to use it.
        let (used, _lock) = contents::look(&dir, self.last);
        if used == Use::Free && self.node.remove(&dir).is_ok() {
            self.sum.trees += 1;
            self.sum.freed += stored.bytes;
            self.sum.left -= stored.bytes;
        }
    }
}
