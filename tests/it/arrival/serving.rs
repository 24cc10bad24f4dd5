//! With the real tools: what arrives in an archive is built and answers, and is built anew only where it changed.

use std::fs;

use rustix::process::Signal;

use super::{base64, mount};
use crate::launch::port;
use crate::support::archive::{Compression, Entry, file, tar, zip};
use crate::support::http;
use crate::support::nodejs::nodes;
use crate::support::packages::tool;
use crate::support::pod::{HELLO, Pod, names};
use crate::support::registry::{Manner, Registry, Scheme};
use crate::support::site::{Answer, Site};

/// Launches what was built, and asks it.
#[track_caller]
fn assert_answers(pod: &Pod, answer: &str) {
    let run = pod.start_as(&["launch"], &[("FUNC_PORT", "0")]);
    assert_eq!(http::get(port(&run), "/").text(), answer);
    run.signal(Signal::TERM);
    run.wait().expect(0, &[]);
}

/// Builds a function from archives of both kinds, by address and in base64, and asks each.
fn assert_arrives_and_answers(pod: &mut Pod, entries: &[Entry], answer: &str) {
    let [zip, tar] = [zip(entries), Compression::Gzip.pack(&tar(entries))];
    for (suffix, bytes) in [("+zip", zip), ("+compressedtar", tar)] {
        mount(pod, "hello", base64(&bytes));
        pod.set("FUNC_CONTENT_TYPE", format!("base64{suffix}"));
        pod.build().expect(0, &["ready: "]);
        assert_answers(pod, answer);

        let site = Site::with(bytes);
        mount(pod, "hello", site.url("", "archive"));
        pod.set("FUNC_CONTENT_TYPE", format!("url{suffix}"));
        pod.build().expect(0, &["ready: "]);
        assert_answers(pod, answer);
    }
}

fn python() -> Option<Pod> {
    let pod = Pod::python()?;
    fs::remove_file(pod.dir("src/hello.py")).expect("removed");
    Some(pod)
}

const PYTHON: &str = "from lib.words import WORD\n\ndef hello(event, context):\n    return WORD\n";
const NODEJS: &str = "module.exports = { hello: () => require('./lib/words').word }\n";

#[test]
fn python_answers_from_archives() {
    let Some(mut pod) = python() else { return };
    let entries = [file("repo/hello.py", PYTHON), file("repo/lib/words.py", "WORD = 'archived'\n")];
    assert_arrives_and_answers(&mut pod, &entries, "archived");
}

#[test]
fn nodejs_answers_from_archives() {
    let Some(mut pod) = nodejs() else { return };
    let entries = [file("hello.js", NODEJS), file("lib/words.js", "exports.word = 'archived'\n")];
    assert_arrives_and_answers(&mut pod, &entries, "archived");
}

fn nodejs() -> Option<Pod> {
    let node = nodes().last()?;
    let pod = Pod::bare(&format!("{}:/usr/bin:/bin", node.path.parent()?.display()));
    Some(pod.with("FUNC_HANDLER", "hello.hello"))
}

#[test]
fn python_answers_with_the_dependencies_of_its_archive() {
    let Some(mut pod) = python() else { return };
    pod.wheel(1);
    mount(&pod, "requirements.txt", "absent-package\n");
    let source = "import demo\n\ndef hello(event, context):\n    return demo.WORD\n";
    let site = Site::with(zip(&[file("hello.py", source), file("requirements.txt", "demo==1.0\n")]));
    pod.set("FUNC_URL", site.url("", "archive"));
    pod.set("FUNC_CONTENT_TYPE", "url+zip+deps");
    pod.build().expect(0, &["1 package"]);
    assert_answers(&pod, "demo");
}

#[test]
fn nodejs_answers_with_the_dependencies_of_its_archive() {
    let (Some(mut pod), Some(_)) = (nodejs(), tool("nodejs", "npm")) else { return };
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let entries = [
        file("hello.js", "exports.hello = () => require('acmegreeting')\n"),
        file("package.json", r#"{"dependencies": {"acmegreeting": "1.0.0"}}"#),
    ];
    let site = Site::with(zip(&entries));
    pod.set("NPM_REGISTRY", registry.url("") + "/npm/");
    pod.set("FUNC_URL", site.url("", "archive"));
    pod.set("FUNC_CONTENT_TYPE", "url+zip+deps");
    pod.build().expect(0, &["1 package"]);
    assert_answers(&pod, "hello");
}

#[test]
fn what_failed_is_repeated_until_the_server_has_something_else() {
    let Some(mut pod) = Pod::fake_pip("true") else { return };
    let site = Site::start(Scheme::Http, |_, before| match before {
        0 | 1 => Answer::File("def hello(:\n".into()),
        _ => Answer::File(HELLO.into()),
    });
    pod.set("FUNC_URL", site.url("", "hello.py"));
    pod.set("FUNC_CONTENT_TYPE", "url");
    let first = pod.build();
    first.expect(61, &["hello.py:1:"]);
    assert!(!pod.calls().is_empty(), "the check ran");
    let second = pod.build();
    assert_eq!((second.code, &second.message), (Some(61), &first.message));
    assert_eq!(pod.calls(), [""; 0], "what came is the same");
    pod.build().expect(0, &["ready: "]);
    assert_eq!(site.requests(), 3);
}

#[test]
fn dependencies_of_an_archive_are_kept_until_its_dependency_file_changes() {
    let Some(mut pod) = Pod::fake_pip("echo demo >@/volume/.injector/staging/deps/demo.txt") else { return };
    pod.set("INJECTOR_KEEP", pod.dir("keep").display().to_string());
    pod.set("FUNC_CONTENT_TYPE", "base64+zip+deps");
    fs::remove_file(pod.dir("src/hello.py")).expect("removed");
    for (deps, installs) in [("demo\n", true), ("demo\n", false), ("demo>1\n", true)] {
        mount(&pod, "hello", base64(&zip(&[file("hello.py", HELLO), file("requirements.txt", deps)])));
        let ended = pod.build();
        ended.expect(0, &["ready: "]);
        let is_kept = ended.stderr.contains("kept from an earlier build");
        assert_eq!((pod.calls().contains(&"pip".to_owned()), is_kept), (installs, !installs), "{deps}");
    }
}

#[test]
fn a_plan_and_a_dry_run_of_an_archive_leave_nothing() {
    let Some(mut pod) = python() else { return };
    let site = Site::with(zip(&[file("hello.py", HELLO), file("requirements.txt", "# archived\n")]));
    pod.set("FUNC_URL", site.url("", "archive"));
    pod.set("FUNC_CONTENT_TYPE", "url+zip+deps");
    for (args, said) in [
        (&["plan"][..], "hello.py"),
        (&["plan", "--json"], "hello.py"),
        (&["build", "--dry-run"], "ready: python3."),
    ] {
        let ended = pod.run(args);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
        let left = ["volume", "tmp", "src"].map(|dir| names(&pod.dir(dir)));
        assert_eq!(left.concat(), [""; 0], "{args:?}");
    }
    assert_eq!(site.requests(), 3);

    // What is refused, too.
    let broken = Site::with(zip(&[file("../hello.py", HELLO)]));
    pod.set("FUNC_URL", broken.url("", "archive"));
    let dry = pod.run(&["build", "--dry-run"]);
    assert_eq!((dry.code, dry.message.as_str()), (Some(21), ""), "{}", dry.stderr);
    assert!(dry.stdout.contains("../hello.py has `..` in its path"), "{}", dry.stdout);
    assert_eq!(["volume", "tmp"].map(|dir| names(&pod.dir(dir))).concat(), [""; 0]);
}
