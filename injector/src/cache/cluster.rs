//! The cluster's cache: entries in an OCI registry, fetched and pushed as shards, side by side.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use builders::function::Sha256;

use super::image::{BadImage, Blob, Image, MEDIA_TYPE, Packed};
use super::record::{Layer, Part, Record, SCHEMA};
use super::{Parts, Stored, Trouble};
use crate::keys::Keyed;
use crate::sys::fetch::Network;
use crate::sys::registry::{Login, Name, Reference, Registry, RegistryError};
use crate::sys::tree::{self, Manifest, Times, Unpack};
use crate::sys::{fs, host, parallel};

/// How long a look-up may take.
const LOOK_UP: Duration = Duration::from_secs(15);
/// How long a tree may take.
const FETCH: Duration = Duration::from_mins(5);

/// How long after a tag was set somebody who looked before that may set it: a registry that took `time` for ours may take
/// longer for theirs.
fn settled(time: Duration) -> Duration {
    (3 * time).clamp(Duration::from_secs(1), Duration::from_secs(10))
}

/// A repository of a registry in which entries are kept, by tags that name layer and key.
pub(crate) struct Cluster {
    /// What reaches it, made when it is first asked.
    make: Box<dyn Fn() -> Result<Registry, RegistryError> + Send + Sync>,
    registry: OnceLock<Result<Registry, String>>,
    /// Why it is not asked any more: who waited for it once need not wait twice.
    gone: Mutex<Option<String>>,
}

impl Cluster {
    /// A repository, reached by this network, as this user.
    pub(crate) fn new(reference: Reference, network: Network, login: Option<Login>) -> Self {
        let make = move || Registry::new(reference.clone(), &network, login.clone());
        Cluster { make: Box::new(make), registry: OnceLock::new(), gone: Mutex::new(None) }
    }

    fn registry(&self) -> Result<&Registry, Trouble> {
        let made = self.registry.get_or_init(|| (self.make)().map_err(|error| error.to_string()));
        made.as_ref().map_err(|error| Trouble::Failed(error.clone()))
    }

    /// Looks up an entry.
    pub(crate) fn find(&self, layer: Layer, keyed: &Keyed) -> Result<Option<(Record, Image)>, Trouble> {
        let until = host::within(LOOK_UP);
        let Some((bytes, _)) =
            self.ask(|registry| registry.manifest(Name::Tag(&tag(layer, keyed.key)), until))?
        else {
            return Ok(None);
        };
        let image = Image::from_bytes(&bytes)?;
        let record = self.ask(|registry| read(registry, image.record, until))?;
        let record: Record = serde_json::from_slice(&record)?;
        let trees: BTreeMap<Part, Sha256> =
            image.trees.iter().map(|(part, packed)| (*part, packed.tree)).collect();
        if record.schema != SCHEMA
            || (record.layer, record.key) != (layer, keyed.key)
            || record.parts != trees
        {
            return Err(Trouble::Broken("what the registry has is the entry of another key".to_owned()));
        }
        Ok(Some((record, image)))
    }

    /// What a tree holds.
    pub(crate) fn manifest(&self, packed: &Packed) -> Result<Manifest, Trouble> {
        let until = host::within(LOOK_UP);
        let bytes = self.ask(|registry| read(registry, packed.manifest, until))?;
        Ok(Manifest::from_compressed(&bytes, packed.tree)?)
    }

    /// Unpacks a tree into several directories at once.
    pub(crate) fn fetch(
        &self,
        part: Part,
        packed: &Packed,
        manifest: &Manifest,
        roots: &[&Path],
    ) -> Result<(), Trouble> {
        let until = host::within(FETCH);
        let times = if part == Part::Kept { Times::Kept } else { Times::Dropped };
        let shards = tree::cut(manifest, tree::COUNT);
        if shards.len() != packed.shards.len() {
            return Err(Trouble::Broken("the registry has more or fewer shards than the tree".to_owned()));
        }
        let work: Vec<_> = shards.iter().zip(&packed.shards).collect();
        let registry = self.registry()?;
        let fetched = parallel::each(
            &work,
            1,
            || (),
            |(shard, blob), ()| {
                let mut unpack = Unpack::new(shard, roots, times).map_err(Trouble::from)?;
                registry.blob(blob.digest, blob.size, until, &mut |bytes| {
                    unpack.write_all(bytes).map_err(|error| Unfetched::Unpacking(error.into()))
                })?;
                Ok(unpack.finish().map_err(Trouble::from)?)
            },
        );
        match fetched {
            Ok(_) => Ok(()),
            Err(Unfetched::Unpacking(trouble)) => Err(trouble),
            Err(Unfetched::Asking(error)) => self.ask(|_| Err(error)),
        }
    }

