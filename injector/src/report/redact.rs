//! Keeps credentials out of whatever leaves: every form in which a tool may repeat them becomes `***`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// What stands for a credential.
const MASK: &[u8] = b"***";
/// Shorter values, in bytes, are no secrets: they occur in any text, and masking them would only show where.
const SHORTEST: usize = 6;
/// Of longer values, in bytes, no tool makes a URL or a header. All forms of them would take memory that a build
/// may lack: 40 bytes for each of theirs.
const LONGEST_ENCODED: usize = 4096;

/// Knows the credentials of a run in every form in which a tool may repeat them: as they are, line by line,
/// in JSON, percent-encoded and -decoded, and in base64, alone or within a longer encoded text.
///
/// Values of less than 6 bytes are ignored, and of those over 4 KiB only the lines are known encoded.
#[derive(Clone)]
pub(crate) struct Redactor {
    /// Finds the forms; `None` if there are more than it can hold, and then everything is taken for secret.
    matcher: Option<AhoCorasick>,
    /// The forms, sorted.
    forms: Arc<[Vec<u8>]>,
    /// The length of the longest form.
    longest: usize,
}

impl Redactor {
    /// A redactor of these values.
    pub(crate) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut forms = BTreeSet::new();
        for secret in secrets {
            // A mounted file ends with a newline that nobody repeats, and tools quote keys line by line.
            for value in std::iter::once(secret.trim()).chain(secret.lines().map(str::trim)) {
                let decoded: Vec<u8> = percent_decode(value.as_bytes()).collect();
                for value in [value.as_bytes(), &decoded] {
                    if value.len() >= SHORTEST {
                        add_forms(value, &mut forms);
                    }
                }
            }
        }
        Redactor {
            // A DFA, the default for few patterns, takes 100 times the memory.
            matcher: AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(&forms).ok(),
            longest: forms.iter().map(Vec::len).max().unwrap_or(0),
            forms: forms.into_iter().collect(),
        }
    }

    /// A whole text without the credentials.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut stream = self.stream();
        let mut bytes = stream.push(text.as_bytes());
        bytes.extend(stream.finish());
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Takes the credentials out of a text that comes in pieces.
    pub(crate) fn stream(&self) -> RedactStream {
        RedactStream { redactor: self.clone(), held: Vec::new(), masked: 0 }
    }

    /// Where in `text` what may be the beginning of a form begins.
    fn undecided(&self, text: &[u8]) -> usize {
        let first = (text.len() + 1).saturating_sub(self.longest);
        (first..text.len()).find(|&start| self.begins_form(&text[start..])).unwrap_or(text.len())
    }

    /// Whether `tail` is the beginning of a longer form.
    fn begins_form(&self, tail: &[u8]) -> bool {
        let next = self.forms.partition_point(|form| form.as_slice() <= tail);
        self.forms.get(next).is_some_and(|form| form.starts_with(tail))
    }

    /// Where forms stand in `text`, overlapping ones too, from left to right.
    fn found(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let Some(matcher) = &self.matcher else {
            return vec![(0, text.len())];
        };
        let mut found: Vec<_> =
            matcher.find_overlapping_iter(text).map(|found| (found.start(), found.end())).collect();
        found.sort_unstable();
        found
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it knows is what nobody shall see.
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// A text that comes in pieces, with its credentials taken out.
pub(crate) struct RedactStream {
    redactor: Redactor,
    /// What may be the beginning of a credential.
    held: Vec<u8>,
    /// How many of the held bytes belong to a credential whose mask is out already.
    masked: usize,
}

impl RedactStream {
    /// Takes the next piece; gives all that cannot be the beginning of a credential.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let decided = self.redactor.undecided(&self.held);
        self.release(decided)
    }

    /// Gives what was held back; what comes after is a new text.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let rest = self.release(self.held.len());
        self.masked = 0;
        rest
    }

    /// Gives the first `end` of the held bytes. Whatever overlaps is masked as one, so that no rest of one
    /// credential stands beside another's mask.
    fn release(&mut self, end: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(end);
        let mut done = self.masked;
        for (start, stop) in self.redactor.found(&self.held) {
            if start >= end {
                break;
            }
            if start >= done {
                out.extend_from_slice(&self.held[done..start]);
                out.extend_from_slice(MASK);
            }
            done = done.max(stop);
        }
        out.extend_from_slice(self.held.get(done..end).unwrap_or_default());
        self.masked = done.max(end) - end;
        self.held.drain(..end);
        out
    }
}

/// RFC 3986's unreserved characters stay, as most libraries have it.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The sets of characters that clients encode: everything, forms, Python's `quote`, JavaScript's
/// `encodeURIComponent`, what RFC 3986 and WHATWG demand within user info, and the bare minimum.
static ENCODED: [&AsciiSet; 8] = [
    NON_ALPHANUMERIC,
    &UNRESERVED,
    &UNRESERVED.remove(b'*').add(b'~'),
    &UNRESERVED.remove(b'/'),
    &UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')'),
    &USER_INFO,
    &USER_INFO.add(b':').add(b';').add(b'=').add(b'|').add(b'\''),
    &USER_INFO.add(b':'),
];
/// What RFC 3986 does not allow within user info.
const USER_INFO: AsciiSet = UNRESERVED
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':');

