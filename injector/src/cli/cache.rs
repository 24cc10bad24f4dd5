//! What the arguments say of caches.

use std::path::PathBuf;
use std::time::Duration;

use super::args::{CacheArgs, CacheCommand, CacheDirArgs};
use super::{Caching, Format, Mode, Refresh, RequestError, choice, number, path, size, text};

/// What is to be done with a node's cache.
#[derive(Debug)]
pub(crate) struct Upkeep {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// The deed.
    pub(crate) deed: UpkeepDeed,
}

/// What an operator does with a cache.
#[derive(Debug)]
pub(crate) enum UpkeepDeed {
    /// Says what it holds.
    List(Format),
    /// Takes away what is too much, or too old.
    Collect {
        /// The most bytes that it may have.
        max_size: Option<u64>,
        /// For how long something may be of no use.
        max_age: Option<Duration>,
    },
    /// Looks whether it is what it was, and takes away what is not.
    Verify,
}

/// What is to be done with a node's cache.
pub(super) fn upkeep(command: CacheCommand) -> Result<Upkeep, RequestError> {
    let dir = |args: CacheDirArgs| {
        let reason = "name the cache's directory there, or with --cache-dir";
        path(args.cache_dir).ok_or(RequestError::Missing { name: "INJECTOR_CACHE_DIR", reason })
    };
    Ok(match command {
        CacheCommand::Ls { cache, json } => Upkeep {
            dir: dir(cache)?,
            deed: UpkeepDeed::List(if json { Format::Json } else { Format::Text }),
        },
        CacheCommand::Gc { cache, cache_max_size, max_age } => Upkeep {
            dir: dir(cache)?,
            deed: UpkeepDeed::Collect {
                max_size: max_size(cache_max_size)?,
                max_age: seconds("--max-age", max_age)?,
            },
        },
        CacheCommand::Verify { cache } => Upkeep { dir: dir(cache)?, deed: UpkeepDeed::Verify },
    })
}

/// What outlives a build.
pub(super) fn caching(args: CacheArgs) -> Result<Caching, RequestError> {
    let seconds = |name, value| {
        Ok::<_, RequestError>(number::<u32>(name, value)?.map(|seconds| Duration::from_secs(seconds.into())))
    };
    let dir = path(args.cache_dir);
    let mounted = path(args.cache_mount).or_else(|| dir.clone());
    let is_mounted = choice("INJECTOR_CACHE_MODE", args.cache_mode, [("copy", false), ("mount", true)])?;
    let mode = match (is_mounted, mounted) {
        (false, _) => Mode::Copy,
        (true, Some(mounted)) if dir.is_some() && !mounted.is_absolute() => {
            let reason =
                "an absolute path is expected, as the function's container sees the cache".to_owned();
            let value = mounted.display().to_string();
            return Err(RequestError::Value { name: "INJECTOR_CACHE_MOUNT", value, reason });
        }
        (true, Some(mounted)) if dir.is_some() => Mode::Mount(mounted),
        (true, _) => {
            let reason = "there is no cache to mount: set INJECTOR_CACHE_DIR, too";
            return Err(RequestError::Unexpected { name: "INJECTOR_CACHE_MODE", reason });
        }
    };
    let patience = seconds("INJECTOR_CACHE_PUSH_TIMEOUT", args.cache_push_timeout)?;
    Ok(Caching {
        dir,
        mode,
        registry: text(args.cache_registry).map(|name| name.parse()).transpose()?,
        push: args.cache_push.then(|| patience.unwrap_or(PUSH_TIMEOUT)),
        salt: text(args.cache_salt),
        max_size: max_size(args.cache_max_size)?,
        resolve_max_age: seconds("INJECTOR_RESOLVE_MAX_AGE", args.resolve_max_age)?,
        refresh: if args.refresh { Refresh::Yes } else { Refresh::No },
    })
}

fn max_size(value: Option<String>) -> Result<Option<u64>, RequestError> {
    let size = size("INJECTOR_CACHE_MAX_SIZE", value)?;
    Ok(size.map_or(Some(CACHE_MAX_SIZE), |size| (size > 0).then_some(size)))
}

/// Not 64 bits of them, which no clock can count.
fn seconds(name: &'static str, value: Option<String>) -> Result<Option<Duration>, RequestError> {
    Ok(number::<u32>(name, value)?.map(|seconds| Duration::from_secs(seconds.into())))
}

/// How long a push may take, unless somebody says otherwise.
const PUSH_TIMEOUT: Duration = Duration::from_mins(2);
/// The most bytes that the cache's directory may have, unless somebody says otherwise.
const CACHE_MAX_SIZE: u64 = 10 << 30;
