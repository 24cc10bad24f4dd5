//! The Python helpers of a build (check, probe, compile, conflicts), run by real interpreters.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::python::{answer, asset, interpreters, put, run, tree};

/// What `check.py` says of a folder whose handler is `handler` in `handler.py`, and its exit status.
fn check(python: &Path, dir: &Path) -> (Value, Option<i32>) {
    let script = asset("check.py");
    let args = [Path::new("-I"), Path::new("-S"), Path::new("-W"), Path::new("ignore"), &script, dir];
    let args = args.into_iter().chain([Path::new("handler.py"), Path::new("handler")]);
    answer(&run(python, args))
}

/// Bytes, line, column (`None` where versions disagree), and a part of the message.
type Broken = (&'static [u8], Option<u32>, Option<u32>, &'static str);

const BROKEN: [Broken; 17] = [
    ("x = 1\n\nüü = 1 1\n".as_bytes(), Some(3), Some(8), "invalid syntax"),
    ("# coding: utf-8\nüü = 'ü' 1\n".as_bytes(), Some(2), None, "invalid syntax"),
    (b"\xef\xbb\xbfx = 1 1\n", Some(1), Some(7), "invalid syntax"),
    ("s = '\u{1f600}'; return\n".as_bytes(), Some(1), Some(10), "'return' outside function"),
    ("def f(a): 'üü'; global a\n".as_bytes(), Some(1), Some(17), "name 'a' is parameter and global"),
    (b"# coding: latin-1\ns\xe9 = '\xff'; return\n", Some(2), Some(11), "'return' outside function"),
    (b"x = 1\ns = '\xff'\n", Some(2), Some(6), "'utf-8' codec can't decode byte 0xff"),
    (b"# coding: ascii\n\n\ns = '\xc3\xbc'\n", Some(4), Some(6), "'ascii' codec can't decode byte 0xc3"),
    (b"#!python\n# coding: nonsense\nx = 1\n", Some(2), None, "unknown encoding: nonsense"),
    (b"x = 1\ny = '\0'\n", Some(2), None, "source code string cannot contain null bytes"),
    (b"if 1:\n\tx = 1\n        y = 2\n", Some(3), None, "inconsistent use of tabs and spaces"),
    (b"x = 1\n  y = 2\n", Some(2), None, "unexpected indent"),
    (b"x = 1\ry = 1 1\r", Some(2), None, "invalid syntax"),
    (b"x = f'{a b}'\n", Some(1), None, "invalid syntax"),
    (b"print 'Python 2'\n", Some(1), None, "Missing parentheses in call to 'print'"),
    (b"def f(:\n", Some(1), Some(7), "invalid syntax"),
    (b"x = 1\nbreak\n", Some(2), Some(1), "'break' outside loop"),
];

#[test]
fn each_file_that_does_not_compile_is_named_with_its_line() {
    for python in interpreters() {
        let dir = tree(&[("handler.py", "def handler(event, context): pass\n")]);
        for (index, (bytes, ..)) in BROKEN.iter().enumerate() {
            put(&dir.path().join(format!("pkg/f{index:02}.py")), bytes);
        }
        put(&dir.path().join("good.py"), b"# coding: latin-1\ns = '\xff'\n");
        put(&dir.path().join("not-python.txt"), "x = (");
        put(&dir.path().join("__pycache__/old.py"), "x = (");
        let (answer, status) = check(python, dir.path());
        assert_eq!(status, Some(1));
        assert_eq!(answer["handler"]["state"], "defined");
        let errors = answer["errors"].as_array().expect("a list");
        assert_eq!(errors.len(), BROKEN.len(), "{errors:#?}");
        for (index, (error, (bytes, line, column, message))) in errors.iter().zip(BROKEN).enumerate() {
            assert_eq!(error["file"], format!("pkg/f{index:02}.py"));
            let said = error["message"].as_str().expect("a message");
            assert!(said.contains(message), "{said:?} is not {message:?}");
            assert!(line.is_none() || error["line"] == json!(line), "{error} of {bytes:?}");
            assert!(column.is_none() || error["column"] == json!(column), "{error} of {bytes:?}");
        }
        assert_eq!(errors[0]["source"], "üü = 1 1");
    }
}

