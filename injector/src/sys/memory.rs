//! What the kernel says about this container's memory: its limit, its peak, and who was killed.

use std::io;
use std::path::{Path, PathBuf};

/// Facts about a control group's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The lowest limit that applies, in bytes; `None` if there is none.
    pub(crate) limit: Option<u64>,
    /// The most that was ever in use, in bytes; `None` before Linux 5.19 with version 2.
    pub(crate) peak: Option<u64>,
    /// How many processes were killed for want of memory, since the group exists.
    pub(crate) oom_kills: u64,
}

/// The facts about our own control group; `None` if it keeps no account of memory.
pub(crate) fn facts() -> Option<Facts> {
    facts_under(Path::new("/"))
}

/// The facts, with `/proc` and `/sys` looked for in another place.
pub(super) fn facts_under(root: &Path) -> Option<Facts> {
    let groups = fs_err::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounts = root.join("sys/fs/cgroup");
    // Where both versions are mounted, the one that has the memory controller is version 1.
    let (version, path) = groups
        .lines()
        .find_map(|line| V1.path(line))
        .map(|path| (V1, path))
        .or_else(|| {
            groups
                .lines()
                .find_map(|line| V2.path(line))
                .map(|path| (V2, path))
        })?;
    version.read(&mounts.join(version.mount), path)
}

/// A version of the control groups: where it is mounted and what its files are called.
///
/// Version 2: <https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files>, version
/// 1: <https://docs.kernel.org/admin-guide/cgroup-v1/memory.html>.
struct Version {
    controller: &'static str,
    mount: &'static str,
    events: &'static str,
    limit: &'static str,
    peak: &'static str,
}

const V1: Version = Version {
    controller: "memory",
    mount: "memory",
    events: "memory.oom_control",
    limit: "memory.limit_in_bytes",
    peak: "memory.max_usage_in_bytes",
};

const V2: Version = Version {
    controller: "",
    mount: "",
    events: "memory.events",
    limit: "memory.max",
    peak: "memory.peak",
};

/// Version 1 says "no limit" by the greatest number of whole pages, version 2 by `max`.
const NO_LIMIT: u64 = 1 << 62;

impl Version {
    /// The group's path in a line of `/proc/self/cgroup`, `<hierarchy>:<controllers>:<path>`.
    fn path<'a>(&self, line: &'a str) -> Option<&'a str> {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let path = fields.next()?;
        controllers
            .split(',')
            .any(|name| name == self.controller)
            .then_some(path)
    }

    fn read(&self, mount: &Path, path: &str) -> Option<Facts> {
        // In a container the path may be the host's, while the mount shows the container's group
        // as its root.
        let own: PathBuf = mount.join(path.trim_start_matches('/'));
        let (dir, events) = [own.as_path(), mount]
            .into_iter()
            .find_map(|dir| Some((dir, text(&dir.join(self.events)).ok()?)))?;
        let limit = dir
            .ancestors()
            .take_while(|dir| dir.starts_with(mount))
            .filter_map(|dir| number(&dir.join(self.limit)))
            .filter(|limit| *limit < NO_LIMIT)
            .min();
        let oom_kills = events
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())?;
        Some(Facts {
            limit,
            peak: number(&dir.join(self.peak)),
            oom_kills,
        })
    }
}

fn number(path: &Path) -> Option<u64> {
    text(path).ok()?.trim().parse().ok()
}

fn text(path: &Path) -> io::Result<String> {
    fs_err::read_to_string(path)
}
