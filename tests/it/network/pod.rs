//! A pod that has secrets, and a search for them in all that it leaves behind.

use std::fs::{canonicalize, copy, read, read_link, read_to_string};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use walkdir::WalkDir;

use super::{go, java, nodejs, rust};
use crate::support::machine::{self, Python, STRANGER};
use crate::support::packages::tool;
use crate::support::pod::{self, Ended, HELLO};
use crate::support::python::put;
use crate::support::registry::{Registry, Scheme};
use crate::support::secrets::assert_hidden;

/// Who installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Installer {
    Pip,
    Uv,
    Npm,
    Pnpm,
    Go,
    Cargo,
    Maven,
}

impl Installer {
    /// Where it looks for packages: the variable, and our registry's path.
    fn index(self) -> (&'static str, &'static str) {
        match self {
            Installer::Pip | Installer::Uv => ("PIP_INDEX_URL", "/simple"),
            Installer::Npm | Installer::Pnpm => ("NPM_REGISTRY", "/npm/"),
            Installer::Go => ("GOPROXY", "/go"),
            Installer::Cargo => ("CARGO_REGISTRIES_COMPANY_INDEX", "/index/"),
            Installer::Maven => (".m2/settings.xml", "/maven"),
        }
    }

    /// What the function is called.
    fn handler(self) -> &'static str {
        match self {
            Installer::Pip | Installer::Uv | Installer::Npm | Installer::Pnpm | Installer::Maven => {
                "handler.hello"
            }
            Installer::Go => "handler.Hello",
            Installer::Cargo => "lib.hello",
        }
    }

    /// The scheme over which it logs in.
    pub(super) fn scheme(self) -> Scheme {
        if self == Installer::Go { Scheme::Https } else { Scheme::Http }
    }

    /// The step in which it fetches.
    pub(super) fn step(self) -> &'static str {
        if [Installer::Go, Installer::Cargo, Installer::Maven].contains(&self) { "fetch" } else { "install" }
    }

    /// Where the place of a package is told that does not exist.
    pub(super) fn place(self) -> &'static str {
        match self {
            Installer::Pip | Installer::Uv => "requirements.txt:2",
            Installer::Npm => "package.json:1",
            // Some versions tell of its archive, which the lock names, some of the package.
            Installer::Pnpm => "",
            Installer::Go => "go.mod:6",
            Installer::Cargo => "Cargo.toml:8",
            Installer::Maven => "pom.xml:1",
        }
    }

    /// Where it leaves the package `acmegreeting`, and what is in it.
    pub(super) fn greeting(self) -> (&'static str, &'static str) {
        match self {
            Installer::Pip | Installer::Uv => ("deps/acmegreeting.py", "TEXT = 'hello'\n"),
            Installer::Npm | Installer::Pnpm => {
                ("deps/node_modules/acmegreeting/index.js", "module.exports = 'hello'\n")
            }
            Installer::Go | Installer::Cargo => ("out/server", "hello from afar"),
            // An empty archive.
            Installer::Maven => {
                ("deps/acmegreeting-1.0.jar", "PK\u{5}\u{6}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
            }
        }
    }
}

/// A function with dependencies, in a company's network.
pub(super) struct Pod {
    pub(super) inner: pod::Pod,
    installer: Installer,
    wanted: String,
    secrets: Vec<String>,
}

impl Pod {
    /// A function that asks for packages, each in a line as `requirements.txt` has it; `None` where the machine
    /// lacks a tool for it.
    pub(super) fn new(installer: Installer, wanted: &str) -> Option<Self> {
        Pod::with(&machine::python()?, installer, wanted)
    }

    /// The same for somebody who is not root.
    pub(super) fn unprivileged(installer: Installer, wanted: &str) -> Option<Self> {
        let mut pod = Pod::with(&machine::public_python()?, installer, wanted)?;
        if !machine::is_root() {
            return None;
        }
        pod.inner.run_as(STRANGER, STRANGER);
        // The directory would be root's.
        pod.unset("INJECTOR_KEEP");
        Some(pod)
    }

