//! pip and uv: what of pip's configuration is obeyed, and what the code of packages sees of it.

use std::os::unix::fs::symlink;

use super::pod::{Installer, Pod};
use super::{IN_URL, LOGIN, PASSWORD, TOKEN, asking, cells, tells_nothing};
use crate::support::packages::PACKAGES;
use crate::support::registry::{CLOSED, Manner, Proxy, Registry, Scheme, UNKNOWN_HOST, certificate};

/// Makes of each case a test for each of Python's installers.
macro_rules! both {
    ($($case:ident),* $(,)?) => { $(
        mod $case {
            super::cells!($case, with_pip Pip, with_uv Uv);
        }
    )* };
}

both!(
    a_token_comes_from_the_users_pip_conf,
    a_password_comes_from_netrc,
    a_token_comes_from_a_pip_conf_that_is_named,
    a_token_is_passed_on_by_the_name_in_a_requirements_file,
    a_token_in_a_requirements_file_is_not_published,
    a_private_ca_is_added_whatever_pip_conf_says,
    a_private_ca_that_pip_is_told_of_stays,
    a_proxy_comes_from_pip_conf,
    a_folder_of_wheels_is_enough,
    a_build_that_shouts_is_masked,
    a_dependency_that_must_be_built_is_refused,
    a_build_sees_nothing_of_our_environment,
);

/// uv reads it from the function's directory; as a link, it has another name, too.
#[test]
fn credentials_of_the_functions_own_uv_toml_are_not_published() {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = Pod::new(Installer::Uv, "acmegreeting\n") else {
        return;
    };
    let url = registry.url(&format!("ci-user:{IN_URL}@")) + "/simple";
    pod.file("src/uv.conf", &format!("[pip]\nindex-url = \"{url}\"\n")).secret(PASSWORD);
    symlink("uv.conf", pod.path("src/uv.toml")).expect("a link");
    let ended = pod.build();
    ended.succeeds();
    pod.is_greeted();
    for held in ["uv.toml", "uv.conf"] {
        assert!(ended.stderr.contains(&format!("{held} holds credentials")), "{}", ended.stderr);
    }
}

fn a_token_comes_from_the_users_pip_conf(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(format!("__token__:{TOKEN}")));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    let url = registry.url(&format!("__token__:{TOKEN}@")) + "/simple";
    pod.file("home/.config/pip/pip.conf", &format!("[global]\nindex-url = {url}\n")).secret(TOKEN);
    tells_nothing(&mut pod);
}

fn a_password_comes_from_netrc(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    for (file, variable) in [("home/.netrc", None), ("mounted/login", Some("NETRC"))] {
        let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
            return;
        };
        let netrc = format!("machine 127.0.0.1\nlogin ci-user\npassword {PASSWORD}\n");
        pod.file(file, &netrc).index(&registry.url("")).secret(PASSWORD);
        if let Some(variable) = variable {
            let path = pod.path(file);
            pod.var(variable, &path);
        }
        tells_nothing(&mut pod);
    }
}

fn a_token_comes_from_a_pip_conf_that_is_named(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    let url = registry.url(&format!("ci-user:{IN_URL}@")) + "/simple";
    let path = pod.path("mounted/settings");
    pod.file("mounted/settings", &format!("[global]\nindex-url = {url}\n"))
        .var("PIP_CONFIG_FILE", &path)
        .secret(PASSWORD);
    tells_nothing(&mut pod);
}

fn a_token_is_passed_on_by_the_name_in_a_requirements_file(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(format!("ci-user:{TOKEN}")));
    let index = registry.url("ci-user:${COMPANY_PASS}@") + "/simple";
    let Some(mut pod) = Pod::new(installer, &format!("--index-url {index}\nacmegreeting\n")) else {
        return;
    };
    pod.var("COMPANY_PASS", TOKEN).secret(TOKEN);
    tells_nothing(&mut pod);
    // A package by its URL leaves a note of where it came from.
    let file = format!(
        "acmegreeting @ http://ci-user:${{COMPANY_PASS}}@{}/files/acmegreeting-1.0-py3-none-any.whl\n",
        registry.host
    );
    pod.wants(&file);
    tells_nothing(&mut pod);
}

fn a_token_in_a_requirements_file_is_not_published(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let index = registry.url(&format!("ci-user:{IN_URL}@")) + "/simple";
    let Some(mut pod) = Pod::new(installer, "-r index.txt\nacmegreeting\n") else {
        return;
    };
    pod.file("src/index.txt", &format!("--index-url {index}\n")).secret(PASSWORD);
    let ended = pod.build();
    ended.succeeds();
    assert!(ended.stderr.contains("index.txt holds credentials"), "{}", ended.stderr);
    assert_eq!(
        pod.published("source/index.txt"),
        format!("--index-url {}\n", registry.url("***@") + "/simple")
    );
    assert_eq!(pod.published("source/requirements.txt"), "-r index.txt\nacmegreeting\n");
    assert_eq!(pod.published("deps/acmegreeting.py"), "TEXT = 'hello'\n");
}

fn a_private_ca_is_added_whatever_pip_conf_says(installer: Installer) {
    trusts(installer, |pod, company, other| {
        pod.file("ours.pem", company).file("theirs.pem", other);
        let (ours, theirs) = (pod.path("ours.pem"), pod.path("theirs.pem"));
        pod.file("home/.config/pip/pip.conf", &format!("[global]\ncert = {theirs}\n"))
            .var("INJECTOR_CA_FILE", &ours);
    });
}

