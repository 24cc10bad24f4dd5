//! The company's network: private registries, their credentials, its CA and its proxy, with pip and with uv.

mod pod;

use crate::support::registry::{CLOSED, Manner, Proxy, Registry, Scheme, UNKNOWN_HOST, basic, certificate};
use pod::{Installer, Pod};

/// A password as registries issue them, and how it stands in a URL.
const PASSWORD: &str = "t0k/n@7+x:Y=9s%r";
const IN_URL: &str = "t0k%2Fn%407%2Bx%3AY%3D9s%25r";
const LOGIN: &str = "ci-user:t0k/n@7+x:Y=9s%r";
/// One without anything to encode.
const TOKEN: &str = "pypi-AgEIcHlwaS5vcmc";

/// Makes of each case a test for each installer.
macro_rules! both {
    ($($case:ident),* $(,)?) => { $(
        mod $case {
            #[test]
            fn with_pip() {
                super::$case(super::Installer::Pip);
            }
            #[test]
            fn with_uv() {
                super::$case(super::Installer::Uv);
            }
        }
    )* };
}

// ---- what works

both!(
    an_index_comes_from_the_environment,
    a_token_comes_from_the_users_pip_conf,
    a_password_comes_from_netrc,
    a_token_comes_from_a_pip_conf_that_is_named,
    an_index_that_redirects_is_followed,
    a_token_is_passed_on_by_the_name_in_a_requirements_file,
    a_token_in_a_requirements_file_is_not_published,
    a_private_ca_is_added,
    a_private_ca_replaces_the_others,
    a_private_ca_is_added_whatever_pip_conf_says,
    a_private_ca_that_pip_is_told_of_stays,
    a_proxy_is_used,
    a_proxy_is_used_for_tls,
    a_proxy_comes_from_pip_conf,
    a_proxy_is_not_used_for_its_exceptions,
);

/// Builds, plans, and fails: what is left each time is searched for the pod's secrets.
fn tells_nothing(pod: &mut Pod) {
    pod.build().succeeds();
    pod.plan();
    let asked = pod.published("source/requirements.txt");
    pod.file("src/requirements.txt", &format!("{asked}acmenothing\n"));
    pod.build().fails(51, &["acmenothing"], &[]);
}

fn an_index_comes_from_the_environment(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = Pod::new(installer, "acmegreeting==1.0\n") else {
        return;
    };
    pod.var("PIP_INDEX_URL", &registry.url(&format!("ci-user:{IN_URL}@"))).secret(PASSWORD);
    pod.build().succeeds();
    assert_eq!(pod.published("deps/acmegreeting.py"), "TEXT = 'hello'\n");
    let plan = pod.plan();
    assert!(plan.contains("install"), "{plan}");
}

fn a_token_comes_from_the_users_pip_conf(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(format!("__token__:{TOKEN}")));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    let url = registry.url(&format!("__token__:{TOKEN}@"));
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
        pod.file(file, &netrc).var("PIP_INDEX_URL", &registry.url("")).secret(PASSWORD);
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
    let url = registry.url(&format!("ci-user:{IN_URL}@"));
    let path = pod.path("mounted/settings");
    pod.file("mounted/settings", &format!("[global]\nindex-url = {url}\n"))
        .var("PIP_CONFIG_FILE", &path)
        .secret(PASSWORD);
    tells_nothing(&mut pod);
}

fn an_index_that_redirects_is_followed(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    pod.var("PIP_INDEX_URL", &registry.moved_url(&format!("ci-user:{IN_URL}@"))).secret(PASSWORD);
    pod.build().succeeds();
    let asked: Vec<_> = registry.asked().into_iter().map(|asked| asked.what).collect();
    assert!(asked.contains(&"GET /moved/acmegreeting/".to_owned()), "{asked:?}");
}

fn a_token_is_passed_on_by_the_name_in_a_requirements_file(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(format!("ci-user:{TOKEN}")));
    let index = registry.url("ci-user:${COMPANY_PASS}@");
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
    pod.file("src/requirements.txt", &file);
    tells_nothing(&mut pod);
}

