//! tar, block by block: the crate reads a header's fields, and nothing that describes an entry is kept unbounded.

use std::io::Read;

use tar::Header;

use super::refusal::{MAX_PATH, shown};
use super::room::{Execute, Room};
use super::{ARCHIVE, Refusal, UnpackError, awake, read_full};

/// What headers and the padding of files are multiples of.
const BLOCK: usize = 512;
/// The most bytes of a long name: one that is too long for a path shall be refused as such.
const MAX_LONG_NAME: u64 = 4 * MAX_PATH as u64;
/// The most bytes of a pax header: next to names there may be attributes, which we do not keep.
const MAX_PAX: u64 = 1 << 20;
/// The largest size that a header's own field can hold in octal digits.
const MAX_OCTAL: u64 = 0o777_7777_7777;

/// The most bytes that bzip2 compresses at once.
const BZIP2_BLOCK: u64 = 900_000;

/// Whether this begins with a tar's header, or is the empty tar.
pub(super) fn begins(start: &[u8]) -> bool {
    start.first_chunk::<BLOCK>().is_some_and(|block| is_zero(block) || is_header(block))
}

/// Unpacks what a stream holds, and reads it to its end.
pub(super) fn unpack(stream: &mut dyn Read, room: &mut Room<'_>) -> Result<(), UnpackError> {
    let mut described = Described::default();
    let mut first = true;
    while let Some(header) = next(stream, first)? {
        first = false;
        let kind = header.as_old().linkflag[0];
        let size = header.entry_size().map_err(|_| no_number("size", &header.path_bytes()))?;
        match kind {
            b'L' | b'K' | b'x' | b'g' => {
                let (entry, most) = match kind {
                    b'L' | b'K' => ("a long name", MAX_LONG_NAME),
                    _ => ("a pax header", MAX_PAX),
                };
                // Of these there may be any number, and what they hold costs as much as any content.
                room.pass_over(entry, size.saturating_add(BLOCK as u64))?;
                let bytes = read_description(stream, entry, size, most)?;
                described.add(kind, bytes)?;
            }
            _ => unpack_entry(stream, room, &header, size, std::mem::take(&mut described))?,
        }
    }
    if described != Described::default() {
        return Err(broken("it ends with a header that describes an entry which does not follow"));
    }
    drain(stream, room)
}

/// What headers of their own say of the entry that follows them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Described {
    long_name: Option<Vec<u8>>,
    long_target: Option<Vec<u8>>,
    pax: Option<Pax>,
}

/// What a pax header says, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pax {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Described {
    fn add(&mut self, kind: u8, bytes: Vec<u8>) -> Result<(), UnpackError> {
        let twice = match kind {
            b'L' => self.long_name.replace(until_nul(bytes)).is_some(),
            b'K' => self.long_target.replace(until_nul(bytes)).is_some(),
            b'x' => self.pax.replace(Pax::read(&bytes)?).is_some(),
            // What holds for all entries are times, owners and remarks, such as git's.
            _ if Pax::read(&bytes)? != Pax::default() => {
                return Err(broken("a global pax header says which path or size all entries have"));
            }
            _ => false,
        };
        if twice { Err(broken("two headers of a kind describe one entry")) } else { Ok(()) }
    }
}

impl Pax {
    /// Reads records such as `30 mtime=1350244992.023960108\n`.
    fn read(mut bytes: &[u8]) -> Result<Self, UnpackError> {
        let mut pax = Pax::default();
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes).ok_or_else(|| broken("a pax header cannot be read"))?;
            let text = (!value.is_empty()).then(|| value.to_vec());
            match key {
                b"path" => pax.path = text,
                b"linkpath" => pax.target = text,
                b"size" => {
                    let size = str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                    pax.size = Some(size.ok_or_else(|| broken("a pax header has a size that is no number"))?);
                }
                key => pax.sparse |= key.starts_with(b"GNU.sparse."),
            }
            bytes = rest;
        }
        Ok(pax)
    }
}

/// The first record of a pax header, and what follows it. Its length counts: values may have line breaks.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let pair = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((&pair[..equals], &pair[equals + 1..], rest))
}

