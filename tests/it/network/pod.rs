//! A function's pod as far as the build sees it, and a search for secrets in all that it leaves behind.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tempfile::TempDir;
use walkdir::WalkDir;

use crate::support::packages::{PYTHON, UV, dir_of};

/// Who installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Installer {
    Pip,
    Uv,
}

/// A function with dependencies, and the environment of its build container.
pub(super) struct Pod {
    room: TempDir,
    env: BTreeMap<String, String>,
    secrets: Vec<String>,
}

impl Pod {
    /// A function that asks for `requirements`; `None` where the machine lacks a tool for it.
    pub(super) fn new(installer: Installer, requirements: &str) -> Option<Self> {
        let mut path = vec![dir_of(&PYTHON, "Python with pip")?];
        let name = match installer {
            Installer::Pip => "pip",
            Installer::Uv => {
                path.push(dir_of(&UV, "uv")?);
                "uv"
            }
        };
        let path: Vec<_> = path.into_iter().map(|dir| dir.display().to_string()).collect();
        let mut pod = Pod {
            room: tempfile::tempdir().expect("a temporary directory"),
            env: BTreeMap::new(),
            secrets: Vec::new(),
        };
        for dir in ["src", "volume", "scratch", "home"] {
            fs::create_dir(pod.path(dir)).expect(dir);
        }
        pod.file(
            "src/handler.py",
            "def hello(event, context):\n    return 'hello'\n",
        );
        pod.file("src/requirements.txt", requirements);
        for (name, dir) in [
            ("INJECTOR_SOURCE", "src"),
            ("KUBELESS_INSTALL_VOLUME", "volume"),
            ("INJECTOR_SCRATCH", "scratch"),
            ("HOME", "home"),
            ("INJECTOR_TERMINATION_LOG", "termination-log"),
        ] {
            let path = pod.path(dir);
            pod.var(name, &path);
        }
        pod.var("PATH", &format!("{}:/usr/bin:/bin", path.join(":")))
            .var("FUNC_HANDLER", "handler.hello")
            .var("INJECTOR_REPLAY", "off")
            .var("INJECTOR_PYTHON_INSTALLER", name)
            // A failure that is certain need not be waited for.
            .var("PIP_RETRIES", "1")
            .var("PIP_TIMEOUT", "2");
        Some(pod)
    }

    /// The path of something in the pod.
    pub(super) fn path(&self, below: &str) -> String {
        self.room.path().join(below).display().to_string()
    }

    /// Sets a variable of the container.
    pub(super) fn var(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Takes a variable away.
    pub(super) fn unset(&mut self, name: &str) -> &mut Self {
        self.env.remove(name);
        self
    }

    /// Puts a file into the pod.
    pub(super) fn file(&mut self, below: &str, text: &str) -> &mut Self {
        let path = self.room.path().join(below);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a writable room");
        fs::write(path, text).expect("a writable room");
        self
    }

    /// From here on this value, and whatever it can be recovered from, must appear nowhere.
    pub(super) fn secret(&mut self, value: &str) -> &mut Self {
        self.secrets.push(value.to_owned());
        self
    }

    /// Builds the function, and looks for the secrets in everything that is left.
    pub(super) fn build(&self) -> Ended {
        self.build_by(Command::new(env!("CARGO_BIN_EXE_injector")).arg("build"))
    }

    /// Builds it by this command.
    pub(super) fn build_by(&self, command: &mut Command) -> Ended {
        let output = self.run(command);
        let ended = Ended {
            code: output.status.code().expect("no signal"),
            message: fs::read_to_string(self.path("termination-log")).expect("a termination message"),
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "data on stdout");
        self.search("the log", ended.log.as_bytes());
        self.search("the termination log", ended.message.as_bytes());
        for entry in WalkDir::new(self.path("volume")) {
            let entry = entry.expect("a readable volume");
            let path = entry.path();
            self.search("a path", path.as_os_str().as_bytes());
            if entry.file_type().is_file() {
                let shown = path.display().to_string();
                self.search(&shown, &fs::read(path).expect("a readable volume"));
            } else if entry.path_is_symlink() {
                let target = fs::read_link(path).expect("a link");
                self.search("a link", target.as_os_str().as_bytes());
            }
        }
        let report = fs::read(self.path("volume/.injector/report.json"));
        assert!(report.is_ok(), "no report to search: {}", ended.log);
        let left = fs::read_dir(self.path("scratch")).expect("the scratch room's parent");
        let left: Vec<_> = left.flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "left in the scratch directory: {left:?}");
        ended
    }

