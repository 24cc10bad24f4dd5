//! The Node.js versions of this machine, and our files for them.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::python::tree;
use super::server::Server;

/// A `node` to test with.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) path: PathBuf,
    /// Major and minor.
    pub(crate) version: (u32, u32),
}

/// `node` on PATH and in the directories that `INJECTOR_TEST_NODES` lists, as PATH does: one for each version.
///
/// Empty, with a line that says so, where there is none, unless `REQUIRE` names nodejs.
pub(crate) fn nodes() -> &'static [Node] {
    static FOUND: OnceLock<Vec<Node>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let listed = env::var_os("INJECTOR_TEST_NODES").unwrap_or_default();
        let listed = env::split_paths(&listed).map(|folder| folder.join("node"));
        let found = listed.chain([PathBuf::from("node")]).filter_map(described);
        let found: BTreeMap<_, _> = found.map(|node| (node.version, node)).collect();
        if found.is_empty() {
            let required =
                env::var("REQUIRE").is_ok_and(|names| names.split(',').any(|name| name == "nodejs"));
            assert!(!required, "nodejs is required, and there is none");
            eprintln!("SKIP nodejs: not on PATH");
        }
        found.into_values().collect()
    })
}

/// The program with its version, if it runs and is one that we support.
fn described(path: PathBuf) -> Option<Node> {
    let script = "process.stdout.write(process.versions.node + ' ' + process.execPath)";
    let output = Command::new(path).args(["-e", script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (version, path) = text.split_once(' ')?;
    let mut numbers = version.split('.').map(str::parse);
    let version = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (version.0 >= 18).then(|| Node { path: path.into(), version })
}

impl Node {
    /// Whether it takes a file of unknown kind for an ES module if it looks like one.
    ///
    /// <https://nodejs.org/api/packages.html#syntax-detection>
    pub(crate) fn detects_modules(&self) -> bool {
        match self.version {
            (20, minor) => minor >= 19,
            (22, minor) => minor >= 7,
            (major, _) => major > 22,
        }
    }
}

/// One of our files for Node.js.
pub(crate) fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes-config/nodejs").join(name)
}

/// A function's files, and the command that serves `handler` of one of them.
pub(crate) fn command(node: &Node, file: &str, files: &[(&str, &str)]) -> (TempDir, Command) {
    let rooms = tree(files);
    let mut command = Command::new(&node.path);
    command.arg(asset("server/kubeless.cjs")).arg("--root").arg(rooms.path().join("source"));
    command.args(["--file", file, "--function", "handler"]);
    command.env_clear().env("FUNC_PORT", "0").stdin(Stdio::null()).stderr(Stdio::piped());
    (rooms, command)
}

/// Serves `handler` of `source/hello.js`.
pub(crate) fn serve(node: &Node, source: &str) -> Server {
    Server::start(command(node, "hello.js", &[("source/hello.js", source)]))
}
