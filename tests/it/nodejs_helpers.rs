//! The Node.js helpers of a build (check, packages, probe), run by real versions of Node.js.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::nodejs::{Node, asset, nodes};
use crate::support::python::{answer, put, run, tree};

const OPTIONS: [&str; 3] = ["--no-warnings", "--experimental-vm-modules", "--expose-internals"];

/// What `check.cjs` says of a folder whose handler is `handler` in the file, and its exit status.
fn check(node: &Node, dir: &Path, file: &str) -> (Value, Option<i32>) {
    check_with(&OPTIONS, node, dir, file)
}

fn check_with(options: &[&str], node: &Node, dir: &Path, file: &str) -> (Value, Option<i32>) {
    let script = asset("check.cjs");
    let args = [&script, dir, Path::new(file), Path::new("handler")];
    answer(&run(&node.path, options.iter().map(Path::new).chain(args)))
}

/// What it says of a single file: of the handler if it compiles.
fn verdict(node: &Node, file: &str, source: &str) -> (Value, Option<i32>) {
    check(node, tree(&[(file, source)]).path(), file)
}

/// Name, text, line, column, and a part of the message.
type Broken = (&'static str, &'static str, u32, u32, &'static str);

const BROKEN: [Broken; 16] = [
    ("a.js", "x = 1\n\nlet üü = 1 1;\n", 3, 12, "Unexpected number"),
    ("b.js", "s = '\u{1f600}'; let let = 1\n", 1, 14, "let is disallowed as a lexically bound name"),
    ("c.cjs", "\u{feff}x = 1 1\n", 1, 7, "Unexpected number"),
    ("d.js", "#!/usr/bin/env node\nx = (;\n", 2, 6, "Unexpected token ';'"),
    ("e.js", "}); (function () {", 1, 1, "Unexpected token '}'"),
    ("f.js", "x = 1\r\n\ty = 1 1\r\n", 2, 8, "Unexpected number"),
    ("g.js", "function f() {\n", 2, 1, "Unexpected end of input"),
    ("g2.js", "function f() {", 1, 15, "Unexpected end of input"),
    ("h.js", "function f() { await x }\n", 1, 16, "await is only valid in async functions"),
    ("i.js", "'use strict'; with (a) {}\n", 1, 15, "Strict mode code may not include a with statement"),
    ("j.cjs", "import a from 'a'\n", 1, 1, "outside a module: name the file .mjs"),
    ("k.mjs", "import a from 'a';\nexport const ü = '\u{1f600}' 1;\n", 2, 22, "Unexpected number"),
    ("l.mjs", "\u{feff}#!/usr/bin/env node\nexport { a };\n", 2, 10, "Export 'a' is not defined in module"),
    ("m.mjs", "with (a) {}\n", 1, 1, "Strict mode code may not include a with statement"),
    ("typed/n.js", "x = await 1;\nexport const y = 1 1;\n", 2, 20, "Unexpected number"),
    ("typed/old/o.js", "export const y = 1\n", 1, 1, "Unexpected token 'export'"),
];

const GOOD: [(&str, &str); 10] = [
    ("good/bom.js", "\u{feff}module.exports = 1\n"),
    ("good/return.js", "#!/usr/bin/env node\nif (x) return; // at top level\n"),
    ("good/names.cjs", "const { handler } = require('nowhere'); arguments[0] = new.target\n"),
    ("good/typeless.js", "await_ = 1; with (a) {}\n"),
    ("good/module.mjs", "import a from 'nowhere'; export * from 'nowhere'; await import(import.meta.url)\n"),
    ("typed/package.json", "{\"type\": \"module\"}"),
    ("typed/plain.js", "export default await 1\n"),
    ("typed/old/package.json", "{\"type\": \"commonjs\"}"),
    ("typed/broken/package.json", "{"),
    ("typed/broken/plain.js", "const require = 1; export {}"),
];

#[test]
fn each_file_that_does_not_compile_is_named_with_its_place() {
    for node in nodes() {
        let dir = tree(&[("hello.js", "exports.handler = () => {}"), ("node_modules/x/bad.js", "x = (")]);
        put(&dir.path().join("not-javascript.json"), "x = (");
        // What has no kind of its own, in the last of these, is a module only where that is detected.
        for (file, text) in &GOOD[..if node.detects_modules() { 10 } else { 9 }] {
            put(&dir.path().join(file), text);
        }
        for (file, text, ..) in BROKEN {
            put(&dir.path().join(file), text);
        }
        let (answer, status) = check(node, dir.path(), "hello.js");
        assert_eq!((&answer["handler"]["state"], status), (&json!("defined"), Some(1)));
        let errors = answer["errors"].as_array().expect("a list");
        assert_eq!(errors.len(), BROKEN.len(), "{node:?}: {errors:#?}");
        for (error, (file, text, line, column, message)) in errors.iter().zip(BROKEN) {
            let found = [&error["file"], &error["line"], &error["column"]];
            assert_eq!(found, [&json!(file), &json!(line), &json!(column)], "{node:?}: {error}");
            let said = error["message"].as_str().expect("a message");
            assert!(said.contains(message), "{said:?} is not {message:?}");
            let source = text.trim_start_matches('\u{feff}').lines().nth(line as usize - 1);
            assert_eq!(error["source"], source.unwrap_or_default(), "{node:?}");
        }
    }
}

#[test]
fn a_module_that_does_not_say_so_is_one_where_node_detects_it() {
    const MODULE: &str = "import a from 'a';\nexport const handler = async () => {};\n";
    const MIXED: &str = "import a from 'a';\nx = 1 1\n";
    let advice = ": name the file .mjs, or set \"type\": \"module\" in package.json";
    for node in nodes() {
        for (source, line, message) in [
            (MODULE, 1, "Cannot use import statement outside a module"),
            (
                "x = await 1\n",
                1,
                "await is only valid in async functions and the top level bodies of modules",
            ),
        ] {
            let (answer, _) = verdict(node, "hello.js", source);
            if node.detects_modules() {
                assert_eq!(answer["errors"].as_array().map(Vec::len), Some(0), "{node:?}: {answer}");
            } else {
                assert_eq!(answer["errors"][0]["line"], line);
                assert_eq!(answer["errors"][0]["message"], format!("{message}{advice}"), "{node:?}");
            }
        }
        let (answer, _) = verdict(node, "hello.js", MIXED);
        let expected = if node.detects_modules() { (2, 7) } else { (1, 1) };
        assert_eq!(
            (&answer["errors"][0]["line"], &answer["errors"][0]["column"]),
            (&json!(expected.0), &json!(expected.1))
        );
    }
}

/// Texts that scripts, ES modules and versions of Node.js take differently.
const KINDS: [&str; 36] = [
    "for await (const x of y) {}",
    "const {a = await b} = c",
    "(await 1)",
    "await [1]",
    "x = await 1; with (a) {}",
    "async function f() { await 1 } await f()",
    "function f() { await 1 }",
    "const await = 1",
    "export const await = 1",
    "export {}",
    "export { nope }",
    "export const a = 1, a = 2",
    "export default 1; export * as default from 'fs'",
    "import fs from 'fs'; x = 1 1",
    "import x from 'y' assert { type: 'json' }",
    "import.meta",
    "import('x')",
    "import { createRequire } from 'module'; const require = createRequire(import.meta.url)",
    "const module = 1",
    "class require {}",
    "function exports() {}",
    "const __dirname = 1; export {}",
    "export let x; await 0; const require = 1",
    "return",
    "return; export {}",
    "with (a) {}",
    "x = 010",
    "x = 010; export {}",
    "'use strict'; x = 010",
    "<!-- a",
    "<!-- a\nexport {}",
    "#!/x\nawait 1",
    "new.target",
    "let x; let x; export {}",
    "let yield",
    "class A { #x; static { await 1 } }",
];

#[test]
fn what_is_found_is_what_node_finds() {
    const LOAD: &str = "process.on('uncaughtException', () => {});
const load = (file) => import(file).then(() => null, (error) => error.name === 'SyntaxError' ? file : null);
Promise.all(process.argv.slice(1).map(load)).then((files) => console.log(JSON.stringify(files.filter(Boolean))));";
    for node in nodes() {
        let dir = tree(&[
            ("m/package.json", "{\"type\": \"module\"}"),
            ("c/package.json", "{\"type\": \"commonjs\"}"),
        ]);
        let mut files = Vec::new();
        for folder in ["c", "m", "x"] {
            for (index, text) in KINDS.iter().enumerate() {
                files.push(dir.path().join(format!("{folder}/{index:02}.js")));
                put(&files[files.len() - 1], text);
            }
        }
        let options = ["--no-warnings", "-e", LOAD].map(PathBuf::from);
        let (broken, _) = answer(&run(&node.path, options.iter().chain(&files)));
        let (said, _) = check(node, dir.path(), "c/00.js");
        let full = |error: &Value| json!(dir.path().join(error["file"].as_str().expect("a file")));
        let said: Vec<_> = said["errors"].as_array().expect("a list").iter().map(full).collect();
        let broken = broken.as_array().expect("a list");
        let false_alarms: Vec<_> = said.iter().filter(|file| !broken.contains(file)).collect();
        assert!(false_alarms.is_empty(), "{node:?}: {false_alarms:?}");
        // The first versions that detected modules did not know each of them by its `await`.
        if !matches!(node.version, (20, 19) | (22, 7..=9)) {
            assert_eq!(said.len(), broken.len(), "{node:?}: {said:?}, {broken:?}");
        }
    }
}

#[test]
fn hostile_files_are_errors_among_the_others() {
    for node in nodes() {
        let dir = tree(&[("hello.js", "exports.handler = () => {}"), ("z.js", "x = (\n")]);
        let many = 200_000;
        let hostile = [
            ("a.js", "(".repeat(many) + "1" + &")".repeat(many)),
            ("b.js", "[".repeat(many)),
            ("c.mjs", "- ".repeat(many) + "1"),
            ("d.js", "if (1) ".repeat(many) + ";"),
            ("e.js", "`${".repeat(many)),
            ("f.js", "a=>".repeat(many) + "1"),
            ("g.js", format!("x = '{}' 1\n", "ü".repeat(3 << 20))),
        ];
        for (file, text) in &hostile {
            put(&dir.path().join(file), text);
        }
        // These are long and well.
        put(&dir.path().join("sum.js"), vec!["1"; many].join("+"));
        put(&dir.path().join("line.js"), format!("x = '{}'", "y".repeat(8 << 20)));
        put(&dir.path().join("binary.js"), b"x = '\xff\xfe'");
        let (answer, status) = check(node, dir.path(), "hello.js");
        let errors = answer["errors"].as_array().expect("a list");
        let files: Vec<_> = errors.iter().filter_map(|error| error["file"].as_str()).collect();
        assert_eq!(files, ["a.js", "b.js", "c.mjs", "d.js", "e.js", "f.js", "g.js", "z.js"], "{node:?}");
        assert_eq!((status, &answer["handler"]["state"]), (Some(1), &json!("defined")));
        assert!(errors.iter().all(|error| error["message"] != ""), "{errors:#?}");
        assert_eq!((&errors[6]["line"], &errors[6]["column"]), (&json!(1), &json!(null)));
        assert!(errors[6]["source"].as_str().expect("a line").chars().count() <= 400);
    }
}

#[test]
fn of_a_handler_in_a_file_that_is_not_parsed_nothing_is_said() {
    let long = format!("x = '{}'", "y".repeat(2 << 20));
    let deep = vec!["1"; 200_000].join("+");
    for node in nodes() {
        for source in [&long, &deep, "new.target // Which acorn takes for an error."] {
            let unknown = json!({"errors": [], "handler": {"state": "unknown", "names": []}});
            assert_eq!(verdict(node, "hello.cjs", source), (unknown, Some(0)), "{node:?}");
        }
    }
}

#[test]
fn a_node_that_does_not_share_its_parser_still_finds_what_does_not_compile() {
    let dir = tree(&[("hello.cjs", ""), ("hello.mjs", ""), ("bad.js", "x = (")]);
    for node in nodes() {
        for file in ["hello.cjs", "hello.mjs"] {
            let (answer, status) = check_with(&OPTIONS[..2], node, dir.path(), file);
            assert_eq!((&answer["handler"]["state"], status), (&json!("unknown"), Some(1)), "{node:?}");
            assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{answer}");
        }
    }
}

#[test]
fn whether_a_module_exports_the_handler_is_known_without_running_it() {
    let cases = [
        ("export function handler() {}", "defined"),
        ("export const { a: [handler] } = f()", "defined"),
        ("class a {} export { a as handler }", "defined"),
        ("export { default as handler } from './other.js'", "defined"),
        ("import { handler } from './other.js'; export { handler }", "defined"),
        ("import j from './j.json'; export * as handler from './other.js'; await j", "defined"),
        ("export let handler; export * from './other.js'", "unknown"),
        ("export * from './other.js'", "unknown"),
        ("export default function () {}", "unknown"),
        ("export default { handler() {} }", "unknown"),
        ("let a; export { a as 'handler' }", "defined"),
        ("export const { a, ...handler } = f((q) => q)", "defined"),
        ("export const { a = (handler) => 1, [handler]: c } = f()", "missing"),
        ("import { 'any text' as a } from './other.js'; export * as 'b c' from 'd'", "missing"),
        ("export const Handler = 1; // export const handler = 1", "missing"),
        ("throw new Error('never run')", "missing"),
        ("export let module = { exports: 1 }; export { exports } from 'x'; module.exports = 2", "missing"),
        ("import exports from 'x'; exports.a = 1; (function (module) { module.exports = 1 })({})", "missing"),
    ];
    for node in nodes() {
        for (source, state) in cases {
            let (answer, status) = verdict(node, "hello.mjs", source);
            assert_eq!(answer["handler"]["state"], state, "{node:?}: {source}: {answer}");
            assert_eq!(status, Some(i32::from(state == "missing")), "{source}");
        }
    }
}

#[test]
fn whether_a_script_exports_the_handler_is_said_only_where_it_is_certain() {
    let cases = [
        ("exports.handler = f", "defined"),
        ("if (x) module.exports.handler = f", "defined"),
        ("module.exports = { other, handler }", "defined"),
        ("module.exports = { async handler(a, b) { return { x } }, }", "defined"),
        ("module.exports = exports = { 'handler': require('./other').handler }", "defined"),
        ("Object.defineProperty(exports, \"handler\", { get() { return f } })", "defined"),
        ("this.handler = f", "defined"),
        ("module.exports = { h\\u0061ndler: f }", "defined"),
        ("exports['h\\x61ndler'] = f", "defined"),
        ("({ a: [exports.handler] } = f())", "defined"),
        ("(module.exports = { a: 1 }).handler = f", "defined"),
        ("module.exports = { init() { this.handler = f } }", "defined"),
        ("module.exports = handler", "unknown"),
        ("module.exports = () => {}", "unknown"),
        ("module.exports = require('./other')", "unknown"),
        ("module.exports = new (class { handler() {} })", "unknown"),
        ("module.exports = { ...other }", "unknown"),
        ("module.exports = { ['hand' + 'ler']: f }", "unknown"),
        ("module.exports = { __proto__: other }", "unknown"),
        ("module.exports = { a: 1 }.a", "unknown"),
        ("module.exports = { a: 1 }\n|| f", "unknown"),
        ("module.exports = { a: 1 }\nin f", "unknown"),
        ("exports[name] = f", "unknown"),
        ("module['exports'] = f", "unknown"),
        ("Object.assign(exports, other)", "unknown"),
        ("Object.assign(this, other)", "unknown"),
        ("(function (out) { out.handler = f })(exports)", "unknown"),
        ("const self = module; self.exports.handler = f", "unknown"),
        ("arguments[0].handler = f", "unknown"),
        ("arguments[2].exports = { handler: f }", "unknown"),
        ("eval('exp' + 'orts.handler = f')", "unknown"),
        ("with (module) { f }", "unknown"),
        ("require.cache[__filename].exports = { handler: f }", "unknown"),
        ("exports.default = { handler: f }", "unknown"),
        ("exports.__proto__ = { handler: f }", "unknown"),
        ("exports.valueOf().handler = f", "unknown"),
        ("const app = module.exports = { a: 1 }; app.handler = f", "unknown"),
        ("module.exports = exports.a = { b: 1 }; add(exports.a)", "unknown"),
        ("module.exports = require('./other').exports", "unknown"),
        ("module.exports = other.exports = { a: 1 }", "unknown"),
        ("Object.assign(module.exports = { a: 1 }, other)", "unknown"),
        ("const e = Object.defineProperty(exports, 'a', {}); e.handler = f", "unknown"),
        ("const { exports: e } = require.cache[__filename]; e.handler = f", "unknown"),
        ("({ a: module.exports } = other)", "unknown"),
        ("module.exports ||= { a: 1 }", "unknown"),
        ("module.exports = { init() { return this } }", "unknown"),
        ("(function (exports) { exports.a = 1 })({})", "unknown"),
        ("", "missing"),
        (
            "const _ = require('lodash'); console.log(_, `${`exports.handler`}`, /exports[/]/, 4 / 2)",
            "missing",
        ),
        ("exports.other = exports.handlers = f // exports.handler = f", "missing"),
        (
            "module.exports = { other: { handler: f }, b: [x, y], c: (a, handler) => ({ handler }), d: `${{ handler }}` }",
            "missing",
        ),
        ("module.exports = { a: 1 }\nf()", "missing"),
        ("module.exports = { a: 1 };\nif (require.main === module) module.exports.b()", "missing"),
        ("Object.defineProperty(exports, '__esModule', { value: true }); exports.b = a.module.c", "missing"),
        ("x = y.return / 2; z = '/'; exports.b = 1", "missing"),
        ("a = (b) / exports.c / d; a++ / b; if (a) /'/.test(b); exports['d'] = '';", "missing"),
        ("exports.other = 1\n<!-- exports.handler", "missing"),
        ("exports = module.exports = { a: 1 }", "missing"),
        ("var __awaiter = (this && this.__awaiter) || function () {}; exports.a = 1", "missing"),
        ("class A { #a = 1; b() { return this.#a } } exports: for (;;) break exports", "missing"),
    ];
    for node in nodes() {
        for (source, state) in cases {
            let (answer, status) = verdict(node, "hello.cjs", source);
            assert_eq!(answer["handler"]["state"], state, "{node:?}: {source}: {answer}");
            assert_eq!(status, Some(i32::from(state == "missing")), "{source}");
        }
        let (answer, status) = verdict(node, "hello.cjs", "x = (");
        assert_eq!((&answer["handler"], status), (&json!({"state": "unchecked", "names": []}), Some(1)));
    }
}

#[test]
fn a_handler_that_is_only_declared_is_shown_with_what_exports_it() {
    let cases = [
        (
            "hello.cjs",
            "const _ = require('lodash')\nasync function handler(event) {}\n",
            2,
            16,
            "module.exports.handler = handler",
        ),
        (
            "hello.cjs",
            "\n\nconst handler = () => {}; module.exports = { other: 1 }",
            3,
            7,
            "module.exports.handler = handler",
        ),
        (
            "hello.cjs",
            "let x, { a: [handler] } = require('./other')",
            1,
            14,
            "module.exports.handler = handler",
        ),
        ("hello.mjs", "function* handler() {}\nexport const other = 1;", 1, 11, "export { handler }"),
    ];
    for node in nodes() {
        for (file, source, line, column, cure) in cases {
            let (answer, status) = verdict(node, file, source);
            let error = &answer["errors"][0];
            assert_eq!(error["message"], format!("handler is not exported: add the line {cure}"));
            assert_eq!([&error["line"], &error["column"]], [&json!(line), &json!(column)], "{error}");
            assert_eq!(status, Some(1));
        }
        // What is declared within something else is no remedy.
        let (answer, _) = verdict(node, "hello.cjs", "function f() { function handler() {} }");
        assert_eq!((&answer["errors"], &answer["handler"]["state"]), (&json!([]), &json!("missing")));
        for source in ["'ü'; module.exports = { handler() {} }", "'ü'; exports.handler = () => {}"] {
            let (answer, _) = verdict(node, "hello.mjs", source);
            let error = &answer["errors"][0];
            let message = error["message"].as_str().expect("a message");
            assert!(
                message.ends_with(" is not defined in an ES module: write export, or name the file .cjs"),
                "{message}"
            );
            assert_eq!([&error["line"], &error["column"]], [&json!(1), &json!(6)]);
        }
    }
}

#[test]
fn what_could_have_been_meant_is_listed() {
    const SCRIPT: &str = "exports.Handler = 1\nexports._private = 2;\n\nexports.later = exports.Handler";
    const MODULE: &str = "import later from 'x'\nexport const Handler = 1\nexport { later }";
    for node in nodes() {
        let listed = |names: [(&str, u32); 2]| names.map(|(name, line)| json!({"name": name, "line": line}));
        for (file, source, names) in [
            ("hello.cjs", SCRIPT, listed([("Handler", 1), ("later", 4)])),
            ("hello.mjs", MODULE, listed([("Handler", 2), ("later", 3)])),
        ] {
            let expected = json!({"errors": [], "handler": {"state": "missing", "names": names}});
            assert_eq!(verdict(node, file, source), (expected, Some(1)));
        }
    }
}

#[test]
fn a_check_that_breaks_is_neither_yes_nor_no() {
    for node in nodes() {
        let output = run(&node.path, [asset("check.cjs")]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stderr.starts_with(b"check.cjs: "));
        // A handler that is not there is the author's matter.
        let (answer, status) = check(node, tree(&[]).path(), "hello.js");
        assert_eq!((&answer["errors"][0]["message"], status), (&json!("no such file or directory"), Some(1)));
    }
}

#[test]
fn a_list_of_packages_survives_what_they_leave_behind() {
    let dir = tree(&[
        ("node_modules/a/package.json", r#"{"name": "a", "version": "1.0.0"}"#),
        ("node_modules/b/package.json", r#"{"name": ["x"], "version": {}}"#),
        ("node_modules/c/package.json", r#"["c"]"#),
        ("node_modules/d/package.json", "null"),
        ("node_modules/@e/f/package.json", r#"{"name": 1, "scripts": "install"}"#),
        ("node_modules/.pnpm/g@1/node_modules/g/package.json", r#"{"name": "g", "version": "1"}"#),
    ]);
    let modules = dir.path().join("node_modules");
    for (target, link) in [
        ("loop", "loop"),
        ("nowhere", "dangling"),
        ("../@e", "@e/around"),
        ("..", "a/node_modules"),
        ("../..", ".pnpm/g@1/node_modules/.pnpm"),
        ("../..", ".pnpm/g@1/node_modules/h"),
    ] {
        symlink(target, modules.join(link)).expect("a link");
    }
    let package = |name, version| json!({"name": name, "version": version});
    let packages =
        [package("@e/f", "0.0.0"), package("a", "1.0.0"), package("b", "0.0.0"), package("g", "1")];
    for node in nodes() {
        let said = answer(&run(&node.path, [&asset("packages.cjs"), dir.path(), Path::new("deny")]));
        assert_eq!(said, (json!({"packages": packages, "scripts": []}), Some(0)), "{node:?}");
    }
}

#[test]
fn a_list_of_packages_that_cannot_be_made_is_no_denial() {
    for node in nodes() {
        let output = run(&node.path, [asset("packages.cjs")]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stderr.starts_with(b"packages.cjs: "));
    }
}

#[test]
fn the_probe_tells_what_node_says_of_itself() {
    const ASK: &str = "const { header } = process.report.getReport();
console.log(JSON.stringify({ version: process.versions.node, facts: { abi: process.versions.modules,
    arch: require('os').machine(), libc: 'glibc ' + header.glibcVersionRuntime } }))";
    let text = fs::read_to_string(asset("probe.cjs")).expect("the probe");
    for node in nodes() {
        let (asked, _) = answer(&run(&node.path, ["-e", ASK]));
        let (mut told, status) = answer(&run(&node.path, ["-e", &text]));
        let leans_on = told["facts"].as_object_mut().expect("facts").remove("leans-on");
        assert_eq!((told, status), (asked, Some(0)));
        // With another C library, it would say something else.
        let leans_on = leans_on.expect("files").as_str().expect("text").to_owned();
        assert!(leans_on.lines().any(|line| line.ends_with("/libc.so.6")), "{leans_on}");
    }
}

#[test]
fn the_probe_asks_musl_for_its_version() {
    let text = fs::read_to_string(asset("probe.cjs")).expect("the probe");
    let dir = tree(&[]);
    let loader = dir.path().join("ld-musl-x86_64.so.1");
    for (says, libc) in
        [("musl libc (x86_64)\nVersion 1.2.3\nDynamic Program Loader", "musl 1.2.3"), ("", "musl")]
    {
        put(&loader, format!("#!/bin/sh\necho '{says}' >&2\nexit 1\n"));
        fs::set_permissions(&loader, fs::Permissions::from_mode(0o755)).expect("a program");
        let report = json!({"header": {}, "sharedObjects": ["/lib/libz.so", loader]});
        for node in nodes() {
            let script = format!("process.report.getReport = () => ({report});\n{text}");
            let (said, _) = answer(&run(&node.path, ["-e", &script]));
            assert_eq!(said["facts"]["libc"], libc);
        }
    }
}
