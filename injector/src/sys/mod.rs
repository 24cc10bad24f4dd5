//! The only door to the operating system: blocking functions, whose machinery stays inside.

pub(crate) mod exec;
pub(crate) mod memory;
mod race;
pub(crate) mod signal;
