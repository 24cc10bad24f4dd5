//! Runs the target `diagnose`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| injector::fuzzing::diagnose(data));
