//! What tests share.

pub(crate) mod packages;
pub(crate) mod registry;
