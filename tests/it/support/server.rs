//! A function that is being served, by the real server in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::python::{asset, tree};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A function's server; killed when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
    log: Arc<Log>,
    _rooms: TempDir,
}

/// What the server has written to standard error, and whether that has ended.
#[derive(Default)]
struct Log {
    state: Mutex<(String, bool)>,
    changed: Condvar,
}

/// Rooms with the server's files, `source/` and `deps/` as given, and the command that serves from them.
pub(crate) fn command(python: &Path, module: &str, files: &[(&str, &str)]) -> (TempDir, Command) {
    let rooms = tree(files);
    let room = |name: &str| rooms.path().join(name);
    for name in ["source", "deps", "server"] {
        fs::create_dir_all(room(name)).expect("a room");
    }
    for entry in fs::read_dir(asset("server")).expect("the server's files") {
        let from = entry.expect("an entry").path();
        if from.is_file() {
            let name = from.file_name().expect("a file has a name");
            fs::copy(&from, room("server").join(name)).expect("a copy");
        }
    }
    let mut command = Command::new(python);
    command.args(["-I", "-u"]).arg(room("server/kubeless.py"));
    command.arg("--source").arg(room("source"));
    command.arg("--deps").arg(room("deps"));
    let file = format!("{}.py", module.replace('.', "/"));
    command.args(["--file", &file, "--module", module, "--function", "handler"]);
    command.env_clear().env("FUNC_PORT", "0").stdin(Stdio::null()).stderr(Stdio::piped());
    (rooms, command)
}

impl Server {
    /// Serves `handler` of `source/handler.py`.
    pub(crate) fn of(python: &Path, handler: &str) -> Self {
        Self::start(command(python, "handler", &[("source/handler.py", handler)]))
    }

    /// Starts the command, and waits until it listens.
    pub(crate) fn start(command: (TempDir, Command)) -> Self {
        let mut server = Self::spawn(command);
        let line = server.wait_for("listening on :");
        let port = line.split(['\n', ' ']).find(|word| word.starts_with(':'));
        server.port = port.and_then(|word| word[1..].parse().ok()).expect("the line names the port");
        server
    }

    /// Starts the command; where it listens is not known yet.
    pub(crate) fn spawn((rooms, mut command): (TempDir, Command)) -> Self {
        let mut child = command.stdout(Stdio::null()).spawn().expect("the interpreter starts");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let log = Arc::new(Log::default());
        let writer = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut state = writer.state.lock().expect("the log");
                state.0.push_str(&line);
                state.0.push('\n');
                writer.changed.notify_all();
            }
            writer.state.lock().expect("the log").1 = true;
            writer.changed.notify_all();
        });
        Server { port: 0, child, log, _rooms: rooms }
    }

    /// Waits until the log holds `text`; all that it holds then.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let state = self.log.state.lock().expect("the log");
        let pending = |state: &mut (String, bool)| !state.0.contains(text) && !state.1;
        let (state, _) = self.log.changed.wait_timeout_while(state, PATIENCE, pending).expect("the log");
        assert!(state.0.contains(text), "{text:?} is not in the log: {}", state.0);
        state.0.clone()
    }

    /// What the log holds by now.
    pub(crate) fn log(&self) -> String {
        self.log.state.lock().expect("the log").0.clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server runs");
    }

    /// Waits for the end: status and the whole log.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let state = self.log.state.lock().expect("the log");
        let (state, waited) =
            self.log.changed.wait_timeout_while(state, PATIENCE, |state| !state.1).expect("the log");
        assert!(!waited.timed_out(), "the server goes on: {}", state.0);
        let log = state.0.clone();
        drop(state);
        (self.child.wait().expect("the server ends"), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
