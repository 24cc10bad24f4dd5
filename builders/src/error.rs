//! The shared vocabulary of failures: a builder invents none of its own.

use crate::diagnostic::Diagnostic;
use crate::function::Handler;
use crate::toolchain::Version;

/// Why no runtime could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetectError {
    /// The hint names no runtime that is known here.
    #[error("the runtime {asked:?} is not known")]
    UnknownRuntime {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The runtime is known, and not among those that the operator allows.
    #[error("{title} is not among the runtimes allowed here")]
    RuntimeNotAllowed {
        /// The runtime.
        title: String,
        /// What is allowed.
        allowed: Vec<String>,
    },
    /// The runtime is known, the version is not allowed.
    #[error("{id} {asked} is not among the versions allowed here")]
    VersionNotAllowed {
        /// The runtime.
        id: String,
        /// The version asked for.
        asked: Version,
        /// The versions that are allowed.
        allowed: Vec<Version>,
    },
    /// No file is of a known language.
    #[error("no file of a known language was found")]
    NoRuntime {
        /// The files that were found, the first few.
        found: Vec<String>,
        /// The runtimes there are.
        known: Vec<String>,
    },
    /// Files of several languages.
    #[error("files of several languages were found")]
    Ambiguous {
        /// Each candidate with its evidence.
        candidates: Vec<(String, String)>,
    },
    /// There is nothing in the mount.
    #[error("the function has no files")]
    Empty,
}

/// Why no plan could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nobody said what shall be called.
    #[error("no handler is named")]
    NoHandler {
        /// What could be meant, as `module.function` with a placeholder where unknown.
        candidates: Vec<String>,
    },
    /// The handler's module is no file of the function.
    #[error("the handler {handler} needs {}, which is not there", expected.join(" or "))]
    NoModule {
        /// The handler.
        handler: Handler,
        /// The files that would have served.
        expected: Vec<String>,
        /// The files of the language that are there, or where there is none, the others: the nearest, best first.
        found: Vec<String>,
        /// How many more there are.
        more: usize,
        /// The handler that would call for the first of them, if that one may have been meant.
        meant: Option<Box<Handler>>,
    },
    /// A manifest cannot be parsed, or is named so that no tool reads it.
    #[error("{0}")]
    Manifest(Diagnostic),
    /// The dependencies cannot be resolved as they are written.
    #[error("{0}")]
    Dependencies(Diagnostic),
    /// The function says that it is for other versions than the image has.
    #[error("{0}")]
    Version(Diagnostic),
    /// The function needs a tool that the image lacks.
    #[error("{tool} is needed but is not in this image")]
    NoTool {
        /// The tool.
        tool: String,
        /// What needs it.
        needed_for: String,
        /// What to do.
        hint: String,
    },
    /// An operator's choice makes no sense.
    #[error("{variable} is {value:?}")]
    Choice {
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
        /// What it may be.
        allowed: Vec<String>,
    },
}
