//! Runs the target `content_type`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| injector::fuzzing::content_type(data));
