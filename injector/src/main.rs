//! The binary: everything is in the library, so that there is one place to read it from.

use std::process::ExitCode;

fn main() -> ExitCode {
    injector::run()
}
