//! npm and pnpm: where their credentials are, and what of them their packages see.

use std::fmt::Write as _;

use crate::support::packages::PACKAGES;

/// A `package.json` that asks for these packages.
pub(super) fn manifest<'a>(packages: impl Iterator<Item = &'a str>) -> String {
    let dependencies: serde_json::Map<_, _> =
        packages.map(|name| (name.to_owned(), "1.0.0".into())).collect();
    serde_json::json!({ "dependencies": dependencies }).to_string()
}

/// Its lock as pnpm makes it.
pub(super) fn lock<'a>(packages: impl Iterator<Item = &'a str> + Clone) -> String {
    let mut lock = String::from("lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n");
    for name in packages.clone() {
        let _ = writeln!(lock, "      '{name}':\n        specifier: 1.0.0\n        version: 1.0.0");
    }
    lock.push_str("packages:\n");
    for name in packages.clone() {
        let _ = writeln!(lock, "  '{name}@1.0.0':\n    resolution: {{integrity: {}}}", integrity(name));
    }
    lock.push_str("snapshots:\n");
    for name in packages {
        let _ = writeln!(lock, "  '{name}@1.0.0': {{}}");
    }
    lock
}

/// The digest that the registry gives of a package; that of nothing, where it has none.
fn integrity(package: &str) -> String {
    let nothing =
        "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";
    let Some(packument) = PACKAGES.get(&format!("npm/{package}")) else {
        return nothing.to_owned();
    };
    let packument: serde_json::Value = serde_json::from_slice(packument).expect("JSON");
    let digest = packument["versions"]["1.0.0"]["dist"]["integrity"].as_str();
    digest.expect("a digest").to_owned()
}
