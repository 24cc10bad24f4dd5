//! What manifests may say: the dependencies that the architecture grants, and what all crates share.

use std::collections::{BTreeMap, BTreeSet};

/// What each crate may use directly.
pub(super) const MAY_USE: &[(&str, &[&str])] = &[
    (
        "builders",
        &[
            "base64",
            "nodejs-semver",
            "percent-encoding",
            "regex",
            "roxmltree",
            "serde",
            "serde_json",
            "strsim",
            "thiserror",
            "toml",
        ],
    ),
    (
        "injector",
        &[
            "aho-corasick",
            "anstream",
            "anstyle",
            "anyhow",
            "base64",
            "blake3",
            "builders",
            "bytes",
            "bzip2",
            "cap-std",
            "clap",
            "flate2",
            "fs-err",
            "hickory-resolver",
            "http-body",
            "httpdate",
            "indicatif",
            "lzma-rust2",
            "percent-encoding",
            "rawzip",
            "reqwest",
            "rustix",
            "rustls",
            "serde",
            "serde_json",
            "sha2",
            "tar",
            "thiserror",
            "tokio",
            "toml",
            "walkdir",
            "webpki-root-certs",
            "zstd",
        ],
    ),
];

/// The normal dependencies of a crate, by cargo's own account.
pub(super) fn direct_dependencies(metadata: &serde_json::Value, krate: &str) -> BTreeSet<String> {
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    list(&metadata["packages"])
        .iter()
        .filter(|package| package["name"] == krate)
        .flat_map(|package| list(&package["dependencies"]))
        .filter(|dependency| dependency["kind"].is_null())
        .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
        .collect()
}

/// What is locked although `deny.toml` bans it.
pub(super) fn forbidden(deny: &str, lock: &str) -> Vec<String> {
    let deny: toml::Table = deny.parse().expect("deny.toml is TOML");
    let banned = deny["bans"]["deny"].as_array().expect("deny.toml has a list of bans");
    let locked = |name: &&str| lock.contains(&format!("name = \"{name}\"\n"));
    let names = banned.iter().filter_map(|ban| ban["crate"].as_str());
    names
        .filter(locked)
        .map(|name| format!("Cargo.lock has {name}: find who wants it with `cargo tree -i {name}`"))
        .collect()
}

/// Keys of the root manifest that do not belong there.
pub(super) fn strange_keys(manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let shared = ["resolver", "members", "default-members", "package", "dependencies", "lints"];
    let granted = |key: &str| match key.split_once('.') {
        Some((_, inner)) => shared.contains(&inner),
        None => ["workspace", "profile"].contains(&key),
    };
    let inner = manifest["workspace"].as_table().into_iter().flat_map(toml::Table::keys);
    let keys = manifest.keys().cloned().chain(inner.map(|key| format!("workspace.{key}")));
    keys.filter(|key| !granted(key))
        .map(|key| {
            format!("Cargo.toml has `{key}`: it holds members, shared versions, lints and profiles only")
        })
        .collect()
}

/// What a crate's manifest keeps to itself although all crates share it.
pub(super) fn unshared(path: &str, manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
    let inherits = |value: &toml::Value| value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
    let mut wanted: BTreeMap<String, Option<&toml::Value>> = BTreeMap::new();
    wanted.insert("lints".to_owned(), manifest.get("lints"));
    for key in ["version", "edition", "rust-version", "license", "publish"] {
        wanted.insert(format!("package.{key}"), manifest["package"].get(key));
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let crates = manifest.get(section).and_then(toml::Value::as_table);
        wanted.extend(
            crates.into_iter().flatten().map(|(name, value)| (format!("{section}.{name}"), Some(value))),
        );
    }
    let alone = wanted.iter().filter(|(_, value)| !value.is_some_and(inherits));
    alone
        .map(|(key, _)| {
            format!("{path}: `{key}` is not taken from the workspace: write `{key}.workspace = true`")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_direct_and_normal_or_does_not_count() {
        let metadata = serde_json::json!({ "packages": [
            { "name": "a", "dependencies": [{ "name": "x", "kind": null }, { "name": "y", "kind": "dev" }] },
            { "name": "b", "dependencies": [{ "name": "z", "kind": null }] },
        ]});
        assert_eq!(direct_dependencies(&metadata, "a"), BTreeSet::from(["x".to_owned()]));
        let deny = "[[bans.deny]]\ncrate = 'openssl'";
        assert_eq!(forbidden(deny, "[[package]]\nname = \"openssl\"\nversion").len(), 1);
        assert_eq!(forbidden(deny, "[[package]]\nname = \"openssl-probe\"\n"), [""; 0]);
    }

    #[test]
    fn a_manifest_that_goes_its_own_way_is_named() {
        assert_eq!(strange_keys("[workspace]\nmembers = []\n[profile.dev]\n"), [""; 0]);
        assert_eq!(strange_keys("[patch.x]\n[workspace]\nmetadata = 1\n").len(), 2);
        let head = "[lints]\nworkspace = true\n[package]\nname = 'x'\nversion.workspace = true\n\
                    edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n";
        let good = format!("{head}publish.workspace = true\n[dependencies]\nserde.workspace = true\n");
        assert_eq!(unshared("Cargo.toml", &good), [""; 0]);
        let bad = format!("{head}[dependencies]\nserde = '1'\n");
        assert_eq!(unshared("Cargo.toml", &bad).len(), 2, "publish and serde");
    }
}