fn a_token_in_a_requirements_file_is_not_published(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let index = registry.url(&format!("ci-user:{IN_URL}@"));
    let Some(mut pod) = Pod::new(installer, "-r index.txt\nacmegreeting\n") else {
        return;
    };
    pod.file("src/index.txt", &format!("--index-url {index}\n")).secret(PASSWORD);
    let ended = pod.build();
    ended.succeeds();
    assert!(ended.stderr.contains("index.txt holds credentials"), "{}", ended.stderr);
    assert_eq!(pod.published("source/index.txt"), format!("--index-url {}\n", registry.url("***@")));
    assert_eq!(pod.published("source/requirements.txt"), "-r index.txt\nacmegreeting\n");
    assert_eq!(pod.published("deps/acmegreeting.py"), "TEXT = 'hello'\n");
}

fn a_private_ca_is_added(installer: Installer) {
    private_ca(installer, "INJECTOR_CA_FILE", "");
}

fn a_private_ca_replaces_the_others(installer: Installer) {
    private_ca(installer, "SSL_CERT_FILE", "");
}

fn a_private_ca_is_added_whatever_pip_conf_says(installer: Installer) {
    let other = Registry::start(Scheme::Https, Manner::Serves);
    private_ca(installer, "INJECTOR_CA_FILE", &other.ca);
}

fn a_private_ca_that_pip_is_told_of_stays(installer: Installer) {
    let (registry, other) = (Registry::start(Scheme::Https, Manner::Serves), certificate().0);
    for (file, variable) in [(true, "INJECTOR_CA_FILE"), (false, "INJECTOR_CA_FILE"), (true, "SSL_CERT_FILE")]
    {
        let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
            return;
        };
        let (theirs, ours) = (pod.path("home/company.pem"), pod.path("other.pem"));
        pod.file("home/company.pem", &registry.ca)
            .file("other.pem", &other)
            .var(variable, &ours)
            .var("PIP_INDEX_URL", &registry.url(""));
        if file {
            pod.file("home/.config/pip/pip.conf", "[global]\ncert = ~/company.pem\n");
        } else {
            pod.var("PIP_CERT", &theirs);
        }
        pod.build().succeeds();
    }
}

