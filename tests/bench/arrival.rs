//! How much memory a function takes that arrives as a gigabyte: in each kind of archive, and as a download.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::Context as _;

use super::own::{fake, furnish, peak};
use super::report::Report;
use super::results::{Found, Goal, Unit};
use super::room::clear;
use super::series::{found, timed, words};
use super::site::{Pod, Site};

/// How much arrives, in bytes.
const SIZE: u64 = 1 << 30;
const GOAL: Goal = Goal::AtMost(24.0);

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
pub(super) fn rows(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    let home = furnish(site, fake())?;
    let large = home.join("large");
    fs::create_dir_all(&large)?;
    fs::write(large.join("hello.py"), "def handler(event, context):\n    return 'hello'\n")?;
    // Zeros, which are quickly compressed: a decompressor's window is filled all the same.
    File::create(large.join("data.bin"))?.set_len(SIZE)?;
    for (name, tool, args) in ARCHIVERS {
        let archive = home.join(name);
        let made = timed(Command::new(tool).args(args).current_dir(&home));
        let peak = made.context(tool).and_then(|_| measured(&home, site.pod(&archive)));
        row(report, &format!("peak memory for a {name} of 1 GiB"), peak);
        if name != "large.tar" {
            clear(&archive);
            let _ = fs::remove_file(archive);
        }
    }
    let pod = site.pod(&home.join("src"));
    let pod = pod.with("FUNC_CONTENT_TYPE", "url").with("FUNC_URL", serve_blanks()?);
    row(report, "peak memory for a download of 1 GiB", measured(&home, pod));
    clear(&home);
    Ok(())
}

fn row(report: &mut Report, what: &str, peak: anyhow::Result<f64>) {
    let found = match peak {
        Ok(peak) => found(vec![peak]),
        Err(reason) => Found::Failed(words(&reason)),
    };
    report.row("", what, Unit::Mebibytes, found, Some(GOAL));
}

/// Builds, and says the peak in MiB.
fn measured(home: &Path, mut pod: Pod) -> anyhow::Result<f64> {
    for (name, value) in [
        ("FUNC_HANDLER", "hello.handler"),
        ("INJECTOR_MAX_RATIO", "10000000"),
        ("INJECTOR_MAX_UNPACKED", "2Gi"),
        ("INJECTOR_MAX_DOWNLOAD", "2Gi"),
    ] {
        pod = pod.with(name, value);
    }
    let built = pod.with("PATH", format!("{}:/usr/bin:/bin", home.join("bin").display())).build()?;
    let peak = peak(&built.story);
    built.clear();
    peak
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
