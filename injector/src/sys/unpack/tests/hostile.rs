//! Archives that are refused, each for its own reason, and leave nothing behind.

use builders::diagnostic::Blame;

use super::archives::*;
use super::*;

/// Unpacks an archive that must be refused, and says why it was.
fn refused(archive: &[u8], limits: &Limits) -> String {
    let place = Place::new(archive);
    let before = listing(place.dir.path());
    let Err(error) = place.unpack(limits) else { panic!("it was unpacked: {:?}", tree(&place.path("room"))) };
    assert_eq!(error.blame(), Blame::Author, "{error}");
    assert_eq!(tree(&place.path("room")), [""; 0], "{error}");
    assert_eq!(listing(place.dir.path()), before, "{error}");
    error.to_string()
}

fn assert_refused(cases: Vec<(&str, Vec<u8>)>) {
    let said: Vec<_> = cases.iter().map(|(_, archive)| refused(archive, &Limits::default())).collect();
    let expected: Vec<_> = cases.into_iter().map(|(expected, _)| expected).collect();
    assert_eq!(said, expected);
}

#[test]
fn names_that_lead_elsewhere_or_nowhere() {
    let long = "d/".repeat(1600) + "x";
    let wide = "n".repeat(256);
    let cases = [
        ("/etc/passwd", "/etc/passwd has an absolute path"),
        ("//x", "//x has an absolute path"),
        ("../x", "../x has `..` in its path"),
        ("a/../../x", "a/../../x has `..` in its path"),
        ("a/..", "a/.. has `..` in its path"),
        ("a\nb", "a\\nb has a control character in its name"),
        ("a\u{1b}[31mb", "a\\u{1b}[31mb has a control character in its name"),
        ("a\0b", "a\\0b has a control character in its name"),
        (".", ". has no name"),
        (&wide, "… has a name of 256 bytes in its path, and 255 are allowed"),
        (&long, "… has a path of 3201 bytes, and 3072 are allowed"),
    ];
    for (name, expected) in cases {
        let tar = tar(&[pax(b'x', &[("path", name)]), file("x", "x")]);
        for archive in [tar, zip(&[zipped(name, b"x")])] {
            let said = refused(&archive, &Limits::default());
            assert!(said.ends_with(expected), "{said}");
            assert!(said.len() < 200, "{said}");
        }
    }
    let latin = || Zipped { name: b"gr\xfc\xdfe".to_vec(), ..zipped("", b"") };
    assert_refused(vec![
        (
            "gr\u{fffd}\u{fffd}e has a name that is not UTF-8",
            tar(&[entry(b'0', b"gr\xfc\xdfe", |_| {}, b"")]),
        ),
        ("gr\u{fffd}\u{fffd}e has a name that is not UTF-8", zip(&[latin()])),
        ("an entry has no name", tar(&[file("", "x")])),
        ("an entry has no name", zip(&[zipped("", b"x")])),
        (
            r"dir\x has a backslash in its name, as some programs write in place of `/`",
            zip(&[zipped(r"dir\x", b"")]),
        ),
    ]);
}

#[test]
fn symbolic_links_that_lead_elsewhere_or_nowhere() {
    let out = |target: &str| format!("l is a link to \"{target}\", which is not part of the archive");
    for (target, expected) in [
        ("/etc/passwd", "l is a link to \"/etc/passwd\", an absolute path".to_owned()),
        ("../outside/precious", out("../outside/precious")),
        ("sub/../../outside", out("sub/../../outside")),
        (".", out(".")),
        ("", out("")),
        ("a\nb", out("a\\nb")),
        ("nowhere", "l is a link to \"nowhere\", which leads to nothing".to_owned()),
        (&"n".repeat(256), "l has a name of 256 bytes in its path, and 255 are allowed".to_owned()),
        ("sub/file/x", "l is a link to \"sub/file/x\", which leads to nothing".to_owned()),
        ("l", "l is a link to \"l\", which leads to nothing".to_owned()),
    ] {
        let archives = [
            tar(&[file("sub/file", ""), pax(b'x', &[("linkpath", target)]), link(b'2', "l", "")]),
            zip(&[zipped("sub/file", b""), zipped_of_mode("l", 0o120_777, target)]),
        ];
        for archive in archives {
            assert_eq!(refused(&archive, &Limits::default()), expected);
        }
    }
    let long = "t/".repeat(2000);
    assert_refused(vec![
        // Each is within by its text alone, and together they leave.
        (
            "e is a link to \"p/q/y/../../outside\", which is not part of the archive",
            tar(&[
                directory("t"),
                directory("p/q"),
                file("p/outside", ""),
                link(b'2', "p/q/y", "../../t"),
                link(b'2', "e", "p/q/y/../../outside"),
            ]),
        ),
        (
            "a is a link to \"b\", which leads to nothing",
            zip(&[zipped_of_mode("a", 0o120_777, "b"), zipped_of_mode("b", 0o120_777, "a")]),
        ),
        (
            "l has a path of 4000 bytes, and 3072 are allowed",
            tar(&[pax(b'x', &[("linkpath", &long)]), link(b'2', "l", "")]),
        ),
        ("l has a path of 4000 bytes, and 3072 are allowed", zip(&[zipped_of_mode("l", 0o120_777, &long)])),
    ]);
}

