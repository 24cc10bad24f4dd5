//! What was built once, for every other pod: looked up by what it depends on, put back, kept.

pub(crate) mod collect;
pub(crate) mod contents;
pub(crate) mod node;
pub(crate) mod record;
pub(crate) mod upkeep;
