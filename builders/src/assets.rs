//! The files of `runtimes-config/`, embedded when this crate is compiled.

use crate::catalog::{Catalog, CatalogError};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// An embedded file by its path in `runtimes-config/`, for example `python/check.py`.
#[must_use]
pub fn asset(id: &str) -> Option<&'static str> {
    ASSETS.iter().find(|(path, _)| *path == id).map(|(_, text)| *text)
}

/// The embedded files below a folder of `runtimes-config/`, for example `python/server`: the path
/// below it, and the whole path.
pub fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    ASSETS.iter().filter_map(move |(path, _)| {
        let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
        Some((rest, *path))
    })
}

/// The runtimes that are built in.
///
/// # Errors
/// When one of the embedded descriptions is malformed, which a test excludes.
pub fn catalog() -> Result<Catalog, CatalogError> {
    Catalog::parse(ASSETS.iter().copied().filter(|(path, _)| path.ends_with("/runtime.toml")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builder_has_its_description_and_every_description_its_builder() {
        let ids = catalog().expect("the embedded runtimes are well-formed").ids();
        let builders: Vec<_> = crate::BUILDERS.iter().map(|builder| builder.id().to_owned()).collect();
        assert_eq!(ids, builders);
    }
}
