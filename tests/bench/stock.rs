//! What is at hand of a function before its series: its files, a cache that has it, and its tree in other forms.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use super::functions::{Function, Language};
use super::raw::Shards;
use super::series::{timed, words};
use super::site::{Built, Pod, Site};

/// The digits that stand for a file, until the lock is completed.
const LOCK: &str = "package-lock.json";

/// A function, and its tree in many forms.
pub(super) struct Stock {
    /// Its files, with all that a lock has where users write it.
    pub(super) source: PathBuf,
    /// The node's cache that has it.
    pub(super) node: Result<PathBuf, String>,
    /// The registry's repository that has it.
    pub(super) cluster: Result<String, String>,
    /// The tree, as it is published.
    pub(super) tree: PathBuf,
    /// The same in 8 shards.
    pub(super) shards: Shards,
    /// The same as a tar file.
    pub(super) tar: PathBuf,
    built: Option<Built>,
}

impl Stock {
    /// Builds it once, with nothing cached.
    pub(super) fn of(site: &Site, function: &Function) -> anyhow::Result<Self> {
        let source = source(site, function)?;
        let cache = site.room.fresh("cache");
        let cluster = site.registry().map(|registry| registry.repository(function.name));
        let mut pod = pod(site, function, &source).node(&cache);
        if let Ok(repository) = &cluster {
            pod = pod.cluster(repository).with("INJECTOR_CACHE_PUSH", "1");
        }
        let built = pod.build()?;
        let tree = built.tree()?;
        let shards = Shards::cut(&tree, &site.room.fresh("shards"))?;
        let tar = site.room.fresh("tree.tar");
        timed(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&tree).arg("."))?;
        // What is measured below is a restore, and nothing else.
        let node = restored(pod_of(site, function, &source).node(&cache)).map(|()| cache);
        let cluster = cluster.and_then(|repository| {
            restored(pod_of(site, function, &source).cluster(&repository)).map(|()| repository)
        });
        Ok(Stock { source, node, cluster, tree, shards, tar, built: Some(built) })
    }

    /// Its tree in MiB.
    pub(super) fn mebibytes(&self) -> u64 {
        self.shards.bytes >> 20
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        if let Some(built) = self.built.take() {
            built.clear();
        }
    }
}
