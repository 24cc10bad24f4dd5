//! What the kernel says about this container's memory: its limit, its peak, and who was killed.

use std::fmt;
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

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Some(limit) => write!(f, "limit {} MiB", limit >> 20)?,
            None => f.write_str("no limit")?,
        }
        self.peak.map_or(Ok(()), |peak| write!(f, ", peak {} MiB", peak >> 20))
    }
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
        .or_else(|| groups.lines().find_map(|line| V2.path(line)).map(|path| (V2, path)))?;
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

const V2: Version =
    Version { controller: "", mount: "", events: "memory.events", limit: "memory.max", peak: "memory.peak" };

/// Version 1 says "no limit" by the greatest number of whole pages, version 2 by `max`.
const NO_LIMIT: u64 = 1 << 62;

impl Version {
    /// The group's path in a line of `/proc/self/cgroup`, `<hierarchy>:<controllers>:<path>`.
    fn path<'a>(&self, line: &'a str) -> Option<&'a str> {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let path = fields.next()?;
        controllers.split(',').any(|name| name == self.controller).then_some(path)
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
        let oom_kills =
            events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())?;
        Some(Facts { limit, peak: number(&dir.join(self.peak)), oom_kills })
    }
}

fn number(path: &Path) -> Option<u64> {
    text(path).ok()?.trim().parse().ok()
}

fn text(path: &Path) -> io::Result<String> {
    fs_err::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recorded `/proc/self/cgroup`, and files below `/sys/fs/cgroup`.
    fn facts_of(groups: &str, files: &[(&str, &str)]) -> Option<Facts> {
        let root = tempfile::tempdir().expect("a directory");
        let put = |path: &Path, text: &str| {
            fs_err::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs_err::write(path, text).expect("a file");
        };
        put(&root.path().join("proc/self/cgroup"), groups);
        for (path, text) in files {
            put(&root.path().join("sys/fs/cgroup").join(path), text);
        }
        facts_under(root.path())
    }

    const EVENTS: &str = "low 0\nhigh 0\nmax 812\noom 3\noom_kill 2\noom_group_kill 1\n";

    #[test]
    fn a_container_finds_its_group_at_the_root() {
        let files =
            [("memory.events", EVENTS), ("memory.max", "268435456\n"), ("memory.peak", "268435456\n")];
        let expected = Facts { limit: Some(256 << 20), peak: Some(256 << 20), oom_kills: 2 };
        assert_eq!(facts_of("0::/\n", &files), Some(expected));
        // Without a namespace of its own it sees the host's path.
        assert_eq!(facts_of("0::/kubepods.slice/pod1/ctr.scope\n", &files), Some(expected));
        assert_eq!(facts_of("0::/../other\n", &files), Some(expected));
    }

    #[test]
    fn a_nested_group_obeys_the_lowest_limit_above_it() {
        let files = [
            ("user.slice/memory.max", "1073741824\n"),
            ("user.slice/app.scope/memory.events", "oom 0\noom_kill 0\n"),
            ("user.slice/app.scope/memory.max", "max\n"),
        ];
        let facts = facts_of("0::/user.slice/app.scope\n", &files).expect("facts");
        assert_eq!(facts.limit, Some(1 << 30));
        assert_eq!(facts.peak, None);
        assert_eq!(facts.oom_kills, 0);
    }

    #[test]
    fn version_one_wins_where_it_has_the_controller() {
        let groups = "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/docker/1\n";
        let files = [
            ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.max_usage_in_bytes", "1048576\n"),
        ];
        let expected = Facts { limit: None, peak: Some(1 << 20), oom_kills: 4 };
        assert_eq!(facts_of(groups, &files), Some(expected));
    }

    #[test]
    fn a_machine_without_accounts_of_memory_has_no_facts() {
        assert_eq!(facts_of("0::/\n", &[("cgroup.procs", "1\n")]), None);
        assert_eq!(facts_of("", &[]), None);
    }
}
