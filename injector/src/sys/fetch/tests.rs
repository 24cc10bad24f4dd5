//! Downloads from real servers on loopback, in all their moods.

mod answers;
mod process;
mod proxied;
mod redirects;
mod resuming;
mod retries;
mod trouble;

use std::io;
use std::net::TcpListener;

use super::server::Server;
use super::*;

/// A download and what is around it.
struct Case {
    network: Network,
    timings: Timings,
    inbox: Inbox,
    max: u64,
    allowed: Duration,
    dir: tempfile::TempDir,
}

/// What came of it.
struct Seen {
    result: Result<Fetched, FetchError>,
    /// The file's bytes; `None` if there is none.
    bytes: Option<Vec<u8>>,
    /// What was told before further attempts.
    told: Vec<String>,
}

/// With waits that tests can afford; what shall not happen in a test takes as long as for people.
fn case() -> Case {
    let short = Duration::from_millis(4);
    Case {
        network: Network::default(),
        timings: Timings { first_wait: short, longest_wait: short, ..Timings::USUAL },
        inbox: Inbox::default(),
        max: 1 << 30,
        allowed: Duration::from_mins(1),
        dir: tempfile::tempdir().expect("a directory"),
    }
}

impl Case {
    fn fetch(self, from: &str) -> Seen {
        let from: Address = from.parse().expect("an address");
        let to = self.dir.path().join("function.zip");
        let mut told = Vec::new();
        let world = World { inbox: &self.inbox, timings: self.timings };
        let errand = Errand { from: &from, max: self.max, allowed: self.allowed, network: &self.network };
        let result = fetch_in(&world, &errand, &to, &mut |why| told.push(why.to_owned()));
        Seen { result, bytes: fs::read(&to).expect("readable"), told }
    }
}

impl Seen {
    /// The bytes, which are those that were digested.
    fn bytes(self) -> Vec<u8> {
        let Fetched { size, sha256, .. } = self.result.expect("fetched");
        let bytes = self.bytes.expect("a file");
        assert_eq!((size, sha256), (bytes.len() as u64, fs::digest_of(&bytes)));
        bytes
    }

    /// The error, after which there is no file.
    fn error(self) -> FetchError {
        assert_eq!(self.bytes, None, "something is left");
        self.result.expect_err("an error")
    }
}

/// A port on which nobody listens.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound port").to_string()
}

/// Bytes without a pattern that a mistake could repeat.
fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| ((at * 2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

#[track_caller]
fn assert_asked(server: &Server, times: usize) {
    let asked: Vec<_> = server.asked().into_iter().map(|request| request.what).collect();
    assert_eq!(asked.len(), times, "{asked:?}");
}
