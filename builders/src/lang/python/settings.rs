//! Translates pip's configuration for uv, which reads neither `pip.conf` nor `PIP_*`.
//!
//! Sources: <https://pip.pypa.io/en/stable/topics/configuration/>, <https://docs.astral.sh/uv/reference/environment/>.

use std::collections::BTreeMap;

use super::requirements::Requirements;
use crate::plan::Arg;
use crate::toolchain::Settings;

/// pip's configuration in uv's terms.
#[derive(Debug, Default)]
pub(super) struct Translation {
    /// Variables for uv.
    pub(super) env: BTreeMap<String, Arg>,
    /// Arguments for `uv pip install`.
    pub(super) args: Vec<Arg>,
    /// The values behind the secret pieces.
    pub(super) secrets: BTreeMap<String, String>,
    /// pip's keys that were translated.
    pub(super) translated: Vec<String>,
    /// pip's keys that uv has no counterpart for.
    pub(super) lost: Vec<String>,
}

/// What pip would find in its configuration for `pip install`, by key.
#[derive(Debug, Default)]
pub(super) struct Effective {
    values: BTreeMap<String, String>,
    /// What could not be read, though pip will.
    unread: Vec<String>,
}

impl Effective {
    /// The configuration as pip merges it: the environment wins over `PIP_CONFIG_FILE`, that over
    /// the site's file, the user's and the system's; `[install]` wins over `[global]`.
    pub(super) fn of(settings: &Settings) -> Self {
        let mut found = Effective::default();
        let named = settings.env.get("PIP_CONFIG_FILE").filter(|path| !path.is_empty());
        let mut files: Vec<_> =
            settings.files.iter().filter(|(path, _)| path.ends_with("pip.conf")).collect();
        if let Some(named) = named {
            // A named file stands for the user's own: https://github.com/pypa/pip/blob/23.2.1/src/pip/_internal/configuration.py#L341
            files.retain(|(path, _)| !path.starts_with("~/") && path != named);
            match settings.files.iter().find(|(path, _)| path == named) {
                // Then pip reads no file at all: https://pip.pypa.io/en/stable/topics/configuration/#pip-config-file
                _ if named == "/dev/null" => files.clear(),
                Some(file) => files.push(file),
                None => found.unread.push("config-file".to_owned()),
            }
        }
        let mut sections: [BTreeMap<String, String>; 2] = Default::default();
        for (_, text) in files {
            for (section, key, value) in ini(text) {
                match section.as_str() {
                    "global" => sections[0].insert(key, value),
                    "install" => sections[1].insert(key, value),
                    _ => None,
                };
            }
        }
        let environment = settings
            .env
            .iter()
            .filter_map(|(name, value)| Some((key(name.strip_prefix("PIP_")?), value.clone())));
        found.values = sections.into_iter().flatten().chain(environment).collect();
        // pip passes over what is empty.
        found.values.retain(|key, value| !value.trim().is_empty() && key != "config-file");
        found
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }
}

/// A key as pip compares it: `PIP_INDEX_URL`, `index_url` and `index-url` are one.
fn key(name: &str) -> String {
    name.trim().trim_start_matches("--").to_ascii_lowercase().replace('_', "-")
}

/// Section, key and value of an INI file as Python's `RawConfigParser` reads it: an indented line continues a value.
fn ini(text: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found: Vec<(String, String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if line.starts_with(char::is_whitespace) {
            if let Some((.., value)) = found.last_mut().filter(|_| !trimmed.is_empty()) {
                value.push('\n');
                value.push_str(trimmed);
            }
        } else if let Some((name, value)) = trimmed.split_once(['=', ':']) {
            found.push((section.clone(), key(name), value.trim().to_owned()));
        }
    }
    found
}

/// Translates pip's configuration. What the user configured for uv itself is left as it is.
pub(super) fn for_uv(settings: &Settings) -> Translation {
    let pip = Effective::of(settings);
    let own_indexes = has_own_indexes(settings);
    let mut done = Translation { lost: pip.unread.clone(), ..Translation::default() };
    for (key, value) in &pip.values {
        let is_index = matches!(key.as_str(), "index-url" | "extra-index-url" | "find-links" | "no-index");
        if ignorable(key) || (is_index && own_indexes) {
            continue;
        }
        match done.translate(key, value) {
            Some(()) => done.translated.push(key.clone()),
            None => done.lost.push(key.clone()),
        }
    }
    // `SSL_CERT_FILE` is always set, to the image's roots if to nothing else; what pip is told to trust says more.
    done.env.retain(|name, _| name == "SSL_CERT_FILE" || !settings.env.contains_key(name));
    done
}

