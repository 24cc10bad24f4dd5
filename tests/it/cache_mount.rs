//! A function that lies in a mounted cache: its container reads it there, and nobody takes it away.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use crate::launch::port;
use crate::support::http;
use crate::support::machine::{STRANGER, may_mount, public_python, python};
use crate::support::pod::{Ended, Running, names};
use crate::support::shared::Node;

const HELLO: &str = "import demo\n\ndef hello(event, context):\n    return 'word %d' % demo.WORD\n";
const DAY: Duration = Duration::from_hours(24);

/// A node whose functions lie in its cache.
fn mounted() -> Option<Node> {
    let mut node = Node::python()?;
    node.pod.source("hello.py", HELLO);
    node.pod.set("INJECTOR_CACHE_MODE", "mount");
    Some(node)
}

impl Node {
    /// Starts the main container of a pod.
    fn launch(&self, name: &str) -> Running {
        let volume = self.volume(name).display().to_string();
        self.pod.start_as(&["launch"], &[("FUNC_PORT", "0"), ("KUBELESS_INSTALL_VOLUME", &volume)])
    }

    /// Takes away all that nobody used for a minute, or needs.
    fn collect(&self) -> Ended {
        let ended = self.pod.run(&["cache", "gc", "--max-age", "60"]);
        ended.expect(0, &[]);
        ended
    }

    fn trees(&self) -> Vec<PathBuf> {
        let dir = self.pod.dir("cache/v1/tree");
        names(&dir).iter().map(|name| dir.join(name)).collect()
    }

    /// The trees of which somebody promised that they will be in use.
    fn promised(&self) -> Vec<PathBuf> {
        let is_promised = |tree: &PathBuf| {
            let lease = fs::metadata(tree.join("lease")).and_then(|lease| lease.modified());
            lease.expect("there") > SystemTime::UNIX_EPOCH
        };
        self.trees().into_iter().filter(is_promised).collect()
    }

    /// As if all had been made, used and promised so long ago, and the cache tidied up an hour ago.
    fn pass(&self, time: Duration) {
        let cache = self.pod.dir("cache/v1");
        let leases = self.promised().into_iter().map(|tree| tree.join("lease")).chain(self.trees());
        let records = names(&cache.join("record")).into_iter().map(|name| cache.join("record").join(name));
        for path in leases.chain(records) {
            age(&path, time);
        }
        let collect = cache.join("lock/collect");
        let _ = File::create(&collect);
        age(&collect, Duration::from_hours(1));
    }
}

