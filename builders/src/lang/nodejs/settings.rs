//! The configuration of npm and pnpm: what Kubeless' variables become, and what is set where the user says nothing.
//!
//! Sources: <https://docs.npmjs.com/cli/v11/using-npm/config>, <https://pnpm.io/cli/install>,
//! <https://github.com/vmware-archive/runtimes/blob/master/stable/nodejs/kubeless-npm-install.sh>.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::install::Installer;
use super::manifest::PNPM_WORKSPACE;
use crate::Inputs;
use crate::plan::Arg;
use crate::steps::scratch;

/// npm waits 10 s before it asks again, and 5 min for an answer: most of the time that a stage has.
const PATIENCE: [(&str, &str); 3] =
    [("fetch-retry-mintimeout", "1000"), ("fetch-retry-maxtimeout", "10000"), ("fetch-timeout", "90000")];

/// What is added to the user's own configuration.
#[derive(Debug, Default)]
pub(super) struct Added {
    /// Arguments.
    pub(super) args: Vec<Arg>,
    /// Arguments that say where caches are.
    pub(super) caches: Vec<Arg>,
    /// Variables.
    pub(super) env: BTreeMap<String, Arg>,
    /// The values behind the secret pieces.
    pub(super) secrets: BTreeMap<String, String>,
    /// Variables of Kubeless' that were obeyed.
    pub(super) obeyed: Vec<&'static str>,
}

/// What the user configured, by key: in files, and in the environment.
#[derive(Debug, Default)]
pub(super) struct Configured {
    files: BTreeMap<String, String>,
    /// What Kubeless' variable says.
    extra: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
}

impl Configured {
    /// Reads the configuration: the function's own files win over the user's and the system's.
    pub(super) fn of(inputs: &Inputs<'_>, installer: Installer) -> Self {
        let own = [".npmrc", PNPM_WORKSPACE]
            .into_iter()
            .filter_map(|name| Some((name, inputs.function.text(inputs.function.top(name)?)?)));
        let files = inputs.settings.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let files = files.filter(|(path, _)| !path.ends_with("netrc")).chain(own);
        let variables = |prefix: &'static str| {
            inputs.settings.env.iter().filter_map(move |(name, value)| {
                let (start, key) = name.split_at_checked(prefix.len())?;
                let is_set = start.eq_ignore_ascii_case(prefix) && !value.is_empty() && name != EXTRA;
                is_set.then(|| (kebab(key), value.clone()))
            })
        };
        let extra = inputs.settings.env.get(EXTRA).map(|text| assignments(text)).unwrap_or_default();
        let pnpm = variables("pnpm_config_").filter(|_| installer == Installer::Pnpm);
        Configured {
            files: files.flat_map(|(path, text)| pairs(path, text)).collect(),
            extra: extra.into_iter().map(|(key, value)| (kebab(&key), value)).collect(),
            env: variables("npm_config_").chain(pnpm).collect(),
        }
    }

    /// The value of a key; the environment wins.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.variable(key).or_else(|| self.files.get(key)).map(String::as_str)
    }

    /// The value of a key in the environment, of which Kubeless' variable is the last.
    fn variable(&self, key: &str) -> Option<&String> {
        self.env.get(key).or_else(|| self.extra.get(key))
    }
}

/// Kubeless' variable, which npm takes for a key `extra` that it does not know.
const EXTRA: &str = "NPM_CONFIG_EXTRA";

