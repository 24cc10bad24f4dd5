//! Servers and proxies on loopback that behave as a test tells them, and remember what they were asked.

#[path = "../../../../tests/it/support/loopback.rs"]
pub(in crate::sys) mod loopback;

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::CertificateParams;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server that lives as long as the test program.
pub(in crate::sys) struct Server {
    /// `127.0.0.1:PORT`
    pub(in crate::sys) host: String,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Request>>>,
}

/// The head of a request.
#[derive(Debug, Clone)]
pub(in crate::sys) struct Request {
    /// Which one it is, from 1.
    pub(in crate::sys) number: usize,
    /// Method and target.
    pub(in crate::sys) what: String,
    head: String,
}

/// Where an answer goes.
pub(in crate::sys) trait Wire: Read + Write {
    /// The connection.
    fn socket(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

/// Whose certificate a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sys) enum Certificate {
    /// One that is right.
    Right,
    /// One that has expired.
    Expired,
    /// One for another name.
    Foreign,
}

impl Server {
    /// A server that speaks plain http.
    pub(in crate::sys) fn http(
        answer: impl Fn(&Request, &mut dyn Wire) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Server::at("127.0.0.1:0", None, answer)
    }

    /// The same on this address, with TLS or without.
    pub(in crate::sys) fn at(
        address: &str,
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Request, &mut dyn Wire) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let (scheme, for_them) = (if tls.is_some() { "https" } else { "http" }, Arc::clone(&seen));
        let serve = move |wire: &mut dyn Wire| {
            let request = {
                let head = head(wire)?;
                let first = head.lines().next().unwrap_or_default();
                let what = first.rsplit_once(" HTTP/").map_or(first, |(what, _)| what).to_owned();
                let mut seen = for_them.lock().expect("no thread panicked");
                let request = Request { number: seen.len() + 1, what, head };
                seen.push(request.clone());
                request
            };
            answer(&request, wire)
        };
        let address = loopback::listen(address, move |mut stream| match &tls {
            Some(tls) => {
                let connection = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
                let mut stream = StreamOwned::new(connection, stream);
                serve(&mut stream)?;
                stream.conn.send_close_notify();
                stream.flush()
            }
            None => serve(&mut stream),
        });
        Server { host: address.to_string(), scheme, seen }
    }

    /// A proxy that asks `target` whatever it is asked for, if `login` is given to it.
    pub(in crate::sys) fn proxy(target: &str, login: Option<&str>) -> Self {
        let (target, login) = (target.to_owned(), login.map(str::to_owned));
        Server::http(move |request, wire| {
            if request.header("proxy-authorization") != login.as_deref() {
                return reply(wire, "407 Proxy Authentication Required", "", b"who are you?");
            }
            let mut upstream = TcpStream::connect(&target)?;
            if !request.what.starts_with("CONNECT ") {
                upstream.write_all(request.head.as_bytes())?;
                return io::copy(&mut upstream, wire).map(drop);
            }
            wire.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            let (mut from, mut to) = (wire.socket().try_clone()?, upstream.try_clone()?);
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                to.shutdown(Shutdown::Write)
            });
            io::copy(&mut upstream, wire)?;
            wire.socket().shutdown(Shutdown::Both)
        })
    }

    /// An address on it; `login` is empty or `user:password@`.
    pub(in crate::sys) fn url(&self, login: &str, path: &str) -> String {
        format!("{}://{login}{}{path}", self.scheme, self.host)
    }

    /// What it was asked so far.
    pub(in crate::sys) fn asked(&self) -> Vec<Request> {
        self.seen.lock().expect("no thread panicked").clone()
    }
}

impl Request {
    /// A header's value.
    pub(in crate::sys) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Answers whole.
pub(in crate::sys) fn reply(wire: &mut dyn Wire, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    write!(wire, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
    wire.write_all(body)?;
    wire.flush()
}

/// Answers with a head that announces more than comes, and dies.
pub(in crate::sys) fn cut(
    wire: &mut dyn Wire,
    headers: &str,
    body: &[u8],
    announced: usize,
) -> io::Result<()> {
    write!(wire, "HTTP/1.1 200 OK\r\n{headers}Content-Length: {announced}\r\n\r\n")?;
    wire.write_all(body)?;
    wire.flush()?;
    wire.socket().shutdown(Shutdown::Both)
}

/// Waits until the client goes.
pub(in crate::sys) fn wait_for_end(wire: &mut dyn Wire) -> io::Result<()> {
    io::copy(wire, &mut io::sink()).map(drop)
}

/// A CA's certificate as PEM, and what makes servers speak TLS with a certificate that it has issued.
pub(in crate::sys) fn certificate(which: Certificate) -> (Vec<u8>, Arc<ServerConfig>) {
    let name = if which == Certificate::Foreign { "elsewhere.example" } else { "127.0.0.1" };
    let mut server = CertificateParams::new(["registry.invalid".to_owned(), name.to_owned()]).expect("names");
    if which == Certificate::Expired {
        server.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let (pem, config) = loopback::signed(&server);
    (pem.into_bytes(), config)
}

/// The head of a request, byte by byte: what follows it is not ours.
fn head(wire: &mut dyn Wire) -> io::Result<String> {
    let mut text = String::new();
    let mut reader = BufReader::with_capacity(1, wire);
    while !text.ends_with("\r\n\r\n") {
        if reader.read_line(&mut text)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(text)
}
