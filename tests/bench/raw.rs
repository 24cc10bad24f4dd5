//! The reference: the same tree from 8 zstd shards, one thread a core, open and write, and not a single check.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;

/// How many shards a tree is cut into.
const COUNT: u64 = 8;
/// What is read and written at once.
const BUFFER: usize = 1 << 20;

/// A tree, cut into shards.
#[derive(Default)]
pub(super) struct Shards {
    directories: Vec<PathBuf>,
    links: Vec<(PathBuf, PathBuf)>,
    parts: Vec<Shard>,
    /// How many files it has.
    pub(super) files: usize,
    /// How many bytes they have.
    pub(super) bytes: u64,
}

/// Files' contents, one after the other, compressed.
struct Shard {
    archive: PathBuf,
    files: Vec<Item>,
}

struct Item {
    path: PathBuf,
    mode: u32,
    bytes: u64,
}

impl Shards {
    /// Cuts a tree.
    pub(super) fn cut(tree: &Path, into: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(into)?;
        let mut shards = Shards::default();
        let mut items = Vec::new();
        shards.list(tree, Path::new(""), &mut items)?;
        shards.files = items.len();
        shards.bytes = items.iter().map(|item| item.bytes).sum();
        let share = shards.bytes / COUNT + 1;
        let (mut files, mut size) = (Vec::new(), 0);
        for item in items {
            size += item.bytes;
            files.push(item);
            if size >= share {
                let archive = into.join(shards.parts.len().to_string());
                shards.parts.push(Shard::pack(tree, archive, std::mem::take(&mut files))?);
                size = 0;
            }
        }
        let archive = into.join(shards.parts.len().to_string());
        shards.parts.push(Shard::pack(tree, archive, files)?);
        Ok(shards)
    }

    fn list(&mut self, tree: &Path, dir: &Path, items: &mut Vec<Item>) -> anyhow::Result<()> {
        let mut entries = fs::read_dir(tree.join(dir))?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = dir.join(entry.file_name());
            let kind = entry.metadata()?;
            if kind.is_dir() {
                self.directories.push(path.clone());
                self.list(tree, &path, items)?;
            } else if kind.is_symlink() {
                self.links.push((path, fs::read_link(entry.path())?));
            } else {
                items.push(Item { path, mode: kind.permissions().mode(), bytes: kind.len() });
            }
        }
        Ok(())
    }

    /// Makes the tree in a new directory, and says how long that took.
    pub(super) fn unpack(&self, to: &Path) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        fs::create_dir(to)?;
        for directory in &self.directories {
            fs::create_dir(to.join(directory))?;
        }
        let next = AtomicUsize::new(0);
        let work = || -> anyhow::Result<()> {
            let mut buffer = vec![0; BUFFER];
            while let Some(shard) = self.parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                shard.unpack(to, &mut buffer)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| anyhow!("the reference panicked"))?)
        })?;
        for (path, target) in &self.links {
            symlink(target, to.join(path))?;
        }
        Ok(begun.elapsed())
    }
}

impl Shard {
    fn pack(tree: &Path, archive: PathBuf, files: Vec<Item>) -> anyhow::Result<Self> {
        let mut encoder = zstd::Encoder::new(File::create(&archive)?, 3)?;
        for item in &files {
            io::copy(&mut File::open(tree.join(&item.path))?, &mut encoder)?;
        }
        encoder.finish()?.flush()?;
        Ok(Shard { archive, files })
    }

    fn unpack(&self, to: &Path, buffer: &mut [u8]) -> anyhow::Result<()> {
        let mut decoder = zstd::Decoder::new(File::open(&self.archive)?)?;
        for item in &self.files {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(item.mode).open(to.join(&item.path))?;
            let mut rest = item.bytes;
            while rest > 0 {
                let want = usize::try_from(rest).unwrap_or(BUFFER).min(BUFFER);
                decoder.read_exact(&mut buffer[..want])?;
                file.write_all(&buffer[..want])?;
                rest -= want as u64;
            }
        }
        Ok(())
    }
}
