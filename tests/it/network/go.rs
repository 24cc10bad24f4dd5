//! go: where its modules come from, with what credentials, and what of them a build sees.

use std::fmt::Write as _;
use std::fs::{read_to_string, write};
use std::os::unix::fs::symlink;

use super::pod::{Installer, Pod};
use super::{IN_URL, LOGIN, PASSWORD, TOKEN, tells_nothing};
use crate::support::machine;
use crate::support::packages::{PACKAGES, tool};
use crate::support::registry::{CLOSED, Manner, Proxy, Registry, Scheme, UNKNOWN_HOST, basic};

/// A module of the company's own.
const PRIVATE: &str = "registry.invalid/acme/secret";

/// A registry that asks for a login over TLS, and a pod that trusts it and looks for modules there.
fn asked() -> Option<(Registry, Pod)> {
    let registry = Registry::start(Scheme::Https, Manner::Asks(LOGIN.to_owned()));
    let mut pod = Pod::new(Installer::Go, "acmegreeting\n")?;
    pod.asks(&registry, "").secret(PASSWORD);
    Some((registry, pod))
}

/// go wants the port beside the host, as other programs do not.
#[test]
fn a_password_comes_from_netrc() {
    for (file, variable) in [("home/.netrc", None), ("mounted/login", Some("NETRC"))] {
        let Some((registry, mut pod)) = asked() else { return };
        let netrc =
            |password: &str| format!("machine {}\nlogin ci-user\npassword {password}\n", registry.host);
        pod.file(file, &netrc("wrong-p4ssword")).secret("wrong-p4ssword");
        if let Some(variable) = variable {
            let path = pod.path(file);
            pod.var(variable, &path);
        }
        let port = format!("`machine {}`", registry.host);
        pod.build().fails(
            52,
            &[&registry.host, "(401)"],
            &["hint: mount the registry's credentials: .netrc", &port],
        );
        pod.file(file, &netrc(PASSWORD));
        tells_nothing(&mut pod);
    }
}

#[test]
fn a_password_is_not_sent_in_clear() {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = Pod::new(Installer::Go, "acmegreeting\n") else { return };
    pod.asks(&registry, &format!("ci-user:{IN_URL}@")).secret(PASSWORD);
    pod.build().fails(
        52,
        &["GOPROXY has a password for", &registry.host],
        &["hint: let the URL begin with https:"],
    );
}

#[test]
fn a_token_comes_from_goenv() {
    let registry = Registry::start(Scheme::Https, Manner::Asks(format!("ci-user:{TOKEN}")));
    for (file, variable) in [("home/.config/go/env", None), ("mounted/settings", Some("GOENV"))] {
        let Some(mut pod) = Pod::new(Installer::Go, "acmegreeting\n") else { return };
        // What it says of how to compile is not obeyed.
        let goenv = format!(
            "GOPROXY={}/go\nGOFLAGS=-mod=vendor\nGOOS=plan9\n",
            registry.url(&format!("ci-user:{TOKEN}@"))
        );
        pod.file(file, &goenv).trusts("INJECTOR_CA_FILE", &registry.ca).secret(TOKEN);
        if let Some(variable) = variable {
            let path = pod.path(file);
            pod.var(variable, &path);
        }
        tells_nothing(&mut pod);
    }
}

/// A pod that asks for a module of the company's own, which is in a repository at a host that only the proxy knows.
fn private(login: &str) -> Option<(Proxy, Pod)> {
    tool("go", "git")?;
    let registry = Registry::start(Scheme::Https, Manner::Asks(login.to_owned()));
    let proxy = Proxy::before(&registry, None);
    let mut pod = Pod::new(Installer::Go, "acmegreeting\n")?;
    pod.file("src/go.mod", &manifest(&[PRIVATE.to_owned()]))
        .file("src/handler.go", &handler(&[PRIVATE.to_owned()]))
        .trusts("INJECTOR_CA_FILE", &registry.ca)
        .var("GOPRIVATE", UNKNOWN_HOST)
        .unset("GONOSUMDB")
        .var("HTTPS_PROXY", &format!("http://{}", proxy.host));
    Some((proxy, pod))
}

/// Both go and git log in; neither a public proxy nor the checksum database hears of the module.
#[test]
fn a_private_module_comes_from_its_repository() {
    for (file, variable) in [("home/.netrc", None), ("mounted/login", Some("NETRC"))] {
        let Some((proxy, mut pod)) = private(LOGIN) else { return };
        pod.build().fails(52, &[UNKNOWN_HOST, "(401)"], &["hint: mount the registry's credentials: .netrc"]);
        let netrc = format!("machine {UNKNOWN_HOST}\nlogin ci-user\npassword {PASSWORD}\n");
        pod.file(file, &netrc).secret(PASSWORD);
        if let Some(variable) = variable {
            let path = pod.path(file);
            pod.var(variable, &path);
        }
        pod.build().succeeds();
        pod.is_greeted();
        let tunnel = format!("CONNECT {UNKNOWN_HOST}:443");
        assert!(proxy.asked().iter().all(|asked| asked.what == tunnel), "{:?}", proxy.asked());
        pod.plan();
    }
}

