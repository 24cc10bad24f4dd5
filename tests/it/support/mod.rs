//! What several of the tests need: a pod without a cluster.

pub(crate) mod machine;
pub(crate) mod pod;
