//! What people copy: the manifests of `deploy/`, and the YAML and commands of the documents.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::support::machine;
use crate::support::pod::digest;

/// A text, and where it stands.
pub(crate) struct Document {
    /// Its path from the root, and the line for what is quoted in prose.
    pub(crate) name: String,
    /// YAML.
    pub(crate) text: String,
}

impl Document {
    /// Its objects.
    pub(crate) fn objects(&self) -> Vec<Value> {
        serde_saphyr::from_multiple(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// The manifests of `deploy/`.
pub(crate) fn manifests() -> Vec<Document> {
    texts("deploy", "yaml")
}

/// The files below a directory that have this extension.
fn texts(room: &str, extension: &str) -> Vec<Document> {
    let files = walkdir::WalkDir::new(root().join(room)).sort_by_file_name();
    let files = files.into_iter().map(|entry| entry.expect("an entry").into_path());
    files
        .filter(|path| path.extension() == Some(OsStr::new(extension)))
        .map(|path| {
            let name = path.strip_prefix(root()).expect("below the root").display().to_string();
            Document { text: read(&name), name }
        })
        .collect()
}

/// The documents for users.
fn documents() -> Vec<Document> {
    let readme = Document { name: "README.md".to_owned(), text: read("README.md") };
    [readme].into_iter().chain(texts("docs", "md")).collect()
}

/// The YAML that documents quote. What is no object by itself is a part of a pod's `spec`.
pub(crate) fn quoted() -> Vec<Document> {
    let mut found = Vec::new();
    for document in documents() {
        for (line, text) in fenced(&document.text, "yaml") {
            let mut block = Document { name: format!("{}:{line}", document.name), text };
            let objects: Vec<String> =
                block.objects().into_iter().map(|one| whole(one).to_string()).collect();
            block.text = objects.join("\n---\n");
            found.push(block);
        }
    }
    found
}

/// An object that the API server would take: a part of a pod's `spec` gets a pod around it.
fn whole(object: Value) -> Value {
    if object.get("kind").is_some() {
        return object;
    }
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "quoted"}, "spec": object});
    let spec = pod["spec"].as_object_mut().expect("a mapping");
    spec.entry("containers").or_insert_with(|| json!([{"name": "function"}]));
    pod
}

/// The fenced blocks of this language, each with its first line.
fn fenced(text: &str, language: &str) -> Vec<(usize, String)> {
    let opening = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        if line == opening {
            let block: Vec<_> = lines.by_ref().take_while(|(_, line)| *line != "```").collect();
            let first = block.first().map_or(0, |(index, _)| index + 1);
            let block: Vec<&str> = block.into_iter().map(|(_, line)| line).collect();
            blocks.push((first, block.join("\n")));
        }
    }
    blocks
}

/// The pod of an object: itself, or the template of a workload.
pub(crate) fn pod(object: &Value) -> Option<&Value> {
    match object["kind"].as_str() {
        Some("Pod") => Some(object),
        Some("Deployment") => Some(&object["spec"]["template"]),
        _ => None,
    }
}

/// All containers of a pod.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["initContainers", "containers"].map(|list| pod["spec"][list].as_array());
    lists.into_iter().flatten().flatten()
}

#[test]
fn every_manifest_is_one_that_kubernetes_knows() {
    let Some(validator) = validator() else { return };
    let documents: Vec<Document> = manifests().into_iter().chain(quoted()).collect();
    assert!(documents.len() > 2);
    let judged = |text: &str| {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("manifest.yaml");
        fs::write(&file, text).expect("written");
        let mut command = Command::new(validator.join("bin/kubernetes-validate"));
        // Where pip installed it for us, its modules lie beside its programs.
        command.env("PYTHONPATH", &validator).args(["--strict", "--quiet"]).arg(file);
        command.output().expect("it runs")
    };
    for document in &documents {
        let output = judged(&document.text);
        assert!(output.status.success(), "{}: {}", document.name, said(&output));
    }
    let misspelt = documents[0].text.replace("readOnlyRootFilesystem", "readOnlyRootFileSystem");
    let output = judged(&misspelt);
    assert!(said(&output).contains("'readOnlyRootFileSystem' was unexpected"), "{}", said(&output));
}

