//! The configuration of cargo: where crates come from, for every step; how to get at them, for the one that fetches.
//!
//! Cargo reads no configuration but what is written here: of the operator's files and of the function's own, what
//! is about registries and network. What would change how a function is compiled (flags, linkers, wrappers) is left out.
//!
//! Sources: <https://doc.rust-lang.org/cargo/reference/config.html>,
//! <https://doc.rust-lang.org/cargo/reference/source-replacement.html>,
//! <https://doc.rust-lang.org/cargo/reference/registry-authentication.html>.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::Inputs;
use crate::diagnostic::{Blame, Diagnostic};
use crate::error::PlanError;
use crate::function::RelPath;
use crate::plan::{Arg, Place};
use crate::tables::malformed;

/// What cargo gets to know.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    /// The lines of the private `config.toml`, which has no credentials: sources, and the registries' addresses.
    lines: Vec<Arg>,
    /// Arguments for the step that fetches.
    pub(super) args: Vec<Arg>,
    /// Variables for the step that fetches.
    pub(super) env: BTreeMap<String, Arg>,
    /// The values behind the secret pieces.
    pub(super) secrets: BTreeMap<String, String>,
    /// The function's own configuration files, on which it depends.
    pub(super) own: BTreeSet<RelPath>,
    /// What was decided.
    pub(super) because: Vec<String>,
}

/// Tables of the operator's files that are obeyed.
const OPERATORS: [&str; 6] = ["credential-alias", "http", "net", "registries", "registry", "source"];
/// Tables of the function's own file that are obeyed: whom to trust, and which program has the credentials, is the
/// operator's to say.
const OWN: [&str; 3] = ["net", "registries", "source"];
/// Tables that say nothing of a build.
const IDLE: [&str; 8] =
    ["alias", "cache", "cargo-new", "doc", "future-incompat-report", "install", "publish", "term"];
/// The variable that says which programs know tokens. Without it cargo takes none for a registry that asks for them:
/// <https://doc.rust-lang.org/cargo/reference/registry-authentication.html#recommended-configuration>.
const PROVIDERS: &str = "CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS";
/// Variables that say of a source what cargo lets files only say.
const SOURCE: &str = "CARGO_SOURCE_";
/// Where the function is compiled: its own directories are named so, until that is written.
const WITHIN: &str = "<kept>/function/";

impl Configuration {
    /// Reads the configuration of the operator, and the function's own, which wins but for the addresses of registries
    /// that the operator names: tokens go there.
    pub(super) fn of(inputs: &Inputs<'_>) -> Result<Self, PlanError> {
        let mut made = Configuration::default();
        let mut all = Table::new();
        for (path, text) in &inputs.settings.files {
            if FILES.iter().any(|name| path.ends_with(name)) {
                let blamed = |found: Diagnostic| found.blame(Blame::Platform);
                let table = text.parse::<Table>().map_err(|error| malformed(path, text, &error));
                let table = table.map_err(|found| PlanError::Manifest(blamed(found)))?;
                merge(&mut all, made.obeyed(path, table, &OPERATORS));
            }
        }
        for name in OWN_FILES {
            let Some(path) = inputs.function.top(name) else { continue };
            let text = inputs.function.text(path).unwrap_or_default();
            let table = text.parse::<Table>().map_err(|error| malformed(name, text, &error));
            let mut table = made.obeyed(name, table.map_err(PlanError::Manifest)?, &OWN);
            within(&mut table, name)?;
            for (registry, said) in tables(&mut table, "registries") {
                said.retain(|key, _| key == "token" || key == "index");
                let known = all.get("registries").and_then(|known| known.get(registry)?.get("index"));
                if known.is_some() {
                    said.remove("index");
                }
            }
            merge(&mut all, table);
            made.own.insert(path.clone());
        }
        merge(&mut all, of_variables(&inputs.settings.env));
        made.write(all, inputs)?;
        Ok(made)
    }

