//! The variables that Kubeless' users know, and configuration where a company keeps it.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::machine::is_root;
use crate::support::packages::tool;
use crate::support::pod::{Pod, digest, read};

/// A pod whose function is `hello.handler`, and nobody says so yet.
fn unnamed() -> Option<Pod> {
    let mut pod = Pod::python()?;
    pod.source("hello.py", "def handler(event, context):\n    return 'hello'\n");
    pod.unset("FUNC_HANDLER");
    Some(pod)
}

#[test]
fn a_handler_is_named_in_each_of_kubeless_ways() {
    for variables in [
        &[("FUNC_HANDLER", "hello.handler")][..],
        &[("FUNC_HANDLER", "handler"), ("MOD_NAME", "hello")],
        &[("FUNC_HANDLER", "hello.handler"), ("MOD_NAME", "hello")],
        &[("KUBELESS_FUNC_NAME", "handler"), ("MOD_NAME", "hello")],
    ] {
        let Some(mut pod) = unnamed() else { return };
        for (name, value) in variables {
            pod.set(name, *value);
        }
        pod.build().expect(0, &["ready: "]);
        let receipt = read(&pod.function().join("receipt.json"));
        assert!(receipt.contains("\"handler\": \"hello.handler\""), "{variables:?}: {receipt}");
    }
    let Some(mut pod) = unnamed() else { return };
    pod.set("KUBELESS_FUNC_NAME", "handler");
    pod.build().expect(31, &["no handler is named", "FUNC_HANDLER=hello.<function>"]);
}

#[test]
fn the_environment_wins_over_the_key_handler_and_the_key_is_no_source() {
    let Some(mut pod) = unnamed() else { return };
    pod.source("handler", "hello.handler\n");
    pod.build().expect(0, &["ready: "]);
    assert!(!pod.function().join("source/handler").exists());
    pod.set("FUNC_HANDLER", "hello.other");
    pod.build().expect(61, &["`other` is not defined"]);
}

#[test]
fn a_function_must_have_the_digest_that_its_manifest_says() {
    let Some(mut pod) = Pod::python() else { return };
    let source = "def hello(event, context):\n    return 'checked'\n";
    pod.source("hello.py", source);
    pod.source("requirements.txt", "\n");
    pod.set("FUNC_CHECKSUM", format!("sha256:{}", digest(source)));
    for deps in [format!("sha256:{}", digest("\n")), digest("\n")] {
        pod.set("FUNC_DEPS_CHECKSUM", deps);
        pod.build().expect(0, &["ready: "]);
    }

    pod.source("requirements.txt", "\n\n");
    pod.build().expect(21, &["requirements.txt", &digest("\n"), &digest("\n\n"), "FUNC_DEPS_CHECKSUM"]);
    pod.source("requirements.txt", "\n");
    pod.source("hello.py", "def hello(event, context):\n    return 'changed'\n");
    pod.build().expect(21, &["hello.py", &digest(source), "FUNC_CHECKSUM"]);
    pod.source("another.py", "");
    pod.build().expect(21, &["FUNC_CHECKSUM is set, but the mount holds 2 files"]);
}

#[test]
fn a_type_of_function_that_is_not_known_is_refused() {
    let Some(mut pod) = Pod::python() else { return };
    pod.set("FUNC_CONTENT_TYPE", "text");
    pod.build().expect(0, &["ready: "]);
    pod.set("FUNC_CONTENT_TYPE", "base64+rar");
    pod.build().expect(11, &["E11 request failed: FUNC_CONTENT_TYPE is \"base64+rar\""]);
}

/// Shows what pip is given to read, as a careless build would.
const SHOW: &str = "cat \"$PIP_CONFIG_FILE\" \"$HOME/.config/pip/pip.conf\" >@/seen 2>/dev/null; cat @/seen";

/// Pip found the credential, and nobody else did.
#[track_caller]
fn keeps_the_secret(pod: &Pod) {
    let ended = pod.build();
    ended.expect(0, &["ready: "]);
    assert!(read(&pod.dir("seen")).contains("s3cret-word"), "pip does not find it");
    assert!(!ended.stderr.contains("s3cret-word") && ended.stderr.contains("***"), "{}", ended.stderr);
}

#[test]
fn configuration_is_found_where_the_user_keeps_it() {
    let Some(mut pod) = Pod::fake_pip(SHOW) else { return };
    let config = pod.dir("config");
    fs::create_dir_all(config.join("pip")).expect("a directory");
    fs::write(config.join("pip/pip.conf"), "[global]\nindex-url = https://me:s3cret-word@a.example/\n")
        .expect("written");
    pod.set("XDG_CONFIG_HOME", config.display().to_string());
    keeps_the_secret(&pod);
}

