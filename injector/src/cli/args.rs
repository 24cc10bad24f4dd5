//! The command line: every flag, its variable, and what `--help` says of it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand};

/// Resolves and compiles functions into the volume that they share with their main container.
#[derive(Parser)]
#[command(
    name = "injector",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit codes: `injector explain`. In a pod everything comes from the environment; see docs/."
)]
pub(super) struct Cli {
    /// What is to be done.
    #[command(subcommand)]
    pub(super) command: Command,

    /// The file that becomes the container's termination message [default: /dev/termination-log]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "INJECTOR_TERMINATION_LOG",
        hide_env_values = true
    )]
    pub(super) termination_log: Option<OsString>,

    /// How many bytes it may hold; the kubelet keeps 4096 for up to 3 containers, then 12288 / N [default: 4096]
    #[arg(
        long,
        global = true,
        value_name = "BYTES",
        env = "INJECTOR_TERMINATION_BUDGET",
        hide_env_values = true
    )]
    pub(super) termination_budget: Option<String>,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Build a function: check, resolve, compile, publish
    #[command(after_help = "Exit status: 0, or the error's code: `injector explain`.")]
    Build {
        #[command(flatten)]
        build: BuildArgs,
        /// Build in a throw-away volume, and print the termination message as the kubelet would show it
        #[arg(long, env = "INJECTOR_DRY_RUN", hide_env_values = true, value_parser = FalseyValueParser::new())]
        dry_run: bool,
    },
    /// Say what a build would do, step by step, and why; touches nothing
    Plan {
        #[command(flatten)]
        build: BuildArgs,
        /// Print the plan as JSON
        #[arg(long, env = "INJECTOR_JSON", hide_env_values = true, value_parser = FalseyValueParser::new())]
        json: bool,
    },
    /// In the main container: check what was published against this container, and become its server
    Launch {
        /// The shared volume [default: /kubeless]
        #[arg(long, value_name = "DIR", env = "KUBELESS_INSTALL_VOLUME", hide_env_values = true)]
        volume: Option<OsString>,
    },
    /// Copy this program to a file on a volume, so that it can run in any image
    Install {
        /// The file, for example /injector-bin/injector
        dest: PathBuf,
    },
    /// List the runtimes, and what of them this machine has
    Runtimes {
        /// The operator's file of allowed runtimes
        #[arg(long, value_name = "FILE", env = "INJECTOR_RUNTIMES", hide_env_values = true)]
        config: Option<OsString>,
    },
    /// Look after the cache that a node's pods share
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Cache {
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Explain an exit code, or all of them; fed pods by kubectl, say which container failed, why, and what to do
    #[command(after_help = EXPLAIN)]
    Explain {
        /// The code, for example 61 or E61
        code: Option<String>,
    },
}

const EXPLAIN: &str = "\
Examples:
  injector explain          lists the exit codes
  injector explain E61      explains one
  kubectl get pod -l function=hello -o json | injector explain
                            names the container that failed, its error, and the next step

Exit status: 0 if something was explained, however bad; 11 if the code or what is fed is not understood.";

#[derive(Args)]
pub(super) struct BuildArgs {
    /// The function's directory, its one file, or an archive of it; makes .injector-out there the default volume
    pub(super) dir: Option<PathBuf>,

    /// Where the function is mounted, if no DIR is given [default: /src]
    #[arg(long, value_name = "DIR", env = "INJECTOR_SOURCE", hide_env_values = true)]
    pub(super) source: Option<OsString>,

    /// The shared volume [default: /kubeless, or DIR/.injector-out]
    #[arg(long, value_name = "DIR", env = "KUBELESS_INSTALL_VOLUME", hide_env_values = true)]
    pub(super) volume: Option<OsString>,

    /// Runtime ID and version, for example python3.12 [default: detected from the files]
    #[arg(long, env = "FUNC_RUNTIME", hide_env_values = true)]
    pub(super) runtime: Option<String>,

    /// What to call, as module.function [default: the text of the mount's file `handler`]
    #[arg(long, env = "FUNC_HANDLER", hide_env_values = true)]
    pub(super) handler: Option<String>,

    /// The handler's module; --handler is then the function alone
    #[arg(long, value_name = "NAME", env = "MOD_NAME", hide_env_values = true)]
    pub(super) module: Option<String>,

    /// The handler's function, where --handler is absent
    #[arg(long, value_name = "NAME", env = "KUBELESS_FUNC_NAME", hide_env_values = true)]
    pub(super) function_name: Option<String>,

    /// How the function arrives: text, base64 or url, then +zip or +compressedtar for an archive, then +deps if that
    /// brings its dependency file [default: text]
    #[arg(long, value_name = "TYPE", env = "FUNC_CONTENT_TYPE", hide_env_values = true)]
    pub(super) content_type: Option<String>,

