//! The cluster's cache: two nodes and one registry, which we have not written.

use std::fs;
use std::path::PathBuf;

use crate::support::distribution::{Distribution, Door, PASSWORD, Transport};
use crate::support::pod::{Ended, until};
use crate::support::shared::{Node, walk};

/// An image, a function, and a registry.
fn cluster(transport: Transport, door: Door) -> Option<(Node, Distribution)> {
    let registry = Distribution::start(transport, door)?;
    let mut node = Node::python()?;
    node.pod.unset("INJECTOR_CACHE_DIR");
    node.pod.set("INJECTOR_CACHE_REGISTRY", registry.reference("functions/cache"));
    if transport == Transport::Tls {
        let ca = node.pod.dir("ca.pem");
        fs::write(&ca, &registry.ca).expect("written");
        node.pod.set("INJECTOR_CA_FILE", ca.display().to_string());
    }
    if door == Door::Login {
        let config = node.pod.dir("docker");
        fs::create_dir(&config).expect("a directory");
        fs::write(config.join("config.json"), registry.docker_config()).expect("written");
        node.pod.set("DOCKER_CONFIG", config.display().to_string());
    }
    Some((node, registry))
}

/// Builds for a pod on a node, which has a cache of this name unless that is empty.
fn build(node: &Node, name: &str, cache: &str, push: bool) -> Ended {
    let dir = node.pod.dir(cache).display().to_string();
    let mut args = if cache.is_empty() { Vec::new() } else { vec!["--cache-dir", dir.as_str()] };
    args.extend(push.then_some("--cache-push"));
    node.start(name, &args).wait()
}

#[track_caller]
fn without_warning(ended: &Ended) {
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
}

#[test]
fn what_one_node_has_built_another_one_restores() {
    for (transport, door) in [(Transport::Plain, Door::Open), (Transport::Tls, Door::Login)] {
        let Some((node, _registry)) = cluster(transport, door) else { return };
        let first = build(&node, "one", "node-1", true);
        first.expect(0, &["ready"]);
        without_warning(&first);
        let second = build(&node, "two", "node-2", true);
        second.expect(0, &["(cached)"]);
        without_warning(&second);
        assert_eq!(node.installed(), 1);
        assert_eq!(node.published("one"), node.published("two"));
        // A pod without a node's cache, and one of an edited function: what was resolved is there for it, too.
        let third = build(&node, "three", "", false);
        third.expect(0, &["(cached)"]);
        assert_eq!(node.published("one"), node.published("three"));
        node.pod.source("hello.py", "def hello(event, context):\n    return 'edited'\n");
        let edited = build(&node, "four", "node-3", false);
        edited.expect(0, &["(deps cached)"]);
        without_warning(&edited);
        assert_eq!(node.installed(), 1);
        for (name, cache) in [("five", "node-3"), ("six", "")] {
            build(&node, name, cache, false);
        }
        assert_eq!(node.published("four"), node.published("five"));
        assert_eq!(node.published("four"), node.published("six"));
        for dir in ["node-1", "node-2", "node-3", "volumes"] {
            walk(&node.pod.dir(dir), &mut |file| {
                let bytes = fs::read(file).unwrap_or_default();
                let secret = PASSWORD.as_bytes();
                assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{}", file.display());
            });
        }
    }
}

#[test]
fn nothing_is_pushed_unless_somebody_asks_for_it() {
    let Some((node, _registry)) = cluster(Transport::Plain, Door::Open) else { return };
    without_warning(&build(&node, "one", "node-1", false));
    let second = build(&node, "two", "node-2", false);
    second.expect(0, &["ready"]);
    without_warning(&second);
    assert_eq!(node.installed(), 2);
}

#[test]
fn two_nodes_at_once_both_have_what_the_tag_names_in_the_end() {
    let Some((mut node, _registry)) = cluster(Transport::Plain, Door::Open) else { return };
    // Each installation gives something else, as registries of packages do from one day to the other.
    node.pod.source("../different", "");
    node.pod.source("../wait", "");
    for mode in ["copy", "mount"] {
        node.pod.set("INJECTOR_CACHE_SALT", mode);
        let before = node.installed();
        let start = |name: &str, cache: &str| {
            let dir = node.pod.dir(&format!("{mode}-{cache}")).display().to_string();
            node.start(
                &format!("{mode}-{name}"),
                &["--cache-dir", &dir, "--cache-push", "--cache-mode", mode],
            )
        };
        let both = [start("one", "node-1"), start("two", "node-2")];
        until("both install", || node.installed() == before + 2);
        node.pod.source("../go", "");
        for run in both {
            let ended = run.wait();
            ended.expect(0, &["ready"]);
            without_warning(&ended);
        }
        let demo = |name: &str| {
            let file = node.volume(&format!("{mode}-{name}")).join("function/deps/demo.txt");
            fs::read_to_string(file).expect("it is there")
        };
        assert_eq!(demo("one"), demo("two"), "{mode}");
        for name in ["three", "four"] {
            start(name, name).wait().expect(0, &["(cached)"]);
            assert_eq!(demo(name), demo("one"), "{mode}");
        }
        fs::remove_file(node.pod.dir("go")).expect("removed");
    }
}

#[test]
fn what_is_damaged_in_the_registry_is_never_used() {
    let Some((node, registry)) = cluster(Transport::Plain, Door::Open) else { return };
    build(&node, "one", "node-1", true).expect(0, &["ready"]);
    let blobs = registry.blobs();
    assert!(blobs.len() > 5, "{blobs:?}");
    for file in blobs {
        let mut bytes = fs::read(&file).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).expect("written");
    }
    for (name, cache) in [("two", "node-2"), ("three", "")] {
        let ended = build(&node, name, cache, false);
        ended.expect(0, &["ready"]);
        assert_eq!(ended.stderr.matches("warning").count(), 1, "{}", ended.stderr);
        assert_eq!(node.published("one"), node.published(name));
    }
    assert_eq!(node.installed(), 3);
}

#[test]
fn what_the_registry_has_lost_is_pushed_again() {
    let Some((node, registry)) = cluster(Transport::Plain, Door::Open) else { return };
    build(&node, "one", "node-1", true).expect(0, &["ready"]);
    // Of all that is compressed, as its own collector takes it; the tags stay.
    let is_compressed = |file: &PathBuf| fs::read(file).expect("readable").starts_with(b"\x28\xb5\x2f\xfd");
    for file in registry.blobs().into_iter().filter(is_compressed) {
        fs::remove_dir_all(file.parent().expect("its directory")).expect("removed");
    }
    let second = build(&node, "two", "node-2", true);
    second.expect(0, &["ready"]);
    assert_eq!(second.stderr.matches("warning").count(), 1, "{}", second.stderr);
    let third = build(&node, "three", "node-3", false);
    third.expect(0, &["(cached)"]);
    without_warning(&third);
    assert_eq!(node.published("one"), node.published("three"));
    assert_eq!(node.installed(), 2);
}

#[test]
fn a_wrong_password_is_one_warning() {
    let Some((node, registry)) = cluster(Transport::Plain, Door::Login) else { return };
    let wrong =
        format!(r#"{{"auths": {{"{}": {{"username": "me", "password": "wrong-one"}}}}}}"#, registry.host);
    fs::write(node.pod.dir("docker/config.json"), wrong).expect("written");
    let ended = build(&node, "one", "node-1", true);
    ended.expect(0, &["ready"]);
    assert_eq!(ended.stderr.matches("warning").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("401") && ended.stderr.contains("login"), "{}", ended.stderr);
}