    /// Pushes an entry, and says which one the tag names then: the first one that somebody pushed.
    pub(crate) fn push(
        &self,
        record: &Record,
        trees: &Parts,
        tagged: Tagged,
        scratch: &Path,
        until: Instant,
    ) -> Result<Pushed, Trouble> {
        let tag = tag(record.layer, record.key);
        let is_free = || {
            let named = || self.ask(|registry| registry.manifest(Name::Tag(&tag), until));
            Ok::<_, Trouble>(tagged == Tagged::Anew || named()?.is_none())
        };
        if !is_free()? {
            return Ok(Pushed::Theirs);
        }
        let registry = self.registry()?;
        let mut image =
            Image { record: self.push_bytes(&serde_json::to_vec(record)?, until)?, trees: BTreeMap::new() };
        for (part, Stored { manifest, files, .. }) in trees {
            let written = self.push_bytes(&manifest.to_compressed()?, until)?;
            let shards = self.push_shards(manifest, files, scratch, until)?;
            image.trees.insert(*part, Packed { tree: manifest.digest()?, manifest: written, shards });
        }
        let bytes = image.to_bytes()?;
        let digest = fs::digest_of(&bytes);
        let push = || registry.push_manifest(Name::Digest(digest), MEDIA_TYPE, &bytes, until);
        match push() {
            // While another pod pushes the same blobs, a registry may not find them for a moment.
            Err(error) if error.is_refusal() => {
                host::pause(Duration::from_secs(1));
                push()?;
            }
            pushed => pushed?,
        }
        // No registry sets a tag only where there is none: whoever came first meanwhile shall stay.
        if is_free()? {
            let begun = host::within(Duration::ZERO);
            registry.push_manifest(Name::Tag(&tag), MEDIA_TYPE, &bytes, until)?;
            host::pause(settled(begun.elapsed()));
        }
        match registry.manifest(Name::Tag(&tag), until)? {
            Some((_, named)) if named == digest => Ok(Pushed::Ours),
            _ => Ok(Pushed::Theirs),
        }
    }

    /// Packs the shards of a tree, and pushes those that are not there.
    fn push_shards(
        &self,
        manifest: &Manifest,
        dir: &Path,
        scratch: &Path,
        until: Instant,
    ) -> Result<Vec<Blob>, Trouble> {
        let shards = tree::cut(manifest, tree::COUNT);
        let work: Vec<_> = shards.iter().enumerate().collect();
        let registry = self.registry()?;
        let mut blobs = parallel::each(
            &work,
            1,
            || (),
            |(number, shard), ()| {
                let file = scratch.join(format!("shard-{number}"));
                let (size, digest) = tree::pack_to(shard, dir, &file)?;
                if !registry.has_blob(digest, until)? {
                    registry.push_blob(digest, size, || fs::reader(&file), until)?;
                }
                fs::remove(&file)?;
                Ok::<_, Trouble>(Blob { digest, size })
            },
        )?;
        blobs.sort_unstable_by_key(|(number, _)| *number);
        Ok(blobs.into_iter().map(|(_, blob)| blob).collect())
    }

    fn push_bytes(&self, bytes: &[u8], until: Instant) -> Result<Blob, Trouble> {
        let blob = Blob { digest: fs::digest_of(bytes), size: bytes.len() as u64 };
        let registry = self.registry()?;
        if !registry.has_blob(blob.digest, until)? {
            registry.push_blob(blob.digest, blob.size, || Ok(bytes), until)?;
        }
        Ok(blob)
    }

    /// Asks, unless that was of no use before.
    fn ask<T>(&self, question: impl FnOnce(&Registry) -> Result<T, RegistryError>) -> Result<T, Trouble> {
        let gone = || self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = gone().clone() {
            return Err(Trouble::Failed(why));
        }
        let answer = question(self.registry()?);
        if let Err(error) = &answer
            && error.is_of_registry()
        {
            *gone() = Some(error.to_string());
        }
        Ok(answer?)
    }
}

/// Why a tree was not fetched.
#[derive(Debug, thiserror::Error)]
enum Unfetched {
    /// The registry did not give it.
    #[error("{0}")]
    Asking(#[from] RegistryError),
    /// It could not be put where it belongs, or is not what it should be.
    #[error("{0}")]
    Unpacking(#[from] Trouble),
}

/// When a tag is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tagged {
    /// Where there is none.
    First,
    /// Whatever it named before.
    Anew,
}

/// Whose entry a tag names after a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Ours.
    Ours,
    /// Somebody else's, who came first.
    Theirs,
}

/// The tag of an entry.
fn tag(layer: Layer, key: Sha256) -> String {
    format!("{layer}-{}", key.hex())
}

/// A whole small blob.
fn read(registry: &Registry, blob: Blob, until: Instant) -> Result<Vec<u8>, RegistryError> {
    let mut bytes = Vec::new();
    registry.blob::<RegistryError>(blob.digest, blob.size, until, &mut |more| {
        bytes.extend_from_slice(more);
        Ok(())
    })?;
    Ok(bytes)
}

impl From<RegistryError> for Trouble {
    fn from(error: RegistryError) -> Self {
        let said = error.to_string();
        if error.is_wrong() || error.is_absent() { Trouble::Broken(said) } else { Trouble::Failed(said) }
    }
}

impl From<BadImage> for Trouble {
    fn from(error: BadImage) -> Self {
        Trouble::Broken(error.to_string())
    }
}
