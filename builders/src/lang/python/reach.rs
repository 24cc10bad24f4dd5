//! On which of a function's files its dependencies depend.

use super::grammar::is_remote;
use super::lock::{LOCK, PYPROJECT};
use super::manifest::Manifest;
use super::requirements::Requirements;
use super::settings::Effective;
use crate::Inputs;
use crate::function::{Function, RelPath};
use crate::plan::ResolvesFrom;
use crate::toolchain::Settings;

/// What an installer reads where it runs, beside what speaks for the dependencies.
const BESIDE: [&str; 5] = [PYPROJECT, LOCK, "uv.toml", "setup.cfg", ".python-version"];

/// The files that the installer reads; all where one of them, or the configuration, may name others.
pub(super) fn of(inputs: &Inputs<'_>, manifest: &Manifest) -> ResolvesFrom {
    let function = inputs.function;
    if matches!(manifest, Manifest::None(_)) {
        return ResolvesFrom::Files([].into());
    }
    let mut remote = manifest.entries().iter().all(|entry| entry.is_remote);
    match manifest {
        Manifest::Requirements(_, wanted) => remote &= options_are_remote(wanted),
        Manifest::Lock(_, locked) => remote &= locked.is_remote,
        Manifest::None(_) | Manifest::Project(_) => {}
    }
    if !remote || names_files(function) || is_relative(inputs.settings) {
        return ResolvesFrom::All;
    }
    let read = manifest.texts(function).into_iter().map(|(path, _)| path);
    ResolvesFrom::Files(read.chain(BESIDE.iter().filter_map(|name| function.top(name))).cloned().collect())
}

/// Whether no option of a requirements file leads to files.
fn options_are_remote(wanted: &Requirements) -> bool {
    let is_harmless = |name: &str, value: &str| match name {
        "--index-url" | "--extra-index-url" | "--find-links" => is_remote(value),
        // They reach the build of a package, which may read what they name.
        "--config-settings" | "--global-option" => false,
        _ => true,
    };
    !wanted.is_vague && wanted.options.iter().all(|option| is_harmless(option.name, &option.value))
}

/// Whether uv's settings in the function may name files of it.
fn names_files(function: &Function) -> bool {
    let table = |path: &RelPath| function.text(path)?.parse::<toml::Table>().ok();
    let own = function.top("uv.toml").and_then(table).map(toml::Value::Table);
    let project = function.top(PYPROJECT).and_then(table);
    let project = project.and_then(|table| table.get("tool")?.get("uv").cloned());
    own.iter().chain(&project).any(|value| leads(value, Named::Anything, &|text| !is_remote(text)))
}

/// Whether the configuration of the image and of the operator names files of the function: where tools run, relative
/// paths begin.
fn is_relative(settings: &Settings) -> bool {
    const PIP: [&str; 6] =
        ["find-links", "constraint", "build-constraint", "requirement", "index-url", "extra-index-url"];
    const VARIABLES: [&str; 10] = [
        "PIP_CONFIG_FILE",
        "UV_CONFIG_FILE",
        "UV_FIND_LINKS",
        "UV_CONSTRAINT",
        "UV_BUILD_CONSTRAINT",
        "UV_OVERRIDE",
        "UV_INDEX",
        "UV_DEFAULT_INDEX",
        "UV_INDEX_URL",
        "UV_EXTRA_INDEX_URL",
    ];
    let relative =
        |text: &str| !is_remote(text) && !["/", "~", "file:"].iter().any(|begin| text.starts_with(begin));
    let pip = Effective::of(settings);
    let values = PIP.iter().filter_map(|key| pip.get(key));
    let values = values.chain(VARIABLES.iter().filter_map(|name| Some(settings.env.get(*name)?.as_str())));
    // UV_INDEX may give each a name: `name=https://…`.
    let mut words =
        values.flat_map(|value| value.split([' ', ',', '\t', '\n'])).filter(|word| !word.is_empty());
    let words = words.any(|word| relative(word.split_once("=http").map_or(word, |_| "https://")));
    let named = settings.env.get("UV_CONFIG_FILE");
    let files = settings.files.iter().filter(|(path, _)| path.ends_with("uv.toml") || named == Some(path));
    let mut files = files.filter_map(|(_, text)| text.parse::<toml::Table>().ok());
    words || files.any(|table| leads(&toml::Value::Table(table), Named::Anything, &relative))
}

/// What the key of a value says that it names.
#[derive(Clone, Copy)]
enum Named {
    /// A path or a URL.
    Place,
    /// Any text, for example a requirement.
    Anything,
}

/// Whether a value of uv's settings names what `is_file` says is a file.
/// <https://docs.astral.sh/uv/reference/settings/>
fn leads(value: &toml::Value, named: Named, is_file: &dyn Fn(&str) -> bool) -> bool {
    match (value, named) {
        (toml::Value::Table(table), _) => table.iter().any(|(key, value)| match key.as_str() {
            "workspace" => true,
            "path" | "url" | "git" | "find-links" | "index-url" | "extra-index-url" => {
                leads(value, Named::Place, is_file)
            }
            _ => leads(value, Named::Anything, is_file),
        }),
        (toml::Value::Array(values), _) => values.iter().any(|value| leads(value, named, is_file)),
        (toml::Value::String(text), Named::Place) => is_file(text),
        (toml::Value::String(text), Named::Anything) => {
            text.split([' ', '@', ';']).any(|word| word.contains('/') && is_file(word))
        }
        _ => false,
    }
}