fn a_private_ca_that_pip_is_told_of_stays(installer: Installer) {
    for variable in ["INJECTOR_CA_FILE", "SSL_CERT_FILE"] {
        trusts(installer, |pod, company, other| {
            pod.file("home/theirs.pem", company).file("ours.pem", other);
            let ours = pod.path("ours.pem");
            pod.file("home/.config/pip/pip.conf", "[global]\ncert = ~/theirs.pem\n").var(variable, &ours);
        });
    }
    trusts(installer, |pod, company, other| {
        pod.file("theirs.pem", company).file("ours.pem", other);
        let (ours, theirs) = (pod.path("ours.pem"), pod.path("theirs.pem"));
        pod.var("PIP_CERT", &theirs).var("INJECTOR_CA_FILE", &ours);
    });
}

/// A pod that is configured with the company's CA and another one trusts the company's registry.
fn trusts(installer: Installer, configure: impl Fn(&mut Pod, &str, &str)) {
    let registry = Registry::start(Scheme::Https, Manner::Serves);
    if let Some(mut pod) = Pod::new(installer, "acmegreeting\n") {
        configure(&mut pod, &registry.ca, &certificate().0);
        pod.index(&registry.url("")).build().succeeds();
    }
}

fn a_proxy_comes_from_pip_conf(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let proxy = Proxy::before(&registry, Some(LOGIN));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    let settings = format!(
        "[global]\nindex-url = http://{UNKNOWN_HOST}/simple\ntrusted-host = {UNKNOWN_HOST}\n\
         proxy = http://ci-user:{IN_URL}@{}\n",
        proxy.host
    );
    pod.file("home/.pip/pip.conf", &settings).secret(PASSWORD);
    tells_nothing(&mut pod);
}

fn a_folder_of_wheels_is_enough(installer: Installer) {
    let wheel = PACKAGES.get("acmegreeting-1.0-py3-none-any.whl").expect("a wheel");
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    pod.file("wheels/x", "");
    let wheels = pod.path("wheels");
    std::fs::write(format!("{wheels}/acmegreeting-1.0-py3-none-any.whl"), wheel).expect("written");
    pod.file("home/.config/pip/pip.conf", &format!("[install]\nno-index = true\nfind-links = {wheels}\n"));
    pod.build().succeeds();
    pod.is_greeted();
    pod.wants("acmegreeting\nacmenothing\n");
    pod.build().fails(51, &["acmenothing"], &[]);
}

fn a_build_that_shouts_is_masked(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = asking(installer, &registry) else {
        return;
    };
    let netrc = pod.path("mounted/login");
    pod.wants("leaky\n")
        .var("HTTP_PROXY", &format!("http://ci-user:{TOKEN}@{CLOSED}"))
        .var("NO_PROXY", "127.0.0.1")
        .var("REGISTRY_LOGIN", "opaque-value-of-ours")
        .var("INJECTOR_PASS_ENV", "REGISTRY_LOGIN")
        .file("mounted/login", "machine elsewhere.invalid\nlogin me\npassword another-p4ssword\n")
        .var("NETRC", &netrc)
        .secret("another-p4ssword")
        .secret(TOKEN)
        .secret("opaque-value-of-ours");
    let dry = pod.dry_run();
    assert!(dry.starts_with("E51 ") && dry.contains("leaky"), "{dry}");
    let ended = pod.build();
    ended.fails(51, &["leaky"], &[]);
    assert!(ended.stderr.contains("***"), "nothing was masked: {}", ended.stderr);
}

fn a_dependency_that_must_be_built_is_refused(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let Some(mut pod) = Pod::new(installer, "nosy==1.0\n") else {
        return;
    };
    pod.index(&registry.url("")).var("INJECTOR_BUILD_SCRIPTS", "deny");
    pod.build().fails(51, &["requirements.txt:1", "nosy"], &["hint: "]);
    pod.var("INJECTOR_BUILD_SCRIPTS", "allow");
    pod.build().succeeds();
}

fn a_build_sees_nothing_of_our_environment(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    // Root may read everything.
    let Some(mut pod) = Pod::unprivileged(installer, "nosy\n") else {
        return;
    };
    pod.index(&registry.url(""))
        .var("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
        .var("CODE_SIGNING_LABEL", "a-value-of-ours")
        .var("INJECTOR_PASS_ENV", "CODE_SIGNING_LABEL,ABSENT")
        .secret("wJalrXUtnFEMI/K7MDENG");
    pod.build().succeeds();
    let seen: serde_json::Value = serde_json::from_str(&pod.published("deps/nosy.py")).expect("JSON");
    let names: Vec<_> =
        seen["env"].as_array().expect("names").iter().filter_map(|name| name.as_str()).collect();
    assert!(names.contains(&"CODE_SIGNING_LABEL") && names.contains(&"PIP_INDEX_URL"), "{names:?}");
    let ours = ["AWS_", "FUNC_", "INJECTOR_", "KUBELESS_", "ABSENT"];
    assert!(!names.iter().any(|name| ours.iter().any(|ours| name.starts_with(ours))), "{names:?}");
    // It did find us among its ancestors, and was not let in.
    let above = seen["above"].as_array().expect("processes");
    assert!(above.contains(&serde_json::json!(["injector", "Permission denied"])), "{above:?}");
}
