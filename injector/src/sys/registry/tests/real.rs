//! Debian's registry: there and back, with and without TLS and a login.

use std::path::PathBuf;

use serde_json::json;

use super::distribution::{Distribution, Door, PASSWORD, Transport, USER};
use super::*;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

fn login(password: &str) -> Login {
    Login::User { name: USER.to_owned(), password: password.to_owned() }
}

/// A manifest with this blob in it.
fn manifest(blob: &[u8]) -> Vec<u8> {
    let descriptor = |media_type: &str, bytes: &[u8]| {
        json!({
            "mediaType": media_type,
            "digest": fs::digest_of(bytes).to_string(),
            "size": bytes.len(),
            "annotations": { "some": "words" },
        })
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": "application/vnd.injector.cache.v1+json",
        "config": descriptor("application/vnd.injector.record.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.injector.shard.v1+zstd", blob)],
    });
    serde_json::to_vec(&manifest).expect("JSON")
}

fn push(registry: &Registry, bytes: &[u8]) -> Result<(), RegistryError> {
    registry.push_blob(fs::digest_of(bytes), bytes.len() as u64, || Ok(bytes), soon())
}

#[test]
fn what_was_pushed_can_be_had() {
    let blob = content(3 << 20);
    let digest = fs::digest_of(&blob);
    for (transport, door) in
        [(Transport::Plain, Door::Open), (Transport::Tls, Door::Login), (Transport::Plain, Door::Login)]
    {
        let Some(server) = Distribution::start(transport, door) else { return };
        let login = (door == Door::Login).then(|| login(PASSWORD));
        let registry = registry(&server.reference("team/cache"), &server.ca, login);

        assert_eq!(registry.manifest(Name::Tag("deps-1"), soon()).expect("an answer"), None);
        assert!(!registry.has_blob(digest, soon()).expect("an answer"));
        let error = fetch(&registry, digest, blob.len() as u64).expect_err("nothing there");
        assert!(matches!(error, RegistryError::Status { code: 404, .. }), "{error}");

        push(&registry, &blob).expect("pushed");
        push(&registry, b"{}").expect("pushed");
        push(&registry, b"").expect("pushed");
        assert!(registry.has_blob(digest, soon()).expect("an answer"));
        assert_eq!(fetch(&registry, digest, blob.len() as u64).expect("fetched"), blob);

        let manifest = manifest(&blob);
        let name = fs::digest_of(&manifest);
        for name in [Name::Digest(name), Name::Tag("deps-1")] {
            registry.push_manifest(name, MANIFEST_TYPE, &manifest, soon()).expect("pushed");
            let found = registry.manifest(name, soon()).expect("an answer");
            assert_eq!(found, Some((manifest.clone(), fs::digest_of(&manifest))));
        }
    }
}

#[test]
fn who_has_no_login_or_a_wrong_one_is_told_so() {
    let Some(server) = Distribution::start(Transport::Tls, Door::Login) else { return };
    for login in [None, Some(login("guessed")), Some(Login::Token("guessed".to_owned()))] {
        let registry = registry(&server.reference("team/cache"), &server.ca, login);
        let error = registry.manifest(Name::Tag("deps-1"), soon()).expect_err("refused").to_string();
        let expected = format!(
            "the registry {} answers 401 Unauthorized for team/cache:deps-1: its login is missing or wrong",
            server.host
        );
        assert_eq!(error, expected);
    }
}

#[test]
fn whom_nobody_vouches_for_is_not_asked() {
    let Some(server) = Distribution::start(Transport::Tls, Door::Open) else { return };
    let error = registry(&server.reference("team/cache"), "", None);
    let error = error.manifest(Name::Tag("deps-1"), soon()).expect_err("refused").to_string();
    assert!(error.contains("no CA that we know has signed it"), "{error}");
}

#[test]
fn a_blob_that_has_changed_in_the_registry_is_refused() {
    let Some(server) = Distribution::start(Transport::Plain, Door::Open) else { return };
    let registry = registry(&server.reference("team/cache"), "", None);
    let blob = content(300_000);
    let (digest, size) = (fs::digest_of(&blob), blob.len() as u64);
    push(&registry, &blob).expect("pushed");
    let is_it = |file: &PathBuf| file.parent().is_some_and(|dir| dir.ends_with(digest.hex()));
    let file = server.blobs().into_iter().find(is_it).expect("a file");
    let mut changed = blob.clone();
    changed[200_000] ^= 1;
    for bytes in [&changed[..], &blob[..200_000], &[&blob[..], b"x"].concat()] {
        fs::write(&file, bytes).expect("written");
        let error = fetch(&registry, digest, size).expect_err("wrong");
        assert!(error.is_wrong(), "{error}");
    }
    fs::write(&file, &blob).expect("written");
    assert_eq!(fetch(&registry, digest, size).expect("fetched"), blob);
}

#[test]
fn what_is_not_what_was_announced_is_not_taken() {
    let Some(server) = Distribution::start(Transport::Plain, Door::Open) else { return };
    let registry = registry(&server.reference("team/cache"), "", None);
    let digest = fs::digest_of(b"one");
    let error = registry.push_blob(digest, 3, || Ok(&b"two"[..]), soon()).expect_err("refused");
    assert!(matches!(error, RegistryError::Status { code: 400, .. }), "{error}");
    let error = registry.push_blob(digest, 4, || Ok(&b"one"[..]), soon()).expect_err("too short");
    assert!(matches!(error, RegistryError::Source { .. }), "{error}");
    assert!(!registry.has_blob(digest, soon()).expect("an answer"));
}

#[test]
fn several_threads_use_one_registry_at_once() {
    let Some(server) = Distribution::start(Transport::Tls, Door::Login) else { return };
    let registry = registry(&server.reference("team/cache"), &server.ca, Some(login(PASSWORD)));
    let blobs: Vec<_> = (1..=4).map(|part| content(part * 100_000)).collect();
    std::thread::scope(|scope| {
        for blob in &blobs {
            let registry = &registry;
            scope.spawn(move || {
                push(registry, blob).expect("pushed");
                let fetched = fetch(registry, fs::digest_of(blob), blob.len() as u64);
                assert_eq!(&fetched.expect("fetched"), blob);
            });
        }
    });
}
