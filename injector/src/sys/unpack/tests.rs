//! Good and hostile archives, unpacked for real.

mod archives;
mod hostile;
mod races;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use archives::{directory, entry, file, file_of_mode, link, packed, pax, tar, zip, zipped, zipped_of_mode};

/// A room, an archive, and what must not change beside them.
struct Place {
    dir: tempfile::TempDir,
}

/// Longer than any test.
const AMPLE: Duration = Duration::from_mins(15);

impl Place {
    fn new(archive: &[u8]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("archive"), archive).expect("written");
        fs::create_dir(dir.path().join("room")).expect("made");
        fs::create_dir_all(dir.path().join("outside/sub")).expect("made");
        fs::write(dir.path().join("outside/precious"), "precious").expect("written");
        symlink("precious", dir.path().join("outside/link")).expect("linked");
        Place { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn unpack(&self, limits: &Limits) -> Result<Unpacked, UnpackError> {
        unpack(&self.path("archive"), &self.path("room"), limits, AMPLE)
    }
}

/// Everything below a directory but for its room: kind and mode, size, times, and content.
fn listing(dir: &Path) -> BTreeMap<PathBuf, String> {
    let walk = walkdir::WalkDir::new(dir).into_iter();
    walk.filter_entry(|entry| entry.file_name() != "room")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let stat = entry.metadata().expect("there");
            let content = if stat.is_file() { fs::read(entry.path()).expect("read") } else { Vec::new() };
            let facts = [stat.mode().into(), stat.len(), stat.mtime().cast_unsigned(), stat.nlink()];
            // The room's removal and making of entries does not touch its parent.
            (entry.into_path(), format!("{facts:?} {} {content:?}", stat.mtime_nsec()))
        })
        .collect()
}

/// What is in a room: `path mode content`, `path/ mode`, or `path -> target`.
fn tree(room: &Path) -> Vec<String> {
    let walk = walkdir::WalkDir::new(room).min_depth(1).sort_by_file_name();
    walk.into_iter()
        .map(|entry| {
            let entry = entry.expect("an entry");
            let path = entry.path().strip_prefix(room).expect("within").display().to_string();
            let mode = entry.metadata().expect("there").mode() & 0o7777;
            if entry.file_type().is_symlink() {
                format!("{path} -> {}", fs::read_link(entry.path()).expect("a link").display())
            } else if entry.file_type().is_dir() {
                format!("{path}/ {mode:o}")
            } else {
                format!("{path} {mode:o} {}", fs::read_to_string(entry.path()).expect("text"))
            }
        })
        .collect()
}

