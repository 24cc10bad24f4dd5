//! A node's cache: a directory in which its pods keep trees and records, and find them by digest and by key.
//!
//! A rename publishes: what has its name is whole. Whatever goes wrong here is an error in one sentence, and no reason
//! to fail a build.

mod flight;
#[cfg(test)]
pub(super) mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use builders::function::Sha256;

pub(crate) use self::flight::{Flight, Turn};
use super::collect;
use super::record::{Layer, Record, SCHEMA};
use crate::sys::fs::{self, Create, Sync};
use crate::sys::host;
use crate::sys::share::{self, Kind, Taken};
use crate::sys::tree::{self, Entry, Manifest};
use crate::sys::volume::Lock;
use crate::toolbox::{Known, Memory};

/// The layout's version, and the directory of all that is kept.
const VERSION: &str = "v1";
/// The directories in it.
const ROOMS: [&str; 5] = [TREES, RECORDS, TMP, LOCKS, TOOLS];
/// Trees, by their manifests' digests.
pub(super) const TREES: &str = "tree";
/// Records, by layer and key.
pub(super) const RECORDS: &str = "record";
/// What is being made, and what is going away.
pub(super) const TMP: &str = "tmp";
/// Locks, by layer and key.
pub(super) const LOCKS: &str = "lock";
/// What tools said of themselves.
pub(super) const TOOLS: &str = "tool";
/// The files of a tree, in its directory.
pub(crate) const FILES: &str = "files";
/// In a tree's directory, what it holds.
const MANIFEST: &str = "manifest.json";
/// In a tree's directory, the file whose lock says that it is in use, and whose time when that was last promised. In it
/// stands since which start of the machine the tree is known to be whole.
pub(crate) const LEASE: &str = "lease";
/// In a record, and in what a tool said, the digest of all else in it.
const DIGEST: &str = "digest";
/// In a tree's directory, how many bytes it takes on the disk.
pub(super) const SIZE: &str = "size";

/// How long somebody may look whether a tree is in use.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many records say what changed.
const NEWEST: usize = 64;

/// Why a node's cache does not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    /// The directory refuses.
    #[error("the cache {} cannot be {deed}: {}", dir.display(), fs::reason(source))]
    Io {
        /// The cache.
        dir: PathBuf,
        /// What was tried.
        deed: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The function's container mounts it with the volume, and could write there what other pods execute.
    #[error("the cache {} lies in the volume that the function's container mounts", .0.display())]
    InVolume(PathBuf),
    /// We may only read it.
    #[error("the cache {} can only be read", .0.display())]
    ReadOnly(PathBuf),
    /// A record is not what it should be.
    #[error("the cache's record {name} is of no use: {reason}")]
    Record {
        /// The file's name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A record is another injector's.
    #[error("the cache's record {name} is of no use: its schema is {schema}, this injector reads {SCHEMA}")]
    Schema {
        /// The file's name.
        name: String,
        /// The version of its format.
        schema: String,
    },
    /// A tree is not what it should be.
    #[error("the cache's tree {} is broken: {reason}", tree.hex())]
    Tree {
        /// The digest that it should have.
        tree: Sha256,
        /// Why.
        reason: String,
    },
    /// Another pod's build takes too long.
    #[error("another pod has been building this for more than {} s", .0.as_secs())]
    Busy(Duration),
}

/// A node's cache.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// As it was named.
    pub(super) dir: PathBuf,
    /// Its directory of this layout.
    pub(super) root: PathBuf,
    access: Access,
}

/// What we may do with a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read and write.
    Full,
    /// Use what is there.
    ReadOnly,
}

/// A tree that stays as long as this value lives.
#[derive(Debug)]
pub(crate) struct Held {
    /// Its digest.
    pub(crate) tree: Sha256,
    /// Its files.
    pub(crate) files: PathBuf,
    dir: PathBuf,
    /// Without one, the file system has no locks.
    lock: Option<Lock>,
}

impl Node {
    /// Opens a cache, and makes what it lacks. One that is there and cannot be written can be read all the same.
    pub(crate) fn open(dir: &Path) -> Result<Self, NodeError> {
        let root = dir.join(VERSION);
        let rooms = || ROOMS.iter().map(|room| root.join(room));
        let made = fs::create_dirs(dir)
            .and_then(|()| share::create_dir(&root))
            .and_then(|()| rooms().try_for_each(|room| share::create_dir(&room)));
        let access = match made {
            Ok(()) if rooms().all(|room| share::may_write(&room)) => Access::Full,
            Err(source) if !fs::is_dir(&root.join(TREES)) => {
                return Err(NodeError::Io { dir: dir.to_owned(), deed: "used", source });
            }
            _ => Access::ReadOnly,
        };
        Ok(Node { dir: dir.to_owned(), root, access })
    }

