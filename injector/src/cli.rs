//! Arguments and environment become a [`Request`]; nobody else reads either.
#![expect(clippy::disallowed_methods, reason = "this is the one reader of arguments and environment")]

mod args;
mod cache;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use builders::catalog::{BadRuntimeName, RuntimeName};
use builders::function::{BadDigest, Sha256};
use builders::toolchain::BuildScripts;
use clap::Parser as _;
use clap::error::ErrorKind;

use self::args::{BuildArgs, Cli, Command, LimitArgs};
pub(crate) use self::cache::{Upkeep, UpkeepDeed};
use crate::content::{BadContentType, Bytes, Carrier, ContentType, Limits};
use crate::report::console::Look;
use crate::sys::fetch::{Address, BadAddress};
use crate::sys::fs;
use crate::sys::registry::{BadReference, Reference};

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Request {
    /// The command.
    pub(crate) verb: Verb,
    /// Where the termination message goes.
    pub(crate) termination: Termination,
    /// The environment, as it was when we started.
    pub(crate) env: Environment,
}

/// A command and what it needs.
#[derive(Debug)]
pub(crate) enum Verb {
    /// Builds into the volume.
    Build(Box<Build>),
    /// Builds into a throw-away volume.
    DryRun(Box<Build>),
    /// Says what a build would do.
    Plan(Box<Build>, Format),
    /// Becomes the function's server.
    Launch {
        /// The shared volume.
        volume: PathBuf,
    },
    /// Copies the program.
    Install {
        /// To this file.
        dest: PathBuf,
    },
    /// Lists the runtimes.
    Runtimes {
        /// The operator's file.
        config: Option<PathBuf>,
    },
    /// Looks after a node's cache.
    Cache(Upkeep),
    /// Explains an exit code; without one, the pods on standard input, or all codes.
    Explain(Option<u8>),
    /// Prints a text that the parser made: help or version.
    Print(String),
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// All that a build needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    /// Where the function is.
    pub(crate) source: PathBuf,
    /// The shared volume.
    pub(crate) volume: PathBuf,
    /// The runtime that was asked for.
    pub(crate) runtime: Option<RuntimeName>,
    /// `FUNC_HANDLER`.
    pub(crate) handler: Option<String>,
    /// `MOD_NAME`.
    pub(crate) module: Option<String>,
    /// `KUBELESS_FUNC_NAME`.
    pub(crate) function_name: Option<String>,
    /// How the function arrives; `None` is `text`, unless the source is an archive.
    pub(crate) content_type: Option<ContentType>,
    /// `FUNC_URL`.
    pub(crate) url: Option<Address>,
    /// What it may cost to read.
    pub(crate) limits: Limits,
    /// The digest that the function must have.
    pub(crate) checksum: Option<Sha256>,
    /// The digest that the dependency file must have.
    pub(crate) deps_checksum: Option<Sha256>,
    /// The dependency file.
    pub(crate) deps_file: Option<PathBuf>,
    /// Where tools' HOME, TMPDIR and caches go; `None` is a fresh directory in TMPDIR or `/tmp`.
    pub(crate) scratch: Option<PathBuf>,
    /// Where dependencies outlive the build.
    pub(crate) keep: Option<PathBuf>,
    /// Whether dependencies' code may run.
    pub(crate) scripts: BuildScripts,
    /// Whether a failure that would repeat is repeated at once.
    pub(crate) replay: Replay,
    /// Further variables for the tools.
    pub(crate) pass_env: Vec<String>,
    /// How long a stage may take.
    pub(crate) timeout: Duration,
    /// The operator's file of runtimes.
    pub(crate) config: Option<PathBuf>,
    /// A CA bundle to add to the image's roots.
    pub(crate) ca_file: Option<PathBuf>,
    /// What outlives this build.
    pub(crate) cache: Caching,
}

/// What outlives a build, for other pods of its function.
#[derive(Debug, Clone)]
pub(crate) struct Caching {
    /// The directory that the node's pods share.
    pub(crate) dir: Option<PathBuf>,
    /// How a function gets what is cached.
    pub(crate) mode: Mode,
    /// The registry that the cluster's pods share.
    pub(crate) registry: Option<Reference>,
    /// Whether what is built here is pushed, and how long that may take.
    pub(crate) push: Option<Duration>,
    /// What else a result depends on.
    pub(crate) salt: Option<String>,
    /// The most bytes that the directory may have.
    pub(crate) max_size: Option<u64>,
    /// How old what was resolved without a lock file may be.
    pub(crate) resolve_max_age: Option<Duration>,
    /// Whether what the cache has is passed over.
    pub(crate) refresh: Refresh,
}

