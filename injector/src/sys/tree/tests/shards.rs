//! Trees in pieces: packed, unpacked into several places, and pieces that are not what they should be.

use super::super::shards::{Shard, WINDOW, pack};
use super::*;

/// A tree of so many files, of sizes and contents that differ.
fn many(room: &Room, name: &str, count: u32) -> Manifest {
    let top = room.path(name);
    for index in 0..count {
        let dir = top.join(format!("{}/{}", index % 5, index % 11));
        fs::create_dir_all(&dir).expect("made");
        let size = if index % 17 == 0 { 300_001 } else { (index * 7919) % 20_000 };
        let bytes: Vec<u8> = (0..size).map(|place| ((place / 3) ^ index).to_le_bytes()[0]).collect();
        fs::write(dir.join(index.to_string()), bytes).expect("written");
    }
    symlink("0", top.join("link")).expect("linked");
    taken(&top, None)
}

fn packed(shard: &Shard<'_>, dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(shard, dir, &mut bytes).expect("packed");
    bytes
}

/// Unpacks some bytes, given in pieces of this size, into directories.
fn unpacked(shard: &Shard<'_>, bytes: &[u8], step: usize, roots: &[&Path]) -> Result<(), TreeError> {
    let mut unpack = Unpack::new(shard, roots, Times::Kept).expect("open");
    for piece in bytes.chunks(step) {
        unpack.write_all(piece).map_err(|error| error.downcast::<TreeError>().expect("ours"))?;
    }
    unpack.finish()
}

#[test]
fn pieces_make_the_tree_again_in_each_place() {
    let room = Room::new();
    let from = room.path("from");
    many(&room, "from", 500);
    let manifest = take(&from, None, &nothing, Times::Kept).expect("taken");
    let shards = cut(&manifest, COUNT);
    assert_eq!(shards.len(), COUNT);
    let [one, other] = ["one", "other"].map(|name| room.path(name));
    for place in [&one, &other] {
        lay(&manifest, place).expect("laid");
    }
    for (shard, step) in shards.iter().zip([1 << 20, 1, 7, 4096, 1 << 17, 100, 1000, 10_000]) {
        let bytes = packed(shard, &from);
        assert_eq!(bytes, packed(shard, &from), "it is packed the same each time");
        assert!((bytes.len() as u64) < shard.bytes / 2, "it is compressed");
        unpacked(shard, &bytes, step, &[&one, &other]).expect("unpacked");
    }
    for place in [one, other] {
        assert_eq!(take(&place, None, &nothing, Times::Kept).expect("taken"), manifest);
    }
}

#[test]
fn a_tree_is_cut_by_size_between_files_and_always_alike() {
    let room = Room::new();
    let manifest = many(&room, "from", 400);
    for count in [0, 1, 3, 8, 100] {
        let shards = cut(&manifest, count);
        let all = manifest.usage().bytes;
        let wanted = (all >> 20).clamp(1, count.max(1) as u64);
        assert_eq!(shards.len() as u64, wanted);
        let files: Vec<File<'_>> = shards.iter().flat_map(|shard| shard.files.clone()).collect();
        assert_eq!(files, manifest.files().collect::<Vec<_>>(), "each file is in one of them, in order");
        for shard in &shards {
            assert_eq!(shard.bytes, shard.files.iter().map(|file| file.size).sum::<u64>());
            assert!(shard.bytes.abs_diff(all / wanted) <= 300_001, "{} of {all}", shard.bytes);
        }
        assert_eq!(cut(&manifest, count), shards);
    }
    assert!(cut(&Manifest::default(), 8).is_empty());
}

#[test]
fn files_without_bytes_are_there_in_the_end() {
    let room = Room::new();
    let from = room.path("from");
    fs::create_dir_all(&from).expect("made");
    for name in ["a", "b", "z"] {
        fs::write(from.join(name), "").expect("written");
    }
    for (name, content) in [("one", ""), ("other", "text")] {
        fs::write(from.join("c"), content).expect("written");
        let manifest = taken(&from, None);
        let [shard] = &cut(&manifest, 8)[..] else { panic!("one shard") };
        let to = room.path(name);
        lay(&manifest, &to).expect("laid");
        unpacked(shard, &packed(shard, &from), 1, &[&to]).expect("unpacked");
        verify(&manifest, &to).expect("whole");
    }
}