    /// Whether a directory is one.
    pub(crate) fn is_in(dir: &Path) -> bool {
        fs::is_dir(&dir.join(VERSION).join(TREES))
    }

    /// Opens a cache to look at it: nothing is made, and nothing in it counts as used.
    pub(crate) fn look(dir: &Path) -> Self {
        Node { dir: dir.to_owned(), root: dir.join(VERSION), access: Access::ReadOnly }
    }

    /// What we may do with it.
    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// The record of a key, which is used now; `None` if there is none.
    pub(crate) fn record(&self, layer: Layer, key: Sha256) -> Result<Option<Record>, NodeError> {
        let name = record_name(layer, key);
        let record = self.read_record(&name)?;
        if record.is_some() && self.access == Access::Full {
            // The time serves the collector alone.
            self.touch(layer, key);
        }
        Ok(record)
    }

    /// Says that the record of a key is used now, without reading it.
    pub(crate) fn touch(&self, layer: Layer, key: Sha256) {
        let _ = share::touch(&self.root.join(RECORDS).join(record_name(layer, key)));
    }

    /// The records that were used last, newest first; those that cannot be read are passed over.
    pub(crate) fn records(&self, layer: Layer) -> Vec<Record> {
        let begin = format!("{layer}-");
        let mut used: Vec<_> = names(&self.root.join(RECORDS))
            .filter(|name| name.starts_with(&begin))
            .filter_map(|name| Some((share::changed(&self.root.join(RECORDS).join(&name)).ok()??, name)))
            .collect();
        used.sort_unstable_by(|one, other| other.cmp(one));
        used.truncate(NEWEST);
        used.iter().filter_map(|(_, name)| self.read_record(name).ok().flatten()).collect()
    }

    /// Puts a record in its place, or in that of another.
    pub(crate) fn put(&self, record: &Record) -> Result<(), NodeError> {
        let name = record_name(record.layer, record.key);
        let value = serde_json::to_value(record)
            .map_err(|error| NodeError::Record { name: name.clone(), reason: error.to_string() })?;
        self.put_file(RECORDS, &name, sealed(value).as_bytes())
    }

    /// Holds a tree, so that nobody takes it away; `None` if it is not there, or is just going.
    pub(crate) fn hold(&self, tree: Sha256) -> Result<Option<Held>, NodeError> {
        let dir = self.place(tree);
        let lock = match share::lock_within(&dir.join(LEASE), Kind::Shared, PATIENCE) {
            Ok(Taken::Held(lock)) => Some(lock),
            Ok(Taken::Unsupported) => None,
            Ok(Taken::Absent | Taken::Busy) => return Ok(None),
            Err(source) => return Err(self.refuses("read", source)),
        };
        Ok(Some(Held { tree, files: dir.join(FILES), dir, lock }))
    }

    /// Stores the tree that `make` makes in a directory that is not there yet, and holds it. One that is stored already
    /// stays instead.
    pub(crate) fn store<E: From<NodeError>>(
        &self,
        make: impl FnOnce(&Path) -> Result<Manifest, E>,
    ) -> Result<Held, E> {
        self.writable()?;
        let wrong = |source| self.refuses("written", source);
        let making = self.making().map_err(wrong)?;
        let lease = making.dir.join(LEASE);
        share::create_file(&lease, host::boot().as_bytes())
            .and_then(|()| share::age(&lease))
            .map_err(wrong)?;
        // Taken now, so that neither what is being made nor what was just stored is ever without.
        let lock = match share::lock(&lease, Kind::Shared).map_err(wrong)? {
            Taken::Held(lock) => Some(lock),
            Taken::Unsupported | Taken::Busy | Taken::Absent => None,
        };
        let tree = self.fill(&making.dir, make).inspect_err(|_| collect::make_room(self))?;
        Ok(self.publish(making, tree, lock)?)
    }

    /// Makes a tree and what belongs to it in a directory; its manifest comes last.
    fn fill<E: From<NodeError>>(
        &self,
        dir: &Path,
        make: impl FnOnce(&Path) -> Result<Manifest, E>,
    ) -> Result<Sha256, E> {
        let wrong = |source| self.refuses("written", source);
        let manifest = make(&dir.join(FILES))?;
        let bytes = manifest.to_bytes().map_err(|error| wrong(error.into()))?;
        share::create_file(&dir.join(SIZE), room(&manifest).to_string().as_bytes())
            .and_then(|()| share::create_file(&dir.join(MANIFEST), &bytes))
            .map_err(wrong)?;
        Ok(fs::digest_of(&bytes))
    }

