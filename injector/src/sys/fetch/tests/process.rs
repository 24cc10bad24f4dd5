//! What concerns a whole process: how much memory a large download takes, and that the environment says nothing to it.

use std::process::Command;

use super::super::server::{Certificate, Wire, certificate, reply};
use super::*;

/// More than would go unnoticed if it were kept.
const SIZE: usize = 64 << 20;
/// What this process may take, however large the download.
const MOST: u64 = 8 << 20;

/// Runs an ignored test of this file in a process of its own.
fn alone(test: &str, env: &[(&str, &str)]) {
    let this = fs_err::read_link("/proc/self/exe").expect("this program");
    let name = format!("sys::fetch::tests::process::{test}");
    let mut command = Command::new(this);
    let command = command.args(["--exact", "--ignored", "--nocapture", &name]).envs(env.iter().copied());
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && said[0].contains("1 passed"), "{}{}", said[0], said[1]);
}

#[test]
fn the_environment_is_read_by_others_than_us() {
    let nobody = format!("http://{}", closed());
    let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].map(|name| (name, nobody.as_str()));
    alone("a_plain_download", &proxies);
}

#[test]
#[ignore = "run in a process of its own, whose environment says something else"]
fn a_plain_download() {
    let server = Server::http(|_, wire| reply(wire, "200 OK", "", b"here"));
    assert_eq!(case().fetch(&server.url("", "/x")).bytes(), b"here");
}

#[test]
fn a_large_download_takes_little_memory() {
    alone("a_large_download", &[]);
}

#[test]
#[ignore = "run in a process of its own, whose memory is measured"]
fn a_large_download() {
    let serve = |_: &super::super::server::Request, wire: &mut dyn Wire| {
        let chunk = vec![b'x'; 64 << 10];
        write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")?;
        (0..SIZE / chunk.len()).try_for_each(|_| wire.write_all(&chunk))?;
        wire.flush()
    };
    let (roots, tls) = certificate(Certificate::Right);
    for server in [Server::http(serve), Server::at("127.0.0.1:0", Some(tls), serve)] {
        let case = Case { network: Network { roots: roots.clone(), ..Network::default() }, ..case() };
        let from = server.url("", "/x").parse().expect("an address");
        let errand =
            Errand { from: &from, max: 1 << 40, allowed: Duration::from_mins(10), network: &case.network };
        let world = World { inbox: &case.inbox, timings: Timings::USUAL };
        let to = case.dir.path().join("x");
        let fetched = fetch_in(&world, &errand, &to, &mut |_| {}).expect("fetched");
        assert_eq!(fetched.size, SIZE as u64);
        assert!(peak() < MOST, "{} KiB", peak() >> 10);
    }
}

/// The most memory that this process had for its data, in bytes: the program of the tests is large in itself.
fn peak() -> u64 {
    let text = fs_err::read_to_string("/proc/self/status").expect("readable");
    let status = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    };
    status("VmHWM:") - status("RssFile:")
}
