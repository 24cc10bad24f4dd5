//! The staged tree gets its receipt and its name: receipt last, then the link swapped by rename.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use std::{io, iter};

use builders::Package;
use builders::catalog::{Runtime, RuntimeName};
use builders::function::{Function, Handler, RelPath, Sha256};
use builders::plan::{Dir, Launch, Place};
use builders::toolchain::Toolchain;
use serde::{Deserialize, Serialize};

use crate::cache::Mounted;
use crate::make::Cached;
use crate::provision::Rooms;
use crate::report::credentials;
use crate::report::redact::Redactor;
use crate::sys::fs::{self, Usage};
use crate::sys::host;

/// The version of the receipt's format.
pub(crate) const SCHEMA: u32 = 1;
/// The receipt's name in a published tree.
pub(crate) const RECEIPT: &str = "receipt.json";
/// The link to the tree that is in force.
pub(crate) const FUNCTION: &str = "function";
/// Where the trees are.
const BUILDS: &str = ".builds";

/// What was built, from what, by what, and how it is started. It holds no credentials and no paths
/// of the machine that built it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// The format's version.
    pub(crate) schema: u32,
    /// The version of the injector that built it.
    pub(crate) injector: String,
    /// The runtime, as ID and version, for example `python3.12`.
    pub(crate) runtime: String,
    /// The builder's ID.
    pub(crate) builder: String,
    /// What is called.
    pub(crate) handler: Handler,
    /// The processor's architecture.
    pub(crate) arch: String,
    /// The tools, as they described themselves.
    pub(crate) tools: BTreeMap<String, ToolReceipt>,
    /// What carried the function, if it was not mounted as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
    /// The function's files, with their digests.
    pub(crate) inputs: BTreeMap<RelPath, Sha256>,
    /// The dependencies that were resolved.
    pub(crate) packages: Vec<Package>,
    /// The digest of all that the build was made of.
    pub(crate) key: Sha256,
    /// How many files are published.
    pub(crate) files: u64,
    /// How many bytes they have.
    pub(crate) bytes: u64,
    /// How much of it came from a cache.
    #[serde(default)]
    pub(crate) cached: Cached,
    /// The directories of a cache in which it really is, as the function's container sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mounted: Vec<String>,
    /// How the function is started.
    pub(crate) launch: Launch,
    /// How long each stage took, in milliseconds.
    pub(crate) durations: BTreeMap<String, u64>,
    /// When it was built, in seconds since 1970.
    pub(crate) built: u64,
}

/// A file or a download that carried a function, in a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The mounted file, or the address without what may be credentials in it.
    pub(crate) from: String,
    /// The digest of its bytes: what `FUNC_CHECKSUM` is compared with.
    pub(crate) sha256: Sha256,
    /// How many bytes it has.
    pub(crate) bytes: u64,
    /// What kind of archive it is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) archive: Option<String>,
}

/// A tool, in a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToolReceipt {
    /// The program's name.
    pub(crate) program: String,
    /// What it said of itself.
    #[serde(flatten)]
    pub(crate) identity: builders::toolchain::Identity,
}

