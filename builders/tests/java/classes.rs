//! What is said of class files: real ones, which the fixtures' recordings hold, and garbage.

#![expect(clippy::disallowed_methods, reason = "a test may read files")]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use builders::plan::Step;

use super::support::advice;
use super::{function, java, plan};

const HELLO: &str = "//- Hello.java\n";

/// What is said of a class file for a handler.
fn inspected(handler: &str, bytes: Option<&[u8]>) -> String {
    static STEP: LazyLock<Step> = LazyLock::new(|| plan("Hello.run", HELLO).verify.remove(0));
    let found = java().inspect(&STEP, bytes, &function(handler, HELLO));
    found.iter().map(advice).collect::<Vec<_>>().join("\n")
}

/// The class file of a fixture.
fn class(fixture: &str) -> Vec<u8> {
    let case =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/java").join(fixture).join("recorded");
    let steps = fs::read_dir(&case).expect("recordings").map(|entry| entry.expect("an entry").path());
    let file = steps.map(|step| step.join("files/out/classes/Hello.class")).find(|file| file.exists());
    fs::read(file.expect("a class file")).expect("it can be read")
}

#[test]
fn a_class_file_tells_whether_the_server_can_call_the_handler() {
    assert_eq!(inspected("Hello.handler", Some(&class("missing-method"))), "");
    assert_eq!(
        inspected("Hello.handler", Some(&class("hello"))),
        "",
        "static, in a class that is not public"
    );
    let found = inspected("Hello.run", Some(&class("missing-method")));
    assert_eq!(
        found,
        "Hello.java: `run` is not defined | the class has handler (line 6); name one of them, or write `run`"
    );
    let found = inspected("Hello.handler", Some(&class("wrong-signature")));
    assert!(
        found.starts_with("Hello.java:5: `handler` takes (Map, String[]), not (Event, Context) | write `"),
        "{found}"
    );
    let found = inspected("Hello.handler", Some(&class("no-constructor")));
    assert!(
        found.starts_with("Hello.java:7: `Hello` has no public constructor without parameters"),
        "{found}"
    );
    assert!(inspected("Hello.handler", None).starts_with("Hello.java: the file has no class `Hello`"));
}

#[test]
fn garbage_is_no_class_file_and_nothing_panics() {
    let whole = class("no-constructor");
    for length in 0..whole.len() {
        let found = inspected("Hello.handler", Some(&whole[..length]));
        assert!(!found.is_empty(), "the first {length} bytes are taken for a class");
    }
    for index in 0..whole.len() {
        for byte in [0x00, 0x7f, 0xff] {
            let mut broken = whole.clone();
            broken[index] = byte;
            inspected("Hello.handler", Some(&broken));
        }
    }
}
