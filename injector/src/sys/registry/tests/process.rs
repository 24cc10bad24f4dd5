//! What concerns a whole process: how much memory large blobs take.

use std::process::Command;

use super::*;

/// More than would go unnoticed if it were kept.
const SIZE: usize = 64 << 20;
/// What this process may take, however large the blobs.
const MOST: u64 = 24 << 20;
/// What blobs are made of here.
const PIECE: [u8; 64 << 10] = [b'x'; 64 << 10];

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
    let mut hash = sha2::Sha256::new();
    (0..SIZE / PIECE.len()).for_each(|_| hash.update(PIECE));
    let digest = Sha256(hash.finalize().into());
    let serve = |request: &Request, wire: &mut dyn Wire| match &request.what[..4] {
        "POST" => reply(wire, "202 Accepted", "Location: /upload\r\n", b""),
        "PUT " => {
            io::copy(&mut wire.take(SIZE as u64), &mut io::sink())?;
            reply(wire, "201 Created", "", b"")
        }
        _ => {
            write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")?;
            (0..SIZE / PIECE.len()).try_for_each(|_| wire.write_all(&PIECE))?;
            wire.flush()
        }
    };
    let (roots, tls) = certificate(Certificate::Right);
    let roots = String::from_utf8(roots).expect("PEM");
    for server in [Server::http(serve), Server::at("127.0.0.1:0", Some(tls), serve)] {
        let registry = registry(&server.url("", "/team/cache"), &roots, None);
        let size = SIZE as u64;
        registry.push_blob(digest, size, || Ok(io::repeat(b'x')), soon()).expect("pushed");
        let mut ignore = |_: &[u8]| -> Result<(), RegistryError> { Ok(()) };
        registry.blob(digest, size, soon(), &mut ignore).expect("fetched");
    }
    let status = fs_err::read_to_string("/proc/self/status").expect("readable");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak << 10 <= MOST, "{peak} kB");
}
