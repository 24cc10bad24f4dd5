//! What every language asks of a function first: its tools, its handler's file, and whether a manifest is misspelt.

use crate::Inputs;
use crate::diagnostic::Diagnostic;
use crate::error::PlanError;
use crate::function::{Function, Handler, RelPath};
use crate::near::no_module;
use crate::toolchain::Tool;

/// A tool of the image, or the error that says what needs it.
pub(crate) fn tool<'a>(inputs: &Inputs<'a>, name: &str, needed_for: &str) -> Result<&'a Tool, PlanError> {
    inputs.toolchain.tool(name).ok_or_else(|| PlanError::NoTool {
        tool: name.to_owned(),
        needed_for: needed_for.to_owned(),
        hint: format!("choose an image that has {name}"),
    })
}

/// The handler and its file: module `a.b` is `a/b` with one of the extensions, or
/// the file `index` of that directory.
pub(crate) fn handler(
    function: &Function,
    extensions: &[&str],
    index: &str,
) -> Result<(Handler, RelPath), PlanError> {
    let is_source = |path: &&RelPath| path.extension().is_some_and(|found| extensions.contains(&found));
    let Some(handler) = function.handler.clone() else {
        let sources = function.files.keys().filter(is_source);
        let stems = sources.filter_map(|path| path.as_str().rsplit_once('.').map(|(stem, _)| stem));
        let modules = stems.map(|stem| stem.strip_suffix(&format!("/{index}")).unwrap_or(stem));
        let candidates = modules.take(5).map(|module| format!("{}.<function>", module.replace('/', ".")));
        return Err(PlanError::NoHandler { candidates: candidates.collect() });
    };
    let stem = handler.module.replace('.', "/");
    let expected: Vec<String> = [stem.clone(), format!("{stem}/{index}")]
        .iter()
        .flat_map(|stem| extensions.iter().map(move |extension| format!("{stem}.{extension}")))
        .collect();
    let file = expected.iter().find_map(|name| function.files.get_key_value(name.as_str()));
    if let Some((file, _)) = file {
        return Ok((handler, file.clone()));
    }
    let modules = |path: &RelPath| {
        let (stem, _) = Some(path).filter(is_source)?.as_str().rsplit_once('.')?;
        let dir = stem.strip_suffix(index).and_then(|dir| dir.strip_suffix('/'));
        Some([Some(stem), dir].into_iter().flatten().map(str::to_owned).collect())
    };
    Err(no_module(function, handler, expected, modules))
}

/// Refuses a manifest whose name no tool knows, where the right one is absent.
pub(crate) fn misspelt(inputs: &Inputs<'_>) -> Result<(), PlanError> {
    let (function, runtime) = (inputs.function, inputs.runtime);
    if function.deps_file.is_some() || runtime.manifests.iter().any(|name| function.top(name).is_some()) {
        return Ok(());
    }
    let near = runtime.near_misses.iter().find(|(wrong, _)| function.top(wrong).is_some());
    near.map_or(Ok(()), |(wrong, right)| {
        Err(PlanError::Manifest(
            Diagnostic::new("no tool reads a dependency file of this name")
                .at(wrong, None, None)
                .hint(format!("rename it to {right}")),
        ))
    })
}

/// Refuses the manifest of a tool that no builder runs, which another name would not mend.
pub(crate) fn foreign(function: &Function, names: &[&str], right: &str) -> Result<(), PlanError> {
    names.iter().find_map(|name| function.top(name)).map_or(Ok(()), |path| {
        Err(PlanError::Manifest(
            Diagnostic::new("the tool that reads this file is not run here")
                .at(path.as_str(), None, None)
                .hint(format!("name the dependencies in {right} instead")),
        ))
    })
}

/// The text of a file that a builder must read.
pub(crate) fn text<'a>(function: &'a Function, path: &RelPath) -> Result<&'a str, PlanError> {
    function.text(path).ok_or_else(|| {
        PlanError::Manifest(
            Diagnostic::new("the file is not UTF-8 text, or is too large to be a manifest")
                .at(path.as_str(), None, None)
                .hint("save it as UTF-8"),
        )
    })
}
