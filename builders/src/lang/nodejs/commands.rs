//! The command lines of npm and pnpm.

use super::install::Installer;
use super::lock::Lock;
use super::settings::Added;
use crate::plan::{Action, Arg, Capture, Credentials, Dir, Run};

/// Has npm say whom it asks: without that, a refusal (`E401`) or a download that broke off names no host.
const HOSTS: &str = "--loglevel=http";

/// Installs in `deps/` without running anything of what it installs.
pub(super) fn install(installer: Installer, lock: Option<Lock<'_>>, added: &Added) -> Action {
    let what: &[&str] = match installer {
        Installer::Npm if lock.is_some() => &["ci", "--omit=dev", HOSTS],
        Installer::Npm => &["install", "--omit=dev", HOSTS],
        Installer::Pnpm => &["install", "--prod", "--frozen-lockfile"],
    };
    let mut args: Vec<Arg> = what.iter().copied().map(Arg::from).collect();
    args.push("--ignore-scripts".into());
    args.extend(added.args.iter().cloned());
    args.extend(quiet(installer, added));
    let mut env = added.env.clone();
    env.extend(quiet_env());
    Action::Run(Run {
        tool: installer.name().to_owned(),
        args,
        env,
        cwd: Dir::Deps.into(),
        capture: Capture::Ends,
        credentials: Credentials::Given,
    })
}

/// Whose scripts run after the installation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'a> {
    /// Those of packages; with pnpm up to 11, those of the function, too.
    Packages,
    /// One of the function's own, by its name.
    Function(&'a str),
    /// Those of the function and of its workspace, which pnpm from 12 on leaves out when it rebuilds.
    Workspace,
}

/// Runs scripts that were left out when the packages were installed.
pub(super) fn scripts(installer: Installer, whose: Whose<'_>, added: &Added) -> Action {
    let what: &[&str] = match (installer, whose) {
        // Each is named by itself: none brings along those before and after it.
        (_, Whose::Function(name)) => &["run", "--ignore-scripts", name],
        // Without `--force`, it takes all that was installed before for done.
        (_, Whose::Workspace) => &["install", "--prod", "--frozen-lockfile", "--offline", "--force"],
        (Installer::Npm, Whose::Packages) => &["rebuild"],
        (Installer::Pnpm, Whose::Packages) => &["rebuild", "--recursive"],
    };
    let mut args: Vec<Arg> = what.iter().copied().map(Arg::from).collect();
    args.extend(quiet(installer, added));
    Action::Run(Run {
        tool: installer.name().to_owned(),
        args,
        env: quiet_env().into(),
        cwd: Dir::Deps.into(),
        capture: Capture::Ends,
        credentials: Credentials::Withheld,
    })
}

/// No colours, progress bars, audits and invitations; caches that go with the build.
fn quiet(installer: Installer, added: &Added) -> Vec<Arg> {
    let quiet: &[&str] = match installer {
        Installer::Npm => {
            &["--no-audit", "--no-fund", "--no-update-notifier", "--no-progress", "--color=false"]
        }
        // The image brings pnpm, which would else fetch the version that `packageManager` names:
        // https://pnpm.io/settings#managepackagemanagerversions, https://pnpm.io/settings#pmonfail
        Installer::Pnpm => &[
            "--reporter=append-only",
            "--config.color=never",
            "--config.manage-package-manager-versions=false",
            "--config.pm-on-fail=ignore",
            "--config.update-notifier=false",
            "--config.verify-deps-before-run=false",
            "--config.side-effects-cache=false",
        ],
    };
    quiet.iter().copied().map(Arg::from).chain(added.caches.iter().cloned()).collect()
}

fn quiet_env() -> [(String, Arg); 1] {
    [("CI".to_owned(), "true".into())]
}