    /// Gives a tree its name, unless another has it, which is the same then.
    fn publish(&self, making: Making, tree: Sha256, lock: Option<Lock>) -> Result<Held, NodeError> {
        // One that is just going makes room for ours.
        const ATTEMPTS: usize = 8;
        let dir = self.place(tree);
        for _ in 0..ATTEMPTS {
            match fs::rename(&making.dir, &dir) {
                Ok(()) => {
                    making.keep();
                    return Ok(Held { tree, files: dir.join(FILES), dir, lock });
                }
                Err(error) if is_taken(&error) => match self.hold(tree) {
                    Ok(Some(held)) if held.is_whole() => return Ok(held),
                    // One that is just going still has its lease.
                    Ok(None) if fs::is_file(&dir.join(LEASE)) => {}
                    // Whoever gets it next would find out, and make ours once more.
                    _ => self.discard(tree)?,
                },
                Err(source) => return Err(self.refuses("written", source)),
            }
        }
        Err(NodeError::Tree { tree, reason: "it neither stays nor goes".to_owned() })
    }

    /// Takes a tree away that is not what it should be, so that nobody gets it again.
    pub(crate) fn discard(&self, tree: Sha256) -> Result<(), NodeError> {
        self.writable()?;
        self.remove(&self.place(tree)).map_err(|source| self.refuses("written", source))
    }

    /// Promises that a tree will be in use: it stays for a day, and for as long as somebody holds it then. Nobody will
    /// compare its files with their digests, so what a crash of the node may have left unwritten is looked for.
    pub(crate) fn lease(&self, tree: Sha256) -> Result<(), NodeError> {
        self.writable()?;
        let wrong = |source| self.refuses("written", source);
        let missing = || NodeError::Tree { tree, reason: "it is not there".to_owned() };
        let held = self.hold(tree)?.ok_or_else(missing)?;
        if held.lock.is_none() {
            // Nobody could say whether it is still in use after that day.
            return Err(self.refuses("locked", io::ErrorKind::Unsupported.into()));
        }
        let (lease, boot) = (held.dir.join(LEASE), host::boot());
        if fs::read_text(&lease).is_none_or(|seen| seen != boot) {
            tree::verify(&held.manifest()?, &held.files)
                .map_err(|error| NodeError::Tree { tree, reason: error.to_string() })?;
            fs::write_in_place(&lease, boot.as_bytes(), Create::Never, Sync::Later).map_err(wrong)?;
        }
        share::touch(&lease).map_err(wrong)
    }

    /// What a tool said of itself when it was last asked.
    pub(crate) fn tool(&self, key: Sha256) -> Option<Known> {
        let file = self.root.join(TOOLS).join(tool_name(key));
        let known = unsealed(serde_json::from_slice(&fs::read(&file).ok()??).ok()?)?;
        let _ = share::touch(&file);
        serde_json::from_value(known).ok()
    }

    /// Keeps that for other builds.
    pub(crate) fn put_tool(&self, key: Sha256, known: &Known) -> Result<(), NodeError> {
        let value = serde_json::to_value(known).map_err(|error| self.refuses("written", error.into()))?;
        self.put_file(TOOLS, &tool_name(key), sealed(value).as_bytes())
    }

    /// Where a tree is, if it is there.
    pub(crate) fn place(&self, tree: Sha256) -> PathBuf {
        self.root.join(TREES).join(tree.hex())
    }

    /// Where a tree is in a cache that is mounted elsewhere.
    pub(crate) fn place_at(mount: &Path, tree: Sha256) -> PathBuf {
        mount.join(VERSION).join(TREES).join(tree.hex())
    }