/// Whether the user told uv where to look for packages.
fn has_own_indexes(settings: &Settings) -> bool {
    const VARIABLES: [&str; 5] =
        ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"];
    const KEYS: [&str; 5] = ["index", "index-url", "extra-index-url", "find-links", "no-index"];
    let in_file = |text: &str| {
        let table = text.parse::<toml::Table>().unwrap_or_default();
        let pip = table.get("pip").and_then(toml::Value::as_table);
        KEYS.iter().any(|key| table.contains_key(*key) || pip.is_some_and(|pip| pip.contains_key(*key)))
    };
    VARIABLES.iter().any(|name| settings.env.contains_key(*name))
        || settings.files.iter().any(|(path, text)| path.ends_with("uv.toml") && in_file(text))
}

/// Keys that say how pip talks, or that the plan decides: losing them changes no result.
fn ignorable(key: &str) -> bool {
    matches!(
        key,
        "disable-pip-version-check"
            | "no-python-version-warning"
            | "no-cache-dir"
            | "cache-dir"
            | "progress-bar"
            | "no-input"
            | "quiet"
            | "verbose"
            | "no-color"
            | "no-warn-script-location"
            | "no-warn-conflicts"
            | "root-user-action"
            | "user"
            | "require-virtualenv"
            | "target"
            | "prefix"
            | "root"
            | "compile"
            | "no-compile"
            | "break-system-packages"
            | "exists-action"
            | "log"
            | "debug"
            | "upgrade"
            | "upgrade-strategy"
            | "ignore-installed"
            | "no-clean"
            | "src"
    )
}

impl Translation {
    /// Adds what a requirements file says and uv takes on its command line only.
    pub(super) fn requirements(&mut self, wanted: &Requirements) {
        for option in &wanted.options {
            match option.name {
                "--pre" => self.args.push("--prerelease=allow".into()),
                "--trusted-host" => {
                    self.args.extend(["--allow-insecure-host".into(), option.value.as_str().into()]);
                }
                "--extra-index-url" => self.all_indexes(),
                "--prefer-binary" | "--use-feature" | "--config-settings" | "--global-option" => {
                    self.lost.push(format!("{} in {}", option.name, option.file));
                }
                _ => {}
            }
        }
    }

    /// pip takes the best version of all indexes, uv by default that of the first index that has the package.
    fn all_indexes(&mut self) {
        self.env.insert("UV_INDEX_STRATEGY".to_owned(), "unsafe-best-match".into());
    }

    /// Translates one key; `None` where uv has no counterpart for this value.
    fn translate(&mut self, key: &str, value: &str) -> Option<()> {
        let words: Vec<_> = value.split_whitespace().collect();
        match key {
            "index-url" => self.secret("UV_DEFAULT_INDEX", key, value),
            "extra-index-url" => {
                self.secret("UV_INDEX", key, &words.join(" "));
                self.all_indexes();
            }
            "trusted-host" => self.secret("UV_INSECURE_HOST", key, &words.join(" ")),
            "proxy" => {
                self.secret("HTTPS_PROXY", key, value);
                self.secret("HTTP_PROXY", key, value);
            }
            "cert" | "client-cert" | "constraint" if value.starts_with('~') => return None,
            "cert" => self.secret("SSL_CERT_FILE", key, value),
            "client-cert" => self.secret("SSL_CLIENT_CERT", key, value),
            "constraint" => self.secret("UV_CONSTRAINT", key, &words.join(" ")),
            "find-links" if words.iter().any(|word| word.starts_with('~')) => return None,
            "find-links" => {
                for (number, word) in (1..).zip(&words) {
                    let name = format!("{key} {number}");
                    self.args.extend(["--find-links".into(), Arg::secret(name.as_str())]);
                    self.secrets.insert(name, (*word).to_owned());
                }
            }
            "timeout" | "default-timeout" => {
                let seconds: u32 = value.trim().split('.').next()?.parse().ok()?;
                self.env.insert("UV_HTTP_TIMEOUT".to_owned(), seconds.max(1).to_string().into());
            }
            "retries" => {
                let retries: u32 = value.trim().parse().ok()?;
                self.env.insert("UV_HTTP_RETRIES".to_owned(), retries.max(1).to_string().into());
            }
            "only-binary" | "no-binary" => {
                let packages = words.iter().flat_map(|word| word.split(','));
                self.args.extend(packages.flat_map(|name| [format!("--{key}").into(), name.into()]));
            }
            "no-index" | "no-deps" | "require-hashes" | "pre" => {
                let argument =
                    if key == "pre" { "--prerelease=allow".to_owned() } else { format!("--{key}") };
                self.args.extend(truth(value)?.then(|| argument.into()));
            }
            _ => return None,
        }
        Some(())
    }

    /// Sets a variable to a value of pip's configuration.
    fn secret(&mut self, variable: &str, key: &str, value: &str) {
        self.secrets.insert(key.to_owned(), value.to_owned());
        self.env.insert(variable.to_owned(), Arg::secret(key));
    }
}

/// A truth value as pip writes it.
fn truth(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" | "y" | "t" => Some(true),
        "0" | "false" | "no" | "off" | "n" | "f" => Some(false),
        _ => None,
    }
}
