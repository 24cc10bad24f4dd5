//! The command lines of npm and pnpm.

use super::install::Installer;
use super::settings::Added;
use crate::plan::{Action, Arg, Capture, Credentials, Dir, Run};
use crate::toolchain::Version;

/// Has npm say whom it asks: without that, a refusal (`E401`) or a download that broke off names no host.
const HOSTS: &str = "--loglevel=http";

/// Installs in `deps/` without running anything of what it installs.
pub(super) fn install(installer: Installer, is_locked: bool, added: &Added) -> Action {
    let what: &[&str] = match installer {
        Installer::Npm if is_locked => &["ci", "--omit=dev", HOSTS],
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

/// Runs what packages have for after their installation, or with npm, one such script of the function itself.
pub(super) fn scripts(installer: Installer, version: &Version, own: Option<&str>, added: &Added) -> Action {
    // From 12 on, it is `pnpm install` that runs what it was told to leave out before.
    let rebuilds = "12".parse().is_ok_and(|changed: Version| *version < changed);
    let what: &[&str] = match (installer, own) {
        (Installer::Npm, None) => &["rebuild"],
        // Each is named by itself: none brings along those before and after it.
        (Installer::Npm, Some(_)) => &["run", "--ignore-scripts"],
        (Installer::Pnpm, _) if rebuilds => &["rebuild", "--recursive"],
        (Installer::Pnpm, _) => &["install", "--prod", "--frozen-lockfile", "--offline", "--force"],
    };
    let mut args: Vec<Arg> = what.iter().copied().chain(own).map(Arg::from).collect();
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
