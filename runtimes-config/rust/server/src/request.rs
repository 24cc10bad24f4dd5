//! The HTTP request behind an event.

use std::net::IpAddr;

/// The HTTP request behind an event, read whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method, as it was sent.
    pub method: String,
    /// The path, without what percent signs hid.
    pub path: String,
    /// What stood behind the question mark, as it was sent.
    pub query_string: String,
    /// The headers.
    pub headers: Headers,
    /// The client.
    pub remote_addr: IpAddr,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str, headers: Headers, remote_addr: IpAddr) -> Self {
        let target = path_of(target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method: method.to_owned(),
            path: format!("/{}", decoded(path.trim_start_matches('/'), false)),
            query_string: query.to_owned(),
            headers,
            remote_addr,
        }
    }

    /// A header by its name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The first value of this name behind the question mark.
    pub fn query(&self, name: &str) -> Option<String> {
        self.queries().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Names and values behind the question mark, in their order.
    pub fn queries(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let pairs = self.query_string.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name, true), decoded(value, true))
        })
    }
}

/// Of `http://host/path`, as proxies write it, the path counts.
fn path_of(target: &str) -> &str {
    let lower = target.to_ascii_lowercase();
    let scheme = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme));
    scheme.map_or(target, |scheme| {
        let rest = &target[scheme.len()..];
        rest.find(|c| c == '/' || c == '?').map_or("/", |start| &rest[start..])
    })
}

/// A text without percent signs; in queries a plus is a space.
fn decoded(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut found = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        let value = digits.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (bytes[at], value) {
            (b'%', Some(value)) => {
                found.push(value);
                at += 3;
                continue;
            }
            (b'+', _) if plus_is_space => found.push(b' '),
            (byte, _) => found.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&found).into_owned()
}

/// Headers in their order; what is repeated is joined.
#[derive(Debug, Clone, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of a header, whose name may be in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Names, as they were sent, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, joined)) => {
                joined.push_str(if name.eq_ignore_ascii_case("cookie") { "; " } else { ", " });
                joined.push_str(value);
            }
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }
}
