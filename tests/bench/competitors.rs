//! What one would run without us: installers and compilers, with nothing cached, and with all that they can cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::functions::{Function, Language};
use super::room::clear;
use super::series::{Series, timed, words};
use super::site::Site;

/// Makes a command that puts a function's dependencies, or its program, into a new directory.
type Make<'a> = Box<dyn Fn(&Path) -> anyhow::Result<Command> + 'a>;

/// How those are called that more than one row names.
pub(super) const PIP: &str = "pip install --target";
pub(super) const PIP_WARM: &str = "pip install --target, warm";
pub(super) const UV: &str = "uv pip install";
pub(super) const UV_COMPILED: &str = "uv pip install --compile-bytecode";
pub(super) const UV_COPIED: &str = "uv pip install, warm, copied";
pub(super) const UV_COPIED_COMPILED: &str = "uv pip install --compile-bytecode, warm, copied";
pub(super) const UV_LINKED: &str = "uv pip install, warm, hard links";
pub(super) const NPM: &str = "npm ci";
pub(super) const NPM_WARM: &str = "npm ci, warm";
pub(super) const PNPM_COPIED: &str = "pnpm install, warm, copied";
pub(super) const BUN: &str = "bun install";
pub(super) const BUN_COPIED: &str = "bun install, warm, copied";
pub(super) const BUN_LINKED: &str = "bun install, warm, hard links";
pub(super) const GO: &str = "go build";
pub(super) const CARGO: &str = "cargo build --release";
pub(super) const MAVEN: &str = "mvn package";
pub(super) const MAVEN_WARM: &str = "mvn package, filled repository";
pub(super) const JAVAC: &str = "javac";

/// What Kubeless ran in each new pod. Its image for Java brought a repository along.
pub(super) fn kubeless(language: Language) -> &'static str {
    match language {
        Language::Python => "pip install --prefix",
        Language::Nodejs => "npm install --production",
        Language::Go => GO,
        Language::Rust => CARGO,
        Language::Java => MAVEN_WARM,
    }
}

/// Those that start with nothing, and what Kubeless ran.
pub(super) fn cold<'a>(series: &mut Series<'a>, site: &'a Site, function: &'a Function, source: &'a Path) {
    match function.language {
        Language::Python => {
            add(series, site, kubeless(function.language), move |to| {
                Ok(pip(site, source, "--prefix", to, None))
            });
            add(series, site, PIP, move |to| Ok(pip(site, source, "--target", to, None)));
            let cache = site.room.fresh("pip-cache");
            warm(series, site, PIP_WARM, move |to| Ok(pip(site, source, "--target", to, Some(&cache))));
            add(series, site, UV, move |to| Ok(uv(site, source, to, &to.join("cache"), &[])));
            add(series, site, UV_COMPILED, move |to| {
                Ok(uv(site, source, to, &to.join("cache"), &["--compile-bytecode"]))
            });
        }
        Language::Nodejs => {
            add(series, site, kubeless(function.language), move |to| npm_install(site, source, to));
            add(series, site, NPM, move |to| npm(site, source, to, &to.join("cache")));
            add(series, site, BUN, move |to| bun(site, source, to, &to.join("cache"), "hardlink"));
        }
        Language::Go => add(series, site, GO, move |to| project(function, to).map(|()| go(site, to))),
        Language::Rust => add(series, site, CARGO, move |to| project(function, to).map(|()| cargo(site, to))),
        Language::Java => {
            add(series, site, MAVEN, move |to| {
                project(function, to).map(|()| maven(site, to, &to.join("repository")))
            });
            let repository = site.room.fresh("repository");
            warm(series, site, MAVEN_WARM, move |to| {
                project(function, to).map(|()| maven(site, to, &repository))
            });
        }
    }
}

/// Those that find all that they can cache.
pub(super) fn cached<'a>(series: &mut Series<'a>, site: &'a Site, language: Language, source: &'a Path) {
    match language {
        Language::Python => {
            for (who, flags) in [
                (UV_COPIED, &["--link-mode=copy"][..]),
                (UV_COPIED_COMPILED, &["--link-mode=copy", "--compile-bytecode"]),
                (UV_LINKED, &["--link-mode=hardlink"]),
            ] {
                let cache = site.room.fresh("uv-cache");
                warm(series, site, who, move |to| Ok(uv(site, source, to, &cache, flags)));
            }
        }
        Language::Nodejs => {
            let cache = site.room.fresh("npm-cache");
            warm(series, site, NPM_WARM, move |to| npm(site, source, to, &cache));
            match pnpm_lock(site, source) {
                Ok(locked) => {
                    let store = site.room.fresh("pnpm-store");
                    warm(series, site, PNPM_COPIED, move |to| pnpm(site, &locked, to, &store));
                }
                Err(reason) => series.lacks(PNPM_COPIED, &words(&reason)),
            }
            for (who, backend) in [(BUN_COPIED, "copyfile"), (BUN_LINKED, "hardlink")] {
                let cache = site.room.fresh("bun-cache");
                warm(series, site, who, move |to| bun(site, source, to, &cache, backend));
            }
        }
        // An edit is what they cache for: `edit.rs`.
        Language::Go | Language::Rust | Language::Java => {}
    }
}

/// Lets one take turns, each in a new directory.
fn add<'a>(
    series: &mut Series<'a>,
    site: &'a Site,
    who: &str,
    make: impl Fn(&Path) -> anyhow::Result<Command> + 'a,
) {
    let make: Make<'a> = Box::new(make);
    series.add(who, move || {
        let to = site.room.fresh_dir("alone")?;
        let taken = make(&to).and_then(|mut command| timed(&mut command));
        clear(&to);
        Ok(taken?.0)
    });
}

