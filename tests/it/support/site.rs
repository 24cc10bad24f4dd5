//! A file server on loopback that answers each request as it is told to, and remembers what it was asked.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use rustls::{ServerConnection, StreamOwned};

use super::loopback::listen;
use super::registry::{Asked, Head, Scheme, Seen, certificate, respond};

/// What is done with a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The file, or the part that is asked for.
    File(Vec<u8>),
    /// A status with headers and a body.
    Status(&'static str, String, Vec<u8>),
    /// Somewhere else.
    Moved(String),
    /// So many bytes of the file, then the end.
    Cut(Vec<u8>, usize),
    /// So many bytes of the file, then nothing until the client goes away.
    Stalls(Vec<u8>, usize),
    /// This many blanks.
    Blanks(u64),
    /// Blanks without an end that is announced.
    Endless,
}

/// A status without headers, and this body.
pub(crate) fn says(status: &'static str, body: &str) -> Answer {
    Answer::Status(status, String::new(), body.as_bytes().to_owned())
}

/// A server.
pub(crate) struct Site {
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
    /// The CA of its certificate, as PEM.
    pub(crate) ca: String,
    scheme: Scheme,
    seen: Seen,
}

impl Site {
    /// One that gives this file to whoever asks for anything.
    pub(crate) fn with(content: Vec<u8>) -> Self {
        Site::start(Scheme::Http, move |_, _| Answer::File(content.clone()))
    }

    /// One that does with each request what it is told: it hears what is asked, and how often something was before.
    pub(crate) fn start(
        scheme: Scheme,
        answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Site::at("127.0.0.1:0", scheme, answer)
    }

    /// One on another host.
    pub(crate) fn abroad(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        Site::at("127.0.0.2:0", Scheme::Http, answer)
    }

    fn at(
        address: &str,
        scheme: Scheme,
        answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let (ca, tls) = certificate();
        let tls = (scheme != Scheme::Http).then_some(tls);
        let seen: Seen = Arc::new(Mutex::new(Vec::new()));
        let for_them = Arc::clone(&seen);
        let address = listen(address, move |stream| match &tls {
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                serve(&mut StreamOwned::new(connection, stream), &answer, &for_them)
            }
            None => serve(&mut &stream, &answer, &for_them),
        });
        Site { host: address.to_string(), ca, scheme, seen }
    }

    /// Where something of it is; `login` is empty or `user:password@`.
    pub(crate) fn url(&self, login: &str, path: &str) -> String {
        format!("{}://{login}{}/{path}", self.scheme.name(), self.host)
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.lock().expect("no thread panicked").clone()
    }

    /// How often it was asked for anything so far.
    pub(crate) fn requests(&self) -> usize {
        self.asked().len()
    }
}

fn serve(
    stream: &mut (impl Read + Write),
    answer: &impl Fn(&Asked, usize) -> Answer,
    seen: &Seen,
) -> io::Result<()> {
    let head = Head::read(stream)?;
    let asked = head.asked("authorization");
    let before = {
        let mut seen = seen.lock().expect("no thread panicked");
        seen.push(asked.clone());
        seen.len() - 1
    };
    match answer(&asked, before) {
        Answer::File(content) => match range(&head).filter(|from| *from < content.len()) {
            Some(from) => {
                let (last, all) = (content.len() - 1, content.len());
                let headers = format!("{TAG}Content-Range: bytes {from}-{last}/{all}\r\n");
                respond(stream, &head, "206 Partial Content", &headers, &content[from..])
            }
            None => respond(stream, &head, "200 OK", TAG, &content),
        },
        Answer::Status(status, headers, body) => respond(stream, &head, status, &headers, &body),
        Answer::Moved(there) => respond(stream, &head, "302 Found", &format!("Location: {there}\r\n"), b""),
        Answer::Cut(content, bytes) => begin(stream, &content, bytes),
        Answer::Stalls(content, bytes) => {
            begin(stream, &content, bytes)?;
            io::copy(stream, &mut io::sink()).map(drop)
        }
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            io::copy(&mut io::repeat(b' '), stream).map(drop)
        }
        Answer::Blanks(bytes) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n")?;
            io::copy(&mut io::repeat(b' ').take(bytes), stream).map(drop)
        }
    }
}

/// What tells a client that the rest of a file belongs to the part that it has.
const TAG: &str = "ETag: \"the-only-version\"\r\nAccept-Ranges: bytes\r\n";

/// Announces a whole file, and gives this much of it.
fn begin(stream: &mut impl Write, content: &[u8], bytes: usize) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\n{TAG}Content-Length: {}\r\n\r\n", content.len())?;
    stream.write_all(&content[..bytes])?;
    stream.flush()
}

/// From which byte on something is asked for.
fn range(head: &Head) -> Option<usize> {
    head.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}
