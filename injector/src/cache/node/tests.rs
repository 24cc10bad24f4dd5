//! What a node's cache does for pods that come and go at the same time.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "these tests are what happens to a cache, and say what they skip"
)]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use fs_err as std_fs;
use tempfile::TempDir;

use super::*;
use crate::cache::record::{Part, Progress};
use crate::keys::Inputs;
use crate::sys::tree::Digest;

/// A cache in a directory that goes with the value.
pub(in crate::cache) struct Shop {
    dir: TempDir,
    pub(in crate::cache) node: Node,
}

impl Shop {
    pub(in crate::cache) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let node = Node::open(&dir.path().join("cache")).expect("a cache");
        Shop { dir, node }
    }

    /// Stores a tree of one file.
    pub(in crate::cache) fn store(&self, text: &str) -> Held {
        self.node.store(|files| Ok::<_, NodeError>(tree_of(files, text))).expect("stored")
    }

    /// Puts a record that names these trees.
    pub(in crate::cache) fn put(&self, layer: Layer, key: u8, trees: &[(Part, Sha256)]) -> Record {
        let record = record(layer, key, trees);
        self.node.put(&record).expect("put");
        record
    }

    /// The names in one of its directories.
    pub(in crate::cache) fn names(&self, room: &str) -> Vec<String> {
        names(&self.node.root.join(room)).collect()
    }
}

/// Makes a tree of one file.
pub(in crate::cache) fn tree_of(files: &Path, text: &str) -> Manifest {
    std_fs::create_dir(files).expect("made");
    std_fs::write(files.join("file"), text).expect("written");
    let digest = blake3::hash(text.as_bytes()).into();
    let entry =
        Entry::File { size: text.len() as u64, digest: Digest(digest), executable: false, changed: None };
    Manifest(BTreeMap::from([("file".to_owned(), entry)]))
}

pub(in crate::cache) fn key(number: u8) -> Sha256 {
    Sha256([number; 32])
}

pub(in crate::cache) fn record(layer: Layer, number: u8, trees: &[(Part, Sha256)]) -> Record {
    Record {
        schema: SCHEMA,
        layer,
        key: key(number),
        inputs: Inputs(BTreeMap::from([("requirements.txt".to_owned(), number.to_string())])),
        parts: trees.iter().copied().collect(),
        packages: Vec::new(),
        files: 1,
        bytes: 1,
        progress: Progress::Whole,
        resolved: 1,
        made: 2,
        injector: "1".to_owned(),
    }
}

#[test]
fn what_is_stored_is_found_whole_and_equal_trees_are_one() {
    let shop = Shop::new();
    let one = shop.store("a");
    let two = shop.store("a");
    assert_eq!((one.tree, &one.files), (two.tree, &two.files));
    let other = shop.store("b");
    assert_ne!(one.tree, other.tree);
    assert_eq!(shop.names(TREES).len(), 2);
    assert_eq!(shop.names(TMP), [""; 0]);

    let held = shop.node.hold(one.tree).expect("read").expect("there");
    assert!(held.lock.is_some());
    assert_eq!(held.manifest().expect("whole").digest().expect("a digest"), one.tree);
    assert_eq!(std_fs::read_to_string(held.files.join("file")).expect("there"), "a");
    assert!(shop.node.hold(key(9)).expect("read").is_none());
}

#[test]
fn what_fails_while_it_is_stored_leaves_nothing() {
    let shop = Shop::new();
    let failed = shop.node.store(|files| {
        tree_of(files, "a");
        Err(NodeError::Busy(Duration::ZERO))
    });
    assert!(matches!(failed, Err(NodeError::Busy(_))));
    assert_eq!((shop.names(TMP), shop.names(TREES)), (vec![], vec![]));
}

