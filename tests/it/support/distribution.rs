//! Debian's `docker-registry` on loopback: a registry that we have not written. The injector's unit tests read this file, too.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::CertificateParams;
use tempfile::TempDir;

use super::loopback::{Issued, issued};
use super::skip::skip;

/// Who may log in.
pub(crate) const USER: &str = "injector";
/// And how.
pub(crate) const PASSWORD: &str = "registry-hunter22";
/// The same for the registry, which understands bcrypt only.
const HTPASSWD: &str = "injector:$2y$04$injectorinjectorinjeceen7CblvU/fTVPi96GR.OMG9v7X1vMOO\n";

/// How long a test waits for it to listen.
const PATIENCE: Duration = Duration::from_secs(20);

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
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n",
            path("storage")
        );
        if door == Door::Login {
            fs::write(path("htpasswd"), HTPASSWD).expect("written");
            config += &format!("auth:\n  htpasswd: {{realm: tests, path: {}}}\n", path("htpasswd"));
        }
        config += "http:\n  addr: 127.0.0.1:0\n  secret: of tests\n";
        let mut ca = String::new();
        if transport == Transport::Tls {
            let server = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
            let Issued { ca: own, certificate, key } = issued(&server);
            fs::write(path("certificate.pem"), certificate.pem()).expect("written");
            fs::write(path("key.pem"), key.serialize_pem()).expect("written");
            config +=
                &format!("  tls: {{certificate: {}, key: {}}}\n", path("certificate.pem"), path("key.pem"));
            ca = own;
        }
        fs::write(path("config.yml"), config).expect("written");
        let mut command = Command::new("docker-registry");
        command.args(["serve", &path("config.yml")]).stdin(Stdio::null()).stdout(Stdio::null());
        let Ok(mut child) = command.stderr(Stdio::piped()).spawn() else {
            skip("docker-registry", "there is no docker-registry on PATH");
            return None;
        };
        let log = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let (sender, listening) = mpsc::channel();
        thread::spawn(move || {
            // To its end: who writes to a full pipe waits.
            for line in log.lines().map_while(Result::ok) {
                let after = line.split_once("listening on ").map_or("", |(_, after)| after);
                let host = after.split([',', '"']).next().unwrap_or_default().to_owned();
                let _ = sender.send(Some(host).filter(|host| !host.is_empty()).ok_or(line));
            }
        });
        let mut said = Vec::new();
        let host = loop {
            match listening.recv_timeout(PATIENCE) {
                Ok(Ok(host)) => break host,
                Ok(Err(line)) => said.push(line),
                Err(_) => panic!("it does not listen: {said:?}"),
            }
        };
        Some(Distribution { host, ca, transport, child, dir })
    }

    /// What names a repository of it.
    pub(crate) fn reference(&self, repository: &str) -> String {
        let scheme = if self.transport == Transport::Plain { "http://" } else { "" };
        format!("{scheme}{}/{repository}", self.host)
    }

    /// A docker config that lets us in.
    pub(crate) fn docker_config(&self) -> String {
        let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, self.host)
    }

    /// The file in which it has a blob, by the hexadecimal digits of its digest.
    pub(crate) fn blob(&self, hex: &str) -> PathBuf {
        let blobs = self.dir.path().join("storage/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