/// Trusts the registry by a variable, while the user's pip.conf may trust another CA.
fn private_ca(installer: Installer, variable: &str, other: &str) {
    let registry = Registry::start(Scheme::Https, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    let (mine, theirs) = (pod.path("company.pem"), pod.path("other.pem"));
    pod.file("company.pem", &registry.ca)
        .var(variable, &mine)
        .var("PIP_INDEX_URL", &registry.url(&format!("ci-user:{IN_URL}@")))
        .secret(PASSWORD);
    if !other.is_empty() {
        pod.file("other.pem", other)
            .file("home/.config/pip/pip.conf", &format!("[global]\ncert = {theirs}\n"));
    }
    pod.build().succeeds();
}

fn a_proxy_is_used(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let proxy = Proxy::before(&registry, Some(LOGIN));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    // Only the proxy knows where this host is.
    pod.var("PIP_INDEX_URL", &format!("http://{UNKNOWN_HOST}/simple"))
        .var("PIP_TRUSTED_HOST", UNKNOWN_HOST)
        .var("HTTP_PROXY", &format!("http://ci-user:{IN_URL}@{}", proxy.host))
        .secret(PASSWORD);
    tells_nothing(&mut pod);
    let asked = proxy.asked();
    assert!(asked.iter().any(|asked| asked.authorization == Some(basic(LOGIN))), "{asked:?}");
}

fn a_proxy_is_used_for_tls(installer: Installer) {
    let registry = Registry::start(Scheme::Https, Manner::Asks(format!("ci-user:{TOKEN}")));
    let proxy = Proxy::before(&registry, Some(LOGIN));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    let ca = pod.path("company.pem");
    let index = format!("https://ci-user:{TOKEN}@{UNKNOWN_HOST}/simple");
    pod.file("company.pem", &registry.ca)
        .var("INJECTOR_CA_FILE", &ca)
        .var("PIP_INDEX_URL", &index)
        .var("https_proxy", &format!("http://ci-user:{IN_URL}@{}", proxy.host))
        .secret(PASSWORD)
        .secret(TOKEN);
    pod.build().succeeds();
    let tunnel = format!("CONNECT {UNKNOWN_HOST}:443");
    let asked = proxy.asked();
    assert!(asked.iter().all(|asked| asked.what == tunnel), "{asked:?}");
    assert!(!asked.is_empty());
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

fn a_proxy_is_not_used_for_its_exceptions(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    pod.var("PIP_INDEX_URL", &registry.url(""))
        .var("HTTP_PROXY", &format!("http://{CLOSED}"))
        .var("NO_PROXY", "localhost,127.0.0.1");
    pod.build().succeeds();
}

// ---- what fails, and whose fault it is

both!(
    a_registry_that_refuses_connections,
    a_registry_that_never_answers,
    a_registry_that_takes_longer_than_a_stage_may,
    a_registry_that_hangs_up,
    a_registry_that_has_no_address,
    a_registry_that_is_not_trusted,
    a_registry_that_does_not_know_us,
    a_registry_that_forbids,
    a_registry_that_is_down,
    a_registry_that_has_had_enough,
    a_proxy_that_refuses_connections,
    a_proxy_that_does_not_know_us,
    a_package_that_a_working_registry_does_not_have,
);

/// A pod that asks a registry with a password in the index's URL.
fn asking(installer: Installer, registry: &Registry) -> Option<Pod> {
    let mut pod = Pod::new(installer, "acmegreeting==1.0\n")?;
    pod.var("PIP_INDEX_URL", &registry.url(&format!("ci-user:{IN_URL}@"))).secret(PASSWORD);
    Some(pod)
}

fn a_registry_that_refuses_connections(installer: Installer) {
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    pod.var("PIP_INDEX_URL", &format!("http://ci-user:{IN_URL}@{CLOSED}/simple")).secret(PASSWORD);
    let refused = [CLOSED, "refuses connections"];
    pod.build().fails(52, &refused, &["hint: check the registry's URL"]);
    // The installers' own patience ends too.
    pod.unset("PIP_RETRIES").unset("PIP_TIMEOUT");
    pod.build().fails(52, &refused, &["hint: check the registry's URL"]);
}

fn a_registry_that_never_answers(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::IsSilent);
    let Some(pod) = asking(installer, &registry) else {
        return;
    };
    pod.build().fails(52, &[&registry.host, "cannot be reached"], &["hint: check egress"]);
}

fn a_registry_that_takes_longer_than_a_stage_may(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::IsSilent);
    let Some(mut pod) = asking(installer, &registry) else {
        return;
    };
    pod.var("PIP_TIMEOUT", "60").var("INJECTOR_TIMEOUT", "4");
    pod.build().fails(52, &["install", "after 4 s"], &["hint: is the registry slow", "INJECTOR_TIMEOUT"]);
}

fn a_registry_that_hangs_up(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::HangsUp);
    let Some(pod) = asking(installer, &registry) else {
        return;
    };
    pod.build().fails(52, &[&registry.host, "was cut"], &["firewall"]);
}

fn a_registry_that_has_no_address(installer: Installer) {
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    pod.var("PIP_INDEX_URL", &format!("https://ci-user:{IN_URL}@{UNKNOWN_HOST}/simple")).secret(PASSWORD);
    pod.build().fails(
        52,
        &[UNKNOWN_HOST, "cannot be resolved"],
        &["hint: check the registry's URL and the cluster's DNS"],
    );
}

