//! What stays in a cache, and what goes.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "these tests set times of files")]

use std::path::Path;
use std::time::SystemTime;

use super::super::node::tests::{Shop, key};
use super::super::node::{SIZE, TREES};
use super::super::record::{Layer, Part};
use super::*;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Makes something look as if it had been changed so long ago.
fn age(path: &Path, age: Duration) {
    let file = std::fs::File::open(path).expect("it is there");
    file.set_modified(SystemTime::now() - age).expect("it is ours");
}

impl Shop {
    /// Stores a tree that seems to have so many bytes, long ago, and a record of it that was last used so long ago.
    fn add(&self, number: u8, bytes: u64, used: Duration) -> Sha256 {
        let tree = self.store(&number.to_string()).tree;
        let dir = self.node.place(tree);
        fs::write(&dir.join(SIZE), bytes.to_string().as_bytes()).expect("written");
        age(&dir, 100 * DAY);
        self.name(number, &[tree], used);
        tree
    }

    /// Puts a record of these trees that was last used so long ago.
    fn name(&self, number: u8, trees: &[Sha256], used: Duration) {
        let parts: Vec<_> = [Part::Deps, Part::Kept].into_iter().zip(trees.iter().copied()).collect();
        self.put(Layer::Deps, number, &parts);
        age(&self.record_file(number), used);
    }

    fn record_file(&self, number: u8) -> std::path::PathBuf {
        self.node.root.join(RECORDS).join(format!("deps-{}.json", key(number).hex()))
    }

    /// Of which keys there are records.
    fn keys(&self) -> Vec<u8> {
        let records = Contents::of(&self.node).records;
        let mut keys: Vec<u8> =
            records.iter().map(|kept| kept.record.as_ref().expect("one").key.0[0]).collect();
        keys.sort_unstable();
        keys
    }

    fn collect(&self, size: Option<u64>, age: Option<Duration>) -> Collected {
        collect(&self.node, Bounds { size, age }, Duration::from_mins(1)).expect("written").expect("done")
    }

    /// As if the cache had last been tidied up so long ago.
    fn collected(&self, ago: Duration) {
        let file = self.node.root.join(LOCKS).join(COLLECT);
        let _ = share::create_file(&file, b"");
        age(&file, ago);
    }
}

#[test]
fn what_was_not_used_for_longest_goes_until_there_is_room() {
    let shop = Shop::new();
    for (number, bytes, used) in [(1, 40, HOUR), (2, 30, 5 * HOUR), (3, 20, 3 * HOUR), (4, 15, 4 * HOUR)] {
        shop.add(number, bytes, used);
    }
    let all = Collected { left: 105, ..Collected::default() };
    assert_eq!(shop.collect(None, None), all);
    assert_eq!(shop.collect(Some(105), None), all);
    // A tenth more than must be: without the oldest there are 75 of at most 72.
    let some = shop.collect(Some(80), None);
    assert_eq!(some, Collected { records: 2, trees: 2, freed: 45, left: 60 });
    assert_eq!(shop.keys(), [1, 3]);
    assert_eq!(shop.names(TREES).len(), 2);
    assert_eq!(shop.names(TMP), [""; 0]);
    let old = shop.collect(None, Some(2 * HOUR));
    assert_eq!(old, Collected { records: 1, trees: 1, freed: 20, left: 40 });
    assert_eq!(shop.collect(Some(0), None).left, 0);
    assert_eq!(shop.names(RECORDS), [""; 0]);
}

#[test]
fn what_was_used_meanwhile_is_not_what_was_used_long_ago() {
    let shop = Shop::new();
    shop.add(1, 10, 2 * HOUR);
    shop.add(2, 10, HOUR);
    shop.node.record(Layer::Deps, key(1)).expect("read").expect("there");
    shop.collect(Some(12), None);
    assert_eq!(shop.keys(), [1]);
}

#[test]
fn a_tree_that_two_records_name_goes_with_the_second() {
    let shop = Shop::new();
    let shared = shop.add(1, 50, 3 * HOUR);
    let own = shop.add(2, 10, 2 * HOUR);
    shop.name(3, &[own, shared], HOUR);
    assert_eq!(shop.collect(None, Some(2 * HOUR + HOUR / 2)).trees, 0);
    assert_eq!(shop.keys(), [2, 3]);
    assert_eq!(
        shop.collect(None, Some(Duration::ZERO)),
        Collected { records: 2, trees: 2, freed: 60, left: 0 }
    );
}

#[test]
fn a_tree_in_use_stays_and_so_does_its_record() {
    let shop = Shop::new();
    let tree = shop.add(1, 10, 100 * DAY);
    let held = shop.node.hold(tree).expect("read").expect("there");
    let lease = shop.node.place(tree).join(LEASE);
    age(&lease, 25 * HOUR);
    shop.collected(HOUR);
    assert_eq!(shop.collect(Some(0), Some(Duration::ZERO)).trees, 0);
    // Its lease is a new one.
    let now = Duration::from_secs(host::now());
    let renewed = share::changed(&lease).expect("there").expect("there");
    assert!(renewed + HOUR > now);
    assert_eq!(shop.keys(), [1]);
    drop(held);
    shop.collected(HOUR);
    assert_eq!(shop.collect(Some(0), None).trees, 0, "it has just been in use");
    // After a day it is nobody's.
    age(&lease, 25 * HOUR);
    shop.collected(HOUR);
    assert_eq!(shop.collect(Some(0), None).trees, 1);
    assert!(shop.node.hold(tree).expect("read").is_none());
}

