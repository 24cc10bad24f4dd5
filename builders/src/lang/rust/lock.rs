//! `Cargo.lock`: the function's own, with our crate added, so that cargo itself tells whether it agrees with the manifest.

use toml::{Table, Value};

use super::manifest::{API, LOCK, Manifest, VERSION, syntax};
use crate::diagnostic::Diagnostic;
use crate::entry::text;
use crate::error::PlanError;
use crate::function::Function;

/// The function's lock with our crate in it; `None` where it has none.
pub(super) fn of(function: &Function, manifest: &Manifest<'_>) -> Result<Option<String>, PlanError> {
    let Some(path) = function.top(LOCK) else { return Ok(None) };
    let text = text(function, path)?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let mut lock: Table = text.parse().map_err(|error| syntax(path.as_str(), text, &error))?;
    let packages = lock.entry("package").or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(packages) = packages else {
        let found = Diagnostic::new("`package` is not a list").at(path.as_str(), None, None);
        return Err(PlanError::Manifest(found.hint("make it anew: cargo generate-lockfile")));
    };
    packages.retain(|package| name(package) != Some(API));
    for package in packages.iter_mut().filter_map(Value::as_table_mut) {
        let is_own = package.get("name").and_then(Value::as_str) == Some(manifest.package())
            && !package.contains_key("source");
        let Some(dependencies) = package.get_mut("dependencies").and_then(Value::as_array_mut) else {
            if is_own {
                package.insert("dependencies".to_owned(), Value::Array(vec![API.into()]));
            }
            continue;
        };
        let is_api = |one: &Value| one.as_str().and_then(|one| one.split(' ').next()) == Some(API);
        let names_api = dependencies.iter().any(is_api);
        dependencies.retain(|one| !is_api(one));
        if is_own || names_api {
            dependencies.push(API.into());
        }
    }
    let ours = [("name", API), ("version", VERSION)];
    packages
        .push(Value::Table(ours.map(|(key, value)| (key.to_owned(), value.into())).into_iter().collect()));
    let packages = std::mem::take(packages);
    lock.remove("package");
    let (tables, plain): (Table, Table) = lock.into_iter().partition(|(_, value)| value.is_table());
    let packages: String = packages.iter().filter_map(Value::as_table).map(written).collect();
    Ok(Some(format!("{plain}{packages}\n{tables}")))
}

/// A package as cargo writes it, for build scripts that read the lock as text.
fn written(package: &Table) -> String {
    let order = ["name", "version", "source", "checksum", "dependencies", "replace"];
    let lines = order.iter().filter_map(|key| match package.get(*key)? {
        Value::Array(list) if list.is_empty() => None,
        Value::Array(list) => {
            let list: Vec<_> = list.iter().map(ToString::to_string).collect();
            Some(format!("{key} = [\n {},\n]\n", list.join(",\n ")))
        }
        value => Some(format!("{key} = {value}\n")),
    });
    format!("\n[[package]]\n{}", lines.collect::<String>())
}

fn name(package: &Value) -> Option<&str> {
    package.get("name")?.as_str()
}
