//! A mounted file in base64 becomes the bytes that it stands for, as they stream.

use std::io::{self, Read};

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::read::DecoderReader;

/// Why a text cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// It is not base64.
    #[error("it is not base64: {0}")]
    Malformed(String),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The bytes that a text in base64 stands for. Line breaks mean nothing, as for `base64 -d`, and nor does whether
/// the end is padded.
pub(crate) fn base64(text: impl Read) -> impl Read {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    static ENGINE: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    DecoderReader::new(Unbroken(text), &ENGINE)
}

/// What went wrong while it was read: the text, or the operating system.
pub(super) fn wrong(error: io::Error) -> DecodeError {
    use base64::DecodeError::{InvalidByte, InvalidLastSymbol, InvalidLength, InvalidPadding};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<base64::DecodeError>());
    DecodeError::Malformed(match inner {
        // Its offset is one in what was read at once.
        Some(InvalidByte(_, b'=')) => "something follows the `=` at its end".to_owned(),
        Some(InvalidByte(_, byte)) if byte.is_ascii() => format!("it holds {:?}", char::from(*byte)),
        Some(InvalidByte(..)) => "it holds what is not ASCII".to_owned(),
        Some(InvalidLength(_) | InvalidLastSymbol { .. } | InvalidPadding) => "its end is missing".to_owned(),
        None => return error.into(),
    })
}

/// A text without its white space.
struct Unbroken<R>(R);

impl<R: Read> Read for Unbroken<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.0.read(buffer)?;
            let mut kept = 0;
            for index in 0..count {
                if !buffer[index].is_ascii_whitespace() {
                    buffer[kept] = buffer[index];
                    kept += 1;
                }
            }
            // Nothing at all would be its end.
            if kept > 0 || count == 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Result<Vec<u8>, DecodeError> {
        let mut bytes = Vec::new();
        base64(text.as_bytes()).read_to_end(&mut bytes).map(|_| bytes).map_err(wrong)
    }

    #[test]
    fn line_breaks_and_missing_padding_mean_nothing() {
        for text in ["aGVsbG8=", "aGVs\nbG8=\n", "aGVsbG8", " aG Vs\r\n\r\nbG8", "a\nG\nV\ns\nb\nG\n8\n="] {
            assert_eq!(decoded(text).expect("base64"), b"hello", "{text:?}");
        }
        assert_eq!(decoded("\n \n").expect("base64"), b"");
    }

    #[test]
    fn what_is_not_base64_is_said() {
        for (text, said) in [
            ("def hello():", "it holds '('"),
            ("aGVsbG-_", "it holds '-'"),
            ("aGVs\u{e4}", "it holds what is not ASCII"),
            ("aGVsbG8=aGVs", "something follows the `=` at its end"),
            ("aGVsbG8===", "something follows the `=` at its end"),
            ("a", "its end is missing"),
            ("aGVsbG9", "its end is missing"),
        ] {
            let error = decoded(text).expect_err(text);
            assert_eq!(error.to_string(), format!("it is not base64: {said}"), "{text:?}");
        }
    }
}