#[test]
fn who_only_copies_a_tree_keeps_it_for_no_longer() {
    let shop = Shop::new();
    let tree = shop.add(1, 10, HOUR);
    let held = shop.node.hold(tree).expect("read").expect("there");
    assert_eq!(shop.collect(Some(0), None).trees, 0);
    drop(held);
    assert_eq!(shop.collect(Some(0), None).trees, 1);
}

#[test]
fn a_record_of_which_a_part_is_in_use_gives_the_others() {
    let shop = Shop::new();
    let (shared, own) = (shop.add(1, 10, HOUR), shop.add(2, 30, HOUR));
    shop.name(2, &[own, shared], HOUR);
    let held = shop.node.hold(shared).expect("read").expect("there");
    let collected = shop.collect(Some(0), None);
    assert_eq!(collected, Collected { records: 1, trees: 1, freed: 30, left: 10 });
    assert_eq!(shop.keys(), [1]);
    drop(held);
}

#[test]
fn a_promise_holds_for_a_day() {
    let shop = Shop::new();
    let tree = shop.add(1, 10, 100 * DAY);
    let lease = shop.node.place(tree).join(LEASE);
    shop.node.lease(tree).expect("promised");
    for (promised, collected, goes) in [
        (Duration::ZERO, HOUR, 0),
        (23 * HOUR, HOUR, 0),
        // Whoever runs since before the cache was last tidied up would have a new one; but nobody looked since.
        (25 * HOUR, 26 * HOUR, 0),
        // Nor is it enough to have looked a moment ago: a container may be between two attempts.
        (25 * HOUR, Duration::from_mins(5), 0),
        (25 * HOUR, HOUR, 1),
    ] {
        age(&lease, promised);
        shop.collected(collected);
        assert_eq!(shop.collect(Some(0), None).trees, goes, "{promised:?}, {collected:?}");
    }
}

#[test]
fn what_nobody_asks_for_is_swept_out_and_what_is_on_its_way_stays() {
    let shop = Shop::new();
    // A tree between its store and its record.
    let fresh = shop.store("fresh").tree;
    let old = shop.store("old").tree;
    age(&shop.node.place(old), HOUR);
    let tmp = shop.node.root.join(TMP);
    for name in ["dead", "alive", "young"] {
        share::create_dir(&tmp.join(name)).expect("made");
        share::create_file(&tmp.join(name).join(LEASE), b"").expect("made");
        fs::write(&tmp.join(name).join("files/x/y"), b"z").expect("written");
    }
    fs::write(&tmp.join("record"), b"{").expect("written");
    for name in ["dead", "alive", "record"] {
        age(&tmp.join(name), HOUR);
    }
    let making = share::lock(&tmp.join("alive").join(LEASE), Kind::Shared).expect("taken");
    for room in [LOCKS, TOOLS] {
        for (name, days) in [("old", 31), ("held", 31), ("young", 29)] {
            let file = shop.node.root.join(room).join(name);
            share::create_file(&file, b"").expect("made");
            age(&file, days * DAY);
        }
    }
    let held = share::lock(&shop.node.root.join(LOCKS).join("held"), Kind::Exclusive).expect("taken");
    assert_eq!(shop.collect(None, None).trees, 1);
    drop((making, held));
    assert_eq!(shop.names(TREES), [fresh.hex()]);
    assert_eq!(shop.names(TMP), ["alive", "young"]);
    assert_eq!(shop.names(LOCKS), [COLLECT, "held", "young"]);
    assert_eq!(shop.names(TOOLS), ["young"]);
}

#[test]
fn a_record_of_which_nobody_can_make_anything_goes() {
    let shop = Shop::new();
    let tree = shop.add(1, 10, HOUR);
    shop.name(2, &[tree, key(9)], HOUR);
    fs::write(&shop.record_file(3), b"{").expect("written");
    // A newer injector's is its own affair; its trees are in use.
    let newer = shop.add(4, 10, HOUR);
    let text = fs::read_text(&shop.record_file(4)).expect("there");
    let text = text.replace("\"schema\":1", "\"schema\":2").replace("\"inputs\"", "\"sources\"");
    fs::write(&shop.record_file(4), text.as_bytes()).expect("written");
    let collected = shop.collect(None, None);
    assert_eq!((collected.records, collected.trees), (2, 0));
    assert!(shop.node.hold(tree).expect("read").is_some());
    assert!(shop.node.hold(newer).expect("read").is_some());
}

#[test]
fn one_tidies_up_at_a_time_and_only_when_it_is_due() {
    let shop = Shop::new();
    shop.add(1, 10, HOUR);
    let due = |size| collect_if_due(&shop.node, size).expect("written").map(|collected| collected.left);
    assert_eq!(due(None), Some(10), "nobody ever did");
    assert_eq!(due(Some(10)), None);
    shop.collected(25 * HOUR);
    let turn = share::lock(&shop.node.root.join(LOCKS).join(COLLECT), Kind::Exclusive).expect("taken");
    assert_eq!(due(Some(5)), None, "somebody else does");
    drop(turn);
    assert_eq!(
        collect(&shop.node, Bounds::default(), Duration::from_mins(1)).expect("written").map(|_| ()),
        Some(())
    );
    assert_eq!(due(Some(10)), None, "it was done just now");
    assert_eq!(due(Some(5)), Some(0));
}

#[test]
fn whoever_looks_what_is_in_use_is_in_nobodys_way() {
    let shop = Shop::new();
    let tree = shop.add(1, 10, HOUR);
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| (0..300).for_each(|_| drop(Contents::of(&shop.node))));
        while !looks.is_finished() {
            assert!(shop.node.hold(tree).expect("read").is_some());
        }
    });
}
