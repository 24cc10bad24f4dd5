//! The compressions in which archives come, each with a bound on the memory that it takes to undo it.

use std::fmt;
use std::io::{self, BufRead, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::{XzReader, lzma2_get_memory_usage};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use super::UnpackError;

/// How an archive is compressed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::None => "nothing",
            Compression::Gzip => "gzip",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
        })
    }
}

impl Compression {
    /// The compression of what begins like this.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            _ if zstd_magic(start) => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// What is read, decompressed to the end: members, streams and frames that follow one another are one, what
    /// follows them is an error, and so is a checksum that does not match.
    pub(super) fn decoder<'a>(
        self,
        mut input: impl BufRead + 'a,
        window: u64,
    ) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Compression::None => Box::new(input),
            Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
            Compression::Bzip2 => Box::new(MultiBzDecoder::new(input)),
            Compression::Xz => {
                bounded(xz_window(input.fill_buf()?), window)?;
                Box::new(Xz::new(input, window))
            }
            Compression::Zstd => Box::new(Zstd::new(input, window)?),
        })
    }
}

/// Refuses a window that is too large.
fn bounded(found: Option<u64>, allowed: u64) -> io::Result<()> {
    match found {
        Some(size) if size > allowed => Err(io::Error::other(UnpackError::Window { found, allowed })),
        _ => Ok(()),
    }
}

/// xz, which refuses too large a window before it is allocated.
struct Xz<R: BufRead> {
    reader: XzReader<R>,
    window: u64,
}

impl<R: BufRead> Xz<R> {
    fn new(input: R, window: u64) -> Self {
        let kib = lzma2_get_memory_usage(u32::try_from(window).unwrap_or(u32::MAX));
        Xz { reader: XzReader::new_mem_limit(input, true, kib), window }
    }
}

impl<R: BufRead> Read for Xz<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| match error.kind() {
            // A block that is not the first one.
            io::ErrorKind::OutOfMemory => {
                io::Error::other(UnpackError::Window { found: None, allowed: self.window })
            }
            _ => error,
        })
    }
}

/// The window of the first block of an xz stream, in bytes.
/// <https://tukaani.org/xz/xz-file-format.txt>
fn xz_window(start: &[u8]) -> Option<u64> {
    const LZMA2: u64 = 0x21;
    // After the stream's header of 12 bytes: the size of the block's, then flags.
    let (flags, mut rest) = start.get(13..)?.split_first()?;
    for _ in 0..(flags >> 6).count_ones() {
        xz_number(&mut rest)?;
    }
    for _ in 0..=flags & 3 {
        let (filter, size) = (xz_number(&mut rest)?, xz_number(&mut rest)?);
        let properties = rest.split_off(..usize::try_from(size).ok()?)?;
        if filter == LZMA2 {
            let bits = properties.first()?;
            return Some(u64::from(2 | bits & 1) << (bits / 2 + 11).min(32));
        }
    }
    None
}

/// A number as xz writes it: seven bits in each byte, the lowest first.
fn xz_number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..9 {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Zstandard, frame by frame, since zstd's own bound knows only powers of two.
struct Zstd<R> {
    input: R,
    decoder: Decoder<'static>,
    window: u64,
    /// What was read of `input` and is not decoded: how a frame begins.
    head: Vec<u8>,
    within: bool,
}

/// The most bytes of a frame's header.
const ZSTD_HEADER: usize = 18;
/// zstd's names for the least and the most of a window, as powers of two.
const ZSTD_WINDOWS: std::ops::RangeInclusive<u32> = 10..=27;

impl<R: BufRead> Zstd<R> {
    fn new(input: R, window: u64) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        let log = window.checked_next_power_of_two().map_or(u32::MAX, u64::ilog2);
        let log = log.clamp(*ZSTD_WINDOWS.start(), *ZSTD_WINDOWS.end());
        decoder.set_parameter(DParameter::WindowLogMax(log))?;
        Ok(Zstd { input, decoder, window, head: Vec::new(), within: false })
    }

    /// Reads how the next frame begins; whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        let wanted = (ZSTD_HEADER - self.head.len()) as u64;
        (&mut self.input).take(wanted).read_to_end(&mut self.head)?;
        self.within = !self.head.is_empty();
        bounded(zstd_window(&self.head), self.window)?;
        Ok(self.within)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within && !self.begin()? {
                return Ok(0);
            }
            let from_head = !self.head.is_empty();
            let source = if from_head { &self.head } else { self.input.fill_buf()? };
            let at_end = source.is_empty();
            let (mut source, mut sink) = (InBuffer::around(source), OutBuffer::around(&mut *buffer));
            let wanted = self.decoder.run(&mut source, &mut sink)?;
            let (read, written) = (source.pos(), sink.pos());
            if from_head {
                self.head.drain(..read);
            } else {
                self.input.consume(read);
            }
            self.within = wanted != 0;
            if written > 0 || buffer.is_empty() {
                return Ok(written);
            }
            if at_end && self.within {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Whether a Zstandard frame begins here, be it one that is to be skipped.
fn zstd_magic(start: &[u8]) -> bool {
    start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The window of a Zstandard frame, in bytes.
/// <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1>
fn zstd_window(frame: &[u8]) -> Option<u64> {
    const SINGLE_SEGMENT: u8 = 0x20;
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = frame else { return None };
    if descriptor & SINGLE_SEGMENT == 0 {
        let byte = u64::from(*rest.first()?);
        let base = 1 << (10 + (byte >> 3));
        return Some(base + base / 8 * (byte & 7));
    }
    // The content is its own window.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let width = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let mut size = [0; 8];
    size[..width].copy_from_slice(rest.get(dictionary..dictionary + width)?);
    Some(u64::from_le_bytes(size) + if width == 2 { 256 } else { 0 })
}
