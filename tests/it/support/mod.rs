//! What several tests need: a pod without a cluster, an HTTP client, package registries, and what this machine has.

pub(crate) mod archive;
pub(crate) mod distribution;
pub(crate) mod go;
pub(crate) mod http;
pub(crate) mod java;
pub(crate) mod loopback;
pub(crate) mod machine;
pub(crate) mod mount;
pub(crate) mod nodejs;
pub(crate) mod packages;
pub(crate) mod pod;
pub(crate) mod python;
pub(crate) mod registry;
pub(crate) mod rust;
pub(crate) mod secrets;
pub(crate) mod server;
pub(crate) mod shared;
pub(crate) mod site;
pub(crate) mod skip;
pub(crate) mod wire;
