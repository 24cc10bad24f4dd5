//! A short run of the fault injector; `cargo xtask faults` is the long one.

use std::path::Path;

use crate::faults::{self, Options, Stalls};

#[test]
fn whatever_happens_no_pod_gets_a_wrong_tree_or_fails_for_a_cache() {
    let options = Options { restores: 40, seed: 1, only: None, stalls: Stalls::None };
    let tally = faults::run(Path::new(env!("CARGO_BIN_EXE_injector")), options, &mut |_| {});
    assert!(tally.bugs.is_empty(), "{tally}");
    assert!(tally.restores >= options.restores && tally.killed > 0 && tally.faults.len() > 4, "{tally}");
}
