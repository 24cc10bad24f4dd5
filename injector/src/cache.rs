//! What was built once, for every other pod: looked up by what it depends on, put back, kept.

pub(crate) mod record;
