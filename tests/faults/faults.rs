//! A fault injector for caches: pods are killed, disks are full, bytes change, registries lie, and each pod gets the tree
//! that it would have got without a cache.
//!
//! It is a number of stories, each with caches of its own. A seed and a story's number say all that happens in it, but
//! for how fast the machine is.

mod chance;
mod damage;
pub(crate) mod oci;
mod story;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use self::oci::Oci;
use self::world::World;

/// What shall be tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// How many times something is restored from a cache, at least.
    pub(crate) restores: usize,
    /// What all chances begin with.
    pub(crate) seed: u64,
    /// The only story to be told.
    pub(crate) only: Option<u64>,
    /// Whether registries stall, which costs seconds each time.
    pub(crate) stalls: Stalls,
}

/// Whether registries stall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stalls {
    /// Now and then.
    Some,
    /// They answer with an error instead.
    None,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The stories.
    pub(crate) stories: usize,
    /// The pods.
    pub(crate) pods: usize,
    /// The pods that were killed.
    pub(crate) killed: usize,
    /// The pods that began to restore something.
    pub(crate) restores: usize,
    /// The faults, by kind.
    pub(crate) faults: BTreeMap<&'static str, usize>,
    /// What should not have happened.
    pub(crate) bugs: Vec<Bug>,
}

/// Something that should not have happened.
#[derive(Debug)]
pub(crate) struct Bug {
    /// The story's number.
    pub(crate) story: u64,
    /// What happened before, and then.
    pub(crate) what: String,
}

/// Stories enough, whatever they restore.
const MOST_STORIES: u64 = 100_000;
/// After so many, more say nothing new.
const MOST_BUGS: usize = 20;

/// Tells stories until that many restores were seen. `listen` hears of each one.
pub(crate) fn run(binary: &Path, options: Options, listen: &mut dyn FnMut(&Tally)) -> Tally {
    let world = World::new(binary);
    let oci = Oci::start();
    let mut tally = Tally::default();
    let stories = options.only.map_or(0..MOST_STORIES, |only| only..only + 1);
    for number in stories {
        story::tell(&world, &oci, options, number, &mut tally);
        listen(&tally);
        if tally.restores >= options.restores || tally.bugs.len() >= MOST_BUGS {
            break;
        }
    }
    tally
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { stories, pods, killed, restores, faults, bugs } = self;
        write!(f, "{restores} restores in {stories} stories: {pods} pods, {killed} of them killed\nfaults:")?;
        for (kind, count) in faults {
            write!(f, " {kind} {count},")?;
        }
        write!(f, "\nbugs: {}", bugs.len())?;
        for Bug { story, what } in bugs {
            write!(f, "\n\nstory {story} (again: --only {story}):\n{what}")?;
        }
        Ok(())
    }
}
