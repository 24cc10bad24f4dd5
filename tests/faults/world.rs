//! Where pods run: functions, tools that cost nothing, disks of a few megabytes, and the trees that should come of it.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};

use super::chance::Chance;

/// How long a pod may take: a registry that stalls costs twice ten seconds.
const PATIENCE: Duration = Duration::from_mins(2);
/// How large a disk is.
const DISK: &str = "size=48m,mode=0777";
/// How many editions of a function there are.
pub(crate) const EDITIONS: usize = 2;
/// What functions ask for, and of how many files of which size that is.
pub(crate) const PACKAGES: [(&str, usize, usize); 5] =
    [("none", 0, 0), ("small", 3, 400), ("many", 120, 3000), ("large", 7, 600_000), (CRATE, 40, 2000)];
/// What a function in Rust asks for: cargo leaves more than a tree of dependencies, and goes by files' times.
const CRATE: &str = "crate";
/// What directories of worlds are called, before the process' number.
const NAME: &str = "injector-faults-";
/// The disks.
pub(crate) const DISKS: [&str; 3] = ["volumes", "cache", "tmp"];

/// An interpreter, pip and a compiler in one, which cost nothing; `@/` is where the world is.
const PYTHON: &str = r#"#!/bin/sh
case "$*" in
'-I -B -c '*)
    echo '{"version":"3.12.4","facts":{"implementation":"cpython","pip":"24.0","leans-on":"@/bin"}}' ;;
*'/pip.py install '*)
    for last; do case "$before" in --target) deps=$last ;; -r) file=$last ;; esac; before=$last; done
    read -r package <"$file"
    cp -a "@/packages/$package/." "$deps" ;;
esac
"#;
const RUSTC: &str = "#!/bin/sh\necho release: 1.95.0\necho host: x86_64-unknown-linux-gnu\n";
/// The program that it makes holds all that is needed to make it.
const CARGO: &str = r#"#!/bin/sh
[ "$1" = -vV ] && { echo release: 1.95.0; exit; }
for last; do case "$before" in --manifest-path) crate=${last%/*} ;; esac; before=$last; done
case "$1" in
fetch)
    mkdir -p "$CARGO_HOME/registry"
    cp -a "@/packages/crate/crate/." "$CARGO_HOME/registry"
    echo 'version = 4' >"$crate/Cargo.lock" ;;
metadata) echo '{"packages":[],"workspace_members":[],"resolve":{"nodes":[],"root":null}}' ;;
build)
    dir=$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release
    mkdir -p "$dir"
    cat "$crate/hello.rs" "$crate/Cargo.lock" "$CARGO_HOME"/registry/part-*/* >"$dir/kubeless-function"
    chmod +x "$dir/kubeless-function" ;;
esac
"#;
const MANIFEST: &str = "lib.path = \"hello.rs\"\n[package]\nname = \"hello\"\nversion = \"1.0.0\"\n\
                        [dependencies]\ncrate = \"1\"\n";

/// A machine, with functions on it.
pub(crate) struct World {
    home: PathBuf,
    binary: PathBuf,
    mounted: usize,
    runs: AtomicUsize,
    /// What is published of a function in an edition where there is no cache.
    right: BTreeMap<(usize, usize), Tree>,
    /// How long that takes.
    pub(crate) typical: Duration,
}

/// A published tree, the receipt aside.
pub(crate) type Tree = BTreeMap<String, Entry>;

/// What has a name in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A directory.
    Dir,
    /// A link, with its text.
    Link(PathBuf),
    /// A file, with its mode.
    File(u32, Vec<u8>),
}

/// A pod that runs.
pub(crate) struct Running {
    child: Child,
    dir: PathBuf,
    begun: Instant,
}

/// How a pod ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit status; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Its termination message.
    pub(crate) message: String,
    /// Its story.
    pub(crate) stderr: String,
    /// Whether it had to be stopped.
    pub(crate) hung: bool,
    /// How long it took.
    pub(crate) took: Duration,
}

