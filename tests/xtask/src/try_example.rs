//! Tries a function as a pod would: build, launch, one request, SIGTERM.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long the server may take to answer for the first time, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Builds the function in `dir`, starts it, sends one request, shows the answer, and stops it.
///
/// # Errors
/// When any of this fails, or the server does not stop with status 0.
pub(crate) fn run(dir: &Path) -> anyhow::Result<()> {
    let binary = release_binary()?;

    let started = Instant::now();
    let status = command(&binary, "build").arg(dir).status().context("injector cannot be run")?;
    ensure!(status.success(), "injector build {}: {status}", dir.display());
    say("built", started);

    let volume = dir.join(".injector-out").canonicalize().context("the build left no volume")?;
    let port = free_port()?;
    let started = Instant::now();
    let server = command(&binary, "launch")
        .env("KUBELESS_INSTALL_VOLUME", volume)
        .env("FUNC_PORT", port.to_string())
        .spawn()
        .context("injector cannot be run")?;
    let mut server = Server(server);
    server.wait_until_healthy(port)?;
    say("healthy", started);

    let request = match fs::read(dir.join("request.json")) {
        Ok(body) => post(&body),
        Err(error) if error.kind() == io::ErrorKind::NotFound => get("/"),
        Err(error) => return Err(error).context("request.json cannot be read"),
    };
    let started = Instant::now();
    let answer = exchange(port, &request).context("the function does not answer")?;
    say("answered", started);
    println!("{}", answer.body);
    ensure!(answer.status == 200, "the function answered with status {}", answer.status);

    let started = Instant::now();
    let status = server.stop()?;
    ensure!(status.success(), "after SIGTERM, the server ended with {status}");
    say("stopped", started);
    Ok(())
}

/// A server that does not outlive this process.
struct Server(Child);

impl Server {
    fn wait_until_healthy(&mut self, port: u16) -> anyhow::Result<()> {
        let healthy = || exchange(port, &get("/healthz")).ok().filter(|answer| answer.status == 200);
        wait_for("the server did not become healthy", || {
            if let Some(status) = self.0.try_wait()? {
                bail!("the server ended before its first answer: {status}");
            }
            Ok(healthy().map(drop))
        })
    }

    fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        kill_process(Pid::from_child(&self.0), Signal::TERM).context("the server cannot be stopped")?;
        wait_for("the server did not stop after SIGTERM", || Ok(self.0.try_wait()?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what they are for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks until there is something, or patience ends.
fn wait_for<T>(complaint: &str, mut ask: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(found) = ask()? {
            return Ok(found);
        }
        sleep(Duration::from_millis(10));
    }
    bail!("{complaint} within {} s", PATIENCE.as_secs());
}

/// What a server answered.
struct Answer {
    status: u16,
    body: String,
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").into_bytes()
}

fn post(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Sends a request of HTTP 1.0, whose answer ends where the connection does.
fn exchange(port: u16, request: &[u8]) -> anyhow::Result<Answer> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(request)?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of headers")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.with_context(|| format!("the answer has no status: {head}"))?,
        body: body.to_owned(),
    })
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn command(binary: &Path, verb: &str) -> Command {
    let mut command = Command::new(binary);
    command.arg(verb).stdin(Stdio::null());
    command
}

/// Builds the release binary, and says where cargo has put it.
pub(crate) fn release_binary() -> anyhow::Result<PathBuf> {
    let started = Instant::now();
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package=injector", "--bin=injector"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(crate::root())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be run")?;
    ensure!(output.status.success(), "the injector does not compile");
    say("compiled", started);
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo names no executable")
}

fn say(what: &str, since: Instant) {
    eprintln!("== {what} in {:.2} s", since.elapsed().as_secs_f64());
}
