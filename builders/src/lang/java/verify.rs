//! Asks the compiled class whether the server can call the handler.

use super::classfile::{Class, Method};
use super::place;
use super::source::{self, Sources};
use crate::diagnostic::{Blame, Diagnostic};
use crate::function::Function;
use crate::plan::{Action, Dir, Step};
use crate::steps::offline;

/// What the server calls: any result will do.
const PARAMETERS: &str = "(Lio/kubeless/Event;Lio/kubeless/Context;)";

/// Has the handler's class file looked at.
pub(super) fn steps(sources: &Sources<'_>) -> Vec<Step> {
    let file = place(Dir::Out, &format!("classes/{}.class", sources.class.replace('.', "/")));
    vec![offline("verify", "whether the method is there", Blame::Author, Action::Inspect { file })]
}

/// What keeps the server from calling the handler.
pub(super) fn inspect(bytes: Option<&[u8]>, function: &Function) -> Vec<Diagnostic> {
    let Ok((handler, file)) = source::handler(function) else { return Vec::new() };
    let (method, class_name) = (&handler.function, source::class(function, &file));
    let simple = class_name.rsplit('.').next().unwrap_or(&class_name);
    let example =
        format!("public String {method}(io.kubeless.Event event, io.kubeless.Context context) {{ … }}");
    let say = |message: String, line, hint: String| {
        vec![Diagnostic::new(message).at(file.as_str(), line, None).hint(hint)]
    };
    let Some(bytes) = bytes else {
        return say(
            format!("the file has no class `{simple}`"),
            None,
            format!("name the file after its class, and the class in the handler: `{simple}.{method}`"),
        );
    };
    let Some(class) = Class::read(bytes) else {
        let found = Diagnostic::new(format!("the class file of {class_name} cannot be read"));
        return vec![found.blame(Blame::Ours)];
    };
    let named: Vec<&Method> = class.methods.iter().filter(|found| found.name == *method).collect();
    let fitting = named.iter().find(|found| found.descriptor.starts_with(PARAMETERS));
    match (fitting, named.first()) {
        (Some(found), _) if !found.is_public() => {
            say(format!("`{method}` is not public"), found.line, format!("write `{example}`"))
        }
        (Some(found), _) if found.is_static() => Vec::new(),
        (Some(found), _) => instance(&class, simple, method, found.line)
            .map_or_else(Vec::new, |(message, line, hint)| say(message, line, hint)),
        (None, Some(found)) => say(
            format!("`{method}` takes ({}), not (Event, Context)", found.parameters().join(", ")),
            found.line,
            format!("write `{example}`"),
        ),
        // It may be inherited: the server looks there, too, and says so in its first line.
        (None, None) if class.parent.as_deref().is_some_and(|parent| parent != "java/lang/Object") => {
            Vec::new()
        }
        (None, None) => say(format!("`{method}` is not defined"), None, candidates(&class, method, &example)),
    }
}

/// What keeps the server from making an instance of the class.
fn instance(
    class: &Class,
    simple: &str,
    method: &str,
    line: Option<u32>,
) -> Option<(String, Option<u32>, String)> {
    if !class.is_concrete() {
        let hint = format!("make `{method}` static, or name a class that is not abstract");
        return Some((format!("`{simple}` is abstract, and `{method}` is not static"), line, hint));
    }
    let constructors = || class.methods.iter().filter(|found| found.name == "<init>");
    let fitting = constructors().any(|found| found.is_public() && found.descriptor == "()V");
    // A class that is not public has a constructor that is none, either, unless its author writes one.
    (!fitting).then(|| {
        let line = constructors().find_map(|found| found.line).or(line);
        let hint = format!("write `public {simple}() {{ … }}`, or make `{method}` static");
        (format!("`{simple}` has no public constructor without parameters"), line, hint)
    })
}

/// What there is instead.
fn candidates(class: &Class, method: &str, example: &str) -> String {
    let fits = |found: &&Method| {
        found.is_public() && found.descriptor.starts_with(PARAMETERS) && !found.is_synthetic()
    };
    let line = |found: &Method| found.line.map_or(String::new(), |line| format!(" (line {line})"));
    let there: Vec<_> = class
        .methods
        .iter()
        .filter(fits)
        .take(5)
        .map(|found| format!("{}{}", found.name, line(found)))
        .collect();
    if there.is_empty() {
        format!("write `{example}`")
    } else {
        format!("the class has {}; name one of them, or write `{method}`", there.join(", "))
    }
}
