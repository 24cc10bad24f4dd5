//! Caches in every kind of trouble: the function is built as it would be without, one warning says what is wrong, and the
//! next pod gets no worse.

mod registry;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::machine::Mounted;
use crate::support::pod::{Ended, names, read, until};
use crate::support::shared::{Node, rewrite};
use crate::support::skip::skip;

/// A node, and what is published there without any cache, for a pod named `plain`.
fn node() -> Option<Node> {
    let node = Node::python()?;
    without_cache(&node, "plain").expect(0, &[]);
    Some(node)
}

fn without_cache(node: &Node, name: &str) -> Ended {
    let volume = node.volume(name).display().to_string();
    node.pod.start_as(&["build", "--volume", &volume], &[("INJECTOR_CACHE_DIR", "")]).wait()
}

/// What is said that a person should know.
fn warnings(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().filter(|line| line.contains("warning: ")).collect()
}

/// Sees to it that a pod got the right tree, and was warned once, in these words.
#[track_caller]
fn assert_warned(node: &Node, name: &str, ended: &Ended, said: &[&str]) {
    assert_right(node, name, ended);
    let warnings = warnings(ended);
    assert_eq!(warnings.len(), 1, "{}", ended.stderr);
    for part in said {
        assert!(warnings[0].contains(part), "{part:?} is missing: {}", warnings[0]);
    }
}

/// Sees to it that a pod got the right tree.
#[track_caller]
fn assert_right(node: &Node, name: &str, ended: &Ended) {
    ended.expect(0, &["ready: python", "1 package"]);
    assert_eq!(node.published(name), node.published("plain"), "{}", ended.stderr);
}

/// Sees to it that a pod got the right tree from the cache, and nothing was wrong.
#[track_caller]
fn assert_cached(node: &Node, name: &str) {
    let ended = node.build(name);
    assert_right(node, name, &ended);
    ended.expect(0, &["(cached)"]);
    assert_eq!(warnings(&ended), [""; 0]);
}

#[test]
fn a_cache_that_is_a_file() {
    let Some(node) = node() else { return };
    fs::write(node.pod.dir("cache"), "").expect("written");
    for name in ["one", "two"] {
        let ended = node.build(name);
        assert_warned(&node, name, &ended, &["the node's cache cannot be used", "/cache cannot be used: "]);
    }
    assert_eq!(fs::read(node.pod.dir("cache")).expect("still a file"), b"");
}

#[test]
fn a_cache_that_cannot_be_made() {
    let Some(node) = node() else { return };
    let Some(mounted) = Mounted::tmpfs(&node.pod.dir("cache"), "size=16m,mode=0777") else { return };
    mounted.remount("ro");
    let ended = node.build("one");
    assert_warned(&node, "one", &ended, &["/cache cannot be used: ", "ead-only file system"]);
}

#[test]
fn a_cache_that_can_only_be_read_gives_what_it_has() {
    let Some(node) = node() else { return };
    let Some(mounted) = Mounted::tmpfs(&node.pod.dir("cache"), "size=64m,mode=0777") else { return };
    node.build("one").expect(0, &[]);
    mounted.remount("ro");
    assert_cached(&node, "two");
    node.pod.source("hello.py", "def hello(event, context):\n    return 'edited'\n");
    without_cache(&node, "plain").expect(0, &[]);
    let edited = node.build("three");
    edited.expect(0, &["(deps cached)"]);
    assert_warned(&node, "three", &edited, &["/cache can only be read"]);
}

#[test]
fn a_cache_that_is_full() {
    for size in ["size=1m", "size=64m,nr_inodes=14"] {
        let Some(node) = node() else { return };
        let Some(_mounted) = Mounted::tmpfs(&node.pod.dir("cache"), &format!("{size},mode=0777")) else {
            return;
        };
        for name in ["one", "two"] {
            let ended = node.build(name);
            assert_warned(&node, name, &ended, &["cache", "No space left on device"]);
            assert_eq!(names(&node.pod.dir("cache/v1/tmp")), [""; 0]);
            assert_eq!(node.records("build").len(), 0);
        }
    }
}

