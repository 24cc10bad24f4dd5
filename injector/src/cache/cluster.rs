//! How an entry of the cache stands in a registry: as an image's manifest, whose layers are trees in parts.

use std::collections::BTreeMap;

use builders::function::Sha256;
use serde::{Deserialize, Serialize};

use crate::cache::record::{Layer, Part, Record, SCHEMA};

/// The media type of the manifest itself.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What makes a manifest an entry of ours.
const ARTIFACT: &str = "application/vnd.injector.cache.v1+json";
/// The record, as JSON.
const RECORD: &str = "application/vnd.injector.record.v1+json";
/// A tree's manifest, compressed.
const TREE: &str = "application/vnd.injector.tree.v1+zstd";
/// Some of a tree's files, compressed.
const SHARD: &str = "application/vnd.injector.shard.v1+zstd";

/// The annotation that says where a tree belongs.
const OF_PART: &str = "vnd.injector.part";
/// The one that says which tree it is.
const OF_TREE: &str = "vnd.injector.tree";
/// The one that counts a tree's shards, from 0.
const OF_SHARD: &str = "vnd.injector.shard";

/// An entry: where the pieces are of which it consists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The record.
    pub(crate) record: Blob,
    /// Its trees.
    pub(crate) parts: BTreeMap<Part, Tree>,
}

/// A tree in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    /// The digest of its manifest, by which it is known.
    pub(crate) digest: Sha256,
    /// The manifest, compressed.
    pub(crate) manifest: Blob,
    /// Its files, in order.
    pub(crate) shards: Vec<Blob>,
}

/// A blob of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blob {
    /// Its digest.
    pub(crate) digest: Sha256,
    /// Its size, in bytes.
    pub(crate) size: u64,
}