    /// What of a file is obeyed.
    fn obeyed(&mut self, file: &str, mut table: Table, obeyed: &[&str]) -> Table {
        let ignored = |key: &&String| !obeyed.contains(&key.as_str()) && !IDLE.contains(&key.as_str());
        let ignored: Vec<_> = table.keys().filter(ignored).map(|key| format!("[{key}]")).collect();
        if !ignored.is_empty() {
            let ignored = ignored.join(", ");
            self.because
                .push(format!("{ignored} of {file} are left out: registries and network are asked there"));
        }
        table.retain(|key, _| obeyed.contains(&key));
        table
    }

    /// Parts what every step needs from what the one that fetches needs.
    fn write(&mut self, mut all: Table, inputs: &Inputs<'_>) -> Result<(), PlanError> {
        let env = &inputs.settings.env;
        let replaced =
            all.get("source").and_then(|sources| sources.get("crates-io")?.get("replace-with")?.as_str());
        self.because.extend(replaced.map(|name| format!("{name} stands for crates.io")));
        for (name, source) in tables(&mut all, "source") {
            for (key, value) in &*source {
                self.line(["source", name, key], value)?;
            }
        }
        all.remove("source");
        for (name, registry) in tables(&mut all, "registries") {
            for key in ["index", "protocol"] {
                if let Some(value) = registry.remove(key) {
                    self.line(["registries", name, key], &value)?;
                }
            }
        }
        let mut rest = Vec::new();
        flatten(Vec::new(), Value::Table(all), &mut rest);
        for (path, value) in rest {
            let variable = format!("CARGO_{}", path.join("_").to_uppercase().replace(['-', '.'], "_"));
            if env.contains_key(&variable) {
                continue;
            }
            let text = match &value {
                Value::String(text) => Some(text.clone()),
                Value::Boolean(_) | Value::Integer(_) | Value::Float(_) => Some(value.to_string()),
                Value::Array(_) | Value::Datetime(_) | Value::Table(_) => None,
            };
            let secret = Arg::secret(variable.as_str());
            if let Some(text) = text {
                self.secrets.insert(variable.clone(), text);
                self.env.insert(variable, secret);
            } else {
                // Lists of what has blanks in it cannot be said by a variable.
                self.secrets.insert(variable, format!("{}={value}", key(&path)));
                self.args.extend(["--config".into(), secret]);
            }
        }
        let git = inputs.toolchain.tool("git").map(|_| (GIT_PROGRAM, "true"));
        for (variable, value) in [(PROVIDERS, "cargo:token")].into_iter().chain(git) {
            if !env.contains_key(variable) && !self.secrets.contains_key(variable) {
                self.env.insert(variable.to_owned(), value.into());
            }
        }
        self.env.insert("GIT_TERMINAL_PROMPT".to_owned(), "0".into());
        Ok(())
    }

    /// Adds a line to what every step sees.
    fn line(&mut self, path: [&str; 3], value: &Value) -> Result<(), PlanError> {
        let text = value.as_str().unwrap_or_default();
        let login = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next());
        if login.is_some_and(|authority| authority.contains('@')) {
            let message = format!(
                "the URL of {} holds credentials, which cargo sends with a part of its requests only",
                key(&path)
            );
            let hint =
                "name the registry in [registries], and give its token as CARGO_REGISTRIES_<NAME>_TOKEN";
            return Err(PlanError::Dependencies(Diagnostic::new(message).hint(hint).blame(Blame::Platform)));
        }
        let value = match text.strip_prefix(WITHIN).and_then(|_| text.parse::<Place>().ok()) {
            Some(place) => Arg::from("'").then(place).then("'"),
            None => value.to_string().into(),
        };
        self.lines.push(Arg::from(format!("{} = ", key(&path))).then(value).then("\n"));
        Ok(())
    }

    /// The text of the private `config.toml`.
    pub(super) fn text(&self) -> Arg {
        self.lines.iter().cloned().fold(Arg::from(""), Arg::then)
    }
}

