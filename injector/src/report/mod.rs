//! All that the injector says: the only room that writes output.

pub(crate) mod console;
pub(crate) mod credentials;
pub(crate) mod excerpt;
pub(crate) mod plain;
pub(crate) mod redact;
pub(crate) mod termination;
