//! The machine: clock, randomness, user, programs on PATH, and how to become one of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{Access, FileType, access, fstat};

use super::{fs, memory};

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The end of some time that begins now.
pub(crate) fn within(time: Duration) -> Instant {
    Instant::now() + time
}

/// Does nothing for a while.
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Sixteen random hexadecimal digits.
pub(crate) fn random_hex() -> io::Result<String> {
    Ok(format!("{:016x}", random()?))
}

/// A number between 0 and 1, by chance.
pub(super) fn chance() -> f64 {
    // Without randomness, all is as likely as anything.
    random().map_or(0.5, |number| f64::from((number >> 32) as u32) / f64::from(u32::MAX))
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

/// How many threads the container's CPU quota allows, at least one. The standard library reads the
/// quotas of cgroup v1 and v2; `nproc` would see the node.
pub(crate) fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The memory that a compiler is given: `rustc` takes up to this for a crate of middling size.
const MEMORY_OF_A_JOB: u64 = 256 << 20;

/// How many compilers may run at once: what the quota allows, as far as memory has room for them.
/// A node's many processors would else be a container's death.
pub(crate) fn jobs() -> usize {
    jobs_within(parallelism(), memory::facts().and_then(|facts| facts.limit))
}

fn jobs_within(threads: usize, memory: Option<u64>) -> usize {
    let room = memory.map_or(u64::MAX, |limit| limit / MEMORY_OF_A_JOB);
    threads.min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
}

/// Who we are, for messages: `UID 1000, GID 0`.
pub(crate) fn user() -> String {
    format!("UID {}, GID {}", rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// The processor's architecture, as the kernel calls it.
pub(crate) fn architecture() -> String {
    rustix::system::uname().machine().to_string_lossy().into_owned()
}

/// What this process writes is readable for everyone, whatever the image's umask.
pub(crate) fn open_umask() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
}

/// The first executable file of this name on `path`, which is written as PATH is.
pub(crate) fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return None;
    }
    path.split(':')
        .filter(|dir| dir.starts_with('/'))
        .map(|dir| Path::new(dir).join(name))
        .find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
}

/// Which start of this machine it is; empty where nobody knows.
pub(crate) fn boot() -> String {
    fs::read_text(Path::new("/proc/sys/kernel/random/boot_id")).unwrap_or_default()
}

/// Ends this process at once, without unwinding.
#[expect(clippy::exit, reason = "a panic hook has nobody to return to, and the main flow may be stuck")]
pub(crate) fn exit(status: u8) -> ! {
    std::process::exit(status.into())
}

/// What a pipe or a file feeds us; `None` where nobody does: at a terminal, and with `/dev/null`.
pub(crate) fn fed() -> io::Result<Option<Vec<u8>>> {
    let input = io::stdin();
    if FileType::from_raw_mode(fstat(&input)?.st_mode) == FileType::CharacterDevice {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    input.lock().take(MOST_FED + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_FED {
        let reason = format!("it has more than {} MiB", MOST_FED >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(Some(bytes))
}

/// The most that we let ourselves be fed with, in bytes: thousands of pods have less.
const MOST_FED: u64 = 32 << 20;

/// Replaces this process; returns only if that fails.
pub(crate) fn become_program(
    program: &Path,
    args: &[OsString],
    env: &BTreeMap<OsString, OsString>,
) -> io::Error {
    Command::new(program).args(args).env_clear().envs(env).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_compilers_run_as_memory_has_room_for() {
        assert_eq!(jobs_within(64, Some(1 << 30)), 4);
        assert_eq!(jobs_within(2, Some(1 << 30)), 2);
        assert_eq!(jobs_within(64, Some(128 << 20)), 1);
        assert_eq!(jobs_within(64, None), 64);
    }

    #[test]
    fn a_program_is_an_executable_file_on_an_absolute_path() {
        let dir = tempfile::tempdir().expect("a directory");
        fs_err::write(dir.path().join("tool"), "").expect("written");
        fs_err::create_dir(dir.path().join("sh")).expect("made");
        let path = format!(".:{}:/bin", dir.path().display());
        assert_eq!(find_program("tool", &path), None, "it is not executable");
        assert_eq!(find_program("sh", &path), Some(PathBuf::from("/bin/sh")), "a directory is no program");
        assert_eq!(find_program("../bin/sh", &path), None);
    }
}