#[test]
fn a_tree_that_was_changed_is_told_and_does_not_come_back() {
    let shop = Shop::new();
    let tree = shop.store("a").tree;
    for spoil in [
        |file: &Path| std_fs::write(file, "{}").expect("written"),
        |file: &Path| std_fs::remove_file(file).expect("removed"),
    ] {
        let held = shop.store("a");
        spoil(&shop.node.place(tree).join(MANIFEST));
        let said = held.manifest().expect_err("it is broken").to_string();
        assert!(said.starts_with(&format!("the cache's tree {} is broken: it", tree.hex())), "{said}");
        shop.node.discard(tree).expect("discarded");
        assert!(shop.node.hold(tree).expect("read").is_none());
        // What is not there cannot be discarded again.
        shop.node.discard(tree).expect("nothing to do");
    }
    assert_eq!((shop.names(TMP), shop.names(TREES)), (vec![], vec![]));
    assert!(shop.store("a").manifest().is_ok());
}

#[test]
fn what_a_crash_left_unwritten_is_found_before_a_function_runs_from_it() {
    let shop = Shop::new();
    let held = shop.store("a");
    let (file, lease) = (held.files.join("file"), held.dir.join(LEASE));
    std_fs::write(&file, "b").expect("written");
    // Whoever made it in this start of the machine, or looked since, need not look again.
    shop.node.lease(held.tree).expect("promised");
    std_fs::write(&lease, "an earlier one").expect("written");
    let said = shop.node.lease(held.tree).expect_err("it is broken").to_string();
    assert!(said.ends_with("is broken: file has other content than it had"), "{said}");
    std_fs::write(&file, "a").expect("written");
    shop.node.lease(held.tree).expect("promised");
    assert_eq!(std_fs::read_to_string(&lease).expect("there"), host::boot());
    assert!(!host::boot().is_empty());
    let said = shop.node.lease(key(9)).expect_err("there is none").to_string();
    assert!(said.ends_with("it is not there"), "{said}");
}

#[test]
fn a_tree_that_was_changed_makes_room_for_the_same_one() {
    let shop = Shop::new();
    let tree = shop.store("a").tree;
    let spoils: [fn(&Path); 5] = [
        |tree| std_fs::write(tree.join(FILES).join("file"), "b").expect("written"),
        |tree| std_fs::write(tree.join(FILES).join("more"), "").expect("written"),
        |tree| std_fs::remove_file(tree.join(MANIFEST)).expect("removed"),
        |tree| std_fs::remove_file(tree.join(LEASE)).expect("removed"),
        |tree| {
            std_fs::remove_file(tree.join(LEASE)).expect("removed");
            std::os::unix::fs::symlink("size", tree.join(LEASE)).expect("a link");
        },
    ];
    for spoil in spoils {
        spoil(&shop.node.place(tree));
        let stored = shop.store("a");
        assert_eq!(stored.tree, tree);
        let held = shop.node.hold(tree).expect("read").expect("there");
        assert!(held.is_whole());
    }
    assert_eq!(shop.names(TMP), [""; 0]);
}

#[test]
fn a_record_that_is_none_is_told_and_gives_way() {
    let shop = Shop::new();
    let record = shop.put(Layer::Deps, 1, &[(Part::Deps, key(7))]);
    assert_eq!(shop.node.record(Layer::Deps, key(1)).expect("read"), Some(record.clone()));
    assert_eq!(shop.node.record(Layer::Build, key(1)).expect("read"), None);
    let file = shop.node.root.join(RECORDS).join(record_name(Layer::Deps, key(1)));
    let text = std_fs::read_to_string(&file).expect("there");
    shop.put(Layer::Deps, 2, &[]);
    let of_another = file.with_file_name(record_name(Layer::Deps, key(2)));
    let of_another = std_fs::read_to_string(of_another).expect("there");
    for (text, said) in [
        (text[..text.len() / 2].to_owned(), "EOF while parsing"),
        (text.replace("\"schema\":1", "\"schema\":2"), "its schema is 2, this injector reads 1"),
        ("[]".to_owned(), "its schema is none"),
        (text.replace("\"parts\"", "\"carts\""), "it has another digest"),
        (text.replace("\"digest\"", "\"signet\""), "it has another digest"),
        (of_another, "it is that of another key"),
    ] {
        std_fs::write(&file, &text).expect("written");
        let error = shop.node.record(Layer::Deps, key(1)).expect_err("it is broken").to_string();
        assert!(error.starts_with("the cache's record deps-0101") && error.contains(said), "{error}");
    }
    std_fs::write(&file, "{").expect("written");
    let keys = || shop.node.records(Layer::Deps).iter().map(|record| record.key).collect::<Vec<_>>();
    assert_eq!(keys(), [key(2)]);
    shop.node.put(&record).expect("replaced");
    assert_eq!(keys(), [key(1), key(2)]);
}