/// Adds every form of one value.
fn add_forms(value: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    forms.insert(value.to_vec());
    if value.len() > LONGEST_ENCODED {
        return;
    }
    if let Some(json) = std::str::from_utf8(value).ok().and_then(|value| serde_json::to_string(value).ok()) {
        forms.insert(json.trim_matches('"').as_bytes().to_vec());
    }
    let everything: String = value.iter().map(|&byte| percent_encoding::percent_encode_byte(byte)).collect();
    let percent = ENCODED.iter().map(|set| percent_encode(value, set).to_string());
    for upper in percent.chain([everything]) {
        for form in [lower_hex(&upper), upper] {
            // Forms write a blank as a plus.
            forms.insert(form.replace("%20", "+").into_bytes());
            forms.insert(form.into_bytes());
        }
    }
    for before in 0..3 {
        add_base64(before, value, forms);
    }
}

/// Adds what base64 makes of a value after `before` other bytes (modulo 3): the characters that depend on
/// nothing else, and those with which it ends where the value ends.
fn add_base64(before: usize, value: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    let text = [vec![0; before].as_slice(), value].concat();
    // A character holds 6 bits: the first that hold no bit of the bytes before, the last that are full.
    let first = (before * 8).div_ceil(6);
    let full = text.len() * 8 / 6;
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        let encoded = &engine.encode(&text).into_bytes()[first..];
        forms.insert(encoded[..full - first].to_vec());
        forms.insert(encoded.to_vec());
        let padding = (3 - text.len() % 3) % 3;
        forms.insert([encoded, &b"=="[..padding]].concat());
    }
}

