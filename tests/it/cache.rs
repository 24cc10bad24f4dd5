//! The node's cache: built once, and every other pod gets the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::SystemTime;

use rustix::process::Signal;

use crate::support::machine;
use crate::support::pod::{Pod, read, until};
use crate::support::shared::{Node, rewrite};

#[test]
fn the_first_pod_builds_and_the_second_one_gets_the_same() {
    let Some(node) = Node::python() else { return };
    let first = node.build("one");
    first.expect(0, &["ready: python", "1 package"]);
    assert!(first.stderr.contains("cache: nothing for this function yet\n"), "{}", first.stderr);
    assert!(!first.stderr.contains("warning"), "{}", first.stderr);
    let calls = node.pod.calls();
    let second = node.build("two");
    second.expect(0, &["(cached)"]);
    assert!(!second.stderr.contains("warning"), "{}", second.stderr);
    assert!(calls.contains(&"pip".to_owned()), "{calls:?}");
    assert_eq!(node.pod.calls(), [""; 0], "no tool is started, not even to compile");
    assert_eq!(node.published("one"), node.published("two"));
    assert!(node.published("two").contains_key("deps/demo/__init__.py"));
    // A copy, so that a function that writes into its own changes nobody else's.
    fs::write(node.volume("two").join("function/deps/demo/__init__.py"), "WORD = 2").expect("written");
    node.build("three").expect(0, &["(cached)"]);
    assert_eq!(node.published("one"), node.published("three"));
}

#[test]
fn an_edited_handler_resolves_nothing_anew() {
    let Some(node) = Node::python() else { return };
    node.build("one").expect(0, &[]);
    node.pod.source("hello.py", "def hello(event, context):\n    return 'edited'\n");
    let edited = node.build("two");
    edited.expect(0, &["(deps cached)", "1 package"]);
    assert_eq!(node.installed(), 1);
    assert!(edited.stderr.contains("cache: built anew: hello.py changed\n"), "{}", edited.stderr);
    let deps = |name: &str| {
        let all = node.published(name).into_iter();
        all.filter(|(path, _)| path.starts_with("deps/")).collect::<Vec<_>>()
    };
    assert_eq!(deps("one"), deps("two"));
    node.build("three").expect(0, &["(cached)"]);
    assert_eq!(node.published("two"), node.published("three"));
}

#[test]
fn what_changed_is_said_and_resolved_again() {
    let Some(mut node) = Node::python() else { return };
    node.build("one").expect(0, &[]);
    node.pod.source("requirements.txt", "demo>1\n");
    let changed = node.build("two");
    changed.expect(0, &[]);
    assert!(changed.stderr.contains("requirements.txt changed"), "{}", changed.stderr);
    node.pod.set("PIP_INDEX_URL", "https://user:index-secret@index.example/simple");
    let changed = node.build("three");
    assert!(changed.stderr.contains("PIP_INDEX_URL is new"), "{}", changed.stderr);
    assert_eq!(node.installed(), 3);
    // Another credential for the same index leads to the same packages.
    node.pod.set("PIP_INDEX_URL", "https://user:index-secret-2@index.example/simple");
    node.build("four").expect(0, &["(cached)"]);
    node.pod.set("INJECTOR_CACHE_SALT", "another image");
    let changed = node.build("five");
    assert!(changed.stderr.contains("INJECTOR_CACHE_SALT is new"), "{}", changed.stderr);
    assert_eq!(node.installed(), 4);
    for file in node.every_file() {
        let bytes = fs::read(&file).expect("readable");
        let leaked = bytes.windows(12).any(|part| part == b"index-secret");
        assert!(!leaked, "{} has a credential", file.display());
    }
}

#[test]
fn eight_pods_at_once_build_once() {
    let Some(node) = Node::python() else { return };
    let pods: Vec<String> = (0..8).map(|number| format!("pod-{number}")).collect();
    let running: Vec<_> = pods.iter().map(|name| node.start(name, &[])).collect();
    for run in running {
        run.wait().expect(0, &["ready"]);
    }
    assert_eq!(node.installed(), 1);
    for name in &pods {
        assert_eq!(node.published(name), node.published(&pods[0]), "{name}");
    }
}

#[test]
fn when_the_pod_that_builds_is_killed_another_one_takes_over() {
    let Some(node) = Node::python() else { return };
    node.pod.source("../wait", "");
    let first = node.start("one", &[]);
    until("the first one installs", || node.installed() == 1);
    let others: Vec<_> = ["two", "three", "four"].iter().map(|name| node.start(name, &[])).collect();
    for other in &others {
        until("it waits", || other.stderr().contains("another pod makes the same; waiting for it"));
    }
    // With all of its processes, as the kernel does for want of memory.
    first.signal(Signal::KILL);
    first.wait();
    until("another one installs", || node.installed() == 2);
    node.pod.source("../go", "");
    for other in others {
        other.wait().expect(0, &["ready"]);
    }
    assert_eq!(node.installed(), 2);
    assert_eq!(node.published("two"), node.published("three"));
    assert_eq!(node.published("two"), node.published("four"));
}