impl Caching {
    /// Whether there is any cache.
    pub(crate) fn is_wanted(&self) -> bool {
        self.dir.is_some() || self.registry.is_some()
    }
}

/// How a function gets what is cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As a copy on the volume.
    Copy,
    /// By links into the cache's directory, which its container mounts here, read-only.
    Mount(PathBuf),
}

/// Whether what a cache has is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// It is made again, and takes the other's place.
    Yes,
    /// It is used.
    No,
}

/// Whether the last verdict may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replay {
    /// It may.
    On,
    /// Everything is built again.
    Off,
}

/// The termination file and the bytes it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Termination {
    /// The file.
    pub(crate) path: PathBuf,
    /// Whether somebody named it; the default one is never made, and its absence is no news.
    pub(crate) named: Named,
    /// Bytes.
    pub(crate) budget: usize,
}

/// Whether a value was given or is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// It was given.
    Yes,
    /// It is the default.
    No,
}

/// The environment of this process, read once.
#[derive(Clone, Default)]
pub(crate) struct Environment(pub(crate) BTreeMap<OsString, OsString>);

/// Names alone: values may be credentials.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// A variable that is set, not empty, and UTF-8.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(OsString::from(name).as_os_str())?.to_str().filter(|value| !value.is_empty())
    }

    /// Where programs are looked for.
    pub(crate) fn path(&self) -> &str {
        self.get("PATH").unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    }

    /// The variables whose name and value are UTF-8.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
    }
}

/// Why arguments or environment make no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The command line is not one of ours.
    #[error("{0}")]
    Usage(String),
    /// A value is not what its variable may hold.
    #[error("{name} is {value:?}: {reason}")]
    Value {
        /// The flag's variable.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it, and what it may be.
        reason: String,
    },
    /// A value where none is expected.
    #[error("{name} is set: {reason}")]
    Unexpected {
        /// The flag's variable.
        name: &'static str,
        /// Why it should not be, and what to do.
        reason: &'static str,
    },
    /// A value that is needed.
    #[error("{name} is not set: {reason}")]
    Missing {
        /// The flag's variable.
        name: &'static str,
        /// What it is for.
        reason: &'static str,
    },
    /// Where the function is.
    #[error("FUNC_URL: {0}")]
    Address(BadAddress),
    /// Where the cluster's cache is.
    #[error("INJECTOR_CACHE_REGISTRY: {0}")]
    Registry(#[from] BadReference),
    /// The runtime's name.
    #[error("FUNC_RUNTIME: {0}")]
    Runtime(#[from] BadRuntimeName),
    /// A digest.
    #[error("{name}: {source}")]
    Digest {
        /// The variable.
        name: &'static str,
        /// What is wrong.
        source: BadDigest,
    },
}

/// Reads this process' arguments and environment. The termination file comes back even if the rest
/// makes no sense, so that somebody learns of it.
pub(crate) fn read() -> (Result<Request, RequestError>, Termination, Look) {
    let env = Environment(std::env::vars_os().collect());
    let look = Look::of_stderr();
    let fallback = Termination {
        path: env.get("INJECTOR_TERMINATION_LOG").unwrap_or(TERMINATION_LOG).into(),
        named: if env.get("INJECTOR_TERMINATION_LOG").is_some() { Named::Yes } else { Named::No },
        budget: MAX_BUDGET,
    };
    let request = match Cli::try_parse() {
        Ok(cli) => parse(cli, env),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Ok(Request {
                verb: Verb::Print(error.render().to_string()),
                termination: fallback.clone(),
                env,
            }),
            _ => Err(RequestError::Usage(error.render().to_string())),
        },
    };
    let termination = request.as_ref().map_or(fallback, |request| request.termination.clone());
    (request, termination, look)
}

const TERMINATION_LOG: &str = "/dev/termination-log";
/// The kubelet reads no more: `kubecontainer.MaxContainerTerminationMessageLength`.
/// <https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/container/runtime.go>
pub(crate) const MAX_BUDGET: usize = 4096;