    fn with(python: &Python, installer: Installer, wanted: &str) -> Option<Self> {
        let bin = match installer {
            Installer::Pip | Installer::Uv => python.bin.clone(),
            Installer::Npm | Installer::Pnpm => tool("nodejs", "npm")?.parent()?.to_owned(),
            Installer::Go => tool("go", "go")?.parent()?.to_owned(),
            Installer::Cargo => rust::toolchain()?,
            Installer::Maven => tool("java", "mvn").and(tool("java", "javac"))?.parent()?.to_owned(),
        };
        let pod = pod::Pod::bare(&format!("{}:/usr/bin:/bin", bin.display()));
        let mut pod = Pod { inner: pod, installer, wanted: String::new(), secrets: Vec::new() };
        match installer {
            Installer::Pip => pod.var("INJECTOR_PYTHON_INSTALLER", "pip"),
            Installer::Uv => {
                // Where it lies, root alone may reach.
                copy(tool("python", "uv")?, pod.inner.dir("bin/uv")).expect("a copy");
                pod.var("INJECTOR_PYTHON_INSTALLER", "uv")
            }
            Installer::Npm => {
                symlink(tool("nodejs", "node")?, pod.inner.dir("bin/node")).expect("a link");
                &mut pod
            }
            Installer::Pnpm => {
                symlink(tool("nodejs", "node")?, pod.inner.dir("bin/node")).expect("a link");
                let pnpm = canonicalize(tool("nodejs", "pnpm")?).expect("it is there");
                symlink(pnpm, pod.inner.dir("bin/pnpm")).expect("a link");
                &mut pod
            }
            Installer::Go => go::settle(&mut pod),
            Installer::Cargo => pod.var("CARGO_SOURCE_CRATES_IO_REPLACE_WITH", "company"),
            Installer::Maven => {
                symlink(tool("java", "mvn")?, pod.inner.dir("bin/mvn")).expect("a link");
                pod.var("MAVEN_OPTS", "-Dmaven.wagon.rto=2000 -Daether.connector.requestTimeout=2000")
            }
        };
        pod.wants(wanted);
        let (home, keep) = (pod.path("home"), pod.path("keep"));
        pod.var("HOME", &home)
            // What is kept is searched for secrets, too.
            .var("INJECTOR_KEEP", &keep)
            .var("FUNC_HANDLER", installer.handler())
            .var("INJECTOR_REPLAY", "off")
            // A failure that is certain need not be waited for.
            .var("PIP_RETRIES", "1")
            .var("PIP_TIMEOUT", "2")
            .var("npm_config_fetch_retries", "1")
            .var("npm_config_fetch_retry_mintimeout", "10")
            .var("npm_config_fetch_timeout", "2000")
            .var("CARGO_NET_RETRY", "1")
            .var("CARGO_HTTP_TIMEOUT", "2");
        Some(pod)
    }

    /// Has the function ask for these packages.
    pub(super) fn wants(&mut self, wanted: &str) -> &mut Self {
        wanted.clone_into(&mut self.wanted);
        match self.installer {
            Installer::Pip | Installer::Uv => {
                self.inner.source("handler.py", HELLO);
                self.inner.source("requirements.txt", wanted);
            }
            Installer::Npm | Installer::Pnpm => {
                self.inner.source("handler.js", "exports.hello = () => 'hello';\n");
                let asked = wanted.lines().map(|line| line.split_once("==").map_or(line, |(name, _)| name));
                self.inner.source("package.json", &nodejs::manifest(asked.clone()));
                if self.installer == Installer::Pnpm {
                    self.inner.source("pnpm-lock.yaml", &nodejs::lock(asked));
                }
            }
            Installer::Go => {
                let asked = wanted.lines().map(|line| line.split_once("==").map_or(line, |(name, _)| name));
                let asked: Vec<_> = asked.map(|name| format!("acme.example/{name}")).collect();
                self.inner.source("go.mod", &go::manifest(&asked));
                self.inner.source("handler.go", &go::handler(&asked));
            }
            Installer::Cargo => {
                let asked = wanted.lines().map(|line| line.split_once("==").map_or(line, |(name, _)| name));
                self.inner.source("Cargo.toml", &rust::manifest(asked.clone()));
                put(&self.inner.dir("src/src/lib.rs"), rust::function(asked));
            }
            Installer::Maven => {
                self.inner.source("handler.java", java::HELLO);
                let asked = wanted.lines().map(|line| line.split_once("==").map_or(line, |(name, _)| name));
                self.inner.source("pom.xml", &java::pom(asked));
            }
        }
        self
    }

    /// What the function asks for.
    pub(super) fn wanted(&self) -> &str {
        &self.wanted
    }

    /// Has the installer look for packages at our registry, which this URL leads to.
    pub(super) fn index(&mut self, url: &str) -> &mut Self {
        let (variable, path) = self.installer.index();
        if self.installer == Installer::Maven {
            return self.file("home/.m2/settings.xml", &java::settings(url, ""));
        }
        if self.installer == Installer::Cargo {
            return rust::index(self, url, variable, path);
        }
        self.var(variable, &format!("{url}{path}"))
    }

    /// Has the installer look for packages at this registry, and trust it; `login` is empty or `user:password@`.
    pub(super) fn asks(&mut self, registry: &Registry, login: &str) -> &mut Self {
        let url = registry.url(login);
        if url.starts_with("https:") {
            self.trusts("INJECTOR_CA_FILE", &registry.ca);
        }
        self.index(&url)
    }

    /// Trusts what these certificates signed, by a variable.
    pub(super) fn trusts(&mut self, variable: &str, certificates: &str) -> &mut Self {
        let company = self.path("company.pem");
        self.file("company.pem", certificates).var(variable, &company)
    }

