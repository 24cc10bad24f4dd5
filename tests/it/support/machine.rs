//! What this machine has for tests: interpreters, privileges, small file systems, control groups.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub(crate) use super::skip::skip;

/// An interpreter: its directory, and its version as `3.12`.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    /// The directory that holds `python3`.
    pub(crate) bin: PathBuf,
    /// Major and minor.
    pub(crate) version: String,
}

/// The interpreter behind `python3` on PATH, past any version manager.
pub(crate) fn python() -> Option<Python> {
    static FOUND: OnceLock<Option<Python>> = OnceLock::new();
    let found = FOUND.get_or_init(|| ask(Command::new("python3")));
    if found.is_none() {
        skip("python", "there is no python3 on PATH");
    }
    found.clone()
}

/// An interpreter with pip that every user may run.
pub(crate) fn public_python() -> Option<Python> {
    let own = python()?;
    let system = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
    let found = [own.bin].into_iter().chain(system).find_map(|bin| {
        let mut command = Command::new(bin.join("python3"));
        command.uid(STRANGER).gid(0).env("PYTHONDONTWRITEBYTECODE", "1");
        ask(command)
    });
    if found.is_none() {
        skip("public-python", "no python3 can be run by another user");
    }
    found
}

/// An interpreter of another version than [`python`].
pub(crate) fn other_python() -> Option<Python> {
    let own = python()?;
    // Beside it, as version managers have them: `<versions>/3.12.1/bin`.
    let versions = own.bin.ancestors().nth(2).map(fs::read_dir);
    let beside = versions.into_iter().flatten().flatten().flatten();
    let beside = beside.map(|entry| entry.path().join("bin/python3"));
    let named = (9..20).map(|minor| PathBuf::from(format!("python3.{minor}")));
    let found = beside
        .chain(named)
        .filter_map(|program| ask(Command::new(program)))
        .find(|found| found.version != own.version && supported(&found.version));
    if found.is_none() {
        skip("other-python", "there is one version of Python only");
    }
    found
}

/// A user who owns nothing.
pub(crate) const STRANGER: u32 = 2000;

fn supported(version: &str) -> bool {
    version
        .strip_prefix("3.")
        .and_then(|minor| minor.parse().ok())
        .is_some_and(|minor: u32| (9..=14).contains(&minor))
}

fn ask(mut command: Command) -> Option<Python> {
    let script = "import sys, pip; print(sys.executable, '%d.%d' % sys.version_info[:2])";
    let output = command.args(["-c", script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (program, version) = text.trim().rsplit_once(' ')?;
    let bin = Path::new(program).parent()?.to_owned();
    bin.join("python3").exists().then(|| Python { bin, version: version.to_owned() })
}

/// Whether this test may mount and become somebody else.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("root", "this needs another user's rights");
    }
    root
}

/// Whether this test may mount in a namespace of its own.
pub(crate) fn may_mount() -> bool {
    let status = Command::new("unshare").args(["--mount", "true"]).status();
    let may = is_root() && status.is_ok_and(|status| status.success());
    if !may {
        skip("mount", "no mount namespace can be made");
    }
    may
}

/// A tmpfs of its own, unmounted with the value.
#[derive(Debug)]
pub(crate) struct Mounted(pub(crate) PathBuf);

impl Mounted {
    /// Mounts one with these options; `None` where nobody may mount.
    pub(crate) fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        if !is_root() {
            return None;
        }
        fs::create_dir_all(at).expect("a directory");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Mounted(at.to_owned()));
        }
        skip("mount", "tmpfs cannot be mounted");
        None
    }

    /// Changes the options.
    pub(crate) fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).status();
        assert!(status.expect("mount runs").success(), "{options}");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A control group of version 1 with a limit, removed with the value.
#[derive(Debug)]
pub(crate) struct Group(PathBuf);

impl Group {
    /// One that may use this many bytes of memory.
    pub(crate) fn of_memory(bytes: u64) -> Option<Self> {
        Group::limited("memory", "memory.limit_in_bytes", bytes)
    }

    /// One that may use one processor.
    pub(crate) fn of_one_processor() -> Option<Self> {
        Group::limited("cpu", "cpu.cfs_quota_us", 100_000)
    }

    /// Makes one below the group of this process.
    fn limited(controller: &str, limit: &str, value: u64) -> Option<Self> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let line = format!(":{controller}:");
        let own = groups.lines().find_map(|group| group.split_once(&line)).map_or("/", |(_, path)| path);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("injector-test-{}-{count}", std::process::id());
        let mount = Path::new("/sys/fs/cgroup").join(controller);
        let parent = [mount.join(own.trim_start_matches('/')), mount];
        let made = parent
            .into_iter()
            .map(|parent| parent.join(&name))
            .find(|dir| fs::create_dir(dir).is_ok() && fs::write(dir.join(limit), value.to_string()).is_ok());
        if made.is_none() {
            skip("cgroup", &format!("no {controller} group of version 1 can be made here"));
        }
        made.map(Group)
    }

    /// What a process writes itself to, to join.
    pub(crate) fn members(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
