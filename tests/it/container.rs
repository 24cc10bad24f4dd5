//! The manifests of `deploy/` in real containers: podman is the runtime, this test the kubelet.

mod podman;

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::json;

use crate::deploy;
use crate::support::pod::until;
use crate::support::registry::{Scheme, basic};
use crate::support::site::{Answer, Site, says};
use podman::{BARE, EMPTY, LANGUAGES, Pod};

/// Who the pod's containers are, and where the function runs.
#[derive(Clone, Copy)]
struct Context {
    title: &'static str,
    /// UID and GID of the build, and of the function.
    build: (u32, u32),
    function: (u32, u32),
    image: Image,
}

/// In which image a function runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Image {
    /// That of the manifest.
    Manifest,
    /// The least that it can run in.
    Least,
}

const CONTEXTS: &[Context] = &[
    Context {
        title: "as the manifest has it",
        build: (65532, 65532),
        function: (65532, 65532),
        image: Image::Manifest,
    },
    Context {
        title: "an arbitrary UID, as OpenShift gives it, another for the function, and no shell",
        build: (1_000_680_000, 0),
        function: (1002, 1002),
        image: Image::Least,
    },
];

#[test]
fn a_python_function_is_built_and_answers_in_every_security_context() {
    answers_in_every_security_context("python", BARE);
}

#[test]
fn a_nodejs_function_is_built_and_answers_in_every_security_context() {
    answers_in_every_security_context("nodejs", BARE);
}

#[test]
fn a_go_function_is_built_and_answers_in_every_security_context() {
    answers_in_every_security_context("go", EMPTY);
}

#[test]
fn a_rust_function_is_built_and_answers_in_every_security_context() {
    answers_in_every_security_context("rust", EMPTY);
}

#[test]
fn a_java_function_is_built_and_answers_in_every_security_context() {
    answers_in_every_security_context("java", BARE);
}

#[track_caller]
fn answers_in_every_security_context(language: &'static str, least: &'static str) {
    for context in CONTEXTS {
        let Some(mut pod) = Pod::of(language) else { return };
        for (container, (uid, gid)) in [("build", context.build), ("function", context.function)] {
            let security = &mut pod.container(container)["securityContext"];
            security["runAsUser"] = json!(uid);
            security["runAsGroup"] = json!(gid);
        }
        if context.image == Image::Least {
            pod.container("function")["image"] = json!(least);
        }
        if pod.container("function")["image"] == BARE {
            // As docs/kubernetes.md advises for Node.js.
            pod.set("function", "PATH", "/nodejs/bin:/usr/bin");
        }
        answers(&mut pod, language, context.title);
        is_confined(&mut pod, context);
        assert_eq!(pod.stop(), "exited 0", "{}: {}", context.title, pod.log("function"));
    }
}

/// A pod builds its function, and the function answers what is asked of the language's example.
#[track_caller]
fn answers(pod: &mut Pod, language: &str, title: &str) {
    assert!(pod.play(), "{title}: {}\n{}", pod.message("build"), pod.log("build"));
    assert!(pod.message("build").starts_with("ready: "), "{title}: {}", pod.message("build"));
    until("the function is ready", || pod.is_ready());
    let request = format!("{}/../examples/{language}/request.json", env!("CARGO_MANIFEST_DIR"));
    let request = fs::read(request).expect("an example");
    let json = [("content-type", "application/json")];
    let answer = pod.client().call("POST", "/", &json, &request);
    assert_eq!(answer.status, 200, "{title}: {}", pod.log("function"));
    assert!(answer.text().contains("Kubernetes"), "{}", answer.text());
}

#[test]
fn a_function_that_comes_as_an_archive_in_a_configmap_is_built_and_answers() {
    let Some(mut pod) = Pod::of_manifest("python", "archive") else { return };
    answers(&mut pod, "python", "as the manifest has it");
}

