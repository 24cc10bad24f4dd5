//! What concerns a whole process: how much memory large blobs take.

use std::process::Command;
use std::sync::Arc;

use super::*;

/// What blobs are made of here.
static PIECE: [u8; 64 << 10] = [b'x'; 64 << 10];
/// 64 MiB: more than would go unnoticed if it were kept.
const PIECES: usize = 1 << 10;
/// What such a blob may take, beyond what small ones do.
const MOST: u64 = 4 << 20;

#[test]
fn large_blobs_take_little_memory() {
    let this = fs_err::read_link("/proc/self/exe").expect("this program");
    let name = "sys::registry::tests::process::large_blobs";
    let mut command = Command::new(this);
    let output = command.args(["--exact", "--ignored", "--nocapture", name]).output().expect("it runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && said[0].contains("1 passed"), "{}{}", said[0], said[1]);
}

#[test]
#[ignore = "run in a process of its own, whose memory is measured"]
fn large_blobs() {
    let (roots, tls) = certificate(Certificate::Right);
    let roots = String::from_utf8(roots).expect("PEM");
    let there_and_back = |pieces: usize| {
        let size = pieces * PIECE.len();
        let mut hash = sha2::Sha256::new();
        (0..pieces).for_each(|_| hash.update(PIECE));
        let digest = Sha256(hash.finalize().into());
        let serve = move |request: &Request, wire: &mut dyn Wire| match &request.what[..4] {
            "POST" => reply(wire, "202 Accepted", "Location: /upload\r\n", b""),
            "PUT " => {
                io::copy(&mut wire.take(size as u64), &mut io::sink())?;
                reply(wire, "201 Created", "", b"")
            }
            _ => {
                write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
                (0..pieces).try_for_each(|_| wire.write_all(&PIECE))?;
                wire.flush()
            }
        };
        let size = size as u64;
        for server in [Server::http(serve), Server::at("127.0.0.1:0", Some(Arc::clone(&tls)), serve)] {
            let registry = registry(&server.url("", "/team/cache"), &roots, None);
            registry.push_blob(digest, size, || Ok(io::repeat(b'x')), soon()).expect("pushed");
            let mut ignore = |_: &[u8]| -> Result<(), RegistryError> { Ok(()) };
            registry.blob(digest, size, soon(), &mut ignore).expect("fetched");
        }
    };
    // The program itself comes into memory as far as it is used, and that of tests is large.
    there_and_back(8);
    let before = peak();
    there_and_back(PIECES);
    let more = peak() - before;
    assert!(more <= MOST, "{} KiB more", more >> 10);
}

/// The most memory that this process had, in bytes.
fn peak() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}
