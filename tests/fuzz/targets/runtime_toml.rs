//! Descriptions of runtimes, and the operator's file that takes some away.

use builders::assets;
use builders::catalog::{Catalog, CatalogError, RuntimeName};

use crate::failure::Failure;

/// What is accepted can be asked for by every name that it has, and an operator's file only takes away.
///
/// # Panics
/// When that does not hold.
pub fn runtime_toml(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match Catalog::parse([("runtime.toml", text)]) {
        Ok(catalog) => consistent(&catalog),
        Err(error) => refused(error),
    }
    let Ok(known) = assets::catalog() else { panic!("the runtimes that are built in make no sense") };
    match known.restrict("runtimes.toml", text) {
        Ok(catalog) => {
            consistent(&catalog);
            for runtime in catalog.runtimes() {
                let before = known.get(&runtime.id);
                let supported = |one| before.is_some_and(|before| before.supports(one));
                assert!(runtime.versions.iter().all(supported), "{runtime:?}");
            }
            let rest = catalog.runtimes().len() + catalog.withheld().len();
            assert_eq!(rest, known.runtimes().len(), "{:?}", catalog.ids());
        }
        Err(error) => refused(error),
    }
}

fn consistent(catalog: &Catalog) {
    for runtime in catalog.runtimes() {
        for name in [&runtime.id, &runtime.example()].into_iter().chain(&runtime.aliases) {
            let Ok(name) = name.parse::<RuntimeName>() else { panic!("{name:?} cannot be asked for") };
            let found = catalog.find(&name).map(|found| &found.id);
            assert_eq!(found, Ok(&runtime.id), "{name}");
        }
    }
}

fn refused(error: CatalogError) {
    assert!(error.to_string().starts_with("runtime"), "{error}");
    super::report(&Failure::Catalog(error), &[]);
}
