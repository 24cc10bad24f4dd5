//! Runs the target `runtime_toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| injector::fuzzing::runtime_toml(data));
