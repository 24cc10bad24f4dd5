//! podman with images and storage of its own, and pods in which volumes are what the kubelet makes them.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::deploy::{self, Document};
use crate::support::http::Client;
use crate::support::machine;
use crate::support::pod::read;

/// The image of all languages, that without a shell, that without a file, and that of the injector.
pub(super) const LANGUAGES: &str = "localhost/injector-test/languages";
pub(super) const BARE: &str = "localhost/injector-test/bare";
pub(super) const EMPTY: &str = "localhost/injector-test/empty";
const INJECTOR: &str = "localhost/injector-test/injector";

/// What of this machine's network package clients are told by variables.
const NETWORK: [&str; 8] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PIP_INDEX_URL",
    "NPM_CONFIG_REGISTRY",
    "GOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
];

/// Where `cargo xtask test` leaves the images.
static HOME: LazyLock<PathBuf> = LazyLock::new(|| deploy::root().join("target/containers"));

/// Whether there is a podman with images; the injector's own is then there too.
fn ready() -> bool {
    static READY: LazyLock<Result<(), String>> = LazyLock::new(|| {
        let images = HOME.canonicalize().map_err(|_| "`cargo xtask test` has made no images")?;
        let shown = images.display();
        // runc and files instead of what needs systemd; limits that a container may keep.
        let settings = format!(
            "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=8192:8192\"]\nlog_driver = \"k8s-file\"\n\
             [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
             [network]\nnetwork_config_dir = \"{shown}/networks\"\n"
        );
        fs::write(images.join("containers.conf"), settings).map_err(|error| error.to_string())?;
        let binary = Path::new(env!("CARGO_BIN_EXE_injector"));
        let archive = images.join("injector.tar");
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(binary.parent().expect("a directory")).arg("-cf").arg(&archive).arg("injector");
        done(&mut tar)?;
        let file = fs::read_to_string(deploy::root().join("Dockerfile")).expect("a Dockerfile");
        let last = file.rsplit("FROM scratch\n").next().expect("the image itself");
        let changes = last.lines().filter(|line| !line.starts_with("COPY"));
        let mut import = podman("import");
        for change in changes {
            import.args(["--change", change]);
        }
        done(import.arg(&archive).arg(INJECTOR))?;
        // What a run that was killed has left, and the injectors of earlier runs.
        done(podman("pod").args(["rm", "--all", "--force", "--time=0"]))?;
        done(podman("image").args(["prune", "--force"]))
    });
    if let Err(reason) = &*READY {
        machine::skip("podman", reason);
    }
    READY.is_ok()
}

