//! How the Node.js function server loads the function: every kind of module, and what can be wrong with it.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::http::get;
use crate::support::nodejs::{Node, command, nodes};
use crate::support::server::Server;

#[test]
fn sigterm_while_the_function_is_loaded_ends_at_once() {
    for node in nodes() {
        let source =
            "console.error('loading'); setTimeout(() => {}, 20_000); await new Promise(() => {}); export {};";
        let server = Server::spawn(command(node, "hello.mjs", &[("source/hello.mjs", source)]));
        server.wait_for("loading");
        server.signal(Signal::TERM);
        let start = Instant::now();
        assert_eq!(server.end().0.code(), Some(0));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

/// What `GET /` says of a function in these files.
fn answer(node: &Node, file: &str, files: &[(&str, &str)]) -> String {
    let server = Server::start(command(node, file, files));
    get(server.port, "/").text().to_owned()
}

#[test]
fn every_kind_of_module_can_hold_the_function() {
    let cases = [
        ("hello.js", "module.exports = { handler: () => 'well' }"),
        ("hello.js", "exports.handler = async () => 'well'"),
        ("hello.cjs", "module.exports = () => 'well'"),
        (
            "hello.cjs",
            "module.exports = () => 'well'; module.exports.handler = () => 'Kubeless called the module'",
        ),
        ("hello.cjs", "module.exports = new (class { handler() { return 'well'; } })()"),
        (
            "hello.js",
            "Object.defineProperty(exports, '__esModule', { value: true }); exports.default = () => 'well'",
        ),
        ("hello.mjs", "export function handler() { return 'well'; }"),
        ("hello.mjs", "export default () => 'well'"),
        ("hello.mjs", "export default { handler: async () => 'well' }"),
        (
            "hello.mjs",
            "const word = await 'well'; export const handler = () => word; export default () => 'not this'",
        ),
        ("typed/hello.js", "import { basename } from 'path'; export const handler = () => basename('/well')"),
        ("typed/hello.cjs", "exports.handler = () => 'well'"),
        ("deep/er/index.js", "exports.handler = () => require('../other').word"),
    ];
    for node in nodes() {
        for (file, source) in cases {
            let path = format!("source/{file}");
            let files = [
                (path.as_str(), source),
                ("source/typed/package.json", "{\"type\": \"module\"}"),
                ("source/deep/other.js", "exports.word = 'well'"),
            ];
            assert_eq!(answer(node, file, &files), "well", "{node:?}: {source}");
        }
    }
}

#[test]
fn a_module_that_does_not_say_so_is_one_where_node_detects_it() {
    let source = [("source/hello.js", "export const handler = () => 'well'")];
    for node in nodes() {
        if node.detects_modules() {
            assert_eq!(answer(node, "hello.js", &source), "well");
        } else {
            let (status, log) = Server::spawn(command(node, "hello.js", &source)).end();
            assert_eq!(status.code(), Some(1));
            let line = log.lines().find(|line| line.starts_with("error: ")).expect("a line");
            assert_eq!(line, "error: cannot load hello (hello.js): SyntaxError: Unexpected token 'export'");
        }
    }
}

#[test]
fn dependencies_are_found_beside_the_source() {
    const SCRIPT: &str = "exports.handler = () => require('greeting') + require('./http')";
    const MODULE: &str = "import greeting from 'greeting'; import http from './http.js'; export const handler = () => greeting + http";
    for node in nodes() {
        for (file, source) in [("hello.cjs", SCRIPT), ("hello.mjs", MODULE)] {
            let path = format!("source/{file}");
            let files = [
                (path.as_str(), source),
                ("node_modules/greeting/index.js", "module.exports = 'hello '"),
                ("source/http.js", "module.exports = 'you'"),
            ];
            assert_eq!(answer(node, file, &files), "hello you");
        }
    }
}

#[test]
fn names_of_nodes_own_modules_break_nothing() {
    let broken = "throw new Error('never loaded')";
    for node in nodes() {
        for file in ["http.js", "stream.js", "kubeless.cjs", "request.cjs", "module.js"] {
            let path = format!("source/{file}");
            let files = [
                (path.as_str(), "exports.handler = () => typeof require('http').request"),
                ("source/zlib.js", broken),
                ("source/util.js", broken),
                ("source/response.cjs", broken),
                ("source/node_modules/http/index.js", broken),
            ];
            assert_eq!(answer(node, file, &files), "function", "{file}");
        }
    }
}

#[test]
fn a_function_that_cannot_be_loaded_ends_the_server() {
    let cases = [
        (
            "require('./nothing-like-it')",
            "error: cannot load hello (hello.js): Error: Cannot find module './nothing-like-it'\n",
        ),
        ("x = (", "error: cannot load hello (hello.js): SyntaxError: Unexpected end of input\n"),
        ("throw new Error('at once')", "error: cannot load hello (hello.js): Error: at once\n"),
        (
            "process.exit()",
            "error: cannot load hello (hello.js): it ends the process, or awaits at its top level what never comes\n",
        ),
        (
            "exports.a = () => {}; exports.b = exports.a; exports.c = 1",
            "error: hello (hello.js) exports no handler; it exports a, b\n",
        ),
        ("module.exports = null", "error: hello (hello.js) exports no handler; it exports no function\n"),
        ("", "error: hello (hello.js) exports no handler; it exports no function\n"),
        ("exports.handler = 1", "error: hello (hello.js) exports handler, but not as a function\n"),
    ];
    for node in nodes() {
        for (source, line) in cases {
            let (status, log) =
                Server::spawn(command(node, "hello.js", &[("source/hello.js", source)])).end();
            assert_eq!(status.code(), Some(1), "{log}");
            assert!(log.starts_with(line), "{node:?}: {log}");
        }
        let endless = [("source/hello.mjs", "await new Promise(() => {}); export {}")];
        let (status, log) = Server::spawn(command(node, "hello.mjs", &endless)).end();
        assert_ne!(status.code(), Some(0));
        assert!(
            log.starts_with("error: cannot load hello (hello.mjs): it ends the process, or awaits"),
            "{log}"
        );
    }
}