#[test]
fn hard_links_to_what_is_no_earlier_file() {
    for (target, entries) in [
        ("../outside/precious", vec![]),
        ("/etc/passwd", vec![]),
        ("later", vec![file("later", "")]),
        ("l", vec![]),
        ("", vec![]),
        ("sub", vec![]),
        ("sub/link", vec![]),
        ("sub/up/file", vec![]),
        ("sub/file/x", vec![]),
    ] {
        let before = [
            directory("sub"),
            file("sub/file", ""),
            link(b'2', "sub/link", "file"),
            link(b'2', "sub/up", "../sub"),
        ];
        let entries = [&before[..], &[link(b'1', "l", target)], &entries[..]].concat();
        let expected = format!("l is a hard link to {target:?}, which is no earlier file of the archive");
        assert_eq!(refused(&tar(&entries), &Limits::default()), expected);
    }
}

#[test]
fn what_is_neither_file_nor_directory_nor_link() {
    let odd = |kind: u8| tar(&[file("before", "x"), entry(kind, b"x", |_| {}, b"")]);
    let mode = |mode: u32| zip(&[zipped("before", b"x"), zipped_of_mode("x", mode, "")]);
    assert_refused(vec![
        ("x is a character device", odd(b'3')),
        ("x is a block device", odd(b'4')),
        ("x is a FIFO", odd(b'6')),
        ("x is a sparse file", odd(b'S')),
        ("x is of kind 'V', which is no file, directory or link", odd(b'V')),
        ("x is of kind 'M', which is no file, directory or link", odd(b'M')),
        ("x is of kind 'D', which is no file, directory or link", odd(b'D')),
        ("x is a sparse file", tar(&[pax(b'x', &[("GNU.sparse.major", "1")]), file("x", "")])),
        ("x is a character device", mode(0o020_644)),
        ("x is a block device", mode(0o060_644)),
        ("x is a FIFO", mode(0o010_644)),
        ("x is a socket", mode(0o140_644)),
        ("x is broken: its mode is 150000", mode(0o150_644)),
        ("x is setuid", tar(&[file_of_mode("x", 0o4755)])),
        ("x is setgid", tar(&[file_of_mode("x", 0o2755)])),
        ("x is setuid", mode(0o104_755)),
        ("x is setgid", mode(0o002_755)),
        ("x/ is a directory with content", zip(&[zipped("x/", b"content")])),
        ("x/ is a directory with content", zip(&[zipped_of_mode("x/", 0o120_777, "x")])),
        ("x is a directory with content", tar(&[entry(b'5', b"x", |_| {}, b"content")])),
        ("x/ is a directory with content", tar(&[file("x/", "content")])),
        ("x is a link with content", tar(&[file("y", ""), entry(b'1', b"x", |_| {}, b"content")])),
        ("x is a link with content", tar(&[file("y", ""), entry(b'2', b"x", |_| {}, b"content")])),
    ]);
}