fn parse(cli: Cli, env: Environment) -> Result<Request, RequestError> {
    let named = path(cli.termination_log);
    let termination = Termination {
        named: if named.is_some() { Named::Yes } else { Named::No },
        path: named.unwrap_or_else(|| TERMINATION_LOG.into()),
        budget: number("INJECTOR_TERMINATION_BUDGET", cli.termination_budget)?
            .map_or(MAX_BUDGET, |bytes: usize| bytes.min(MAX_BUDGET)),
    };
    let verb = match cli.command {
        Command::Build { build, dry_run: false } => Verb::Build(Box::new(parse_build(build)?)),
        Command::Build { build, dry_run: true } => Verb::DryRun(Box::new(parse_build(build)?)),
        Command::Plan { build, json } => {
            Verb::Plan(Box::new(parse_build(build)?), if json { Format::Json } else { Format::Text })
        }
        Command::Launch { volume } => {
            // The function's server reads these; what makes no sense is said before it starts.
            let given = |name| env.get(name).map(ToOwned::to_owned);
            parsed::<u16>("FUNC_PORT", given("FUNC_PORT"), "a port is expected, 0 to 65535")?;
            parsed::<f64>("FUNC_TIMEOUT", given("FUNC_TIMEOUT"), "a number of seconds is expected")?;
            Verb::Launch { volume: path(volume).unwrap_or_else(|| VOLUME.into()) }
        }
        Command::Install { dest } => Verb::Install { dest },
        Command::Runtimes { config } => Verb::Runtimes { config: path(config) },
        Command::Cache { command } => Verb::Cache(cache::upkeep(command)?),
        Command::Explain { code } => {
            let digits = code.map(|code| code.trim_start_matches(['E', 'e']).to_owned());
            Verb::Explain(number("CODE", digits)?)
        }
    };
    Ok(Request { verb, termination, env })
}

const VOLUME: &str = "/kubeless";

fn parse_build(args: BuildArgs) -> Result<Build, RequestError> {
    let laptop = args.dir.as_deref().map(beside);
    let source = args.dir.or(path(args.source)).unwrap_or_else(|| "/src".into());
    let content_type = content_type(args.content_type)?;
    let url = address(args.url, content_type)?;
    Ok(Build {
        volume: path(args.volume).or(laptop).unwrap_or_else(|| VOLUME.into()),
        source,
        runtime: text(args.runtime).map(|name| name.parse()).transpose()?,
        handler: text(args.handler),
        module: text(args.module),
        function_name: text(args.function_name),
        content_type,
        url,
        limits: limits(args.limits)?,
        checksum: digest("FUNC_CHECKSUM", args.checksum, str::parse)?,
        deps_checksum: digest("FUNC_DEPS_CHECKSUM", args.deps_checksum, bare_or_named)?,
        deps_file: path(args.deps_file),
        scratch: path(args.scratch),
        keep: path(args.keep),
        scripts: choice(
            "INJECTOR_BUILD_SCRIPTS",
            args.build_scripts,
            [("allow", BuildScripts::Allow), ("deny", BuildScripts::Deny)],
        )?,
        replay: choice("INJECTOR_REPLAY", args.replay, [("on", Replay::On), ("off", Replay::Off)])?,
        pass_env: text(args.pass_env)
            .map(|names| names.split([',', ' ']).filter(|name| !name.is_empty()).map(Into::into).collect())
            .unwrap_or_default(),
        timeout: timeout(args.timeout)?,
        config: path(args.config),
        ca_file: path(args.ca_file),
        cache: cache::caching(args.cache)?,
    })
}

/// Where a laptop's builds go: into the function's directory, or that of its one file.
fn beside(function: &Path) -> PathBuf {
    let dir = if fs::is_file(function) { function.parent().unwrap_or(function) } else { function };
    dir.join(".injector-out")
}

impl Build {
    /// The name of the dependency file that the environment gives, without its directory.
    pub(crate) fn deps_name(&self) -> Option<&str> {
        self.deps_file.as_deref().and_then(Path::file_name)?.to_str()
    }
}

