//! What servers, URLs, proxies and netrc files say, and base64 as it streams.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use builders::function::RelPath;

use super::sections::sections;
use crate::netrc;
use crate::report::credentials;
use crate::report::redact::Redactor;
use crate::sys::decode;
use crate::sys::fetch::page::{first_line, is_web_page};
use crate::sys::fetch::{Address, proxy_secrets};

/// The longest first line of a page, in characters, with `…`.
const LINE: usize = 201;

/// Reads sections: `url`, `proxy`, `netrc`, `page` and `base64`. An address shows no credential, every password that may be
/// sent is known as a secret, a page's first line is one line of plain text, and base64 means the same in whatever
/// pieces it comes.
///
/// # Panics
/// When that does not hold.
pub fn download(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for (name, text) in sections(&text).1 {
        match name {
            "url" => text.lines().for_each(address),
            "proxy" => text.lines().for_each(proxy),
            "netrc" => logins(text),
            "page" => {
                let line = first_line(text);
                super::assert_plain(&line);
                assert!(!line.contains('\n') && line.chars().count() <= LINE, "{line:?}");
                is_web_page("text/html; charset=utf-8", text.as_bytes());
            }
            "base64" => decoded(text.as_bytes()),
            _ => {}
        }
    }
}

fn address(text: &str) {
    let Ok(address) = text.parse::<Address>() else { return };
    let shown = address.to_string();
    super::assert_plain(&shown);
    let (_, rest) = shown.split_once("://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    assert!(!host.contains('@') && !shown.contains(['?', '#']), "{shown}");
    assert!(shown.parse::<Address>().is_ok_and(|again| again.to_string() == shown), "{shown}");
    if let Some(name) = address.file_name() {
        assert!(name.parse::<RelPath>().is_ok() && !name.contains('/'), "{name:?}");
    }
    assert!(address.secrets().all(|secret| secret.len() >= 6));
}

fn proxy(text: &str) {
    // With its password in brackets and a user of letters, so that it is plain what the password is.
    let Some((user, rest)) = text.split_once(":[") else { return };
    let Some((password, host)) = rest.split_once("]@") else { return };
    let user = user.trim_start_matches("http://").trim_start_matches('/');
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric());
    if is_plain(user) && is_plain(password) && password.len() >= 6 && !host.contains(['@', '/', '?', '#']) {
        let shown = Redactor::new(proxy_secrets(&text.replace(['[', ']'], ""))).text(password);
        assert!(!shown.contains(password), "{text:?}");
    }
}

fn logins(text: &str) {
    let secrets = credentials::configuration("netrc", text);
    for login in netrc::logins(text) {
        let password = login.password.unwrap_or_default();
        assert!(password.is_empty() || secrets.contains(&password), "{password:?} is not known as a secret");
    }
}

/// A stream that comes in pieces of other lengths each time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        let most = self.1.min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}

fn decoded(text: &[u8]) {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let unbroken: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let expected = GeneralPurpose::new(&alphabet::STANDARD, config).decode(&unbroken).ok();
    for stream in [Pieces(text, text.len()), Pieces(text, usize::from(text.first().copied().unwrap_or(0)))] {
        let mut bytes = Vec::new();
        let found = decode::base64(stream).read_to_end(&mut bytes).ok().map(|_| bytes);
        assert!(found == expected, "{found:?}, not {expected:?}");
    }
}
