//! Runs the target `manifests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| injector::fuzzing::manifests(data));
