//! What several tests need: a small HTTP client, and the Python interpreters of this machine.

pub(crate) mod http;
pub(crate) mod python;
pub(crate) mod server;
