//! The JDKs of this machine, and our server compiled by each.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::machine::skip;
use super::python::tree;
use super::server::Server;

/// A JDK to test with.
#[derive(Debug)]
pub(crate) struct Jdk {
    /// The directory that holds `bin/`.
    pub(crate) home: PathBuf,
    /// 17, 25, ….
    pub(crate) version: u32,
    server: OnceLock<TempDir>,
}

/// The JDK of `javac` on PATH, those that `INJECTOR_TEST_JDKS` lists as PATH does, and those in `/usr/lib/jvm`: one for
/// each version.
///
/// Empty, with a line that says so, where there is none, unless `REQUIRE` names java.
pub(crate) fn jdks() -> &'static [Jdk] {
    static FOUND: OnceLock<Vec<Jdk>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let listed = env::var_os("INJECTOR_TEST_JDKS").unwrap_or_default();
        let listed: Vec<_> = env::split_paths(&listed).collect();
        let installed =
            fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten().map(|entry| entry.path());
        let path = env::var_os("PATH").unwrap_or_default();
        let on_path = env::split_paths(&path)
            .map(|bin| bin.join("javac"))
            .find_map(|javac| javac.canonicalize().ok()?.ancestors().nth(2).map(Path::to_owned));
        let homes = listed.into_iter().chain(installed).chain(on_path);
        let found: BTreeMap<_, _> = homes.filter_map(described).map(|jdk| (jdk.version, jdk)).collect();
        if found.is_empty() {
            skip("java", "there is no JDK");
        }
        found.into_values().collect()
    })
}

/// The JDK in a directory, if there is one that we support.
fn described(home: PathBuf) -> Option<Jdk> {
    let text = fs::read_to_string(home.join("release")).ok()?;
    let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
    let version = version.split(['.', '"']).next()?.parse().ok()?;
    let is_jdk = version >= 17 && home.join("bin/javac").is_file();
    is_jdk.then(|| Jdk { home, version, server: OnceLock::new() })
}

impl Jdk {
    /// The class files of API and server.
    fn server(&self) -> &Path {
        let compiled = self.server.get_or_init(|| {
            let dir = tempfile::tempdir().expect("a directory");
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes-config/java");
            let files = ["api", "server"].into_iter().flat_map(|folder| {
                fs::read_dir(root.join(folder))
                    .expect("our files")
                    .map(|entry| entry.expect("an entry").path())
            });
            self.javac(dir.path(), dir.path(), files);
            dir
        });
        compiled.path()
    }

    fn javac(&self, class_path: &Path, to: &Path, files: impl IntoIterator<Item = PathBuf>) {
        let mut command = Command::new(self.home.join("bin/javac"));
        command.args([
            "-J-XX:TieredStopAtLevel=1",
            "-J-XX:+UseSerialGC",
            "-proc:none",
            "-XDignore.symbol.file",
        ]);
        command.arg("-cp").arg(class_path).arg("-d").arg(to).args(files);
        assert!(command.status().expect("javac runs").success(), "{command:?}");
    }

    /// A function's files, compiled, and the command that serves `method` of one of their classes.
    pub(crate) fn command(&self, class: &str, method: &str, files: &[(&str, &str)]) -> (TempDir, Command) {
        let rooms = tree(files);
        let sources = files.iter().map(|(path, _)| rooms.path().join(path));
        let classes = rooms.path().join("classes");
        self.javac(self.server(), &classes, sources);
        let mut command = Command::new(self.home.join("bin/java"));
        let path = format!("{}:{}", self.server().display(), classes.display());
        command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &path, "injector.server.Main"]);
        command.args([class, method, &format!("{class}.{method}")]);
        command.env_clear().env("FUNC_PORT", "0").stdin(Stdio::null()).stderr(Stdio::piped());
        (rooms, command)
    }

    /// Serves a method of the class `Hello`.
    pub(crate) fn serve(&self, method: &str, source: &str) -> Server {
        Server::start(self.command("Hello", method, &[("Hello.java", source)]))
    }
}
