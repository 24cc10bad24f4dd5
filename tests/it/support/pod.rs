//! A pod without a cluster: a mounted function, a volume, `/tmp`, termination logs, and the real binary.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::machine::{self, Python};

/// A pod's directories and environment.
#[derive(Debug)]
pub(crate) struct Pod {
    home: TempDir,
    /// The environment of its containers, PATH aside.
    env: BTreeMap<String, String>,
    path: String,
    user: Option<(u32, u32)>,
    wrapper: Vec<String>,
    runs: AtomicU32,
}

/// How a container ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit status; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Its termination message.
    pub(crate) message: String,
    /// Its data.
    pub(crate) stdout: String,
    /// Its story.
    pub(crate) stderr: String,
}

/// A container that runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    dir: PathBuf,
}

/// A function that needs nothing.
pub(crate) const HELLO: &str = "def hello(event, context):\n    return 'hello'\n";

impl Pod {
    /// With the real interpreter first on PATH, and the function [`HELLO`].
    pub(crate) fn python() -> Option<Self> {
        let python = machine::python()?;
        let pod = Pod::bare(&format!("{}:/usr/bin:/bin", python.bin.display()));
        pod.source("hello.py", HELLO);
        Some(pod.with("FUNC_HANDLER", "hello.hello"))
    }

    /// As [`Pod::python`], with a `python3` that is `pip` when it is started as pip: a script for `sh`
    /// in which `@/` is the pod's directory. Each start but the probes' is noted in `@/calls`.
    pub(crate) fn fake_pip(pip: &str) -> Option<Self> {
        let Python { bin, .. } = machine::python()?;
        let pod = Pod::python()?;
        pod.source("requirements.txt", "demo\n");
        let real = bin.join("python3");
        let script = format!(
            "#!/bin/sh\n\
             case \"$1 $2 $3\" in\n\
             '-I '*'/pip.py install') echo pip >>@/calls\n{pip}\n;;\n\
             '-I -B -c') exec {real} \"$@\" ;;\n\
             *) echo \"$*\" >>@/calls; exec {real} \"$@\" ;;\n\
             esac\n",
            real = real.display()
        );
        pod.tool("python3", &script);
        Some(pod)
    }

    /// With this PATH, and no function.
    pub(crate) fn bare(path: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        for (dir, mode) in [("", 0o755), ("src", 0o755), ("volume", 0o777), ("tmp", 0o777), ("bin", 0o755)] {
            let dir = home.path().join(dir);
            fs::create_dir_all(&dir).expect("a directory");
            fs::set_permissions(&dir, Permissions::from_mode(mode)).expect("a mode");
        }
        let path = format!("{}/bin:{path}", home.path().display());
        let pod = Pod {
            home,
            env: BTreeMap::new(),
            path,
            user: None,
            wrapper: Vec::new(),
            runs: AtomicU32::new(0),
        };
        let [source, volume, tmp] = ["src", "volume", "tmp"].map(|name| pod.dir(name).display().to_string());
        pod.with("INJECTOR_SOURCE", source)
            .with("KUBELESS_INSTALL_VOLUME", volume)
            .with("TMPDIR", tmp)
            .with("HOME", "/")
            .with("INJECTOR_PYTHON_INSTALLER", "pip")
    }