/// The same, after a run that fills its caches.
fn warm<'a>(
    series: &mut Series<'a>,
    site: &'a Site,
    who: &str,
    make: impl Fn(&Path) -> anyhow::Result<Command> + 'a,
) {
    let filled = site.room.fresh_dir("filling").and_then(|to| {
        let taken = make(&to).and_then(|mut command| timed(&mut command));
        clear(&to);
        taken
    });
    match filled {
        Ok(_) => add(series, site, who, make),
        Err(reason) => series.lacks(who, &words(&reason)),
    }
}

fn pip(site: &Site, source: &Path, layout: &str, to: &Path, cache: Option<&PathBuf>) -> Command {
    let mut pip = site.tool("python3");
    // Whatever the machine's own Python has must not count as installed.
    pip.args(["-I", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--ignore-installed"]);
    match cache {
        Some(cache) => pip.arg("--cache-dir").arg(cache),
        None => pip.arg("--no-cache-dir"),
    };
    pip.arg(layout).arg(to.join("deps")).arg("-r").arg(source.join("requirements.txt"));
    pip
}

fn uv(site: &Site, source: &Path, to: &Path, cache: &Path, flags: &[&str]) -> Command {
    let mut uv = site.tool("uv");
    uv.args(["pip", "install", "-q", "--no-config", "--python"]).arg(site.tools.python()).args(flags);
    uv.arg("--target").arg(to.join("deps")).arg("-r").arg(source.join("requirements.txt"));
    uv.env("UV_CACHE_DIR", cache);
    uv
}

/// As Kubeless ran it: with the manifest alone.
fn npm_install(site: &Site, source: &Path, to: &Path) -> anyhow::Result<Command> {
    copy(source, to, &["package.json"])?;
    let mut npm = site.tool("npm");
    npm.args(["install", "--production", "--no-audit", "--no-fund", "--no-update-notifier", "--cache"]);
    npm.arg(to.join("cache")).current_dir(to);
    Ok(npm)
}

fn npm(site: &Site, source: &Path, to: &Path, cache: &Path) -> anyhow::Result<Command> {
    copy(source, to, &["package.json", "package-lock.json"])?;
    let mut npm = site.tool("npm");
    npm.args(["ci", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--cache"]);
    npm.arg(cache).current_dir(to);
    Ok(npm)
}

/// A directory with pnpm's own lock, made of npm's.
fn pnpm_lock(site: &Site, source: &Path) -> anyhow::Result<PathBuf> {
    let to = site.room.fresh_dir("pnpm-lock")?;
    copy(source, &to, &["package.json", "package-lock.json"])?;
    timed(site.tool("pnpm").arg("import").current_dir(&to))?;
    Ok(to)
}

fn pnpm(site: &Site, locked: &Path, to: &Path, store: &Path) -> anyhow::Result<Command> {
    copy(locked, to, &["package.json", "pnpm-lock.yaml"])?;
    let mut pnpm = site.tool("pnpm");
    pnpm.args(["install", "--silent", "--prod", "--frozen-lockfile", "--package-import-method=copy"]);
    pnpm.arg("--store-dir").arg(store).current_dir(to);
    Ok(pnpm)
}

fn bun(site: &Site, source: &Path, to: &Path, cache: &Path, backend: &str) -> anyhow::Result<Command> {
    copy(source, to, &["package.json", "package-lock.json"])?;
    let mut bun = site.tool("bun");
    bun.args(["install", "--silent", "--production", "--backend", backend]).current_dir(to);
    bun.env("BUN_INSTALL_CACHE_DIR", cache);
    Ok(bun)
}

/// With caches in the project.
pub(super) fn go(site: &Site, project: &Path) -> Command {
    let mut go = site.tool("go");
    go.args(["build", "-o", "server", "."]).current_dir(project);
    go.env("CGO_ENABLED", "0").env("GOFLAGS", "-buildvcs=false");
    go.env("GOCACHE", project.join("cache")).env("GOMODCACHE", project.join("modules"));
    go
}

/// Likewise.
pub(super) fn cargo(site: &Site, project: &Path) -> Command {
    let mut cargo = site.tool("cargo");
    cargo.args(["build", "--quiet", "--release"]).current_dir(project);
    cargo.env("CARGO_HOME", project.join("cargo")).env_remove("CARGO_TARGET_DIR");
    cargo
}

/// Online as one would run it; with all at hand it asks nobody.
pub(super) fn maven(site: &Site, project: &Path, repository: &Path) -> Command {
    let mut maven = site.tool("mvn");
    maven.args(["-B", "-q", "package"]).arg(format!("-Dmaven.repo.local={}", repository.display()));
    maven.current_dir(project);
    maven
}

/// With the class path that Maven has brought in.
pub(super) fn javac(site: &Site, project: &Path) -> Command {
    let mut javac = site.tool("javac");
    javac.args(["-d", "classes", "-cp", "target/deps/*"]);
    javac.args(["src/main/java/Hello.java", "src/main/java/Main.java"]).current_dir(project);
    javac
}

/// The project without us, in a directory that is there.
pub(super) fn project(function: &Function, to: &Path) -> anyhow::Result<()> {
    timed(Command::new("cp").arg("-r").arg(function.alone().join(".")).arg(to)).map(drop)
}

fn copy(from: &Path, to: &Path, names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        fs::copy(from.join(name), to.join(name))?;
    }
    Ok(())
}