/// Adds what Kubeless' variables say, and what is sensible where the user says nothing.
pub(super) fn added(inputs: &Inputs<'_>, installer: Installer, configured: &Configured) -> Added {
    let mut added = Added::default();
    let said =
        |name: &str| inputs.settings.env.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let mut pairs = Vec::new();
    if let Some(registry) = said("NPM_REGISTRY") {
        let scope = said("NPM_SCOPE").map(|scope| format!("@{}:", scope.trim_start_matches('@')));
        let (registry, login) = without_login(registry);
        let key = format!("{}registry", scope.unwrap_or_default());
        if let (Some(login), Some((_, place))) = (login, registry.split_once(':')) {
            let key = format!("{}/:_auth", place.trim_end_matches('/'));
            pairs.push((key, "NPM_REGISTRY:login".to_owned(), STANDARD.encode(login)));
        }
        pairs.push((key, "NPM_REGISTRY".to_owned(), registry));
    }
    let extra = said(EXTRA).map(assignments).unwrap_or_default();
    for (number, (key, value)) in (1..).zip(&extra) {
        pairs.push((key.clone(), format!("{EXTRA}:{number}"), value.clone()));
    }
    // What pnpm must know of its store whenever it is called; some of it has a place in the scratch room.
    let caches: &[(&str, Option<&str>)] = match installer {
        Installer::Npm => &[("cache", Some("npm-cache"))],
        Installer::Pnpm => &[
            ("store-dir", Some("pnpm-store")),
            ("cache-dir", Some("pnpm-cache")),
            ("offline", None),
            ("frozen-store", None),
            ("trust-lockfile", None),
        ],
    };
    pairs.retain(|(key, ..)| {
        !configured.env.contains_key(key) && !caches.iter().any(|(cache, _)| cache == key)
    });
    let own = configured.env.iter().filter(|(key, _)| installer == Installer::Pnpm && is_about_network(key));
    pairs.extend(own.map(|(key, value)| (key.clone(), key.clone(), value.clone())));
    for (key, name, value) in pairs {
        if (key.ends_with("registry") || key.starts_with("fetch-")) && !value.contains('@') {
            added.set(installer, &key, value.into());
        } else {
            added.set(installer, &key, Arg::secret(name.as_str()));
            added.secrets.insert(name, value);
        }
    }
    for (key, room) in caches {
        // One that is mounted may hold all that is needed.
        let value = match (configured.variable(key), room) {
            (Some(asked), _) => {
                added.secrets.insert((*key).to_owned(), asked.clone());
                Arg::secret(*key)
            }
            (None, Some(room)) => scratch(room).into(),
            (None, None) => continue,
        };
        let option = if installer == Installer::Npm { "--" } else { "--config." };
        added.caches.push(Arg::from(format!("{option}{key}=")).then(value));
    }
    for (key, value) in PATIENCE.iter().filter(|(key, _)| configured.get(key).is_none()) {
        added.set(installer, key, (*value).into());
    }
    added.env.extend(said(EXTRA).map(|_| (EXTRA.to_owned(), "".into())));
    added.obeyed.extend(["NPM_REGISTRY", EXTRA].into_iter().filter(|name| said(name).is_some()));
    added
}

/// Whether a key says where packages are, and how to get at them: `npm_config_*` means as much to pnpm, which
/// has not read it since 11.
fn is_about_network(key: &str) -> bool {
    const KEYS: [&str; 11] = [
        "ca",
        "cafile",
        "cert",
        "key",
        "strict-ssl",
        "proxy",
        "https-proxy",
        "noproxy",
        "offline",
        "frozen-store",
        "trust-lockfile",
    ];
    key.starts_with("//") || key.starts_with("fetch-") || key.ends_with("registry") || KEYS.contains(&key)
}

impl Added {
    /// Sets a key: for npm by a variable, but for scopes, whose `_` it would take for `-`; for pnpm, of
    /// which each version reads other variables, by an argument.
    fn set(&mut self, installer: Installer, key: &str, value: Arg) {
        match installer {
            Installer::Npm if key.starts_with('@') => {
                self.args.push(Arg::from(format!("--{key}=")).then(value));
            }
            Installer::Npm if key.starts_with("//") => {
                self.env.insert(format!("npm_config_{key}"), value);
            }
            Installer::Npm => {
                self.env.insert(format!("npm_config_{}", key.replace('-', "_")), value);
            }
            Installer::Pnpm => self.args.push(Arg::from(format!("--config.{key}=")).then(value)),
        }
    }
}

/// A registry's URL, and the `user:password` that stood in it: npm and pnpm up to 10 would send it without decoding
/// it, later versions not at all.
fn without_login(url: &str) -> (String, Option<Vec<u8>>) {
    let split = url.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        let (login, host) = rest[..end].rsplit_once('@')?;
        let colon = if login.contains(':') { "" } else { ":" };
        let login = percent_decode_str(&format!("{login}{colon}")).collect();
        Some((format!("{scheme}://{host}{}", &rest[end..]), Some(login)))
    });
    split.unwrap_or_else(|| (url.to_owned(), None))
}

/// What `npm config set` takes from its arguments: `key=value` or `key value`, several in a row.
fn assignments(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let (key, value) = word.split_once('=').unwrap_or_else(|| (word, words.next().unwrap_or_default()));
        if !value.is_empty() {
            found.push((key.to_owned(), value.to_owned()));
        }
    }
    found
}

/// The keys and values of an `npmrc`, or of pnpm's settings in YAML.
fn pairs(path: &str, text: &str) -> Vec<(String, String)> {
    let separator = if path.rsplit('.').next() == Some("yaml") { ':' } else { '=' };
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
    lines
        .filter_map(|line| line.split_once(separator))
        .map(|(key, value)| (kebab(key), value.trim().trim_matches(['"', '\'']).to_owned()))
        .collect()
}

/// A key as it is compared: `fetch_timeout`, `FETCH_TIMEOUT` and `fetchTimeout` are `fetch-timeout`.
fn kebab(key: &str) -> String {
    let key = key.trim();
    if key.contains(['/', ':']) {
        return key.to_owned();
    }
    let mut kebab = String::new();
    for c in key.chars() {
        if c.is_ascii_uppercase()
            && kebab.ends_with(|last: char| last.is_ascii_lowercase())
            && key.contains(char::is_lowercase)
        {
            kebab.push('-');
        }
        kebab.push(if c == '_' && !kebab.is_empty() { '-' } else { c.to_ascii_lowercase() });
    }
    kebab
}