/// Why the result could not be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The volume refused.
    #[error("the built function cannot be published on {volume}")]
    Io {
        /// The volume.
        volume: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The receipt cannot be written as JSON.
    #[error("the receipt cannot be written")]
    Receipt(#[from] serde_json::Error),
}

/// What is known of a build when it is published.
pub(crate) struct Built<'a> {
    /// The runtime, with the version that was found.
    pub(crate) runtime: RuntimeName,
    /// The builder's ID.
    pub(crate) builder: &'a str,
    /// What is called.
    pub(crate) handler: Handler,
    /// What carried the function, if it was not mounted as it is.
    pub(crate) origin: Option<Origin>,
    /// The function.
    pub(crate) function: &'a Function,
    /// The tools.
    pub(crate) toolchain: &'a Toolchain,
    /// The dependencies.
    pub(crate) packages: Vec<Package>,
    /// The digest of all that the build was made of.
    pub(crate) key: Sha256,
    /// How much of it came from a cache.
    pub(crate) cached: Cached,
    /// Where it really is, if links lead there, and how much that is.
    pub(crate) mounted: Option<(Mounted, Usage)>,
    /// How the function is started.
    pub(crate) launch: Launch,
    /// How long each stage took.
    pub(crate) durations: Vec<(&'static str, Duration)>,
}

/// Publishes the staged tree.
pub(crate) fn publish(rooms: &Rooms, built: Built<'_>) -> Result<Receipt, PublishError> {
    let wrong = |source| PublishError::Io { volume: rooms.volume.display().to_string(), source };
    let usage = match (&built.mounted, built.cached) {
        (Some((_, usage)), _) => *usage,
        _ => fs::open_to_all(&rooms.staging).map_err(wrong)?,
    };
    let receipt = receipt(built, usage);
    let mut text = serde_json::to_vec_pretty(&receipt)?;
    text.push(b'\n');
    fs::write(&rooms.staging.join(RECEIPT), &text).map_err(wrong)?;
    put_in_force(rooms, &receipt.key).map_err(wrong)?;
    Ok(receipt)
}

/// Takes the credentials out of the staged dependency files, which nobody reads after the build: the function's
/// container has no business with them. So it is with files of the function that are the same under another name,
/// as one is to which a link led. Returns those of the function's own files that held some.
pub(crate) fn withhold_credentials(
    rooms: &Rooms,
    runtime: &Runtime,
    function: &Function,
    manifests: &BTreeSet<Place>,
) -> Result<Vec<RelPath>, PublishError> {
    // A link may lead to a file of somebody else's.
    let read = |file: &Path| {
        fs::canonical(file).ok().filter(|real| real == file).and_then(|real| fs::read_text(&real))
    };
    let mut held = Vec::new();
    for place in manifests {
        let (Some(path), Some(text)) = (&place.path, read(&rooms.place(place))) else { continue };
        let is_configuration = runtime.environment.is_configuration(path.name());
        let written = if is_configuration {
            credentials::configuration(path.name(), &text)
        } else {
            credentials::url_credentials(&text)
        };
        // What stands for a variable tells nothing.
        let written = written.into_iter().filter(|one| !one.contains("${"));
        let mut clean = Redactor::new(written).text(&text);
        if is_configuration && clean != text {
            // A client that reads it again, as pnpm does to run scripts, takes a masked value for a broken one.
            let lines = clean.split_inclusive('\n').zip(text.split_inclusive('\n'));
            clean = lines.flat_map(|(clean, own)| [if clean == own { "" } else { "# " }, clean]).collect();
        }
        if clean == text {
            continue;
        }
        let own = function.files.get(path).map(|file| file.sha256);
        let same = function.files.iter().filter(|(other, file)| *other != path && Some(file.sha256) == own);
        for path in iter::once(path).chain(same.map(|(other, _)| other)) {
            let file = rooms.place(&Place::new(place.dir, path.clone()));
            if read(&file).as_ref() == Some(&text) {
                let wrong = |source| PublishError::Io { volume: rooms.volume.display().to_string(), source };
                fs::write(&file, clean.as_bytes()).map_err(wrong)?;
                held.extend((place.dir == Dir::Source).then(|| path.clone()));
            }
        }
    }
    Ok(held)
}

fn receipt(built: Built<'_>, usage: Usage) -> Receipt {
    let tools = built.toolchain.tools.iter().map(|(name, tool)| {
        (name.clone(), ToolReceipt { program: tool.program.clone(), identity: tool.identity.clone() })
    });
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Receipt {
        schema: SCHEMA,
        injector: env!("CARGO_PKG_VERSION").to_owned(),
        runtime: built.runtime.to_string(),
        builder: built.builder.to_owned(),
        handler: built.handler,
        arch: host::architecture(),
        tools: tools.collect(),
        origin: built.origin,
        inputs: built.function.files.iter().map(|(path, file)| (path.clone(), file.sha256)).collect(),
        packages: built.packages,
        key: built.key,
        files: usage.files,
        bytes: usage.bytes,
        cached: built.cached,
        mounted: built.mounted.map(|(mounted, _)| mounted.trees).unwrap_or_default(),
        launch: built.launch,
        durations: built
            .durations
            .into_iter()
            .map(|(name, time)| (name.to_owned(), milliseconds(time)))
            .collect(),
        built: host::now(),
    }
}

/// Names the staged tree, swaps the link, and removes the generations before it.
fn put_in_force(rooms: &Rooms, key: &Sha256) -> io::Result<()> {
    let builds = rooms.volume.join(BUILDS);
    fs::create_real_dir(&builds)?;
    // Two builds of the same inputs are two trees: one may be running while the other is made.
    let id = format!("{}-{}", &key.hex()[..12], &host::random_hex()?[..6]);
    fs::rename(&rooms.staging, &builds.join(&id))?;
    fs::swap_link(
        &rooms.volume.join(FUNCTION),
        &Path::new(BUILDS).join(&id),
        &rooms.volume.join(crate::provision::PRIVATE),
    )?;
    for name in fs::names(&builds).unwrap_or_default() {
        if name != *id {
            // The function is in force; what cannot be removed is in nobody's way.
            let _ = fs::remove(&builds.join(name));
        }
    }
    Ok(())
}
