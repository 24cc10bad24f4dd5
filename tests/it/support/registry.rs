//! A company's network on loopback: a package registry in many moods, and a proxy.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use rcgen::CertificateParams;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::loopback::{listen, signed};
use super::packages::PACKAGES;

/// A name that no resolver knows: it is reached through a proxy or not at all.
pub(crate) const UNKNOWN_HOST: &str = "registry.invalid";
/// A port on which nobody listens.
pub(crate) const CLOSED: &str = "127.0.0.1:1";

/// How a registry treats its callers.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// Gives everybody everything.
    Serves,
    /// Gives everything to whoever logs in as `user:password`, and 401 to the others.
    Asks(String),
    /// The same for whoever brings this token.
    AsksToken(String),
    /// Asks for a login, and sends those who want a file to another registry's URL for it.
    SendsAway(String, String),
    /// Answers everything with one status.
    Answers(&'static str),
    /// Takes connections and requests, and never answers.
    IsSilent,
    /// Takes connections and closes them.
    HangsUp,
    /// Gives half of each file.
    Cuts,
}

/// Whether it speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// It does not.
    Http,
    /// It does, with a certificate of the company's own CA.
    Https,
    /// It does, with one that has expired.
    Expired,
}

impl Scheme {
    /// As it stands in a URL.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https | Scheme::Expired => "https",
        }
    }
}

/// A PEP 503 index at `/simple`, a registry of npm's at `/npm`, a proxy of Go's modules at `/go`, a repository of Maven's at `/maven`, a sparse index
/// of cargo's at `/index`, and all of them at `/moved`, which redirects there; git repositories at `/git`, and what says at a module's path that they are there.
pub(crate) struct Registry {
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
    /// The company's CA, as PEM.
    pub(crate) ca: String,
    scheme: Scheme,
    seen: Seen,
}

/// What was asked of a server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// Method and target.
    pub(crate) what: String,
    /// What followed `Authorization:` or `Proxy-Authorization:`.
    pub(crate) authorization: Option<String>,
}

pub(super) type Seen = Arc<Mutex<Vec<Asked>>>;

impl Registry {
    /// One that begins to serve at once, and ends with the test program.
    pub(crate) fn start(scheme: Scheme, manner: Manner) -> Self {
        Registry::at("127.0.0.1:0", scheme, manner)
    }

    /// Another host's, which serves everybody.
    pub(crate) fn abroad(scheme: Scheme) -> Self {
        Registry::at("127.0.0.2:0", scheme, Manner::Serves)
    }

    fn at(address: &str, scheme: Scheme, manner: Manner) -> Self {
        let (ca, tls) = certificate_until(if scheme == Scheme::Expired { 2020 } else { 4096 });
        let tls = (scheme != Scheme::Http).then_some(tls);
        let seen = Seen::default();
        let for_them = Arc::clone(&seen);
        let address = listen(address, move |stream| match &tls {
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                answer(&mut StreamOwned::new(connection, stream), scheme, &manner, &for_them)
            }
            None => answer(&mut &stream, scheme, &manner, &for_them),
        });
        Registry { host: address.to_string(), ca, scheme, seen }
    }

    /// Its URL without a path; `login` is empty or `user:password@`.
    pub(crate) fn url(&self, login: &str) -> String {
        format!("{}://{login}{}", self.scheme.name(), self.host)
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.lock().expect("no thread panicked").clone()
    }
}

/// A proxy: whatever host is asked for, it asks one registry.
pub(crate) struct Proxy {
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
    seen: Seen,
}

