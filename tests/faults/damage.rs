//! What disks and hands do to a cache's directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::chance::Chance;
use super::world::walk;

/// What happens to something in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// A bit of a file changes.
    Flipped,
    /// A file ends too early.
    Truncated,
    /// A file goes on.
    Longer,
    /// A file holds something else.
    Garbage,
    /// A file is gone.
    Removed,
    /// A directory is gone, with all that is in it.
    DirRemoved,
    /// A file is a link to another one.
    Linked,
    /// Two trees have each other's name.
    Exchanged,
}

impl Damage {
    /// All of them.
    pub(crate) const ALL: [Damage; 8] = [
        Damage::Flipped,
        Damage::Truncated,
        Damage::Longer,
        Damage::Garbage,
        Damage::Removed,
        Damage::DirRemoved,
        Damage::Linked,
        Damage::Exchanged,
    ];

    /// Its name in the tally.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Damage::Flipped => "flipped",
            Damage::Truncated => "truncated",
            Damage::Longer => "longer",
            Damage::Garbage => "garbage",
            Damage::Removed => "removed",
            Damage::DirRemoved => "directory-removed",
            Damage::Linked => "linked",
            Damage::Exchanged => "exchanged",
        }
    }

    /// Does it to something below a directory; says to what. A pod may change it at the same time, and what is gone
    /// then cannot be damaged.
    pub(crate) fn inflict(self, dir: &Path, chance: &mut Chance) -> Option<String> {
        let (mut files, mut dirs) = (Vec::new(), Vec::new());
        walk(dir, &mut |path, metadata| {
            if metadata.is_file() {
                files.push(path.to_owned());
            } else if metadata.is_dir() {
                dirs.push(path.to_owned());
            }
        });
        let (from, room) = match self {
            Damage::DirRemoved => (&dirs, ""),
            Damage::Exchanged => (&dirs, "/v1/tree/"),
            _ => (&files, some_room(chance)),
        };
        let is_tree = |path: &PathBuf| path.parent().is_some_and(|parent| parent.ends_with("v1/tree"));
        let mut from: Vec<&PathBuf> =
            from.iter().filter(|path| path.to_string_lossy().contains(room)).collect();
        if self == Damage::Exchanged {
            from.retain(|path| is_tree(path));
        }
        if from.is_empty() {
            return None;
        }
        let path = chance.any(&from).as_path();
        let said = format!("{} {}", self.name(), path.strip_prefix(dir).unwrap_or(path).display());
        let other = chance.any(&from).as_path();
        self.change(path, other, chance).ok().map(|()| said)
    }

    fn change(self, path: &Path, other: &Path, chance: &mut Chance) -> std::io::Result<()> {
        match self {
            Damage::Removed => fs::remove_file(path),
            Damage::DirRemoved => fs::remove_dir_all(path),
            Damage::Linked => {
                fs::remove_file(path)?;
                std::os::unix::fs::symlink(other, path)
            }
            Damage::Exchanged => {
                let between = path.with_extension("between");
                fs::rename(path, &between)?;
                fs::rename(other, path).or_else(|_| fs::rename(&between, path))?;
                fs::rename(&between, other).or(Ok(()))
            }
            Damage::Truncated => {
                let length = fs::metadata(path)?.len();
                let left = chance.below(usize::try_from(length).unwrap_or(usize::MAX).max(1));
                File::options().write(true).open(path)?.set_len(left as u64)
            }
            Damage::Flipped => {
                let mut bytes = fs::read(path)?;
                let at = chance.below(bytes.len().max(1));
                let bit = chance.below(8);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
                write(path, &bytes)
            }
            Damage::Longer => {
                let bytes = [fs::read(path)?, chance.bytes(9)].concat();
                write(path, &bytes)
            }
            Damage::Garbage => {
                let length = chance.below(300);
                write(path, &chance.bytes(length))
            }
        }
    }
}

/// Records and manifests are few, and files of trees are many: each room shall have its share.
fn some_room(chance: &mut Chance) -> &'static str {
    ["/v1/tree/", "/v1/tree/", "/manifest.json", "/v1/record/", "/v1/"][chance.below(5)]
}

/// Into the file that is there, and into no other.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    File::options().write(true).truncate(true).open(path)?.write_all(bytes)
}