/// Unpacks a good archive, and says what came of it.
fn unpacked(archive: &[u8]) -> (Format, Vec<String>) {
    let place = Place::new(archive);
    let before = listing(place.dir.path());
    let unpacked = place.unpack(&Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(listing(place.dir.path()), before);
    (unpacked.format, tree(&place.path("room")))
}

#[test]
fn every_compression_is_recognised_and_undone() {
    let hello = tar(&[file("hello.py", "def hello(): pass"), directory("sub/"), file("sub/x", "x")]);
    for (name, format, said) in [
        ("none", Compression::None, "a tar archive"),
        ("gzip", Compression::Gzip, "a tar archive compressed with gzip"),
        ("bzip2", Compression::Bzip2, "a tar archive compressed with bzip2"),
        ("xz", Compression::Xz, "a tar archive compressed with xz"),
        ("zstd", Compression::Zstd, "a tar archive compressed with zstd"),
    ] {
        let expected = ["hello.py 644 def hello(): pass", "sub/ 755", "sub/x 644 x"];
        let archive = packed(name, &hello);
        let (found, tree) = unpacked(&archive);
        assert_eq!((found, found.to_string().as_str()), (Format::Tar(format), said));
        assert_eq!(tree, expected, "{name}");
        // Members, streams and frames that follow one another are one.
        let (front, back) = hello.split_at(700);
        let parts = [packed(name, front), packed(name, back)].concat();
        assert_eq!(unpacked(&parts).1, expected, "{name}");
    }
    // A frame that is to be skipped, as parallel programs put first.
    let skipped = [b"\x50\x2a\x4d\x18\x04\0\0\0skip", &packed("zstd", &hello)[..]].concat();
    assert_eq!(unpacked(&skipped).0, Format::Tar(Compression::Zstd));
    for method in [0, 8, 12, 93, 95] {
        let text = "hello\n".repeat(1000);
        let archive = zip(&[zipped("hello.py", text.as_bytes()).packed(method)]);
        let (format, tree) = unpacked(&archive);
        assert_eq!((format, format.to_string().as_str()), (Format::Zip, "a zip archive"));
        assert_eq!(tree, [format!("hello.py 644 {text}")], "{method}");
    }
}

#[test]
fn of_modes_the_execute_bit_is_kept() {
    let expected = ["data 644 ", "own 755 ", "run 755 ", "sub/ 755"];
    let (_, tree) = unpacked(&self::tar(&[
        entry(b'5', b"sub", |header| header.set_mode(0o3700), b""),
        file_of_mode("data", 0o666),
        file_of_mode("own", 0o500),
        file_of_mode("run", 0o777),
    ]));
    assert_eq!(tree, expected);
    let (_, tree) = unpacked(&self::zip(&[
        zipped_of_mode("sub/", 0o043_700, ""),
        zipped_of_mode("data", 0o100_666, ""),
        zipped_of_mode("own", 0o100_500, ""),
        zipped_of_mode("run", 0o777, ""),
    ]));
    assert_eq!(tree, expected);
}

#[test]
fn links_within_are_kept() {
    let (_, tree) = unpacked(&self::tar(&[
        link(b'2', "early", "sub/deep/file"),
        directory("./"),
        directory("./sub"),
        file("./sub/deep/file", "text"),
        directory("sub/"),
        link(b'1', "./hard", "sub/./deep/file"),
        link(b'2', "sub/up", "../sub/deep"),
        link(b'2', "chain", "sub/up/file"),
    ]));
    let expected = [
        "chain -> sub/up/file",
        "early -> sub/deep/file",
        "hard 644 text",
        "sub/ 755",
        "sub/deep/ 755",
        "sub/deep/file 644 text",
        "sub/up -> ../sub/deep",
    ];
    assert_eq!(tree, expected);
    let (_, tree) = unpacked(&self::zip(&[
        zipped("sub/deep/file", b"text"),
        zipped_of_mode("sub/up", 0o120_777, "../sub/deep").packed(8),
    ]));
    assert_eq!(tree, ["sub/ 755", "sub/deep/ 755", "sub/deep/file 644 text", "sub/up -> ../sub/deep"]);
}

#[test]
fn names_may_be_long_and_in_any_script() {
    let long = ["d".repeat(200), "e".repeat(200), "ünïcödé 函数.py".to_owned()].join("/");
    let expected = format!("{long} 644 text");
    for description in [
        entry(b'L', b"././@LongLink", |_| {}, format!("{long}\0").as_bytes()),
        pax(b'x', &[("comment", "line\nbreak"), ("path", &long), ("mtime", "1.5")]),
        [pax(b'g', &[("comment", "0123abc")]), pax(b'x', &[("path", &long)])].concat(),
    ] {
        let (_, tree) = unpacked(&self::tar(&[description, file("cut", "text")]));
        assert_eq!(tree.last(), Some(&expected));
    }
    let (_, tree) = unpacked(&self::zip(&[zipped(&long, b"text")]));
    assert_eq!(tree.last(), Some(&expected));

    let target = "t".repeat(150);
    for description in [
        entry(b'K', b"././@LongLink", |_| {}, format!("{target}\0").as_bytes()),
        pax(b'x', &[("linkpath", &target)]),
    ] {
        let (_, tree) = unpacked(&self::tar(&[file("a", ""), description, link(b'2', "l", "cut"), {
            let path = pax(b'x', &[("path", &target)]);
            [path, file("cut", "text")].concat()
        }]));
        assert_eq!(tree[1], format!("l -> {target}"));
    }
}

#[test]
fn zips_may_be_streamed_or_wide_or_empty() {
    let streamed = archives::Zipped { flags: 8, ..zipped("a", b"text").packed(8) };
    let wide = archives::Zipped { wide: true, ..zipped("b", b"text").packed(8) };
    let (_, tree) = unpacked(&self::zip(&[streamed, wide]));
    assert_eq!(tree, ["a 644 text", "b 644 text"]);
    // Windows knows no modes.
    let (_, tree) = unpacked(&self::zip(&[archives::Zipped { creator: 0, ..zipped("a", b"text") }]));
    assert_eq!(tree, ["a 644 text"]);
    for empty in [zip(&[]), tar(&[]), vec![0; 10240]] {
        assert_eq!(unpacked(&empty).1, [""; 0]);
    }
}

fn skip(program: &str) {
    writeln!(io::stderr(), "SKIP {program}: not on PATH").expect("said");
}

#[test]
fn what_the_usual_programs_pack_is_unpacked() {
    let dir = tempfile::tempdir().expect("a directory");
    let from = dir.path().join("in");
    fs::create_dir_all(from.join("sub/ünï")).expect("made");
    fs::write(from.join("hello.py"), "hello").expect("written");
    fs::write(from.join("sub/ünï/").join("x".repeat(90)), "x".repeat(200_000)).expect("written");
    symlink("../hello.py", from.join("sub/link")).expect("linked");
    fs::hard_link(from.join("hello.py"), from.join("sub/hard")).expect("linked");
    fs::set_permissions(from.join("hello.py"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("set");
    let expected = tree(&from);
    for (program, args) in [
        ("tar", "--format=gnu -cf - ."),
        ("tar", "--format=posix -cf - ."),
        ("tar", "--format=ustar -cf - ."),
        ("tar", "-czf - ."),
        ("tar", "-cjf - ."),
        ("tar", "-cJf - ."),
        ("tar", "--zstd -cf - ."),
        ("zip", "-qry ../archive.zip ."),
        ("zip", "-qry -fz ../archive.zip ."),
        ("zip", "-qry -Z bzip2 ../archive.zip ."),
    ] {
        let Ok(output) = Command::new(program).args(args.split(' ')).current_dir(&from).output() else {
            skip(program);
            continue;
        };
        assert!(output.status.success(), "{program} {args}: {}", String::from_utf8_lossy(&output.stderr));
        let archive = fs::read(dir.path().join("archive.zip")).unwrap_or(output.stdout);
        let _ = fs::remove_file(dir.path().join("archive.zip"));
        let (_, tree) = unpacked(&archive);
        assert_eq!(tree, expected, "{program} {args}");
    }
}

#[test]
fn what_python_zips_is_unpacked() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("sub")).expect("made");
    fs::write(dir.path().join("sub/ü.py"), "hello").expect("written");
    let mut python = Command::new("python3");
    python.args(["-m", "zipfile", "-c", "archive.zip", "sub"]).current_dir(dir.path());
    let Ok(output) = python.output() else {
        return skip("python3");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (_, tree) = unpacked(&fs::read(dir.path().join("archive.zip")).expect("read"));
    assert_eq!(tree, ["sub/ 755", "sub/ü.py 644 hello"]);
}

#[test]
fn what_is_in_the_room_already_stays_there() {
    let place = Place::new(&tar(&[file("x", "")]));
    fs::write(place.path("room/precious"), "precious").expect("written");
    let error = place.unpack(&Limits::default()).expect_err("not empty");
    assert_eq!(error.blame(), Blame::Platform);
    assert!(error.to_string().ends_with("room is not empty"), "{error}");
    assert_eq!(tree(&place.path("room")), ["precious 644 precious"]);
}

/// Runs an ignored test of this file in a process of its own.
fn runs(test: &str) -> Command {
    let this = fs::read_link("/proc/self/exe").expect("this program");
    let mut command = Command::new(this);
    command.args(["--exact", "--ignored", "--nocapture", &format!("sys::unpack::tests::{test}")]);
    command.stdout(Stdio::piped());
    command
}

/// Where a test in a process of its own finds its archive and its room.
const PLACE: &str = "UNPACK_TEST_PLACE";

#[test]
fn memory_is_bounded_by_the_window_and_not_by_the_archive() {
    // More than the largest window, so that it does not fit where only that may.
    let content: Vec<u8> =
        (0..12_u32 << 20).map(|place| (place >> 6).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let whole = tar(&[entry(b'0', b"large", |_| {}, &content)]);
    let many: Vec<_> = (0..50_000).map(|index| format!("{}/{index}", "name".repeat(20))).collect();
    for (what, most, archive) in [
        ("plain", 1, whole.clone()),
        ("gzip", 1, packed("gzip", &whole)),
        ("bzip2", 4, packed("bzip2", &whole)),
        ("xz", 10, archives::xz(&whole, 8 << 20)),
        ("zstd", 10, archives::zstd(&whole, 23)),
        ("zip", 1, zip(&[zipped("large", &content).packed(8)])),
        ("many in a tar", 1, tar(&many.iter().map(|name| file(name, "")).collect::<Vec<_>>())),
        ("many in a zip", 2, zip(&many.iter().map(|name| zipped(name, b"")).collect::<Vec<_>>())),
    ] {
        let place = Place::new(&archive);
        let output = runs("what_it_takes").env(PLACE, place.dir.path()).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let taken = said.lines().find_map(|line| line.strip_prefix("taken: ")?.parse::<u64>().ok());
        let taken = taken.unwrap_or_else(|| panic!("{what}: {said}"));
        assert!(taken <= most << 10, "{what}: {taken} KiB, and {most} MiB were expected");
    }
}

#[test]
#[ignore = "run in a process of its own, whose memory is measured"]
fn what_it_takes() {
    let status = |field: &str| {
        let status = fs::read_to_string("/proc/self/status").expect("read");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let place = PathBuf::from(std::env::var_os(PLACE).expect("a place"));
    let before = status("RssAnon:");
    unpack(&place.join("archive"), &place.join("room"), &Limits::default(), AMPLE).expect("unpacked");
    // What was read in of this program itself does not count, and never becomes less.
    let peak = status("VmHWM:") - status("RssFile:");
    writeln!(io::stdout(), "taken: {}", peak.saturating_sub(before)).expect("said");
}

#[test]
fn unpacking_ends_when_it_is_told_to() {
    let entries: Vec<_> = (0..5000).map(|index| file(&format!("d/{index}"), "")).collect();
    // The second one decompresses to nothing, for a long time.
    for archive in [tar(&entries), packed("bzip2", b"").repeat(4_000_000)] {
        let place = Place::new(&archive);
        let mut child =
            runs("unpacks_until_it_is_told").env(PLACE, place.dir.path()).spawn().expect("starts");
        let mut said = io::BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut until = |word: &str| said.find(|line| line.as_ref().expect("text").contains(word)).is_some();
        assert!(until("ready"));
        let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status();
        assert!(kill.expect("runs").success());
        assert!(until("stopped: Platform: unpacking was stopped by a signal"));
        assert!(child.wait().expect("ends").success());
        assert_eq!(tree(&place.path("room")), [""; 0]);
    }
}

#[test]
#[ignore = "run in a process of its own, to which a signal is sent"]
fn unpacks_until_it_is_told() {
    let place = PathBuf::from(std::env::var_os(PLACE).expect("a place"));
    super::super::signal::watch(|_| ()).expect("watched");
    writeln!(io::stdout(), "ready").expect("said");
    let error = loop {
        match unpack(&place.join("archive"), &place.join("room"), &Limits::default(), AMPLE) {
            Ok(_) => fs::remove_dir_all(place.join("room/d")).expect("removed"),
            Err(error) => break error,
        }
    };
    writeln!(io::stdout(), "stopped: {:?}: {error}", error.blame()).expect("said");
}

#[test]
fn an_archive_takes_no_longer_than_a_stage_may() {
    for archive in
        [tar(&[file("x", "text")]), packed("bzip2", &tar(&[file("x", "text")])), zip(&[zipped("x", b"text")])]
    {
        let place = Place::new(&archive);
        let unpacked =
            unpack(&place.path("archive"), &place.path("room"), &Limits::default(), Duration::ZERO);
        let error = unpacked.expect_err("no time");
        assert_eq!(
            (error.blame(), error.to_string().as_str()),
            (Blame::Platform, "it was not unpacked within 0 s")
        );
        assert_eq!(tree(&place.path("room")), [""; 0]);
    }
}

/// Fills a room and leaves it as it is at the first failure: the failure, and how many bytes were written.
fn filled(archive: &[u8], limits: &Limits) -> (String, u64) {
    let place = Place::new(archive);
    let file = File::open(place.path("archive")).expect("opened");
    let mut room =
        Room::open(&place.path("room"), limits, archive.len() as u64, Patience::of(AMPLE)).expect("opened");
    let result = fill(recognise(archive).expect("an archive"), file, archive.len() as u64, &mut room);
    let written = walkdir::WalkDir::new(place.path("room")).into_iter();
    let written = written.map(|entry| entry.expect("an entry").metadata().expect("there"));
    let bytes = written.filter(fs::Metadata::is_file).map(|file| file.len()).sum();
    (result.expect_err("a bomb").to_string(), bytes)
}

#[test]
fn a_bomb_writes_no_more_than_is_allowed() {
    let limits = Limits { unpacked: 10 << 20, ..Limits::default() };
    let zeros = vec![0; 1 << 20];
    let names: Vec<String> = (0..70).map(|index| index.to_string()).collect();
    let tarred =
        tar(&names.iter().map(|name| entry(b'0', name.as_bytes(), |_| {}, &zeros)).collect::<Vec<_>>());
    let zipped_zeros = zipped("x", &zeros).packed(8);
    let zipped: Vec<_> = names
        .iter()
        .map(|name| archives::Zipped { name: name.as_bytes().to_vec(), ..zipped_zeros.clone() })
        .collect();
    let large = "10 makes the archive unpack to more than 10 MiB (INJECTOR_MAX_UNPACKED)".to_owned();
    let ratio = "64 makes the archive unpack to more than 10 times its size (INJECTOR_MAX_RATIO)".to_owned();
    for archive in [packed("zstd", &tarred), zip(&zipped)] {
        assert_eq!(filled(&archive, &limits), (large.clone(), 10 << 20));
        let dense = Limits { ratio: 10, ..Limits::default() };
        assert_eq!(filled(&archive, &dense), (ratio.clone(), 64 << 20));
    }
    // What it says of itself counts before a byte is written, and what it does not say is not written.
    let one = entry(b'0', b"x", |header| header.set_size(10 << 30), b"");
    let said = "x makes the archive unpack to more than 10 MiB (INJECTOR_MAX_UNPACKED)".to_owned();
    assert_eq!(filled(&tar(&[one]), &limits), (said, 0));
    let lie = archives::Zipped { size: 1000, ..zipped_zeros };
    let (said, bytes) = filled(&zip(&[lie]), &limits);
    assert!(said.starts_with("x is broken: ") && bytes <= 1000, "{said} {bytes}");
}