impl World {
    /// Furnishes one, and builds every function without a cache.
    pub(crate) fn new(binary: &Path) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        clear_left_overs();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir().join(format!("{NAME}{}-{count}", getpid()));
        let binary = binary.canonicalize().expect("the injector is there");
        for dir in ["bin", "run"].iter().chain(&DISKS) {
            fs::create_dir_all(home.join(dir)).expect("a directory");
        }
        let mut world = World {
            home,
            binary,
            mounted: 0,
            runs: AtomicUsize::new(0),
            right: BTreeMap::new(),
            typical: Duration::ZERO,
        };
        world.mount();
        world.furnish();
        for function in 0..PACKAGES.len() {
            for edition in 0..EDITIONS {
                let ended = world.start(function, edition, "right", &[]).wait();
                assert_eq!(ended.code, Some(0), "without a cache: {}\n{}", ended.message, ended.stderr);
                let tree = world.published("right").expect("it is readable").expect("it is published");
                world.right.insert((function, edition), tree);
                world.typical = world.typical.max(ended.took);
                world.clear("volumes");
            }
        }
        world
    }

    /// Gives each disk a file system of its own, where that is allowed.
    fn mount(&mut self) {
        for disk in DISKS {
            let at = self.home.join(disk);
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&at).stderr(Stdio::null());
            self.mounted += usize::from(mount.status().is_ok_and(|status| status.success()));
        }
    }

    /// Whether disks can be full.
    pub(crate) fn has_disks(&self) -> bool {
        self.mounted == DISKS.len()
    }

    fn furnish(&self) {
        let mut chance = Chance::of(1, 1);
        for (number, (package, files, size)) in PACKAGES.iter().enumerate() {
            let dir = self.home.join("packages").join(package);
            for file in 0..*files {
                let inner = dir.join(package).join(format!("part-{}", file % 7));
                fs::create_dir_all(&inner).expect("a directory");
                fs::write(inner.join(format!("{file}.py")), chance.bytes(*size)).expect("written");
            }
            if *files > 0 {
                let program = dir.join(package).join("program");
                fs::write(&program, "#!/bin/sh\n").expect("written");
                fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("a mode");
                std::os::unix::fs::symlink("program", dir.join(package).join("link")).expect("a link");
                fs::create_dir(dir.join("empty")).expect("a directory");
            }
            for edition in 0..EDITIONS {
                let source = self.source(number, edition);
                fs::create_dir_all(&source).expect("a directory");
                let put = |name: &str, text: String| fs::write(source.join(name), text).expect("written");
                if *package == CRATE {
                    put("hello.rs", format!("pub fn hello() -> u32 {{ {edition} }}\n"));
                    put("Cargo.toml", MANIFEST.to_owned());
                    continue;
                }
                put("hello.py", format!("def hello(event, context):\n    return {edition}\n"));
                if *files > 0 {
                    put("requirements.txt", format!("{package}\n"));
                }
            }
        }
        for (name, script) in [("python3", PYTHON), ("rustc", RUSTC), ("cargo", CARGO)] {
            let file = self.home.join("bin").join(name);
            fs::write(&file, script.replace("@/", &format!("{}/", self.home.display()))).expect("written");
            fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("a mode");
        }
    }

    fn source(&self, function: usize, edition: usize) -> PathBuf {
        self.home.join(format!("source-{function}-{edition}"))
    }

    /// A directory on a disk.
    pub(crate) fn dir(&self, disk: &str, name: &str) -> PathBuf {
        self.home.join(disk).join(name)
    }

    /// Leaves nothing on a disk.
    pub(crate) fn clear(&self, disk: &str) {
        for entry in fs::read_dir(self.home.join(disk)).into_iter().flatten().flatten() {
            let _ = if entry.path().is_dir() && !entry.path().is_symlink() {
                fs::remove_dir_all(entry.path())
            } else {
                fs::remove_file(entry.path())
            };
        }
    }

    /// Fills a disk so that this many bytes are left.
    pub(crate) fn fill(&self, disk: &str, left: u64) {
        let dir = self.home.join(disk);
        let stat = rustix::fs::statvfs(&dir).expect("a file system");
        let free = stat.f_bavail * stat.f_frsize;
        if let Some(size) = free.checked_sub(left) {
            let ballast = File::create(dir.join("ballast")).expect("a file");
            rustix::fs::fallocate(&ballast, rustix::fs::FallocateFlags::empty(), 0, size).expect("room");
        }
    }

    /// Undoes that.
    pub(crate) fn relieve(&self, disk: &str) {
        let _ = fs::remove_file(self.home.join(disk).join("ballast"));
    }

    /// Starts a pod with a volume of this name.
    pub(crate) fn start(
        &self,
        function: usize,
        edition: usize,
        volume: &str,
        env: &[(&str, &str)],
    ) -> Running {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let dir = self.home.join(format!("run/{run}"));
        fs::create_dir(&dir).expect("a directory");
        let file = |name: &str| File::create(dir.join(name)).expect("a file");
        file("log");
        let mut command = Command::new(&self.binary);
        command
            .arg("build")
            .env_clear()
            .env("PATH", format!("{}/bin:/usr/bin:/bin", self.home.display()))
            .env("HOME", "/")
            .env("TMPDIR", self.home.join("tmp"))
            .env("INJECTOR_SOURCE", self.source(function, edition))
            .env("FUNC_HANDLER", "hello.hello")
            .env("INJECTOR_PYTHON_INSTALLER", "pip")
            .env("KUBELESS_INSTALL_VOLUME", self.dir("volumes", volume))
            .env("INJECTOR_TERMINATION_LOG", dir.join("log"))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .process_group(0);
        Running { child: command.spawn().expect("the injector starts"), dir, begun: Instant::now() }
    }

    /// Ends what the tools of a killed pod still do: in a container, the kernel would.
    pub(crate) fn sweep(&self) {
        let mark = self.home.display().to_string();
        loop {
            let left: Vec<Pid> = fs::read_dir("/proc")
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
                .filter(|pid| *pid != getpid())
                .filter(|pid| {
                    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                    environ.windows(mark.len()).any(|part| part == mark.as_bytes())
                })
                .collect();
            if left.is_empty() {
                return;
            }
            for pid in left {
                let _ = kill_process(pid, Signal::KILL);
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// What is published on a volume; none where nothing is.
    pub(crate) fn published(&self, volume: &str) -> Result<Option<Tree>, String> {
        let link = self.dir("volumes", volume).join("function");
        if !link.is_symlink() {
            return Ok(None);
        }
        let root =
            link.canonicalize().map_err(|error| format!("the link `function` leads nowhere: {error}"))?;
        let mut tree = read(&root, "");
        // What is mounted is reached by links that lead out of the volume.
        let mounted: Vec<String> = tree
            .iter()
            .filter(|(_, entry)| matches!(entry, Entry::Link(to) if to.is_absolute()))
            .map(|(name, _)| name.clone())
            .collect();
        for name in mounted {
            let to =
                root.join(&name).canonicalize().map_err(|error| format!("{name} leads nowhere: {error}"))?;
            tree.insert(name.clone(), Entry::Dir);
            tree.extend(read(&to, &format!("{name}/")));
        }
        // Written when all else is there.
        match tree.remove("receipt.json") {
            Some(Entry::File(_, bytes)) if bytes.ends_with(b"}\n") || bytes.ends_with(b"}") => Ok(Some(tree)),
            _ => Err("what is published has no receipt".to_owned()),
        }
    }

    /// How what is published differs from what it should be.
    pub(crate) fn difference(&self, function: usize, edition: usize, tree: &Tree) -> Option<String> {
        let right = &self.right[&(function, edition)];
        let names: std::collections::BTreeSet<&String> = right.keys().chain(tree.keys()).collect();
        let differs = names.into_iter().find(|name| right.get(*name) != tree.get(*name))?;
        let said = |entry: Option<&Entry>| match entry {
            None => "absent".to_owned(),
            Some(Entry::File(mode, bytes)) => format!("a file of mode {mode:o} and {} bytes", bytes.len()),
            Some(other) => format!("{other:?}"),
        };
        Some(format!("{differs} is {}, should be {}", said(tree.get(differs)), said(right.get(differs))))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.sweep();
        remove(&self.home);
    }
}

/// Removes what a run has left that was killed.
fn clear_left_overs() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&entry.path());
        }
    }
}

