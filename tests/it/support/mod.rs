//! What several tests need: a small HTTP client, the Python of this machine, and a package registry.

pub(crate) mod http;
pub(crate) mod packages;
pub(crate) mod python;
pub(crate) mod registry;
pub(crate) mod server;
