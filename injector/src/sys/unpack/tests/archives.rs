//! Archives written byte by byte: what no well-behaved program would write, too.

use std::io::Write as _;

use tar::Header;

/// An entry of a tar: its header, and its content filled up to whole blocks.
pub(super) fn entry(kind: u8, name: &[u8], change: impl FnOnce(&mut Header), content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkflag = [kind];
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    change(&mut header);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A file of a tar.
pub(super) fn file(name: &str, content: &str) -> Vec<u8> {
    entry(b'0', name.as_bytes(), |_| {}, content.as_bytes())
}

/// A file of a tar that has this mode.
pub(super) fn file_of_mode(name: &str, mode: u32) -> Vec<u8> {
    entry(b'0', name.as_bytes(), |header| header.set_mode(mode), b"")
}

/// A directory of a tar.
pub(super) fn directory(name: &str) -> Vec<u8> {
    entry(b'5', name.as_bytes(), |header| header.set_mode(0o755), b"")
}

/// A hard link (`1`) or a symbolic one (`2`) of a tar.
pub(super) fn link(kind: u8, name: &str, target: &str) -> Vec<u8> {
    let change = |header: &mut Header| {
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    };
    entry(kind, name.as_bytes(), change, b"")
}

/// A header (`x` or `g`) that describes what follows it.
pub(super) fn pax(kind: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let record = |(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len();
        while length != rest.len() + length.to_string().len() {
            length = rest.len() + length.to_string().len();
        }
        format!("{length}{rest}")
    };
    entry(kind, b"PaxHeaders/x", |_| {}, records.iter().map(record).collect::<String>().as_bytes())
}

/// A tar of these entries.
pub(super) fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// An entry of a zip, as the directory has it; what its own header says otherwise is in `own`.
#[derive(Clone)]
pub(super) struct Zipped {
    pub(super) name: Vec<u8>,
    pub(super) own_name: Option<Vec<u8>>,
    pub(super) creator: u8,
    pub(super) mode: u32,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) size: u64,
    pub(super) data: Vec<u8>,
    /// Where its own header is, if that is another's.
    pub(super) at: Option<u32>,
    pub(super) wide: bool,
}

/// A regular file of a zip, not compressed.
pub(super) fn zipped(name: &str, content: &[u8]) -> Zipped {
    Zipped {
        name: name.as_bytes().to_vec(),
        own_name: None,
        creator: 3,
        mode: 0o100_644,
        flags: 0,
        method: 0,
        crc: rawzip::crc32(content),
        size: content.len() as u64,
        data: content.to_vec(),
        at: None,
        wide: false,
    }
}

/// An entry of a zip that has this mode.
pub(super) fn zipped_of_mode(name: &str, mode: u32, content: &str) -> Zipped {
    Zipped { mode, ..zipped(name, content.as_bytes()) }
}

impl Zipped {
    /// Its content, compressed by one of zip's methods.
    pub(super) fn packed(mut self, method: u16) -> Self {
        self.data = match method {
            8 => {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&self.data).expect("compressed");
                encoder.finish().expect("compressed")
            }
            12 => packed("bzip2", &self.data),
            93 => packed("zstd", &self.data),
            95 => packed("xz", &self.data),
            _ => self.data,
        };
        self.method = method;
        self
    }

    /// What the header and the directory have in common.
    fn common(&self, sizes: [u64; 2]) -> Vec<u8> {
        let streamed = self.flags & 8 != 0;
        let mut bytes = self.flags.to_le_bytes().to_vec();
        bytes.extend(self.method.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(if streamed && sizes == [0, 0] { 0 } else { self.crc }.to_le_bytes());
        for size in sizes {
            let size = if self.wide { u32::MAX } else { u32::try_from(size).expect("a small size") };
            bytes.extend(size.to_le_bytes());
        }
        bytes
    }

    fn extra(&self, sizes: [u64; 2]) -> Vec<u8> {
        if !self.wide {
            return Vec::new();
        }
        let mut bytes = vec![1, 0, 16, 0];
        bytes.extend(sizes[1].to_le_bytes());
        bytes.extend(sizes[0].to_le_bytes());
        bytes
    }
}

fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).expect("short").to_le_bytes()
}

/// A zip of these entries.
pub(super) fn zip(entries: &[Zipped]) -> Vec<u8> {
    zip_with(entries, Vec::new(), |_| {})
}

/// A zip of these entries that begins with other bytes, and with a record at its end that is changed.
pub(super) fn zip_with(entries: &[Zipped], start: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = start;
    let mut directory = Vec::new();
    for entry in entries {
        let at = entry.at.unwrap_or(u32::try_from(bytes.len()).expect("a small archive"));
        let sizes = [entry.data.len() as u64, entry.size];
        if entry.at.is_none() {
            let own = entry.own_name.as_ref().unwrap_or(&entry.name);
            let own_sizes = if entry.flags & 8 == 0 { sizes } else { [0, 0] };
            let extra = entry.extra(own_sizes);
            bytes.extend(b"PK\x03\x04\x14\0");
            bytes.extend(entry.common(own_sizes));
            bytes.extend(length(own));
            bytes.extend(length(&extra));
            bytes.extend(own);
            bytes.extend(extra);
            bytes.extend(&entry.data);
            if entry.flags & 8 != 0 {
                bytes.extend(b"PK\x07\x08");
                bytes.extend(entry.crc.to_le_bytes());
                for size in sizes {
                    bytes.extend(u32::try_from(size).expect("small").to_le_bytes());
                }
            }
        }
        let extra = entry.extra(sizes);
        directory.extend(b"PK\x01\x02\x14");
        directory.extend([entry.creator, 20, 0]);
        directory.extend(entry.common(sizes));
        directory.extend(length(&entry.name));
        directory.extend(length(&extra));
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(&entry.name);
        directory.extend(extra);
    }
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    let count = u16::try_from(entries.len()).expect("few").to_le_bytes();
    end.extend([count, count].concat());
    end.extend(u32::try_from(directory.len()).expect("short").to_le_bytes());
    end.extend(u32::try_from(bytes.len()).expect("short").to_le_bytes());
    end.extend([0, 0]);
    change(&mut end);
    bytes.extend(directory);
    bytes.extend(end);
    bytes
}

/// Bytes, compressed.
pub(super) fn packed(compression: &str, bytes: &[u8]) -> Vec<u8> {
    match compression {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).expect("compressed");
            encoder.finish().expect("compressed")
        }
        "bzip2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).expect("compressed");
            encoder.finish().expect("compressed")
        }
        "xz" => xz(bytes, 1 << 20),
        "zstd" => zstd(bytes, 20),
        _ => bytes.to_vec(),
    }
}

/// Bytes, compressed by xz with a dictionary of this size.
pub(super) fn xz(bytes: &[u8], dictionary: u32) -> Vec<u8> {
    let mut options = lzma_rust2::XzOptions::with_preset(0);
    options.lzma_options.dict_size = dictionary;
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("an encoder");
    writer.write_all(bytes).expect("compressed");
    writer.finish().expect("compressed")
}

/// Bytes, compressed by zstd with a window of this power of two, and a checksum.
pub(super) fn zstd(bytes: &[u8], window: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.window_log(window).expect("a window");
    encoder.include_checksum(true).expect("a checksum");
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}
