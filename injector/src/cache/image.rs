//! How an entry is written as a manifest of the OCI image specification: one blob for the record, and for each tree one for
//! its manifest and those of its shards. Pure.

use std::collections::BTreeMap;

use builders::function::Sha256;
use serde::{Deserialize, Serialize};

use super::record::Part;

/// The media type of such a manifest. <https://github.com/opencontainers/image-spec/blob/main/manifest.md>
pub(crate) const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const ARTIFACT: &str = "application/vnd.injector.cache.v1+json";
const RECORD: &str = "application/vnd.injector.cache.record.v1+json";
const MANIFEST: &str = "application/vnd.injector.cache.manifest.v1+zstd";
const SHARD: &str = "application/vnd.injector.cache.shard.v1+zstd";
/// The annotations that say where a layer belongs.
const PART: &str = "injector.part";
const TREE: &str = "injector.tree";
/// The largest record, and the largest compressed manifest that is read, in bytes: 100,000 files take less.
const MOST_READ: u64 = 16 << 20;
/// The largest shard that is fetched, in bytes.
const MOST_FETCHED: u64 = 64 << 30;

/// An entry in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// What it says of itself.
    pub(crate) record: Blob,
    /// Its trees.
    pub(crate) trees: BTreeMap<Part, Packed>,
}

/// A tree in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    /// The digest of its manifest as it is written.
    pub(crate) tree: Sha256,
    /// Its manifest, compressed.
    pub(crate) manifest: Blob,
    /// Its files.
    pub(crate) shards: Vec<Blob>,
}

/// What a registry keeps by its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blob {
    /// Its digest.
    pub(crate) digest: Sha256,
    /// Its size, in bytes.
    pub(crate) size: u64,
}

/// Why a manifest is none of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadImage {
    /// It is no JSON of this form.
    #[error("its manifest is no entry: {0}")]
    Json(#[from] serde_json::Error),
    /// It is something else.
    #[error("its manifest is no entry: {0}")]
    Other(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    schema_version: u32,
    media_type: String,
    artifact_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: Sha256,
    size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Image {
    /// Reads what a registry has under a tag.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BadImage> {
        let written: Written = serde_json::from_slice(bytes)?;
        if written.artifact_type != ARTIFACT || written.config.media_type != RECORD {
            return Err(BadImage::Other("it is of another type"));
        }
        let mut trees: BTreeMap<Part, Packed> = BTreeMap::new();
        for layer in &written.layers {
            let annotation = |name: &str| layer.annotations.get(name).map(String::as_str);
            let part =
                annotation(PART).and_then(|name| Part::ALL.into_iter().find(|part| part.name() == name));
            let tree = annotation(TREE).and_then(|tree| tree.parse::<Sha256>().ok());
            let (Some(part), Some(tree)) = (part, tree) else {
                return Err(BadImage::Other("a layer does not say where it belongs"));
            };
            match (layer.media_type.as_str(), trees.get_mut(&part)) {
                (MANIFEST, None) => {
                    let manifest = layer.blob(MOST_READ)?;
                    trees.insert(part, Packed { tree, manifest, shards: Vec::new() });
                }
                (SHARD, Some(packed)) if packed.tree == tree => packed.shards.push(layer.blob(MOST_FETCHED)?),
                _ => return Err(BadImage::Other("its layers are not in order")),
            }
        }
        Ok(Image { record: written.config.blob(MOST_READ)?, trees })
    }

    /// As it is pushed.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let layers = self.trees.iter().flat_map(|(part, packed)| {
            let annotations = BTreeMap::from([
                (PART.to_owned(), part.name().to_owned()),
                (TREE.to_owned(), packed.tree.to_string()),
            ]);
            let shards = packed.shards.iter().map(|shard| (SHARD, *shard));
            let blobs = [(MANIFEST, packed.manifest)].into_iter().chain(shards);
            blobs.map(move |(kind, blob)| Descriptor::of(kind, blob, annotations.clone()))
        });
        serde_json::to_vec(&Written {
            schema_version: 2,
            media_type: MEDIA_TYPE.to_owned(),
            artifact_type: ARTIFACT.to_owned(),
            config: Descriptor::of(RECORD, self.record, BTreeMap::new()),
            layers: layers.collect(),
        })
    }
}

impl Descriptor {
    fn of(kind: &str, blob: Blob, annotations: BTreeMap<String, String>) -> Self {
        Descriptor { media_type: kind.to_owned(), digest: blob.digest, size: blob.size, annotations }
    }

    fn blob(&self, most: u64) -> Result<Blob, BadImage> {
        let blob = Blob { digest: self.digest, size: self.size };
        if self.size <= most { Ok(blob) } else { Err(BadImage::Other("a layer is too large")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(byte: u8) -> Blob {
        Blob { digest: Sha256([byte; 32]), size: byte.into() }
    }

    fn image() -> Image {
        let packed = |byte: u8, shards: &[u8]| Packed {
            tree: Sha256([byte; 32]),
            manifest: blob(byte + 1),
            shards: shards.iter().map(|&byte| blob(byte)).collect(),
        };
        Image {
            record: blob(1),
            trees: BTreeMap::from([(Part::Deps, packed(10, &[20, 21])), (Part::Tree, packed(30, &[]))]),
        }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let image = image();
        let bytes = image.to_bytes().expect("JSON");
        assert_eq!(Image::from_bytes(&bytes).expect("an entry"), image);
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let text = String::from_utf8(image().to_bytes().expect("JSON")).expect("text");
        for (from, to) in [
            (ARTIFACT, "application/vnd.oci.image.config.v1+json"),
            (RECORD, "application/vnd.oci.empty.v1+json"),
            (MANIFEST, SHARD),
            (SHARD, MANIFEST),
            ("\"injector.part\":\"deps\"", "\"injector.part\":\"../deps\""),
            ("\"injector.tree\"", "\"injector.other\""),
            ("\"size\":1}", "\"size\":18446744073709551615}"),
            ("\"size\":20", "\"size\":-1"),
            ("sha256:0101", "sha512:0101"),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from} is in it");
            assert!(Image::from_bytes(changed.as_bytes()).is_err(), "{from} -> {to}");
        }
        assert!(Image::from_bytes(b"{}").is_err());
    }
}