#[test]
fn code_that_kills_the_parser_is_one_error_among_the_others() {
    for python in interpreters() {
        let dir = tree(&[("handler.py", "def handler(event, context): pass\n"), ("z.py", "x = (\n")]);
        // Which of them crashes, exhausts a stack or is refused differs from version to version.
        put(&dir.path().join("a.py"), "-".repeat(100_000) + "1\n");
        put(&dir.path().join("b.py"), vec!["1"; 200_000].join("+") + "\n");
        put(&dir.path().join("c.py"), "(".repeat(300) + &")".repeat(300) + "\n");
        put(&dir.path().join("d.py"), "a".to_owned() + &".b".repeat(200_000) + "\n");
        let (answer, status) = check(python, dir.path());
        let errors = answer["errors"].as_array().expect("a list");
        let files: Vec<_> = errors.iter().filter_map(|error| error["file"].as_str()).collect();
        assert_eq!(files, ["a.py", "b.py", "c.py", "d.py", "z.py"], "{}", python.display());
        assert_eq!((status, &answer["handler"]["state"]), (Some(1), &json!("defined")));
        assert!(errors.iter().all(|error| error["message"] != ""));
    }
}

#[test]
fn whether_the_handler_is_there_is_known_without_running_anything() {
    let cases = [
        ("def handler(e, c): pass", "defined"),
        ("async def handler(e, c): pass", "defined"),
        ("class handler: pass", "defined"),
        ("handler = make()", "defined"),
        ("(a, [handler, *b]) = make()", "defined"),
        ("handler: object = 1", "defined"),
        ("if (handler := make()): pass", "defined"),
        ("[(handler := x) for x in y]", "defined"),
        ("for handler in x: pass", "defined"),
        ("with open(x) as handler: pass", "defined"),
        ("try:\n  import handler\nexcept ImportError:\n  pass", "defined"),
        ("if x:\n  pass\nelse:\n  def handler(e, c): pass", "defined"),
        ("import handler.x", "defined"),
        ("import x as handler", "defined"),
        ("from x import handler", "defined"),
        ("from x import y as handler", "defined"),
        ("from x import *", "unknown"),
        ("def __getattr__(name): pass", "unknown"),
        ("globals()['handler'] = 1", "unknown"),
        ("exec('handler = 1')", "unknown"),
        ("def f():\n  global handler\n  handler = 1", "unknown"),
        ("import sys\nsetattr(sys.modules[__name__], 'handler', 1)", "unknown"),
        ("def handler(e, c): pass\ndel handler", "unknown"),
        ("handler: object", "missing"),
        ("import x.handler", "missing"),
        ("def f():\n  handler = 1", "missing"),
        ("class f:\n  def handler(self): pass", "missing"),
        ("[handler for handler in x]", "missing"),
        ("lambda: (handler := 1)", "missing"),
        ("raise SystemExit(5)", "missing"),
    ];
    for python in interpreters() {
        for (source, state) in cases {
            let (answer, status) = check(python, tree(&[("handler.py", source)]).path());
            assert_eq!(answer["handler"]["state"], state, "{source}");
            assert_eq!(status, Some(i32::from(state == "missing")), "{source}");
        }
        let (answer, status) = check(python, tree(&[("handler.py", "x = (")]).path());
        assert_eq!(
            (answer["handler"].clone(), status),
            (json!({"state": "unchecked", "names": []}), Some(1))
        );
    }
}

#[test]
fn what_could_have_been_meant_is_listed() {
    const SOURCE: &str = "from __future__ import annotations
import os
from tools import helper, other as renamed
LIMIT = 3
def Handler(e, c): pass
async def later(e, c): pass
short = lambda e, c: 1
def _private(): pass
if LIMIT:
    class Thing: pass
def later(e, c): pass
";
    for python in interpreters() {
        let (answer, status) = check(python, tree(&[("handler.py", SOURCE)]).path());
        let names =
            [("helper", 3), ("renamed", 3), ("Handler", 5), ("later", 6), ("short", 7), ("Thing", 10)];
        let names = names.map(|(name, line)| json!({"name": name, "line": line}));
        assert_eq!(
            (answer, status),
            (json!({"errors": [], "handler": {"state": "missing", "names": names}}), Some(1))
        );
    }
}

#[test]
fn a_check_that_breaks_is_neither_yes_nor_no() {
    for python in interpreters() {
        let output = run(python, [Path::new("-I"), Path::new("-S"), &asset("check.py")]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stderr.starts_with(b"check.py: "));
    }
}