fn age(path: &Path, time: Duration) {
    let aged = File::open(path).and_then(|file| file.set_modified(SystemTime::now() - time));
    aged.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Launches, and asks the function.
fn serving(node: &Node, name: &str) -> (Running, u16) {
    let run = node.launch(name);
    let port = port(&run);
    assert_eq!(http::get(port, "/").text(), "word 1");
    (run, port)
}

fn end(run: Running) {
    run.signal(Signal::TERM);
    run.wait().expect(0, &[]);
}

#[test]
fn what_runs_is_not_collected_and_what_has_gone_is_told() {
    let Some(node) = mounted() else { return };
    let built = node.build("one");
    built.expect(0, &["ready"]);
    assert!(!built.stderr.contains("warning"), "{}", built.stderr);
    node.build("two").expect(0, &["(cached)"]);
    let promised = node.promised();
    assert!(promised.len() >= 2, "dependencies and function");
    assert!(node.volume("two").join("function/deps").is_symlink());

    // Promised, and nobody runs it yet.
    node.pass(DAY / 2);
    node.collect();
    assert_eq!(node.trees(), promised);

    // The server, which this process became, holds it still.
    let (run, port) = serving(&node, "two");
    node.pass(2 * DAY);
    node.collect();
    assert_eq!(node.trees(), promised);
    assert_eq!(http::get(port, "/").text(), "word 1");
    end(run);
    // A container that comes back finds it: whoever saw that it ran renewed the promise.
    node.collect();
    end(serving(&node, "two").0);

    node.pass(2 * DAY);
    let collected = node.collect();
    assert_eq!(node.trees(), [""; 0].map(PathBuf::from), "{}", collected.stdout);
    node.launch("two").wait().expect(
        72,
        &["E72 launch failed: the function lies in a cache, which has it no more: ", "delete the pod"],
    );
    // Built again, it is there again.
    node.build("one").expect(0, &["ready"]);
    end(serving(&node, "one").0);
}

#[test]
fn the_functions_container_reads_a_cache_that_it_cannot_write_wherever_it_is_mounted() {
    let Some(python) = public_python() else { return };
    let Some(mut node) = mounted() else { return };
    if !may_mount() {
        return;
    }
    let (cache, elsewhere) = (node.pod.dir("cache"), node.pod.dir("elsewhere"));
    fs::create_dir(&elsewhere).expect("a directory");
    node.pod.set("INJECTOR_CACHE_MOUNT", elsewhere.display().to_string());
    node.build("one").expect(0, &["ready"]);
    let promised = node.promised();

    let said = format!("which is not mounted here at {}", elsewhere.display());
    node.launch("one").wait().expect(72, &["E72 launch failed: ", &said, "INJECTOR_CACHE_MOUNT"]);

    let binary = node.pod.dir("bin/injector").display().to_string();
    node.pod.run(&["install", &binary]).expect(0, &[]);
    let inside = format!(
        "mount --bind {} {1} && mount -o remount,bind,ro {1} && mount -t tmpfs tmpfs {0} && ! touch {1}/x 2>/dev/null && \
         shift && exec setpriv --reuid {STRANGER} --regid {STRANGER} --clear-groups -- \"$0\" \"$@\"",
        cache.display(),
        elsewhere.display(),
    );
    node.pod.wrap(&["/usr/bin/unshare", "-m", "--", "/bin/sh", "-c", &inside, &binary]);
    node.pod.set_path(&[&python.bin, Path::new("/usr/bin"), Path::new("/bin")]);
    let (run, port) = serving(&node, "one");
    // What lies on another mount is the same for who tidies up.
    node.pod.wrap(&[]);
    node.pass(2 * DAY);
    node.collect();
    assert_eq!(node.trees(), promised);
    assert_eq!(http::get(port, "/").text(), "word 1");
    end(run);
}

/// Runs a program whose calls of flock are answered as a file system without locks answers them.
const NO_LOCKS: &str = "
import ctypes, os, platform, struct, sys
number = {'x86_64': 73, 'aarch64': 32}[platform.machine()]
def op(code, yes, no, value): return struct.pack('HBBI', code, yes, no, value)
program = op(0x20, 0, 0, 0) + op(0x15, 0, 1, number) + op(0x06, 0, 0, 0x00050000 | 37) + op(0x06, 0, 0, 0x7fff0000)
code = ctypes.create_string_buffer(program, len(program))
class Program(ctypes.Structure): _fields_ = [('length', ctypes.c_ushort), ('code', ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
def check(result): result == 0 or sys.exit('prctl: %d' % ctypes.get_errno())
check(libc.prctl(38, 1, 0, 0, 0))
check(libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, ctypes.addressof(code)))))
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn where_locks_do_not_work_what_was_promised_stays() {
    let (Some(python), Some(mut node)) = (python(), mounted()) else { return };
    node.build("one").expect(0, &["ready"]);
    let promised = node.promised();
    node.pod.set("INJECTOR_CACHE_MODE", "copy");
    node.pod.source("requirements.txt", "other\n");
    node.build("two").expect(0, &["ready"]);
    assert!(!promised.is_empty() && promised == node.promised());

    let python = python.bin.join("python3").display().to_string();
    node.pod.wrap(&[&python, "-I", "-c", NO_LOCKS]);
    let (run, port) = serving(&node, "one");
    node.pass(2 * DAY);
    node.collect();
    assert_eq!(node.trees(), promised);
    assert_eq!(http::get(port, "/").text(), "word 1");
    end(run);
}