impl Proxy {
    /// A proxy before this registry; with a `login`, only for those who give it.
    pub(crate) fn before(registry: &Registry, login: Option<&str>) -> Self {
        let target = registry.host.clone();
        let login = login.map(basic);
        let seen = Seen::default();
        let for_them = Arc::clone(&seen);
        let address = listen("127.0.0.1:0", move |mut stream| {
            let head = Head::read(&mut stream)?;
            let asked = head.asked("proxy-authorization");
            let allowed = login.is_none() || asked.authorization == login;
            for_them.lock().expect("no thread panicked").push(asked);
            if !allowed {
                let demand = "Proxy-Authenticate: Basic realm=\"proxy\"\r\n";
                return respond(&mut stream, &head, "407 Proxy Authentication Required", demand, b"");
            }
            let mut upstream = TcpStream::connect(&target)?;
            if head.first.starts_with("CONNECT ") {
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            } else {
                upstream.write_all(head.text.as_bytes())?;
            }
            let (mut from, mut to) = (stream.try_clone()?, upstream.try_clone()?);
            let there = thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                to.shutdown(Shutdown::Write)
            });
            io::copy(&mut upstream, &mut stream)?;
            stream.shutdown(Shutdown::Both)?;
            drop(there);
            Ok(())
        });
        Proxy { host: address.to_string(), seen }
    }

    /// A proxy that lets nobody out.
    pub(crate) fn closed() -> Self {
        let seen = Seen::default();
        let for_them = Arc::clone(&seen);
        let address = listen("127.0.0.1:0", move |mut stream| {
            let head = Head::read(&mut stream)?;
            for_them.lock().expect("no thread panicked").push(head.asked("proxy-authorization"));
            respond(&mut stream, &head, "403 Forbidden", "", b"not there")
        });
        Proxy { host: address.to_string(), seen }
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.lock().expect("no thread panicked").clone()
    }
}

/// What an HTTP client sends for `user:password`.
pub(crate) fn basic(login: &str) -> String {
    format!("Basic {}", STANDARD.encode(login))
}

/// The head of a request.
pub(super) struct Head {
    pub(super) first: String,
    text: String,
}

impl Head {
    pub(super) fn read(stream: &mut impl Read) -> io::Result<Self> {
        let mut text = String::new();
        // Byte by byte: what follows the head is not ours.
        let mut reader = BufReader::with_capacity(1, stream);
        while !text.ends_with("\r\n\r\n") {
            if reader.read_line(&mut text)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let first = text.lines().next().unwrap_or_default().to_owned();
        Ok(Head { first, text })
    }

    pub(super) fn asked(&self, header: &str) -> Asked {
        Asked {
            what: self.first.rsplit_once(" HTTP/").map_or(&*self.first, |(what, _)| what).to_owned(),
            authorization: self.header(header),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        let mut fields = self.text.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    }

    /// The path that is asked for; a proxy is asked for whole URLs.
    pub(super) fn path(&self) -> &str {
        let target = self.first.split(' ').nth(1).unwrap_or("/");
        let absolute = target.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
        absolute.unwrap_or(target)
    }
}

/// Answers one request, then closes.
fn answer(stream: &mut (impl Read + Write), scheme: Scheme, manner: &Manner, seen: &Seen) -> io::Result<()> {
    if matches!(manner, Manner::HangsUp) {
        seen.lock().expect("no thread panicked").push(Asked::default());
        return Ok(());
    }
    let head = Head::read(stream)?;
    let asked = head.asked("authorization");
    let authorization = asked.authorization.clone();
    seen.lock().expect("no thread panicked").push(asked);
    let demanded = match manner {
        Manner::Asks(login) | Manner::SendsAway(login, _) => Some(basic(login)),
        Manner::AsksToken(token) => Some(format!("Bearer {token}")),
        _ => None,
    };
    if demanded.is_some() && authorization != demanded {
        let demand = "WWW-Authenticate: Basic realm=\"registry\"\r\n";
        return respond(stream, &head, "401 Unauthorized", demand, b"who are you?");
    }
    match manner {
        Manner::Serves | Manner::Asks(_) | Manner::AsksToken(_) => serve(stream, scheme, &head),
        Manner::SendsAway(_, there) => match file(&head) {
            Some(_) => moved(stream, &head, &format!("{there}{}", head.path())),
            None => serve(stream, scheme, &head),
        },
        Manner::Cuts => match file(&head) {
            Some(content) => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len())?;
                stream.write_all(&content[..content.len() / 2])
            }
            None => serve(stream, scheme, &head),
        },
        Manner::Answers(status) => respond(stream, &head, status, "", b"no"),
        // Until the client has had enough.
        Manner::IsSilent => io::copy(stream, &mut io::sink()).map(drop),
        Manner::HangsUp => Ok(()),
    }
}

/// The file that is asked for: a package, not what is said of it.
fn file(head: &Head) -> Option<&'static [u8]> {
    let path = head.path();
    let name = path.strip_prefix("/files/").or_else(|| {
        path.strip_prefix('/').filter(|path| {
            path.contains("/-/") || [".zip", ".jar", "/download"].iter().any(|end| path.ends_with(end))
        })
    })?;
    PACKAGES.get(&decoded(name)).map(Vec::as_slice)
}

