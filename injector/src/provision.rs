//! A place to work: the volume's lock and rooms, the scratch room, and the staged source.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use builders::diagnostic::Blame;
use builders::function::{Function, RelPath};
use builders::plan::{Dir, Place};
use builders::toolchain::Version;

use crate::keep::Keep;
use crate::survey::Survey;
use crate::sys::volume::{self, Executes, Lock, Locked, Space};
use crate::sys::{fs, host, signal};

/// The rooms of one build. What is left of them goes when the value does.
#[derive(Debug)]
pub(crate) struct Rooms {
    /// The shared volume.
    pub(crate) volume: PathBuf,
    /// Where the tree is made that will be published.
    pub(crate) staging: PathBuf,
    /// Outside the volume: HOME, TMPDIR, helpers.
    pub(crate) scratch: PathBuf,
    /// Outside the volume: what makes the next build cheap.
    kept: PathBuf,
    /// Its directory, if it is not that of the scratch room or somebody's own.
    kept_in: Option<TempDir>,
    /// Whether another run may use the volume: not as long as this lives.
    _lock: Lock,
}

/// Why there is no place to work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProvisionError {
    /// The volume cannot be written.
    #[error("the volume {} is not usable", path.display())]
    Volume {
        /// The volume.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Programs and libraries may not be executed there.
    #[error("the {} {} is mounted noexec", if room.is_published() { "volume" } else { "scratch room" }, path.display())]
    NoExec {
        /// For which room that matters.
        room: Dir,
        /// The volume, or the room outside of it.
        path: PathBuf,
    },
    /// Too little room is left.
    #[error("{} has {space}", path.display())]
    Full {
        /// The volume or the scratch room.
        path: PathBuf,
        /// What it has.
        space: Space,
        /// What the function alone needs, in bytes.
        needed: u64,
    },
    /// Another run holds the volume.
    #[error("another injector has held the volume {} for {} s", path.display(), waited.as_secs())]
    Busy {
        /// The volume.
        path: PathBuf,
        /// How long we waited.
        waited: Duration,
    },
    /// The scratch room cannot be made.
    #[error("the scratch directory {} is not usable", path.display())]
    Scratch {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The scratch room, or what is kept, lies where the function's container could read it.
    #[error("the directory {} lies in the shared volume", .0.display())]
    InVolume(PathBuf),
    /// What shall be kept has no place.
    #[error("the directory {} is not usable", path.display())]
    Keep {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another run uses what is kept.
    #[error("another injector has used {} for {} s", path.display(), waited.as_secs())]
    KeepBusy {
        /// The directory.
        path: PathBuf,
        /// How long we waited.
        waited: Duration,
    },
    /// A CA bundle that the environment names cannot be read.
    #[error("the CA bundle {} cannot be read", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The image lacks the tool.
    #[error("none of {} is on PATH", names.join(", "))]
    NoTool {
        /// The names it may have.
        names: Vec<String>,
        /// Where was looked.
        path: String,
    },
    /// The image has the tool in another version.
    #[error("{title} {wanted} was asked for, this image has {found} ({program})")]
    ToolVersion {
        /// The language.
        title: String,
        /// The version that was asked for.
        wanted: Version,
        /// The version that is there.
        found: Version,
        /// The program that said so.
        program: String,
    },
    /// No version was asked for, and that of the image is not among those that are allowed.
    #[error("this image has {title} {found} ({program}), which is not among the versions allowed here")]
    ToolNotAllowed {
        /// The language.
        title: String,
        /// The versions that would do.
        allowed: Vec<Version>,
        /// The version that is there.
        found: Version,
        /// The program that said so.
        program: String,
    },
    /// The tool is there but cannot say what it is.
    #[error("{program} does not run: {said}")]
    ToolBroken {
        /// The program.
        program: String,
        /// What it said instead.
        said: String,
    },
    /// The mount was swapped after it was surveyed.
    #[error("{0} changed while it was copied")]
    SourceChanged(RelPath),
}

impl ProvisionError {
    /// Who can mend it.
    pub(crate) fn blame(&self) -> Blame {
        match self {
            ProvisionError::ToolVersion { .. } | ProvisionError::ToolNotAllowed { .. } => Blame::Author,
            ProvisionError::Volume { .. }
            | ProvisionError::NoExec { .. }
            | ProvisionError::Full { .. }
            | ProvisionError::Busy { .. }
            | ProvisionError::Scratch { .. }
            | ProvisionError::InVolume(_)
            | ProvisionError::Keep { .. }
            | ProvisionError::KeepBusy { .. }
            | ProvisionError::CaFile { .. }
            | ProvisionError::NoTool { .. }
            | ProvisionError::ToolBroken { .. }
            | ProvisionError::SourceChanged(_) => Blame::Platform,
        }
    }

    /// The more telling of two reasons why a tool was not found: another version says more than a
    /// program that does not run, and that more than none at all.
    pub(crate) fn or_instead(self, other: ProvisionError) -> ProvisionError {
        match (&self, &other) {
            (ProvisionError::ToolVersion { .. } | ProvisionError::ToolNotAllowed { .. }, _)
            | (ProvisionError::ToolBroken { .. }, ProvisionError::ToolBroken { .. }) => self,
            _ => other,
        }
    }
}

/// The volume's private directory: lock, staging, the last report.
pub(crate) const PRIVATE: &str = ".injector";
/// What the private directory's files need at least, in bytes.
const RESERVE: u64 = 64 * 1024;

/// Makes the rooms of a build, and clears what a killed run left.
pub(crate) fn provision(
    volume: &Path,
    scratch: &Path,
    keep: Option<&Keep>,
    patience: Duration,
    waiting: impl FnOnce(),
) -> Result<Rooms, ProvisionError> {
    let wrong = |source| ProvisionError::Volume { path: volume.to_owned(), source };
    fs::create_dirs(volume).map_err(wrong)?;
    let volume = fs::canonical(volume).map_err(wrong)?;
    let scratch = fs::canonical(scratch)
        .map_err(|source| ProvisionError::Scratch { path: scratch.to_owned(), source })?;
    let kept = keep.map_or_else(|| scratch.join("kept"), Keep::room);
    if let Some(inside) = [&scratch, &kept].into_iter().find(|dir| dir.starts_with(&volume)) {
        return Err(ProvisionError::InVolume(inside.clone()));
    }
    let private = volume.join(PRIVATE);
    fs::create_private_dir(&private).map_err(wrong)?;
    let give_up = || signal::received().is_some();
    let lock = match volume::lock(&private.join("lock"), patience, waiting, &give_up).map_err(wrong)? {
        Locked::Held(lock) => lock,
        Locked::TimedOut | Locked::GivenUp => {
            return Err(ProvisionError::Busy { path: volume, waited: patience });
        }
    };
    let staging = private.join("staging");
    fs::remove(&staging).map_err(wrong)?;
    fs::remove(&staging.with_extension("beside")).map_err(wrong)?;
    for dir in Dir::PUBLISHED {
        fs::create_dirs(&staging.join(dir.name())).map_err(wrong)?;
    }
    fs::create_dirs(&kept).map_err(|source| ProvisionError::Scratch { path: kept.clone(), source })?;
    Ok(Rooms { volume, staging, scratch, kept, kept_in: None, _lock: lock })
}

impl Rooms {
    /// Where a room is.
    pub(crate) fn dir(&self, dir: Dir) -> PathBuf {
        match dir {
            Dir::Scratch => self.scratch.clone(),
            Dir::Kept => self.kept.clone(),
            Dir::Tree => self.staging.clone(),
            Dir::Root => "/".into(),
            Dir::Source | Dir::Deps | Dir::Out | Dir::Server => self.staging.join(dir.name()),
        }
    }

    /// A room of the tree that is no directory any more, since code that ran there put something in its place.
    pub(crate) fn replaced(&self) -> Option<Dir> {
        let rooms = [Dir::Tree].into_iter().chain(Dir::PUBLISHED);
        rooms.into_iter().find(|&dir| !fs::is_real_dir(&self.dir(dir)))
    }

    /// Removes what stands in the tree beside the rooms: code that ran there put it there.
    pub(crate) fn clear_tree(&self) -> Result<(), ProvisionError> {
        let is_room = |name: &OsString| Dir::PUBLISHED.iter().any(|dir| name == dir.name());
        let wrong = |source| ProvisionError::Volume { path: self.volume.clone(), source };
        let mut planted = fs::names(&self.staging).map_err(wrong)?.into_iter().filter(|name| !is_room(name));
        planted.try_for_each(|name| fs::remove(&self.staging.join(name))).map_err(wrong)
    }

    /// Whether a directory is a part of the volume that the function's container mounts.
    pub(crate) fn is_shared(&self, dir: &Path) -> bool {
        fs::canonical(dir).is_ok_and(|dir| dir.starts_with(&self.volume))
    }

    /// Lets what is kept be in a directory of its own, outside the volume.
    pub(crate) fn keep_in(&mut self, dir: TempDir) -> Result<(), ProvisionError> {
        let kept = dir.path.join("kept");
        if !kept.starts_with(&self.volume) {
            fs::create_dirs(&kept).map_err(|source| ProvisionError::Keep { path: kept.clone(), source })?;
            (self.kept, self.kept_in) = (kept, Some(dir));
        }
        Ok(())
    }

    /// Leaves nothing in a room.
    pub(crate) fn empty(&self, dir: Dir) -> Result<(), ProvisionError> {
        let path = self.dir(dir);
        let emptied = fs::remove(&path).and_then(|()| fs::create_dirs(&path));
        emptied.map_err(|source| match dir {
            Dir::Kept => ProvisionError::Keep { path, source },
            _ => ProvisionError::Volume { path, source },
        })
    }

    /// Whether there is nothing in a room.
    pub(crate) fn is_empty(&self, dir: Dir) -> bool {
        fs::names(&self.dir(dir)).is_ok_and(|names| names.is_empty())
    }

    /// Makes the rooms of the tree anew, with nothing in them.
    pub(crate) fn reset(&self) -> Result<(), ProvisionError> {
        self.empty(Dir::Tree)?;
        Dir::PUBLISHED.into_iter().try_for_each(|dir| self.empty(dir))
    }

    /// A directory beside the tree, with nothing in it.
    pub(crate) fn beside(&self) -> Result<PathBuf, ProvisionError> {
        let path = self.staging.with_extension("beside");
        let made = fs::remove(&path).and_then(|()| fs::create_dirs(&path));
        made.map_err(|source| ProvisionError::Volume { path: path.clone(), source })?;
        Ok(path)
    }

    /// Puts a directory beside the tree in the tree's place.
    pub(crate) fn exchange(&self, beside: &Path) -> Result<(), ProvisionError> {
        let exchanged = fs::remove(&self.staging).and_then(|()| fs::rename(beside, &self.staging));
        exchanged.map_err(|source| ProvisionError::Volume { path: self.volume.clone(), source })
    }

    /// Leaves nothing in the tree but links: their names there, and where they lead.
    pub(crate) fn link_to(&self, links: &[(OsString, PathBuf)]) -> Result<(), ProvisionError> {
        self.empty(Dir::Tree)?;
        let wrong = |source| ProvisionError::Volume { path: self.volume.clone(), source };
        let mut links = links.iter();
        links.try_for_each(|(name, to)| fs::link(to, &self.staging.join(name))).map_err(wrong)
    }

    /// Where a place is.
    pub(crate) fn place(&self, place: &Place) -> PathBuf {
        let dir = self.dir(place.dir);
        place.path.as_ref().map_or_else(|| dir.clone(), |path| dir.join(path.as_str()))
    }

    /// Puts our paths into the author's terms: files of the function as the author named them,
    /// everything else by its room.
    pub(crate) fn in_authors_terms(&self, text: &str) -> String {
        let source = self.dir(Dir::Source).display().to_string();
        let mut text = text.replace(&format!("{source}/"), "").replace(&source, ".");
        for dir in [Dir::Deps, Dir::Out, Dir::Server, Dir::Kept, Dir::Scratch, Dir::Tree] {
            let path = self.dir(dir).display().to_string();
            // A tool that runs in the root may leave out the first slash, as cargo does in what it says of manifests.
            text = text.replace(&path, &dir.to_string()).replace(&path[1..], &dir.to_string());
        }
        text
    }

    /// Whether the volume and the scratch room can hold what is to come, as far as one can know.
    pub(crate) fn preflight(
        &self,
        function: &Function,
        executes: &BTreeSet<Dir>,
    ) -> Result<(), ProvisionError> {
        let needed = RESERVE + 2 * function.files.values().map(|file| file.size).sum::<u64>();
        let space = |path: &Path| {
            volume::space(path).map_err(|source| ProvisionError::Volume { path: path.to_owned(), source })
        };
        for path in [&self.volume, &self.scratch] {
            let space = space(path)?;
            if space.free < needed {
                return Err(ProvisionError::Full { path: path.clone(), space, needed });
            }
        }
        for &room in executes {
            let path = if room.is_published() { self.volume.clone() } else { self.dir(room) };
            if space(&path)?.executes == Executes::No {
                return Err(ProvisionError::NoExec { room, path });
            }
        }
        Ok(())
    }

    /// Copies the function into its room, and checks that it is what was surveyed.
    pub(crate) fn stage(&self, survey: &Survey) -> Result<(), ProvisionError> {
        let source = self.dir(Dir::Source);
        let wrong = |source| ProvisionError::Volume { path: self.volume.clone(), source };
        let foreign = survey.foreign_deps.as_ref();
        let is_link = |path: &RelPath| survey.function.links.contains_key(path);
        for (path, file) in survey.function.files.iter().filter(|(path, _)| !is_link(path)) {
            let to = source.join(path.as_str());
            if let Some((_, bytes)) = foreign.filter(|(foreign, _)| foreign == path) {
                fs::write(&to, bytes).map_err(wrong)?;
                continue;
            }
            let copied =
                survey.mount.copy_out(path, &to, file.executable).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => ProvisionError::SourceChanged(path.clone()),
                    _ => wrong(error),
                })?;
            if copied != (file.size, file.sha256) {
                return Err(ProvisionError::SourceChanged(path.clone()));
            }
        }
        for (path, target) in &survey.function.links {
            fs::link(Path::new(target), &source.join(path.as_str())).map_err(wrong)?;
        }
        Ok(())
    }
}

