//! The command lines of cargo.

use super::kept;
use super::settings::Configuration;
use crate::plan::{Action, Arg, Capture, Credentials, Dir, Place, Run};
use crate::toolchain::Tool;

/// The name of the program that is built: one that no function's own has.
pub(super) const PROGRAM: &str = "kubeless-function";

/// For which machine is compiled: the one that compiles.
#[derive(Debug)]
pub(super) struct Target {
    triple: String,
}

impl Target {
    /// The target of a compiler.
    pub(super) fn of(rustc: &Tool) -> Self {
        let host = rustc.identity.facts.get("host").cloned();
        Target { triple: host.unwrap_or_default() }
    }

    /// How the program is linked, and why.
    pub(super) fn because(&self) -> String {
        format!("the program is linked statically for {}, so that it runs in any image", self.triple)
    }

    /// Where cargo leaves the program.
    pub(super) fn program(&self) -> Place {
        kept(&format!("target/{}/release/{PROGRAM}", self.triple))
    }

    /// Names the target, and links the C library in, which is musl's default but not glibc's. With a target, even where
    /// that is the host, procedural macros, which are loaded by the compiler, are not concerned:
    /// <https://doc.rust-lang.org/reference/linkage.html#static-and-dynamic-c-runtimes>
    fn env(&self) -> [(String, Arg); 2] {
        let name = self.triple.to_uppercase().replace(['-', '.'], "_");
        [
            ("CARGO_BUILD_TARGET".to_owned(), self.triple.clone().into()),
            (format!("CARGO_TARGET_{name}_RUSTFLAGS"), "-Ctarget-feature=+crt-static".into()),
        ]
    }
}

/// Downloads all packages, and settles their versions where there is no lock.
pub(super) fn fetch(target: &Target, lock: Option<&str>, settings: &Configuration) -> Action {
    let mut args: Vec<Arg> = ["fetch", "--target", &target.triple].map(Arg::from).into();
    args.extend(lock.map(|_| "--locked".into()));
    args.extend(settings.args.iter().cloned());
    let mut run = cargo(target, args, Capture::Ends, Credentials::Given);
    run.env.extend(settings.env.clone());
    Action::Run(run)
}

/// Says which packages there are, and what of them would run while the function is compiled.
pub(super) fn metadata(target: &Target) -> Action {
    let args = ["metadata", "--format-version=1", "--frozen", "--filter-platform", &target.triple];
    Action::Run(cargo(target, args.map(Arg::from).into(), Capture::Whole, Credentials::Withheld))
}

/// Compiles packages, function and server; the compiler's messages come as data.
pub(super) fn build(target: &Target, is_locked: bool) -> Action {
    let offline = if is_locked { "--frozen" } else { "--offline" };
    let mut args: Vec<Arg> = ["build", "--release", offline, "--bin", PROGRAM].map(Arg::from).into();
    args.push("--message-format=json".into());
    let mut run = cargo(target, args, Capture::Whole, Credentials::Withheld);
    // What the program says of the places of its sources is not about the rooms of this build.
    let remap = Arg::from(format!("--config=target.{}.rustflags=[\"--remap-path-prefix=", target.triple));
    run.args.push(remap.then(Dir::Kept).then("=<kept>\"]"));
    Action::Run(run)
}

/// Runs cargo where no directory above can hold a `.cargo/config.toml` or a `rust-toolchain.toml`, which would choose another
/// compiler: not in the function, and not below `/tmp`.
fn cargo(target: &Target, mut args: Vec<Arg>, capture: Capture, credentials: Credentials) -> Run {
    args.extend(["--manifest-path".into(), kept("function/Cargo.toml").into()]);
    let env = [
        ("CARGO_HOME", kept("cargo").into()),
        ("CARGO_TARGET_DIR", kept("target").into()),
        ("CARGO_BUILD_JOBS", Arg::jobs()),
        ("CARGO_INCREMENTAL", "0".into()),
        ("CARGO_TERM_COLOR", "never".into()),
        ("CARGO_TERM_PROGRESS_WHEN", "never".into()),
    ];
    Run {
        tool: "cargo".to_owned(),
        args,
        env: env.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(target.env()).collect(),
        cwd: Dir::Root.into(),
        capture,
        credentials,
    }
}