#[test]
fn records_come_in_the_order_of_their_last_use() {
    let shop = Shop::new();
    for number in 1..=4 {
        shop.put(Layer::Deps, number, &[]);
        std::thread::sleep(Duration::from_millis(15));
    }
    shop.put(Layer::Build, 5, &[]);
    shop.node.record(Layer::Deps, key(2)).expect("read").expect("there");
    let order: Vec<u8> = shop.node.records(Layer::Deps).iter().map(|record| record.key.0[0]).collect();
    assert_eq!(order, [2, 4, 3, 1]);
}

#[test]
fn a_tool_is_remembered() {
    let shop = Shop::new();
    let text = r#"{"identity": {"version": "1.2", "facts": {"abi": "x"}}}"#;
    let known: Known = serde_json::from_str(text).expect("an answer");
    assert_eq!(shop.node.tool(key(1)), None);
    shop.node.put_tool(key(1), &known).expect("kept");
    assert_eq!(shop.node.tool(key(1)), Some(known));
    std_fs::write(shop.node.root.join(TOOLS).join(tool_name(key(1))), "{").expect("written");
    assert_eq!(shop.node.tool(key(1)), None);
}

#[test]
fn a_cache_is_for_all_users_of_a_group() {
    let shop = Shop::new();
    let held = shop.store("a");
    shop.put(Layer::Deps, 1, &[]);
    drop(shop.node.flight(Layer::Deps, key(1), Duration::ZERO, || ()));
    let mode = |path: PathBuf| std_fs::metadata(path).expect("there").permissions().mode() & 0o777;
    for room in ROOMS {
        assert_eq!(mode(shop.node.root.join(room)), 0o775, "{room}");
    }
    assert_eq!(mode(held.dir.clone()), 0o775);
    for file in [MANIFEST, LEASE, SIZE] {
        assert_eq!(mode(held.dir.join(file)), 0o664, "{file}");
    }
    for room in [RECORDS, LOCKS] {
        let name = shop.names(room).pop().expect("one");
        assert_eq!(mode(shop.node.root.join(room).join(name)), 0o664);
    }
}

#[test]
fn a_directory_that_cannot_be_a_cache_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std_fs::write(&file, "").expect("written");
    let said = Node::open(&file.join("cache")).expect_err("it is a file").to_string();
    assert!(said.starts_with(&format!("the cache {}/cache cannot be used: ", file.display())), "{said}");
}