/// The user's files; what comes later wins.
const FILES: [&str; 4] =
    [".cargo/credentials.toml", ".cargo/credentials", ".cargo/config.toml", ".cargo/config"];
/// The function's own, which may hold tokens, too.
const OWN_FILES: [&str; 2] = [".cargo/config.toml", ".cargo/config"];
/// The variable that has git's own program fetch repositories: it knows `.netrc`, and cargo's way knows no credentials
/// as soon as a CA or a proxy is configured (<https://doc.rust-lang.org/cargo/reference/config.html#netgit-fetch-with-cli>).
const GIT_PROGRAM: &str = "CARGO_NET_GIT_FETCH_WITH_CLI";

/// The tables in a table.
fn tables<'a>(table: &'a mut Table, name: &str) -> impl Iterator<Item = (&'a String, &'a mut Table)> {
    let found = table.get_mut(name).and_then(Value::as_table_mut);
    found.into_iter().flatten().filter_map(|(name, value)| Some((name, value.as_table_mut()?)))
}

/// Merges as cargo does: tables key by key, lists end to end, else what comes later wins.
fn merge(into: &mut Table, later: Table) {
    for (key, value) in later {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(known)), Value::Table(value)) => merge(known, value),
            (Some(Value::Array(known)), Value::Array(value)) => known.extend(value),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Notes of the paths in a function's own file that they are relative to its directory.
fn within(table: &mut Table, file: &str) -> Result<(), PlanError> {
    for (name, source) in tables(table, "source") {
        for key in ["directory", "local-registry"] {
            let Some(path) = source.get_mut(key) else { continue };
            let text = path.as_str().unwrap_or_default();
            let Ok(below) = text.trim_start_matches("./").trim_end_matches('/').parse::<RelPath>() else {
                let message =
                    format!("the source {name} is at {text:?}, which is no directory of the function");
                let hint = "run `cargo vendor` beside Cargo.toml, and name its directory";
                return Err(PlanError::Manifest(Diagnostic::new(message).at(file, None, None).hint(hint)));
            };
            *path = Value::String(format!("{WITHIN}{below}"));
        }
    }
    Ok(())
}

/// What variables say of sources, in the words of a file: `CARGO_SOURCE_CRATES_IO_REPLACE_WITH`.
fn of_variables(env: &BTreeMap<String, String>) -> Table {
    let mut sources = Table::new();
    for (variable, value) in env.iter().filter(|(_, value)| !value.is_empty()) {
        let said = variable.strip_prefix(SOURCE).and_then(|rest| {
            let keys = ["replace-with", "registry", "directory", "local-registry"];
            let rest = rest.to_lowercase().replace('_', "-");
            keys.into_iter()
                .rev()
                .find_map(|key| Some((rest.strip_suffix(key)?.strip_suffix('-')?.to_owned(), key)))
        });
        if let Some((name, key)) = said {
            let source = Table::from_iter([(key.to_owned(), Value::String(value.clone()))]);
            merge(&mut sources, Table::from_iter([(name, Value::Table(source))]));
        }
    }
    Table::from_iter([("source".to_owned(), Value::Table(sources))])
}

/// The values in a table, each with the way to it.
fn flatten(path: Vec<String>, value: Value, found: &mut Vec<(Vec<String>, Value)>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                flatten([path.clone(), vec![key]].concat(), value, found);
            }
        }
        value => found.push((path, value)),
    }
}

/// A dotted key, quoted where it must be.
fn key<S: AsRef<str>>(path: &[S]) -> String {
    let is_bare =
        |part: &&str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let quoted = |part: &S| {
        let part = part.as_ref();
        Some(part).filter(is_bare).map_or_else(|| Value::from(part).to_string(), str::to_owned)
    };
    path.iter().map(quoted).collect::<Vec<_>>().join(".")
}