fn unpack_entry(
    stream: &mut dyn Read,
    room: &mut Room<'_>,
    header: &Header,
    size: u64,
    described: Described,
) -> Result<(), UnpackError> {
    let pax = described.pax.unwrap_or_default();
    let name = pax.path.or(described.long_name).unwrap_or_else(|| header.path_bytes().into_owned());
    let name = name.as_slice();
    let entry = shown(name);
    let refuse = |refusal: Refusal| Err(refusal.of(&entry));
    if pax.sparse {
        return refuse(Refusal::Sparse);
    }
    let size = match pax.size {
        // Whoever believes the one reads other entries than who believes the other.
        Some(other) if other != size && other <= MAX_OCTAL => {
            return refuse(Refusal::Broken(format!("its headers say that it has {size} bytes, and {other}")));
        }
        other => other.unwrap_or(size),
    };
    let target = || {
        let own = || header.link_name_bytes().map(std::borrow::Cow::into_owned);
        pax.target.or(described.long_target).or_else(own).unwrap_or_default()
    };
    let kind = match (header.as_old().linkflag[0], name) {
        // As tars were before they knew directories.
        (0 | b'0', [.., b'/']) => b'5',
        (0 | b'7', _) => b'0',
        (kind, _) => kind,
    };
    let content = match kind {
        b'1' | b'2' => Some("link"),
        b'5' => Some("directory"),
        _ => None,
    };
    if let Some(content) = content.filter(|_| size > 0) {
        return refuse(Refusal::Content(content));
    }
    match kind {
        b'0' => {
            let mode = header.mode().map_err(|_| no_number("mode", name))?;
            let execute = execute(mode).map_err(|refusal| refusal.of(&entry))?;
            room.file(name, size, execute, &mut stream.take(size))?;
            skip_padding(stream, size, &entry)
        }
        b'1' => room.hard_link(name, &target()),
        b'2' => room.symlink(name, &target()),
        b'3' => refuse(Refusal::Special("character device")),
        b'4' => refuse(Refusal::Special("block device")),
        b'5' => room.directory(name),
        b'6' => refuse(Refusal::Special("FIFO")),
        b'S' => refuse(Refusal::Sparse),
        kind => refuse(Refusal::Kind(kind)),
    }
}

/// Whether a file of this mode is a program.
pub(super) fn execute(mode: u32) -> Result<Execute, Refusal> {
    if mode & 0o4000 != 0 {
        return Err(Refusal::Privileged("setuid"));
    }
    if mode & 0o2000 != 0 {
        return Err(Refusal::Privileged("setgid"));
    }
    Ok(if mode & 0o100 != 0 { Execute::Yes } else { Execute::No })
}

/// The next header; `None` at the mark of the end, two blocks of zeros.
fn next(stream: &mut dyn Read, first: bool) -> Result<Option<Header>, UnpackError> {
    awake()?;
    let mut header = Header::new_old();
    let block = header.as_mut_bytes();
    let count = read_full(stream, block, ARCHIVE)?;
    if first && !begins(&block[..count]) {
        // What bzip2 makes of a damaged block is compared with its checksum only where the block ends.
        let rest = std::io::copy(&mut stream.take(BZIP2_BLOCK), &mut std::io::sink());
        rest.map_err(|error| UnpackError::unreadable(ARCHIVE, error))?;
        return Err(UnpackError::not_an_archive(&block[..count]));
    }
    if count < BLOCK {
        return Err(broken("it is cut short: a tar archive ends with two blocks of zeros"));
    }
    if is_zero(block) {
        let count = read_full(stream, block, ARCHIVE)?;
        if count < BLOCK || !is_zero(block) {
            return Err(broken(
                "it is cut short, or damaged: one block of zeros stands where two mark the end",
            ));
        }
        return Ok(None);
    }
    if is_header(block) {
        return Ok(Some(header));
    }
    Err(if first { UnpackError::not_an_archive(block) } else { broken("the checksum of a header is wrong") })
}

/// Reads on to the end, so that the compression's own checksum is compared.
fn drain(stream: &mut dyn Read, room: &mut Room<'_>) -> Result<(), UnpackError> {
    let mut block = [0; 8 * BLOCK];
    loop {
        awake()?;
        let count = read_full(stream, &mut block, ARCHIVE)?;
        room.pass_over("what follows the last entry", count as u64)?;
        if !is_zero(&block[..count]) {
            return Err(broken("something follows the mark of its end"));
        }
        if count < block.len() {
            return Ok(());
        }
    }
}

fn read_description(
    stream: &mut dyn Read,
    entry: &str,
    size: u64,
    most: u64,
) -> Result<Vec<u8>, UnpackError> {
    if size > most {
        return Err(Refusal::Broken(format!("it has {size} bytes, and {most} are allowed")).of(entry));
    }
    let mut bytes = Vec::new();
    let read = stream.take(size).read_to_end(&mut bytes);
    read.map_err(|error| UnpackError::unreadable(entry, error))?;
    skip_padding(stream, size, entry)?;
    Ok(bytes)
}

/// Skips what fills up the last block; the end there means that the content was cut, too.
fn skip_padding(stream: &mut dyn Read, size: u64, entry: &str) -> Result<(), UnpackError> {
    let rest = (size % BLOCK as u64).try_into().unwrap_or(0);
    let mut padding = [0; BLOCK];
    let padding = &mut padding[..(BLOCK - rest) % BLOCK];
    if read_full(stream, padding, entry)? < padding.len() {
        return Err(Refusal::Broken("it is cut short".to_owned()).of(entry));
    }
    Ok(())
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Whether a block's checksum is that of a header: the sum of its bytes, with the checksum itself as blanks.
fn is_header(block: &[u8; BLOCK]) -> bool {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let header = Header::from_byte_slice(block);
    let found = sum(&block[..148]) + sum(&[b' '; 8]) + sum(&block[156..]);
    header.cksum().is_ok_and(|expected| expected == found)
}

/// Names end with a NUL.
fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

fn no_number(field: &str, name: &[u8]) -> UnpackError {
    Refusal::Broken(format!("the {field} in its header is no number")).of(&shown(name))
}

fn broken(what: &str) -> UnpackError {
    Refusal::Broken(what.to_owned()).of(ARCHIVE)
}
