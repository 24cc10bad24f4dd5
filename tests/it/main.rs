//! Drives the real binary as the kubelet drives it, and holds the project to its own rules.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    reason = "tests look at the operating system from outside, and say what they skip"
)]

mod arrival;
mod cache;
mod cache_faults;
mod cache_trouble;
mod cache_mount;
mod cache_registry;
mod cache_upkeep;
mod container;
mod contract;
mod deploy;
mod documents;
mod explain;
#[path = "../faults/faults.rs"]
mod faults;
mod fixtures;
mod go_server;
mod hostile;
mod house;
mod java_server;
mod keep;
mod launch;
mod lifecycle;
mod mounts;
mod network;
mod nodejs_helpers;
mod nodejs_modules;
mod nodejs_server;
mod nodejs_wire;
mod python_helpers;
mod python_pip;
mod python_server;
mod python_wire;
mod rust_server;
mod support;
mod volume;