#[test]
fn when_a_build_fails_those_who_wait_for_it_do_not_queue_up() {
    let Some(node) = Node::python() else { return };
    node.pod.source("requirements.txt", "broken\n");
    node.pod.source("../wait", "");
    let first = node.start("one", &[]);
    until("the first one installs", || node.installed() == 1);
    let others: Vec<_> = ["two", "three"].iter().map(|name| node.start(name, &[])).collect();
    for other in &others {
        until("it waits", || other.stderr().contains("waiting for it"));
    }
    node.pod.source("../go", "");
    first.wait().expect(51, &[]);
    for other in others {
        other.wait().expect(51, &[]);
    }
    assert_eq!(node.installed(), 3);
    let again = node.build("four");
    again.expect(51, &[]);
    assert!(!again.stderr.contains("waiting"), "{}", again.stderr);
}

#[test]
fn what_was_resolved_without_a_lock_ages_and_can_be_asked_for_anew() {
    let Some(node) = Node::python() else { return };
    node.build("one").expect(0, &[]);
    let age = |seconds: u64| {
        for layer in ["deps", "build"] {
            for record in node.records(layer) {
                let now = SystemTime::UNIX_EPOCH.elapsed().expect("a date");
                rewrite(&record, |value| value["resolved"] = (now.as_secs() - seconds).into());
            }
        }
    };
    age(100);
    node.start("two", &["--resolve-max-age", "200"]).wait().expect(0, &["(cached)"]);
    let older = node.start("three", &["--resolve-max-age", "50"]).wait();
    older.expect(0, &[]);
    assert!(older.stderr.contains("INJECTOR_RESOLVE_MAX_AGE"), "{}", older.stderr);
    assert_eq!(node.installed(), 2);
    // Now it is new again.
    node.start("four", &["--resolve-max-age", "50"]).wait().expect(0, &["(cached)"]);
    node.start("five", &["--refresh"]).wait().expect(0, &[]);
    assert_eq!(node.installed(), 3);
    node.build("six").expect(0, &["(cached)"]);
}

#[test]
fn a_function_whose_code_is_broken_need_not_resolve_again() {
    let Some(node) = Node::python() else { return };
    let working = "def hello(event, context):\n    return 'hello'\n";
    node.build("one").expect(0, &[]);
    node.pod.source("hello.py", "def hello(:\n");
    node.build("two").expect(61, &["hello.py:1"]);
    node.pod.source("hello.py", working);
    node.build("three").expect(0, &["(cached)"]);
    assert_eq!(node.installed(), 1);
}

#[test]
fn entries_hold_no_paths_of_their_maker() {
    let Some(node) = Node::python() else { return };
    node.build("one").expect(0, &[]);
    let home = node.pod.dir("").display().to_string();
    for file in node.every_file() {
        let shown = file.display().to_string();
        let bytes = fs::read(&file).expect("readable");
        let leaked = bytes.windows(home.len()).any(|part| part == home.trim_end_matches('/').as_bytes());
        // What tools said of themselves is for this node alone.
        assert!(!leaked || shown.contains("/tool/"), "{shown} names {home}");
    }
}

#[test]
fn an_interpreter_that_is_the_same_is_not_started_to_be_asked_again() {
    let Some(pod) = Pod::python() else { return };
    // Version managers' shims are scripts, which may lead to another interpreter each time.
    let python =
        machine::python().expect("the pod has one").bin.join("python3").canonicalize().expect("there");
    symlink(python, pod.dir("bin/python3")).expect("a link");
    let cache = pod.dir("cache").display().to_string();
    let node = Node { pod: pod.with("INJECTOR_CACHE_DIR", cache) };
    node.build("one").expect(0, &["ready"]);
    let [noted] = &node.every_file().into_iter().filter(|file| is_tool(file)).collect::<Vec<_>>()[..] else {
        panic!("{:?}", node.every_file());
    };
    let said: serde_json::Value = serde_json::from_str(&read(noted)).expect("JSON");
    let version = said["identity"]["version"].as_str().expect("a version").to_owned();
    let other = format!("{version}.99");
    rewrite(noted, |said| said["identity"]["version"] = other.clone().into());
    let second = node.build("two");
    second.expect(0, &["ready"]);
    assert!(second.stderr.contains(&format!("python {version} -> {other}")), "{}", second.stderr);
    // With another C library, it would say something else.
    rewrite(noted, |said| {
        let libc = said["leans_on"].as_object_mut().expect("files").values_mut().next().expect("a file");
        *libc = "another stamp".into();
    });
    node.build("three").expect(0, &["(cached)"]);
    assert!(read(noted).contains(&format!("\"{version}\"")));
    // A version that nobody said, and that no runtime has, would fail the build.
    fs::write(noted, read(noted).replace(&format!("\"{version}\""), "\"93.1\"")).expect("written");
    node.build("four").expect(0, &["(cached)"]);
    assert!(read(noted).contains(&format!("\"{version}\"")));
}

/// Whether this is what a tool said of itself.
fn is_tool(file: &Path) -> bool {
    file.parent().is_some_and(|dir| dir.ends_with("tool"))
}
