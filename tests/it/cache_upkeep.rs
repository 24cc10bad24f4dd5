//! `injector cache`: what an operator sees of a node's cache, and does with it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::machine::{Mounted, STRANGER, is_root};
use crate::support::pod::{Ended, Pod, names, read};
use crate::support::shared::Node;

impl Node {
    fn cache(&self, args: &[&str]) -> Ended {
        self.pod.run(&[&["cache"], args].concat())
    }

    fn listed(&self) -> Value {
        serde_json::from_str(&self.cache(&["ls", "--json"]).stdout).expect("JSON")
    }
}

#[test]
fn what_is_cached_is_listed_for_people_and_for_programs() {
    let Some(node) = Node::python() else { return };
    node.build("one").expect(0, &["ready"]);
    node.pod.source("hello.py", "def hello(event, context):\n    return 'edited'\n");
    node.build("two").expect(0, &["ready"]);
    let ended = node.cache(&["ls"]);
    ended.expect(0, &[]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "a header, a line for each record, and a sum: {}", ended.stdout);
    assert!(lines[0].starts_with("layer  key           made from"), "{}", lines[0]);
    let count = |begin: &str| lines.iter().filter(|line| line.starts_with(begin)).count();
    assert_eq!((count("build  "), count("deps   ")), (2, 1), "{}", ended.stdout);
    let made = |line: &str| line.contains("  python 3.") && line.contains(", hello.py, requirements.txt  ");
    let deps = lines.iter().find(|line| line.starts_with("deps")).expect("just counted");
    assert!(made(lines[1]) && !deps.contains("hello.py"), "{}", ended.stdout);
    assert!(lines[1].contains(" MiB ") && lines[1].ends_with("  free"), "{}", lines[1]);
    assert!(
        lines[4].starts_with("3 records, ") && lines[4].ends_with("0 in use or promised"),
        "{}",
        lines[4]
    );

    let listed = node.listed();
    assert_eq!((&listed["schema"], listed["records"].as_array().map(Vec::len)), (&1.into(), Some(3)));
    let all: u64 =
        listed["trees"].as_array().expect("trees").iter().filter_map(|tree| tree["bytes"].as_u64()).sum();
    assert_eq!(listed["bytes"], all);
    assert!(all > 3_000_000, "a tree that two records name is counted once");
    assert!(all < 6_000_000);
    // Whoever looks uses nothing, and makes nothing.
    assert_eq!(node.listed()["records"], listed["records"]);
    let nowhere = node.pod.dir("nowhere").display().to_string();
    node.cache(&["ls", "--cache-dir", &nowhere])
        .expect(42, &[&format!("E42 cache failed: there is no cache in {nowhere}"), "INJECTOR_CACHE_DIR"]);
    assert!(!Path::new(&nowhere).exists());
}

#[test]
fn a_cache_is_made_smaller_and_the_next_pod_builds_again() {
    let Some(node) = Node::python() else { return };
    node.build("one").expect(0, &["ready"]);
    let kept = node.cache(&["gc"]);
    kept.expect(0, &[]);
    assert!(kept.stdout.starts_with("removed 0 records and 0 trees, 0 bytes; 3."), "{}", kept.stdout);
    node.build("two").expect(0, &["(cached)"]);
    let all = node.cache(&["gc", "--cache-max-size", "1Ki"]);
    assert!(all.stdout.starts_with("removed 2 records and "), "{}", all.stdout);
    assert!(all.stdout.ends_with("; 0 bytes left\n"), "{}", all.stdout);
    assert_eq!(names(&node.pod.dir("cache/v1/tree")), [""; 0]);
    assert_eq!(names(&node.pod.dir("cache/v1/tmp")), [""; 0]);
    assert_eq!(node.cache(&["ls"]).stdout, "0 records, 0 trees, 0 bytes; 0 in use or promised\n");
    node.build("three").expect(0, &["ready"]);
    assert_eq!(node.installed(), 2);
    assert_eq!(node.published("one"), node.published("three"));
    node.cache(&["gc", "--max-age", "soon"]).expect(11, &["--max-age is \"soon\": a whole number"]);
}

#[test]
fn what_was_changed_in_a_cache_is_found_and_taken_away() {
    let Some(node) = Node::python() else { return };
    node.build("one").expect(0, &["ready"]);
    let whole = node.cache(&["verify"]);
    whole.expect(0, &[]);
    assert!(whole.stdout.ends_with(" trees and 2 records: all as stored\n"), "{}", whole.stdout);

    let spoilt = node.cached("data.bin").pop().expect("a file of the package");
    let mut bytes = fs::read(&spoilt).expect("readable");
    bytes[1_000_000] ^= 1;
    fs::write(&spoilt, &bytes).expect("written");
    let found = node.cache(&["verify"]);
    found.expect(42, &["E42 cache failed: 1 of ", "not as they were stored", "INJECTOR_CACHE_MODE=mount"]);
    assert!(
        found.stdout.contains(": demo/data.bin has other content than it had; taken away\n"),
        "{}",
        found.stdout
    );
    assert!(!spoilt.exists());
    node.cache(&["verify"]).expect(0, &[]);
    node.build("two").expect(0, &["ready"]);
    assert_eq!(node.published("one"), node.published("two"));
    node.build("three").expect(0, &["(cached)"]);
    // A record whose packages have other names is none.
    let record = node.records("build").pop().expect("a record");
    fs::write(&record, read(&record).replace("\"demo\"", "\"dema\"")).expect("written");
    let found = node.cache(&["verify"]);
    found.expect(42, &["E42 cache failed: 1 of 5 trees and records"]);
    assert!(found.stdout.contains(".json: it has another digest; taken away\n"), "{}", found.stdout);
    assert!(!record.exists());
    // A manifest that says something else is no better.
    for tree in names(&node.pod.dir("cache/v1/tree")) {
        fs::write(node.pod.dir("cache/v1/tree").join(tree).join("manifest.json"), "{\"a\":{}}")
            .expect("written");
    }
    let found = node.cache(&["verify"]);
    found.expect(42, &[]);
    assert!(found.stdout.contains("its manifest has another digest; taken away\n"), "{}", found.stdout);
    assert_eq!(names(&node.pod.dir("cache/v1/tree")), [""; 0]);
}