fn a_registry_that_is_not_trusted(installer: Installer) {
    let registry = Registry::start(Scheme::Https, Manner::Serves);
    let Some(pod) = asking(installer, &registry) else {
        return;
    };
    pod.build().fails(52, &[&registry.host, "not trusted"], &["INJECTOR_CA_FILE"]);
}

fn a_registry_that_does_not_know_us(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks("ci-user:another".to_owned()));
    let Some(pod) = asking(installer, &registry) else {
        return;
    };
    pod.build().fails(52, &[&registry.host, "401"], &["hint: mount the registry's credentials"]);
}

fn a_registry_that_forbids(installer: Installer) {
    status(installer, "403 Forbidden", &["403"], "credentials");
}

fn a_registry_that_is_down(installer: Installer) {
    status(installer, "503 Service Unavailable", &["503"], "try again later");
}

fn a_registry_that_has_had_enough(installer: Installer) {
    status(installer, "429 Too Many Requests", &["429"], "try again later");
}

/// A registry that answers all with one status is the platform's trouble.
fn status(installer: Installer, status: &'static str, headline: &[&str], hint: &str) {
    let registry = Registry::start(Scheme::Http, Manner::Answers(status));
    let Some(pod) = asking(installer, &registry) else {
        return;
    };
    let headline: Vec<_> = [registry.host.as_str()].into_iter().chain(headline.iter().copied()).collect();
    pod.build().fails(52, &headline, &[hint]);
}

fn a_proxy_that_refuses_connections(installer: Installer) {
    let registry = Registry::start(Scheme::Https, Manner::Serves);
    let Some(mut pod) = asking(installer, &registry) else {
        return;
    };
    pod.var("HTTPS_PROXY", &format!("http://ci-user:{TOKEN}@{CLOSED}")).secret(TOKEN);
    let headline = format!("the proxy cannot be reached on the way to {}", registry.host);
    pod.build().fails(52, &[&headline], &[&format!("hint: check HTTPS_PROXY ({CLOSED})"), "NO_PROXY"]);
}

fn a_proxy_that_does_not_know_us(installer: Installer) {
    for scheme in [Scheme::Http, Scheme::Https] {
        let registry = Registry::start(scheme, Manner::Serves);
        let proxy = Proxy::before(&registry, Some("ci-user:another"));
        let Some(mut pod) = asking(installer, &registry) else {
            return;
        };
        let url = format!("http://ci-user:{TOKEN}@{}", proxy.host);
        pod.var("HTTPS_PROXY", &url).var("HTTP_PROXY", &url).secret(TOKEN);
        pod.build().fails(
            52,
            &["the proxy asks for credentials"],
            &[&format!("hint: put user and password into HTTPS_PROXY ({})", proxy.host)],
        );
    }
}

fn a_package_that_a_working_registry_does_not_have(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = asking(installer, &registry) else {
        return;
    };
    pod.file("src/requirements.txt", "acmegreeting\nacmenothing\n");
    pod.build().fails(51, &["requirements.txt:2", "acmenothing"], &["hint: "]);
}

// ---- code of dependencies

both!(
    a_build_sees_nothing_of_our_environment,
    a_build_that_shouts_is_masked,
    a_dependency_that_must_be_built_is_refused,
);

fn a_build_sees_nothing_of_our_environment(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    // Root may read everything.
    let Some(mut pod) = Pod::unprivileged(installer, "nosy\n") else {
        return;
    };
    pod.var("PIP_INDEX_URL", &registry.url(""))
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

fn a_build_that_shouts_is_masked(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = asking(installer, &registry) else {
        return;
    };
    let netrc = pod.path("mounted/login");
    pod.file("src/requirements.txt", "leaky\n")
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
    pod.var("PIP_INDEX_URL", &registry.url("")).var("INJECTOR_BUILD_SCRIPTS", "deny");
    pod.build().fails(51, &["requirements.txt:1", "nosy"], &["hint: "]);
    pod.var("INJECTOR_BUILD_SCRIPTS", "allow");
    pod.build().succeeds();
}