#[test]
fn what_is_there_already_or_beneath_what_is_no_directory() {
    let target = || file("t", "");
    let twice = "x is in the archive more than once";
    let within_link = "x/y lies beneath x, which is a link";
    let within_file = "x/y lies beneath x, which is a file";
    assert_refused(vec![
        (twice, tar(&[file("x", "1"), file("x", "2")])),
        (twice, tar(&[file("x", "1"), file("./x", "2")])),
        (twice, tar(&[directory("x"), file("x", "")])),
        (twice, tar(&[file("x", ""), directory("x")])),
        (twice, tar(&[target(), file("x", ""), link(b'2', "x", "t")])),
        (twice, tar(&[target(), link(b'2', "x", "t"), file("x", "")])),
        (twice, tar(&[target(), directory("x"), link(b'2', "x", "t")])),
        (twice, tar(&[target(), link(b'2', "x", "t"), directory("x")])),
        (twice, tar(&[target(), link(b'2', "x", "t"), link(b'2', "x", "t")])),
        (twice, tar(&[target(), file("x/y", ""), link(b'2', "x", "t")])),
        (twice, tar(&[target(), file("x", ""), link(b'1', "x", "t")])),
        (twice, tar(&[target(), link(b'2', "x", "t"), link(b'1', "x", "t")])),
        (twice, zip(&[zipped("x", b"1"), zipped("x", b"2")])),
        (twice, zip(&[zipped("x/", b""), zipped("x", b"2")])),
        (twice, zip(&[zipped("t", b""), zipped_of_mode("x", 0o120_777, "t"), zipped("x", b"2")])),
        (within_file, tar(&[file("x", ""), file("x/y", "")])),
        (within_file, tar(&[file("x", ""), directory("x/y")])),
        (within_file, tar(&[file("x", ""), link(b'2', "x/y", "t")])),
        (within_file, tar(&[target(), file("x", ""), link(b'1', "x/y", "t")])),
        ("x/y/z lies beneath x, which is a file", zip(&[zipped("x", b""), zipped("x/y/z", b"")])),
        (within_link, tar(&[directory("d"), link(b'2', "x", "d"), file("x/y", "")])),
        (within_link, tar(&[directory("d"), link(b'2', "x", "d"), directory("x/y")])),
        (within_link, tar(&[directory("d"), link(b'2', "x", "d"), link(b'2', "x/y", "z")])),
        (within_link, tar(&[target(), directory("d"), link(b'2', "x", "d"), link(b'1', "x/y", "t")])),
        (within_link, zip(&[zipped("d/", b""), zipped_of_mode("x", 0o120_777, "d"), zipped("x/y", b"")])),
    ]);
}

#[test]
fn what_passes_a_limit() {
    let limits = Limits { unpacked: 3000, entries: 4, depth: 2, ..Limits::default() };
    let half = "h".repeat(1501);
    let kilo = "k".repeat(1000);
    let large = "b makes the archive unpack to more than 3000 bytes (INJECTOR_MAX_UNPACKED)";
    let many =
        |name: &str| format!("{name} is one more than the 4 entries that are allowed (INJECTOR_MAX_ENTRIES)");
    let deep = "d/e/f/x lies 3 directories deep, and 2 are allowed (INJECTOR_MAX_DEPTH)".to_owned();
    let five = ["1", "2", "3", "4", "5"];
    for (expected, archive) in [
        (large.to_owned(), tar(&[file("a", &half), file("b", &half)])),
        (large.to_owned(), zip(&[zipped("a", half.as_bytes()), zipped("b", half.as_bytes())])),
        (large.to_owned(), tar(&[file("a", &half), link(b'1', "b", "a")])),
        (
            "what follows the last entry makes the archive unpack to more than 3000 bytes (INJECTOR_MAX_UNPACKED)"
                .to_owned(),
            tar(&[vec![0; 8192]]),
        ),
        (
            "a pax header makes the archive unpack to more than 3000 bytes (INJECTOR_MAX_UNPACKED)".to_owned(),
            tar(&[pax(b'g', &[("comment", &kilo)]), pax(b'g', &[("comment", &kilo)]), file("x", "")]),
        ),
        (many("5"), tar(&five.map(|name| file(name, "")))),
        (many("5"), zip(&five.map(|name| zipped(name, b"")))),
        (many("1/"), tar(&five.map(|_| directory("1/")))),
        (many("e/f/x"), tar(&[file("d/x", ""), file("e/f/x", "")])),
        (deep.clone(), tar(&[file("d/e/f/x", "")])),
        (deep, zip(&[zipped("d/e/f/x", b"")])),
        (
            "d/e/f/ lies 3 directories deep, and 2 are allowed (INJECTOR_MAX_DEPTH)".to_owned(),
            tar(&[directory("d/e/f/")]),
        ),
    ] {
        assert_eq!(refused(&archive, &limits), expected);
    }
    let dirs = "d".repeat(250) + "/";
    let named: Vec<_> = (0..360)
        .map(|index| [pax(b'x', &[("path", &format!("{}{index}", dirs.repeat(12)))]), file("", "")].concat())
        .collect();
    let said = refused(&tar(&named), &Limits { entries: 1000, ..Limits::default() });
    assert!(
        said.ends_with("is a path too many: all paths together may have 1 MiB (INJECTOR_MAX_ENTRIES)"),
        "{said}"
    );
    let links: Vec<_> = (0..2200)
        .map(|index| {
            let target = format!("x/{index}/{}", "t/".repeat(1000));
            [pax(b'x', &[("linkpath", &target)]), link(b'2', &format!("l{index}"), "")].concat()
        })
        .collect();
    let said = refused(&tar(&links), &Limits::default());
    assert!(said.contains("is a link too many: names and targets of links may have 4 MiB in all"), "{said}");
}

