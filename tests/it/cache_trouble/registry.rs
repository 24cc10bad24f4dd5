//! Registries that are down, slow, full, or lie.

use std::net::TcpListener;

use super::{assert_right, assert_warned, node, warnings};
use crate::faults::oci::{Asked, Fault, Oci};
use crate::support::machine::Mounted;
use crate::support::pod::Ended;
use crate::support::shared::Node;

/// Builds for a pod without a cache on its node, unless it is named.
fn build(node: &Node, name: &str, cache: &str, oci: &str, more: &[&str]) -> Ended {
    let volume = node.volume(name).display().to_string();
    let args = [&["build", "--volume", volume.as_str(), "--cache-registry", oci], more].concat();
    let cache = if cache.is_empty() { String::new() } else { node.pod.dir(cache).display().to_string() };
    node.pod.start_as(&args, &[("INJECTOR_CACHE_DIR", &cache)]).wait()
}

/// Sees to it that a pod gets the right tree from the registry, and nothing is wrong.
#[track_caller]
fn assert_fetched(node: &Node, name: &str, cache: &str, oci: &Oci) {
    let ended = build(node, name, cache, &oci.reference(), &[]);
    assert_right(node, name, &ended);
    ended.expect(0, &["(cached)"]);
    assert_eq!(warnings(&ended), [""; 0]);
}

/// A registry that has what a node built.
fn filled(node: &Node) -> Oci {
    let oci = Oci::start();
    let ended = build(node, "first", "", &oci.reference(), &["--cache-push"]);
    assert_right(node, "first", &ended);
    assert_eq!(warnings(&ended), [""; 0]);
    oci
}

/// Has a registry do that whenever something is fetched, and sees to it that this costs a warning and nothing else,
/// with the node's cache and without.
#[track_caller]
fn assert_put_up_with(wrong: fn(&Asked) -> Option<Fault>, said: &[&str]) {
    let Some(node) = node() else { return };
    let oci = filled(&node);
    assert_fetched(&node, "whole", "", &oci);
    for (name, cache) in [("one", ""), ("two", "cache")] {
        oci.plan(wrong);
        let ended = build(&node, name, cache, &oci.reference(), &[]);
        assert_warned(&node, name, &ended, said);
    }
    oci.plan(|_| None);
    // What was built meanwhile is on the node, and right; what is in the registry was never wrong.
    assert_fetched(&node, "three", "cache", &oci);
    assert_fetched(&node, "four", "another", &oci);
}

#[test]
fn a_record_of_the_node_that_is_broken_is_replaced_by_that_of_the_registry() {
    let Some(node) = node() else { return };
    let oci = filled(&node);
    assert_fetched(&node, "one", "cache", &oci);
    std::fs::write(node.records("build").remove(0), "\0garbage").expect("written");
    let ended = build(&node, "two", "cache", &oci.reference(), &[]);
    assert_warned(&node, "two", &ended, &["an entry of the cache cannot be read: "]);
    ended.expect(0, &["(cached)"]);
    assert_fetched(&node, "three", "cache", &oci);
}

fn is_push(asked: &Asked) -> bool {
    matches!(asked.method.as_str(), "PUT" | "POST" | "PATCH")
}

fn is_manifest(asked: &Asked) -> bool {
    asked.target.contains("/manifests/")
}

fn is_blob(asked: &Asked) -> bool {
    !is_push(asked) && !is_manifest(asked)
}

#[test]
fn a_registry_that_is_down() {
    let Some(node) = node() else { return };
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port");
    for (name, cache) in [("one", ""), ("two", "cache")] {
        let ended = build(&node, name, cache, &format!("http://{port}/team/cache"), &["--cache-push"]);
        assert_warned(&node, name, &ended, &["the registry ", "onnection refused"]);
    }
}

#[test]
fn a_registry_that_answers_with_errors() {
    assert_put_up_with(|_| Some(Fault::Status(500)), &["answers 500 "]);
    assert_put_up_with(|asked| is_blob(asked).then_some(Fault::Status(503)), &["answers 503 "]);
}

#[test]
fn a_registry_that_has_a_manifest_and_not_its_blobs() {
    assert_put_up_with(|asked| is_blob(asked).then_some(Fault::Status(404)), &["answers 404 "]);
}

#[test]
fn a_registry_that_wants_another_login() {
    assert_put_up_with(|_| Some(Fault::Status(401)), &["answers 401 ", "its login is missing or wrong"]);
}

#[test]
fn a_registry_that_lies() {
    for fault in [Fault::Flipped, Fault::Short, Fault::Long, Fault::Another] {
        let wrong: fn(&Asked) -> Option<Fault> = match fault {
            Fault::Flipped => |asked| is_blob(asked).then_some(Fault::Flipped),
            Fault::Short => |asked| is_blob(asked).then_some(Fault::Short),
            Fault::Long => |asked| is_blob(asked).then_some(Fault::Long),
            _ => |asked| is_blob(asked).then_some(Fault::Another),
        };
        assert_put_up_with(wrong, &["gives something else for team/cache@sha256:"]);
    }
}