#[test]
fn a_function_that_comes_by_url_is_built_with_the_login_and_the_ca_of_a_secret_and_answers() {
    let Some(mut pod) = Pod::of_manifest("python", "url") else { return };
    // What is there has the digest that the manifest demands.
    let archive = deploy::archive();
    let site = Site::start(Scheme::Https, move |asked, _| match &asked.authorization {
        Some(login) if *login == basic("ci-user:s3cr/t-word") => Answer::File(archive.clone()),
        _ => says("401 Unauthorized", "who are you?"),
    });
    pod.set("build", "FUNC_URL", &site.url("", "hello-1.0.0.tar.gz"));
    let spared = env::var("NO_PROXY").unwrap_or_default();
    pod.set("build", "NO_PROXY", &format!("{spared},127.0.0.1"));
    pod.confide("ca.pem", &site.ca);
    pod.confide(".netrc", "machine 127.0.0.1 login ci-user password s3cr/t-word\n");
    answers(&mut pod, "python", "by URL");
    let told = [pod.log("build"), pod.message("build"), pod.log("function")].concat();
    assert!(told.contains("hello-1.0.0.tar.gz") && !told.contains("s3cr/t-word"), "{told}");
    assert!(!pod.process("mountinfo").contains("kubeless.io"), "the function sees the Secret");
}

#[test]
fn a_second_pod_starts_from_the_mounted_cache_without_network_and_cannot_write_there() {
    let cache = tempfile::tempdir().expect("a directory");
    fs::set_permissions(cache.path(), Permissions::from_mode(0o777)).expect("a mode");
    let claimed = || {
        let mut pod = Pod::of_manifest("python", "cached")?;
        pod.claim(cache.path());
        Some(pod)
    };
    let Some(mut first) = claimed() else { return };
    answers(&mut first, "python", "the first pod");
    assert!(!first.message("build").contains("cached"), "{}", first.message("build"));

    let mut second = claimed().expect("a pod");
    for name in ["HTTPS_PROXY", "HTTP_PROXY"] {
        second.set("build", name, "http://127.0.0.1:1");
    }
    second.set("build", "NO_PROXY", "");
    answers(&mut second, "python", "the second pod");
    assert!(second.message("build").contains("(cached)"), "{}", second.message("build"));
    let mounts = second.process("mountinfo");
    let options = mounts.lines().filter_map(|line| line.split_once(" /cache ").map(|(_, options)| options));
    assert!(
        options.clone().count() == 1 && options.clone().all(|options| options.starts_with("ro,")),
        "{mounts}"
    );

    // What a function writes there, it cannot write.
    let mut third = claimed().expect("a pod");
    let source = "import glob\n\
                  def handler(event, context):\n    \
                      tries = ['/cache/v1/planted', __file__, *glob.glob('/cache/v1/record/*')]\n    \
                      for path in tries:\n        \
                          try:\n            open(path, 'a').close()\n            return 'written: ' + path\n        \
                          except OSError as error:\n            assert error.errno == 30, error\n    \
                      return f'{len(tries)} times refused'\n";
    third.hold(("hello.py", source));
    assert!(third.play(), "{}\n{}", third.message("build"), third.log("build"));
    until("the function is ready", || third.is_ready());
    let answer = third.client().call("POST", "/", &[], b"");
    assert!(answer.text().contains("times refused"), "{} {}", answer.text(), third.log("function"));
}