    /// What `injector plan` prints, searched for secrets too.
    pub(super) fn plan(&self) -> String {
        let run = |args: &[&str]| {
            let output = self.run(Command::new(env!("CARGO_BIN_EXE_injector")).args(args));
            self.search("the plan", &output.stdout);
            self.search("the plan's log", &output.stderr);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{args:?}: {said}");
            String::from_utf8(output.stdout).expect("UTF-8")
        };
        let json = run(&["plan", "--json"]);
        serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
        run(&["plan"])
    }

    /// The text of a published file.
    pub(super) fn published(&self, below: &str) -> String {
        let path = self.path(&format!("volume/function/{below}"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn run(&self, command: &mut Command) -> Output {
        command.env_clear().envs(&self.env).output().expect("it runs")
    }

    fn search(&self, place: &str, text: &[u8]) {
        for secret in &self.secrets {
            for form in forms(secret) {
                let found = text.windows(form.len()).any(|window| window == form.as_bytes());
                assert!(
                    !found,
                    "{place} gives {secret} away, as {form}:\n{}",
                    String::from_utf8_lossy(text)
                );
            }
        }
    }
}

/// How a build ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    /// The termination message.
    pub(super) message: String,
    /// What it told on stderr.
    pub(super) log: String,
}

impl Ended {
    /// Demands success.
    #[track_caller]
    pub(super) fn succeeds(&self) -> &Self {
        assert_eq!(self.code, 0, "{}", self.log);
        assert!(self.message.starts_with("ready: python"), "{}", self.message);
        self
    }

    /// Demands a failure of this code, whose first line says the first words, and whose whole message the others.
    #[track_caller]
    pub(super) fn fails(&self, code: i32, headline: &[&str], anywhere: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{}", self.log);
        let first = self.message.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("E{code} ")), "{first}");
        for words in headline {
            assert!(first.contains(words), "no `{words}` in: {first}\n\n{}", self.log);
        }
        for words in anywhere {
            assert!(
                self.message.contains(words),
                "no `{words}` in: {}\n\n{}",
                self.message,
                self.log
            );
        }
        self
    }
}

/// Everything but RFC 3986's unreserved characters.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// In what forms a secret could be read: as it is, percent-encoded or not, and within base64 at every
/// position, without the characters to which its neighbours contribute.
fn forms(secret: &str) -> Vec<String> {
    let plain = percent_decode_str(secret).decode_utf8_lossy().into_owned();
    let encoded = utf8_percent_encode(&plain, NON_ALPHANUMERIC).to_string();

    let mut forms = vec![
        secret.to_owned(),
        encoded.to_lowercase(),
        encoded,
        utf8_percent_encode(&plain, UNRESERVED).to_string(),
    ];
    for before in 0..3 {
        let padded = [vec![0; before], plain.clone().into_bytes()].concat();
        let (first, whole) = ((before * 4).div_ceil(3), padded.len() * 4 / 3);
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            forms.push(text[first..whole].to_owned());
        }
    }
    forms.push(plain);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_wherever_the_secret_stands_in_it() {
        for before in ["", "a", "me:", "user:"] {
            let text =
                base64::engine::general_purpose::STANDARD.encode(format!("{before}t0k/n@7+x and more"));
            assert!(
                forms("t0k%2Fn%407%2Bx")
                    .iter()
                    .any(|form| text.contains(form.as_str())),
                "{text}"
            );
        }
    }
}
