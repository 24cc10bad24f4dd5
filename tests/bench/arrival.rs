//! How much memory a function takes that arrives as a gigabyte: in each kind of archive, and as a download.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::Context as _;

use super::{Room, row, timed};

/// How much arrives, in bytes.
const SIZE: u64 = 1 << 30;
const GOAL: &str = "24 MiB";

/// What makes the archives from the directory `large`, each with the largest window that is allowed unasked.
const ARCHIVERS: [(&str, &str, &[&str]); 6] = [
    ("large.tar", "tar", &["-cf", "large.tar", "large"]),
    ("large.tar.gz", "gzip", &["-kf1", "large.tar"]),
    ("large.tar.bz2", "bzip2", &["-kf9", "large.tar"]),
    ("large.tar.xz", "xz", &["-kfT1", "--lzma2=preset=0,dict=8MiB", "large.tar"]),
    ("large.tar.zst", "zstd", &["-qkf1", "--long=23", "large.tar"]),
    ("large.zip", "zip", &["-qr1", "large.zip", "large"]),
];

/// Prints the rows.
pub(super) fn rows(binary: &Path, room: &Room, only: Option<&str>) -> anyhow::Result<()> {
    if only.is_some_and(|only| only != "memory") {
        return Ok(());
    }
    super::interpreted::furnish(room)?;
    let large = room.0.join("large");
    fs::create_dir_all(&large)?;
    fs::write(large.join("hello.py"), "def handler(event, context):\n    return 'hello'\n")?;
    // Zeros, which are quickly compressed: a decompressor's window is filled all the same.
    File::create(large.join("data.bin"))?.set_len(SIZE)?;
    for (name, tool, args) in ARCHIVERS {
        timed(Command::new(tool).args(args).current_dir(&room.0)).with_context(|| tool.to_owned())?;
        let archive = room.0.join(name);
        let mut build = Command::new(binary);
        build.env_clear().arg("build").arg(&archive);
        measured(&format!("peak memory for a {name} of 1 GiB"), &mut build, room)?;
        if name != "large.tar" {
            fs::remove_file(archive)?;
        }
    }
    let mut build = Command::new(binary);
    build.env_clear().arg("build").env("FUNC_CONTENT_TYPE", "url").env("FUNC_URL", serve_blanks()?);
    measured("peak memory for a download of 1 GiB", &mut build, room)
}

/// Builds, and prints the peak.
fn measured(what: &str, build: &mut Command, room: &Room) -> anyhow::Result<()> {
    let volume = room.0.join("large-volume");
    build.arg("--volume").arg(&volume);
    for (name, value) in [
        ("FUNC_HANDLER", "hello.handler"),
        ("INJECTOR_MAX_RATIO", "100000"),
        ("INJECTOR_MAX_UNPACKED", "2Gi"),
        ("INJECTOR_MAX_DOWNLOAD", "2Gi"),
    ] {
        build.env(name, value);
    }
    let path = format!("{}:/usr/bin:/bin", room.0.join("bin").display());
    let (_, story) = timed(build.env("PATH", path).env("TMPDIR", &room.0))?;
    fs::remove_dir_all(volume)?;
    let peak = super::interpreted::peak_kib(&story)?;
    row(what, &format!("{:.1} MiB", peak / 1024.0), GOAL);
    Ok(())
}

/// Serves one file of blanks, once, and says where.
fn serve_blanks() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || listener.accept().and_then(|(stream, _)| answer(&stream)));
    Ok(format!("http://{address}/hello.py"))
}

fn answer(mut stream: &TcpStream) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        if line?.is_empty() {
            break;
        }
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nConnection: close\r\n\r\n")?;
    io::copy(&mut io::Read::take(io::repeat(b' '), SIZE), &mut stream).map(drop)
}