    /// The record in a file of this name; `None` if there is none.
    pub(super) fn read_record(&self, name: &str) -> Result<Option<Record>, NodeError> {
        let bytes =
            fs::read(&self.root.join(RECORDS).join(name)).map_err(|source| self.refuses("read", source))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let wrong = |reason| NodeError::Record { name: name.to_owned(), reason };
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(schema) if schema == u64::from(SCHEMA) => {}
            schema => {
                let schema = schema.map_or_else(|| "none".to_owned(), |schema| schema.to_string());
                return Err(NodeError::Schema { name: name.to_owned(), schema });
            }
        }
        let value = unsealed(value).ok_or_else(|| wrong("it has another digest".to_owned()))?;
        let record: Record = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
        if record_name(record.layer, record.key) != name {
            return Err(wrong("it is that of another key".to_owned()));
        }
        Ok(Some(record))
    }

    /// Takes a record away.
    pub(super) fn forget(&self, name: &str) -> Result<(), NodeError> {
        self.writable()?;
        fs::remove(&self.root.join(RECORDS).join(name)).map_err(|source| self.refuses("written", source))
    }

    fn put_file(&self, room: &str, name: &str, bytes: &[u8]) -> Result<(), NodeError> {
        self.writable()?;
        share::put(&self.root.join(room).join(name), bytes, &self.root.join(TMP))
            .map_err(|source| self.refuses("written", source))
    }

    /// A directory in which something is made.
    fn making(&self) -> io::Result<Making> {
        let dir = self.root.join(TMP).join(host::random_hex()?);
        share::create_dir(&dir)?;
        Ok(Making { dir })
    }

    /// Takes a directory away: out of sight first, so that nobody sees a part of it.
    pub(super) fn remove(&self, dir: &Path) -> io::Result<()> {
        let gone = self.root.join(TMP).join(host::random_hex()?);
        match fs::rename(dir, &gone) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed?,
        }
        // What is another user's cannot be removed: the user's own collector will.
        let _ = fs::remove(&gone);
        Ok(())
    }

    pub(super) fn writable(&self) -> Result<(), NodeError> {
        match self.access {
            Access::Full => Ok(()),
            Access::ReadOnly => Err(NodeError::ReadOnly(self.dir.clone())),
        }
    }

    pub(super) fn refuses(&self, deed: &'static str, source: io::Error) -> NodeError {
        NodeError::Io { dir: self.dir.clone(), deed, source }
    }
}

impl Memory for &Node {
    fn recall(&self, key: Sha256) -> Option<Known> {
        self.tool(key)
    }

    fn remember(&mut self, key: Sha256, known: &Known) {
        // The next build asks again.
        let _ = self.put_tool(key, known);
    }
}

impl Held {
    /// What the tree holds.
    pub(crate) fn manifest(&self) -> Result<Manifest, NodeError> {
        let wrong = |reason| NodeError::Tree { tree: self.tree, reason };
        let bytes = fs::read(&self.dir.join(MANIFEST))
            .map_err(|error| wrong(fs::reason(&error)))?
            .ok_or_else(|| wrong("it has no manifest".to_owned()))?;
        if fs::digest_of(&bytes) != self.tree {
            return Err(wrong("its manifest has another digest".to_owned()));
        }
        Manifest::from_bytes(&bytes).map_err(|error| wrong(error.to_string()))
    }

    /// Whether it is what it should be, read to the last byte.
    fn is_whole(&self) -> bool {
        self.manifest().is_ok_and(|manifest| tree::verify(&manifest, &self.files).is_ok())
    }
}

/// A directory in which something is made, which goes away if it is not finished.
struct Making {
    dir: PathBuf,
}

impl Making {
    /// It has another name now.
    fn keep(mut self) {
        self.dir = PathBuf::new();
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if !self.dir.as_os_str().is_empty() {
            let _ = fs::remove(&self.dir);
        }
    }
}

/// What a tree takes on a disk, which gives whole blocks to files and directories.
fn room(manifest: &Manifest) -> u64 {
    const BLOCK: u64 = 4096;
    let blocks = manifest.0.values().map(|entry| match entry {
        Entry::File { size, .. } => size.div_ceil(BLOCK),
        Entry::Dir {} => 1,
        Entry::Link(_) => 0,
    });
    blocks.sum::<u64>() * BLOCK
}

/// The names in a directory that are UTF-8, as all of ours are; none if it cannot be read.
pub(super) fn names(dir: &Path) -> impl Iterator<Item = String> + use<> {
    fs::names(dir).unwrap_or_default().into_iter().filter_map(|name| name.into_string().ok())
}

fn record_name(layer: Layer, key: Sha256) -> String {
    format!("{layer}-{}.json", key.hex())
}

/// Some fields as they are written: with the digest of all, in the order of their names.
fn sealed(mut value: serde_json::Value) -> String {
    value[DIGEST] = fs::digest_of(value.to_string().as_bytes()).to_string().into();
    value.to_string()
}

/// The fields without their digest, if it is theirs.
fn unsealed(mut value: serde_json::Value) -> Option<serde_json::Value> {
    let claimed = value.as_object_mut()?.remove(DIGEST)?;
    (claimed == fs::digest_of(value.to_string().as_bytes()).to_string()).then_some(value)
}

fn tool_name(key: Sha256) -> String {
    format!("{}.json", key.hex())
}

/// Whether a directory could not have its name because there is one.
fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty)
}