    /// With a variable.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a variable.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.env.insert(name.to_owned(), value.into());
    }

    /// Removes a variable.
    pub(crate) fn unset(&mut self, name: &str) {
        self.env.remove(name);
    }

    /// With this PATH alone.
    pub(crate) fn set_path(&mut self, dirs: &[&Path]) {
        let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        self.path = dirs.join(":");
    }

    /// Its containers run as this user.
    pub(crate) fn run_as(&mut self, uid: u32, gid: u32) {
        self.user = Some((uid, gid));
    }

    /// Its containers are started by this command.
    pub(crate) fn wrap(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
    }

    /// A directory of the pod: `src`, `volume`, `tmp`, `bin`.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What is published.
    pub(crate) fn function(&self) -> PathBuf {
        self.dir("volume").join("function")
    }

    /// Writes a file of the function.
    pub(crate) fn source(&self, name: &str, text: &str) {
        fs::write(self.dir("src").join(name), text).expect("written");
    }

    /// Puts a script on PATH; `@/` is the pod's directory.
    pub(crate) fn tool(&self, name: &str, script: &str) {
        let file = self.dir("bin").join(name);
        let script = script.replace("@/", &format!("{}/", self.home.path().display()));
        // By rename: a script that is open for writing cannot be executed.
        fs::write(file.with_extension("new"), script).expect("written");
        fs::set_permissions(file.with_extension("new"), Permissions::from_mode(0o755)).expect("a mode");
        fs::rename(file.with_extension("new"), file).expect("renamed");
    }

    /// Makes a wheel of the package `demo`, so many bytes large, the only one that pip can find, and has
    /// the function ask for it.
    pub(crate) fn wheel(&mut self, bytes: usize) {
        let script = "import sys, zipfile\n\
                      with zipfile.ZipFile(sys.argv[1] + '/demo-1.0-py3-none-any.whl', 'w') as wheel:\n \
                      def put(name, text): wheel.writestr(name, text)\n \
                      put('demo.py', 'WORD = \"demo\"\\n')\n \
                      put('demo.bin', bytes(int(sys.argv[2])))\n \
                      info = 'demo-1.0.dist-info/'\n \
                      put(info + 'METADATA', 'Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n')\n \
                      put(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n \
                      put(info + 'RECORD', '')\n";
        let python = machine::python().expect("the pod has one");
        let made = Command::new(python.bin.join("python3"))
            .args(["-I", "-c", script])
            .arg(self.dir("bin"))
            .arg(bytes.to_string())
            .status();
        assert!(made.expect("it runs").success());
        self.source("requirements.txt", "demo==1.0\n");
        self.set("PIP_NO_INDEX", "1");
        self.set("PIP_FIND_LINKS", self.dir("bin").display().to_string());
    }

    /// The tools that ran, as [`Pod::fake_pip`] notes them; forgotten then.
    pub(crate) fn calls(&self) -> Vec<String> {
        let file = self.dir("calls");
        let calls = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        calls.lines().map(ToOwned::to_owned).collect()
    }

    /// Runs the injector to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.start(args).wait()
    }

    /// Runs `injector build`.
    pub(crate) fn build(&self) -> Ended {
        self.run(&["build"])
    }

    /// Starts the injector as a container of its own, with a fresh termination log.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        self.start_as(args, &[])
    }

    /// The same with variables of its own.
    pub(crate) fn start_as(&self, args: &[&str], env: &[(&str, &str)]) -> Running {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let dir = self.dir(&format!("run-{run}"));
        fs::create_dir(&dir).expect("a directory");
        let log = dir.join("termination-log");
        // The kubelet makes it before the container starts, writable for everyone.
        fs::write(&log, "").expect("written");
        fs::set_permissions(&log, Permissions::from_mode(0o666)).expect("a mode");
        let file = |name: &str| File::create(dir.join(name)).expect("a file");

        let words = [env!("CARGO_BIN_EXE_injector")].into_iter().chain(args.iter().copied());
        let mut words = self.wrapper.iter().map(String::as_str).chain(words);
        let mut command = Command::new(words.next().expect("a program"));
        command
            .args(words)
            .env_clear()
            .env("PATH", &self.path)
            .env("INJECTOR_TERMINATION_LOG", &log)
            .envs(&self.env)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"));
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        Running { child: command.spawn().expect("the binary starts"), dir }
    }

    /// What lies in `/tmp` and in the volume's private directory, staging and scratch rooms: all of it
    /// should be gone when no container runs.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let private = self.dir("volume/.injector");
        let staging = names(&private).into_iter().filter(|name| name != "lock" && name != "report.json");
        names(&self.dir("tmp")).into_iter().chain(staging).collect()
    }

    /// Asserts what must be so after a build that published nothing.
    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.processes(), []);
        assert_eq!(self.leftovers(), [""; 0]);
        assert!(!self.function().is_symlink() && self.generations().is_empty());
    }

    /// The generations on the volume.
    pub(crate) fn generations(&self) -> Vec<String> {
        names(&self.dir("volume/.builds"))
    }

    /// The processes that have something of this pod in their environment.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let mark = self.home.path().display().to_string();
        let holds = |pid: Pid| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.windows(mark.len()).any(|window| window == mark.as_bytes())
        };
        names(Path::new("/proc"))
            .iter()
            .filter_map(|name| Pid::from_raw(name.parse().ok()?))
            .filter(|pid| holds(*pid))
            .collect()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for pid in self.processes() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Running {
    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("a signal");
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its termination message as it is now.
    pub(crate) fn message(&self) -> String {
        read(&self.dir.join("termination-log"))
    }

    /// Its story as it is now.
    pub(crate) fn stderr(&self) -> String {
        read(&self.dir.join("stderr"))
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let status = self.child.wait().expect("it ends");
        Ended {
            code: status.code(),
            message: self.message(),
            stdout: read(&self.dir.join("stdout")),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} said:\n{}{}", self.dir.display(), self.stderr(), self.message());
        }
    }
}

impl Ended {
    /// Asserts how it ended and what its message holds.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, said: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.message, self.stderr);
        for part in said {
            assert!(self.message.contains(part), "{part:?} is missing:\n{}", self.message);
        }
        self
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_mins(1), "still not: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// The names in a directory, sorted; none if it is absent.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The SHA-256 of a text, in hexadecimal.
pub(crate) fn digest(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// A file's text.
pub(crate) fn read(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
}