/// The runtime did what the manifest asks for: else the test would prove little.
#[track_caller]
fn is_confined(pod: &mut Pod, context: &Context) {
    for (container, (uid, gid)) in [("build", context.build), ("function", context.function)] {
        let config = pod.config(container);
        let process = &config["process"];
        assert_eq!((&process["user"]["uid"], &process["user"]["gid"]), (&json!(uid), &json!(gid)));
        assert_eq!((&process["noNewPrivileges"], &config["root"]["readonly"]), (&json!(true), &json!(true)));
        let sets = process["capabilities"].as_object().into_iter().flatten();
        assert!(sets.into_iter().all(|(_, set)| set == &json!([])), "{}", process["capabilities"]);
        assert!(config["linux"]["seccomp"].is_object());
    }
    let (uid, gid) = context.function;
    let status = pod.process("status");
    for line in [
        format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n"),
        format!("Gid:\t{gid}\t{gid}\t{gid}\t{gid}\n"),
        "CapEff:\t0000000000000000\n".to_owned(),
        "CapBnd:\t0000000000000000\n".to_owned(),
        "NoNewPrivs:\t1\n".to_owned(),
        "Seccomp:\t2\n".to_owned(),
    ] {
        assert!(status.contains(&line), "{line}{status}");
    }
    let mounts = pod.process("mountinfo");
    for (place, mode) in [("/", "ro"), ("/kubeless", "ro"), ("/injector-bin", "ro"), ("/tmp", "rw")] {
        let found =
            mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|one| one[4] == place);
        let options = found.unwrap_or_else(|| panic!("{place} is not mounted:\n{mounts}"))[5];
        assert!(options.split(',').any(|option| option == mode), "{place} is {options}");
    }
    assert!(!mounts.contains("kubeless.io"), "the function sees what the build alone may read:\n{mounts}");
    let image = pod.container("function")["image"].clone();
    assert_eq!(!pod.process("root/bin/sh").is_empty(), image == LANGUAGES);
    if image == EMPTY {
        assert_eq!(pod.files(), Vec::<PathBuf>::new());
    }
    assert!(!pod.process("root/etc/passwd").contains(&uid.to_string()));
}

#[test]
fn a_python_syntax_error_is_the_termination_message_of_the_build() {
    let broken = "def handler(event, context)\n    return 'hello'\n";
    says_in_its_termination_message(
        "python",
        ("hello.py", broken),
        "E61 compile failed: hello.py:1:28: expected ':'\n",
    );
}

#[test]
fn a_nodejs_syntax_error_is_the_termination_message_of_the_build() {
    let broken = "export function handler(event, context) {\n  return 'hello' +;\n}\n";
    says_in_its_termination_message(
        "nodejs",
        ("hello.mjs", broken),
        "E61 compile failed: hello.mjs:2:19: Unexpected token ';'\n",
    );
}

#[test]
fn a_go_type_error_is_the_termination_message_of_the_build() {
    let broken = "package hello\n\nimport \"github.com/kubeless/kubeless/pkg/functions\"\n\n\
                  func Handler(event functions.Event, context functions.Context) (string, error) {\n\treturn 42, nil\n}\n";
    says_in_its_termination_message(
        "go",
        ("hello.go", broken),
        "E61 compile failed: hello.go:6:9: cannot use 42 (untyped int constant) as string value in return statement\n",
    );
}

#[test]
fn a_rust_type_error_is_the_termination_message_of_the_build() {
    let broken = "pub fn hello(_: kubeless::Event, _: kubeless::Context) -> String {\n    let answer: &str = 42;\n    answer.into()\n}\n";
    says_in_its_termination_message(
        "rust",
        ("lib.rs", broken),
        "E61 compile failed: lib.rs:2:24: mismatched types: expected `&str`, found integer (E0308)\n",
    );
}

#[test]
fn a_java_type_error_is_the_termination_message_of_the_build() {
    let broken = "public class Hello {\n    public String handler(io.kubeless.Event event, io.kubeless.Context context) {\n        return 42;\n    }\n}\n";
    says_in_its_termination_message(
        "java",
        ("Hello.java", broken),
        "E61 compile failed: Hello.java:3:16: incompatible types: int cannot be converted to String\n",
    );
}

#[track_caller]
fn says_in_its_termination_message(language: &'static str, (file, text): (&str, &str), first: &str) {
    let Some(mut pod) = Pod::of(language) else { return };
    pod.hold((file, text));
    assert!(!pod.play());
    assert_eq!(pod.status("build"), "exited 61");
    assert!(pod.message("build").starts_with(first), "{}", pod.message("build"));
    assert_eq!(
        (pod.status("install"), pod.status("function")),
        ("exited 0".to_owned(), "created 0".to_owned())
    );
}
