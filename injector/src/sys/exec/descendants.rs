//! All that a tool has started, wherever it went: found through `/proc`, reaped where orphaned.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, getpgrp, getpid, waitid};

/// The descendants that still run, `main` among them while it does.
///
/// As a subreaper we inherit every orphan, so that nothing leaves this tree: neither by `setsid`
/// nor by a double fork. Orphans that have ended are reaped on the way; `main` is not, its status
/// belongs to whoever started it.
pub(super) fn alive(main: Option<Pid>) -> io::Result<Vec<Pid>> {
    // The kernel's word, cheaper than a walk: where there is no child, there is no descendant.
    if let Err(Errno::CHILD) = waitid(WaitId::All, PEEK) {
        return Ok(Vec::new());
    }
    let processes = processes()?;
    let mut family: Vec<&Process> = processes.iter().filter(|process| process.is_ours()).collect();
    let mut next = 0;
    while let Some(parent) = family.get(next).map(|process| process.pid) {
        family.extend(processes.iter().filter(|process| process.parent == Some(parent)));
        next += 1;
    }
    Ok(family
        .into_iter()
        .filter(|process| !process.ended || !reaped(process, main))
        .map(|process| process.pid)
        .collect())
}

/// Reaps the orphans that have ended; cheap if there is none.
pub(super) fn reap(main: Option<Pid>) {
    if let Ok(Some(_)) = waitid(WaitId::All, PEEK) {
        // What fails now is tried again, and reported, when the tool has ended.
        let _ = alive(main);
    }
}

const REAP: WaitIdOptions = WaitIdOptions::EXITED.union(WaitIdOptions::NOHANG);
const PEEK: WaitIdOptions = REAP.union(WaitIdOptions::NOWAIT);

/// Whether an ended process is gone. One with a parent of its own is that parent's to reap, and
/// ours once the parent has ended.
fn reaped(process: &Process, main: Option<Pid>) -> bool {
    if process.parent != Some(getpid()) {
        return true;
    }
    // Threads may outlive a process's first one: then there is nothing to reap yet.
    Some(process.pid) != main && matches!(waitid(WaitId::Pid(process.pid), REAP), Ok(Some(_)) | Err(_))
}

struct Process {
    pid: Pid,
    parent: Option<Pid>,
    group: Option<Pid>,
    ended: bool,
}

impl Process {
    /// Whether it is a child of ours, and a tool's. A tool starts in a group of its own: what is in
    /// our group was started by others in this process, for example by tests in other threads. As
    /// PID 1 there are no others, and a process that joined our group did so to escape.
    fn is_ours(&self) -> bool {
        self.parent == Some(getpid()) && (getpid() == Pid::INIT || self.group != Some(getpgrp()))
    }

    /// Reads `/proc/<pid>/stat`: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>.
    fn parse(pid: Pid, stat: &[u8]) -> Option<Self> {
        // The second field, the name in parentheses, may hold anything.
        let name_end = stat.iter().rposition(|byte| *byte == b')')?;
        let mut fields = str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace();
        let state = fields.next()?;
        Some(Process {
            pid,
            ended: matches!(state, "Z" | "X"),
            parent: Pid::from_raw(fields.next()?.parse().ok()?),
            group: Pid::from_raw(fields.next()?.parse().ok()?),
        })
    }
}

fn processes() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry.file_name().to_str().and_then(|name| Pid::from_raw(name.parse().ok()?));
        // A process may end while we look.
        let stat = pid.and_then(|pid| Some((pid, fs_err::read(entry.path().join("stat")).ok()?)));
        found.extend(stat.and_then(|(pid, stat)| Process::parse(pid, &stat)));
    }
    Ok(found)
}
