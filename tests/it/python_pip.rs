//! Our program that runs pip, with real interpreters and an index that answers as it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use crate::support::python::{asset, interpreters, put, tree};

/// Those of the interpreters that have pip.
fn with_pip() -> impl Iterator<Item = &'static Path> {
    let has_pip = |python: &&Path| {
        let asked = Command::new(python).args(["-I", "-c", "import pip"]).output();
        let has = asked.is_ok_and(|asked| asked.status.success());
        if !has {
            eprintln!("SKIP python: {} has no pip", python.display());
        }
        has
    };
    interpreters().iter().map(AsRef::as_ref).filter(has_pip)
}

/// Installs into `deps` with `pip.py`, knowing nothing of this machine's configuration.
fn install(python: &Path, dir: &Path, env: &[(&str, &str)], wanted: &str) -> Output {
    let args = ["install", "--no-input", "--no-cache-dir", "--target"];
    Command::new(python)
        .arg("-I")
        .arg(asset("pip.py"))
        .args(args)
        .arg(dir.join("deps"))
        .arg(wanted)
        .env_clear()
        .envs([("PIP_CONFIG_FILE", "/dev/null"), ("PIP_DISABLE_PIP_VERSION_CHECK", "1")])
        .envs([("PIP_RETRIES", "0"), ("PATH", "/usr/bin:/bin")])
        .env("HOME", dir)
        .envs(env.iter().copied())
        .output()
        .expect("pip runs")
}

/// An index whose answer to `/503/…` is 503, and so on; its URL.
fn index() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(|| answer(stream));
        }
    });
    url
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let status = request.split('/').nth(1).unwrap_or("500");
    write!(stream, "HTTP/1.1 {status} Status\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

#[test]
fn pip_says_what_an_index_answered_unless_it_lacks_the_package() {
    let index = index();
    for python in with_pip() {
        for (status, said) in [
            ("401", "401 Client Error"),
            ("403", "403 Client Error"),
            ("429", "429 Client Error"),
            ("503", "too many 503 error responses"),
        ] {
            let dir = tree(&[]);
            let urls = [
                ("PIP_INDEX_URL", format!("{index}/404/simple")),
                ("PIP_EXTRA_INDEX_URL", format!("{index}/{status}/simple")),
            ];
            let env = urls.each_ref().map(|(name, url)| (*name, url.as_str()));
            let output = install(python, dir.path(), &env, "six");
            let stderr = String::from_utf8_lossy(&output.stderr);
            let warnings: Vec<_> =
                stderr.lines().filter(|line| line.starts_with("WARNING: Could not fetch URL")).collect();
            assert_eq!(output.status.code(), Some(1), "{python:?}: {output:?}");
            assert_eq!(warnings.len(), 1, "{python:?}: {stderr}");
            assert!(warnings[0].contains(said), "{python:?}: {stderr}");
            assert!(stderr.contains("No matching distribution found for six"), "{python:?}: {stderr}");
        }
    }
}

/// Builds a wheel with the standard library alone; `IMPORTS` is what the build needs.
const BACKEND: &str = r#"
import pathlib, zipfile
IMPORTS

def build_wheel(directory, config_settings=None, metadata_directory=None):
    files = {
        "NAME.py": "",
        "NAME-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: NAME\nVersion: 1\n",
        "NAME-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "NAME-1.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(pathlib.Path(directory, "NAME-1-py3-none-any.whl"), "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "NAME-1-py3-none-any.whl"
"#;

#[test]
fn pip_can_still_run_itself_to_build_in_isolation() {
    let project = |requires: &str| {
        format!("[build-system]\nrequires = [{requires}]\nbuild-backend = 'backend'\nbackend-path = ['.']\n")
    };
    let backend = |name: &str, imports: &str| BACKEND.replace("NAME", name).replace("IMPORTS", imports);
    for python in with_pip() {
        let dir = tree(&[
            ("tool/pyproject.toml", &project("")),
            ("tool/backend.py", &backend("tool", "")),
            ("app/backend.py", &backend("app", "import tool")),
        ]);
        let requires = format!("'tool @ file://{}'", dir.path().join("tool").display());
        put(&dir.path().join("app/pyproject.toml"), project(&requires));
        let app = dir.path().join("app");
        let output =
            install(python, dir.path(), &[("PIP_NO_INDEX", "1")], app.to_str().expect("a path in UTF-8"));
        assert!(output.status.success(), "{python:?}: {output:?}");
        assert!(dir.path().join("deps/app.py").is_file(), "{python:?}");
    }
}

/// Runs `pip.py` where `pip` is found in `dir`, which `-I` would forbid to be named otherwise.
const ELSEWHERE: &str = "import runpy, sys; script, dir, *sys.argv[1:] = sys.argv[1:]; \
    sys.path.insert(0, dir); sys.argv[0] = script; runpy.run_path(script, run_name='__main__')";

#[test]
fn a_pip_that_is_built_otherwise_runs_as_it_is() {
    let shown = "import sys\nprint(sys.argv[1:], __name__, __package__)\nsys.exit(7)\n";
    let dir = tree(&[("pip/__init__.py", ""), ("pip/__main__.py", shown)]);
    for python in interpreters() {
        let output = Command::new(python)
            .args(["-I", "-c", ELSEWHERE])
            .args([asset("pip.py").as_path(), dir.path()])
            .args(["install", "six"])
            .output()
            .expect("the interpreter runs");
        assert_eq!(output.status.code(), Some(7), "{python:?}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "['install', 'six'] __main__ pip\n");
        assert!(output.stderr.is_empty(), "{python:?}: {output:?}");
    }
}
