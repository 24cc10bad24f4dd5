//! The tools of an image: what of the environment they may see, and what they say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use builders::Builder;
use builders::catalog::{Runtime, RuntimeName, ToolSpec};
use builders::diagnostic::Output;
use builders::function::Function;
use builders::plan::Capture;
use builders::toolchain::{Identity, Policy, Settings, Tool, Toolchain, references};

use crate::cli::{Build, Environment};
use crate::provision::ProvisionError;
use crate::report::credentials;
use crate::sys::exec::{self, Command, Ended};
use crate::sys::{fs, host};

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
    /// Variables that lead to the package clients' configuration, or hold a part of it.
    confidential: BTreeSet<String>,
}

/// Variables that every language's tools may see.
const COMMON: [&str; 14] = [
    "LANG",
    "LC_ALL",
    "TZ",
    "SOURCE_DATE_EPOCH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];
/// Where credentials and configuration are mounted, a directory for each secret.
const MOUNTED: &str = "/var/run/secrets/kubeless.io";
/// Where images keep the CA bundle: Debian and Alpine, Red Hat, SUSE, and OpenSSL's own default.
const CA_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// How long a tool may take to say what it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

impl Surroundings {
    /// What a tool needs to say what it is.
    pub(crate) fn bare(env: &Environment) -> Self {
        let own = [("PATH", env.path()), ("LANG", "C.UTF-8")];
        let env = own.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Surroundings { env, ..Surroundings::default() }
    }

    /// Chooses what the tools of `runtime` may see.
    pub(crate) fn select(env: &Environment, runtime: &Runtime, request: &Build, function: &Function) -> Self {
        let rules = &runtime.environment;
        let mut chosen = Surroundings::bare(env);
        let passes = |name: &str| {
            COMMON.contains(&name)
                || rules.pass.iter().any(|rule| match rule.strip_suffix('*') {
                    Some(prefix) => name.starts_with(prefix),
                    None => name == rule,
                })
        };
        for (name, value) in env.iter().filter(|(name, _)| passes(name)) {
            chosen.env.insert(name.to_owned(), value.to_owned());
        }
        chosen.read_files(env, runtime);

        let mut referred: BTreeSet<String> =
            chosen.settings.files.iter().flat_map(|(_, text)| references(text)).collect();
        for (path, file) in &function.files {
            let Some(text) = &file.text else { continue };
            if rules.mounted.contains_key(path.name()) {
                chosen.secrets.extend(credentials::configuration(path.name(), text));
                referred.extend(references(text));
            } else {
                chosen.secrets.extend(credentials::url_credentials(text));
            }
        }
        chosen.pass(env, referred.iter().chain(&request.pass_env));
        chosen.secrets.extend(request.pass_env.iter().filter_map(|name| env.get(name)).map(str::to_owned));
        for (name, value) in &chosen.env {
            let found = credentials::env_credentials(name, value);
            if !found.is_empty() && !COMMON.contains(&name.as_str()) {
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

    /// Reads the configuration files that exist: the user's and the system's own, those that
    /// variables name, and mounted ones.
    fn read_files(&mut self, env: &Environment, runtime: &Runtime) {
        for listed in &runtime.environment.files {
            let (path, below) = match (listed.strip_prefix("~/"), env.get("HOME")) {
                (Some(below), Some(home)) => (user_file(env, home, below), Some(below)),
                (Some(_), None) => continue,
                (None, _) => (PathBuf::from(listed), None),
            };
            if let Some(text) = fs::read_text(&path) {
                self.add_file(listed, listed.clone(), text);
                self.home.extend(below.map(|below| (below.to_owned(), path)));
            }
        }
        for variable in runtime.environment.mounted.values().collect::<BTreeSet<_>>() {
            let Some(path) = self.env.get(variable).cloned() else {
                continue;
            };
            if let Some(text) = fs::read_text(Path::new(&path)) {
                self.add_file(variable, path, text);
            }
        }
        let mounted = Path::new(MOUNTED);
        for secret in fs::names(mounted).unwrap_or_default() {
            for (name, variable) in &runtime.environment.mounted {
                let path = mounted.join(&secret).join(name);
                let Some(text) = fs::read_text(&path) else {
                    continue;
                };
                self.add_file(name, path.display().to_string(), text);
                self.env.entry(variable.clone()).or_insert_with(|| path.display().to_string());
            }
        }
    }

    /// Adds a file; `kind` is the usual name of such files, or their variable.
    fn add_file(&mut self, kind: &str, path: String, text: String) {
        self.secrets.extend(credentials::configuration(kind, &text));
        self.settings.files.push((path, text));
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
    /// (`INJECTOR_CA_FILE`) is for every tool, unless a tool's own variable names another bundle. Where
    /// nobody asked, the image's roots are for those that would bring their own, as uv does.
    fn trust(
        &mut self,
        scratch: &Path,
        runtime: &Runtime,
        added: Option<&Path>,
    ) -> Result<(), ProvisionError> {
        let common = "SSL_CERT_FILE";
        let asked = added.is_some() || self.env.contains_key(common);
        let specific = runtime.environment.ca.iter().map(String::as_str).filter(|_| asked);
        let image = || CA_BUNDLES.into_iter().find(|path| fs::is_file(Path::new(path)));
        let roots = self.env.get(common).cloned().or_else(|| image().map(ToOwned::to_owned));
        let added = added.map(read_bundle).transpose()?;
        for name in specific.chain([common]) {
            let own = self.env.get(name).or(roots.as_ref()).cloned();
            let bundle = match &added {
                None => own,
                Some(added) => {
                    let roots = own.map(|own| read_bundle(Path::new(&own))).transpose()?.unwrap_or_default();
                    let path = scratch.join("ca").join(name);
                    fs::write(&path, &[&roots, added.as_slice()].join(&b'\n'))
                        .map_err(|source| ProvisionError::Scratch { path: path.clone(), source })?;
                    Some(path.display().to_string())
                }
            };
            self.env.extend(bundle.map(|bundle| (name.to_owned(), bundle)));
        }
        Ok(())
    }
}

/// Certificates, as PEM. Roots that somebody named and that are not there are no reason to trust fewer.
fn read_bundle(path: &Path) -> Result<Vec<u8>, ProvisionError> {
    let absent = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let bytes = fs::read(path).and_then(|bytes| bytes.ok_or_else(absent));
    bytes.map_err(|source| ProvisionError::CaFile { path: path.to_owned(), source })
}

/// Where the user's own file is, `XDG_CONFIG_HOME` considered.
fn user_file(env: &Environment, home: &str, below: &str) -> PathBuf {
    match (below.strip_prefix(".config/"), env.get("XDG_CONFIG_HOME")) {
        (Some(rest), Some(config)) => Path::new(config).join(rest),
        _ => Path::new(home).join(below),
    }
}

/// The operator's policy, with the choices that belong to this runtime.
pub(crate) fn policy(env: &Environment, runtime: &Runtime, request: &Build) -> Policy {
    let choices = &runtime.environment.choices;
    Policy {
        build_scripts: request.scripts,
        choices: choices.iter().filter_map(|name| Some((name.clone(), env.get(name)?.to_owned()))).collect(),
    }
}

/// A tool that was found: what it said, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// What the plan may know of it.
    pub(crate) tool: Tool,
    /// Its program.
    pub(crate) program: PathBuf,
}

/// Looks for the tools that the function needs, and asks each what it is.
pub(crate) fn probe(
    builder: &dyn Builder,
    runtime: &Runtime,
    name: &RuntimeName,
    function: &Function,
    surroundings: &Surroundings,
) -> Result<(Toolchain, BTreeMap<String, PathBuf>), ProvisionError> {
    let (mut toolchain, mut programs) = (Toolchain::default(), BTreeMap::new());
    for spec in runtime.tools.iter().filter(|spec| builder.needs(&spec.name, function)) {
        match find(builder, runtime, spec, name, &surroundings.env) {
            Ok(found) => {
                toolchain.tools.insert(spec.name.clone(), found.tool);
                programs.insert(spec.name.clone(), found.program);
            }
            Err(error) if spec.required => return Err(error),
            Err(_) => {}
        }
    }
    Ok((toolchain, programs))
}

/// The program names of a tool, with the version that was asked for filled in.
pub(crate) fn names(spec: &ToolSpec, name: &RuntimeName) -> Vec<String> {
    let fill = |program: &String| match &name.version {
        Some(version) => Some(program.replace("{version}", &version.to_string())),
        None => (!program.contains("{version}")).then(|| program.clone()),
    };
    spec.programs.iter().filter_map(fill).collect()
}

/// Finds a tool under one of its names. A name that is there but does not answer, as version
/// managers' shims do, or that is of another version, gives way to the next one.
pub(crate) fn find(
    builder: &dyn Builder,
    runtime: &Runtime,
    spec: &ToolSpec,
    name: &RuntimeName,
    env: &BTreeMap<String, String>,
) -> Result<Found, ProvisionError> {
    let names = names(spec, name);
    let path = env.get("PATH").map_or("", String::as_str);
    let mut failure = ProvisionError::NoTool { names: names.clone(), path: path.to_owned() };
    for program_name in names {
        let Some(program) = host::find_program(&program_name, path) else {
            continue;
        };
        let identity = match ask(builder, &spec.name, &program, env) {
            Ok(identity) => identity,
            Err(said) => {
                failure = failure.or_instead(ProvisionError::ToolBroken { program: program_name, said });
                continue;
            }
        };
        let version = &identity.version;
        // Half a version may be asked for, such as 3, of which not all is allowed.
        let missed = name.version.as_ref().filter(|asked| !version.is(asked));
        if spec.versioned && (missed.is_some() || !runtime.supports(version)) {
            let (title, found, program) = (runtime.title.clone(), version.clone(), program_name);
            let allowed = || runtime.versions.clone();
            failure = failure.or_instead(match missed.cloned() {
                Some(wanted) => ProvisionError::ToolVersion { title, wanted, found, program },
                None => ProvisionError::ToolNotAllowed { title, allowed: allowed(), found, program },
            });
            continue;
        }
        return Ok(Found { tool: Tool { program: program_name, identity }, program });
    }
    Err(failure)
}

/// Runs a program so that it says what it is; an `Err` is what it said instead.
pub(crate) fn ask(
    builder: &dyn Builder,
    tool: &str,
    program: &Path,
    env: &BTreeMap<String, String>,
) -> Result<Identity, String> {
    let command = Command {
        program: program.to_owned(),
        args: builder.probe(tool).into_iter().map(OsString::from).collect(),
        env: env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        cwd: PathBuf::from("/"),
        timeout: PROBE_TIMEOUT,
        capture: Capture::Whole,
    };
    let outcome = exec::run(&command, &mut |_, _| {}).map_err(|error| error.to_string())?;
    let output = Output {
        status: if let Ended::Exited(status) = outcome.ended { Some(status) } else { None },
        stdout: outcome.stdout.text(),
        stderr: outcome.stderr.text(),
    };
    builder.identify(tool, &output).ok_or_else(|| {
        let said = [output.stderr.trim(), output.stdout.trim()].join(" ");
        let first = said.trim().lines().next().unwrap_or_default();
        format!("{}: {first}", outcome.ended)
    })
}
