//! What tools see of the environment and of the package clients' configuration: the one place where it is chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use builders::catalog::{Environment as Rules, Runtime};
use builders::function::Function;
use builders::toolchain::{Settings, references};

use crate::cli::Environment;
use crate::keys::{self, Inputs, Kind};
use crate::provision::ProvisionError;
use crate::report::credentials;
use crate::report::redact::Redactor;
use crate::sys::fs;

/// What tools see of the environment: rebuilt from an allow-list, never inherited.
#[derive(Clone, Default)]
pub(crate) struct Surroundings {
    /// The variables, HOME and TMPDIR aside.
    pub(crate) env: BTreeMap<String, String>,
    /// The package clients' configuration, for the builder.
    pub(crate) settings: Settings,
    /// Files to be linked into the tools' HOME: path below HOME, and the user's own file.
    pub(crate) home: Vec<(String, PathBuf)>,
    /// What no output may show.
    pub(crate) secrets: BTreeSet<String>,
    /// The CA bundles that configuration files name, by the variable that says the same.
    roots: BTreeMap<String, String>,
    /// Configuration that is there and that no tool will read, as sentences.
    pub(crate) unread: Vec<String>,
    /// Variables that lead to the package clients' configuration, or hold a part of it.
    confidential: BTreeSet<String>,
}

/// Variables that every language's tools may see, beside [`PROXIES`].
const COMMON: [&str; 6] = ["LANG", "LC_ALL", "TZ", "SOURCE_DATE_EPOCH", ROOTS, "SSL_CERT_DIR"];
/// The way out, in capitals and in small letters: some tools read only one of them, as curl does `http_proxy`
/// (<https://curl.se/docs/manpage.html#httpproxy>). What is given in one is there in both.
const PROXIES: [(&str, &str); 4] = [
    ("HTTP_PROXY", "http_proxy"),
    ("HTTPS_PROXY", "https_proxy"),
    ("NO_PROXY", "no_proxy"),
    ("ALL_PROXY", "all_proxy"),
];
/// The variable that names the roots of trust for most tools, and for all of them if it is given.
pub(crate) const ROOTS: &str = "SSL_CERT_FILE";
/// Where credentials and configuration are mounted, a directory for each secret.
pub(crate) const MOUNTED: &str = "/var/run/secrets/kubeless.io";
/// Where images keep the CA bundle: Debian and Alpine, Red Hat, SUSE, and OpenSSL's own default.
pub(crate) const CA_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// What clients are told to read instead of any configuration file, as pip's manual has it.
pub(crate) const NOTHING: &str = "/dev/null";

impl Surroundings {
    /// What a tool needs to say what it is.
    pub(crate) fn bare(env: &Environment) -> Self {
        let own = [("PATH", env.path()), ("LANG", "C.UTF-8")];
        let env = own.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Surroundings { env, ..Surroundings::default() }
    }

