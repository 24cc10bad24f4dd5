//! Debian's `docker-registry` on loopback: a registry that we have not written. The injector's unit tests read this file, too.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::CertificateParams;
use serde_json::json;
use tempfile::TempDir;

use super::loopback::issued;
use super::skip::skip;

/// Who may log in.
pub(crate) const USER: &str = "injector";
/// And how.
pub(crate) const PASSWORD: &str = "registry-hunter22";
/// The same for the registry, which understands bcrypt only.
const HTPASSWD: &str = "injector:$2y$04$injectorinjectorinjeceen7CblvU/fTVPi96GR.OMG9v7X1vMOO\n";

/// Whether it speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// It does not.
    Plain,
    /// It does, with a certificate of a CA of its own.
    Tls,
}

/// Whom it lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Everybody.
    Open,
    /// Who knows the password.
    Login,
}

/// A registry, with its storage; both are gone with the value.
pub(crate) struct Distribution {
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
    /// The CA to trust, as PEM; empty without TLS.
    pub(crate) ca: String,
    transport: Transport,
    child: Child,
    dir: TempDir,
}

impl Distribution {
    /// Starts one; `None`, with a line that says so, where there is none.
    pub(crate) fn start(transport: Transport, door: Door) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).display().to_string();
        // JSON is YAML, too.
        let mut config = json!({
            "version": 0.1,
            "storage": { "filesystem": { "rootdirectory": path("storage") }, "delete": { "enabled": true } },
            "http": { "addr": "127.0.0.1:0", "secret": "of tests" },
        });
        if door == Door::Login {
            fs::write(path("htpasswd"), HTPASSWD).expect("written");
            config["auth"] = json!({ "htpasswd": { "realm": "tests", "path": path("htpasswd") } });
        }
        let mut ca = String::new();
        if transport == Transport::Tls {
            let server = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
            let issued = issued(&server);
            fs::write(path("certificate.pem"), issued.certificate.pem()).expect("written");
            fs::write(path("key.pem"), issued.key.serialize_pem()).expect("written");
            config["http"]["tls"] = json!({ "certificate": path("certificate.pem"), "key": path("key.pem") });
            ca = issued.ca;
        }
        fs::write(path("config.yml"), config.to_string()).expect("written");
        let mut command = Command::new("docker-registry");
        command.args(["serve", &path("config.yml")]).stdin(Stdio::null()).stdout(Stdio::null());
        let Ok(mut child) = command.stderr(Stdio::piped()).spawn() else {
            skip("docker-registry", "there is no docker-registry on PATH");
            return None;
        };
        let mut log = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let host = listening(&mut log);
        // To its end: who writes to a full pipe waits.
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        Some(Distribution { host, ca, transport, child, dir })
    }

    /// Ends it, as when a node dies; what it has stored goes with the value.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What names a repository of it.
    pub(crate) fn reference(&self, repository: &str) -> String {
        let scheme = if self.transport == Transport::Plain { "http://" } else { "" };
        format!("{scheme}{}/{repository}", self.host)
    }

    /// A docker config that lets us in.
    pub(crate) fn docker_config(&self) -> String {
        let host = &self.host;
        json!({ "auths": { host: { "auth": STANDARD.encode(format!("{USER}:{PASSWORD}")) } } }).to_string()
    }

    /// The files in which it has blobs, manifests among them: each in a directory that has its digest as a name.
    pub(crate) fn blobs(&self) -> Vec<PathBuf> {
        let blobs = self.dir.path().join("storage/docker/registry/v2/blobs/sha256");
        let below = |dir: &PathBuf| {
            let entries = fs::read_dir(dir).expect("a directory");
            entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
        };
        below(&blobs).iter().flat_map(below).map(|blob| blob.join("data")).collect()
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where it listens, by its own account: `… msg="listening on 127.0.0.1:5000, tls"`.
fn listening(log: &mut impl BufRead) -> String {
    let mut said = String::new();
    while log.read_line(&mut said).expect("text") > 0 {
        if let Some((_, after)) = said.split_once("listening on ") {
            return after.split([',', '"']).next().unwrap_or_default().to_owned();
        }
    }
    panic!("it does not listen: {said}");
}
