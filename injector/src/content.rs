//! What a function's manifest says of how it arrives, and what it may cost to read it.

use std::fmt;
use std::str::FromStr;

/// `FUNC_CONTENT_TYPE`: what the mounted file holds, as Kubeless' CLI wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ContentType {
    /// What carries the function.
    pub(crate) carrier: Carrier,
    /// Whether that is one file of it, or an archive of them.
    pub(crate) form: Form,
}

/// What carries a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Carrier {
    /// The mount itself.
    #[default]
    Text,
    /// A mounted file in base64.
    Base64,
    /// An address: `FUNC_URL`, or the text of a mounted file.
    Url,
}

/// What is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Form {
    /// Files as they are.
    #[default]
    Plain,
    /// A zip or tar archive, told apart by content.
    Archive(Dependencies),
}

/// Whose dependency file counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dependencies {
    /// The mount's, if it has one.
    Mounted,
    /// The archive's: `+deps`.
    Archived,
}

/// Why a text is no content type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadContentType {
    /// A word that is none of ours.
    #[error(
        "{0:?} is no content type; it may be text, base64 or url, then +zip or +compressedtar, then +deps"
    )]
    Word(String),
    /// A word twice, or two that exclude each other.
    #[error("{0:?} is said where another word of its kind has been said")]
    Twice(String),
    /// Only an archive can bring a dependency file.
    #[error(
        "+deps is for archives, which bring their dependency file; add +zip or +compressedtar, or leave it out"
    )]
    DepsOfOneFile,
}

impl FromStr for ContentType {
    type Err = BadContentType;

    fn from_str(text: &str) -> Result<Self, BadContentType> {
        let mut words = text.split('+');
        let carrier = match words.next().unwrap_or_default() {
            "text" => Carrier::Text,
            "base64" => Carrier::Base64,
            "url" => Carrier::Url,
            word => return Err(BadContentType::Word(word.to_owned())),
        };
        let (mut archive, mut deps) = (false, false);
        for word in words {
            let said = match word {
                "zip" | "compressedtar" => &mut archive,
                "deps" => &mut deps,
                word => return Err(BadContentType::Word(word.to_owned())),
            };
            if std::mem::replace(said, true) {
                return Err(BadContentType::Twice(word.to_owned()));
            }
        }
        let form = match (archive, deps) {
            (true, true) => Form::Archive(Dependencies::Archived),
            (true, false) => Form::Archive(Dependencies::Mounted),
            (false, false) => Form::Plain,
            (false, true) => return Err(BadContentType::DepsOfOneFile),
        };
        Ok(ContentType { carrier, form })
    }
}

/// What a function may cost before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes that are downloaded.
    pub(crate) download: u64,
    /// Bytes of all its files.
    pub(crate) unpacked: u64,
    /// Bytes unpacked for each byte of the archive, past [`Limits::RATIO_FLOOR`].
    pub(crate) ratio: u64,
    /// Its files, directories and links.
    pub(crate) entries: u64,
    /// Directories in one another.
    pub(crate) depth: u64,
    /// Bytes that a decompressor looks back on, which are memory.
    pub(crate) window: u64,
}

impl Limits {
    /// What may be unpacked whatever the ratio, in bytes: text compresses well.
    pub(crate) const RATIO_FLOOR: u64 = 64 << 20;
    /// The largest window that can be allowed, in bytes: what `zstd --ultra -22` makes, and twice that of `xz -9`.
    pub(crate) const LARGEST_WINDOW: u64 = 128 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            download: 512 << 20,
            unpacked: 1 << 30,
            ratio: 100,
            entries: 100_000,
            depth: 64,
            window: 8 << 20,
        }
    }
}

/// A number of bytes, written as Kubernetes writes quantities: `1048576`, `1Mi`, `1M`.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

/// The suffixes, and what each stands for; the first ones are for display.
const UNITS: [(&str, u64); 6] =
    [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10), ("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)];

impl FromStr for Bytes {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let suffixed = UNITS.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)));
        let (digits, unit) = suffixed.unwrap_or((text, 1));
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(());
        }
        let number: u64 = digits.parse().map_err(drop)?;
        number.checked_mul(unit).map(Bytes).ok_or(())
    }
}

/// In the largest binary unit that leaves no rest.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS[..3].iter().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        match whole {
            Some((suffix, unit)) => write!(f, "{} {suffix}B", self.0 / unit),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_a_carrier_and_a_form() {
        let of = |carrier, form| Ok(ContentType { carrier, form });
        let mounted = Form::Archive(Dependencies::Mounted);
        let archived = Form::Archive(Dependencies::Archived);
        for (text, expected) in [
            ("text", of(Carrier::Text, Form::Plain)),
            ("base64", of(Carrier::Base64, Form::Plain)),
            ("url+zip", of(Carrier::Url, mounted)),
            ("base64+compressedtar", of(Carrier::Base64, mounted)),
            ("text+zip+deps", of(Carrier::Text, archived)),
            ("url+deps+zip", of(Carrier::Url, archived)),
            ("url+deps", Err(BadContentType::DepsOfOneFile)),
            ("url+zip+zip", Err(BadContentType::Twice("zip".to_owned()))),
            ("url+zip+compressedtar", Err(BadContentType::Twice("compressedtar".to_owned()))),
            ("zip", Err(BadContentType::Word("zip".to_owned()))),
            ("url+rar", Err(BadContentType::Word("rar".to_owned()))),
            ("url+", Err(BadContentType::Word(String::new()))),
            ("URL", Err(BadContentType::Word("URL".to_owned()))),
        ] {
            assert_eq!(text.parse::<ContentType>(), expected, "{text}");
        }
    }

    #[test]
    fn bytes_are_written_as_kubernetes_writes_quantities() {
        for (text, expected) in
            [("0", Some(0)), ("1500", Some(1500)), ("8Mi", Some(8 << 20)), ("2G", Some(2_000_000_000))]
        {
            assert_eq!(text.parse::<Bytes>().ok(), expected.map(Bytes), "{text}");
        }
        for bad in ["", "Mi", "1.5Gi", "-1", "+1", "1 Mi", "1mi", "18446744073709551615Ki", "1MiB"] {
            assert_eq!(bad.parse::<Bytes>(), Err(()), "{bad:?} was taken for a size");
        }
        let shown = [512 << 20, 1 << 30, 3 << 10, 1000, 0].map(|bytes| Bytes(bytes).to_string());
        assert_eq!(shown, ["512 MiB", "1 GiB", "3 KiB", "1000 bytes", "0 bytes"]);
    }
}