    /// Chooses what the tools of `runtime` may see: of the environment, the variables `further` among it, and
    /// of the configuration files of the user, of the system, and below `mounted`.
    pub(crate) fn select(
        env: &Environment,
        runtime: &Runtime,
        further: &[String],
        function: &Function,
        mounted: &Path,
    ) -> Self {
        let rules = &runtime.environment;
        let mut chosen = Surroundings::bare(env);
        let passes = |name: &str| {
            COMMON.contains(&name)
                || is_proxy(name)
                || rules.pass.iter().any(|rule| match rule.strip_suffix('*') {
                    Some(prefix) => name.starts_with(prefix),
                    None => name == rule,
                })
        };
        for (name, value) in env.iter().filter(|(name, _)| passes(name)) {
            chosen.env.insert(name.to_owned(), value.to_owned());
        }
        for (variable, listed) in rules.homes.iter().filter(|(variable, _)| env.get(variable).is_none()) {
            let path = listed.strip_prefix("~/").and_then(|below| user_file(env, rules, below));
            let path = path.unwrap_or_else(|| listed.into());
            if fs::is_dir(&path) {
                chosen.env.insert(variable.clone(), path.display().to_string());
            }
        }
        for (capitals, small) in PROXIES {
            for (from, to) in [(capitals, small), (small, capitals)] {
                if let (Some(value), None) = (env.get(from), env.get(to)) {
                    chosen.env.insert(to.to_owned(), value.to_owned());
                }
            }
        }
        chosen.read_files(env, runtime, mounted);
        chosen.read_trust(env, runtime);

        let mut referred: BTreeSet<String> =
            chosen.settings.files.iter().flat_map(|(_, text)| references(text)).collect();
        for (path, file) in &function.files {
            let Some(text) = &file.text else { continue };
            if rules.is_configuration(path.name()) {
                chosen.secrets.extend(credentials::configuration(path.name(), text));
                referred.extend(references(text));
            } else {
                chosen.secrets.extend(credentials::url_credentials(text));
            }
        }
        chosen.pass(env, referred.iter().chain(further));
        chosen.secrets.extend(further.iter().filter_map(|name| env.get(name)).map(str::to_owned));
        for (name, value) in &chosen.env {
            let found = credentials::env_credentials(name, value);
            if !found.is_empty() && !is_proxy(name) {
                chosen.confidential.insert(name.clone());
            }
            chosen.secrets.extend(found);
        }
        chosen.confidential.extend(rules.mounted.values().cloned());
        chosen.settings.env = chosen.env.clone();
        chosen
    }