    /// Demands that the package `acmegreeting` is there.
    #[track_caller]
    pub(super) fn is_greeted(&self) {
        let (path, text) = self.installer.greeting();
        let path = self.inner.function().join(path);
        let found = read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let found = String::from_utf8_lossy(&found);
        assert!(found.contains(text), "{}", path.display());
    }

    /// The path of something in the pod.
    pub(super) fn path(&self, below: &str) -> String {
        self.inner.dir(below).display().to_string()
    }

    /// Sets a variable of the container.
    pub(super) fn var(&mut self, name: &str, value: &str) -> &mut Self {
        self.inner.set(name, value);
        self
    }

    /// Takes a variable away.
    pub(super) fn unset(&mut self, name: &str) -> &mut Self {
        self.inner.unset(name);
        self
    }

    /// Puts a file into the pod.
    pub(super) fn file(&mut self, below: &str, text: &str) -> &mut Self {
        put(&self.inner.dir(below), text);
        self
    }

    /// From here on what is in `secrets` is mounted as a cluster mounts secrets; `None` where nobody may mount.
    pub(super) fn mounts_secrets(&mut self) -> Option<&mut Self> {
        const MOUNT: &str = "mount -t tmpfs none /run && mkdir -p /run/secrets/kubeless.io && \
                             mount --bind \"$0\" /run/secrets/kubeless.io && exec \"$@\"";
        if !machine::may_mount() {
            return None;
        }
        let secrets = self.path("secrets");
        self.inner.wrap(&["unshare", "--mount", "sh", "-c", MOUNT, &secrets]);
        Some(self)
    }

    /// From here on a directory of the pod can only be read; `None` where nobody may mount.
    pub(super) fn mounts_read_only(&mut self, below: &str) -> Option<&mut Self> {
        const MOUNT: &str = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";
        if !machine::may_mount() {
            return None;
        }
        let dir = self.path(below);
        self.inner.wrap(&["unshare", "--mount", "sh", "-c", MOUNT, &dir]);
        Some(self)
    }

    /// From here on this value, and whatever it can be recovered from, must appear nowhere.
    pub(super) fn secret(&mut self, value: &str) -> &mut Self {
        self.secrets.push(value.to_owned());
        self
    }

    /// Builds the function, and looks for the secrets in everything that is left.
    pub(super) fn build(&self) -> Ended {
        let ended = self.run(&["build"]);
        assert_eq!(ended.stdout, "", "data on stdout");
        let left =
            ["volume", "keep"].into_iter().map(|dir| self.path(dir)).filter(|dir| Path::new(dir).exists());
        for entry in left.flat_map(WalkDir::new) {
            let entry = entry.expect("a readable volume");
            let path = entry.path();
            self.search("a path", path.as_os_str().as_bytes());
            if entry.file_type().is_file() {
                let shown = path.display().to_string();
                self.search(&shown, &read(path).expect("a readable volume"));
            } else if entry.path_is_symlink() {
                let target = read_link(path).expect("a link");
                self.search("a link", target.as_os_str().as_bytes());
            }
        }
        let report = self.inner.dir("volume/.injector/report.json");
        assert!(report.is_file(), "no report to search: {}", ended.stderr);
        assert_eq!(self.inner.leftovers(), [""; 0]);
        ended
    }

    /// What `injector plan` prints, searched for secrets too.
    pub(super) fn plan(&self) -> String {
        let json = self.run(&["plan", "--json"]);
        serde_json::from_str::<serde_json::Value>(&json.stdout)
            .unwrap_or_else(|error| panic!("{error}: {json:?}"));
        self.run(&["plan"]).stdout
    }

    /// What a dry run prints, searched for secrets too.
    pub(super) fn dry_run(&self) -> String {
        self.run(&["build", "--dry-run"]).stdout
    }

    /// The text of a published file.
    pub(super) fn published(&self, below: &str) -> String {
        let path = self.inner.function().join(below);
        read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn run(&self, args: &[&str]) -> Ended {
        let ended = self.inner.run(args);
        self.search("the log", ended.stderr.as_bytes());
        self.search("the termination log", ended.message.as_bytes());
        self.search("standard output", ended.stdout.as_bytes());
        ended
    }

    fn search(&self, place: &str, text: &[u8]) {
        self.secrets.iter().for_each(|secret| assert_hidden(secret, place, text));
    }
}

impl Ended {
    /// Demands success.
    #[track_caller]
    pub(super) fn succeeds(&self) -> &Self {
        self.expect(0, &["ready: "])
    }

    /// Demands a failure of this code, whose first line says the first words, and whose whole message the others.
    #[track_caller]
    pub(super) fn fails(&self, code: i32, headline: &[&str], anywhere: &[&str]) -> &Self {
        self.expect(code, anywhere);
        let first = self.message.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("E{code} ")), "{first}");
        for words in headline {
            assert!(first.contains(words), "no `{words}` in: {first}\n\n{}", self.stderr);
        }
        self
    }
}