/// A percent-encoded text with its hexadecimal digits in lower case.
fn lower_hex(encoded: &str) -> String {
    let mut digits = 0;
    encoded
        .chars()
        .map(|character| match character {
            '%' => {
                digits = 2;
                '%'
            }
            digit if digits > 0 => {
                digits -= 1;
                digit.to_ascii_lowercase()
            }
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(secrets.iter().map(ToString::to_string))
    }

    #[test]
    fn every_form_of_a_secret_is_masked() {
        let redactor = redactor(&["p@ss/w\"rd ö"]);
        for (text, expected) in [
            ("https://user:p@ss/w\"rd ö@host", "https://user:***@host"),
            ("p%40ss%2Fw%22rd%20%C3%B6", "***"),
            ("p%40ss%2fw%22rd+%c3%b6", "***"),
            ("p%40ss/w%22rd%20%C3%B6", "***"),
            ("{\"key\":\"p@ss/w\\\"rd ö\"}", "{\"key\":\"***\"}"),
        ] {
            assert_eq!(redactor.text(text), expected);
        }
        for engine in [STANDARD, URL_SAFE, STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            assert_eq!(redactor.text(&format!("Basic {}", engine.encode("p@ss/w\"rd ö"))), "Basic ***");
        }
        // The character that mixes the user's last bits with the password's first remains.
        assert_eq!(redactor.text(&STANDARD.encode("me:p@ss/w\"rd ö")), "bWU6***");
        assert_eq!(redactor.text(&STANDARD.encode("you:p@ss/w\"rd ö")), "eW91On***");
    }

    #[test]
    fn a_secret_that_came_out_of_a_url_is_masked_decoded_too() {
        let redactor = redactor(&["p%40ssword"]);
        assert_eq!(redactor.text("p%40ssword p@ssword cEBzc3dvcmQ= p%2540ssword"), "*** *** *** ***");
    }

    #[test]
    fn lines_of_a_key_and_files_with_a_newline_are_masked() {
        let redactor = redactor(&["token-1\n", "first line\nsecond line\n"]);
        assert_eq!(redactor.text("token-1; second line; first line\r\n"), "***; ***; ***\r\n");
    }

    #[test]
    fn short_values_are_no_secrets() {
        assert_eq!(
            redactor(&["true", "", "12345", "     \n"]).text("true 12345     \n"),
            "true 12345     \n"
        );
    }

    #[test]
    fn overlapping_secrets_leave_no_rest() {
        let redactor = redactor(&["abcdef", "defghi", "abcdefgh"]);
        assert_eq!(redactor.text("-abcdefghi-"), "-***-");
        assert_eq!(redactor.text("abcdefdefghi"), "******");
    }

    #[test]
    fn a_stream_holds_back_no_more_than_what_may_be_a_secret() {
        let mut stream = redactor(&["hunter2hunter2"]).stream();
        assert_eq!(stream.push(b"password: "), b"password: ");
        assert_eq!(stream.push(b"is hunter2"), b"is ");
        assert_eq!(stream.push(b"hunter3"), b"hunter2hunter3");
        assert_eq!(stream.push(b" hunter2hunter2!"), b" ***!");
        assert_eq!(stream.push(b"hunt"), b"");
        assert_eq!(stream.finish(), b"hunt");
    }

    #[test]
    fn of_very_long_values_the_lines_are_known_encoded() {
        let lines: Vec<_> = (0..1000).map(|line| format!("secret line {line}")).collect();
        let redactor = Redactor::new([lines.join("\n")]);
        assert!(redactor.forms.iter().map(Vec::len).sum::<usize>() < 1 << 20);
        assert_eq!(redactor.text(&lines.join("\n")), "***");
        assert_eq!(redactor.text(&STANDARD.encode(&lines[999])), "***");
    }

    #[test]
    fn a_redactor_does_not_show_what_it_knows() {
        assert_eq!(format!("{:?}", redactor(&["hunter2"])), "Redactor { .. }");
    }

    #[test]
    fn too_many_secrets_hide_everything() {
        let redactor = Redactor { matcher: None, ..redactor(&[]) };
        assert_eq!(redactor.text("anything"), "***");
    }

    /// Pushes `text` in pieces that end at `cuts` (modulo its length).
    fn in_pieces(redactor: &Redactor, text: &[u8], cuts: &[usize]) -> Vec<u8> {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (text.len() + 1)).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let mut stream = redactor.stream();
        let mut out: Vec<u8> =
            cuts.windows(2).flat_map(|range| stream.push(&text[range[0]..range[1]])).collect();
        out.extend(stream.finish());
        out
    }

    /// Whether `text` holds the secret, in the clear or in what remains of any base64.
    fn leaks(text: &str, secret: &str) -> bool {
        let hides = |piece: &str| {
            (0..4.min(piece.len() + 1)).any(|skip| {
                let piece = &piece[skip..];
                // A last quantum of one character is no base64.
                let piece = &piece[..piece.len() - usize::from(piece.len() % 4 == 1)];
                [STANDARD_NO_PAD, URL_SAFE_NO_PAD]
                    .iter()
                    .filter_map(|engine| engine.decode(piece).ok())
                    .any(|bytes| bytes.windows(secret.len()).any(|window| window == secret.as_bytes()))
            })
        };
        let decoded: Vec<u8> = percent_decode(text.as_bytes()).collect();
        text.contains(secret)
            || decoded.windows(secret.len()).any(|window| window == secret.as_bytes())
            || text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/-_".contains(c)).any(hides)
    }

    fn encode(secret: &str, before: &str, after: &str, form: usize) -> String {
        let whole = format!("{before}{secret}{after}");
        match form {
            0 => secret.to_owned(),
            1 => STANDARD.encode(whole),
            2 => URL_SAFE.encode(whole),
            3 => STANDARD_NO_PAD.encode(whole),
            4 => URL_SAFE_NO_PAD.encode(whole),
            5 => percent_encode(whole.as_bytes(), NON_ALPHANUMERIC).to_string(),
            6 => lower_hex(&percent_encode(whole.as_bytes(), &UNRESERVED).to_string()),
            7 => percent_encode(whole.as_bytes(), &USER_INFO).to_string(),
            _ => whole.bytes().map(percent_encoding::percent_encode_byte).collect(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_form_of_a_secret_gets_out_wherever_it_is_cut(
            secret in "[!-~][ -~é]{4,30}[!-~]",
            before in "[a-z:]{0,4}",
            after in "[a-z:]{0,4}",
            form in 0usize..9,
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let redactor = Redactor::new([secret.clone()]);
            let encoded = encode(&secret, &before, &after, form);
            prop_assert!(leaks(&encoded, &secret));
            let text = format!("GET <{encoded}> {encoded}\n");
            let out = String::from_utf8(in_pieces(&redactor, text.as_bytes(), &cuts)).expect("UTF-8");
            prop_assert!(!leaks(&out, &secret), "{out:?}");
            prop_assert_eq!(&out, &redactor.text(&text));
            prop_assert!(out.starts_with("GET <") && out.ends_with('\n'));
        }

        #[test]
        fn text_without_secrets_passes_unchanged(
            secrets in prop::collection::vec("[A-Z]{6,12}", 0..4),
            text in prop::collection::vec("[!-@a-z \n]|[A-Z]{1,5}[ .]", 0..200),
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let text = text.concat();
            let redactor = Redactor::new(secrets);
            prop_assert_eq!(in_pieces(&redactor, text.as_bytes(), &cuts), text.as_bytes());
        }

        #[test]
        fn pieces_make_no_difference(
            secrets in prop::collection::vec("[ab]{6,9}", 1..4),
            text in "[ab]{0,60}",
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let redactor = Redactor::new(secrets);
            let out = in_pieces(&redactor, text.as_bytes(), &cuts);
            prop_assert_eq!(String::from_utf8(out).expect("ASCII"), redactor.text(&text));
        }
    }
}
