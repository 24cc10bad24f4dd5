//! A registry that we have not written, and servers on loopback in all their moods.

mod real;

#[path = "../../../../tests/it/support/distribution.rs"]
#[expect(dead_code, reason = "the integration tests use more of it")]
mod distribution;
#[path = "../../../../tests/it/support/loopback.rs"]
#[expect(dead_code, reason = "the other tests use more of it")]
mod loopback;
#[path = "../../../../tests/it/support/skip.rs"]
#[expect(clippy::print_stderr, reason = "tests say what they skip")]
mod skip;

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
