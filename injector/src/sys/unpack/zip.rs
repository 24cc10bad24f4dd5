//! zip, by its directory, which is read piece by piece: 100,000 entries take no more memory than one.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};

use flate2::bufread::DeflateDecoder;
use rawzip::{
    CompressionMethod, CreatorSystem, ErrorKind, FileReader, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ZipArchive,
    ZipEntry, ZipFileHeaderRecord, ZipLocator,
};

use super::compression::Compression;
use super::refusal::{MAX_PATH, shown};
use super::room::Room;
use super::tar::execute;
use super::{ARCHIVE, CHUNK, Interruptible, Patience, Refusal, UnpackError};

/// The record at the end with the longest remark.
const MAX_END: u64 = 22 + u16::MAX as u64;
/// The most bytes between two entries: what a streamed one is followed by.
const MAX_DESCRIPTOR: u64 = 24;
/// A name and extra fields, each as long as can be.
const MAX_LOCAL_HEADER: usize = 2 * u16::MAX as usize;

/// Unpacks a file of `size` bytes.
pub(super) fn unpack(file: File, size: u64, room: &mut Room<'_>) -> Result<(), UnpackError> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let locator = ZipLocator::new().max_search_space(MAX_END);
    let archive =
        locator.locate_in_file(file, &mut buffer).map_err(|(_, error)| unreadable(ARCHIVE, error))?;
    if archive.end_offset() != size {
        return Err(broken("something follows its end"));
    }
    let mut local = vec![0; MAX_LOCAL_HEADER];
    let mut places = Vec::new();
    let mut unclaimed = size;
    let mut entries = archive.entries(&mut buffer);
    while let Some(record) = entries.next_entry().map_err(|error| unreadable(ARCHIVE, error))? {
        places.push(unpack_entry(&archive, &record, &mut local, &mut unclaimed, room)?);
    }
    // Where there are more than 65,535 entries, some programs write what is left of their number in 16 bits.
    if places.len() as u64 % (1 << 16) != archive.entries_hint() % (1 << 16) {
        let (found, said) = (places.len(), archive.entries_hint());
        return Err(broken(&format!("it lists {found} entries, and says that there are {said}")));
    }
    places.push((archive.directory_offset(), archive.directory_offset()));
    whole(places)
}

/// Sees to it that entries neither overlap nor leave room for others, which another program might find.
fn whole(mut places: Vec<(u64, u64)>) -> Result<(), UnpackError> {
    places.sort_unstable();
    let mut end = 0;
    for (start, next) in places {
        if start < end {
            return Err(broken(&format!("two of its entries share the bytes at {start}")));
        }
        if start - end > MAX_DESCRIPTOR {
            return Err(broken(&format!("the {} bytes at {end} belong to no entry", start - end)));
        }
        end = next;
    }
    Ok(())
}

/// Unpacks an entry, and says which bytes of the archive are its.
fn unpack_entry(
    archive: &ZipArchive<FileReader>,
    record: &ZipFileHeaderRecord<'_>,
    local: &mut [u8],
    unclaimed: &mut u64,
    room: &mut Room<'_>,
) -> Result<(u64, u64), UnpackError> {
    let name = record.file_path().as_bytes();
    let shown = shown(name);
    let refuse = |refusal: Refusal| Err(refusal.of(&shown));
    if name.contains(&b'\\') {
        return refuse(Refusal::Backslash);
    }
    let entry = archive.get_entry(record.wayfinder()).map_err(|error| unreadable(&shown, error))?;
    agree(record, &entry, local)?;
    let place = (record.local_header_offset(), entry.compressed_data_range().1);
    // Entries that share bytes cost time for each of them: who looks only when all are unpacked may never come to it.
    let rest = unclaimed.checked_sub(place.1.saturating_sub(place.0));
    *unclaimed = rest.ok_or_else(|| broken("some of its entries share bytes"))?;
    let mode = match record.version_made_by().creator_system() {
        CreatorSystem::UNIX | CreatorSystem::MACOS => record.external_attributes() >> 16,
        _ => 0,
    };
    let size = record.uncompressed_size_hint();
    match (mode & 0o170_000, name.ends_with(b"/")) {
        (0 | 0o100_000 | 0o040_000, true) | (0o040_000, false) => {
            if size > 0 {
                return refuse(Refusal::Content("directory"));
            }
            room.directory(name)?;
        }
        (0 | 0o100_000, false) => {
            let execute = execute(mode).map_err(|refusal| refusal.of(&shown))?;
            read(record, &entry, (room.limits().window, room.patience()), &mut |content| {
                room.file(name, size, execute, content)
            })?;
        }
        (0o120_000, false) => {
            if size > MAX_PATH as u64 {
                return refuse(Refusal::LongPath(usize::try_from(size).unwrap_or(usize::MAX)));
            }
            let mut target = Vec::new();
            read(record, &entry, (room.limits().window, room.patience()), &mut |content| {
                content
                    .read_to_end(&mut target)
                    .map(drop)
                    .map_err(|error| UnpackError::unreadable(&shown, error))
            })?;
            room.symlink(name, &target)?;
        }
        (0o120_000, true) => return refuse(Refusal::Content("directory")),
        (0o020_000, _) => return refuse(Refusal::Special("character device")),
        (0o060_000, _) => return refuse(Refusal::Special("block device")),
        (0o010_000, _) => return refuse(Refusal::Special("FIFO")),
        (0o140_000, _) => return refuse(Refusal::Special("socket")),
        (kind, _) => return refuse(Refusal::Broken(format!("its mode is {kind:o}"))),
    }
    Ok(place)
}

