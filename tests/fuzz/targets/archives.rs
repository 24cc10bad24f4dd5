//! Writes archives from lists of entries, so that mutations change what an archive says, and not whether it is one.

use std::io::{self, Write};

use flate2::write::{DeflateEncoder, GzEncoder};
use tar::Header;

/// Writes an archive. The first line says which: `tar`, `gzip`, `bzip2`, `zstd`, `zip` or `deflate`, a zip that is
/// compressed. Each line after it is an entry: a kind as tar has it (`0` is a file), with `:` and a mode in octal
/// digits if it has one, then a name, then its content or what it links to; `\n` is a line break. Lines of kind `x`
/// and `g` have records instead, such as `path=a/b`.
pub(super) fn write(list: &[u8]) -> Vec<u8> {
    let mut lines = list.split(|byte| *byte == b'\n');
    let form = lines.next().unwrap_or_default();
    let entries: Vec<Entry<'_>> = lines.filter_map(Entry::read).collect();
    let tar = || {
        let mut tar: Vec<u8> = entries.iter().flat_map(Entry::in_tar).collect();
        tar.resize(tar.len() + 2 * 512, 0);
        tar
    };
    let written = match form {
        b"gzip" => packed(&tar(), |out| GzEncoder::new(out, flate2::Compression::fast()), GzEncoder::finish),
        b"bzip2" => packed(
            &tar(),
            |out| bzip2::write::BzEncoder::new(out, bzip2::Compression::fast()),
            bzip2::write::BzEncoder::finish,
        ),
        b"zstd" => zstd::encode_all(tar().as_slice(), 1),
        b"zip" => Ok(zip(&entries, false)),
        b"deflate" => Ok(zip(&entries, true)),
        _ => Ok(tar()),
    };
    written.unwrap_or_else(|error| panic!("memory cannot be written to: {error}"))
}

/// An entry of an archive.
struct Entry<'a> {
    kind: u8,
    mode: u32,
    name: &'a [u8],
    content: Vec<u8>,
}

impl<'a> Entry<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (kind, mode) = words.next()?.split_first()?;
        let (name, rest) = (words.next()?, words.next().unwrap_or_default());
        let mode =
            str::from_utf8(mode).ok().and_then(|mode| u32::from_str_radix(mode.strip_prefix(':')?, 8).ok());
        let records = || rest.split(|byte| *byte == b' ').flat_map(record).collect();
        let content = if matches!(kind, b'x' | b'g') { records() } else { unescaped(rest) };
        Some(Entry { kind: *kind, mode: mode.unwrap_or(0o644), name, content })
    }

    /// Header and content, filled up to whole blocks.
    fn in_tar(&self) -> Vec<u8> {
        let is_link = matches!(self.kind, b'1' | b'2');
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        fill(&mut old.name, self.name);
        if is_link {
            fill(&mut old.linkname, &self.content);
        }
        old.linkflag = [self.kind];
        header.set_mode(self.mode & 0o7777);
        let content = if is_link { &[][..] } else { &self.content };
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut bytes = [header.as_bytes(), content].concat();
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    /// What Unix has as the mode of such a file, its kind with it.
    fn unix_mode(&self) -> u32 {
        let kind = match self.kind {
            b'2' => 0o120_000,
            b'3' => 0o020_000,
            b'4' => 0o060_000,
            b'5' => 0o040_000,
            b'6' => 0o010_000,
            b's' => 0o140_000,
            b'-' => 0,
            _ => 0o100_000,
        };
        kind | self.mode & 0o7777
    }
}

/// A zip of these entries.
fn zip(entries: &[Entry<'_>], deflated: bool) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let data = if deflated {
            packed(
                &entry.content,
                |out| DeflateEncoder::new(out, flate2::Compression::fast()),
                DeflateEncoder::finish,
            )
            .unwrap_or_default()
        } else {
            entry.content.clone()
        };
        let at = zip.len();
        // Flags, method, time and date, checksum, sizes, length of the name: header and directory have them in common.
        let mut common = [[0, 0], u16::from(deflated).wrapping_mul(8).to_le_bytes(), [0, 0], [0, 0]].concat();
        common.extend(rawzip::crc32(&entry.content).to_le_bytes());
        common.extend([data.len(), entry.content.len()].iter().flat_map(|size| le(*size)));
        common.extend(&le(entry.name.len())[..2]);
        zip.extend([b"PK\x03\x04\x14\0", common.as_slice(), &[0; 2], entry.name, &data].concat());
        directory.extend([b"PK\x01\x02\x14\x03\x14\0", common.as_slice(), &[0; 8]].concat());
        directory.extend([&(entry.unix_mode() << 16).to_le_bytes()[..], &le(at), entry.name].concat());
    }
    let count = &le(entries.len())[..2];
    let end = [b"PK\x05\x06\0\0\0\0", count, count, &le(directory.len()), &le(zip.len()), &[0; 2]].concat();
    [zip, directory, end].concat()
}

/// A number as zip writes it.
fn le(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

/// A record of a pax header, with its length.
fn record(pair: &[u8]) -> Vec<u8> {
    let rest = [b" ", pair, b"\n"].concat();
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}

/// A text with its line breaks.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    while let Some(at) = bytes.windows(2).position(|pair| pair == br"\n") {
        bytes.splice(at..at + 2, [b'\n']);
    }
    bytes
}

/// Puts as much of a text into a field of a header as it can hold.
fn fill(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

fn packed<E: Write>(
    bytes: &[u8],
    encoder: impl FnOnce(Vec<u8>) -> E,
    finish: impl FnOnce(E) -> io::Result<Vec<u8>>,
) -> io::Result<Vec<u8>> {
    let mut encoder = encoder(Vec::new());
    encoder.write_all(bytes)?;
    finish(encoder)
}