#[test]
fn tars_that_are_cut_or_damaged() {
    let whole = tar(&[file("a", &"a".repeat(1000)), file("b", "b")]);
    let cut = |size: usize| whole[..size].to_vec();
    let mut altered = whole.clone();
    altered[1536 + 100] ^= 1;
    let mut more = whole.clone();
    more.extend(b"more");
    let mut number = file("x", "");
    number[124..135].copy_from_slice(b"hello world");
    let sum: u32 = number[..148].iter().chain(&number[156..]).map(|byte| u32::from(*byte)).sum::<u32>() + 256;
    number[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let no_end = "the archive is broken: it is cut short: a tar archive ends with two blocks of zeros";
    assert_refused(vec![
        ("a is broken: it has less than its 1000 bytes", cut(1500)),
        ("a is broken: it is cut short", cut(1520)),
        (no_end, cut(1536)),
        (no_end, cut(1700)),
        (no_end, cut(2560)),
        (
            "the archive is broken: it is cut short, or damaged: one block of zeros stands where two mark the end",
            cut(2560 + 512),
        ),
        ("the archive is broken: the checksum of a header is wrong", altered),
        ("the archive is broken: something follows the mark of its end", more),
        ("the archive is broken: something follows the mark of its end", [&whole[..], &whole[..]].concat()),
        ("x is broken: the size in its header is no number", tar(&[number])),
    ]);
}

#[test]
fn headers_of_tars_that_contradict_each_other() {
    let long = |kind: u8, name: &str| entry(kind, b"././@LongLink", |_| {}, name.as_bytes());
    let odd = |records: &str| tar(&[entry(b'x', b"x", |_| {}, records.as_bytes()), file("x", "")]);
    let unreadable = "the archive is broken: a pax header cannot be read";
    let huge = "h".repeat(1 << 20);
    assert_refused(vec![
        (
            "x is broken: its headers say that it has 1 bytes, and 1024",
            tar(&[pax(b'x', &[("size", "1024")]), file("x", "1"), file("hidden", "")]),
        ),
        (
            "x makes the archive unpack to more than 1 GiB (INJECTOR_MAX_UNPACKED)",
            tar(&[pax(b'x', &[("size", "8589934592")]), file("x", "")]),
        ),
        (
            "the archive is broken: a pax header has a size that is no number",
            tar(&[pax(b'x', &[("size", "-1")]), file("x", "")]),
        ),
        (
            "the archive is broken: a global pax header says which path or size all entries have",
            tar(&[pax(b'g', &[("path", "y")]), file("x", "")]),
        ),
        (
            "the archive is broken: two headers of a kind describe one entry",
            tar(&[long(b'L', "one"), long(b'L', "two"), file("x", "")]),
        ),
        (
            "the archive is broken: it ends with a header that describes an entry which does not follow",
            tar(&[file("x", ""), long(b'L', "y")]),
        ),
        (
            "a long name is broken: it has 13000 bytes, and 12288 are allowed",
            tar(&[long(b'K', &huge[..13000]), link(b'2', "x", "")]),
        ),
        (
            "a pax header is broken: it has 1048587 bytes, and 1048576 are allowed",
            tar(&[pax(b'x', &[("x", &huge)]), file("x", "")]),
        ),
        (unreadable, odd("no length\n")),
        (unreadable, odd("99 path=x\n")),
        (unreadable, odd("9 path=xx")),
        (unreadable, odd("7 path\n")),
        (unreadable, odd("18446744073709551615 path=x\n")),
    ]);
}

#[test]
fn compressed_archives_that_are_cut_or_damaged() {
    // It does not compress, so that its cut lies in the content.
    let noise: Vec<u8> =
        (0..40_000_u32).map(|place| place.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let whole = tar(&[entry(b'0', b"noise", |_| {}, &noise)]);
    for name in ["gzip", "bzip2", "xz", "zstd"] {
        let packed = packed(name, &whole);
        for (at, what) in [(2, "in the middle"), (1, "at the end")] {
            let cut = packed.len() * (at + 1) / (at + 2) - 3;
            let cut = if at == 1 { packed.len() - 3 } else { cut };
            let said = refused(&packed[..cut], &Limits::default());
            assert!(said.contains(" is broken: "), "{name}, cut {what}: {said}");
        }
        let mut altered = packed.clone();
        let middle = packed.len() / 2;
        altered[middle] ^= 0x10;
        let said = refused(&altered, &Limits::default());
        assert!(said.contains(" is broken: "), "{name}, altered: {said}");

        let mut more = packed.clone();
        more.extend(b"more than that, and no other member");
        let said = refused(&more, &Limits::default());
        assert!(said.starts_with("the archive is broken: "), "{name}, with more: {said}");
    }
}

#[test]
fn zips_that_are_cut_or_damaged() {
    let one = || zipped("x", b"content");
    let whole = zip(&[one(), zipped("y", b"")]);
    let cut = |size: usize| whole[..size].to_vec();
    let more = [&whole[..], b"more"].concat();
    let directory = 2 * 30 + 2 + 7;
    let missing = "the archive is broken: its directory, which stands at the end of a zip archive, is missing: \
                   it may be cut short";
    let squeezed = zipped("x", &[b'x'; 1000]).packed(8);
    let end = squeezed.data.len() - 5;
    let inner = zip(&[zipped("inner", b"")]);
    assert_refused(vec![
        (missing, cut(whole.len() - 30)),
        (missing, cut(40)),
        ("the archive is broken: it is cut short", cut(whole.len() - 1)),
        ("the archive is broken: something follows its end", more),
        ("the archive is broken: it lists 2 entries, and says that there are 3", {
            zip_with(&[one(), zipped("y", b"")], Vec::new(), |end| end[8..12].copy_from_slice(&[3, 0, 3, 0]))
        }),
        ("the archive is broken: Invalid signature: expected 0x02014b50, got 0x00000000", {
            let mut altered = whole.clone();
            altered[directory..directory + 4].fill(0);
            altered
        }),
        (
            "x is broken: Invalid checksum: expected 0x00000001, got 0xfec530a9",
            zip(&[Zipped { crc: 1, ..one() }]),
        ),
        ("x is broken: Invalid size: expected 8, got 7", zip(&[Zipped { size: 8, ..one() }])),
        ("x is broken: Invalid size: expected 6, got 7", zip(&[Zipped { size: 6, ..one() }])),
        (
            "x is broken: it is cut short",
            zip(&[Zipped { data: squeezed.data[..end].to_vec(), ..squeezed.clone() }]),
        ),
        ("x is broken: its data goes on after its end", {
            zip(&[Zipped { data: [&squeezed.data[..], b"hidden"].concat(), ..squeezed }])
        }),
        (
            "x is broken: its own header has another name than the archive's directory",
            zip(&[Zipped { own_name: Some(b"y".to_vec()), ..one() }]),
        ),
        ("x is broken: its own header has another size than the archive's directory", {
            let mut altered = zip(&[one()]);
            altered[22] += 1;
            altered
        }),
        ("x is broken: its own header has another checksum than the archive's directory", {
            let mut altered = zip(&[one()]);
            altered[14] += 1;
            altered
        }),
        ("x is broken: its own header has another compression than the archive's directory", {
            let mut altered = zip(&[one()]);
            altered[8] = 8;
            altered
        }),
        ("x is broken: Invalid signature: expected 0x04034b50, got 0x00000000", {
            let mut altered = zip(&[zipped("a", b""), one()]);
            altered[31..35].fill(0);
            altered
        }),
        ("x is encrypted", zip(&[Zipped { flags: 1, ..one() }])),
        ("x is encrypted", zip(&[Zipped { flags: 0x41, ..one() }])),
        ("x is compressed with LZMA, which is not supported", zip(&[Zipped { method: 14, ..one() }])),
        (
            "x is compressed with method 1234, which is not supported",
            zip(&[Zipped { method: 1234, ..one() }]),
        ),
        (
            "the archive is broken: two of its entries share the bytes at 31",
            zip(&[
                zipped("a", &zip(&[zipped("b", b"quoted")])[..37]),
                Zipped { at: Some(31), ..zipped("b", b"quoted") },
            ]),
        ),
        ("the archive is broken: some of its entries share bytes", {
            // Whoever looks only afterwards has unpacked what is large once for each of many names.
            let large = Zipped { at: Some(0), ..zipped("a", &[b'x'; 4096]) };
            zip(&[Zipped { at: None, ..large.clone() }, large])
        }),
        (
            "the archive is broken: the 108 bytes at 0 belong to no entry",
            zip_with(&[one()], inner.clone(), |_| {}),
        ),
    ]);
}

#[test]
fn what_is_no_archive_says_how_it_begins() {
    let page = "\n<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>";
    let it = |what: &str| format!("it is no zip or tar archive: {what}");
    for (expected, bytes) in [
        (it("it begins with \"<!DOCTYPE html>\""), page.as_bytes().to_vec()),
        (it("it is empty"), Vec::new()),
        (
            it("it begins with \"def hello(event, context):\""),
            b"def hello(event, context):\r\n  pass".to_vec(),
        ),
        (it("it begins with \"\u{fffd}PNG\""), b"\x89PNG\r\n\x1a\n".to_vec()),
        (it(&format!("it begins with {:?}", "x".repeat(60))), vec![b'x'; 5000]),
        (it("it begins with \"hello\""), packed("gzip", b"hello")),
        (it("it begins with \"hello\""), packed("zstd", "hello\n".repeat(1000).as_bytes())),
        (it("it is empty"), packed("xz", b"")),
    ] {
        assert_eq!(refused(&bytes, &Limits::default()), expected);
    }
}

#[test]
fn windows_that_are_too_large() {
    let content = tar(&[file("x", "text")]);
    let window = |found: &str| {
        format!("the archive was compressed with {found}, and 8 MiB are allowed (INJECTOR_MAX_WINDOW)")
    };
    let small = xz(&content, 8 << 20);
    for (expected, archive) in [
        (window("a window of 64 MiB"), xz(&content, 64 << 20)),
        (window("a window of 12 MiB"), xz(&content, 12 << 20)),
        (window("too large a window"), [small, xz(&content, 64 << 20)].concat()),
        (window("a window of 16 MiB"), zstd(&content, 24)),
        (window("a window of 128 MiB"), [zstd(&content, 23), zstd(&content, 27)].concat()),
        (
            window("a window of 16 MiB"),
            zip(&[Zipped { data: zstd(b"text", 24), method: 93, ..zipped("x", b"text") }]),
        ),
    ] {
        assert_eq!(refused(&archive, &Limits::default()), expected);
    }
    let wide = Limits { window: 64 << 20, ..Limits::default() };
    for archive in [xz(&content, 64 << 20), zstd(&content, 26)] {
        let place = Place::new(&archive);
        place.unpack(&wide).expect("unpacked");
        assert_eq!(tree(&place.path("room")), ["x 644 text"]);
    }
}
