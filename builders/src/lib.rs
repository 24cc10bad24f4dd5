//! Decides, without any IO, how a function of each language is checked, resolved, compiled and launched.
//!
//! A language is a pure function from a function's files to a [`plan::Plan`], which is data. The
//! `injector` crate carries plans out; nothing here opens a file, starts a process, reads the
//! environment or asks what time it is.

pub mod assets;
pub mod catalog;
mod checked;
pub mod detect;
pub mod diagnostic;
mod entry;
pub mod error;
pub mod function;
pub mod lang;
mod located;
mod native;
mod near;
mod network;
pub mod plan;
mod steps;
mod tables;
pub mod toolchain;

use catalog::Runtime;
use diagnostic::{Diagnostic, Output};
use error::PlanError;
use function::Function;
use plan::{Plan, Step};
use serde::{Deserialize, Serialize};
use toolchain::{Identity, Policy, Settings, Toolchain};

/// All that a builder may see when it makes a plan.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The function as it was mounted.
    pub function: &'a Function,
    /// The runtime that was asked for or detected.
    pub runtime: &'a Runtime,
    /// The tools that the image has, as they described themselves.
    pub toolchain: &'a Toolchain,
    /// The package clients' own configuration: environment and files, read but not interpreted.
    pub settings: &'a Settings,
    /// What the operator allows and asks for.
    pub policy: &'a Policy,
}

/// A dependency that was resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A language: how its functions become something that can be launched.
pub trait Builder: Sync {
    /// The runtime ID that this builder serves, which is also its folder in `runtimes-config/`.
    fn id(&self) -> &'static str;

    /// The arguments with which `tool` describes itself.
    fn probe(&self, tool: &str) -> Vec<String>;

    /// Whether this function is built with `tool`, so that it must be asked what it is.
    fn needs(&self, tool: &str, function: &Function) -> bool;

    /// Reads what `tool` said of itself; `None` if the answer makes no sense.
    fn identify(&self, tool: &str, output: &Output) -> Option<Identity>;

    /// Decides what shall be done.
    ///
    /// # Errors
    /// When no plan can lead to a running function, in the words of the shared vocabulary.
    fn plan(&self, inputs: &Inputs<'_>) -> Result<Plan, PlanError>;

    /// The packages that a step's output says were resolved; most steps say nothing of the kind.
    fn packages(&self, _step: &Step, _output: &Output) -> Vec<Package> {
        Vec::new()
    }

    /// Says what is wrong with a file that [`plan::Action::Inspect`] names, or with the data that a step printed that
    /// ended well ([`plan::Capture::Whole`]); `None` if there is no such file.
    fn inspect(&self, _step: &Step, _file: Option<&[u8]>, _function: &Function) -> Vec<Diagnostic> {
        Vec::new()
    }

    /// What a step said that prints data, as its tool would have told a person; most are helpers of ours, and say nothing.
    fn said(&self, _step: &Step, _output: &Output) -> Option<String> {
        None
    }

    /// Says what a failed step means, most important first; empty when the output tells nothing.
    fn diagnose(&self, step: &Step, output: &Output, function: &Function) -> Vec<Diagnostic>;
}

/// Every language that the injector knows.
pub static BUILDERS: &[&dyn Builder] =
    &[&lang::go::Go, &lang::java::Java, &lang::nodejs::Nodejs, &lang::python::Python, &lang::rust::Rust];

/// The builder of a runtime ID.
#[must_use]
pub fn builder(id: &str) -> Option<&'static dyn Builder> {
    BUILDERS.iter().copied().find(|builder| builder.id() == id)
}
