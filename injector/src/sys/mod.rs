//! The only door to the operating system; every function blocks, and no type of the crates behind it leaves.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this room is where files, processes, signals and clocks are touched"
)]

pub(crate) mod fs;
pub(crate) mod host;
pub(crate) mod mount;
pub(crate) mod volume;
