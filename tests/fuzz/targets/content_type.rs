//! How a function arrives, and sizes as Kubernetes writes them.

use crate::content::{Bytes, ContentType};

/// A content type is made of its words alone, and a size of digits and a suffix.
///
/// # Panics
/// When that does not hold.
pub fn content_type(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for line in text.lines() {
        match line.parse::<ContentType>() {
            Ok(content) => {
                let known = ["text", "base64", "url", "zip", "compressedtar", "deps"];
                assert!(line.split('+').all(|word| known.contains(&word)), "{line:?}: {content:?}");
                // The order of what follows the carrier does not matter.
                let (carrier, rest) = line.split_once('+').unwrap_or((line, ""));
                let turned = std::iter::once(carrier).chain(rest.rsplit('+').filter(|word| !word.is_empty()));
                assert_eq!(turned.collect::<Vec<_>>().join("+").parse(), Ok(content));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        if let Ok(bytes) = line.parse::<Bytes>() {
            let digits = line.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            assert!(digits.bytes().all(|digit| digit.is_ascii_digit()), "{line:?} is taken for {bytes}");
            let shown = bytes.to_string().replace(" bytes", "").replace([' ', 'B'], "");
            assert_eq!(shown.parse(), Ok(bytes), "{line:?}");
        }
    }
}
