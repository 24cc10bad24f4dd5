//! A tree of files as a whole: taken with digests, put back verified.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

mod copy;
mod error;
mod manifest;
mod place;
mod shards;
#[cfg(test)]
mod tests;

pub(crate) use self::error::{TreeError, Wrong};
pub(crate) use self::manifest::{Digest, Entry, File, Manifest};
pub(crate) use self::shards::{COUNT, Unpack, cut, pack_to};

use self::copy::{LARGE, copied, digested, each};
use self::place::{Found, Place};
use super::fs;

/// Whether the times of files are part of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// They are: somebody goes by them, as cargo does.
    Kept,
    /// They are not: trees of equal content are equal.
    Dropped,
}

/// Whether an entry is passed over; a directory with all that is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// Passes over nothing.
pub(crate) fn nothing(_: &str) -> Skip {
    Skip::No
}

/// Says what is in `from`, and copies it to `to` meanwhile, a directory that is made. What a file may do is put in
/// order on the way: all may read it, its owner may write to it, and a program stays one.
pub(crate) fn take(
    from: &Path,
    to: Option<&Path>,
    skip: &dyn Fn(&str) -> Skip,
    times: Times,
) -> Result<Manifest, TreeError> {
    let source = Place::open(from).map_err(TreeError::source(from))?;
    let target = to.map(opened).transpose()?;
    let mut entries = Vec::new();
    let mut files = Vec::new();
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        for found in source.list(&dir)? {
            let (path, found) = found?;
            if skip(&path) == Skip::Yes {
                continue;
            }
            match found {
                Found::File => files.push(path),
                Found::Link(text) => {
                    if let Some(target) = &target {
                        target.link(&path, &text)?;
                    }
                    entries.push((path, Entry::Link(text)));
                }
                Found::Dir => {
                    if let Some(target) = &target {
                        target.make_dir(&path)?;
                    }
                    dirs.push(path.clone());
                    entries.push((path, Entry::Dir {}));
                }
            }
        }
    }
    let taken = each(&files, |path, buffer| digested(path, &source, target.as_ref(), times, buffer))?;
    entries.extend(taken.into_iter().map(|(index, entry)| (std::mem::take(&mut files[index]), entry)));
    Ok(Manifest(entries.into_iter().collect()))
}

/// Copies a tree from where [`take`] left it to `to`, which is made if it is missing. Each file that is not what it was
/// is an error; what has been copied until then stays. No link is followed.
pub(crate) fn put(
    manifest: &Manifest,
    from: &Path,
    to: &Path,
    skip: &dyn Fn(&str) -> Skip,
    times: Times,
) -> Result<(), TreeError> {
    let source = Place::open(from).map_err(TreeError::source(from))?;
    let target = opened(to)?;
    let mut files = Vec::new();
    let mut skipped = BTreeSet::new();
    for (path, entry) in &manifest.0 {
        let within_skipped = path.rsplit_once('/').is_some_and(|(parent, _)| skipped.contains(parent));
        if within_skipped || skip(path) == Skip::Yes {
            skipped.insert(path.as_str());
        } else if let Some(file) = File::of(path, entry) {
            files.push(file);
        } else {
            target.lay(path, entry)?;
        }
    }
    // The largest ones first, so that none is begun when all others are done; the rest as they lie side by side.
    files.sort_by_key(|file| Reverse(file.size / LARGE));
    let may_clone = AtomicBool::new(true);
    each(&files, |file, buffer| copied(file, &source, &target, times, &may_clone, buffer))?;
    Ok(())
}

/// Makes the directories and links of a tree; its files are still to come.
pub(crate) fn lay(manifest: &Manifest, root: &Path) -> Result<(), TreeError> {
    let target = opened(root)?;
    manifest.0.iter().try_for_each(|(path, entry)| target.lay(path, entry))
}

/// Sees to it that a directory holds a tree, all of it and nothing else; times aside.
pub(crate) fn verify(manifest: &Manifest, dir: &Path) -> Result<(), TreeError> {
    let found = take(dir, None, &nothing, Times::Dropped)?;
    for (path, entry) in &manifest.0 {
        if let Some(what) = difference(entry, found.0.get(path)) {
            return Err(TreeError::wrong(path, what));
        }
    }
    let strange = found.0.keys().find(|path| !manifest.0.contains_key(*path));
    strange.map_or(Ok(()), |path| Err(TreeError::wrong(path, Wrong::Strange)))
}

/// How what is found differs from what was there; times aside.
fn difference(was: &Entry, found: Option<&Entry>) -> Option<Wrong> {
    let Some(found) = found else { return Some(Wrong::Missing) };
    let (Some(was_file), Some(file)) = (File::of("", was), File::of("", found)) else {
        return (was != found).then_some(Wrong::Kind);
    };
    match file.size.cmp(&was_file.size) {
        Ordering::Less => Some(Wrong::Shorter),
        Ordering::Greater => Some(Wrong::Longer),
        Ordering::Equal if file.digest != was_file.digest => Some(Wrong::Content),
        Ordering::Equal => (file.executable != was_file.executable).then_some(Wrong::Mode),
    }
}

/// A directory to write to, made where it is missing.
fn opened(dir: &Path) -> Result<Place, TreeError> {
    fs::create_dirs(dir).and_then(|()| Place::open(dir)).map_err(TreeError::target(dir))
}
