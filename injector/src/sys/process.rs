//! The end of this process.

/// Ends the process at once, without unwinding.
#[expect(clippy::exit, reason = "a panic hook has nobody to return to")]
pub(crate) fn exit(status: u8) -> ! {
    std::process::exit(status.into())
}
