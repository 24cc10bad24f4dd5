//! A tree of files as a whole: taken with digests, put back verified.

mod manifest;

pub(crate) use self::manifest::{Digest, Entry, Manifest};