#[test]
fn pod_security_admits_every_pod_under_its_restricted_profile() {
    let documents = manifests().into_iter().chain(quoted());
    let objects: Vec<(String, Value)> = documents
        .flat_map(|one| one.objects().into_iter().map(move |object| (one.name.clone(), object)))
        .collect();
    let pods = objects.iter().filter_map(|(name, object)| Some((name, pod(object)?)));
    // Where prose quotes a part only, it leaves the rest of a pod's security out.
    let (names, mut pods): (Vec<_>, Vec<_>) = pods
        .filter(|(_, pod)| pod["metadata"]["name"] != "quoted")
        .map(|(name, pod)| (name, pod.clone()))
        .unzip();
    let good = pods[0].clone();
    pods.extend(VIOLATIONS.iter().map(|(place, value, _)| {
        let mut bad = good.clone();
        let (parent, key) = place.rsplit_once('/').expect("a place");
        let value = serde_json::from_str(value).expect("JSON");
        let parent = bad.pointer_mut(parent).unwrap_or_else(|| panic!("{parent} is not there"));
        match key.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[key] = value,
        }
        bad
    }));
    let Some(refusals) = ask_kubernetes(&["restricted"], &json!(pods)) else { return };
    let refusals: Vec<Vec<String>> = serde_json::from_str(&refusals).expect("JSON");
    let (ours, theirs) = refusals.split_at(names.len());
    for (name, refusals) in names.iter().zip(ours) {
        assert_eq!(*refusals, [""; 0], "{name}");
    }
    for ((place, value, reason), refusals) in VIOLATIONS.iter().zip(theirs) {
        assert!(refusals.len() == 1 && refusals[0].contains(reason), "{place} = {value}: {refusals:?}");
    }
}

