//! What npm and pnpm say of packages that are for another Node.js, another machine or another installer.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::words::{Said, name_and_version};
use crate::diagnostic::{Diagnostic, pattern};
use crate::lang::nodejs::json;

/// npm error notsup Not compatible with your version of node/npm: modern@1.0.0
/// npm error notsup Required: {"node":">=99"}
/// npm error notsup Actual:   {"node":"v24.21.0","npm":"11.21.2"}
///
/// Your Node version is incompatible with "modern@1.0.0".
/// Expected version: >=99
/// Got: v20.20.2
pub(super) fn engine(said: &Said<'_>) -> Option<Diagnostic> {
    static PACKAGE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"Not compatible with your version of node/npm: (\S+)|Your (?:Node|pnpm) version is incompatible with "([^"]+)""#,
        )
    });
    static REQUIRED: LazyLock<Regex> = LazyLock::new(|| pattern(r"Required: +(\{.*\})"));
    static ACTUAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"Actual: +(\{.*\})"));
    static EXPECTED: LazyLock<Regex> = LazyLock::new(|| pattern(r"Expected version: (.+)"));
    static GOT: LazyLock<Regex> = LazyLock::new(|| pattern(r"Got: v?(\S+)"));
    let (name, version) = name_and_version(said.find(&PACKAGE)?);
    let versions = |pattern| serde_json::from_str::<BTreeMap<String, String>>(said.find(pattern)?).ok();
    let (needs, here) = if let (Some(required), Some(actual)) = (versions(&REQUIRED), versions(&ACTUAL)) {
        let named = |all: &BTreeMap<String, String>| {
            let all = required.keys().filter_map(|tool| Some((tool, all.get(tool)?)));
            let all: Vec<_> = all
                .map(|(tool, version)| format!("{} {}", engine_name(tool), version.trim_start_matches('v')))
                .collect();
            all.join(" and ")
        };
        (named(&required), named(&actual))
    } else {
        let tool = if said.words.contains("Your pnpm version") { "pnpm" } else { "node" };
        let tool = engine_name(tool);
        (format!("{tool} {}", said.find(&EXPECTED)?), format!("{tool} {}", said.find(&GOT)?))
    };
    if let Some(engines) = own(said, name, "engines") {
        let hint = "choose an image of such a version, or widen `engines`";
        return Some(engines.says(format!("the function is for {needs}, and here is {here}")).hint(hint));
    }
    let message = format!("{name} {version} needs {needs}, and here is {here}{}", said.asked_by(name));
    Some(
        said.at(name, message)
            .hint("ask for a version of the package that supports this Node.js, or for another runtime"),
    )
}

fn engine_name(engine: &str) -> &str {
    if engine == "node" { "Node.js" } else { engine }
}

/// A member of the function's own manifest, if it is the function that was spoken of, by its name or its room.
fn own<'a>(said: &'a Said<'_>, spoken_of: &str, member: &str) -> Option<json::Value<'a>> {
    let path = said.manifest.as_ref()?.path;
    let root = json::parse(path.as_str(), said.function.text(path)?).ok()?;
    let name = root.member("name").and_then(|name| name.get::<String>());
    let is_own =
        spoken_of.is_empty() || spoken_of.starts_with(['<', '/']) || name.as_deref() == Some(spoken_of);
    is_own.then(|| root.member(member)).flatten()
}

/// npm error notsup Unsupported platform for windowed@1.0.0: wanted {"os":"win32"} (current: {"os":"linux"})
pub(super) fn platform(said: &Said<'_>) -> Option<Diagnostic> {
    static WANTED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"Unsupported platform for (\S+?): wanted (\{.*?\}) \(current: (\{.*?\})\)")
    });
    let found = WANTED.captures(&said.words)?;
    let (name, version) = name_and_version(found.get(1)?.as_str());
    let keys = |at: usize| -> Option<String> {
        let keys: BTreeMap<String, Value> = serde_json::from_str(found.get(at)?.as_str()).ok()?;
        let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key} {}", list(value))).collect();
        Some(keys.join(" and "))
    };
    let (wanted, here) = (keys(2)?, keys(3)?);
    let message = format!("{name} {version} is for {wanted}, and here is {here}{}", said.asked_by(name));
    Some(said.at(name, message).hint(
        "use another package, or list it in `optionalDependencies`, to be left out where it does not fit",
    ))
}

/// One or several words.
fn list(value: &Value) -> String {
    match value {
        Value::Array(values) => values.iter().map(list).collect::<Vec<_>>().join(" or "),
        Value::String(word) => word.clone(),
        other => other.to_string(),
    }
}

///  ERROR  This project is configured to use yarn
/// This project is configured to use v8.0.0 of pnpm. Your current pnpm is v9.15.9
pub(super) fn package_manager(said: &Said<'_>) -> Option<Diagnostic> {
    static WANTED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"This project is configured to use ([^\n]+?)(?:\. |\.?\n|\.?$)"));
    let wanted = said.find(&WANTED)?;
    let hint = "remove `packageManager`, or choose an image that has what it names";
    let message = format!("the function is for {wanted}, and here is another installer");
    let place = own(said, "", "packageManager");
    Some(place.map_or_else(|| Diagnostic::new(message.clone()), |place| place.says(&message)).hint(hint))
}