#[test]
fn the_probe_tells_what_the_interpreter_says_of_itself() {
    const ASK: &str = "import json, platform, sys, sysconfig, pip
print(json.dumps({'version': platform.python_version(), 'facts': {
    'implementation': platform.python_implementation().lower(), 'abi': sysconfig.get_config_var('SOABI'),
    'libc': ' '.join(platform.libc_ver()), 'arch': platform.machine(), 'pip': pip.__version__}}))";
    let text = fs::read_to_string(asset("probe.py")).expect("the probe");
    for python in interpreters() {
        let (asked, _) = answer(&run(python, ["-I", "-c", ASK]));
        let (mut told, status) = answer(&run(python, ["-I", "-c", &text]));
        let leans_on = told["facts"].as_object_mut().expect("facts").remove("leans-on");
        assert_eq!((told, status), (asked, Some(0)));
        // Of another C library, or after `pip install --upgrade pip`, it would say something else.
        let leans_on = leans_on.expect("files").as_str().expect("text").to_owned();
        for file in ["/libc.so.6", "/pip/__init__.py"] {
            assert!(leans_on.lines().any(|line| line.ends_with(file)), "{leans_on}");
        }
        let (bare, _) = answer(&run(python, ["-I", "-S", "-c", &text]));
        assert_eq!(bare["facts"].get("pip"), None, "without site-packages there is no pip");
    }
}

/// Byte-code below a folder: path and content, sorted.
fn byte_code(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.parent().is_some_and(|parent| parent.ends_with("__pycache__")) {
                let name = path.strip_prefix(dir).expect("below the folder").display().to_string();
                found.push((name, fs::read(&path).expect("a file")));
            }
        }
    }
    found.sort();
    found
}

/// Compiles folders, each with the same prefix.
fn compile(python: &Path, jobs: &str, dir: &Path) -> std::process::Output {
    let folder = format!("{}=/kubeless/function/deps", dir.display());
    let script = asset("compile.py");
    run(python, ["-I".as_ref(), "-S".as_ref(), script.as_os_str(), jobs.as_ref(), folder.as_ref()])
}

#[test]
fn byte_code_is_equal_from_run_to_run() {
    for python in interpreters() {
        let trees = [(); 3].map(|()| {
            let dir = tree(&[("leftover.py", "print 'Python 2'\n"), ("z/warns.py", "x = '\\d' is 1\n")]);
            for number in 0..200 {
                // Sets, shared constants, one-letter names: where marshalling has been unequal.
                let text = format!(
                    "ä{number} = ä = {{'a', 'b{number}', 'ä', 'word'}}\n\
                     def f(x): return x in {{'one', 'two', 'three', 'f{number}', 'ä', 'ü'}} and ('ü', 'word', 1.5)\n"
                );
                put(&dir.path().join(format!("pkg/m{number}.py")), text);
            }
            put(&dir.path().join("deep.py"), vec!["1"; 200_000].join("+") + "\n");
            dir
        });
        for (dir, jobs) in trees.iter().zip(["1", "2", "7"]) {
            let output = compile(python, jobs, dir.path());
            assert_eq!((output.status.code(), output.stderr, output.stdout), (Some(0), vec![], vec![]));
        }
        let first = byte_code(trees[0].path());
        assert_eq!(first.len(), 201, "all but what does not compile");
        assert!(trees.iter().all(|dir| byte_code(dir.path()) == first), "{}", python.display());
        compile(python, "2", trees[0].path());
        assert_eq!(byte_code(trees[0].path()), first, "over what is there");
    }
}

#[test]
fn byte_code_names_its_file_by_the_prefix_and_is_used_unchecked() {
    const ASK: &str = "import importlib.util, marshal, sys
data = open(importlib.util.cache_from_source(sys.argv[1] + '/m.py'), 'rb').read()
sys.path.insert(0, sys.argv[1])
import m
print(data[4:8].hex(), marshal.loads(data[16:]).co_filename, m.x)";
    for python in interpreters() {
        let dir = tree(&[("m.py", "x = 'compiled'\n")]);
        assert!(compile(python, "1", dir.path()).status.success());
        put(&dir.path().join("m.py"), "x = 'changed since'\n");
        let output = run(python, ["-I".as_ref(), "-c".as_ref(), ASK.as_ref(), dir.path().as_os_str()]);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "01000000 /kubeless/function/deps/m.py compiled\n"
        );
    }
}