/// Where a pod is changed, into what, and what Pod Security has against it: one for each of its checks.
const VIOLATIONS: &[(&str, &str, &str)] = &[
    ("/spec/hostNetwork", "true", "host namespaces"),
    ("/spec/volumes/0", r#"{"name": "source", "hostPath": {"path": "/src"}}"#, "restricted volume types"),
    ("/spec/securityContext/runAsNonRoot", "false", "runAsNonRoot != true"),
    ("/spec/securityContext/runAsUser", "0", "runAsUser=0"),
    ("/spec/securityContext/seccompProfile", "null", "seccompProfile"),
    ("/spec/securityContext/sysctls", r#"[{"name": "kernel.msgmax", "value": "1"}]"#, "forbidden sysctls"),
    ("/spec/securityContext/windowsOptions", r#"{"hostProcess": true}"#, "hostProcess"),
    (
        "/spec/initContainers/0/securityContext/allowPrivilegeEscalation",
        "true",
        "allowPrivilegeEscalation != false",
    ),
    ("/spec/initContainers/1/securityContext/capabilities/add", r#"["CHOWN"]"#, "unrestricted capabilities"),
    ("/spec/containers/0/securityContext/capabilities/drop", "[]", "unrestricted capabilities"),
    ("/spec/containers/0/securityContext/privileged", "true", "privileged"),
    ("/spec/containers/0/securityContext/procMount", r#""Unmasked""#, "procMount"),
    ("/spec/containers/0/securityContext/seLinuxOptions", r#"{"user": "root"}"#, "seLinuxOptions"),
    ("/spec/containers/0/securityContext/appArmorProfile", r#"{"type": "Unconfined"}"#, "AppArmor"),
    ("/spec/containers/0/ports/0/hostPort", "8080", "hostPort"),
    ("/spec/containers/0/livenessProbe/httpGet/host", r#""10.0.0.1""#, "probe"),
];

#[test]
fn a_pod_is_hardened_beyond_what_is_demanded() {
    for document in manifests() {
        for object in document.objects() {
            let Some(pod) = pod(&object) else { continue };
            let name = &document.name;
            assert_eq!(pod["spec"]["automountServiceAccountToken"], false, "{name}");
            assert_eq!(pod["metadata"]["labels"]["function"], "hello", "{name}: Kubeless' label");
            for container in containers(pod) {
                assert_eq!(
                    container["securityContext"]["readOnlyRootFilesystem"], true,
                    "{name}: {container}"
                );
                assert!(container["resources"]["limits"]["memory"].is_string(), "{name}: {container}");
            }
            for mount in pod["spec"]["containers"][0]["volumeMounts"].as_array().expect("mounts") {
                let writable = mount["readOnly"] != true;
                assert_eq!(writable, mount["mountPath"] == "/tmp", "{name}: {mount}");
            }
        }
    }
}

#[test]
fn the_pod_to_try_and_the_deployment_are_the_same_pod() {
    for language in languages() {
        let [pod, deployment] = ["pod", "deployment"].map(|kind| {
            let name = format!("deploy/{language}/{kind}.yaml");
            let objects = Document { text: read(&name), name }.objects();
            let pod = objects.iter().find_map(pod).expect("a pod");
            (objects[0].clone(), pod["spec"].clone())
        });
        assert_eq!(pod, deployment, "{language}");
    }
}

/// Those of the other manifests are the same, too, but for how the function comes.
#[test]
fn an_archive_comes_to_the_same_pod_as_files_do() {
    let spec = |kind: &str| {
        let name = format!("deploy/python/{kind}.yaml");
        let objects = Document { text: read(&name), name }.objects();
        let mut spec = objects.iter().find_map(pod).expect("a pod")["spec"].clone();
        for list in [&["volumes"][..], &["initContainers", "1", "volumeMounts"]] {
            let list = list.iter().fold(&mut spec, |value, key| match key.parse::<usize>() {
                Ok(index) => &mut value[index],
                Err(_) => &mut value[*key],
            });
            // The mount is that of another ConfigMap, or there is none; and somebody logs in or need not.
            let list = list.as_array_mut().expect("a list");
            list.retain(|one| one["name"] != "source" && one["name"] != "registry");
        }
        let env = spec["initContainers"][1]["env"].as_array_mut().expect("variables");
        let comes: Vec<String> = env.split_off(2).iter().map(|one| text_of(&one["name"])).collect();
        (spec, comes)
    };
    let (plain, none) = spec("deployment");
    assert_eq!(none, [""; 0]);
    for (kind, variables) in [
        ("archive", &["FUNC_CONTENT_TYPE", "INJECTOR_MAX_UNPACKED"][..]),
        (
            "url",
            &[
                "FUNC_CONTENT_TYPE",
                "FUNC_URL",
                "FUNC_CHECKSUM",
                "INJECTOR_MAX_DOWNLOAD",
                "INJECTOR_MAX_UNPACKED",
            ],
        ),
    ] {
        let (spec, comes) = spec(kind);
        assert_eq!(spec, plain, "{kind}");
        assert_eq!(comes, variables, "{kind}");
    }
}

/// `kubectl create configmap --append-hash` makes the name:
/// <https://github.com/kubernetes/kubectl/blob/master/pkg/util/hash/hash.go>.
#[test]
fn a_manifest_carries_the_example_under_the_name_that_kubectl_gives_it() {
    for document in manifests() {
        let objects = document.objects();
        let name = &document.name;
        let source = &objects[0];
        if source["kind"] != "ConfigMap" {
            assert!(document.text.contains("FUNC_URL"), "{name} has no function");
            continue;
        }
        assert_eq!(source["immutable"], true, "{name}");
        let volume = &objects.iter().find_map(pod).expect("a pod")["spec"]["volumes"][0];
        let items = volume["configMap"]["items"].as_array();
        let mut files = Vec::new();
        for (key, bytes) in content(source) {
            if key.ends_with(".tar.gz") {
                files.extend(unpacked(&bytes));
                continue;
            }
            let item = items.into_iter().flatten().find(|item| item["key"] == *key);
            files.push((item.map_or(key, |item| text_of(&item["path"])), bytes));
        }
        let example = Path::new(name).parent().and_then(Path::file_name).expect("deploy/<language>");
        let example = Path::new("examples").join(example);
        assert!(files.len() > 1, "{name}: {files:?}");
        for (path, bytes) in files {
            let expected = read(&example.join(&path).display().to_string());
            assert_eq!(String::from_utf8_lossy(&bytes), expected, "{name}: {path}");
        }

        let mut hashed = json!({"data": {}, "kind": "ConfigMap", "name": "hello"});
        for (field, value) in source.as_object().expect("a mapping") {
            match &**field {
                "data" => hashed["data"] = value.clone(),
                "binaryData" => {
                    let values = value.as_object().expect("files").iter();
                    let unbroken = |value| text_of(value).replace('\n', "");
                    hashed["binaryData"] =
                        values.map(|(key, value)| (key.clone(), json!(unbroken(value)))).collect();
                }
                _ => (),
            }
        }
        // As Go writes JSON, and without digits and letters that make words.
        let hashed =
            hashed.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        let hash = &digest(&hashed)[..10];
        let hash =
            hash.replace('0', "g").replace('1', "h").replace('3', "k").replace('a', "m").replace('e', "t");
        let hashed = format!("hello-{hash}");
        assert_eq!(source["metadata"]["name"], hashed, "{name}");
        assert_eq!((&volume["name"], &volume["configMap"]["name"]), (&json!("source"), &json!(hashed)));
    }
}

#[test]
fn the_manifest_of_a_function_by_url_has_the_digest_of_the_archive_that_the_other_carries() {
    let digest = digest(archive());
    let text = read("deploy/python/url.yaml");
    assert!(text.contains(&format!("value: \"sha256:{digest}\"")), "its digest is {digest}");
}

/// The archive that a manifest carries.
pub(crate) fn archive() -> Vec<u8> {
    let name = "deploy/python/archive.yaml".to_owned();
    let objects = Document { text: read(&name), name }.objects();
    content(&objects[0]).remove("hello.tar.gz").expect("an archive")
}

/// The files of a `ConfigMap`, by key.
pub(crate) fn content(source: &Value) -> BTreeMap<String, Vec<u8>> {
    let files = |field: &str| source[field].as_object().into_iter().flatten();
    let texts = files("data").map(|(key, text)| (key.clone(), text_of(text).into_bytes()));
    let binary = files("binaryData").map(|(key, text)| {
        let bytes = STANDARD.decode(text_of(text).replace('\n', ""));
        (key.clone(), bytes.unwrap_or_else(|error| panic!("{key}: {error}")))
    });
    texts.chain(binary).collect()
}

/// The files of an archive.
fn unpacked(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let files = archive.entries().expect("an archive").map(|file| {
        let mut file = file.expect("a file");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("it is whole");
        (file.path().expect("a name").display().to_string(), bytes)
    });
    files.collect()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

#[test]
fn every_variable_of_a_manifest_is_documented() {
    let known: String = texts("docs", "md").into_iter().map(|one| one.text).collect();
    for document in manifests().into_iter().chain(quoted()) {
        for object in document.objects() {
            let variables =
                pod(&object).into_iter().flat_map(containers).filter_map(|one| one["env"].as_array());
            for name in variables.flatten().filter_map(|variable| variable["name"].as_str()) {
                // Or as one of a tool's own: `PIP_*`.
                let mut families = name.match_indices('_').map(|(end, _)| format!("{}*", &name[..=end]));
                let is_known = known.contains(&format!("`{name}`"))
                    // Or as one to which a configuration file refers.
                    || known.contains(&format!("${{env.{name}}}"))
                    || families.any(|family| known.contains(&format!("`{family}`")));
                assert!(is_known, "{} sets {name}", document.name);
            }
        }
    }
}

#[test]
fn the_one_liner_prints_the_message_before_and_after_a_restart() {
    let documents = documents();
    let quoted =
        |text| str::split(text, "-o go-template='").skip(1).filter_map(|rest| rest.split('\'').next());
    let templates: Vec<&str> = documents.iter().flat_map(|one| quoted(&one.text)).collect();
    assert!(!templates.is_empty());
    for template in templates {
        for pod in ["init-error", "init-crash-loop"] {
            let pod: Value = serde_json::from_str(&read(&format!("tests/pods/{pod}.json"))).expect("JSON");
            let status = &pod["status"]["initContainerStatuses"][1];
            let ended = ["state", "lastState"].map(|state| &status[state]["terminated"]["message"]);
            let message = ended.into_iter().find_map(Value::as_str).expect("a message").to_owned();
            let items = json!({"items": [pod, {"metadata": {}, "status": {}}]});
            let Some(printed) = ask_kubernetes(&["template", template], &items) else { return };
            assert_eq!(printed.trim(), message.trim(), "{template}");
        }
    }
}

/// The languages with manifests.
fn languages() -> BTreeSet<String> {
    let names = manifests().into_iter().filter_map(|one| Some(one.name.split('/').nth(1)?.to_owned()));
    names.collect()
}

/// What the program of `tests/kubernetes` answers: Kubernetes' own code.
fn ask_kubernetes(args: &[&str], input: &Value) -> Option<String> {
    static BUILT: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubernetes");
        let mut command = Command::new("go");
        command.args(["build", "-o"]).arg(&program).arg(".").current_dir(root().join("tests/kubernetes"));
        let output = command.output().map_err(|error| format!("go does not run: {error}"))?;
        if output.status.success() { Ok(program) } else { Err(said(&output)) }
    });
    let program = match &*BUILT {
        Ok(program) => program,
        Err(reason) => {
            machine::skip("go", reason);
            return None;
        }
    };
    let mut command = Command::new(program);
    let mut child =
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it was built");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.to_string().as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", said(&output));
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

/// The directory above kubernetes-validate, if that is on PATH.
fn validator() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).find(|dir| dir.join("kubernetes-validate").is_file());
    if found.is_none() {
        machine::skip("python", "there is no kubernetes-validate on PATH: `cargo xtask test` brings it in");
    }
    Some(found?.parent()?.to_owned())
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
