//! Where a function is mounted: a `ConfigMap` volume that the kubelet may swap at any time, a directory, or one file.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use builders::function::{RelPath, Sha256};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _, OpenOptions, OpenOptionsExt as _};
use fs_err as fs;
use walkdir::WalkDir;

use super::decode::{self, DecodeError};
use super::fs::{NONBLOCK, digest, digest_of, open, resolve};
use crate::content::{Bytes, Limits};

/// A mount, held at one generation. The kubelet publishes a new one by renaming the link `..data`
/// and then removes the old directory, so that everything is read through the directory to which
/// the link pointed when the mount was opened.
/// <https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go>
#[derive(Debug)]
pub(crate) struct Mount {
    /// A directory, or the one file that is mounted.
    root: PathBuf,
    holds: Holds,
    generation: Option<Generation>,
}

/// What a mount holds.
#[derive(Debug)]
enum Holds {
    /// The files of a directory. The kernel opens what lies beneath it and nothing else, whoever rewrites the tree
    /// between our look at a name and our reading.
    Tree(Dir),
    /// One file of this name.
    File(RelPath),
}

#[derive(Debug, PartialEq, Eq)]
struct Generation {
    link: PathBuf,
    target: PathBuf,
}

impl Generation {
    fn is_current(&self) -> bool {
        fs::read_link(&self.link).is_ok_and(|target| target == self.target)
    }
}

/// What stands at a path of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A file, or a link to one within the tree: its length in bytes, and whether its owner may execute it.
    File {
        /// Bytes.
        size: u64,
        /// The owner's execute bit.
        executable: bool,
        /// Where the link leads, as written, if it is one.
        link: Option<String>,
    },
    /// A symbolic link to a directory within the tree, and its target as written.
    Link(String),
}

/// Why a mount cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    /// There is nothing at the path.
    #[error("there is nothing at {}", .0.display())]
    Absent(PathBuf),
    /// A name that is not UTF-8, or that no path below a directory can have.
    #[error("{0:?} is not a name that can be kept")]
    Name(PathBuf),
    /// A link that leads out of the function, or to nothing.
    #[error("{path} is a link to {target:?}, which is not part of the function")]
    Escape {
        /// The link.
        path: RelPath,
        /// Its target.
        target: PathBuf,
    },
    /// A device, a FIFO or a socket.
    #[error("{0} is neither a file nor a directory")]
    Special(RelPath),
    /// More than a function may have.
    #[error("it has more than {most}")]
    TooMuch {
        /// How much it may have, of what.
        most: String,
        /// The variable that says so, where there is one.
        variable: Option<&'static str>,
    },
    /// A file of the function cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: RelPath,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl MountError {
    /// Whether something was not there any more that had been there a moment before.
    pub(crate) fn is_vanished(&self) -> bool {
        match self {
            MountError::Unreadable { source, .. } | MountError::Io(source) => {
                source.kind() == io::ErrorKind::NotFound
            }
            MountError::Absent(_)
            | MountError::Name(_)
            | MountError::Escape { .. }
            | MountError::Special(_)
            | MountError::TooMuch { .. } => false,
        }
    }
}