/// Sees to it that an entry's own header says what the directory says, since some programs go by the one.
fn agree(
    record: &ZipFileHeaderRecord<'_>,
    entry: &ZipEntry<'_, FileReader>,
    buffer: &mut [u8],
) -> Result<(), UnpackError> {
    let name = record.file_path().as_bytes();
    let shown = shown(name);
    let own = entry.local_header(buffer).map_err(|error| unreadable(&shown, error))?;
    for flags in [record.flags(), own.flags()] {
        if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
            return Err(Refusal::Encrypted.of(&shown));
        }
    }
    let differs = if own.file_path().as_bytes() != name {
        "name"
    } else if own.compression_method() != record.compression_method() {
        "compression"
    } else if own.flags().has_data_descriptor() {
        return Ok(());
    } else if own.uncompressed_size_hint() != record.uncompressed_size_hint()
        || own.compressed_size_hint() != record.compressed_size_hint()
    {
        "size"
    } else if own.crc32() != record.crc32() {
        "checksum"
    } else {
        return Ok(());
    };
    let what = format!("its own header has another {differs} than the archive's directory");
    Err(Refusal::Broken(what).of(&shown))
}

/// Hands on the content of an entry, and sees to it that all of it was read and is what was packed.
fn read(
    record: &ZipFileHeaderRecord<'_>,
    entry: &ZipEntry<'_, FileReader>,
    (window, patience): (u64, Patience),
    with: &mut dyn FnMut(&mut dyn Read) -> Result<(), UnpackError>,
) -> Result<(), UnpackError> {
    let shown = shown(record.file_path().as_bytes());
    let mut input = BufReader::with_capacity(CHUNK, Interruptible(entry.reader(), patience));
    let compression = match record.compression_method() {
        CompressionMethod::STORE => Some(Compression::None),
        CompressionMethod::DEFLATE => None,
        CompressionMethod::BZIP2 => Some(Compression::Bzip2),
        CompressionMethod::ZSTD => Some(Compression::Zstd),
        CompressionMethod::XZ => Some(Compression::Xz),
        other => {
            let name = other.name().map_or_else(|| format!("method {}", other.as_u16()), str::to_owned);
            return Err(Refusal::Method(name).of(&shown));
        }
    };
    let decoder: Box<dyn Read + '_> = match compression {
        None => Box::new(DeflateDecoder::new(&mut input)),
        Some(compression) => {
            let decoder = compression.decoder(&mut input, window);
            decoder.map_err(|error| UnpackError::unreadable(&shown, error))?
        }
    };
    with(&mut entry.verifying_reader(decoder))?;
    let rest = input.fill_buf().map_err(|error| UnpackError::unreadable(&shown, error))?;
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Broken("its data goes on after its end".to_owned()).of(&shown))
    }
}

fn unreadable(entry: &str, error: rawzip::Error) -> UnpackError {
    let what = match error.into_kind() {
        ErrorKind::IO(error) => return UnpackError::unreadable(entry, error),
        ErrorKind::Eof => "it is cut short".to_owned(),
        ErrorKind::MissingEndOfCentralDirectory => {
            "its directory, which stands at the end of a zip archive, is missing: it may be cut short"
                .to_owned()
        }
        other => other.to_string(),
    };
    Refusal::Broken(what).of(entry)
}

fn broken(what: &str) -> UnpackError {
    Refusal::Broken(what.to_owned()).of(ARCHIVE)
}