    /// Where a function of the type url is [default: the text of the mounted file]
    #[arg(long, env = "FUNC_URL", hide_env_values = true)]
    pub(super) url: Option<String>,

    /// The digest that the function's file must have, as sha256:HEX: the decoded one of base64, what a URL gives, the
    /// archive before it is unpacked
    #[arg(long, value_name = "DIGEST", env = "FUNC_CHECKSUM", hide_env_values = true)]
    pub(super) checksum: Option<String>,

    /// The digest that the dependency file must have, as sha256:HEX or HEX
    #[arg(long, value_name = "DIGEST", env = "FUNC_DEPS_CHECKSUM", hide_env_values = true)]
    pub(super) deps_checksum: Option<String>,

    /// The dependency file; absent on disk means the one of that name beside the function
    #[arg(long, value_name = "FILE", env = "KUBELESS_DEPS_FILE", hide_env_values = true)]
    pub(super) deps_file: Option<OsString>,

    /// Where tools' HOME, TMPDIR and caches go, outside the volume [default: a fresh directory in TMPDIR or /tmp]
    #[arg(long, value_name = "DIR", env = "INJECTOR_SCRATCH", hide_env_values = true)]
    pub(super) scratch: Option<OsString>,

    /// A directory where dependencies, and what was compiled of them, outlive this build, so that the next one of the
    /// same function need not make them again; not to be shared by functions [default: nothing is kept]
    #[arg(long, value_name = "DIR", env = "INJECTOR_KEEP", hide_env_values = true)]
    pub(super) keep: Option<OsString>,

    /// Whether code of dependencies may run at build time (setup.py, postinstall, build.rs): allow or deny [default: allow]
    #[arg(long, value_name = "POLICY", env = "INJECTOR_BUILD_SCRIPTS", hide_env_values = true)]
    pub(super) build_scripts: Option<String>,

    /// `off` builds again even if the last verdict would repeat [default: on]
    #[arg(long, value_name = "SWITCH", env = "INJECTOR_REPLAY", hide_env_values = true)]
    pub(super) replay: Option<String>,

    /// Further variables for the tools, by name, separated by commas or spaces; their values are redacted
    #[arg(long, value_name = "NAMES", env = "INJECTOR_PASS_ENV", hide_env_values = true)]
    pub(super) pass_env: Option<String>,

    /// How long each stage may take, in seconds [default: 900]
    #[arg(long, value_name = "SECONDS", env = "INJECTOR_TIMEOUT", hide_env_values = true)]
    pub(super) timeout: Option<String>,

    /// The operator's file of allowed runtimes
    #[arg(long, value_name = "FILE", env = "INJECTOR_RUNTIMES", hide_env_values = true)]
    pub(super) config: Option<OsString>,

    /// A CA bundle (PEM) that the tools, and downloads of the function, trust beside the image's own
    #[arg(long, value_name = "FILE", env = "INJECTOR_CA_FILE", hide_env_values = true)]
    pub(super) ca_file: Option<OsString>,

    #[command(flatten)]
    pub(super) limits: LimitArgs,

    #[command(flatten)]
    pub(super) cache: CacheArgs,
}

/// What an operator does with a cache.
#[derive(Subcommand)]
pub(super) enum CacheCommand {
    /// List what is cached: from what it was made, how large it is, when it was last used, and whether it is in use
    Ls {
        #[command(flatten)]
        cache: CacheDirArgs,
        /// Print it as JSON
        #[arg(long, env = "INJECTOR_JSON", hide_env_values = true, value_parser = FalseyValueParser::new())]
        json: bool,
    },
    /// Take away what is too much or too old, what dead processes left, and what nobody needs; what is in use stays
    #[command(
        after_help = "Builds do so by themselves when they have stored something. Exit status: 0, or the error's code."
    )]
    Gc {
        #[command(flatten)]
        cache: CacheDirArgs,
        /// The most bytes that may remain; what was not used for longest goes first; 0 for no limit [default: 10Gi]
        #[arg(long, value_name = "SIZE", env = "INJECTOR_CACHE_MAX_SIZE", hide_env_values = true)]
        cache_max_size: Option<String>,
        /// Take away also what was not used for so many seconds [default: no limit]
        #[arg(long, value_name = "SECONDS")]
        max_age: Option<String>,
    },
    /// Read all that is cached, and take away what is not as it was stored
    #[command(after_help = "Exit status: 0 if all was as it was stored; 42 if something was not.")]
    Verify {
        #[command(flatten)]
        cache: CacheDirArgs,
    },
}