#[test]
fn byte_code_is_not_written_through_links() {
    for python in interpreters() {
        let outside = tree(&[("other/a.py", "x = 1\n"), ("cache/keep", "")]);
        let dir = tree(&[("pkg/b.py", "x = 1\n"), ("c.py", "x = 1\n")]);
        symlink(outside.path().join("other"), dir.path().join("linked")).expect("a link");
        symlink(outside.path().join("other/a.py"), dir.path().join("a.py")).expect("a link");
        symlink(outside.path().join("cache"), dir.path().join("pkg/__pycache__")).expect("a link");
        assert!(compile(python, "1", dir.path()).status.success());
        assert_eq!(byte_code(dir.path()).len(), 1);
        assert_eq!(byte_code(outside.path()), []);
        assert_eq!(fs::read_dir(outside.path().join("cache")).expect("a folder").count(), 1);
    }
}

#[test]
fn byte_code_that_cannot_be_written_is_one_line_with_the_reason() {
    for python in interpreters() {
        let dir = tree(&[("__pycache__", "a file where the folder should be")]);
        for number in 0..100 {
            put(&dir.path().join(format!("m{number}.py")), "x = 1\n");
        }
        let output = compile(python, "2", dir.path());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.starts_with("compile.py: File exists: "), "{stderr}");
        let output = compile(python, "1", &dir.path().join("nowhere"));
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stderr.starts_with(b"compile.py: No such file or directory: "));
    }
}

/// What `conflicts.py` says of a folder with these packages, and its exit status.
fn conflicts(python: &Path, options: &[&str], packages: &[(&str, &str)]) -> (Value, Option<i32>) {
    let dir = tree(packages);
    let script = asset("conflicts.py");
    let args = options.iter().map(Path::new).chain([script.as_path(), dir.path()]);
    answer(&run(python, args))
}

const PACKAGES: [(&str, &str); 4] = [
    (
        "a_b-1.0.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: A.b\nVersion: 1.0\nRequires-Dist: C (<2,>=1)\nRequires-Dist: absent\n\
         Requires-Dist: absent-extra ; extra == 'x'\nRequires-Dist: absent-old ; python_version < '3'\n\
         Requires-Dist: d[y]>=2.0a1\nRequires-Dist: ??? nonsense\nRequires-Dist: old_style~=0.1\n\n\
         Requires-Dist: of-the-description\n",
    ),
    ("c-2.1.dist-info/METADATA", "Name: c\nVersion: 2.1\n"),
    ("d-2.0rc1.dist-info/METADATA", "Name: d\nVersion: 2.0rc1\n"),
    ("old_style-0.1.2-py3.9.egg-info/PKG-INFO", "Name: old-style\nVersion: 0.1.2\n"),
];

#[test]
fn packages_that_disagree_are_named() {
    const BARE: [&str; 4] = [
        "-I",
        "-S",
        "-c",
        "import runpy, site, sys; site.main = lambda: None; sys.argv = sys.argv[1:]; \
         runpy.run_path(sys.argv[0], run_name='__main__')",
    ];
    let packages = json!([
        {"name": "A.b", "version": "1.0"},
        {"name": "c", "version": "2.1"},
        {"name": "d", "version": "2.0rc1"},
        {"name": "old-style", "version": "0.1.2"},
    ]);
    for python in interpreters() {
        let (answer, status) = conflicts(python, &["-I", "-S"], &PACKAGES);
        let found = json!([
            {"package": "A.b", "version": "1.0", "requires": "C<2,>=1", "found": "2.1"},
            {"package": "A.b", "version": "1.0", "requires": "absent", "found": null},
        ]);
        assert_eq!(answer, json!({"checked": true, "packages": packages, "conflicts": found}));
        assert_eq!(status, Some(1));
        let (answer, status) = conflicts(python, &["-I", "-S"], &PACKAGES[1..]);
        assert_eq!((&answer["conflicts"], status), (&json!([]), Some(0)));
        // Without site-packages there is nothing that understands requirements, and none may be there.
        let (answer, status) = conflicts(python, &BARE, &PACKAGES[1..]);
        assert_eq!((&answer["checked"], status), (&json!(true), Some(0)));
        let (answer, status) = conflicts(python, &BARE, &PACKAGES);
        assert_eq!(answer, json!({"checked": false, "packages": packages, "conflicts": []}));
        assert_eq!(status, Some(0));
    }
}
