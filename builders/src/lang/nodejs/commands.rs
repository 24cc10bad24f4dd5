//! The command lines of npm and pnpm.

use std::collections::BTreeMap;

use super::install::Installer;
use crate::plan::{Action, Arg, Capture, Credentials, Dir, Run};
use crate::steps::scratch;
use crate::toolchain::Version;

/// Installs in `deps/` without running anything of what it installs.
pub(super) fn install(
    installer: Installer,
    is_locked: bool,
    added: Vec<Arg>,
    mut env: BTreeMap<String, Arg>,
) -> Action {
    let what: &[&str] = match installer {
        Installer::Npm if is_locked => &["ci", "--omit=dev"],
        Installer::Npm => &["install", "--omit=dev"],
        Installer::Pnpm => &["install", "--prod", "--frozen-lockfile"],
    };
    let mut args: Vec<Arg> = what.iter().copied().map(Arg::from).collect();
    args.push("--ignore-scripts".into());
    args.extend(added);
    args.extend(quiet(installer));
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
pub(super) fn scripts(installer: Installer, version: &Version, own: Option<&str>) -> Action {
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
    args.extend(quiet(installer));
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
fn quiet(installer: Installer) -> Vec<Arg> {
    let place = |option: &str, name| Arg::from(option).then(scratch(name));
    match installer {
        Installer::Npm => {
            let quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--no-progress", "--color=false"];
            quiet.map(Arg::from).into_iter().chain([place("--cache=", "npm-cache")]).collect()
        }
        Installer::Pnpm => {
            // The image brings pnpm, which would else fetch the version that `packageManager` names:
            // https://pnpm.io/settings#managepackagemanagerversions, https://pnpm.io/settings#pmonfail
            let quiet = [
                "--reporter=append-only",
                "--config.color=never",
                "--config.manage-package-manager-versions=false",
                "--config.pm-on-fail=ignore",
                "--config.update-notifier=false",
                "--config.verify-deps-before-run=false",
                "--config.side-effects-cache=false",
            ];
            let rooms =
                [place("--config.store-dir=", "pnpm-store"), place("--config.cache-dir=", "pnpm-cache")];
            quiet.map(Arg::from).into_iter().chain(rooms).collect()
        }
    }
}

fn quiet_env() -> [(String, Arg); 1] {
    [("CI".to_owned(), "true".into())]
}
