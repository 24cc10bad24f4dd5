//! A registry of the OCI distribution specification, in memory, that makes the trouble it is told to make.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A registry on loopback, without login.
pub(crate) struct Oci {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is this status.
    Status(u16),
    /// There is none, as long as the client waits.
    Silent,
    /// Half of it comes, and then nothing.
    Stalled,
    /// Half of it comes, and then the end of the connection.
    Cut,
    /// As long as it should be, and something else.
    Flipped,
    /// Half of it, as if that were all.
    Short,
    /// More than it should be.
    Long,
    /// Another entry, or another blob.
    Another,
    /// It says that all went well, and nothing was kept.
    Forgotten,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The method.
    pub(crate) method: String,
    /// The path and the query.
    pub(crate) target: String,
    /// How many requests came since the plan was made.
    pub(crate) number: usize,
}

/// Says what goes wrong with which request.
type Plan = Box<dyn FnMut(&Asked) -> Option<Fault> + Send>;

/// What all connections see.
struct Shared {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Vec<u8>>,
    uploads: usize,
    asked: Vec<Asked>,
    plan: Plan,
}

/// A request, read whole.
struct Request {
    method: String,
    target: String,
    range: Option<usize>,
    body: Vec<u8>,
}

/// An answer, before anything goes wrong with it.
struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Oci {
    /// Starts one with nothing in it.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let shared = Arc::new(Mutex::new(Shared {
            blobs: BTreeMap::new(),
            manifests: BTreeMap::new(),
            uploads: 0,
            asked: Vec::new(),
            plan: Box::new(|_| None),
        }));
        let for_them = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&for_them);
                // A client that goes away is no error of ours.
                thread::spawn(move || serve(&stream, &shared));
            }
        });
        Oci { address, shared }
    }

    /// What names a repository of it.
    pub(crate) fn reference(&self) -> String {
        format!("http://{}/team/cache", self.address)
    }

    /// From now on, this goes wrong.
    pub(crate) fn plan(&self, plan: impl FnMut(&Asked) -> Option<Fault> + Send + 'static) {
        let mut shared = lock(&self.shared);
        shared.plan = Box::new(plan);
        shared.asked.clear();
    }

    /// What it was asked since then.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        lock(&self.shared).asked.clone()
    }

    /// Forgets all that it has.
    pub(crate) fn forget(&self) {
        let mut shared = lock(&self.shared);
        shared.blobs.clear();
        shared.manifests.clear();
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)
    }
}

/// Answers all that comes on a connection.
fn serve(stream: &TcpStream, shared: &Mutex<Shared>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        let (answer, fault) = {
            let mut shared = lock(shared);
            let number = shared.asked.len();
            let asked = Asked { method: request.method.clone(), target: request.target.clone(), number };
            shared.asked.push(asked.clone());
            let fault = (shared.plan)(&asked);
            (shared.answer(&request, fault), fault)
        };
        let is_head = request.method == "HEAD";
        if !write(stream, answer, fault, is_head)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The next request; none at the end of the connection.
fn read(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(ToOwned::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (mut range, mut length) = (None, 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "range" => range = value.trim().trim_start_matches("bytes=").trim_end_matches('-').parse().ok(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { method, target, range, body }))
}

impl Shared {
    /// What a registry answers; what goes wrong with what it has is wrong then.
    fn answer(&mut self, request: &Request, fault: Option<Fault>) -> Answer {
        if let Some(Fault::Status(status)) = fault {
            return Answer { status, headers: login(status), body: b"{\"errors\":[]}".to_vec() };
        }
        let target = request.target.replace("%3A", ":");
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let last = path.rsplit('/').next().unwrap_or_default();
        let is_kept = fault != Some(Fault::Forgotten);
        let is_manifest = path.contains("/manifests/");
        match request.method.as_str() {
            "POST" if path.ends_with("/blobs/uploads/") => {
                self.uploads += 1;
                plain(202, &format!("Location: {path}{}\r\n", self.uploads))
            }
            "PUT" if path.contains("/blobs/uploads/") => {
                let digest = query.split('&').find_map(|pair| pair.strip_prefix("digest="));
                if is_kept {
                    self.blobs.insert(digest.unwrap_or_default().to_owned(), request.body.clone());
                }
                plain(201, &format!("Location: {path}\r\n"))
            }
            "PUT" if is_manifest => {
                if is_kept {
                    self.manifests.insert(last.to_owned(), request.body.clone());
                }
                plain(201, &format!("Location: {path}\r\n"))
            }
            "GET" | "HEAD" => {
                let all = if is_manifest { &self.manifests } else { &self.blobs };
                let another = || all.iter().find(|(name, _)| *name != last).map(|(_, bytes)| bytes);
                let found = all.get(last).filter(|_| is_kept);
                match if fault == Some(Fault::Another) { another() } else { found } {
                    None => plain(404, ""),
                    Some(bytes) => part(bytes, request.range),
                }
            }
            _ => plain(405, ""),
        }
    }
}

fn plain(status: u16, headers: &str) -> Answer {
    Answer { status, headers: headers.to_owned(), body: Vec::new() }
}

/// What a registry says that wants to know who we are.
fn login(status: u16) -> String {
    if status == 401 { "WWW-Authenticate: Basic realm=\"tests\"\r\n".to_owned() } else { String::new() }
}

/// What is asked for of some bytes.
fn part(bytes: &[u8], from: Option<usize>) -> Answer {
    match from.filter(|from| *from < bytes.len()) {
        None => Answer { status: 200, headers: String::new(), body: bytes.to_owned() },
        Some(from) => {
            let range = format!("Content-Range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len());
            Answer { status: 206, headers: range, body: bytes[from..].to_owned() }
        }
    }
}

/// Writes an answer; gives whether the connection goes on.
fn write(
    mut stream: &TcpStream,
    mut answer: Answer,
    fault: Option<Fault>,
    is_head: bool,
) -> io::Result<bool> {
    let half = answer.body.len() / 2;
    match fault {
        Some(Fault::Silent) => {
            wait(stream);
            return Ok(false);
        }
        Some(Fault::Flipped) => {
            if let Some(byte) = answer.body.get_mut(half) {
                *byte ^= 1;
            }
        }
        Some(Fault::Short) => answer.body.truncate(half),
        Some(Fault::Long) => answer.body.extend_from_slice(b"more"),
        _ => {}
    }
    let Answer { status, headers, body } = answer;
    let head = format!("HTTP/1.1 {status} -\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    let breaks = matches!(fault, Some(Fault::Stalled | Fault::Cut));
    if breaks && (body.is_empty() || is_head) {
        // What has no middle has no head either.
        if fault == Some(Fault::Stalled) {
            wait(stream);
        }
        return Ok(false);
    }
    stream.write_all(head.as_bytes())?;
    if is_head {
        return Ok(true);
    }
    stream.write_all(if breaks { &body[..half] } else { &body })?;
    if fault == Some(Fault::Stalled) {
        wait(stream);
    }
    Ok(!breaks)
}

/// Until the client goes away.
fn wait(mut stream: &TcpStream) {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).is_ok_and(|read| read > 0) {}
}

/// Who panics while holding it has failed the test already.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
