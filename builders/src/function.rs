//! The function as its author wrote it: all that a builder may see of it.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Serialises a type as the text that it parses and displays.
macro_rules! as_text {
    ($type:ty, $error:ty) => {
        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    };
}
pub(crate) use as_text;

/// A path below some directory: relative, `/`-separated, UTF-8 without control characters, `.` and `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

/// Why a text is not a path below a directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a relative path that stays below its directory")]
pub struct BadPath(pub String);

impl RelPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The text after the last dot of the name, if the name has one past its first character.
    #[must_use]
    pub fn extension(&self) -> Option<&str> {
        self.name().rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension)
    }

    /// The directory that holds it; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<RelPath> {
        self.0.rsplit_once('/').map(|(parent, _)| RelPath(parent.to_owned()))
    }

    /// Resolves `text`, as written in this file, against this file's directory.
    ///
    /// # Errors
    /// When the result would leave the tree or `text` is absolute.
    pub fn sibling(&self, text: &str) -> Result<RelPath, BadPath> {
        let bad = || BadPath(text.to_owned());
        if text.starts_with('/') {
            return Err(bad());
        }
        let mut parts: Vec<&str> = self.0.split('/').collect();
        parts.pop();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or_else(bad)?;
                }
                part => parts.push(part),
            }
        }
        parts.join("/").parse()
    }
}

impl FromStr for RelPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let bad =
            text.contains(char::is_control) || text.split('/').any(|part| matches!(part, "" | "." | ".."));
        if bad { Err(BadPath(text.to_owned())) } else { Ok(RelPath(text.to_owned())) }
    }
}

as_text!(RelPath, BadPath);

impl Borrow<str> for RelPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256 digest, written `sha256:HEX`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(pub [u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDigest {
    /// The algorithm is not SHA-256.
    #[error("the algorithm {0:?} is not supported; write sha256:HEX")]
    Algorithm(String),
    /// Not 64 hexadecimal digits.
    #[error("{0:?} is not a SHA-256 digest: 64 hexadecimal digits are expected after `sha256:`")]
    Digits(String),
}

impl Sha256 {
    /// The 64 hexadecimal digits, lower case.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            hex.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('?')));
            hex
        })
    }

    /// Reads the 64 hexadecimal digits alone, in either case.
    ///
    /// # Errors
    /// When there are not exactly 64 of them.
    pub fn from_hex(text: &str) -> Result<Self, BadDigest> {
        let bad = || BadDigest::Digits(text.to_owned());
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        for (index, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).map_err(|_| bad())?;
        }
        Ok(Sha256(digest))
    }
}

impl FromStr for Sha256 {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        match text.split_once(':') {
            Some(("sha256", hex)) => Sha256::from_hex(hex),
            Some((algorithm, _)) => Err(BadDigest::Algorithm(algorithm.to_owned())),
            None => Err(BadDigest::Digits(text.to_owned())),
        }
    }
}

as_text!(Sha256, BadDigest);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is called: a function in a module, written `module.function`; the last dot splits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Handler {
    /// The module: a file's path without extension; dots stand for directories.
    pub module: String,
    /// The function in it.
    pub function: String,
}

/// Why a text is not a handler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the handler {text:?} is malformed: {reason}; write module.function, for example hello.handler")]
pub struct BadHandler {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Handler {
    /// Builds a handler from its two halves (`MOD_NAME` and `FUNC_HANDLER` in Kubeless).
    ///
    /// # Errors
    /// When either half is empty or holds a character that no language's names hold.
    pub fn new(module: &str, function: &str) -> Result<Self, BadHandler> {
        let bad = |reason| BadHandler { text: format!("{module}.{function}"), reason };
        let named = |name: &str| {
            name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '.' | '/'))
        };
        if module.is_empty() || function.is_empty() {
            return Err(bad("one side of the dot is empty"));
        }
        if !named(module) || !named(function) || function.contains(['.', '/']) {
            return Err(bad("it holds a character that names cannot hold"));
        }
        if module.split(['.', '/']).any(str::is_empty) {
            return Err(bad("its module has an empty part"));
        }
        Ok(Handler { module: module.to_owned(), function: function.to_owned() })
    }
}

impl FromStr for Handler {
    type Err = BadHandler;

    fn from_str(text: &str) -> Result<Self, BadHandler> {
        let bad = |reason| BadHandler { text: text.to_owned(), reason };
        let (module, function) = text.rsplit_once('.').ok_or_else(|| bad("it has no dot"))?;
        Handler::new(module, function).map_err(|error| bad(error.reason))
    }
}

as_text!(Handler, BadHandler);

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module, self.function)
    }
}

/// One file of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceFile {
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub sha256: Sha256,
    /// Whether its owner may execute it.
    pub executable: bool,
    /// Its text, where it is one that a builder may need to read (manifests, locks); `None` for
    /// sources, for what is not UTF-8 and for what is too large. The digest stands for it in keys.
    #[serde(skip)]
    pub text: Option<String>,
}

/// A function as it was mounted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Function {
    /// What is called, where anybody said so.
    pub handler: Option<Handler>,
    /// Its files, by path; where one is a link, what it leads to.
    pub files: BTreeMap<RelPath, SourceFile>,
    /// Links within the tree, to directories and to files: path to target, as written.
    pub links: BTreeMap<RelPath, String>,
    /// The dependency file, where the environment named one that exists.
    pub deps_file: Option<RelPath>,
}

impl Function {
    /// The text of a file that a builder may read.
    #[must_use]
    pub fn text(&self, path: &RelPath) -> Option<&str> {
        self.files.get(path)?.text.as_deref()
    }

    /// The file at the top of the tree that has this name.
    #[must_use]
    pub fn top(&self, name: &str) -> Option<&RelPath> {
        self.files.get_key_value(name).map(|(path, _)| path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_dot_of_a_handler_splits() {
        let handler: Handler = "pkg.mod.run".parse().expect("a handler");
        assert_eq!((handler.module.as_str(), handler.function.as_str()), ("pkg.mod", "run"));
        for bad in ["", "hello", ".x", "x.", "a..b", "a b.c", "../x.y", "a.b;c", "/a.b", "a\n.b"] {
            assert!(bad.parse::<Handler>().is_err(), "{bad:?} was taken for a handler");
        }
    }

    #[test]
    fn a_path_stays_below_its_directory() {
        for bad in ["", "/a", "a/../b", "..", "a//b", "./a", "a/", "a\0b", "a\nb"] {
            assert!(bad.parse::<RelPath>().is_err(), "{bad:?} was taken for a path");
        }
        let file: RelPath = "a/b/req.txt".parse().expect("a path");
        assert_eq!(file.sibling("../c/x.txt").expect("within").as_str(), "a/c/x.txt");
        assert!(file.sibling("../../../x").is_err());
        assert!(file.sibling("/etc/passwd").is_err());
        assert_eq!(file.extension(), Some("txt"));
        assert_eq!("a/.env".parse::<RelPath>().expect("a path").extension(), None);
    }

    #[test]
    fn a_digest_is_sha256_in_64_digits() {
        let text = format!("sha256:{}", "0aB9".repeat(16));
        let digest: Sha256 = text.parse().expect("a digest");
        assert_eq!(digest.to_string(), text.to_lowercase());
        assert!(matches!("md5:00".parse::<Sha256>(), Err(BadDigest::Algorithm(_))));
        assert!(matches!("sha256:00".parse::<Sha256>(), Err(BadDigest::Digits(_))));
        assert!(Sha256::from_hex(&"é".repeat(32)).is_err());
    }
}