/// As companies have it whose modules are at a forge: git knows a token, or where credentials are kept; go asks git.
#[test]
fn credentials_come_from_the_configuration_of_git() {
    let insteads = [
        ("home/.gitconfig", None, "[credential]\n\thelper = store\n"),
        ("home/.config/git/config", None, "[credential]\n\thelper = store\n"),
        (
            "mounted/config",
            Some("GIT_CONFIG_GLOBAL"),
            "[credential]\n\thelper = store --file=@/mounted/.git-credentials\n",
        ),
        ("home/x", None, ""),
    ];
    for (file, variable, text) in insteads {
        let Some((_, mut pod)) = private(LOGIN) else { return };
        let kept = format!("https://ci-user:{IN_URL}@{UNKNOWN_HOST}\n");
        let kept_in =
            if text.contains("--file") { "mounted/.git-credentials" } else { "home/.git-credentials" };
        let text = text.replace("@/", &pod.path(""));
        let source = pod.path("src");
        pod.file(file, &text).file(kept_in, &kept).secret(PASSWORD).var("GOAUTH", &format!("git {source}"));
        if let Some(variable) = variable {
            let path = pod.path(file);
            pod.var(variable, &path);
        }
        if text.is_empty() {
            let header = format!("Authorization: {}", basic(LOGIN));
            pod.file("home/.netrc", &format!("machine {UNKNOWN_HOST} login ci-user password {PASSWORD}\n"))
                .var("GOAUTH", "netrc")
                .var("GIT_CONFIG_COUNT", "1")
                .var("GIT_CONFIG_KEY_0", "http.extraHeader")
                .var("GIT_CONFIG_VALUE_0", &header);
        }
        pod.build().succeeds();
        pod.is_greeted();
    }
}

#[test]
fn a_command_gives_credentials() {
    let Some((registry, mut pod)) = asked() else { return };
    let helper =
        format!("#!/bin/sh\nprintf 'https://{}\\n\\nAuthorization: {}\\n\\n'\n", registry.host, basic(LOGIN));
    pod.inner.tool("company-login", &helper);
    pod.var("GOAUTH", "company-login");
    pod.build().succeeds();
    pod.is_greeted();
}

#[test]
fn a_proxy_is_passed_by_for_its_exceptions() {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let proxy = Proxy::before(&registry, None);
    let Some(mut pod) = Pod::new(Installer::Go, "acmegreeting\n") else { return };
    pod.index(&format!("http://{UNKNOWN_HOST}")).var("HTTP_PROXY", &format!("http://{}", proxy.host));
    pod.build().succeeds();
    let before = proxy.asked().len();
    pod.wants("acmegreeting\nacmenothing\n").var("NO_PROXY", ".invalid");
    pod.build().fails(52, &[UNKNOWN_HOST, "cannot be resolved"], &[]);
    assert!(before > 0 && proxy.asked().len() == before, "{:?}", proxy.asked());
}

#[test]
fn a_certificate_is_for_one_name_and_for_a_time() {
    for (scheme, name, told) in
        [(Scheme::Https, "localhost", "is for another name"), (Scheme::Expired, "127.0.0.1", "has expired")]
    {
        let registry = Registry::start(scheme, Manner::Serves);
        let Some(mut pod) = Pod::new(Installer::Go, "acmegreeting\n") else { return };
        let url = registry.url("").replace("127.0.0.1", name);
        pod.trusts("INJECTOR_CA_FILE", &registry.ca).index(&url);
        pod.build().fails(52, &[name, told], &["hint: "]);
    }
}

#[test]
fn a_page_is_no_module() {
    let registry = Registry::start(Scheme::Http, Manner::Answers("200 OK"));
    let Some(mut pod) = Pod::new(Installer::Go, "acmegreeting\n") else { return };
    pod.index(&registry.url(""));
    pod.build().fails(52, &[&registry.host, "does not answer as a registry does"], &["sign-in page"]);
}

/// A folder as `go mod download` leaves it, read-only, as a Kubernetes volume brings it; and no network at all.
#[test]
fn a_folder_of_modules_is_enough() {
    let Some(mut pod) = Pod::new(Installer::Go, "acmegreeting\n") else { return };
    for (path, content) in PACKAGES.iter().filter(|(path, _)| path.starts_with("go/")) {
        pod.file(&format!("mirror/{path}"), "");
        write(pod.path(&format!("mirror/{path}")), content).expect("written");
    }
    let mirror = pod.path("mirror/go");
    pod.var("GOPROXY", &format!("file://{mirror}")).var("HTTPS_PROXY", &format!("http://{CLOSED}"));
    let Some(pod) = pod.mounts_read_only("mirror") else { return };
    pod.build().succeeds();
    pod.is_greeted();
    pod.wants("acmegreeting\nacmenothing\n");
    pod.build().fails(51, &["go.mod:6", &mirror, "has no acme.example/acmenothing v1.0.0"], &["hint: "]);
}