fn serve(stream: &mut (impl Read + Write), scheme: Scheme, head: &Head) -> io::Result<()> {
    let path = head.path().trim_end_matches('/');
    if let Some(rest) = path.strip_prefix("/moved") {
        let slash = if rest.starts_with("/simple/") { "/" } else { "" };
        return moved(stream, head, &format!("{rest}{slash}"));
    }
    if let Some(content) = file(head) {
        return respond(stream, head, "200 OK", "Content-Type: application/octet-stream\r\n", content);
    }
    if let Some(module) = path.strip_suffix("?go-get=1") {
        let host = head.header("host").unwrap_or_default();
        let page = format!(
            "<meta name=\"go-import\" content=\"{host}{module} git https://{host}/git/{host}{module}.git\">"
        );
        return respond(stream, head, "200 OK", "Content-Type: text/html\r\n", page.as_bytes());
    }
    if ["/go/", "/git/", "/maven/"].iter().any(|below| path.starts_with(below)) {
        let path = path.split('?').next().unwrap_or(path);
        return match PACKAGES.get(&path[1..]) {
            Some(content) => respond(stream, head, "200 OK", "", content),
            None => respond(stream, head, "404 Not Found", "", b"not found"),
        };
    }
    if let Some(asked) = path.strip_prefix("/index/") {
        let here = format!("{}://{}", scheme.name(), head.header("host").unwrap_or_default());
        let config = serde_json::json!({
            "dl": format!("{here}/crates"), "auth-required": head.header("authorization").is_some(),
        });
        // `ac/me/acmegreeting`
        let name = asked.rsplit('/').next().unwrap_or_default();
        return match PACKAGES.get(&format!("index/{name}")) {
            _ if asked == "config.json" => respond(stream, head, "200 OK", "", config.to_string().as_bytes()),
            Some(line) => respond(stream, head, "200 OK", "", line),
            None => respond(stream, head, "404 Not Found", "", b""),
        };
    }
    if let Some(packument) = path.strip_prefix('/').filter(|path| path.starts_with("npm/")) {
        let Some(text) = PACKAGES.get(&decoded(packument)) else {
            return respond(stream, head, "404 Not Found", "", b"{}");
        };
        let here = format!("{}://{}", scheme.name(), head.header("host").unwrap_or_default());
        let text = String::from_utf8_lossy(text).replace("@HOST@", &here);
        return respond(stream, head, "200 OK", "Content-Type: application/json\r\n", text.as_bytes());
    }
    let package = path.strip_prefix("/simple/").unwrap_or_default();
    let mut page = String::from("<!DOCTYPE html><html><body>\n");
    let prefix = format!("{package}-");
    let files: Vec<_> = PACKAGES.keys().filter(|name| name.starts_with(&prefix)).collect();
    for name in &files {
        let _ = writeln!(page, "<a href=\"/files/{name}\">{name}</a>");
    }
    page.push_str("</body></html>\n");
    let status = if files.is_empty() { "404 Not Found" } else { "200 OK" };
    respond(stream, head, status, "Content-Type: text/html\r\n", page.as_bytes())
}

/// npm writes `@scope%2fname`.
fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn moved(stream: &mut impl Write, head: &Head, there: &str) -> io::Result<()> {
    respond(stream, head, "301 Moved Permanently", &format!("Location: {there}\r\n"), b"")
}

pub(super) fn respond(
    stream: &mut impl Write,
    head: &Head,
    status: &str,
    headers: &str,
    body: &[u8],
) -> io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
    if !head.first.starts_with("HEAD ") {
        stream.write_all(body)?;
    }
    stream.flush()
}

/// A CA of the company's own, and a server with a certificate of it.
pub(crate) fn certificate() -> (String, Arc<ServerConfig>) {
    certificate_until(4096)
}

/// The same, with a server's certificate that expires in this year.
fn certificate_until(year: i32) -> (String, Arc<ServerConfig>) {
    let names = ["127.0.0.1", "127.0.0.2", UNKNOWN_HOST].map(str::to_owned);
    let mut server = CertificateParams::new(names).expect("names");
    server.use_authority_key_identifier_extension = true;
    server.not_after = rcgen::date_time_ymd(year, 1, 1);
    signed(&server)
}