/// A tmpfs, unmounted with the value; `None` where nobody may mount.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn new(options: &str) -> Option<Self> {
        let tmpfs = Tmpfs(tempfile::tempdir().expect("a directory"));
        let mounted = tmpfs.mount(&["-t", "tmpfs", "-o", options, "tmpfs"]);
        if !mounted {
            eprintln!("SKIP mount: tmpfs cannot be mounted");
        }
        mounted.then_some(tmpfs)
    }

    fn mount(&self, args: &[&str]) -> bool {
        let status = Command::new("mount").args(args).arg(self.0.path()).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_cache_that_can_only_be_read_is_read() {
    let Some(tmpfs) = Tmpfs::new("size=4m") else { return };
    let node = Node::open(tmpfs.0.path()).expect("a cache");
    assert_eq!(node.access(), Access::Full);
    let tree = node.store(|files| Ok::<_, NodeError>(tree_of(files, "a"))).expect("stored").tree;
    node.put(&record(Layer::Deps, 1, &[(Part::Deps, tree)])).expect("put");
    assert!(tmpfs.mount(&["-o", "remount,ro"]));

    let node = Node::open(tmpfs.0.path()).expect("a cache");
    assert_eq!(node.access(), Access::ReadOnly);
    let record = node.record(Layer::Deps, key(1)).expect("read").expect("there");
    let held = node.hold(record.parts[&Part::Deps]).expect("read").expect("there");
    assert!(held.lock.is_some() && held.manifest().is_ok());
    let said = format!("the cache {} can only be read", tmpfs.0.path().display());
    for error in [
        node.put(&record).expect_err("not written"),
        node.lease(tree).expect_err("not promised"),
        node.discard(tree).expect_err("not removed"),
        node.store(|_| Err(NodeError::Busy(Duration::ZERO))).expect_err("not stored"),
        match node.flight(Layer::Deps, key(1), Duration::ZERO, || ()) {
            Flight::Alone(error) => error,
            other => panic!("{other:?}"),
        },
    ] {
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn a_cache_that_is_full_says_so_and_keeps_what_it_has() {
    let Some(tmpfs) = Tmpfs::new("size=256k") else { return };
    let node = Node::open(tmpfs.0.path()).expect("a cache");
    let tree = node.store(|files| Ok::<_, NodeError>(tree_of(files, "a"))).expect("stored").tree;
    let ballast = tmpfs.0.path().join("ballast");
    let _ = std_fs::write(&ballast, vec![0; 1 << 20]);
    let record = record(Layer::Deps, 1, &[(Part::Deps, tree)]);
    let said = node.put(&record).expect_err("it is full").to_string();
    assert!(said.ends_with("cannot be written: No space left on device"), "{said}");
    assert_eq!(node.record(Layer::Deps, key(1)).expect("read"), None);
    assert!(node.hold(tree).expect("read").is_some());
    // A manifest that did not fit is no tree.
    let held = node.store(|files| {
        std_fs::remove_file(&ballast).expect("removed");
        let manifest = tree_of(files, "b");
        let _ = std_fs::write(&ballast, vec![0; 1 << 20]);
        Ok::<_, NodeError>(manifest)
    });
    assert!(held.is_err());
    assert_eq!(names(&node.root.join(TREES)).count(), 1);
    assert_eq!(names(&node.root.join(TMP)).count(), 0);
    std_fs::remove_file(&ballast).expect("removed");
    node.put(&record).expect("there is room now");
}

#[test]
fn a_disk_that_is_full_gets_room_for_the_next_build() {
    let Some(tmpfs) = Tmpfs::new("size=8m") else { return };
    let node = Node::open(tmpfs.0.path()).expect("a cache");
    let store = |letter: &str| {
        node.store(|files| {
            std_fs::create_dir(files).expect("made");
            let text = letter.repeat(3 << 20);
            std_fs::write(files.join("file"), &text).map_err(|source| node.refuses("written", source))?;
            std_fs::remove_dir_all(files).expect("removed");
            Ok::<_, NodeError>(tree_of(files, &text))
        })
    };
    for (number, letter) in [(1, "a"), (2, "b")] {
        let tree = store(letter).expect("there is room").tree;
        node.put(&record(Layer::Deps, number, &[(Part::Deps, tree)])).expect("put");
        std::thread::sleep(Duration::from_millis(15));
    }
    let said = store("c").expect_err("it is full").to_string();
    assert!(said.ends_with("No space left on device"), "{said}");
    assert_eq!(node.record(Layer::Deps, key(1)).expect("read"), None, "it was not used for longest");
    assert_eq!(names(&node.root.join(TMP)).count(), 0);
    let next = store("c").expect("there is room now").tree;
    node.put(&record(Layer::Deps, 3, &[(Part::Deps, next)])).expect("put");
    // Not for each one that is too large.
    store("d").expect("there is room");
    store("e").expect_err("it is full");
    assert!(node.record(Layer::Deps, key(3)).expect("read").is_some());
}

/// Names the cache for the process of a test; alone the test does nothing.
const IN_CACHE: &str = "TEST_CACHE";

/// Runs one of the tests below in a process of its own, in this cache.
fn process(shop: &Shop, test: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", &format!("cache::node::tests::{test}"), "--nocapture", "--test-threads=1"])
        .env(IN_CACHE, shop.dir.path().join("cache"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts")
}

/// Reads what such a process says, up to a line that ends so.
fn read_to(child: &mut Child, end: &str) {
    let out = BufReader::new(child.stdout.as_mut().expect("a pipe"));
    let mut lines = out.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with(end)), "it did not say {end:?}");
}

fn cache_of_the_test() -> Option<Node> {
    let dir = std::env::var_os(IN_CACHE)?;
    Some(Node::open(Path::new(&dir)).expect("a cache"))
}

#[test]
fn process_that_builds_until_it_is_killed() {
    let Some(node) = cache_of_the_test() else { return };
    let flight = node.flight(Layer::Build, key(1), Duration::ZERO, || ());
    assert!(matches!(flight, Flight::Ours(_)));
    let made = node.store(|files| {
        let manifest = tree_of(files, "half");
        println!("building");
        std::thread::sleep(Duration::from_mins(2));
        Ok::<_, NodeError>(manifest)
    });
    drop(made);
}

#[test]
fn when_the_one_that_builds_is_killed_the_next_takes_over() {
    let shop = Shop::new();
    let mut builder = process(&shop, "process_that_builds_until_it_is_killed");
    read_to(&mut builder, "building");
    let flight = shop.node.flight(Layer::Build, key(1), Duration::from_millis(60), || ());
    let Flight::Alone(error) = flight else { panic!("{flight:?}") };
    assert!(error.to_string().starts_with("another pod has been building this for more than"));
    // Another key is nobody's.
    assert!(matches!(shop.node.flight(Layer::Deps, key(1), Duration::ZERO, || ()), Flight::Ours(_)));

    let node = shop.node.clone();
    let waits = std::thread::spawn(move || {
        let waited = Cell::new(0);
        let flight =
            node.flight(Layer::Build, key(1), Duration::from_mins(2), || waited.set(waited.get() + 1));
        (matches!(flight, Flight::Ours(_)), waited.get())
    });
    std::thread::sleep(Duration::from_millis(50));
    builder.kill().expect("killed");
    builder.wait().expect("gone");
    assert_eq!(waits.join().expect("it ends"), (true, 1));
    assert_eq!(shop.names(TREES), [""; 0]);
}

#[test]
fn those_who_waited_for_a_build_that_failed_do_not_wait_for_each_other() {
    let shop = Shop::new();
    let Flight::Ours(turn) = shop.node.flight(Layer::Build, key(1), Duration::ZERO, || ()) else {
        panic!("nobody else is here");
    };
    let (said, heard) = std::sync::mpsc::channel();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let (node, said) = (shop.node.clone(), said.clone());
            std::thread::spawn(move || {
                node.flight(Layer::Build, key(1), Duration::from_mins(2), || said.send(()).expect("heard"))
            })
        })
        .collect();
    for _ in &waiters {
        heard.recv_timeout(Duration::from_mins(1)).expect("it waits");
    }
    turn.failed();
    for waiter in waiters {
        let flight = waiter.join().expect("it ends");
        assert!(matches!(flight, Flight::Failed), "{flight:?}");
    }
    // Whoever comes later has not waited, and the build may succeed now.
    let later = shop.node.flight(Layer::Build, key(1), Duration::from_mins(1), || ());
    assert!(matches!(later, Flight::Ours(_)));
}

#[test]
fn of_many_that_come_at_once_one_builds() {
    let shop = Shop::new();
    let builds = std::sync::Mutex::new(0);
    let trees: BTreeSet<Sha256> = std::thread::scope(|scope| {
        let start = || {
            let flight = shop.node.flight(Layer::Build, key(1), Duration::from_mins(2), || ());
            assert!(matches!(flight, Flight::Ours(_)));
            if let Some(record) = shop.node.record(Layer::Build, key(1)).expect("read") {
                return record.parts[&Part::Tree];
            }
            *builds.lock().expect("counted") += 1;
            let held = shop.store("a");
            shop.put(Layer::Build, 1, &[(Part::Tree, held.tree)]);
            held.tree
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
    });
    assert_eq!((*builds.lock().expect("counted"), trees.len()), (1, 1));
}
