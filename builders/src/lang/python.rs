//! Python: checked by the interpreter itself, resolved by pip or uv, compiled to byte-code.

use crate::diagnostic::{Diagnostic, Output};
use crate::error::PlanError;
use crate::function::Function;
use crate::plan::{Plan, Step};
use crate::toolchain::Identity;
use crate::{Builder, Inputs};

/// The builder for Python.
#[derive(Debug)]
pub struct Python;

impl Builder for Python {
    fn id(&self) -> &'static str {
        "python"
    }

    fn probe(&self, _tool: &str) -> Vec<String> {
        Vec::new()
    }

    fn identify(&self, _tool: &str, _output: &Output) -> Option<Identity> {
        None
    }

    fn plan(&self, _inputs: &Inputs<'_>) -> Result<Plan, PlanError> {
        Err(PlanError::NoHandler {
            candidates: Vec::new(),
        })
    }

    fn diagnose(&self, _step: &Step, _output: &Output, _function: &Function) -> Vec<Diagnostic> {
        Vec::new()
    }
}
