//! Runs the target `handler`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| injector::fuzzing::handler(data));