impl Mount {
    /// Opens a mount at its present generation.
    pub(crate) fn open(path: &Path) -> Result<Self, MountError> {
        let absolute = resolve(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => MountError::Absent(path.to_owned()),
            _ => error.into(),
        })?;
        if !fs::metadata(&absolute)?.is_dir() {
            // A `subPath` of a volume, or a file on a laptop; a link to it may have another name.
            let name = path.file_name().or(absolute.file_name()).map(Path::new);
            let name = name.and_then(Path::to_str).and_then(|name| name.parse().ok());
            let name = name.ok_or_else(|| MountError::Name(path.to_owned()))?;
            return Ok(Mount { root: absolute, holds: Holds::File(name), generation: None });
        }
        let dir = Dir::open_ambient_dir(&absolute, ambient_authority())?;
        let link = absolute.join("..data");
        match fs::read_link(&link) {
            Ok(target) => Mount::at_generation(&absolute, &dir, Generation { link, target }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
                Ok(Mount { root: absolute, holds: Holds::Tree(dir), generation: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The kubelet's links lead to a directory beside them, and nowhere else.
    fn at_generation(path: &Path, dir: &Dir, generation: Generation) -> Result<Self, MountError> {
        let target = &generation.target;
        let is_beside = target.as_os_str().as_encoded_bytes().starts_with(b"..")
            && matches!(target.components().collect::<Vec<_>>()[..], [Component::Normal(_)])
            && match dir.symlink_metadata(target) {
                Ok(found) => found.is_dir(),
                // One that was swapped is found to be gone when it is opened.
                Err(error) => error.kind() != io::ErrorKind::NotFound || !generation.is_current(),
            };
        if !is_beside {
            let link = "..data".parse().map_err(|_| MountError::Name(target.clone()))?;
            return Err(MountError::Escape { path: link, target: target.clone() });
        }
        let holds = Holds::Tree(dir.open_dir(target)?);
        Ok(Mount { root: path.join(target), holds, generation: Some(generation) })
    }

    /// Whether the kubelet has not swapped the mount since it was opened.
    pub(crate) fn is_current(&self) -> bool {
        self.generation.as_ref().is_none_or(Generation::is_current)
    }

    /// Every file and link, by path. Directories that `ignore` knows by their absolute path are passed
    /// over, and so is every name that begins with `..`, which is the kubelet's.
    pub(crate) fn entries(
        &self,
        limits: &Limits,
        ignore: &dyn Fn(&Path) -> bool,
    ) -> Result<Vec<(RelPath, Entry)>, MountError> {
        let walk = WalkDir::new(&self.root).sort_by_file_name().into_iter();
        let mut entries = Vec::new();
        let mut so_far = Extent::default();
        for entry in walk.filter_entry(|entry| {
            let kubelets = entry.file_name().as_encoded_bytes().starts_with(b"..");
            let is_ignored = || kubelets || entry.file_type().is_dir() && ignore(entry.path());
            entry.depth() == 0 || !is_ignored()
        }) {
            let entry = entry.map_err(io::Error::from)?;
            let kind = entry.file_type();
            if kind.is_dir() {
                so_far.dir(entry.depth() as u64, limits)?;
                continue;
            }
            let path = self.relative(entry.path())?;
            let target = if kind.is_symlink() { Some(self.target(&path, entry.path())?) } else { None };
            let entry = self.entry(&path, target)?;
            so_far.entry(&entry, limits)?;
            entries.push((path, entry));
        }
        Ok(entries)
    }

    /// The digest of a file, and its bytes if there are at most `keep` of them.
    pub(crate) fn read(
        &self,
        path: &RelPath,
        keep: u64,
    ) -> Result<(u64, Sha256, Option<Vec<u8>>), MountError> {
        let read = || {
            let mut bytes = Vec::new();
            // Read once: what a builder sees must be what is digested.
            self.open_file(path)?.take(keep + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 <= keep {
                return Ok((bytes.len() as u64, digest_of(&bytes), Some(bytes)));
            }
            digest(&mut self.open_file(path)?, io::sink()).map(|(size, sha256)| (size, sha256, None))
        };
        read().map_err(|source| MountError::Unreadable { path: path.clone(), source })
    }

    /// Copies a file out of the mount, and says what was copied.
    pub(crate) fn copy_out(&self, path: &RelPath, to: &Path, executable: bool) -> io::Result<(u64, Sha256)> {
        super::fs::create_parents(to)?;
        let copied = digest(&mut self.open_file(path)?, fs::File::create(to)?)?;
        if executable {
            fs::set_permissions(to, std::fs::Permissions::from_mode(0o755))?;
        }
        Ok(copied)
    }

    /// Writes what a file in base64 stands for to `to`, and says what was written.
    pub(crate) fn decode(&self, path: &RelPath, to: &Path) -> Result<(u64, Sha256), DecodeError> {
        let mut decoder = decode::base64(self.open_file(path)?);
        digest(&mut decoder, fs::File::create(to)?).map_err(decode::wrong)
    }

    /// What stands at a path where `link` says where it leads if it is a link. Of the file, where that is one.
    fn entry(&self, path: &RelPath, link: Option<String>) -> Result<Entry, MountError> {
        let (is_dir, is_file, size, mode) = match &self.holds {
            Holds::Tree(dir) => {
                let found = dir.metadata(path.as_str())?;
                (found.is_dir(), found.is_file(), found.len(), found.mode())
            }
            Holds::File(_) => {
                let found = fs::metadata(&self.root)?;
                (found.is_dir(), found.is_file(), found.len(), found.permissions().mode())
            }
        };
        match link {
            Some(target) if is_dir => Ok(Entry::Link(target)),
            link if is_file => Ok(Entry::File { size, executable: mode & 0o100 != 0, link }),
            _ => Err(MountError::Special(path.clone())),
        }
    }

    /// Opens a file to read it; a FIFO that took its place would let us wait.
    fn open_file(&self, path: &RelPath) -> io::Result<fs::File> {
        let Holds::Tree(dir) = &self.holds else { return open(&self.root) };
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(NONBLOCK);
        let opened = dir.open_with(path.as_str(), &options).and_then(|file| {
            let is_file = file.metadata()?.is_file();
            if is_file { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
        });
        let wrong =
            |error: io::Error| io::Error::new(error.kind(), format!("failed to open file `{path}`: {error}"));
        Ok(fs::File::from_parts(opened.map_err(wrong)?.into_std(), path.as_str()))
    }

    fn relative(&self, path: &Path) -> Result<RelPath, MountError> {
        if let Holds::File(name) = &self.holds {
            return Ok(name.clone());
        }
        let bad = || MountError::Name(path.to_owned());
        let rest = path.strip_prefix(&self.root).map_err(|_| bad())?;
        rest.to_str().ok_or_else(bad)?.parse().map_err(|_| bad())
    }

    /// Where a link leads, as it is written.
    fn target(&self, path: &RelPath, link: &Path) -> Result<String, MountError> {
        let target = fs::read_link(link)?;
        let escape = || MountError::Escape { path: path.clone(), target: target.clone() };
        let text = target.to_str().ok_or_else(|| MountError::Name(target.clone()))?;
        // The text alone must stay within, whatever the tree looks like where it is published…
        if target.components().any(|part| matches!(part, Component::RootDir)) || path.sibling(text).is_err() {
            return Err(escape());
        }
        // …and so must the place to which it leads here, through further links.
        let real = fs::canonicalize(link).map_err(|_| escape())?;
        if real.starts_with(&self.root) { Ok(text.to_owned()) } else { Err(escape()) }
    }
}

/// How much of a mount has been seen.
#[derive(Debug, Default)]
struct Extent {
    entries: u64,
    bytes: u64,
}

impl Extent {
    fn dir(&mut self, depth: u64, limits: &Limits) -> Result<(), MountError> {
        if depth > limits.depth {
            let most = format!("{} directories in one another", limits.depth);
            return Err(MountError::TooMuch { most, variable: Some("INJECTOR_MAX_DEPTH") });
        }
        // The mount itself is none of them.
        self.count(u64::from(depth > 0), limits)
    }

    fn entry(&mut self, entry: &Entry, limits: &Limits) -> Result<(), MountError> {
        if let Entry::File { size, .. } = entry {
            self.bytes = self.bytes.saturating_add(*size);
        }
        if self.bytes > limits.unpacked {
            let most = format!("{} of files", Bytes(limits.unpacked));
            return Err(MountError::TooMuch { most, variable: Some("INJECTOR_MAX_UNPACKED") });
        }
        self.count(1, limits)
    }

    fn count(&mut self, more: u64, limits: &Limits) -> Result<(), MountError> {
        self.entries += more;
        if self.entries > limits.entries {
            let most = format!("{} files, directories and links", limits.entries);
            return Err(MountError::TooMuch { most, variable: Some("INJECTOR_MAX_ENTRIES") });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(mount: &Mount) -> Result<Vec<String>, MountError> {
        let entries = mount.entries(&Limits::default(), &|path| path.ends_with(".git"))?;
        Ok(entries.into_iter().map(|(path, _)| path.to_string()).collect())
    }

    fn generation(dir: &Path, name: &str, text: &str) {
        fs::create_dir_all(dir.join(name).join("sub")).expect("made");
        fs::write(dir.join(name).join("hello.py"), text).expect("written");
        fs::write(dir.join(name).join("sub/a b.txt"), "").expect("written");
    }

    #[test]
    fn a_config_map_is_read_at_one_generation() {
        let dir = tempfile::tempdir().expect("a directory");
        generation(dir.path(), "..2026_1", "old");
        symlink("..2026_1", dir.path().join("..data")).expect("linked");
        symlink("..data/hello.py", dir.path().join("hello.py")).expect("linked");
        let mount = Mount::open(dir.path()).expect("opened");
        assert_eq!(names(&mount).expect("read"), ["hello.py", "sub/a b.txt"]);
        assert!(mount.is_current());

        generation(dir.path(), "..2026_2", "new");
        super::super::fs::swap_link(&dir.path().join("..data"), Path::new("..2026_2"), dir.path())
            .expect("swapped");
        assert!(!mount.is_current());
        let path = "hello.py".parse().expect("a path");
        let (_, _, bytes) = mount.read(&path, 10).expect("the old generation is still there");
        assert_eq!(bytes.as_deref(), Some(&b"old"[..]));
        fs::remove_dir_all(dir.path().join("..2026_1")).expect("removed");
        assert!(mount.read(&path, 10).is_err(), "it was read through the new generation");
    }

    #[test]
    fn a_file_of_a_config_map_is_found_and_read_while_the_kubelet_swaps_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let publish = |number: u32| {
            let name = format!("..2026_{number}");
            generation(dir.path(), &name, &number.to_string());
            super::super::fs::swap_link(&dir.path().join("..data"), Path::new(&name), dir.path())
                .expect("swapped");
            let _ = fs::remove_dir_all(dir.path().join(format!("..2026_{}", number - 1)));
        };
        publish(1);
        symlink("..data/hello.py", dir.path().join("hello.py")).expect("linked");
        let is_read = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for number in 2.. {
                    publish(number);
                    if is_read.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let read = |_| {
                let mount = Mount::open(&dir.path().join("hello.py"))?;
                mount.read(&"hello.py".parse().expect("a path"), 10)
            };
            let read: Vec<_> = (0..2000).map(read).collect();
            is_read.store(true, std::sync::atomic::Ordering::Relaxed);
            let lost = read.iter().filter(|read| read.is_err()).count();
            assert!(lost < read.len(), "{:?}", read.last());
            for error in read.into_iter().filter_map(Result::err) {
                assert!(error.is_vanished(), "{error:?}");
            }
        });
    }

    #[test]
    fn whoever_rewrites_the_tree_meanwhile_lends_it_nothing_from_elsewhere() {
        let (dir, outside) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("another"));
        generation(dir.path(), "sub", "ours");
        generation(outside.path(), ".", "secret");
        let [sub, link] = ["sub", ".git"].map(|name| dir.path().join(name));
        symlink(outside.path(), &link).expect("linked");
        let is_done = std::sync::atomic::AtomicBool::new(false);
        let seen = std::thread::scope(|threads| {
            threads.spawn(|| {
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    let (here, exchange) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
                    let _ = rustix::fs::renameat_with(here, &sub, here, &link, exchange);
                }
            });
            let read = |_| {
                let mount = Mount::open(dir.path())?;
                mount.read(&"sub/hello.py".parse().expect("a path"), 10)
            };
            let seen: Vec<_> = (0..5000).map(read).collect();
            is_done.store(true, std::sync::atomic::Ordering::Relaxed);
            seen
        });
        let read: Vec<_> = seen.iter().flatten().filter_map(|(_, _, bytes)| bytes.as_deref()).collect();
        assert!(!read.is_empty() && read.len() < seen.len(), "{} of {}", read.len(), seen.len());
        assert!(read.iter().all(|bytes| bytes == b"ours"), "it was read through a link that leads out");
    }

    #[test]
    fn links_stay_within_and_devices_stay_out() {
        let dir = tempfile::tempdir().expect("a directory");
        generation(dir.path(), "src", "x");
        fs::create_dir(dir.path().join(".git")).expect("made");
        fs::write(dir.path().join(".git/config"), "").expect("written");
        symlink("src/hello.py", dir.path().join("good")).expect("linked");
        symlink("src/sub", dir.path().join("more")).expect("linked");
        let mount = Mount::open(dir.path()).expect("opened");
        let file =
            |link: Option<&str>| Entry::File { size: 1, executable: false, link: link.map(str::to_owned) };
        let (linked, file, link) =
            (file(Some("src/hello.py")), file(None), Entry::Link("src/sub".to_owned()));
        let found = mount.entries(&Limits::default(), &|path| path.ends_with(".git")).expect("read");
        let found: Vec<_> = found.iter().map(|(path, entry)| (path.as_str(), entry)).collect();
        assert_eq!(found[..3], [("good", &linked), ("more", &link), ("src/hello.py", &file)]);

        for target in ["/etc/passwd", "../outside", "nowhere", "src/../../x"] {
            symlink(target, dir.path().join("bad")).expect("linked");
            let found = names(&mount);
            assert!(matches!(&found, Err(MountError::Escape { .. })), "{target}: {found:?}");
            fs::remove_file(dir.path().join("bad")).expect("removed");
        }
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .expect("made");
        assert!(matches!(names(&mount), Err(MountError::Special(path)) if path.as_str() == "pipe"));
    }
}