#[test]
fn a_cache_that_goes_away_in_the_middle_of_a_build() {
    let Some(node) = node() else { return };
    let before = node.installed();
    node.pod.source("../wait", "");
    let running = node.start("one", &[]);
    until("it installs", || node.installed() > before);
    fs::remove_dir_all(node.pod.dir("cache")).expect("removed");
    node.pod.source("../go", "");
    let ended = running.wait();
    assert_warned(&node, "one", &ended, &["what was built cannot be cached", "/cache cannot be written: "]);
    node.build("two").expect(0, &[]);
    assert_cached(&node, "three");
}

#[test]
fn a_cache_that_the_function_could_write_to_is_not_used() {
    let Some(mut node) = Node::python() else { return };
    let inside = node.volume("one").join("cache").display().to_string();
    node.pod.set("INJECTOR_CACHE_DIR", inside);
    for _ in 0..2 {
        let ended = node.build("one");
        ended.expect(0, &["ready"]);
        assert_eq!(ended.stderr.matches("warning").count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains("lies in the volume"), "{}", ended.stderr);
    }
    assert_eq!(node.installed(), 2);
}

#[test]
fn a_tree_that_is_broken_is_made_anew() {
    type Find = Box<dyn Fn(&Node) -> PathBuf>;
    type Break = Box<dyn Fn(&Path)>;
    let file = |name: &'static str| move |node: &Node| node.cached(name).remove(0);
    let first = |what: &Path| {
        let mut bytes = fs::read(what).expect("readable");
        bytes[0] ^= 1;
        fs::write(what, bytes).expect("written");
    };
    let cases: Vec<(Find, Break, &str)> = vec![
        (Box::new(file("files/demo/data.bin")), Box::new(first), "demo/data.bin"),
        (Box::new(file("files/source/hello.py")), Box::new(first), "source/hello.py"),
        (
            Box::new(file("files/demo/data.bin")),
            Box::new(|path| File::options().write(true).open(path).expect("open").set_len(9).expect("cut")),
            "demo/data.bin",
        ),
        (
            Box::new(file("files/demo/data.bin")),
            Box::new(|path| fs::write(path, vec![0; 3_000_001]).expect("written")),
            "demo/data.bin",
        ),
        (
            Box::new(file("files/demo/__init__.py")),
            Box::new(|path| fs::remove_file(path).expect("removed")),
            "demo/__init__.py",
        ),
        (
            Box::new(file("files/demo/__init__.py")),
            Box::new(|path| {
                fs::remove_file(path).expect("removed");
                std::os::unix::fs::symlink("/etc/passwd", path).expect("a link");
            }),
            "demo/__init__.py",
        ),
        (
            Box::new(move |node| {
                file("files/demo/__init__.py")(node).ancestors().nth(2).expect("files").to_owned()
            }),
            // Gone between the look-up and the copy.
            Box::new(|path| fs::remove_dir_all(path).expect("removed")),
            "",
        ),
        (Box::new(of_deps("manifest.json")), Box::new(first), "its manifest has another digest"),
        (
            Box::new(of_deps("manifest.json")),
            Box::new(|path| fs::remove_file(path).expect("removed")),
            "it has no manifest",
        ),
        (
            Box::new(of_deps("")),
            // That of another digest.
            Box::new(|path| {
                let others = names(path.parent().expect("trees"));
                let other = others.iter().find(|other| !path.ends_with(other)).expect("another tree");
                fs::remove_dir_all(path).expect("removed");
                let status = Command::new("cp").arg("-a").arg(path.with_file_name(other)).arg(path).status();
                assert!(status.expect("cp runs").success());
            }),
            "its manifest has another digest",
        ),
    ];
    let Some(node) = node() else { return };
    node.build("one").expect(0, &[]);
    for (number, (find, damage, said)) in cases.into_iter().enumerate() {
        damage(&find(&node));
        let name = format!("broken-{number}");
        let ended = node.build(&name);
        assert_warned(&node, &name, &ended, &["the cache is of no use: ", said]);
        assert_cached(&node, &format!("whole-{number}"));
    }
}

/// A file of the tree that holds the dependencies.
fn of_deps(name: &'static str) -> impl Fn(&Node) -> PathBuf {
    move |node| {
        let file = node.cached("files/demo/data.bin").remove(0);
        let tree = file.ancestors().nth(3).expect("a tree");
        if name.is_empty() { tree.to_owned() } else { tree.join(name) }
    }
}

