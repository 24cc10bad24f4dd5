//! The only door to the operating system; every function blocks, and no type of the crates behind it leaves.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this room is where files, processes, signals and clocks are touched"
)]

use std::io;

pub(crate) mod decode;
pub(crate) mod exec;
pub(crate) mod fetch;
pub(crate) mod fs;
pub(crate) mod host;
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod parallel;
mod race;
pub(crate) mod registry;
pub(crate) mod share;
pub(crate) mod signal;
pub(crate) mod tree;
pub(crate) mod unpack;
pub(crate) mod volume;

/// Makes this process fit to build: it notices SIGTERM and SIGINT, inherits its tools' orphans, hides
/// its environment from them, and what it writes is readable for everyone.
pub(crate) fn prepare(on_late: fn(signal::Signal)) -> io::Result<()> {
    signal::watch(on_late)?;
    exec::prepare()?;
    host::open_umask();
    Ok(())
}