#[test]
fn configuration_is_found_where_a_secret_is_mounted() {
    if !is_root() {
        eprintln!("SKIP mounted secret: only root may mount");
        return;
    }
    let Some(mut pod) = Pod::fake_pip(SHOW) else { return };
    // As the kubelet lays out a Secret: each key is a link through `..data`.
    let secret = pod.dir("secret");
    fs::create_dir_all(secret.join("..2026_1")).expect("a directory");
    fs::write(secret.join("..2026_1/pip.conf"), "[global]\nindex-url = https://me:s3cret-word@a.example/\n")
        .expect("written");
    symlink("..2026_1", secret.join("..data")).expect("a link");
    symlink("..data/pip.conf", secret.join("pip.conf")).expect("a link");
    let inside = format!(
        "mount -t tmpfs none /run && mkdir -p /var/run/secrets/kubeless.io \
         && cp -a {} /var/run/secrets/kubeless.io/index && exec \"$@\"",
        secret.display()
    );
    pod.wrap(&["/usr/bin/unshare", "-m", "--", "/bin/sh", "-c", &inside, "sh"]);
    keeps_the_secret(&pod);
}

/// Plugins run while Maven compiles, and one of them may put the POM itself into what is published.
#[test]
fn a_password_in_a_pom_is_gone_before_a_plugin_runs() {
    let (Some(mvn), Some(_)) = (tool("java", "mvn"), tool("java", "javac")) else { return };
    let pod = Pod::bare("/usr/bin:/bin").with("FUNC_HANDLER", "Hello.run");
    let real = mvn.display();
    pod.tool(
        "mvn",
        &format!("#!/bin/sh\ncase \"$*\" in *--version*) exec {real} \"$@\" ;; *' -o '*) cp pom.xml @/seen ;; esac\n"),
    );
    pod.source("Hello.java", "public class Hello {}\n");
    pod.source(
        "pom.xml",
        "<project><modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>b</artifactId><version>1</version>\n\
         <distributionManagement><repository><id>c</id><url>https://me:s3cret-word@a.example/</url></repository>\n\
         </distributionManagement><build><resources/></build></project>\n",
    );
    pod.build().expect(61, &["Hello"]);
    let seen = read(&pod.dir("seen"));
    assert!(seen.contains("https://***@a.example/"), "{seen}");
}

#[test]
fn a_ca_bundle_that_is_not_there_is_named() {
    let Some(mut pod) = Pod::python() else { return };
    pod.source("ca.pem", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
    let there = pod.dir("src/ca.pem").display().to_string();
    for (roots, added, absent) in [
        (&there[..], "/absent/company.pem", "/absent/company.pem"),
        ("/absent/roots.pem", &there, "/absent/roots.pem"),
    ] {
        pod.set("SSL_CERT_FILE", roots);
        pod.set("INJECTOR_CA_FILE", added);
        pod.build().expect(42, &["E42 provision failed: the CA bundle ", absent, "as PEM"]);
    }
}

#[test]
fn what_is_a_flag_is_a_variable_too() {
    let Some(mut pod) = Pod::python() else { return };
    pod.set("INJECTOR_JSON", "true");
    let plan: serde_json::Value = serde_json::from_str(&pod.run(&["plan"]).stdout).expect("JSON");
    assert_eq!(plan["handler"], "hello.hello");
    pod.set("INJECTOR_JSON", "");
    assert!(pod.run(&["plan"]).stdout.starts_with("runtime "));
    pod.set("INJECTOR_DRY_RUN", "true");
    assert!(pod.run(&["build"]).stdout.starts_with("ready: "));
    assert!(!pod.function().exists());
}

#[test]
fn a_tool_that_is_there_and_broken_is_not_said_to_be_absent() {
    let Some(mut pod) = Pod::python() else { return };
    pod.source("pyproject.toml", "[project]\nname = \"x\"\nversion = \"1\"\ndependencies = [\"demo\"]\n");
    pod.source("uv.lock", "version = 1\n");
    pod.tool("uv", "#!/bin/sh\necho 'no such syscall' >&2\nexit 1\n");
    pod.build().expect(42, &["E42 provision failed: uv does not run: exit 1: no such syscall"]);

    fs::remove_file(pod.dir("src/uv.lock")).expect("removed");
    pod.set("INJECTOR_PYTHON_INSTALLER", "auto");
    let plan = pod.run(&["plan"]).stdout;
    assert!(plan.contains("pip installs: uv does not run\n"), "{plan}");
}