#[test]
fn a_tree_that_was_taken_away_is_made_anew() {
    let Some(node) = node() else { return };
    node.build("one").expect(0, &[]);
    fs::remove_dir_all(of_deps("")(&node)).expect("removed");
    let ended = node.build("two");
    assert_right(&node, "two", &ended);
    assert_cached(&node, "three");
}

#[test]
fn a_record_that_is_broken_is_made_anew() {
    type Break = fn(&Path);
    let garbage: Break = |record| fs::write(record, "\0garbage").expect("written");
    let empty: Break = |record| fs::write(record, "").expect("written");
    let half: Break = |record| {
        let bytes = fs::read(record).expect("readable");
        fs::write(record, &bytes[..bytes.len() / 2]).expect("written");
    };
    let of_another: Break =
        |record| rewrite(record, |value| value["key"] = format!("sha256:{}", "0".repeat(64)).into());
    let newer: Break = |record| rewrite(record, |value| value["schema"] = 99.into());
    // Right in form, and not what was written.
    let one_letter: Break = |record| {
        let text = read(record);
        fs::write(record, text.replacen("\"demo\"", "\"dema\"", 1)).expect("written");
        assert_ne!(read(record), text, "the package's name has a letter to change");
    };
    let without_digest: Break = |record| {
        let mut value: serde_json::Value = serde_json::from_str(&read(record)).expect("JSON");
        value.as_object_mut().expect("fields").remove("digest");
        fs::write(record, value.to_string()).expect("written");
    };
    let Some(node) = node() else { return };
    node.build("one").expect(0, &[]);
    let cases = [
        (garbage, "is of no use: "),
        (empty, "is of no use: "),
        (half, "is of no use: "),
        (of_another, "it is that of another key"),
        (newer, "its schema is 99"),
        (one_letter, "it has another digest"),
        (without_digest, "it has another digest"),
    ];
    for (number, (damage, said)) in cases.into_iter().enumerate() {
        damage(&node.records("build").remove(0));
        let name = format!("broken-{number}");
        let ended = node.build(&name);
        assert_warned(&node, &name, &ended, &["an entry of the cache cannot be read: ", said]);
        assert_cached(&node, &format!("whole-{number}"));
    }
}

#[test]
fn a_cache_without_locks() {
    if Command::new("strace").arg("-V").output().is_err() {
        skip("strace", "nothing makes locks fail");
        return;
    }
    let Some(mut node) = node() else { return };
    node.build("one").expect(0, &[]);
    let every = node.every_file();
    let locks: Vec<String> = every.iter().map(|file| file.display().to_string()).collect();
    let locks = locks.iter().filter(|file| file.contains("/lock/") || file.ends_with("/lease"));
    let mut words: Vec<&str> =
        "strace -f -qq -o /dev/null -e trace=flock -e inject=flock:error=ENOLCK".split(' ').collect();
    for lock in locks {
        words.extend(["-P", lock.as_str()]);
    }
    node.pod.wrap(&words);
    assert_cached(&node, "two");
    fs::remove_dir_all(node.pod.dir("cache")).expect("removed");
    let ended = node.build("three");
    assert_warned(&node, "three", &ended, &["/cache cannot be locked: "]);
    assert_cached(&node, "four");
}

#[test]
fn left_overs_and_strange_things_in_a_cache() {
    let Some(node) = node() else { return };
    node.build("one").expect(0, &[]);
    for room in ["tree", "record", "tmp", "lock", "tool"] {
        let room = node.pod.dir("cache/v1").join(room);
        fs::create_dir(room.join("strange")).expect("a directory");
        fs::write(room.join("strange/file"), "").expect("written");
        fs::write(room.join("0".repeat(64)), "\0").expect("written");
        std::os::unix::fs::symlink("/nowhere", room.join("link")).expect("a link");
    }
    for file in node.every_file() {
        if file.to_string_lossy().contains("/tool/") || file.to_string_lossy().contains("/lock/") {
            fs::write(file, "\0garbage").expect("written");
        }
    }
    assert_cached(&node, "two");
    node.pod.source("hello.py", "def hello(event, context):\n    return 'edited'\n");
    without_cache(&node, "plain").expect(0, &[]);
    let edited = node.build("three");
    assert_right(&node, "three", &edited);
    assert_eq!(warnings(&edited), [""; 0]);
}