#[test]
fn a_registry_with_the_manifest_of_another_key() {
    let Some(node) = node() else { return };
    let oci = filled(&node);
    oci.plan(|asked| is_manifest(asked).then_some(Fault::Another));
    let ended = build(&node, "one", "", &oci.reference(), &[]);
    assert_warned(&node, "one", &ended, &["what the registry has is the entry of another key"]);
    oci.plan(|asked| is_manifest(asked).then_some(Fault::Flipped));
    let ended = build(&node, "two", "", &oci.reference(), &[]);
    assert_warned(&node, "two", &ended, &["of no use: "]);
}

#[test]
fn a_registry_whose_connections_break() {
    assert_put_up_with(|asked| is_blob(asked).then_some(Fault::Cut), &["the registry "]);
    assert_put_up_with(|_| Some(Fault::Cut), &["the registry "]);
}

#[test]
fn a_connection_that_breaks_once_is_no_trouble() {
    let Some(node) = node() else { return };
    let oci = filled(&node);
    let mut breaks = 1;
    oci.plan(move |asked| {
        let now = is_blob(asked) && breaks > 0 && asked.number > 3;
        breaks -= usize::from(now);
        now.then_some(Fault::Cut)
    });
    assert_fetched(&node, "one", "cache", &oci);
    assert_fetched(&node, "two", "another", &oci);
}

#[test]
fn a_registry_that_stalls() {
    let Some(node) = node() else { return };
    let oci = filled(&node);
    // In the middle of the last blob.
    oci.plan(|asked| (is_blob(asked) && asked.number > 4).then_some(Fault::Stalled));
    let ended = build(&node, "one", "cache", &oci.reference(), &[]);
    assert_warned(&node, "one", &ended, &["the registry "]);
    let asks_again = oci.asked().iter().any(|asked| asked.target.contains("/manifests/deps-"));
    assert!(!asks_again, "who waited once waits again: {:?}", oci.asked());
    oci.plan(|_| Some(Fault::Silent));
    let ended = build(&node, "two", "", &oci.reference(), &[]);
    assert_warned(&node, "two", &ended, &["the registry "]);
    assert!(oci.asked().len() <= 2, "it is asked again and again: {:?}", oci.asked());
}

#[test]
fn a_registry_that_takes_nothing() {
    for (status, said) in
        [(507, "answers 507 "), (403, "its login is missing or wrong"), (413, "answers 413 ")]
    {
        let Some(node) = node() else { return };
        let oci = Oci::start();
        oci.plan(move |asked| is_push(asked).then_some(Fault::Status(status)));
        for (name, cache) in [("one", ""), ("two", "cache")] {
            let ended = build(&node, name, cache, &oci.reference(), &["--cache-push"]);
            assert_warned(&node, name, &ended, &["nothing was pushed: ", said]);
            let asked = oci.asked();
            let pushes = asked.iter().filter(|asked| is_push(asked)).count();
            assert_eq!(pushes, 1, "who refuses one thing is not brought another: {asked:?}");
            oci.plan(move |asked| is_push(asked).then_some(Fault::Status(status)));
        }
        oci.plan(|_| None);
        let ended = build(&node, "three", "", &oci.reference(), &["--cache-push"]);
        assert_right(&node, "three", &ended);
        assert_fetched(&node, "four", "", &oci);
    }
}

#[test]
fn a_registry_gets_what_a_full_node_cannot_keep() {
    let Some(node) = node() else { return };
    let Some(_mounted) = Mounted::tmpfs(&node.pod.dir("cache"), "size=1m,mode=0777") else { return };
    let oci = Oci::start();
    let ended = build(&node, "one", "cache", &oci.reference(), &["--cache-push"]);
    assert_warned(&node, "one", &ended, &["what was built cannot be cached: ", "No space left on device"]);
    assert_fetched(&node, "two", "", &oci);
    // And back again.
    let ended = build(&node, "three", "cache", &oci.reference(), &[]);
    ended.expect(0, &["(cached)"]);
    assert_warned(&node, "three", &ended, &["No space left on device"]);
}

#[test]
fn a_registry_that_forgets_what_it_took() {
    let Some(node) = node() else { return };
    let oci = Oci::start();
    oci.plan(|asked| is_push(asked).then_some(Fault::Forgotten));
    let ended = build(&node, "one", "", &oci.reference(), &["--cache-push"]);
    assert_right(&node, "one", &ended);
    assert!(warnings(&ended).len() <= 1, "{}", ended.stderr);
    // Of the blobs alone: the tag names what is not there.
    oci.plan(|asked| (is_push(asked) && !is_manifest(asked)).then_some(Fault::Forgotten));
    let ended = build(&node, "two", "", &oci.reference(), &["--cache-push"]);
    assert_right(&node, "two", &ended);
    oci.plan(|_| None);
    let ended = build(&node, "three", "", &oci.reference(), &[]);
    assert_warned(&node, "three", &ended, &["answers 404 "]);
}