    /// Passes on further variables, whose values appear nowhere; those that are passed on anyway are no secrets.
    pub(crate) fn pass<'a>(&mut self, env: &Environment, names: impl IntoIterator<Item = &'a String>) {
        for name in names {
            if let (Some(value), false) = (env.get(name), self.env.contains_key(name)) {
                self.env.insert(name.clone(), value.to_owned());
                self.secrets.insert(value.to_owned());
                self.confidential.insert(name.clone());
            }
        }
    }

    /// Where tools are looked for.
    pub(crate) fn path(&self) -> &str {
        self.env.get("PATH").map_or("", String::as_str)
    }

    /// What a tool sees that fetches nothing with our credentials: no variable that holds some, and a HOME
    /// without the user's configuration. The way out (proxies, CAs) stays, for scripts that download.
    pub(crate) fn without_credentials(&self) -> BTreeMap<String, String> {
        let mut env = self.env.clone();
        env.retain(|name, _| !self.confidential.contains(name));
        env.extend(self.env.get("TMPDIR").map(|tmp| ("HOME".to_owned(), tmp.clone())));
        env
    }

    /// What tools see, without what differs in every run: the scratch room's paths.
    pub(crate) fn inherited(&self) -> BTreeMap<String, String> {
        let home = self.env.get("HOME").and_then(|home| home.strip_suffix("/home")).unwrap_or("\0");
        self.env.iter().map(|(name, value)| (name.clone(), value.replace(home, "<scratch>"))).collect()
    }

    /// On what of it a result depends: variables and configuration, with `***` for each credential, and without the way
    /// out (proxies and roots), which leads to the same packages.
    pub(crate) fn inputs(&self, runtime: &Runtime) -> Inputs {
        let clients = &runtime.environment.ca;
        let roots: Vec<String> = clients
            .iter()
            .flat_map(|client| [Some(&client.replaces), client.adds.as_ref(), client.directories.as_ref()])
            .flatten()
            .map(|variable| self.spelt(variable))
            .collect();
        let leads_out = |name: &str| {
            is_proxy(name) || [ROOTS, "SSL_CERT_DIR"].contains(&name) || roots.iter().any(|root| root == name)
        };
        // Every build has its own; and what is found on PATH says what it is.
        let is_elsewhere = |name: &str| ["HOME", "PATH", "TMPDIR"].contains(&name);
        let redactor = Redactor::new(self.secrets.iter().cloned());
        let mut inputs = Inputs::default();
        for (name, value) in
            self.inherited().iter().filter(|(name, _)| !leads_out(name) && !is_elsewhere(name))
        {
            inputs.add(Kind::Setting, name, keys::short(redactor.text(value).as_bytes()));
        }
        for (path, text) in &self.settings.files {
            inputs.add(Kind::Setting, path, keys::short(redactor.text(text).as_bytes()));
        }
        inputs
    }

    /// Reads the configuration files that tools will read: the system's and the user's own, and those to which
    /// variables point. A mounted file gets its variable, unless that names another one already.
    fn read_files(&mut self, env: &Environment, runtime: &Runtime, mounted: &Path) {
        let rules = &runtime.environment;
        let kinds = &rules.mounted;
        let mut standing = BTreeMap::<&str, PathBuf>::new();
        for secret in fs::names(mounted).unwrap_or_default() {
            for (name, meant) in kinds {
                let path = mounted.join(&secret).join(name);
                if !fs::is_file(&path) {
                    continue;
                }
                let shown = path.display().to_string();
                let (meant, named) = if meant.starts_with("~/") {
                    let first = standing.entry(meant).or_insert(path);
                    (meant.clone(), first.display().to_string())
                } else {
                    let variable = self.spelt(meant);
                    let named = self.env.entry(variable.clone()).or_insert_with(|| shown.clone());
                    (variable, named.clone())
                };
                if named != shown {
                    let text = fs::read_text(Path::new(&shown));
                    self.pass_over(name, &shown, &meant, &named, &text.unwrap_or_default());
                }
            }
            // Further files are found by those alone that name them, as git's configuration names its credentials.
            for name in fs::names(&mounted.join(&secret)).unwrap_or_default() {
                let (path, name) = (mounted.join(&secret).join(&name), name.to_string_lossy());
                if let (false, Some(text)) = (kinds.contains_key(&*name), fs::read_text(&path)) {
                    self.secrets.extend(credentials::configuration(&name, &text));
                    self.secrets.extend(credentials::env_credentials(&name, &text));
                }
            }
        }
        for listed in &rules.files {
            let below = listed.strip_prefix("~/");
            let path = below.map_or_else(|| Some(listed.into()), |below| user_file(env, rules, below));
            let text = path.as_deref().and_then(fs::read_text);
            let variable = listed.rsplit('/').next().and_then(|name| kinds.get(name));
            let variable = variable.map(|variable| self.spelt(variable));
            let instead = variable.and_then(|variable| Some((self.env.get(&variable)?.clone(), variable)));
            if let (Some(below), Some(mounted)) = (below, standing.get(listed.as_str())) {
                if let Some(text) = text {
                    self.pass_over(listed, listed, listed, &mounted.display().to_string(), &text);
                }
                self.add_file(listed, listed.clone(), fs::read_text(mounted).unwrap_or_default());
                self.home.push((below.to_owned(), mounted.clone()));
            } else if let (Some(below), Some((named, variable))) = (below, instead) {
                // What a variable names stands for the user's own file, not for the system's; for programs that
                // know no variable, too: git reads no NETRC.
                if let Some(text) = text {
                    self.pass_over(listed, listed, &variable, &named, &text);
                }
                if fs::is_file(Path::new(&named)) {
                    self.home.push((below.to_owned(), named.into()));
                }
            } else if let (Some(path), Some(text)) = (path, text) {
                self.add_file(listed, listed.clone(), text);
                self.home.extend(below.map(|below| (below.to_owned(), path)));
            }
        }
        let variables = kinds.values().filter(|meant| !meant.starts_with("~/"));
        for variable in variables.map(|variable| self.spelt(variable)).collect::<BTreeSet<_>>() {
            let Some(path) = self.env.get(&variable).filter(|path| *path != NOTHING).cloned() else {
                continue;
            };
            match read_present(Path::new(&path)) {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    self.add_file(&variable, path, text);
                }
                Err(error) => {
                    self.unread.push(format!(
                        "{path}, which {variable} names, cannot be read: {}",
                        fs::plain(&error)
                    ));
                }
            }
        }
    }

    /// Adds a file; `kind` is the usual name of such files, or their variable.
    fn add_file(&mut self, kind: &str, path: String, text: String) {
        self.secrets.extend(credentials::configuration(kind, &text));
        self.settings.files.push((path, text));
    }

    /// Leaves a file out, since `variable` names another one, or another one stands for the user's own.
    fn pass_over(&mut self, kind: &str, path: &str, variable: &str, named: &str, text: &str) {
        self.secrets.extend(credentials::configuration(kind, text));
        if named != path && named != NOTHING {
            let why = if variable.starts_with("~/") {
                format!("{named} is instead")
            } else {
                format!("{variable} names {named}")
            };
            self.unread.push(format!("{path} is not read: {why}"));
        }
    }

    /// A variable as it is set: npm reads its own in any case.
    fn spelt(&self, variable: &str) -> String {
        let set = self.env.keys().find(|name| name.eq_ignore_ascii_case(variable));
        set.map_or(variable, String::as_str).to_owned()
    }

    /// Gives the tools a HOME and a TMPDIR of their own in the scratch room, with the user's
    /// configuration linked into it, and the CA bundle that they shall trust.
    pub(crate) fn furnish(
        &mut self,
        scratch: &Path,
        runtime: &Runtime,
        ca_file: Option<&Path>,
    ) -> Result<(), ProvisionError> {
        let wrong = |path: &Path| {
            let path = path.to_owned();
            move |source| ProvisionError::Scratch { path, source }
        };
        let (home, tmp) = (scratch.join("home"), scratch.join("tmp"));
        for dir in [&home, &tmp] {
            fs::create_dirs(dir).map_err(wrong(dir))?;
        }
        for (below, file) in &self.home {
            fs::link(file, &home.join(below)).map_err(wrong(&home))?;
        }
        self.trust(scratch, runtime, ca_file)?;
        self.env.insert("HOME".to_owned(), home.display().to_string());
        self.env.insert("TMPDIR".to_owned(), tmp.display().to_string());
        self.settings.env.clone_from(&self.env);
        Ok(())
    }

    /// Tells all tools whom to trust. What replaces the image's roots (`SSL_CERT_FILE`) or is added to them
    /// (`INJECTOR_CA_FILE`) is for every tool, unless a tool's own configuration names another bundle, to which
    /// is added then. Where nobody asked, the image's roots are for those that would bring their own, as uv does.
    fn trust(
        &mut self,
        scratch: &Path,
        runtime: &Runtime,
        added: Option<&Path>,
    ) -> Result<(), ProvisionError> {
        let replacing = self.env.get(ROOTS).cloned();
        let directories = runtime.environment.ca.iter().filter_map(|client| client.directories.clone());
        for directories in directories.filter(|_| replacing.is_some()) {
            self.env.entry(directories).or_insert_with(|| NOTHING.to_owned());
        }
        let image = CA_BUNDLES.into_iter().find(|path| fs::is_file(Path::new(path))).map(str::to_owned);
        let added = added.map(read_bundle).transpose()?;
        let mut trusted = BTreeMap::from([(ROOTS.to_owned(), replacing.clone().or_else(|| image.clone()))]);
        if added.is_some() || replacing.is_some() {
            let named =
                |variable: &String| self.env.get(variable).or_else(|| self.roots.get(variable)).cloned();
            for client in &runtime.environment.ca {
                let all = self.spelt(&client.replaces);
                let roots = named(&all).or_else(|| replacing.clone());
                match &client.adds {
                    None => {
                        trusted.insert(all, roots.or_else(|| image.clone()));
                    }
                    Some(adds) => {
                        let beside = self.spelt(adds);
                        let extra = named(&beside).or_else(|| replacing.clone());
                        trusted.insert(beside, extra);
                        // Else it keeps its own roots, which are not the image's.
                        if roots.is_some() {
                            trusted.insert(all, roots);
                        }
                    }
                }
            }
        }
        for (variable, roots) in trusted {
            let bundle = match &added {
                None => roots,
                Some(added) => {
                    let roots =
                        roots.map(|roots| read_bundle(Path::new(&roots))).transpose()?.unwrap_or_default();
                    let path = scratch.join("ca").join(&variable);
                    fs::write(&path, &[&roots, added.as_slice()].join(&b'\n'))
                        .map_err(|source| ProvisionError::Scratch { path: path.clone(), source })?;
                    Some(path.display().to_string())
                }
            };
            self.env.extend(bundle.map(|bundle| (variable, bundle)));
        }
        Ok(())
    }

    /// What the clients' configuration files say of whom to trust, as the variable that says the same. What the
    /// system's say is part of what `SSL_CERT_FILE` replaces.
    fn read_trust(&mut self, env: &Environment, runtime: &Runtime) {
        let rules = &runtime.environment;
        let replaced = |path: &String| rules.files.contains(path) && !path.starts_with("~/");
        let replacing = self.env.contains_key(ROOTS);
        for client in &rules.ca {
            let mut files =
                self.settings.files.iter().rev().filter(|(path, _)| !(replacing && replaced(path)));
            let named = client.key.as_ref().and_then(|key| files.find_map(|(_, text)| value_of(text, key)));
            let Some(path) = named else { continue };
            let variable = self.spelt(&client.replaces);
            match (path.strip_prefix("~/"), env.get("HOME")) {
                // Tools get another HOME.
                (Some(below), Some(home)) => {
                    let path = Path::new(home).join(below).display().to_string();
                    self.env.entry(variable).or_insert(path);
                }
                _ => {
                    self.roots.insert(variable, path.to_owned());
                }
            }
        }
    }
}

