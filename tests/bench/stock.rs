//! What is at hand of a function before its series: its files, caches that have it, and its tree in other forms.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use super::functions::{Function, Language};
use super::raw::Shards;
use super::series::{timed, words};
use super::site::{Built, Pod, Site};

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
        let mut first = pod(site, &source).node(&cache);
        if let Ok(repository) = &cluster {
            first = first.cluster(repository).with("INJECTOR_CACHE_PUSH", "1");
        }
        let built = first.build()?;
        let tree = built.tree()?;
        let shards = Shards::cut(&tree, &site.room.fresh("shards"))?;
        let tar = site.room.fresh("tree.tar");
        timed(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&tree).arg("."))?;
        let node = tried(pod(site, &source).node(&cache)).map(|()| cache);
        let cluster = cluster
            .and_then(|repository| tried(pod(site, &source).cluster(&repository)).map(|()| repository));
        Ok(Stock { source, node, cluster, tree, shards, tar, built: Some(built) })
    }

    /// Its tree, for people.
    pub(super) fn size(&self) -> String {
        let tenths = self.shards.bytes / 100_000;
        format!("{} files, {}.{} MB", self.shards.files, tenths / 10, tenths % 10)
    }

    /// A pod that gets all of it from the node's cache.
    pub(super) fn node_pod(&self, site: &Site) -> anyhow::Result<Pod> {
        let cache = self.node.as_ref().map_err(|reason| anyhow::anyhow!("{reason}"))?;
        Ok(pod(site, &self.source).node(cache).restores())
    }

    /// A pod that gets all of it from the registry.
    pub(super) fn cluster_pod(&self, site: &Site) -> anyhow::Result<Pod> {
        let repository = self.cluster.as_ref().map_err(|reason| anyhow::anyhow!("{reason}"))?;
        Ok(pod(site, &self.source).cluster(repository).restores())
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        if let Some(built) = self.built.take() {
            built.clear();
        }
    }
}

/// A pod of a function whose packages come as quickly as can be where none is cached.
pub(super) fn pod(site: &Site, source: &Path) -> Pod {
    site.pod(source).with("INJECTOR_PYTHON_INSTALLER", site.tools.installer())
}

/// A copy of a function's files; a lock of npm says where packages are, as users' locks do and those of this project,
/// which names no registry, do not.
pub(super) fn source(site: &Site, function: &Function) -> anyhow::Result<PathBuf> {
    let source = site.copy(&function.source(), function.name)?;
    if function.language != Language::Nodejs {
        return Ok(source);
    }
    let asked = site.tool("npm").args(["config", "get", "registry"]).output()?;
    let registry = String::from_utf8_lossy(&asked.stdout).trim().trim_end_matches('/').to_owned();
    let file = source.join("package-lock.json");
    let mut lock: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    let packages = lock["packages"].as_object_mut().context("the lock has no packages")?;
    for (path, package) in packages {
        let Some((_, name)) = path.rsplit_once("node_modules/") else { continue };
        let name = package["name"].as_str().unwrap_or(name);
        let stem = name.rsplit('/').next().unwrap_or(name);
        let version = package["version"].as_str().context("a package has no version")?;
        package["resolved"] = format!("{registry}/{name}/-/{stem}-{version}.tgz").into();
    }
    fs::write(file, serde_json::to_string_pretty(&lock)?)?;
    Ok(source)
}

/// Whether it is there: what is measured is a restore, and nothing else.
fn tried(pod: Pod) -> Result<(), String> {
    pod.restores().time().map(drop).map_err(|reason| words(&reason))
}
