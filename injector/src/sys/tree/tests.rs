//! Trees that are taken, put back, broken, and what hostile manifests come to.

mod shards;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

/// A directory with room for trees.
struct Room(tempfile::TempDir);

impl Room {
    fn new() -> Self {
        Room(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A tree with something of everything.
    fn tree(&self, name: &str) -> PathBuf {
        let root = self.path(name);
        fs::create_dir_all(root.join("a/deep/er")).expect("made");
        fs::create_dir_all(root.join("empty")).expect("made");
        fs::write(root.join("a/none"), "").expect("written");
        fs::write(root.join("a-b"), "between a and what is in it").expect("written");
        fs::write(root.join("a/deep/er/large"), large()).expect("written");
        fs::write(root.join("a/deep/tool"), "#!").expect("written");
        fs::set_permissions(root.join("a/deep/tool"), fs::Permissions::from_mode(0o4511)).expect("a mode");
        fs::write(root.join("ünï code\n"), "text").expect("written");
        fs::set_permissions(root.join("ünï code\n"), fs::Permissions::from_mode(0o400)).expect("a mode");
        for (target, link) in
            [("../a-b", "a/up"), ("/etc/passwd", "absolute"), ("deep", "a/dir"), ("no", "broken")]
        {
            symlink(target, root.join(link)).expect("linked");
        }
        root
    }
}

/// More than a buffer, and no multiple of it.
fn large() -> Vec<u8> {
    (0..3_000_001_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// What is mounted as long as the value lives.
struct Mounted(PathBuf);

impl Mounted {
    /// Mounts with these arguments; `None` where that cannot be done.
    fn new(args: &[&str], what: &Path, at: &Path) -> Option<Self> {
        fs::create_dir(at).expect("made");
        let output = Command::new("mount").args(args).args([what, at]).output();
        if output.is_ok_and(|output| output.status.success()) {
            return Some(Mounted(at.to_owned()));
        }
        writeln!(io::stderr(), "SKIP mount: {args:?} cannot be mounted").expect("a message");
        None
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn taken(from: &Path, to: Option<&Path>) -> Manifest {
    take(from, to, &nothing, Times::Dropped).expect("taken")
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("there").permissions().mode() & 0o7777
}

fn digest(manifest: &Manifest) -> String {
    manifest.digest().expect("written").to_string()
}

#[test]
fn what_is_put_back_is_what_was_taken() {
    let room = Room::new();
    let (from, kept, to) = (room.tree("from"), room.path("kept"), room.path("to"));
    let manifest = taken(&from, Some(&kept));
    put(&manifest, &kept, &to, &nothing, Times::Dropped).expect("put");
    for tree in [&from, &kept, &to] {
        assert_eq!(taken(tree, None), manifest, "{}", tree.display());
        verify(&manifest, tree).expect("whole");
    }
    assert_eq!(manifest.usage(), super::fs::Usage { files: 5, bytes: 3_000_001 + 27 + 2 + 4 });
    assert_eq!(fs::read(to.join("a/deep/er/large")).expect("there"), large());
    assert_eq!(fs::read_link(to.join("absolute")).expect("a link"), Path::new("/etc/passwd"));
    let modes = ["a", "empty", "a/deep/tool", "ünï code\n"].map(|path| mode(&to.join(path)));
    assert_eq!(modes, [0o755, 0o755, 0o755, 0o644]);
    let read = Manifest::from_bytes(&manifest.to_bytes().expect("written")).expect("read");
    assert_eq!(read, manifest);
}

#[test]
fn equal_trees_have_equal_digests_in_whatever_order_they_were_made() {
    let room = Room::new();
    let names: Vec<String> = (0..100).map(|index| format!("{}/{index}", index % 7)).collect();
    let make = |name: &str, names: &mut dyn Iterator<Item = &String>| {
        for file in names {
            let path = room.path(name).join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(&path, file).expect("written");
        }
        digest(&taken(&room.path(name), None))
    };
    let one = make("one", &mut names.iter());
    assert_eq!(one, make("other", &mut names.iter().rev()));
    fs::write(room.path("other/3/3"), "4/3").expect("written");
    assert_ne!(one, digest(&taken(&room.path("other"), None)));
}

#[test]
fn times_are_kept_to_the_nanosecond_where_somebody_goes_by_them() {
    let room = Room::new();
    let (from, to) = (room.tree("from"), room.path("to"));
    let old = UNIX_EPOCH - Duration::new(5, 7);
    fs::File::open(from.join("a/none")).expect("open").set_modified(old).expect("set");
    let kept = take(&from, Some(&room.path("kept")), &nothing, Times::Kept).expect("taken");
    let Some(Entry::File { changed, .. }) = kept.0.get("a/none") else { panic!("{kept:?}") };
    assert_eq!(*changed, Some(-5_000_000_007));
    put(&kept, &room.path("kept"), &to, &nothing, Times::Kept).expect("put");
    assert_eq!(take(&to, None, &nothing, Times::Kept).expect("taken"), kept);
    put(&kept, &room.path("kept"), &room.path("new"), &nothing, Times::Dropped).expect("put");
    assert!(fs::metadata(room.path("new/a/none")).expect("there").modified().expect("a time") > UNIX_EPOCH);
    assert_ne!(digest(&kept), digest(&taken(&from, None)));
}

#[test]
fn a_file_that_is_not_what_it_was_is_named() {
    type Break = fn(&Path) -> io::Result<()>;
    let breaks: [(&str, Wrong, Break); 8] = [
        ("a/deep/er/large", Wrong::Content, |path| {
            let mut bytes = fs::read(path)?;
            bytes[2_900_000] ^= 1;
            fs::write(path, bytes)
        }),
        ("a/deep/er/large", Wrong::Shorter, |path| fs::write(path, &large()[1..])),
        ("a/deep/er/large", Wrong::Longer, |path| fs::write(path, [large(), vec![0]].concat())),
        ("a-b", Wrong::Missing, |path| fs::remove_file(path)),
        ("a/none", Wrong::Longer, |path| fs::write(path, "x")),
        ("a/none", Wrong::Kind, |path| fs::remove_file(path).and_then(|()| fs::create_dir(path))),
        ("a-b", Wrong::Kind, |path| {
            fs::rename(path, path.with_extension("x")).and_then(|()| symlink("a-b.x", path))
        }),
        ("a-b", Wrong::Shorter, |path| {
            fs::remove_file(path)?;
            assert!(Command::new("mkfifo").arg(path).status()?.success());
            Ok(())
        }),
    ];
    for (index, (broken, wrong, how)) in breaks.into_iter().enumerate() {
        let room = Room::new();
        let kept = room.path("kept");
        let manifest = taken(&room.tree("from"), Some(&kept));
        how(&kept.join(broken)).expect("broken");
        let error = put(&manifest, &kept, &room.path("to"), &nothing, Times::Dropped).expect_err("broken");
        assert!(
            matches!(&error, TreeError::Wrong { path, what } if path == broken && *what == wrong),
            "{index}: {error}"
        );
        let error = verify(&manifest, &kept).expect_err("broken");
        assert!(error.to_string().contains(broken), "{index}: {error}");
    }
}

#[test]
fn a_check_sees_what_a_copy_does_not_look_at() {
    type Break = fn(&Path) -> io::Result<()>;
    let breaks: [(&str, Wrong, Break); 5] = [
        ("a/new", Wrong::Strange, |path| fs::write(path, "")),
        ("empty", Wrong::Missing, |path| fs::remove_dir(path)),
        ("a-b", Wrong::Mode, |path| fs::set_permissions(path, fs::Permissions::from_mode(0o755))),
        ("broken", Wrong::Kind, |path| fs::remove_file(path).and_then(|()| symlink("yes", path))),
        ("empty", Wrong::Kind, |path| fs::remove_dir(path).and_then(|()| fs::write(path, ""))),
    ];
    for (broken, wrong, how) in breaks {
        let room = Room::new();
        let tree = room.tree("tree");
        let manifest = taken(&tree, None);
        how(&tree.join(broken)).expect("broken");
        let error = verify(&manifest, &tree).expect_err("broken");
        assert!(
            matches!(&error, TreeError::Wrong { path, what } if path == broken && *what == wrong),
            "{error}"
        );
    }
}

#[test]
fn no_link_in_the_way_is_followed() {
    let room = Room::new();
    let kept = room.path("kept");
    let manifest = taken(&room.tree("from"), Some(&kept));
    for planted in ["a", "a/deep", "a-b", "a/none"] {
        let (to, outside) = (room.path("to"), room.path("outside"));
        fs::create_dir_all(&outside).expect("made");
        fs::create_dir_all(to.join(planted).parent().expect("a parent")).expect("made");
        symlink(&outside, to.join(planted)).expect("linked");
        let put = put(&manifest, &kept, &to, &nothing, Times::Dropped);
        assert!(matches!(&put, Err(TreeError::Target { path, .. }) if *path == to.join(planted)), "{put:?}");
        assert_eq!(fs::read_dir(&outside).expect("there").count(), 0, "{planted}");
        fs::remove_dir_all(&to).expect("removed");
    }
}

#[test]
fn what_is_skipped_is_skipped_with_all_that_is_in_it() {
    let room = Room::new();
    let skip = |path: &str| if matches!(path, "a" | "absolute") { Skip::Yes } else { Skip::No };
    let from = room.tree("from");
    let manifest = take(&from, Some(&room.path("kept")), &skip, Times::Dropped).expect("taken");
    assert_eq!(manifest.0.keys().collect::<Vec<_>>(), ["a-b", "broken", "empty", "ünï code\n"]);
    verify(&manifest, &room.path("kept")).expect("whole");
    put(&taken(&from, None), &from, &room.path("to"), &skip, Times::Dropped).expect("put");
    verify(&manifest, &room.path("to")).expect("whole");
}

#[test]
fn what_is_no_tree_is_not_taken() {
    let room = Room::new();
    let make = |name: &[u8], how: &dyn Fn(&Path)| {
        let tree = room.path("tree");
        fs::create_dir_all(tree.join("sub")).expect("made");
        how(&tree.join("sub").join(std::ffi::OsStr::from_bytes(name)));
        let taken = take(&tree, Some(&room.path("kept")), &nothing, Times::Dropped).expect_err("refused");
        for dir in [tree, room.path("kept")] {
            fs::remove_dir_all(dir).expect("removed");
        }
        taken
    };
    let fifo =
        make(b"fifo", &|path| assert!(Command::new("mkfifo").arg(path).status().expect("run").success()));
    assert!(matches!(&fifo, TreeError::Special(path) if path == "sub/fifo"), "{fifo}");
    let socket = make(b"socket", &|path| drop(std::os::unix::net::UnixListener::bind(path).expect("bound")));
    assert!(matches!(&socket, TreeError::Special(path) if path == "sub/socket"), "{socket}");
    let name = make(b"\xff", &|path| fs::write(path, "").expect("written"));
    assert!(matches!(&name, TreeError::Name(path) if path.as_os_str().as_bytes() == b"sub/\xff"), "{name}");
    let link = make(b"link", &|path| symlink(std::ffi::OsStr::from_bytes(b"\xff"), path).expect("linked"));
    assert!(matches!(&link, TreeError::Name(path) if path.ends_with("link")), "{link}");
    let absent = take(&room.path("absent"), None, &nothing, Times::Dropped).expect_err("absent");
    assert!(
        matches!(&absent, TreeError::Source { source, .. } if source.kind() == io::ErrorKind::NotFound),
        "{absent}"
    );
}

#[test]
fn a_full_volume_is_not_a_broken_cache() {
    let room = Room::new();
    let (kept, small) = (room.path("kept"), room.path("small"));
    let manifest = taken(&room.tree("from"), Some(&kept));
    let Some(_mounted) = Mounted::new(&["-t", "tmpfs", "-o", "size=1m"], Path::new("tmpfs"), &small) else {
        return;
    };
    let put = put(&manifest, &kept, &small.join("to"), &nothing, Times::Dropped);
    let again = take(&kept, Some(&small.join("again")), &nothing, Times::Dropped);
    for error in [put.expect_err("full"), again.expect_err("full")] {
        assert!(
            matches!(&error, TreeError::Target { path, source }
                if path.starts_with(&small) && source.kind() == io::ErrorKind::StorageFull),
            "{error}"
        );
    }
}

fn refused(text: &str) -> String {
    Manifest::from_bytes(text.as_bytes()).expect_err(text).to_string()
}

#[test]
fn no_manifest_leads_out_of_its_directory() {
    let long = "x".repeat(256);
    for path in ["", "/", "/etc", "..", ".", "a/..", "a/../b", "a//b", "a/", "a\\u0000", "./a", &long] {
        let text = format!(r#"{{"a":{{"dir":{{}}}},"{path}":{{"dir":{{}}}}}}"#);
        assert!(refused(&text).contains("is no path below"), "{}", refused(&text));
    }
    let digest = "0".repeat(64);
    let file =
        format!(r#"{{"file":{{"size":18446744073709551615,"digest":"{digest}","executable":false}}}}"#);
    for above in [&file, r#"{"link":"/etc"}"#] {
        let text = refused(&format!(r#"{{"a":{above},"a/b":{{"dir":{{}}}}}}"#));
        assert!(text.contains("is in no directory"), "{text}");
    }
    for (text, why) in [
        (r#"{"a/b":{"dir":{}}}"#, "is in no directory"),
        (r#"{"a":{"dir":{}},"a":{"dir":{}}}"#, "is out of order"),
        (r#"{"b":{"dir":{}},"a":{"dir":{}}}"#, "is out of order"),
        (r#"{"a":{"link":""}}"#, "leads nowhere"),
        (r#"{"a":{"link":"b\u0000"}}"#, "leads nowhere"),
        (r#"{"a":{"dir":{"mode":7}}}"#, "unknown field"),
        (r#"{"a":{"pipe":{}}}"#, "unknown variant"),
        (r#"{"a":{"dir":{}}} {}"#, "trailing"),
        ("[]", "expected the entries of a tree"),
        ("", "EOF"),
        (&format!(r#"{{"a":{file},"b":{file}}}"#), "too many bytes"),
    ] {
        assert!(refused(text).contains(why), "{text}: {}", refused(text));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_is_read_as_a_manifest_can_be_laid_out(
        paths in proptest::collection::vec("[a-c./]{0,6}", 0..6),
        kinds in proptest::collection::vec(0..3_usize, 6),
    ) {
        let kinds: Vec<&str> = kinds.iter().map(|kind| [r#"{"dir":{}}"#, r#"{"link":"/"}"#, r#"{"link":".."}"#][*kind]).collect();
        let entries: Vec<String> = paths.iter().zip(&kinds).map(|(path, kind)| format!("{path:?}:{kind}")).collect();
        if let Ok(manifest) = Manifest::from_bytes(format!("{{{}}}", entries.join(",")).as_bytes()) {
            let room = Room::new();
            fs::create_dir_all(room.path("within/root")).expect("made");
            lay(&manifest, &room.path("within/root")).expect("laid");
            prop_assert_eq!(&taken(&room.path("within/root"), None), &manifest);
            prop_assert_eq!(fs::read_dir(room.path("within")).expect("there").count(), 1);
        }
    }

    #[test]
    fn no_bytes_make_a_manifest_panic(bytes: Vec<u8>) {
        let _ = Manifest::from_bytes(&bytes);
    }
}

#[test]
fn a_large_file_shares_its_blocks_where_the_file_system_can_do_that() {
    let room = Room::new();
    let (image, disk) = (room.path("image"), room.path("disk"));
    fs::File::create(&image).and_then(|file| file.set_len(400 << 20)).expect("made");
    let made = Command::new("mkfs.xfs").args(["-q", "-m", "reflink=1"]).arg(&image).output();
    if !made.is_ok_and(|output| output.status.success()) {
        writeln!(io::stderr(), "SKIP mkfs.xfs: it is not here").expect("a message");
        return;
    }
    let Some(_mounted) = Mounted::new(&["-o", "loop"], &image, &disk) else { return };
    let kept = disk.join("kept");
    let manifest = taken(&room.tree("from"), Some(&kept));
    let blocks = |file: &str| {
        let output =
            Command::new("xfs_io").args(["-c", "fiemap -v"]).arg(disk.join(file)).output().expect("run");
        // Number, offsets, blocks.
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines()
            .skip(2)
            .map(|line| line.split_whitespace().nth(2).expect("blocks").to_owned())
            .collect::<Vec<_>>()
    };
    let put_to = |to: &str| put(&manifest, &kept, &disk.join(to), &nothing, Times::Dropped);
    put_to("to").expect("put");
    verify(&manifest, &disk.join("to")).expect("whole");
    let shared = (blocks("kept/a/deep/er/large"), blocks("to/a/deep/er/large"));
    let mut bytes = large();
    bytes[2_900_000] ^= 1;
    fs::write(kept.join("a/deep/er/large"), &bytes).expect("written");
    let broken = put_to("broken").map_err(|error| error.to_string());
    let whole = verify(&manifest, &disk.join("to")).map_err(|error| error.to_string());
    assert!(!shared.0.is_empty() && shared.0 == shared.1, "{shared:?}");
    assert_eq!(broken, Err("a/deep/er/large has other content than it had".to_owned()));
    assert_eq!(whole, Ok(()), "what was put has nothing to do with what became of the cache");
}

#[test]
fn what_was_taken_is_what_was_copied_whoever_writes_meanwhile() {
    let room = Room::new();
    let from = room.tree("from");
    let large = from.join("a/deep/er/large");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0_u64.. {
                if is_over.load(Relaxed) {
                    break;
                }
                let file = fs::OpenOptions::new().write(true).open(&large).expect("open");
                file.write_all_at(&turn.to_ne_bytes(), turn % 3_000_000).expect("written");
                file.set_len(3_000_001 + turn % 2).expect("set");
            }
        });
        for turn in 0..20 {
            let to = room.path(&turn.to_string());
            match take(&from, Some(&to), &nothing, Times::Dropped) {
                Ok(manifest) => verify(&manifest, &to).expect("what was copied"),
                Err(error) => assert!(matches!(error, TreeError::Changed(_)), "{error}"),
            }
        }
        is_over.store(true, Relaxed);
    });
}