/// The last value of a key in lines of `key = value`, as in INI, TOML (where its table may stand before it) and npm's
/// configuration.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let pairs = text.lines().rev().filter_map(|line| line.split_once(['=', ':']));
    let value = pairs
        .filter(|(name, _)| name.trim().rsplit('.').next().is_some_and(|name| name.eq_ignore_ascii_case(key)))
        .map(|(_, value)| value.trim())
        .next()?;
    Some(value.trim_matches(['"', '\''])).filter(|value| !value.is_empty())
}

/// Whether a variable is one of [`PROXIES`].
fn is_proxy(name: &str) -> bool {
    PROXIES.iter().any(|&(capitals, small)| name == capitals || name == small)
}

/// Certificates, as PEM. Roots that somebody named and that are not there are no reason to trust fewer.
pub(crate) fn read_bundle(path: &Path) -> Result<Vec<u8>, ProvisionError> {
    const BEGIN: &[u8] = b"CERTIFICATE-----";
    let no_pem = || io::Error::new(io::ErrorKind::InvalidData, "it holds no certificate in PEM form");
    let is_pem = |bytes: &Vec<u8>| bytes.windows(BEGIN.len()).any(|part| part == BEGIN);
    let checked = read_present(path).and_then(|bytes| Some(bytes).filter(is_pem).ok_or_else(no_pem));
    checked.map_err(|source| ProvisionError::CaFile { path: path.to_owned(), source })
}

/// The bytes of a file that must be there.
fn read_present(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)?.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no such file"))
}

/// Where the user's own file is, if anywhere: `XDG_CONFIG_HOME` and the like considered.
fn user_file(env: &Environment, rules: &Rules, below: &str) -> Option<PathBuf> {
    let homes =
        rules.homes.iter().filter_map(|(variable, dir)| Some((variable.as_str(), dir.strip_prefix("~/")?)));
    let elsewhere = homes.chain([("XDG_CONFIG_HOME", ".config")]).find_map(|(variable, dir)| {
        let rest = below.strip_prefix(dir)?.strip_prefix('/')?;
        Some(Path::new(env.get(variable)?).join(rest))
    });
    elsewhere.or_else(|| Some(Path::new(env.get("HOME")?).join(below)))
}

#[cfg(test)]
#[path = "surroundings_tests.rs"]
mod tests;