#[test]
fn who_may_not_write_to_a_cache_may_look_at_it() {
    let Some(mut node) = Node::python() else { return };
    if !is_root() {
        return;
    }
    let Some(mounted) = Mounted::tmpfs(&node.pod.dir("cache"), "size=32m,mode=0755") else { return };
    node.build("one").expect(0, &["ready"]);
    let binary = node.pod.dir("bin/injector").display().to_string();
    node.pod.run(&["install", &binary]).expect(0, &[]);
    node.pod.wrap(&["/bin/sh", "-c", "shift; exec \"$0\" \"$@\"", &binary]);
    node.pod.run_as(STRANGER, STRANGER);
    let listed = node.cache(&["ls"]);
    listed.expect(0, &[]);
    assert!(listed.stdout.starts_with("layer "), "{}", listed.stdout);
    node.cache(&["verify"]).expect(0, &[]);
    let said = format!("E42 cache failed: the cache {} can only be read", node.pod.dir("cache").display());
    node.cache(&["gc"]).expect(42, &[&said, &format!("UID {STRANGER}"), "fsGroup"]);

    node.pod.run_as(0, 0);
    mounted.remount("ro");
    node.cache(&["gc"]).expect(42, &[&said]);
    node.cache(&["ls"]).expect(0, &[]);
    mounted.remount("rw");
    node.cache(&["gc"]).expect(0, &[]);
}

#[test]
fn pods_of_several_users_share_a_cache_by_its_group() {
    let Some(mut node) = Node::python() else { return };
    if !is_root() || crate::support::machine::public_python().is_none() {
        return;
    }
    // As a volume with fsGroup: the group's, and setgid, so that what is made there is the group's, too.
    let cache = node.pod.dir("cache");
    fs::create_dir(&cache).expect("a directory");
    std::os::unix::fs::chown(&cache, None, Some(3000)).expect("a group");
    fs::set_permissions(&cache, Permissions::from_mode(0o2775)).expect("a mode");
    for dir in ["", "volumes"] {
        fs::create_dir_all(node.pod.dir(dir)).expect("a directory");
        fs::set_permissions(node.pod.dir(dir), Permissions::from_mode(0o777)).expect("a mode");
    }
    fs::write(node.pod.dir("calls"), "").expect("written");
    fs::set_permissions(node.pod.dir("calls"), Permissions::from_mode(0o666)).expect("a mode");
    let python = crate::support::machine::public_python().expect("just now");
    let script = fs::read_to_string(node.pod.dir("bin/python3")).expect("a script");
    let own = crate::support::machine::python().expect("the pod has one");
    node.pod
        .tool("python3", &script.replace(&own.bin.display().to_string(), &python.bin.display().to_string()));
    let binary = node.pod.dir("bin/injector").display().to_string();
    node.pod.run(&["install", &binary]).expect(0, &[]);
    let as_user = |user: u32| {
        format!("shift; exec setpriv --reuid {user} --regid {user} --groups {user},3000 -- \"$0\" \"$@\"")
    };
    for (user, name) in [(4001, "one"), (4002, "two")] {
        node.pod.wrap(&["/bin/sh", "-c", &as_user(user), &binary]);
        let built = node.build(name);
        built.expect(0, &["ready"]);
        assert!(!built.stderr.contains("warning"), "{}", built.stderr);
    }
    assert_eq!(node.installed(), 1, "the second user got what the first one made");
    assert_eq!(node.published("one"), node.published("two"));
    // Each may tidy up. What is another's goes out of sight, and from the disk when that one tidies up.
    let gone = node.cache(&["gc", "--cache-max-size", "1Ki"]);
    gone.expect(0, &[]);
    assert!(gone.stdout.ends_with("; 0 bytes left\n"), "{}", gone.stdout);
    node.build("three").expect(0, &["ready"]);
    assert_eq!(node.installed(), 2);
    // What a process just made there is nobody else's to remove.
    for name in names(&cache.join("v1/tmp")) {
        let an_hour_ago = SystemTime::now() - Duration::from_hours(1);
        let aged =
            fs::File::open(cache.join("v1/tmp").join(name)).and_then(|dir| dir.set_modified(an_hour_ago));
        aged.expect("there");
    }
    node.pod.wrap(&["/bin/sh", "-c", &as_user(4001), &binary]);
    node.cache(&["gc"]).expect(0, &[]);
    assert_eq!(names(&cache.join("v1/tmp")), [""; 0]);
}

#[test]
fn nobody_says_which_cache() {
    let pod = Pod::bare("/nonexistent");
    for verb in ["ls", "gc", "verify"] {
        pod.run(&["cache", verb])
            .expect(11, &["E11 request failed: INJECTOR_CACHE_DIR is not set: name the cache's directory"]);
    }
}
