//! Archives made byte by byte, so that they can say what no honest archiver would.

use std::io::Write as _;
use std::rc::Rc;

use bzip2::write::BzEncoder;
use flate2::Crc;
use flate2::write::{DeflateEncoder, GzEncoder};
use lzma_rust2::{XzOptions, XzWriter};

/// Something in an archive.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    name: Vec<u8>,
    kind: Kind,
    mode: u32,
    content: Rc<[u8]>,
}

/// What an entry is: tar's letter for it, and the file type of its mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    HardLink,
    Link,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// How a tar archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Compression {
    pub(crate) const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Bzip2, Compression::Xz, Compression::Zstd];

    /// Compresses.
    pub(crate) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        self.pack_with_window(bytes, 1 << 20)
    }

    /// Compresses so that as much memory is needed to undo it as may be without being asked for.
    pub(crate) fn pack_widely(self, bytes: &[u8]) -> Vec<u8> {
        self.pack_with_window(bytes, 8 << 20)
    }

    /// Compresses with a window of this size, a power of two, where there is a choice.
    pub(crate) fn pack_with_window(self, bytes: &[u8], window: u32) -> Vec<u8> {
        const SOUND: &str = "memory is written to";
        match self {
            Compression::None => bytes.to_owned(),
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(bytes).and_then(|()| encoder.finish()).expect(SOUND)
            }
            Compression::Bzip2 => {
                let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::best());
                encoder.write_all(bytes).and_then(|()| encoder.finish()).expect(SOUND)
            }
            Compression::Xz => {
                let mut options = XzOptions::with_preset(0);
                options.lzma_options.dict_size = window;
                let mut encoder = XzWriter::new(Vec::new(), options).expect(SOUND);
                encoder.write_all(bytes).expect(SOUND);
                encoder.finish().expect(SOUND)
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect(SOUND);
                encoder.window_log(window.ilog2()).expect(SOUND);
                encoder.write_all(bytes).and_then(|()| encoder.finish()).expect(SOUND)
            }
        }
    }
}

fn entry(name: impl AsRef<[u8]>, kind: Kind, mode: u32, content: &[u8]) -> Entry {
    Entry { name: name.as_ref().to_owned(), kind, mode, content: content.into() }
}

/// A file.
pub(crate) fn file(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Entry {
    entry(name, Kind::File, 0o644, content.as_ref())
}

/// A directory.
pub(crate) fn directory(name: impl AsRef<[u8]>) -> Entry {
    entry(name, Kind::Directory, 0o755, b"")
}

/// A symbolic link.
pub(crate) fn link(name: impl AsRef<[u8]>, target: &str) -> Entry {
    entry(name, Kind::Link, 0o777, target.as_bytes())
}

/// Another name of a file, which only tar knows.
pub(crate) fn hard_link(name: impl AsRef<[u8]>, target: &str) -> Entry {
    entry(name, Kind::HardLink, 0o644, target.as_bytes())
}

/// A FIFO.
pub(crate) fn fifo(name: &str) -> Entry {
    entry(name, Kind::Fifo, 0o644, b"")
}

/// The device that `/dev/null` is.
pub(crate) fn device(name: &str) -> Entry {
    entry(name, Kind::CharDevice, 0o666, b"")
}

/// A disk.
pub(crate) fn disk(name: &str) -> Entry {
    entry(name, Kind::BlockDevice, 0o660, b"")
}

impl Entry {
    /// The same under another name.
    pub(crate) fn called(&self, name: impl AsRef<[u8]>) -> Self {
        Entry { name: name.as_ref().to_owned(), ..self.clone() }
    }

    /// With these permissions.
    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }
}

/// A tar archive, as POSIX.1-1988 has it, with a header of 2001 before names that are too long for that.
pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Vec::new();
    for entry in entries {
        let Entry { name, kind, mode, content } = entry;
        let is_link = [Kind::Link, Kind::HardLink].contains(kind);
        let (target, content) = if is_link { (&content[..], &[][..]) } else { (&[][..], &content[..]) };
        if name.len() > 100 {
            let record = |length: usize| [length.to_string().as_bytes(), b" path=", name, b"\n"].concat();
            // Its length counts the digits of its length.
            let lengths = name.len()..;
            let record = lengths
                .map(record)
                .find(|record| record.starts_with(format!("{} ", record.len()).as_bytes()));
            let record = record.expect("a length that fits");
            archive.extend(header(b"pax", b'x', 0o644, record.len(), b""));
            archive.extend(padded(&record));
        }
        let letter = match kind {
            Kind::File => b'0',
            Kind::HardLink => b'1',
            Kind::Link => b'2',
            Kind::CharDevice => b'3',
            Kind::BlockDevice => b'4',
            Kind::Directory => b'5',
            Kind::Fifo => b'6',
        };
        archive.extend(header(name, letter, *mode, content.len(), target));
        archive.extend(padded(content));
    }
    archive.extend([0; 1024]);
    archive
}