/// Modules that the function brings along need no network either.
#[test]
fn vendored_modules_are_enough() {
    let Some(mut pod) = Pod::new(Installer::Go, "acmegreeting\n") else { return };
    pod.var("GOPROXY", "off");
    pod.build().fails(51, &["GOPROXY=off", "not in the function"], &["hint: deploy the modules in vendor/"]);
    let listed = "# acme.example/acmegreeting v1.0.0\n## explicit; go 1.21\nacme.example/acmegreeting\n";
    pod.file("src/vendor/modules.txt", listed).file(
        "src/vendor/acme.example/acmegreeting/greeting.go",
        "package greeting\n\nconst Text = \"hello from afar\"\n",
    );
    pod.build().succeeds();
    pod.is_greeted();
}

/// Only what fetches sees credentials: not the compiler, which stranger's code could make use of.
#[test]
fn compiling_sees_no_credentials() {
    let Some((registry, mut pod)) = asked() else { return };
    let go = tool("go", "go").expect("the pod has it");
    // Whatever go runs as, it notes what it sees: by its first word, outside of what is searched for secrets.
    let script = format!(
        "#!/bin/sh\n{{ env; cat \"$HOME/.netrc\" \"$HOME/.config/go/env\"; }} >@/seen-$1 2>&1\nexec {} \"$@\"\n",
        go.display()
    );
    pod.inner.tool("go", &script);
    pod.index(&registry.url(&format!("ci-user:{IN_URL}@")))
        .file("home/.netrc", "machine elsewhere.invalid login me password another-p4ssword\n")
        .file("home/.config/go/env", "GONOPROXY=third-p4ssword.invalid\n")
        .var("GIT_CONFIG_COUNT", "1")
        .var("GIT_CONFIG_KEY_0", "url.https://me:fourth-p4ssword@elsewhere.invalid/.insteadOf")
        .var("GIT_CONFIG_VALUE_0", "https://elsewhere.invalid/")
        .var("GOAUTH", "netrc");
    let secrets = [IN_URL, "another-p4ssword", "third-p4ssword", "fourth-p4ssword", "GOAUTH="];
    pod.build().succeeds();
    let seen = |step: &str| read_to_string(pod.path(&format!("seen-{step}"))).expect("it ran");
    for secret in secrets {
        assert!(seen("mod").contains(secret), "{secret}: {}", seen("mod"));
        assert!(
            !seen("build").contains(secret) && !seen("version").contains(secret),
            "{secret}: {}",
            seen("build")
        );
    }
    assert!(seen("build").contains("GOPROXY=off"), "{}", seen("build"));
}

/// What it adds is read beside the image's directories, and what replaces is not.
#[test]
fn replaced_roots_leave_no_others() {
    const IMAGE: &str = "mount --bind \"$0\" /etc/ssl/certs && exec \"$@\"";
    let registry = Registry::start(Scheme::Https, Manner::Serves);
    let Some(mut pod) = Pod::new(Installer::Go, "acmegreeting\n") else { return };
    if !machine::may_mount() {
        return;
    }
    // An image that trusts the registry.
    pod.file("image/company.pem", &registry.ca).index(&registry.url(""));
    let image = pod.path("image");
    pod.inner.wrap(&["unshare", "--mount", "sh", "-c", IMAGE, &image]);
    pod.build().succeeds();
    let another = crate::support::registry::certificate().0;
    pod.wants("acmegreeting\nacmenothing\n").trusts("SSL_CERT_FILE", &another);
    pod.build().fails(52, &[&registry.host, "not trusted"], &[]);
    pod.unset("SSL_CERT_FILE").trusts("INJECTOR_CA_FILE", &another);
    pod.build().fails(51, &["acmenothing"], &[]);
}

/// A pod whose function is Go's.
pub(super) fn settle(pod: &mut Pod) -> &mut Pod {
    // What the standard library compiles to is the same for all of them.
    let compiled = concat!(env!("CARGO_TARGET_TMPDIR"), "/go-build");
    std::fs::create_dir_all(compiled).expect("a directory");
    std::fs::create_dir_all(pod.path("keep/kept")).expect("a directory");
    symlink(compiled, pod.path("keep/kept/go-build")).expect("a link");
    pod.var("GONOSUMDB", "acme.example")
}

/// A `go.mod` that asks for these modules, the first of them on line 5.
pub(super) fn manifest(modules: &[String]) -> String {
    let mut text = String::from("module function\n\ngo 1.21\n\n");
    for module in modules {
        let _ = writeln!(text, "require {module} v1.0.0");
    }
    text
}

/// A handler that says what the first of these modules says.
pub(super) fn handler(modules: &[String]) -> String {
    format!(
        "package kubeless\n\nimport (\n\tgreeting \"{}\"\n\n\t\"github.com/kubeless/kubeless/pkg/functions\"\n)\n\n\
         func Hello(event functions.Event, context functions.Context) (string, error) {{\n\treturn greeting.Text, nil\n}}\n",
        modules[0]
    )
}