#[test]
fn a_file_that_changed_is_not_packed() {
    let room = Room::new();
    let manifest = many(&room, "from", 20);
    let shard = &cut(&manifest, 1)[0];
    let path = shard.files[7].path;
    let before = fs::read(room.path("from").join(path)).expect("read");
    for (content, wrong) in [
        ([&before[1..], b"?"].concat(), Wrong::Content),
        (before[1..].to_vec(), Wrong::Shorter),
        ([&before[..], b"?"].concat(), Wrong::Longer),
    ] {
        fs::write(room.path("from").join(path), content).expect("written");
        let error = pack(shard, &room.path("from"), &mut Vec::new()).expect_err("changed");
        assert!(
            matches!(&error, TreeError::Wrong { path: named, what } if named == path && *what == wrong),
            "{error}"
        );
    }
    let full: &mut [u8] = &mut [0; 100];
    fs::write(room.path("from").join(path), before).expect("written");
    let error = pack(shard, &room.path("from"), &mut &mut *full).expect_err("full");
    assert!(matches!(error, TreeError::Stream(_)), "{error}");
}

/// Whether an error is the one that is due.
type Is = fn(&TreeError) -> bool;

#[test]
fn a_piece_that_is_not_what_it_should_be_is_refused() {
    let room = Room::new();
    let manifest = many(&room, "from", 60);
    let shard = &cut(&manifest, 1)[0];
    let good = packed(shard, &room.path("from"));
    let raw: Vec<u8> = shard
        .files
        .iter()
        .flat_map(|file| fs::read(room.path("from").join(file.path)).expect("read"))
        .collect();
    let squeezed = |bytes: &[u8], window| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("made");
        encoder.set_parameter(zstd::stream::raw::CParameter::WindowLog(window)).expect("set");
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("written")
    };
    let mut flipped = raw.clone();
    flipped[raw.len() / 2] ^= 1;
    let bad: [(&str, Vec<u8>, Is); 11] = [
        ("another content", squeezed(&flipped, WINDOW), |error| {
            matches!(error, TreeError::Wrong { what: Wrong::Content, .. })
        }),
        ("more content", squeezed(&[&raw[..], b"x"].concat(), WINDOW), |error| {
            matches!(error, TreeError::Long)
        }),
        ("much more content", squeezed(&[&raw[..], &vec![0; 1 << 22]].concat(), WINDOW), |error| {
            matches!(error, TreeError::Long)
        }),
        ("less content", squeezed(&raw[..raw.len() - 1], WINDOW), |error| matches!(error, TreeError::Short)),
        ("no content", squeezed(b"", WINDOW), |error| matches!(error, TreeError::Short)),
        ("nothing", Vec::new(), |error| matches!(error, TreeError::Short)),
        ("cut off", good[..good.len() - 1].to_vec(), |error| matches!(error, TreeError::Short)),
        ("a byte after it", [&good[..], b"x"].concat(), |error| matches!(error, TreeError::Long)),
        ("another frame after it", [&good[..], &good[..]].concat(), |error| matches!(error, TreeError::Long)),
        ("no zstd", raw.clone(), |error| matches!(error, TreeError::Garbled(_))),
        ("too wide a window", squeezed(&raw, WINDOW + 1), |error| matches!(error, TreeError::Garbled(_))),
    ];
    for (index, (what, bytes, is)) in bad.into_iter().enumerate() {
        for step in [1000, usize::MAX] {
            let to = room.path(&format!("to-{index}-{step}"));
            lay(&manifest, &to).expect("laid");
            let error = unpacked(shard, &bytes, step, &[&to]).expect_err(what);
            assert!(is(&error), "{what}: {error}");
        }
    }
    lay(&manifest, &room.path("to")).expect("laid");
    unpacked(shard, &good, 1000, &[&room.path("to")]).expect("the good one");
}

#[test]
fn the_place_that_takes_no_more_is_named() {
    let room = Room::new();
    let manifest = many(&room, "from", 20);
    let shard = &cut(&manifest, 1)[0];
    let good = packed(shard, &room.path("from"));
    let [one, other] = ["one", "other"].map(|name| room.path(name));
    let taken = other.join(shard.files[3].path);
    for place in [&one, &other] {
        lay(&manifest, place).expect("laid");
    }
    symlink(room.path("outside"), &taken).expect("linked");
    let error = unpacked(shard, &good, 1000, &[&one, &other]).expect_err("taken");
    assert!(matches!(&error, TreeError::Target { path, .. } if *path == taken), "{error}");
    assert!(!fs::exists(room.path("outside")).expect("known"));
}