/// Why something in a registry is no entry of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadEntry {
    /// It is not in JSON, or lacks something.
    #[error("it is no image manifest: {0}")]
    Malformed(serde_json::Error),
    /// It is something else.
    #[error("it is no entry of a cache of this version, but of the type {0:?}")]
    Foreign(String),
    /// Something of it is not as it should be.
    #[error("its layer {index} {reason}")]
    Layer {
        /// Which one, from 1.
        index: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A tree lacks something.
    #[error("its {} tree is not whole", .0.name())]
    Incomplete(Part),
    /// Its record is none.
    #[error("its record is malformed: {0}")]
    Record(serde_json::Error),
    /// Its record is that of something else.
    #[error("its record is for another {0}")]
    Misplaced(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
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

/// The tag under which an entry stands.
pub(crate) fn tag(layer: Layer, key: Sha256) -> String {
    format!("{layer}-{}", key.hex())
}

/// The manifest of an entry: equal entries have equal manifests.
pub(crate) fn encode(entry: &Entry) -> Result<Vec<u8>, serde_json::Error> {
    let mut layers = Vec::new();
    for (part, tree) in &entry.parts {
        let annotations = BTreeMap::from([
            (OF_PART.to_owned(), part.name().to_owned()),
            (OF_TREE.to_owned(), tree.digest.to_string()),
        ]);
        layers.push(descriptor(TREE, tree.manifest, annotations.clone()));
        layers.extend(tree.shards.iter().enumerate().map(|(index, shard)| {
            let mut annotations = annotations.clone();
            annotations.insert(OF_SHARD.to_owned(), index.to_string());
            descriptor(SHARD, *shard, annotations)
        }));
    }
    serde_json::to_vec(&Image {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        artifact_type: ARTIFACT.to_owned(),
        config: descriptor(RECORD, entry.record, BTreeMap::new()),
        layers,
    })
}

/// The entry of a manifest.
///
/// # Errors
/// It is something else, or not whole.
pub(crate) fn decode(bytes: &[u8]) -> Result<Entry, BadEntry> {
    let image: Image = serde_json::from_slice(bytes).map_err(BadEntry::Malformed)?;
    // Registries that are older than the artifact's type may drop it.
    let kinds = [(&image.media_type, MANIFEST), (&image.artifact_type, ARTIFACT)];
    let foreign = kinds.into_iter().find(|(found, expected)| !found.is_empty() && *found != expected);
    let foreign = foreign.map(|(found, _)| found);
    if let Some(found) = foreign.or(Some(&image.config.media_type).filter(|found| *found != RECORD)) {
        return Err(BadEntry::Foreign(found.clone()));
    }
    let mut found = BTreeMap::<Part, Pieces>::new();
    for (index, layer) in image.layers.iter().enumerate() {
        let wrong = |reason| BadEntry::Layer { index: index + 1, reason };
        let part = layer.annotations.get(OF_PART).and_then(|name| Part::named(name));
        let part = part.ok_or_else(|| wrong("belongs nowhere"))?;
        let digest = layer.annotations.get(OF_TREE).and_then(|text| text.parse().ok());
        let digest = digest.ok_or_else(|| wrong("says no tree"))?;
        let pieces =
            found.entry(part).or_insert_with(|| Pieces { digest, manifest: None, shards: BTreeMap::new() });
        if pieces.digest != digest {
            return Err(wrong("is of another tree than those before it"));
        }
        let blob = Blob { digest: layer.digest, size: layer.size };
        let number = layer.annotations.get(OF_SHARD).and_then(|number| number.parse().ok());
        let before = match (layer.media_type.as_str(), number) {
            (TREE, None) => pieces.manifest.replace(blob),
            (SHARD, Some(number)) => pieces.shards.insert(number, blob),
            _ => return Err(wrong("is of a kind that is not known")),
        };
        if before.is_some() {
            return Err(wrong("is there twice"));
        }
    }
    let whole = found.into_iter().map(|(part, pieces)| {
        let tree = pieces.whole().ok_or(BadEntry::Incomplete(part))?;
        Ok((part, tree))
    });
    let record = Blob { digest: image.config.digest, size: image.config.size };
    Ok(Entry { record, parts: whole.collect::<Result<_, BadEntry>>()? })
}

impl Entry {
    /// Its record, which its blob holds.
    ///
    /// # Errors
    /// It is none, or not that of this entry: whoever can write tags can write any.
    pub(crate) fn record(&self, bytes: &[u8], layer: Layer, key: Sha256) -> Result<Record, BadEntry> {
        let record: Record = serde_json::from_slice(bytes).map_err(BadEntry::Record)?;
        let trees: BTreeMap<_, _> = self.parts.iter().map(|(part, tree)| (*part, tree.digest)).collect();
        let compared = [
            (record.schema == SCHEMA, "version"),
            (record.layer == layer, "layer"),
            (record.key == key, "key"),
            (record.parts == trees, "tree"),
        ];
        match compared.into_iter().find(|(is_equal, _)| !is_equal) {
            Some((_, what)) => Err(BadEntry::Misplaced(what)),
            None => Ok(record),
        }
    }

    /// All its blobs, the record first.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = Blob> {
        let trees = self.parts.values();
        let trees = trees.flat_map(|tree| [tree.manifest].into_iter().chain(tree.shards.iter().copied()));
        [self.record].into_iter().chain(trees)
    }
}

/// What was seen of a tree.
struct Pieces {
    digest: Sha256,
    manifest: Option<Blob>,
    shards: BTreeMap<usize, Blob>,
}

impl Pieces {
    /// The tree, if nothing is missing.
    fn whole(self) -> Option<Tree> {
        let Pieces { digest, manifest, shards } = self;
        let is_whole = shards.keys().copied().eq(0..shards.len());
        Some(Tree { digest, manifest: manifest?, shards: shards.into_values().collect() })
            .filter(|_| is_whole)
    }
}

fn descriptor(media_type: &str, blob: Blob, annotations: BTreeMap<String, String>) -> Descriptor {
    Descriptor { media_type: media_type.to_owned(), digest: blob.digest, size: blob.size, annotations }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cache::record::Progress;
    use crate::keys::Inputs;

    fn blob(number: u8) -> Blob {
        Blob { digest: Sha256([number; 32]), size: u64::from(number) * 1000 }
    }

    fn tree(number: u8, shards: u8) -> Tree {
        let shards = (0..shards).map(|shard| blob(number + 2 + shard)).collect();
        Tree { digest: Sha256([number; 32]), manifest: blob(number + 1), shards }
    }

    fn entry() -> Entry {
        // Ten shards and more: their numbers are no texts.
        Entry {
            record: blob(1),
            parts: BTreeMap::from([(Part::Deps, tree(10, 12)), (Part::Tree, tree(30, 0))]),
        }
    }

    fn record() -> Record {
        Record {
            schema: SCHEMA,
            layer: Layer::Build,
            key: Sha256([7; 32]),
            inputs: Inputs::default(),
            parts: entry().parts.iter().map(|(part, tree)| (*part, tree.digest)).collect(),
            packages: Vec::new(),
            files: 1,
            bytes: 2,
            progress: Progress::Whole,
            resolved: 3,
            made: 4,
            injector: "0.1.0".to_owned(),
        }
    }

    /// What comes of the manifest when somebody changes it.
    fn changed(change: impl FnOnce(&mut Value)) -> Result<Entry, BadEntry> {
        let mut manifest = serde_json::from_slice(&encode(&entry()).expect("JSON")).expect("JSON");
        change(&mut manifest);
        decode(&serde_json::to_vec(&manifest).expect("JSON"))
    }

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let bytes = encode(&entry()).expect("JSON");
        assert_eq!(decode(&bytes).expect("an entry"), entry());
        let image: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(image["schemaVersion"], 2);
        assert_eq!(image["mediaType"], MANIFEST);
        assert_eq!(image["artifactType"], "application/vnd.injector.cache.v1+json");
        let last_shard = json!({
            "mediaType": "application/vnd.injector.shard.v1+zstd",
            "digest": Sha256([23; 32]).to_string(),
            "size": 23000,
            "annotations": {
                "vnd.injector.part": "deps",
                "vnd.injector.shard": "11",
                "vnd.injector.tree": Sha256([10; 32]).to_string(),
            },
        });
        assert_eq!(image["layers"][12], last_shard);
        assert_eq!(entry().blobs().count(), 1 + 13 + 1);
        assert_eq!(tag(Layer::Deps, Sha256([0xab; 32])), format!("deps-{}", "ab".repeat(32)));
    }

    #[test]
    fn what_a_registry_adds_drops_or_reorders_changes_nothing() {
        let same = changed(|image| {
            image["annotations"] = json!({"a": "b"});
            image["layers"][3]["urls"] = json!([]);
            image.as_object_mut().expect("an object").remove("artifactType");
            image["layers"].as_array_mut().expect("a list").reverse();
        });
        assert_eq!(same.expect("an entry"), entry());
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 14] = [
            (|image| *image = json!([]), "it is no image manifest: "),
            (|image| image["layers"] = json!(null), "it is no image manifest: "),
            (|image| image["layers"][0]["digest"] = json!("md5:00"), "it is no image manifest: "),
            (|image| image["layers"][0]["size"] = json!(-1), "it is no image manifest: "),
            (
                |image| image["artifactType"] = json!("application/vnd.x.v2+json"),
                "it is no entry of a cache of this version, but of the type \"application/vnd.x.v2+json\"",
            ),
            (
                |image| image["config"]["mediaType"] = json!("application/x"),
                "it is no entry of a cache of this version",
            ),
            (|image| image["layers"][1]["annotations"] = json!({}), "its layer 2 belongs nowhere"),
            (
                |image| image["layers"][1]["annotations"][OF_PART] = json!("../x"),
                "its layer 2 belongs nowhere",
            ),
            (|image| image["layers"][1]["annotations"][OF_TREE] = json!("x"), "its layer 2 says no tree"),
            (
                |image| image["layers"][1]["annotations"][OF_TREE] = json!(Sha256([9; 32]).to_string()),
                "its layer 2 is of another tree",
            ),
            (
                |image| image["layers"][1]["annotations"][OF_SHARD] = json!("-1"),
                "its layer 2 is of a kind that is not known",
            ),
            (|image| image["layers"][1]["annotations"][OF_SHARD] = json!("3"), "its layer 5 is there twice"),
            (
                |image| drop(image["layers"].as_array_mut().map(|layers| layers.remove(5))),
                "its deps tree is not whole",
            ),
            (
                |image| drop(image["layers"].as_array_mut().map(|layers| layers.remove(0))),
                "its deps tree is not whole",
            ),
        ];
        for (change, expected) in cases {
            let error = changed(change).expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn a_record_is_that_of_its_entry() {
        let read = |record: &Record| {
            entry().record(&serde_json::to_vec(record).expect("JSON"), Layer::Build, Sha256([7; 32]))
        };
        assert_eq!(read(&record()).expect("a record"), record());
        for (record, what) in [
            (Record { schema: SCHEMA + 1, ..record() }, "version"),
            (Record { layer: Layer::Deps, ..record() }, "layer"),
            (Record { key: Sha256([8; 32]), ..record() }, "key"),
            (Record { parts: BTreeMap::new(), ..record() }, "tree"),
        ] {
            let error = read(&record).expect_err(what).to_string();
            assert_eq!(error, format!("its record is for another {what}"));
        }
        assert!(entry().record(b"{}", Layer::Build, Sha256([7; 32])).is_err());
    }
}
