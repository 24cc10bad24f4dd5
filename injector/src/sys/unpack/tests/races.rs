//! Another process that exchanges directories of the room for links while an archive is unpacked.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::archives::{directory, file, link, tar, zip, zipped};
use super::*;

/// As many attacks must have been noticed before the test believes that there were any.
const HITS: usize = 20;
/// More than it ever takes.
const ATTEMPTS: usize = 5_000;

/// Unpacks again and again, while what has one name in the room and what has it beside the room change places.
fn assert_confined(archive: &[u8], target: &str) {
    let (mut hits, mut attempts) = (0, 0);
    while hits < HITS {
        attempts += 1;
        assert!(attempts < ATTEMPTS, "only {hits} attacks were noticed");
        let place = Place::new(archive);
        symlink(place.path("outside").join(target), place.path("trap")).expect("linked");
        let before = listing(&place.path("outside"));
        let done = AtomicBool::new(false);
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (within, trap) = (place.path("room/d"), place.path("trap"));
                while !done.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, &within, CWD, &trap, RenameFlags::EXCHANGE);
                }
            });
            let result = place.unpack(&Limits::default());
            done.store(true, Ordering::Relaxed);
            result
        });
        assert_eq!(listing(&place.path("outside")), before, "{result:?}");
        hits += usize::from(result.is_err());
    }
}

#[test]
fn a_link_that_takes_the_place_of_a_directory_leads_nowhere() {
    let names: Vec<String> = (0..50).map(|index| format!("d/sub/{index}")).collect();
    let tarred: Vec<_> = names
        .iter()
        .flat_map(|name| {
            [
                file(name, "escaped"),
                link(b'1', &format!("{name}.hard"), name),
                link(b'2', &format!("{name}.link"), "0"),
                directory(&format!("{name}.d")),
            ]
        })
        .collect();
    assert_confined(&tar(&tarred), "");
    assert_confined(&tar(&tarred), "sub");
    let zipped: Vec<_> = names.iter().map(|name| zipped(name, b"escaped")).collect();
    assert_confined(&zip(&zipped), "");
}
