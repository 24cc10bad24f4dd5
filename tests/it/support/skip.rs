//! What a test says that cannot run here. The injector's unit tests read this file, too.

/// Says that a test is skipped for want of something, or fails if `REQUIRE` lists it.
pub(crate) fn skip(what: &str, reason: &str) {
    let required = std::env::var("REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == what), "REQUIRE={required}, but {reason}");
    eprintln!("SKIP {what}: {reason}");
}
