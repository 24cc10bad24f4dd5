//! Archives, as bytes and as lists of entries: what is unpacked, and what is left of what was refused.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io, process};

use builders::diagnostic::Blame;
use builders::function::RelPath;
use tar::Header;

use super::archives;
use crate::content::Limits;
use crate::sys::unpack::{Unpacked, recognise, unpack as unpack_file};

/// What a well-behaved archive needs, and a hostile one exceeds.
/// Longer than any input takes.
const AMPLE: Duration = Duration::from_mins(15);
const LIMITS: Limits =
    Limits { download: 1 << 20, unpacked: 1 << 20, ratio: 100, entries: 64, depth: 8, window: 8 << 20 };
/// The longest sentence about an archive, in bytes: two names of entries, and words.
const SENTENCE: usize = 600;

/// An archive is unpacked within its room and its limits, or refused, and then nothing is left of it. The checksums of
/// a tar's headers are put right first, since nothing else would be tried.
///
/// # Panics
/// When that does not hold.
pub fn unpack(data: &[u8]) {
    let mut archive = data.to_vec();
    if recognise(data).is_none() {
        put_right(&mut archive);
    }
    unpacks(&archive);
}

/// The same of an archive that is written from a list of entries, as [`archives::write`] reads it.
///
/// # Panics
/// When that does not hold.
pub fn entries(data: &[u8]) {
    unpacks(&archives::write(data));
}

/// Gives each header of a tar the checksum that it should have.
fn put_right(tar: &mut [u8]) {
    let mut rest = tar;
    while let Some((block, after)) = rest.split_at_mut_checked(512) {
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        if block.iter().any(|byte| *byte != 0) {
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        let size = header.entry_size().ok().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        let content = size.checked_next_multiple_of(512).unwrap_or(0);
        rest = after.split_at_mut_checked(content).map_or(&mut [], |(_, rest)| rest);
    }
}

fn unpacks(archive: &[u8]) {
    let place = Place::new(archive).unwrap_or_else(|error| panic!("there is no place to unpack in: {error}"));
    let outcome = unpack_file(&place.0.join("archive"), &place.0.join("room"), &LIMITS, AMPLE);
    let found = place.found().unwrap_or_else(|error| panic!("what was unpacked cannot be read: {error}"));
    assert!(found.strange.is_empty(), "it made {:?}", found.strange);
    match outcome {
        Ok(Unpacked { entries, bytes, .. }) => {
            assert!(
                found.entries <= entries && entries <= LIMITS.entries,
                "{entries}, not {}",
                found.entries
            );
            assert!(found.bytes == bytes && bytes <= LIMITS.unpacked, "{bytes}, not {}", found.bytes);
        }
        Err(error) => {
            assert_eq!(found.entries, 0, "something is left although {error}");
            assert_eq!(error.blame(), Blame::Author, "{error}");
            let said = error.to_string();
            assert!(said.len() <= SENTENCE && !said.contains(char::is_control), "{said:?}");
        }
    }
    assert!(place.is_untouched(), "something outside of the room was changed");
}

/// A directory with an archive, an empty room, and something that must stay as it is.
struct Place(PathBuf);

/// What is in a room.
#[derive(Default)]
struct Found {
    entries: u64,
    bytes: u64,
    /// What leads elsewhere, has a name or a mode that is refused, or is neither file nor directory nor link.
    strange: Vec<PathBuf>,
}

impl Place {
    fn new(archive: &[u8]) -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let above = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
        let place = Place(above.join(format!("injector-fuzz-{}", process::id())));
        fs::create_dir_all(place.0.join("room"))?;
        fs::write(place.0.join("precious"), "precious")?;
        fs::set_permissions(place.0.join("precious"), fs::Permissions::from_mode(0o600))?;
        fs::write(place.0.join("archive"), archive)?;
        Ok(place)
    }

    /// Whether what is beside the room is what was there before, under no further name.
    fn is_untouched(&self) -> bool {
        let untouched = || {
            let mut names: Vec<_> =
                fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
            names.sort();
            let precious = self.0.join("precious");
            let is = fs::symlink_metadata(&precious)?;
            let same = is.is_file() && is.nlink() == 1 && is.mode() & 0o7777 == 0o600;
            Ok::<_, io::Error>(
                names == ["archive", "precious", "room"] && same && fs::read(precious)? == b"precious",
            )
        };
        untouched().unwrap_or(false)
    }

    fn found(&self) -> io::Result<Found> {
        let room = self.0.join("room").canonicalize()?;
        let mut found = Found::default();
        found.look(&room, &room)?;
        Ok(found)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Found {
    /// Counts what is in a directory of the room, and notes what no archive may make.
    fn look(&mut self, room: &Path, dir: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let metadata = fs::symlink_metadata(&path)?;
            self.entries += 1;
            let within = path.strip_prefix(room).ok().and_then(Path::to_str).map(str::parse::<RelPath>);
            let is_strange = if metadata.is_symlink() {
                !path.canonicalize()?.starts_with(room)
            } else {
                !(metadata.is_dir() || metadata.is_file()) || metadata.mode() & 0o7000 != 0
            };
            if is_strange || !matches!(within, Some(Ok(_))) {
                self.strange.push(path.clone());
            }
            if metadata.is_dir() {
                self.look(room, &path)?;
            } else if metadata.is_file() {
                self.bytes += metadata.len();
            }
        }
        Ok(())
    }
}
