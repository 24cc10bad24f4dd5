//! The functions that are measured with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// What is edited: a text that each handler holds.
const EDITED: &str = "edit ";

/// A function.
pub(super) struct Function {
    /// How it is called on the command line, and in the results.
    pub(super) name: &'static str,
    /// The same for people.
    pub(super) title: &'static str,
    /// What it is written in.
    pub(super) language: Language,
    /// Where it is, from the project's root.
    dir: &'static str,
    /// The file of its handler.
    pub(super) handler: &'static str,
    /// Whether its tree is so large that its size decides, and not the start of a process.
    pub(super) weight: Weight,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Nodejs,
    Go,
    Rust,
    Java,
}

/// What decides how long a restore takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// The start of a process.
    Light,
    /// The tree's size.
    Heavy,
}

/// All of them.
pub(super) const FUNCTIONS: [Function; 9] = [
    Function {
        name: "python-small",
        title: "Python, one small package",
        language: Language::Python,
        dir: "examples/python",
        handler: "hello.py",
        weight: Weight::Light,
    },
    Function {
        name: "python-fastapi",
        title: "Python, fastapi",
        language: Language::Python,
        dir: "tests/bench/functions/fastapi",
        handler: "hello.py",
        weight: Weight::Light,
    },
    Function {
        name: "python-numpy",
        title: "Python, numpy + pandas + scikit-learn",
        language: Language::Python,
        dir: "tests/bench/functions/numpy",
        handler: "hello.py",
        weight: Weight::Heavy,
    },
    Function {
        name: "nodejs-small",
        title: "Node.js, one small package",
        language: Language::Nodejs,
        dir: "examples/nodejs",
        handler: "hello.mjs",
        weight: Weight::Light,
    },
    Function {
        name: "nodejs-express",
        title: "Node.js, express",
        language: Language::Nodejs,
        dir: "tests/bench/functions/express",
        handler: "hello.mjs",
        weight: Weight::Light,
    },
    Function {
        name: "nodejs-aws",
        title: "Node.js, @aws-sdk/client-s3 + webpack + typescript",
        language: Language::Nodejs,
        dir: "tests/bench/functions/aws",
        handler: "hello.mjs",
        weight: Weight::Heavy,
    },
    Function {
        name: "go",
        title: "Go, logrus",
        language: Language::Go,
        dir: "tests/bench/functions/go",
        handler: "hello.go",
        weight: Weight::Light,
    },
    Function {
        name: "rust",
        title: "Rust, serde",
        language: Language::Rust,
        dir: "tests/bench/functions/rust",
        handler: "src/lib.rs",
        weight: Weight::Light,
    },
    Function {
        name: "java",
        title: "Java, jackson",
        language: Language::Java,
        dir: "tests/bench/functions/java",
        handler: "Hello.java",
        weight: Weight::Light,
    },
];

impl Function {
    /// Its files.
    pub(super) fn source(&self) -> PathBuf {
        crate::root().join(self.dir)
    }

    /// The project that one would have without us: the same handler, the same dependencies; of compiled languages.
    pub(super) fn alone(&self) -> PathBuf {
        crate::root().join("tests/bench/alone").join(self.name)
    }
}

impl Language {
    /// How it is called on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::Nodejs => "nodejs",
            Language::Go => "go",
            Language::Rust => "rust",
            Language::Java => "java",
        }
    }
}

/// Edits a handler: puts a number into its text, and that text at its end if it holds none.
pub(super) fn edit(file: &Path, number: usize) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let edited = match text.split_once(EDITED) {
        Some((before, after)) => {
            let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}{EDITED}{number}{after}")
        }
        None if file.extension().is_some_and(|extension| extension == "py") => {
            format!("{text}# {EDITED}{number}\n")
        }
        None => format!("{text}// {EDITED}{number}\n"),
    };
    fs::write(file, edited).with_context(|| file.display().to_string())
}
