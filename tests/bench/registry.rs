//! A registry on loopback, as a cluster has one: Debian's `docker-registry`, with files as its storage.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A registry that does not outlive this process.
pub(super) struct Registry {
    server: Child,
    address: SocketAddr,
}

impl Registry {
    /// Starts one that keeps its blobs there.
    pub(super) fn start(home: &Path) -> anyhow::Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let (storage, config) = (home.join("blobs"), home.join("config.yml"));
        fs::create_dir_all(&storage)?;
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            storage.display()
        );
        fs::write(&config, text)?;
        let server = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("docker-registry cannot be run; Debian's package docker-registry has it")?;
        let registry = Registry { server, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(begun.elapsed() < PATIENCE, "docker-registry does not answer");
            sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    /// A repository, as `--cache-registry` takes it.
    pub(super) fn repository(&self, name: &str) -> String {
        format!("http://{}/bench/{name}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
