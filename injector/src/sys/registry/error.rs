//! Why a registry did not do what it was asked: a sentence for people, and what that means for who asked.

use std::io;
use std::time::Duration;

use crate::sys::fetch::Cause;
use crate::sys::fs;
use crate::sys::signal::Signal;

/// Why a registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    /// It does not let us in.
    #[error("the registry {host} answers {status} for {what}: its login is missing or wrong")]
    Login {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// The status, in words too.
        status: String,
    },
    /// It refuses, or cannot.
    #[error("the registry {host} answers {status} for {what}")]
    Status {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// The status' number.
        code: u16,
        /// The status, in words too.
        status: String,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// It could not be reached, or broke off.
    #[error("the registry {host} cannot be used for {what}: {cause}")]
    Network {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// What went wrong.
        cause: Cause,
    },
    /// What came is something else than what was asked for.
    #[error("the registry {host} gives something else for {what}: {reason}")]
    Wrong {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// How that is known.
        reason: String,
    },
    /// It does not speak as registries do.
    #[error("the registry {host} answers for {what} what cannot be followed: {reason}")]
    Strange {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// All in all it took too long.
    #[error("the registry {host} took too long for {what}")]
    TookTooLong {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// What shall be pushed cannot be read.
    #[error("{what} cannot be pushed: {}", fs::plain(source))]
    Source {
        /// What shall be pushed.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// We were told to stop.
    #[error("stopped by {}", .0.name())]
    Interrupted(Signal),
    /// The means to ask cannot be had.
    #[error("the network cannot be used: {0}")]
    Setup(String),
}

impl RegistryError {
    /// Whether it has not what it should.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, RegistryError::Status { code: 404, .. })
    }

    /// Whether the registry refuses what it was given, such as a manifest of which it does not find a blob.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, RegistryError::Status { code: 400, .. })
    }

    /// Whether it has something else than it should.
    pub(crate) fn is_wrong(&self) -> bool {
        matches!(self, RegistryError::Wrong { .. })
    }

    /// Whether the registry itself is in trouble, and would be with anything else that it were asked.
    pub(crate) fn is_of_registry(&self) -> bool {
        match self {
            RegistryError::Login { .. }
            | RegistryError::Network { .. }
            | RegistryError::TookTooLong { .. } => true,
            RegistryError::Status { code, .. } => *code >= 500 || *code == 429,
            RegistryError::Wrong { .. }
            | RegistryError::Strange { .. }
            | RegistryError::Source { .. }
            | RegistryError::Interrupted(_)
            | RegistryError::Setup(_) => false,
        }
    }

    /// How long the registry asks to wait.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            RegistryError::Status { wait, .. } => *wait,
            _ => None,
        }
    }

    /// Whether another attempt may end better.
    pub(super) fn may_heal(&self) -> bool {
        match self {
            RegistryError::Status { code, .. } => matches!(code, 408 | 429 | 500 | 502 | 503 | 504),
            RegistryError::Network { cause, .. } => cause.may_heal(),
            _ => false,
        }
    }
}
