//! A registry that we have not written, and servers on loopback in all their moods.

mod answers;
mod login;
mod process;
mod pushes;
mod real;

#[path = "../../../../tests/it/support/distribution.rs"]
#[expect(dead_code, reason = "the integration tests use more of it")]
mod distribution;
#[path = "../../../../tests/it/support/skip.rs"]
#[expect(clippy::print_stderr, reason = "tests say what they skip")]
mod skip;

use std::net::TcpListener;

use super::super::fetch::server::{
    Certificate, Request, Server, Wire, certificate, cut, loopback, reply, wait_for_end,
};
use super::super::signal::Signal;
use super::*;

/// Time enough.
fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// What receives a blob fails with.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("no more")]
    Full,
}

/// A repository at this address, with waits that tests can afford.
fn registry(reference: &str, roots: &str, login: Option<Login>) -> Registry {
    let short = Duration::from_millis(4);
    let timings = Timings { first_wait: short, longest_wait: short, ..TIMINGS };
    let network = Network { roots: roots.as_bytes().to_owned(), ..Network::default() };
    let reference = reference.parse().expect("a reference");
    let inbox = Box::leak(Box::default());
    Registry::with(reference, &network, login, timings, inbox).expect("a registry")
}

/// A repository of this server.
fn of(server: &Server) -> Registry {
    registry(&server.url("", "/team/cache"), "", None)
}

/// The same for somebody who does not wait long.
fn impatient(server: &Server) -> Registry {
    let mut registry = of(server);
    registry.timings.answer = Duration::from_millis(100);
    registry.timings.idle = Duration::from_millis(100);
    registry
}

/// How much comes with a request.
fn length_of(request: &Request) -> usize {
    request.header("content-length").map_or(0, |length| length.parse().expect("a number"))
}

/// A port on which nobody listens.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound port").to_string()
}

#[track_caller]
fn assert_asked(server: &Server, times: usize) {
    let asked: Vec<_> = server.asked().into_iter().map(|request| request.what).collect();
    assert_eq!(asked.len(), times, "{asked:?}");
}

/// A blob, whole.
fn fetch(registry: &Registry, digest: Sha256, size: u64) -> Result<Vec<u8>, RegistryError> {
    let mut bytes = Vec::new();
    registry.blob(digest, size, soon(), &mut |piece: &[u8]| -> Result<(), RegistryError> {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

/// Bytes without a pattern that a mistake could repeat.
fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| ((at * 2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}
