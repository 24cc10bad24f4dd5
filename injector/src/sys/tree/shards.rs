//! Shards: a tree's files in a few pieces of about one size, which are packed, fetched and unpacked side by side.

use std::io::{self, BufWriter, Read as _, Write};
use std::path::Path;

use builders::function::Sha256;
use sha2::Digest as _;
use zstd::stream::raw::{CParameter, DParameter, Decoder, InBuffer, Operation as _, OutBuffer};
use zstd::stream::write::Encoder;

use super::copy::{BUFFER, Stop, pump, set_changed, unlike};
use super::place::Place;
use super::{Digest, File, Manifest, Times, TreeError, Wrong};
use crate::sys::fs::{self, digest_of};

/// Some files of a tree, packed one after the other as one Zstandard frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shard<'manifest> {
    /// The files, by path.
    pub(crate) files: Vec<File<'manifest>>,
    /// Bytes of all of them, as they are.
    pub(crate) bytes: u64,
}

/// How many pieces a tree is cut into. Who packs and who unpacks must agree on it.
pub(crate) const COUNT: usize = 8;
/// A tree of less bytes than this for each piece gets fewer pieces.
const LEAST: u64 = 1 << 20;
/// How well it is compressed: zstd's own default.
const LEVEL: i32 = 3;
/// How far back a decompressor must look, as a power of two: that much memory it takes for each shard.
pub(super) const WINDOW: u32 = 19;

/// Cuts a tree into at most `count` pieces, by size between files; always in the same places. A tree without files has
/// none.
pub(crate) fn cut(manifest: &Manifest, count: usize) -> Vec<Shard<'_>> {
    let all = u128::from(manifest.usage().bytes);
    let count = (all / u128::from(LEAST)).clamp(1, (count as u128).max(1));
    let mut shards: Vec<Shard<'_>> = Vec::new();
    let (mut before, mut last) = (0, None);
    for file in manifest.files() {
        // Each file belongs where its first byte would lie in pieces of the very same size.
        let place = (before * count).checked_div(all).map_or(0, |place| place.min(count - 1));
        before += u128::from(file.size);
        if last != Some(place) {
            shards.push(Shard { files: Vec::new(), bytes: 0 });
            last = Some(place);
        }
        if let Some(shard) = shards.last_mut() {
            shard.files.push(file);
            shard.bytes += file.size;
        }
    }
    shards
}

/// Packs a shard of the tree in `dir`; the same bytes each time. A file that is not what it was is an error.
pub(crate) fn pack(shard: &Shard<'_>, dir: &Path, out: &mut impl Write) -> Result<(), TreeError> {
    let source = Place::open(dir).map_err(TreeError::source(dir))?;
    let mut encoder = encoder(shard.bytes, out).map_err(TreeError::Stream)?;
    let mut buffer = vec![0; BUFFER];
    for File { path, size, digest, .. } in &shard.files {
        let unread = |error| unlike(&error, path).unwrap_or_else(|| source.unread(path, error));
        let mut file = source.read(path).map_err(unread)?;
        let found = pump(&mut file, *size, &mut buffer, |bytes| encoder.write_all(bytes));
        let found = found.map_err(|stop| match stop {
            Stop::Read(error) => unread(error),
            Stop::Write(error) => TreeError::Stream(error),
            Stop::Size(what) => TreeError::wrong(path, what),
        })?;
        if found != **digest {
            return Err(TreeError::wrong(path, Wrong::Content));
        }
    }
    encoder.finish().map_err(TreeError::Stream)?;
    Ok(())
}

/// Packs a shard into a file; gives its size and digest.
pub(crate) fn pack_to(shard: &Shard<'_>, dir: &Path, file: &Path) -> Result<(u64, Sha256), TreeError> {
    let created = fs::create_new(file).map_err(TreeError::target(file))?;
    let mut out = Digesting { to: BufWriter::new(created), digest: sha2::Sha256::new(), size: 0 };
    pack(shard, dir, &mut out)?;
    out.flush().map_err(TreeError::target(file))?;
    Ok((out.size, Sha256(out.digest.finalize().into())))
}

/// Digests what is written.
struct Digesting<W> {
    to: W,
    digest: sha2::Sha256,
    size: u64,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.digest.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The most bytes that a tree's manifest may have.
const MOST_MANIFEST: u64 = 256 << 20;

impl Manifest {
    /// As it travels.
    pub(crate) fn to_compressed(&self) -> io::Result<Vec<u8>> {
        let bytes = self.to_bytes()?;
        let mut out = Vec::new();
        let mut encoder = encoder(bytes.len() as u64, &mut out)?;
        encoder.write_all(&bytes)?;
        encoder.finish()?;
        Ok(out)
    }

