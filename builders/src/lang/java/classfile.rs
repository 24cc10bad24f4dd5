//! Reads what a class file says of its methods, and nothing that it does not say; garbage is no class file.
//!
//! Source: <https://docs.oracle.com/javase/specs/jvms/se21/html/jvms-4.html>.

/// A class.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Class {
    /// Its access flags.
    flags: u16,
    /// The class that it extends, such as `java/lang/Object`.
    pub(super) parent: Option<String>,
    /// Its methods and constructors, in their order.
    pub(super) methods: Vec<Method>,
}

/// A method or, named `<init>`, a constructor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Method {
    flags: u16,
    /// Its name.
    pub(super) name: String,
    /// Its parameters and result, such as `(Lio/kubeless/Event;)V`.
    pub(super) descriptor: String,
    /// The line of its first statement, where debug information tells.
    pub(super) line: Option<u32>,
}

const PUBLIC: u16 = 0x0001;
const STATIC: u16 = 0x0008;
const INTERFACE: u16 = 0x0200;
const ABSTRACT: u16 = 0x0400;
const SYNTHETIC: u16 = 0x1000;

impl Class {
    /// Reads a class file.
    pub(super) fn read(bytes: &[u8]) -> Option<Class> {
        let mut reader = Reader(bytes);
        if reader.u32()? != 0xCAFE_BABE {
            return None;
        }
        reader.skip(4)?;
        let pool = Pool::read(&mut reader)?;
        let flags = reader.u16()?;
        reader.skip(2)?;
        let parent = reader.u16()?;
        let interfaces = reader.u16()?;
        reader.skip(usize::from(interfaces) * 2)?;
        for _ in 0..reader.u16()? {
            reader.skip(6)?;
            for _ in 0..reader.u16()? {
                reader.attribute()?;
            }
        }
        let mut methods = Vec::new();
        for _ in 0..reader.u16()? {
            methods.push(method(&mut reader, &pool)?);
        }
        Some(Class { flags, parent: pool.class(parent), methods })
    }

    /// Whether there can be instances of this very class.
    pub(super) fn is_concrete(&self) -> bool {
        self.flags & (ABSTRACT | INTERFACE) == 0
    }
}

impl Method {
    pub(super) fn is_public(&self) -> bool {
        self.flags & PUBLIC != 0
    }

    pub(super) fn is_static(&self) -> bool {
        self.flags & STATIC != 0
    }

    /// Whether the compiler made it: a lambda's body, a bridge.
    pub(super) fn is_synthetic(&self) -> bool {
        self.flags & SYNTHETIC != 0
    }

    /// Its parameters, as an author writes them.
    pub(super) fn parameters(&self) -> Vec<String> {
        let mut rest = self.descriptor.strip_prefix('(').unwrap_or_default();
        let mut found = Vec::new();
        while !rest.is_empty() && !rest.starts_with(')') {
            let (name, left) = type_name(rest);
            found.push(name);
            rest = left;
        }
        found
    }
}

/// The first type of a descriptor, without its package, and what follows it.
fn type_name(text: &str) -> (String, &str) {
    let element = text.trim_start_matches('[');
    let arrays = "[]".repeat(text.len() - element.len());
    let mut chars = element.chars();
    let name = match chars.next() {
        Some('L') => {
            let (name, rest) = element[1..].split_once(';').unwrap_or((&element[1..], ""));
            let short = name.rsplit(['/', '$']).next().unwrap_or(name);
            return (format!("{short}{arrays}"), rest);
        }
        Some('B') => "byte",
        Some('C') => "char",
        Some('D') => "double",
        Some('F') => "float",
        Some('I') => "int",
        Some('J') => "long",
        Some('S') => "short",
        Some('Z') => "boolean",
        _ => "?",
    };
    (format!("{name}{arrays}"), chars.as_str())
}

fn method(reader: &mut Reader<'_>, pool: &Pool) -> Option<Method> {
    let flags = reader.u16()?;
    let (name, descriptor) = (pool.text(reader.u16()?)?, pool.text(reader.u16()?)?);
    let mut line = None;
    for _ in 0..reader.u16()? {
        let (name, body) = reader.attribute()?;
        if pool.text(name).as_deref() == Some("Code") {
            line = first_line(body, pool);
        }
    }
    Some(Method { flags, name, descriptor, line })
}

/// The first line of a `Code` attribute's `LineNumberTable`.
fn first_line(code: &[u8], pool: &Pool) -> Option<u32> {
    let mut reader = Reader(code);
    reader.skip(4)?;
    let length = reader.u32()?;
    reader.skip(length as usize)?;
    let handlers = reader.u16()?;
    reader.skip(usize::from(handlers) * 8)?;
    for _ in 0..reader.u16()? {
        let (name, body) = reader.attribute()?;
        if pool.text(name).as_deref() == Some("LineNumberTable") {
            let mut lines = Reader(body);
            lines.skip(4)?;
            return lines.u16().map(u32::from);
        }
    }
    None
}

/// The texts and classes of a constant pool, by index.
struct Pool(Vec<Entry>);

enum Entry {
    Text(String),
    Class(u16),
    Other,
}

impl Pool {
    fn read(reader: &mut Reader<'_>) -> Option<Pool> {
        let count = reader.u16()?;
        let mut entries = vec![Entry::Other];
        while entries.len() < usize::from(count) {
            let (size, wide) = match reader.u8()? {
                1 => {
                    let length = reader.u16()?;
                    // Modified UTF-8 differs for NUL and for what lies past the first plane: names have neither, as a rule.
                    let text = String::from_utf8_lossy(reader.take(usize::from(length))?).into_owned();
                    entries.push(Entry::Text(text));
                    continue;
                }
                7 => {
                    entries.push(Entry::Class(reader.u16()?));
                    continue;
                }
                8 | 16 | 19 | 20 => (2, false),
                15 => (3, false),
                3 | 4 | 9..=12 | 17 | 18 => (4, false),
                5 | 6 => (8, true),
                _ => return None,
            };
            reader.skip(size)?;
            entries.push(Entry::Other);
            if wide {
                entries.push(Entry::Other);
            }
        }
        Some(Pool(entries))
    }

    fn text(&self, index: u16) -> Option<String> {
        match self.0.get(usize::from(index))? {
            Entry::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn class(&self, index: u16) -> Option<String> {
        match self.0.get(usize::from(index))? {
            Entry::Class(name) => self.text(*name),
            _ => None,
        }
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(|_| ())
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// An attribute: its name's index, and its content.
    fn attribute(&mut self) -> Option<(u16, &'a [u8])> {
        let name = self.u16()?;
        let length = self.u32()?;
        Some((name, self.take(length as usize)?))
    }
}