/// Which cache.
#[derive(Args)]
pub(super) struct CacheDirArgs {
    /// The directory that the node's pods share
    #[arg(long, value_name = "DIR", env = "INJECTOR_CACHE_DIR", hide_env_values = true)]
    pub(super) cache_dir: Option<OsString>,
}

/// What outlives this build, for other pods of this function.
#[derive(Args)]
pub(super) struct CacheArgs {
    /// A directory that the node's pods share, where what was resolved and built is kept; for functions that trust
    /// each other: docs/cache.md [default: none]
    #[arg(long, value_name = "DIR", env = "INJECTOR_CACHE_DIR", hide_env_values = true)]
    pub(super) cache_dir: Option<OsString>,

    /// How a function gets what is cached: copy, or mount, where the function's container mounts the cache's directory
    /// read-only and nothing is copied [default: copy]
    #[arg(long, value_name = "MODE", env = "INJECTOR_CACHE_MODE", hide_env_values = true)]
    pub(super) cache_mode: Option<String>,

    /// Where the function's container mounts the cache's directory, for --cache-mode=mount [default: the same path]
    #[arg(long, value_name = "DIR", env = "INJECTOR_CACHE_MOUNT", hide_env_values = true)]
    pub(super) cache_mount: Option<OsString>,

    /// An OCI registry that the cluster's pods share, as HOST[:PORT]/REPOSITORY; http:// before it for one without TLS
    /// [default: none]
    #[arg(long, value_name = "REPOSITORY", env = "INJECTOR_CACHE_REGISTRY", hide_env_values = true)]
    pub(super) cache_registry: Option<String>,

    /// Push to the registry what was built here: whoever may is trusted by all who read it
    #[arg(long, env = "INJECTOR_CACHE_PUSH", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(super) cache_push: bool,

    /// How long a push may take, in seconds [default: 120]
    #[arg(long, value_name = "SECONDS", env = "INJECTOR_CACHE_PUSH_TIMEOUT", hide_env_values = true)]
    pub(super) cache_push_timeout: Option<String>,

    /// What else a result depends on, and only the operator knows, such as the digest of the image
    #[arg(long, value_name = "TEXT", env = "INJECTOR_CACHE_SALT", hide_env_values = true)]
    pub(super) cache_salt: Option<String>,

    /// The most bytes that the cache's directory may have; what was not used for longest goes first; 0 for no limit
    /// [default: 10Gi]
    #[arg(long, value_name = "SIZE", env = "INJECTOR_CACHE_MAX_SIZE", hide_env_values = true)]
    pub(super) cache_max_size: Option<String>,

    /// How old what was resolved without a lock file may be, in seconds; it is resolved again then [default: no limit]
    #[arg(long, value_name = "SECONDS", env = "INJECTOR_RESOLVE_MAX_AGE", hide_env_values = true)]
    pub(super) resolve_max_age: Option<String>,

    /// Resolve and build again whatever the cache has, and put that in its place
    #[arg(long, env = "INJECTOR_REFRESH", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(super) refresh: bool,
}

/// What a function may cost; sizes are bytes, or end in Ki, Mi or Gi.
#[derive(Args)]
#[expect(clippy::struct_field_names, reason = "each is a flag's name")]
pub(super) struct LimitArgs {
    /// The most bytes that a download may have [default: 512Mi]
    #[arg(long, value_name = "SIZE", env = "INJECTOR_MAX_DOWNLOAD", hide_env_values = true)]
    pub(super) max_download: Option<String>,

    /// The most bytes that a function's files may have, unpacked [default: 1Gi]
    #[arg(long, value_name = "SIZE", env = "INJECTOR_MAX_UNPACKED", hide_env_values = true)]
    pub(super) max_unpacked: Option<String>,

    /// The most bytes that each byte of an archive may become; the first 64 MiB are free [default: 100]
    #[arg(long, value_name = "NUMBER", env = "INJECTOR_MAX_RATIO", hide_env_values = true)]
    pub(super) max_ratio: Option<String>,

    /// The most files, directories and links that a function may have [default: 100000]
    #[arg(long, value_name = "NUMBER", env = "INJECTOR_MAX_ENTRIES", hide_env_values = true)]
    pub(super) max_entries: Option<String>,

    /// The most directories in one another that a function may have [default: 64]
    #[arg(long, value_name = "NUMBER", env = "INJECTOR_MAX_DEPTH", hide_env_values = true)]
    pub(super) max_depth: Option<String>,

    /// The largest window of a compressed archive, which is memory; at most 128Mi, for what `xz -9` and `zstd --ultra`
    /// make [default: 8Mi]
    #[arg(long, value_name = "SIZE", env = "INJECTOR_MAX_WINDOW", hide_env_values = true)]
    pub(super) max_window: Option<String>,
}
