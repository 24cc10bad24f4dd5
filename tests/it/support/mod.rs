//! What several tests need: a pod without a cluster, a small HTTP client, and what this machine has.

pub(crate) mod http;
pub(crate) mod machine;
pub(crate) mod pod;
pub(crate) mod python;
pub(crate) mod server;
