//! Where all is measured, and pods without a cluster: the real binary, a new volume each time.

use std::cell::OnceCell;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::registry::Registry;
use super::room::{Room, clear};
use super::series::{timed, words};
use super::tools::Tools;

/// How often a process is asked for its peak of memory.
const INTERVAL: Duration = Duration::from_millis(1);

/// Where all is measured.
pub(super) struct Site {
    binary: PathBuf,
    // Before the room, which goes after it: it writes there.
    registry: OnceCell<Result<Registry, String>>,
    /// The places of what is measured.
    pub(super) room: Room,
    /// What is measured beside us.
    pub(super) tools: Tools,
    /// How often each takes its turn, and how often where nothing is cached.
    pub(super) rounds: Rounds,
}

/// How often each takes its turn.
pub(super) struct Rounds {
    pub(super) warm: usize,
    pub(super) cold: usize,
}

/// A pod whose init container is ready to start.
pub(super) struct Pod {
    command: Command,
    volume: PathBuf,
    /// What it must say, so that nothing else is measured.
    says: Option<&'static str>,
}

/// A pod whose init container has ended well.
pub(super) struct Built {
    /// How long it took.
    pub(super) time: Duration,
    /// What it and its tools said.
    pub(super) story: String,
    volume: PathBuf,
}

impl Site {
    /// With all that is at hand.
    pub(super) fn new(binary: &Path, room: Room, rounds: usize) -> anyhow::Result<Self> {
        let tools = Tools::find()?;
        let rounds = Rounds { warm: rounds.max(1), cold: rounds.clamp(1, 3) };
        Ok(Site { binary: binary.to_owned(), room, tools, rounds, registry: OnceCell::new() })
    }

    /// The cluster's registry; started when it is first asked for.
    pub(super) fn registry(&self) -> Result<&Registry, String> {
        let start = || Registry::start(&self.room.fresh_dir("registry")?);
        self.registry.get_or_init(|| start().map_err(|reason| words(&reason))).as_ref().map_err(String::clone)
    }

    /// A tool, as one would start it without us.
    pub(super) fn tool(&self, program: &str) -> Command {
        let mut tool = Command::new(program);
        tool.env("PATH", self.tools.path()).env("TMPDIR", self.room.tmp()).stdin(Stdio::null());
        tool
    }

    /// A pod of a function, on a new volume, with nothing cached.
    pub(super) fn pod(&self, function: &Path) -> Pod {
        let volume = self.room.fresh("volume");
        let mut command = self.tool(&self.binary.display().to_string());
        command.arg("build").arg(function).arg("--volume").arg(&volume);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("INJECTOR_") {
                command.env_remove(name);
            }
        }
        command.env("INJECTOR_TERMINATION_LOG", self.room.tmp().join("termination-log"));
        Pod { command, volume, says: None }
    }

    /// A function's files, copied to where they may be changed.
    pub(super) fn copy(&self, from: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let to = self.room.fresh(name);
        timed(Command::new("cp").arg("-r").arg(from).arg(&to))?;
        Ok(to)
    }
}

impl Pod {
    /// With a variable.
    pub(super) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// It gets the whole function from a cache, or it fails.
    pub(super) fn restores(mut self) -> Self {
        self.says = Some("(cached)");
        self
    }

    /// It gets the dependencies from a cache, or it fails.
    pub(super) fn restores_dependencies(mut self) -> Self {
        self.says = Some("(deps cached)");
        self
    }

    /// With the node's cache.
    pub(super) fn node(self, dir: &Path) -> Self {
        self.with("INJECTOR_CACHE_DIR", dir)
    }

    /// With the cluster's cache.
    pub(super) fn cluster(self, repository: &str) -> Self {
        self.with("INJECTOR_CACHE_REGISTRY", repository)
    }

    /// Where its function is published.
    pub(super) fn volume(&self) -> &Path {
        &self.volume
    }

    /// Starts it beside others.
    pub(super) fn start(&mut self) -> anyhow::Result<Child> {
        Ok(self.command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    /// Lets it run.
    pub(super) fn build(mut self) -> anyhow::Result<Built> {
        let (time, story) = timed(&mut self.command)?;
        let built = Built { time, story, volume: self.volume };
        if self.says.is_some_and(|says| !built.story.contains(says)) {
            let last = built.story.lines().last().unwrap_or_default().to_owned();
            built.clear();
            bail!("the build was no restore: {last}");
        }
        Ok(built)
    }

    /// Lets it run, and says its peak of memory in MiB; it alone, without the tools that it starts.
    pub(super) fn peak(mut self) -> anyhow::Result<f64> {
        let mut child = self.start()?;
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let mut peak = 0.0_f64;
        let ended = loop {
            // Gone with the process's memory, a moment before the process.
            peak = peak.max(high_water(&status).unwrap_or(0.0));
            if let Some(ended) = child.try_wait()? {
                break ended;
            }
            sleep(INTERVAL);
        };
        clear(&self.volume);
        ensure!(ended.success(), "injector: {ended}");
        Ok(peak / 1024.0)
    }

    /// Lets it run for its time alone.
    pub(super) fn time(self) -> anyhow::Result<Duration> {
        let built = self.build()?;
        let time = built.time;
        built.clear();
        Ok(time)
    }
}

impl Built {
    /// What it has published.
    pub(super) fn tree(&self) -> anyhow::Result<PathBuf> {
        self.volume.join("function").canonicalize().context("no function was published")
    }

    /// Lets go of its volume.
    pub(super) fn clear(self) {
        clear(&self.volume);
    }
}

/// A process's peak of memory in KiB, as the kernel counts it.
fn high_water(status: &Path) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?.parse().ok()
}