/// A value that was given: in manifests an empty string stands for none.
fn text(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

fn path(value: Option<OsString>) -> Option<PathBuf> {
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn digest(
    name: &'static str,
    value: Option<String>,
    parse: fn(&str) -> Result<Sha256, BadDigest>,
) -> Result<Option<Sha256>, RequestError> {
    text(value).map(|value| parse(&value)).transpose().map_err(|source| RequestError::Digest { name, source })
}

fn content_type(value: Option<String>) -> Result<Option<ContentType>, RequestError> {
    let parse = |value: String| {
        let wrong = |error: BadContentType| RequestError::Value {
            name: "FUNC_CONTENT_TYPE",
            value: value.clone(),
            reason: error.to_string(),
        };
        value.parse().map_err(wrong)
    };
    text(value).map(parse).transpose()
}

/// Where a function of the type `url` is. The value may hold credentials, so that no message shows it.
fn address(
    value: Option<String>,
    content_type: Option<ContentType>,
) -> Result<Option<Address>, RequestError> {
    let Some(value) = text(value) else { return Ok(None) };
    if content_type.is_none_or(|given| given.carrier != Carrier::Url) {
        return Err(RequestError::Unexpected {
            name: "FUNC_URL",
            reason: "it is for functions of the type url: set FUNC_CONTENT_TYPE to url, or url+zip",
        });
    }
    value.parse().map(Some).map_err(RequestError::Address)
}

/// What a function may cost to read.
fn limits(args: LimitArgs) -> Result<Limits, RequestError> {
    let default = Limits::default();
    let window = size("INJECTOR_MAX_WINDOW", args.max_window.clone())?;
    if window.is_some_and(|window| window > Limits::LARGEST_WINDOW) {
        let reason = format!("more than {} is not supported", Bytes(Limits::LARGEST_WINDOW));
        let value = args.max_window.unwrap_or_default();
        return Err(RequestError::Value { name: "INJECTOR_MAX_WINDOW", value, reason });
    }
    Ok(Limits {
        download: size("INJECTOR_MAX_DOWNLOAD", args.max_download)?.unwrap_or(default.download),
        unpacked: size("INJECTOR_MAX_UNPACKED", args.max_unpacked)?.unwrap_or(default.unpacked),
        ratio: number("INJECTOR_MAX_RATIO", args.max_ratio)?.unwrap_or(default.ratio),
        entries: number("INJECTOR_MAX_ENTRIES", args.max_entries)?.unwrap_or(default.entries),
        depth: number("INJECTOR_MAX_DEPTH", args.max_depth)?.unwrap_or(default.depth),
        window: window.unwrap_or(default.window),
    })
}

/// A number of bytes.
fn size(name: &'static str, value: Option<String>) -> Result<Option<u64>, RequestError> {
    let size = parsed::<Bytes>(name, value, "a number of bytes is expected, as 1048576 or 512Mi")?;
    Ok(size.map(|Bytes(bytes)| bytes))
}

/// Kubeless gave the dependencies' digest without its algorithm.
fn bare_or_named(value: &str) -> Result<Sha256, BadDigest> {
    if value.contains(':') { value.parse() } else { Sha256::from_hex(value) }
}

/// How long a stage may take.
fn timeout(value: Option<String>) -> Result<Duration, RequestError> {
    let name = "INJECTOR_TIMEOUT";
    // Not 64 bits of seconds, which no clock can count.
    match number::<u32>(name, value)? {
        Some(0) => {
            let reason = "a stage needs at least one second".to_owned();
            Err(RequestError::Value { name, value: "0".to_owned(), reason })
        }
        seconds => Ok(Duration::from_secs(seconds.unwrap_or(900).into())),
    }
}

fn number<N: std::str::FromStr>(
    name: &'static str,
    value: Option<String>,
) -> Result<Option<N>, RequestError> {
    parsed(name, value, "a whole number is expected")
}

fn parsed<T: std::str::FromStr>(
    name: &'static str,
    value: Option<String>,
    expected: &str,
) -> Result<Option<T>, RequestError> {
    let wrong = |value| RequestError::Value { name, value, reason: expected.to_owned() };
    text(value).map(|value| value.parse().map_err(|_| wrong(value))).transpose()
}

/// One of the allowed words; the first is the default.
fn choice<T: Copy, const N: usize>(
    name: &'static str,
    value: Option<String>,
    allowed: [(&str, T); N],
) -> Result<T, RequestError> {
    let Some(value) = text(value) else {
        return Ok(allowed[0].1);
    };
    let words = allowed.map(|(word, _)| word).join(" or ");
    allowed
        .into_iter()
        .find_map(|(word, meaning)| (word == value).then_some(meaning))
        .ok_or_else(|| RequestError::Value { name, value, reason: format!("it may be {words}") })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_a_build_has_a_variable_that_help_and_the_guide_show() {
        let guide = include_str!("../../docs/environment.md");
        let mut command = Cli::command();
        for name in ["build", "plan"] {
            let build = command.find_subcommand_mut(name).expect("there");
            let help = build.render_long_help().to_string();
            for flag in build.get_arguments().filter(|flag| flag.get_long().is_some()) {
                let id = flag.get_id().as_str();
                if id == "help" {
                    continue;
                }
                let variable = flag.get_env().unwrap_or_else(|| panic!("--{id} has no variable"));
                let variable = variable.display().to_string();
                assert!(help.contains(&format!("[env: {variable}")), "--{id}");
                assert!(guide.contains(&format!("`{variable}`")), "{variable} is not in docs/environment.md");
            }
        }
    }

    fn build(args: &[&str]) -> Result<Build, RequestError> {
        let cli = Cli::try_parse_from(["injector", "build"].iter().chain(args)).expect("a command line");
        let Command::Build { build, .. } = cli.command else { unreachable!("it is a build") };
        parse_build(build)
    }

    #[test]
    fn an_empty_value_is_none() {
        let build = build(&["--handler=", "--timeout=", "--checksum=", "--volume="]).expect("a request");
        assert_eq!((build.handler, build.checksum), (None, None));
        assert_eq!(build.volume, Path::new("/kubeless"));
        assert_eq!(build.source, Path::new("/src"));
    }

    #[test]
    fn on_a_laptop_the_volume_lies_in_the_function() {
        let build = build(&["some/dir"]).expect("a request");
        assert_eq!(build.volume, Path::new("some/dir/.injector-out"));
    }

    #[test]
    fn a_value_that_makes_no_sense_is_named_with_what_it_may_be() {
        for (arg, said) in [
            ("--timeout=soon", "INJECTOR_TIMEOUT is \"soon\": a whole number"),
            ("--timeout=0", "INJECTOR_TIMEOUT is \"0\": a stage needs"),
            (
                "--timeout=18446744073709551615",
                "INJECTOR_TIMEOUT is \"18446744073709551615\": a whole number",
            ),
            ("--replay=yes", "INJECTOR_REPLAY is \"yes\": it may be on or off"),
            ("--checksum=md5:00", "FUNC_CHECKSUM: the algorithm \"md5\" is not supported"),
            ("--checksum=abc", "FUNC_CHECKSUM: \"abc\" is not a SHA-256 digest"),
            (
                "--content-type=rar",
                "FUNC_CONTENT_TYPE is \"rar\": \"rar\" is no content type; it may be text",
            ),
            ("--content-type=url+deps", "FUNC_CONTENT_TYPE is \"url+deps\": +deps is for archives"),
            ("--url=https://example.com/f.zip", "FUNC_URL is set: it is for functions of the type url"),
            ("--max-download=1GB", "INJECTOR_MAX_DOWNLOAD is \"1GB\": a number of bytes"),
            ("--max-ratio=-1", "INJECTOR_MAX_RATIO is \"-1\": a whole number"),
            ("--cache-mode=link", "INJECTOR_CACHE_MODE is \"link\": it may be copy or mount"),
            ("--cache-mode=mount", "INJECTOR_CACHE_MODE is set: there is no cache to mount"),
            ("--cache-registry=host:5000", "INJECTOR_CACHE_REGISTRY: "),
            ("--cache-max-size=1GB", "INJECTOR_CACHE_MAX_SIZE is \"1GB\": a number of bytes"),
            ("--resolve-max-age=1d", "INJECTOR_RESOLVE_MAX_AGE is \"1d\": a whole number"),
            ("--max-window=1Gi", "INJECTOR_MAX_WINDOW is \"1Gi\": more than 128 MiB"),
            ("--runtime=3.12", "FUNC_RUNTIME: \"3.12\" names no runtime"),
        ] {
            let error = build(&[arg]).expect_err(arg).to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