    /// Reads what travelled, if it has the digest of this tree.
    pub(crate) fn from_compressed(bytes: &[u8], tree: Sha256) -> Result<Self, TreeError> {
        let mut inflated = Vec::new();
        let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(TreeError::Garbled)?;
        decoder.window_log_max(WINDOW).map_err(TreeError::Garbled)?;
        decoder.take(MOST_MANIFEST).read_to_end(&mut inflated).map_err(TreeError::Garbled)?;
        if digest_of(&inflated) != tree {
            return Err(TreeError::Garbled(io::Error::other("it is the manifest of another tree")));
        }
        Manifest::from_bytes(&inflated).map_err(|error| TreeError::Garbled(io::Error::other(error)))
    }
}

fn encoder<W: Write>(bytes: u64, out: W) -> io::Result<Encoder<'static, W>> {
    let mut encoder = Encoder::new(out, LEVEL)?;
    encoder.set_parameter(CParameter::WindowLog(WINDOW))?;
    encoder.set_pledged_src_size(Some(bytes))?;
    Ok(encoder)
}

/// Unpacks a shard while its bytes come in, into each of some directories at once, in which [`super::lay`] has made
/// what is no file. An error of [`Write::write`] holds a [`TreeError`].
pub(crate) struct Unpack<'manifest> {
    decoder: Decoder<'static>,
    buffer: Vec<u8>,
    /// Whether the frame has come to its end.
    ended: bool,
    inflated: Inflated<'manifest>,
}

impl<'manifest> Unpack<'manifest> {
    /// Unpacks into `roots`.
    pub(crate) fn new(shard: &Shard<'manifest>, roots: &[&Path], times: Times) -> Result<Self, TreeError> {
        let places = roots.iter().map(|root| Place::open(root).map_err(TreeError::target(root)));
        let places = places.collect::<Result<_, _>>()?;
        let mut decoder = Decoder::new().map_err(TreeError::Stream)?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW)).map_err(TreeError::Stream)?;
        Ok(Unpack {
            decoder,
            buffer: vec![0; BUFFER],
            ended: false,
            inflated: Inflated { files: shard.files.clone(), done: 0, open: None, places, times },
        })
    }

    /// Sees to it that all has come.
    pub(crate) fn finish(mut self) -> Result<(), TreeError> {
        self.inflated.write(&[])?;
        if self.ended && self.inflated.done == self.inflated.files.len() {
            Ok(())
        } else {
            Err(TreeError::Short)
        }
    }

    fn unpack(&mut self, bytes: &[u8]) -> Result<(), TreeError> {
        let mut input = InBuffer::around(bytes);
        loop {
            if self.ended {
                return if input.pos() == bytes.len() { Ok(()) } else { Err(TreeError::Long) };
            }
            let mut output = OutBuffer::around(&mut self.buffer[..]);
            let hint = self.decoder.run(&mut input, &mut output).map_err(TreeError::Garbled)?;
            let count = output.pos();
            self.ended = hint == 0;
            self.inflated.write(&self.buffer[..count])?;
            if !self.ended && input.pos() == bytes.len() && count < self.buffer.len() {
                return Ok(());
            }
        }
    }
}

impl Write for Unpack<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unpack(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What comes inflated, parted into files.
struct Inflated<'manifest> {
    files: Vec<File<'manifest>>,
    /// How many are whole.
    done: usize,
    open: Option<Open>,
    places: Vec<Place>,
    times: Times,
}

/// A file that is being written, in each place.
struct Open {
    files: Vec<std::fs::File>,
    left: u64,
    hasher: blake3::Hasher,
}

impl Inflated<'_> {
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), TreeError> {
        while let Some(file) = self.files.get(self.done) {
            let mut open = match self.open.take() {
                Some(open) => open,
                None if bytes.is_empty() && file.size > 0 => return Ok(()),
                None => open(file, &self.places)?,
            };
            let count = usize::try_from(open.left).unwrap_or(usize::MAX).min(bytes.len());
            let (now, rest) = bytes.split_at(count);
            open.hasher.update(now);
            for (place, to) in self.places.iter().zip(&mut open.files) {
                to.write_all(now).map_err(|error| place.unwritten(file.path, error))?;
            }
            open.left -= count as u64;
            bytes = rest;
            if open.left > 0 {
                self.open = Some(open);
                return Ok(());
            }
            if Digest(open.hasher.finalize().into()) != *file.digest {
                return Err(TreeError::wrong(file.path, Wrong::Content));
            }
            if let (Times::Kept, Some(changed)) = (self.times, file.changed) {
                for (place, to) in self.places.iter().zip(&open.files) {
                    set_changed(to, changed).map_err(|error| place.unwritten(file.path, error))?;
                }
            }
            self.done += 1;
        }
        if bytes.is_empty() { Ok(()) } else { Err(TreeError::Long) }
    }
}

fn open(file: &File<'_>, places: &[Place]) -> Result<Open, TreeError> {
    let create = |place: &Place| {
        place.create(file.path, file.mode()).map_err(|error| place.unwritten(file.path, error))
    };
    let files = places.iter().map(create).collect::<Result<_, _>>()?;
    Ok(Open { files, left: file.size, hasher: blake3::Hasher::new() })
}
