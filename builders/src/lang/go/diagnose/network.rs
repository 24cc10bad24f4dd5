//! What go says of network, proxies and registries.

use crate::diagnostic::{Diagnostic, Output};
use crate::network::{Said, evidence as shared};

/// What speaks for a failure that the author cannot mend, if anything does.
pub(super) fn evidence(output: &Output) -> Option<Diagnostic> {
    shared(Said { text: &output.stderr, told: &output.stderr, host: |_| None, credentials: "a .netrc" })
}