impl Drop for Rooms {
    fn drop(&mut self) {
        let _ = fs::remove(&self.staging);
        let _ = fs::remove(&self.staging.with_extension("beside"));
    }
}

/// A directory that is removed with the value.
#[derive(Debug)]
pub(crate) struct TempDir {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Whether another run may take it for one that a killed run left: not as long as this lives.
    _lock: Option<Lock>,
}

/// How often a directory is made anew that another run took for one that was left. Each looks around once, so this is
/// how many may start in the same moment.
const ATTEMPTS: usize = 64;

impl TempDir {
    /// Makes one in `parent`, and removes those that killed runs left there: a pod's `/tmp` outlives
    /// its containers, and would fill up with every restart.
    pub(crate) fn new(parent: &Path) -> Result<Self, ProvisionError> {
        let wrong = |source| ProvisionError::Scratch { path: parent.to_owned(), source };
        fs::create_dirs(parent).map_err(wrong)?;
        // A directory that cannot be listed may do all the same.
        for left in fs::own_temp_dirs(parent).unwrap_or_default() {
            if let Ok(Locked::Held(_lock)) = claim(&left) {
                // Under another name first: its maker may be about to lock it, and must not find a part of it. What
                // cannot be removed is in nobody's way.
                let _ = fs::unused_temp_dir(parent)
                    .and_then(|gone| fs::rename(&left, &gone).and_then(|()| fs::remove(&gone)));
            }
        }
        for _ in 0..ATTEMPTS {
            let path = fs::create_temp_dir(parent).map_err(wrong)?;
            let lock = match claim(&path) {
                Ok(Locked::Held(lock)) => Some(lock),
                Ok(Locked::TimedOut | Locked::GivenUp) => continue,
                // Where nobody can lock, nobody takes it from us.
                Err(_) => None,
            };
            if fs::is_own_dir(&path) {
                return Ok(TempDir { path, _lock: lock });
            }
        }
        Err(wrong(io::ErrorKind::ResourceBusy.into()))
    }
}

