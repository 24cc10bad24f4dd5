//! What is said of caches.

use builders::function::Sha256;

use crate::cache::record::{Layer, Record};
use crate::cache::{Cache, Found};
use crate::keys::{Keyed, Keys};

/// What a cache has for a function, for people.
pub(super) fn plan(keys: &Keys, cache: &Cache<'_>) -> String {
    let line = |layer: Layer, keyed: &Keyed| {
        let state = if cache.is_absent() {
            String::new()
        } else {
            let found = cache.find(layer, keyed);
            let state = found.map_or_else(|| cache.why(layer, keyed), |found| cached(&found));
            format!(" ({state})")
        };
        format!("key       {layer} {}{state}\n", keyed.key)
    };
    [line(Layer::Deps, &keys.deps), line(Layer::Build, &keys.build)].concat()
}

/// The same for programs.
pub(super) fn plan_as_json(keys: &Keys, cache: &Cache<'_>) -> serde_json::Value {
    let layer = |layer: Layer, keyed: &Keyed| {
        let found = cache.find(layer, keyed);
        let why = (found.is_none() && !cache.is_absent()).then(|| cache.why(layer, keyed));
        let Keyed { key, inputs } = keyed;
        serde_json::json!({ "key": key, "inputs": inputs, "cached": found.map(|found| entry(&found.record)), "missed": why })
    };
    serde_json::json!({ "deps": layer(Layer::Deps, &keys.deps), "build": layer(Layer::Build, &keys.build) })
}

fn entry(record: &Record) -> serde_json::Value {
    let Record { parts, files, bytes, resolved, made, progress, .. } = record;
    let trees: Vec<&Sha256> = parts.values().collect();
    serde_json::json!({
        "trees": trees, "files": files, "bytes": bytes, "resolved": resolved, "made": made, "progress": progress,
    })
}

fn cached(found: &Found) -> String {
    let Record { bytes, files, .. } = &found.record;
    format!("cached, {} MB in {files} files", bytes.div_ceil(1_000_000))
}
