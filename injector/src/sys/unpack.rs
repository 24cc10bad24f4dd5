//! Archives: zip and tar are unpacked into a room that nothing leaves, and what has no place in a function is refused.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::Path;
use std::time::{Duration, Instant};

use builders::diagnostic::Blame;

use crate::content::{Bytes, Limits};

mod compression;
mod refusal;
mod room;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

pub(crate) use compression::Compression;
pub(crate) use refusal::Refusal;
use room::Room;

/// Unpacks an archive into `room`, an empty directory, in `allowed` at most. If that fails, the room is empty again.
pub(crate) fn unpack(
    archive: &Path,
    room: &Path,
    limits: &Limits,
    allowed: Duration,
) -> Result<Unpacked, UnpackError> {
    let (mut file, _) = super::fs::open(archive)?.into_parts();
    let size = file.metadata()?.len();
    let mut start = Vec::new();
    (&mut file).take(START).read_to_end(&mut start)?;
    file.rewind()?;
    let format = recognise(&start).ok_or_else(|| UnpackError::not_an_archive(&start))?;
    let mut room = Room::open(room, limits, size, Patience::of(allowed))?;
    let filled = fill(format, file, size, &mut room);
    match filled.and_then(|()| room.finish()) {
        Ok(()) => Ok(Unpacked { format, entries: room.entries(), bytes: room.bytes() }),
        Err(error) => {
            // Of the two failures, the first is the one to be told.
            let _ = room.clear();
            Err(error)
        }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unpacked {
    /// What kind of archive it was.
    pub(crate) format: Format,
    /// Files, directories and links that it lists.
    pub(crate) entries: u64,
    /// Bytes of its files.
    pub(crate) bytes: u64,
}

/// A kind of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// zip.
    Zip,
    /// tar, as it is or compressed as a whole.
    Tar(Compression),
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Format::Zip => f.write_str("a zip archive"),
            Format::Tar(Compression::None) => f.write_str("a tar archive"),
            Format::Tar(compression) => write!(f, "a tar archive compressed with {compression}"),
        }
    }
}

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// It is something else.
    #[error("it is no zip or tar archive: {0}")]
    NotAnArchive(String),
    /// Something in it has no place in a function.
    #[error("{entry} {refusal}")]
    Refused {
        /// The entry, as it names itself, or the archive as a whole.
        entry: String,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// It was compressed with more memory than is allowed for it to be decompressed.
    #[error(
        "the archive was compressed with {}, and {} are allowed (INJECTOR_MAX_WINDOW)",
        .found.map_or_else(|| "too large a window".to_owned(), |found| format!("a window of {}", Bytes(found))),
        Bytes(*.allowed)
    )]
    Window {
        /// How much a decompressor would have to look back on, in bytes, where that is known.
        found: Option<u64>,
        /// How much it may, in bytes.
        allowed: u64,
    },
    /// It takes longer than a stage may.
    #[error("it was not unpacked within {} s", .0.as_secs())]
    TookTooLong(Duration),
    /// We were told to stop.
    #[error("unpacking was stopped by a signal")]
    Stopped,
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl UnpackError {
    /// Who can mend it.
    pub(crate) fn blame(&self) -> Blame {
        match self {
            UnpackError::NotAnArchive(_) | UnpackError::Refused { .. } | UnpackError::Window { .. } => {
                Blame::Author
            }
            UnpackError::TookTooLong(_) | UnpackError::Stopped | UnpackError::Io(_) => Blame::Platform,
        }
    }

    /// What begins like this is no archive.
    fn not_an_archive(start: &[u8]) -> Self {
        const MOST: usize = 60;
        let line = start.trim_ascii_start().split(|byte| matches!(byte, b'\n' | b'\r')).next();
        let shown: String = String::from_utf8_lossy(line.unwrap_or_default())
            .chars()
            .map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char })
            .take(MOST)
            .collect();
        UnpackError::NotAnArchive(match start {
            [] => "it is empty".to_owned(),
            _ => format!("it begins with {:?}", shown.trim_end()),
        })
    }

    /// What came of reading an entry: damage, or a failure of something else that was passed through a decoder.
    fn unreadable(entry: &str, error: io::Error) -> Self {
        if error.raw_os_error().is_some() {
            return UnpackError::Io(error);
        }
        match error.downcast::<UnpackError>() {
            Ok(error) => error,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Refusal::Broken("it is cut short".to_owned()).of(entry)
            }
            Err(error) => Refusal::Broken(error.to_string()).of(entry),
        }
    }
}

/// What an archive is, by how it begins. Of what is compressed, only the compression can be seen.
pub(crate) fn recognise(start: &[u8]) -> Option<Format> {
    const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
    if ZIP.iter().any(|magic| start.starts_with(magic)) {
        return Some(Format::Zip);
    }
    let compression = Compression::of(start);
    if compression != Compression::None || tar::begins(start) {
        return Some(Format::Tar(compression));
    }
    None
}

/// The archive as a whole, where no entry of it is to blame.
const ARCHIVE: &str = "the archive";
/// As much of an archive as says what it is: the first block of a tar.
const START: u64 = 512;
/// What is read at once.
const CHUNK: usize = 64 << 10;

fn fill(format: Format, file: File, size: u64, room: &mut Room<'_>) -> Result<(), UnpackError> {
    match format {
        Format::Zip => zip::unpack(file, size, room),
        Format::Tar(compression) => {
            let file = BufReader::with_capacity(CHUNK, Interruptible(file, room.patience()));
            let decoded = compression.decoder(file, room.limits().window);
            let mut stream = decoded.map_err(|error| UnpackError::unreadable(ARCHIVE, error))?;
            tar::unpack(&mut stream, room)
        }
    }
}

/// Reads until the buffer is full or the stream ends.
fn read_full(stream: &mut dyn Read, buffer: &mut [u8], entry: &str) -> Result<usize, UnpackError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(UnpackError::unreadable(entry, error)),
        }
    }
    Ok(filled)
}

/// A file that ends with an error where we were told to stop, or have no more time: a decoder that reads on and on, and
/// has nothing to hand out, asks nobody else.
struct Interruptible<R>(R, Patience);

impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        awake().and_then(|()| self.1.lasts()).map_err(io::Error::other)?;
        self.0.read(buffer)
    }
}

/// How long unpacking may take.
#[derive(Debug, Clone, Copy)]
struct Patience {
    begun: Instant,
    allowed: Duration,
}

impl Patience {
    fn of(allowed: Duration) -> Self {
        Patience { begun: Instant::now(), allowed }
    }

    fn lasts(self) -> Result<(), UnpackError> {
        if self.begun.elapsed() < self.allowed { Ok(()) } else { Err(UnpackError::TookTooLong(self.allowed)) }
    }
}

/// Stops where we were told to.
fn awake() -> Result<(), UnpackError> {
    if super::signal::received().is_some() { Err(UnpackError::Stopped) } else { Ok(()) }
}