fn remove(home: &Path) {
    for disk in DISKS {
        let _ = Command::new("umount").arg("-l").arg(home.join(disk)).stderr(Stdio::null()).status();
    }
    let _ = fs::remove_dir_all(home);
}

impl Running {
    /// Whether it has come to its end.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("it can be asked").is_some()
    }

    /// Kills it, with all of its group.
    pub(crate) fn kill(&self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }

    /// Lets it run for a while, if it does not end before.
    pub(crate) fn run_for(&mut self, time: Duration) {
        while self.begun.elapsed() < time && !self.is_over() {
            sleep(Duration::from_micros(500));
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        self.run_for(PATIENCE);
        let hung = !self.is_over();
        if hung {
            self.kill();
        }
        let status = self.child.wait().expect("it ends");
        let took = self.begun.elapsed();
        let read = |name: &str| {
            String::from_utf8_lossy(&fs::read(self.dir.join(name)).unwrap_or_default()).into_owned()
        };
        let (message, stderr) = (read("log"), read("stderr"));
        let _ = fs::remove_dir_all(&self.dir);
        Ended { code: status.code(), message, stderr, hung, took }
    }
}

/// What is below a directory, by path below another.
fn read(root: &Path, below: &str) -> Tree {
    let mut tree = Tree::new();
    walk(root, &mut |path, metadata| {
        let name = format!("{below}{}", path.strip_prefix(root).unwrap_or(path).display());
        let entry = if metadata.is_symlink() {
            Entry::Link(fs::read_link(path).unwrap_or_default())
        } else if metadata.is_dir() {
            Entry::Dir
        } else {
            Entry::File(metadata.permissions().mode() & 0o7777, fs::read(path).unwrap_or_default())
        };
        tree.insert(name, entry);
    });
    tree
}

/// Visits what is below a directory, sorted by name; links are not followed.
pub(crate) fn walk(dir: &Path, visit: &mut dyn FnMut(&Path, &Metadata)) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        // What a pod has just taken away is not there.
        let Ok(metadata) = path.symlink_metadata() else { continue };
        visit(&path, &metadata);
        if metadata.is_dir() {
            walk(&path, visit);
        }
    }
}
