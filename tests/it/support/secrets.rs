//! In what forms a secret may be given away.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Asserts that a secret can be read in no form in what stands in a place.
pub(crate) fn assert_hidden(secret: &str, place: &str, text: &[u8]) {
    for form in forms(secret) {
        let found = text.windows(form.len()).any(|window| window == form.as_bytes());
        assert!(!found, "{place} gives {secret} away, as {form}:\n{}", String::from_utf8_lossy(text));
    }
}

/// Everything but RFC 3986's unreserved characters.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// In what forms a secret could be read: as it is, percent-encoded or not, and within base64 at every
/// position, without the characters to which its neighbours contribute.
fn forms(secret: &str) -> Vec<String> {
    let plain = percent_decode_str(secret).decode_utf8_lossy().into_owned();
    let encoded = utf8_percent_encode(&plain, NON_ALPHANUMERIC).to_string();

    let mut forms = vec![
        secret.to_owned(),
        encoded.to_lowercase(),
        encoded,
        utf8_percent_encode(&plain, UNRESERVED).to_string(),
    ];
    for before in 0..3 {
        let padded = [vec![0; before], plain.clone().into_bytes()].concat();
        let (first, whole) = ((before * 4).div_ceil(3), padded.len() * 4 / 3);
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            forms.push(text[first..whole].to_owned());
        }
    }
    forms.push(plain);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_wherever_the_secret_stands_in_it() {
        for before in ["", "a", "me:", "user:"] {
            let text =
                base64::engine::general_purpose::STANDARD.encode(format!("{before}t0k/n@7+x and more"));
            assert!(forms("t0k%2Fn%407%2Bx").iter().any(|form| text.contains(form.as_str())), "{text}");
        }
    }
}