fn podman(verb: &str) -> Command {
    let home = HOME.canonicalize().expect("it is ready");
    let mut command = Command::new("podman");
    command.env("CONTAINERS_CONF", home.join("containers.conf"));
    for (flag, dir) in [("--root", "storage"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
        command.arg(flag).arg(home.join(dir));
    }
    command.arg(verb);
    command
}

/// Runs a command to its end; what it said if that was no good one.
fn done(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", said(&output))) }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// A pod of a manifest; removed with the value.
pub(super) struct Pod {
    /// As the manifest has it, before the kubelet's work.
    pub(super) spec: Value,
    /// The files of its `ConfigMap`, and of its Secret.
    source: BTreeMap<String, Vec<u8>>,
    secret: BTreeMap<String, Vec<u8>>,
    /// What its claim is bound to.
    claimed: Option<PathBuf>,
    name: String,
    port: u16,
    home: TempDir,
}

impl Pod {
    /// The pod of `deploy/<language>/deployment.yaml`, in our images and this machine's network.
    pub(super) fn of(language: &'static str) -> Option<Self> {
        Pod::of_manifest(language, "deployment")
    }

    /// That of another manifest of the language.
    pub(super) fn of_manifest(language: &'static str, kind: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !ready() {
            return None;
        }
        let name = format!("deploy/{language}/{kind}.yaml");
        let text = read(&deploy::root().join(&name));
        let objects = Document { name, text }.objects();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let mut pod = Pod {
            spec: objects.iter().find_map(deploy::pod).expect("a pod")["spec"].clone(),
            source: deploy::content(&objects[0]),
            secret: [("ca.pem".to_owned(), certificates().into_bytes())].into(),
            claimed: None,
            name: format!("hello-{}-{count}", std::process::id()),
            port: listener.local_addr().expect("an address").port(),
            home: tempfile::tempdir().expect("a directory"),
        };
        for container in pod.containers() {
            let theirs = container["image"].as_str().expect("an image");
            container["image"] = json!(if theirs.starts_with("injector:") { INJECTOR } else { LANGUAGES });
        }
        // Of the version that our image has.
        pod.set("build", "FUNC_RUNTIME", language);
        let port = pod.port.to_string();
        pod.set("function", "FUNC_PORT", &port);
        pod.set("build", "INJECTOR_CA_FILE", "/var/run/secrets/kubeless.io/registry/ca.pem");
        for name in NETWORK {
            if let Ok(value) = std::env::var(name) {
                pod.set("build", name, &value);
            }
        }
        Some(pod)
    }

    /// A container of the manifest.
    pub(super) fn container(&mut self, name: &str) -> &mut Value {
        self.containers().find(|one| one["name"] == name).expect("a container of this name")
    }

    fn containers(&mut self) -> impl Iterator<Item = &mut Value> {
        let lists = self.spec.as_object_mut().expect("a mapping").iter_mut();
        let lists = lists.filter(|(key, _)| key.to_lowercase().ends_with("containers"));
        lists.flat_map(|(_, list)| list.as_array_mut().expect("a list"))
    }

    /// Sets a variable of a container.
    pub(super) fn set(&mut self, container: &str, name: &str, value: &str) {
        let container = self.container(container);
        let variables = container["env"].as_array_mut().expect("variables");
        variables.retain(|variable| variable["name"] != name);
        variables.push(json!({"name": name, "value": value}));
    }

    /// Binds its claim to a directory.
    pub(super) fn claim(&mut self, dir: &Path) {
        self.claimed = Some(dir.to_owned());
    }

    /// Has its `ConfigMap` hold this file alone, mounted as it is.
    pub(super) fn hold(&mut self, (key, text): (&str, &str)) {
        self.source = [(key.to_owned(), text.as_bytes().to_vec())].into();
        self.spec["volumes"][0]["configMap"].as_object_mut().expect("the source").remove("items");
    }

    /// Has its Secret hold this text, after what the file holds already.
    pub(super) fn confide(&mut self, key: &str, text: &str) {
        self.secret.entry(key.to_owned()).or_default().extend_from_slice(text.as_bytes());
    }

    /// Runs its init containers and starts the function; whether it came to that.
    pub(super) fn play(&mut self) -> bool {
        self.lay_out_volumes();
        let mut spec = self.spec.clone();
        // podman starts a container that ended again at once, also one that ended well.
        spec["restartPolicy"] = json!("Never");
        for list in ["initContainers", "containers"] {
            for container in spec[list].as_array_mut().expect("a list") {
                let fields = container.as_object_mut().expect("a mapping");
                // podman publishes ports on the host, and has systemd run probes.
                for field in ["ports", "livenessProbe", "readinessProbe"] {
                    fields.remove(field);
                }
            }
        }
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                // Else it removes init containers that ended well, and nobody can look at them.
                "annotations": {"io.podman.annotations.init.container.type": "always"},
            },
            "spec": spec,
        });
        let file = self.home.path().join("pod.json");
        fs::write(&file, manifest.to_string()).expect("written");
        // `kube play` in newer words.
        let output = podman("play").args(["kube", "--network=host"]).arg(file).output().expect("podman runs");
        let started = self.inspect("function", "{{.State.Status}}") == "running";
        assert!(started || said(&output).contains("init container"), "{}", said(&output));
        started
    }

    /// Makes each volume what the kubelet makes it, where podman does otherwise: an emptyDir is everybody's,
    /// a key of a `ConfigMap` or a `Secret` is a link through `..data`, and a termination log is a file for everyone.
    fn lay_out_volumes(&mut self) {
        let home = self.home.path().to_owned();
        let (source, secret, claimed) = (self.source.clone(), self.secret.clone(), self.claimed.clone());
        let volumes = self.spec["volumes"].as_array_mut().expect("volumes");
        for volume in volumes.iter_mut() {
            let name = volume["name"].as_str().expect("a name").to_owned();
            let path = home.join(&name);
            fs::create_dir(&path).expect("a directory");
            fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("a mode");
            if volume.get("configMap").is_some() {
                project(&path, &source, &volume["configMap"]["items"]);
            } else if volume.get("secret").is_some() {
                project(&path, &secret, &Value::Null);
            }
            let is_claim = volume.get("persistentVolumeClaim").is_some();
            let path = claimed.clone().filter(|_| is_claim).unwrap_or(path);
            *volume = json!({"name": name, "hostPath": {"path": path, "type": "Directory"}});
        }
        let names: Vec<String> =
            self.containers().map(|one| one["name"].as_str().expect("a name").to_owned()).collect();
        for name in names {
            self.mount_file(&name, "termination-log", "/dev/termination-log", ("", 0o666));
            // podman would make an entry for the container's user, and hardly a cluster does.
            self.mount_file(&name, "passwd", "/etc/passwd", ("root:x:0:0:root:/root:/bin/sh\n", 0o644));
        }
    }

    /// Mounts a file of a container's own.
    fn mount_file(&mut self, container: &str, name: &str, at: &str, (text, mode): (&str, u32)) {
        let file = self.file(container, name);
        fs::write(&file, text).expect("written");
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("a mode");
        let volume = format!("{container}-{name}");
        let mounts = self.container(container)["volumeMounts"].as_array_mut().expect("mounts");
        mounts.push(json!({"name": volume, "mountPath": at}));
        let volumes = self.spec["volumes"].as_array_mut().expect("volumes");
        volumes.push(json!({"name": volume, "hostPath": {"path": file, "type": "File"}}));
    }

    fn file(&self, container: &str, name: &str) -> PathBuf {
        self.home.path().join(format!("{container}-{name}"))
    }

    /// The termination message of a container, as it is now.
    pub(super) fn message(&self, container: &str) -> String {
        read(&self.file(container, "termination-log"))
    }

    /// The exit status of a container that has ended.
    pub(super) fn status(&self, container: &str) -> String {
        self.inspect(container, "{{.State.Status}} {{.State.ExitCode}}")
    }

    /// What a container has written.
    pub(super) fn log(&self, container: &str) -> String {
        said(&podman("logs").arg(self.full(container)).output().expect("podman runs"))
    }

    /// What the runtime was told of a container.
    pub(super) fn config(&self, container: &str) -> Value {
        serde_json::from_str(&read(Path::new(&self.inspect(container, "{{.OCIConfigPath}}")))).expect("JSON")
    }

    /// A file below `/proc` of the function's first process.
    pub(super) fn process(&self, file: &str) -> String {
        read(&Path::new("/proc").join(self.inspect("function", "{{.State.Pid}}")).join(file))
    }

    /// The files of the function's root that no volume brings.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let root = Path::new("/proc").join(self.inspect("function", "{{.State.Pid}}")).join("root");
        let volume = |path: &Path| fs::symlink_metadata(path).expect("it is there").dev();
        let own = volume(&root.join("."));
        let entries = walkdir::WalkDir::new(root.join(".")).same_file_system(true).into_iter();
        let files =
            entries.map(|entry| entry.expect("a readable root")).filter(|one| one.file_type().is_file());
        files.map(walkdir::DirEntry::into_path).filter(|path| volume(path) == own).collect()
    }

    /// Stops the function as the kubelet does; its exit status.
    pub(super) fn stop(&self) -> String {
        done(podman("stop").arg("--time=10").arg(self.full("function"))).expect("it stops");
        self.status("function")
    }

    /// A connection to the function.
    pub(super) fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// Whether the manifest's readiness probe would succeed.
    pub(super) fn is_ready(&self) -> bool {
        let path = self.spec["containers"][0]["readinessProbe"]["httpGet"]["path"].as_str().expect("a path");
        let Ok(mut client) = Client::to(&format!("127.0.0.1:{}", self.port)) else { return false };
        client.send("GET", path, &[], b"");
        client.response().is_ok_and(|answer| answer.status == 200)
    }

    fn inspect(&self, container: &str, format: &str) -> String {
        let output = podman("inspect").args(["--format", format]).arg(self.full(container)).output();
        String::from_utf8_lossy(&output.expect("podman runs").stdout).trim().to_owned()
    }

    fn full(&self, container: &str) -> String {
        format!("{}-{container}", self.name)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = done(podman("pod").args(["rm", "--force", "--time=0"]).arg(&self.name));
    }
}

/// Writes files as the kubelet projects keys: all of them, or those that `items` gives a path.
fn project(dir: &Path, files: &BTreeMap<String, Vec<u8>>, items: &Value) {
    let data = dir.join("..2026_01_01");
    fs::create_dir(&data).expect("a directory");
    symlink("..2026_01_01", dir.join("..data")).expect("a link");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let projected: Vec<(String, String)> = match items.as_array() {
        Some(items) => items.iter().map(|item| (text(&item["key"]), text(&item["path"]))).collect(),
        None => files.keys().map(|key| (key.clone(), key.clone())).collect(),
    };
    for (key, path) in &projected {
        let file = data.join(path);
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(file, &files[key]).expect("written");
        let top = Path::new(path).iter().next().expect("a name");
        // Files of one directory share its link.
        let _ = symlink(Path::new("..data").join(top), dir.join(top));
    }
}

/// Whom this machine trusts.
fn certificates() -> String {
    let file =
        std::env::var("SSL_CERT_FILE").unwrap_or_else(|_| "/etc/ssl/certs/ca-certificates.crt".to_owned());
    read(Path::new(&file))
}