/// <https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06>
fn header(name: &[u8], letter: u8, mode: u32, size: usize, target: &[u8]) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name[..name.len().min(100)]);
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[letter]);
    put(157, &target[..target.len().min(100)]);
    put(257, b"ustar\x0000");
    put(329, b"0000001");
    put(337, b"0000003");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn padded(content: &[u8]) -> Vec<u8> {
    let mut blocks = content.to_owned();
    blocks.resize(content.len().next_multiple_of(512), 0);
    blocks
}

/// A zip archive as a Unix archiver makes it.
pub(crate) fn zip(entries: &[Entry]) -> Vec<u8> {
    const DEFLATED: u16 = 8;
    const UTF8: u16 = 1 << 11;
    const OF_UNIX: u16 = 3 << 8 | 0x14;
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    let mut last: Option<(Rc<[u8]>, u32, Vec<u8>)> = None;
    for Entry { name, kind, mode, content } in entries {
        let mut name = name.clone();
        let file_type = match kind {
            Kind::File => 0o100_000,
            Kind::Link => 0o120_000,
            Kind::CharDevice => 0o020_000,
            Kind::BlockDevice => 0o060_000,
            Kind::Directory => 0o040_000,
            Kind::Fifo => 0o010_000,
            Kind::HardLink => panic!("zip has no hard links"),
        };
        if *kind == Kind::Directory && !name.ends_with(b"/") {
            name.push(b'/');
        }
        let (_, crc, deflated) = match last.take() {
            // A bomb has the same content many times.
            Some(last) if Rc::ptr_eq(&last.0, content) => last,
            _ => {
                let mut crc = Crc::new();
                crc.update(content);
                let mut deflated = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
                let deflated = deflated.write_all(content).and_then(|()| deflated.finish()).expect("memory");
                (Rc::clone(content), crc.sum(), deflated)
            }
        };
        let attributes: u32 = (file_type | mode) << 16;

        let offset = small(archive.len());
        let mut facts = Vec::new();
        for short in [20, UTF8, DEFLATED, 0, 0x21] {
            facts.extend(u16::to_le_bytes(short));
        }
        for long in [crc, small(deflated.len()), small(content.len())] {
            facts.extend(long.to_le_bytes());
        }
        facts.extend(u16::try_from(name.len()).expect("a short name").to_le_bytes());
        facts.extend([0; 2]);
        archive.extend([b"PK\x03\x04", &facts[..], &name, &deflated].concat());
        directory.extend([b"PK\x01\x02", &OF_UNIX.to_le_bytes()[..], &facts, &[0; 6]].concat());
        directory.extend([&attributes.to_le_bytes()[..], &offset.to_le_bytes(), &name].concat());
        last = Some((Rc::clone(content), crc, deflated));
    }
    let count = u16::try_from(entries.len()).expect("few entries").to_le_bytes();
    let [size, offset] = [directory.len(), archive.len()].map(|length| small(length).to_le_bytes());
    let end = [b"PK\x05\x06", &[0; 4][..], &count, &count, &size, &offset, &[0; 2]].concat();
    archive.extend(directory);
    archive.extend(end);
    archive
}

/// A tar archive of so many files of the same content, each a stream of gzip's own.
pub(crate) fn many_in_gzip(files: usize, content: &[u8]) -> Vec<u8> {
    let packed = Compression::Gzip.pack(&padded(content));
    let head = |index: usize| header(format!("{index}.bin").as_bytes(), b'0', 0o644, content.len(), b"");
    let files = (0..files).map(|index| [Compression::Gzip.pack(&head(index)), packed.clone()].concat());
    files.chain([Compression::Gzip.pack(&[0; 1024])]).collect::<Vec<_>>().concat()
}

fn small(length: usize) -> u32 {
    u32::try_from(length).expect("less than 4 GiB")
}
