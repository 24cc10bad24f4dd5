//! Reads `go.mod`: the module's path, its version of Go, what it requires and replaces.
//!
//! Source: <https://go.dev/ref/mod#go-mod-file>. What is not read here is left for go to judge.

use super::words::{Line, lines};
use crate::diagnostic::Diagnostic;
use crate::entry::text;
use crate::error::PlanError;
use crate::function::{Function, RelPath};
use crate::toolchain::Version;

/// The file that lists a function's dependencies.
pub(super) const GO_MOD: &str = "go.mod";
/// The module's path where nobody says it: what Kubeless' examples have.
const MODULE: &str = "function";

/// What the standard library calls its packages, at the top.
const LIBRARY: [&str; 50] = [
    "archive",
    "arena",
    "bufio",
    "builtin",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "internal",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "slices",
    "sort",
    "strconv",
    "strings",
    "structs",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "unicode",
    "unique",
    "unsafe",
];

/// What `go.mod` says.
#[derive(Debug)]
pub(super) struct Manifest<'a> {
    /// The file and its text; `None` where there is none, or an empty one.
    pub(super) file: Option<(&'a RelPath, &'a str)>,
    /// The module's path.
    pub(super) module: String,
    /// Where that is written.
    line: Option<Line<'a>>,
    /// What it requires: path and line.
    pub(super) required: Vec<(String, u32)>,
    /// What it replaces, by path.
    replaced: Vec<String>,
    /// The version of Go, where that is written.
    go: Option<(String, Line<'a>)>,
}

impl<'a> Manifest<'a> {
    /// Reads the manifest of a function.
    ///
    /// # Errors
    /// When it is malformed, or names what the function does not have.
    pub(super) fn of(function: &'a Function) -> Result<Self, PlanError> {
        let mut manifest = Manifest {
            file: None,
            module: MODULE.to_owned(),
            line: None,
            required: Vec::new(),
            replaced: Vec::new(),
            go: None,
        };
        let named = function.deps_file.as_ref().filter(|path| path.name() != "go.sum");
        let Some(path) = named.or_else(|| function.top(GO_MOD)) else { return Ok(manifest) };
        let text = text(function, path)?;
        if text.trim().is_empty() {
            return Ok(manifest);
        }
        manifest.file = Some((path, text));
        let lines = lines(path, text)?;
        for line in &lines {
            manifest.read(line, function)?;
        }
        match lines.iter().find(|line| line.verb == "module") {
            Some(_) => Ok(manifest),
            None => Err(Line { path, number: 1, verb: "", words: Vec::new() }.wrong(
                "the file does not say which module this is",
                "let `module function` be its first line",
            )),
        }
    }

    fn read(&mut self, line: &Line<'a>, function: &Function) -> Result<(), PlanError> {
        let words: Vec<&str> = line.words.iter().map(|word| word.text.as_str()).collect();
        match (line.verb, &words[..]) {
            ("module", [path]) => {
                (*path).clone_into(&mut self.module);
                self.line = Some(line.clone());
            }
            ("module", _) => return Err(line.wrong("one module path is expected", "write `module function`")),
            ("go", [version]) if version.parse::<Version>().is_ok() => {
                self.go = Some(((*version).to_owned(), line.clone()));
            }
            ("go", _) => return Err(line.wrong("a version of Go is expected", "write `go 1.22`")),
            ("require", [path, version]) if version.starts_with(|c: char| c.is_ascii_digit()) => {
                return Err(
                    line.wrong(format!("{version} is no version of {path}"), &format!("write v{version}"))
                );
            }
            ("require", [path, _]) => self.required.push(((*path).to_owned(), line.number)),
            ("require", [path]) => {
                let message = format!("{path} is required without a version");
                let hint = "write one, such as `v1.2.3`; `go get` finds the latest";
                return Err(line.wrong(message, hint));
            }
            ("require", _) => {
                let hint = "write `require github.com/sirupsen/logrus v1.9.3`";
                return Err(line.wrong("a module and its version are expected", hint));
            }
            ("replace", [path, "=>", to] | [path, _, "=>", to]) => {
                self.replaced.push((*path).to_owned());
                within(line, to, function)?;
            }
            ("replace", [path, "=>", _, _] | [path, _, "=>", _, _]) => self.replaced.push((*path).to_owned()),
            ("replace", _) => {
                let hint = "write `replace example.com/lib => ./lib`";
                return Err(line.wrong("a module, `=>`, and what stands for it are expected", hint));
            }
            _ => {}
        }
        Ok(())
    }

    /// Refuses a function whose handler is in another module, and a module that cannot be imported.
    ///
    /// # Errors
    /// With what to change.
    pub(super) fn holds(&self, function: &Function, handler: &RelPath) -> Result<(), PlanError> {
        let dirs = std::iter::successors(handler.parent(), RelPath::parent);
        let nested =
            dirs.map(|dir| format!("{dir}/{GO_MOD}")).find(|path| function.files.contains_key(path.as_str()));
        if let Some(path) = nested {
            let found =
                Diagnostic::new("this makes another module of the handler's directory than the function is");
            let hint = "move go.mod to the top of the function, or deploy that directory alone";
            return Err(PlanError::Manifest(found.at(path, None, None).hint(hint)));
        }
        match &self.line {
            Some(line) if self.module == "main" || LIBRARY.contains(&self.module.as_str()) => {
                let message = format!("the module cannot be named {}: Go itself has that name", self.module);
                Err(line.wrong(message, "name it `function`"))
            }
            _ => Ok(()),
        }
    }

    /// Whether it requires this module.
    pub(super) fn requires(&self, module: &str) -> bool {
        self.required.iter().any(|(path, _)| path == module)
    }

    /// Whether it says what stands for this module.
    pub(super) fn replaces(&self, module: &str) -> bool {
        self.replaced.iter().any(|path| path == module)
    }

    /// Compares the Go that was found with the one that the function asks for.
    ///
    /// # Errors
    /// When it asks for a newer one: to download that is not for a build to decide.
    pub(super) fn admits(&self, found: &Version) -> Result<(), PlanError> {
        let Some((wanted, line)) = &self.go else { return Ok(()) };
        match wanted.parse::<Version>() {
            Ok(version) if version > *found => Err(PlanError::Version(
                line.says(format!("the function is for Go {wanted}, this image has {found}")).hint(
                    "choose an image of such a version, or write a lower one if the function allows it",
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Refuses a directory that the function does not have; one of the image's, by an absolute path, it may name.
fn within(line: &Line<'_>, to: &str, function: &Function) -> Result<(), PlanError> {
    let refuse = |message: String, hint| Err(PlanError::Dependencies(line.says(message).hint(hint)));
    if to.starts_with('/') {
        return Ok(());
    }
    let Ok(dir) = line.path.sibling(to) else {
        let hint = "deploy the module within the function, and name it like `./lib`";
        return refuse(format!("{to} leads out of the function"), hint);
    };
    let below = format!("{dir}/");
    if function.files.contains_key(format!("{below}{GO_MOD}").as_str()) {
        Ok(())
    } else if function.files.keys().any(|file| file.as_str().starts_with(&below)) {
        refuse(format!("{dir} is no module: it has no go.mod"), "give it one: `go mod init`")
    } else {
        refuse(format!("{dir} is not among the function's files"), "deploy it with the function")
    }
}