impl TempDir {
    /// The one with these 16 digits in its name, for what is of use at one path only; `None` where somebody else has it.
    pub(crate) fn named(parent: &Path, digits: &str) -> Option<Self> {
        let path = fs::temp_dir(parent, digits);
        fs::create_private_dir(&path).ok().filter(|()| fs::is_own_dir(&path))?;
        let Ok(Locked::Held(lock)) = claim(&path) else { return None };
        // What a killed run left may be anything.
        let mut left = fs::names(&path).ok()?.into_iter().filter(|name| name != LOCK);
        left.try_for_each(|name| fs::remove(&path.join(name))).ok()?;
        Some(TempDir { path, _lock: Some(lock) })
    }
}

/// The file whose lock says that a directory is in use.
const LOCK: &str = ".lock";

/// Takes a directory, unless somebody has it.
fn claim(dir: &Path) -> io::Result<Locked> {
    volume::lock(&dir.join(LOCK), Duration::ZERO, || {}, &|| true)
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove(&self.path);
    }
}

/// Who we are, for the words of an error about permissions.
pub(crate) fn user() -> String {
    host::user()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_a_directory_that_is_just_made_for_one_that_was_left() {
        let parent = tempfile::tempdir().expect("a directory");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..250 {
                        let made = TempDir::new(parent.path()).expect("a directory");
                        assert!(fs::is_file(&made.path.join(LOCK)), "{} was taken", made.path.display());
                    }
                });
            }
        });
        assert_eq!(fs::names(parent.path()).expect("a directory"), [""; 0]);
    }
}
