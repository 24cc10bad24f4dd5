//! The company's network: private registries, their credentials, its CA and its proxy, with pip, uv, npm, pnpm, go, cargo and Maven.

mod go;
mod java;
mod nodejs;
mod pod;
mod python;
mod rust;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::registry::{CLOSED, Manner, Proxy, Registry, Scheme, UNKNOWN_HOST, basic};
use pod::{Installer, Pod};

/// A password as registries issue them, and how it stands in a URL.
const PASSWORD: &str = "t0k/n@7+x:Y=9s%r";
const IN_URL: &str = "t0k%2Fn%407%2Bx%3AY%3D9s%25r";
const LOGIN: &str = "ci-user:t0k/n@7+x:Y=9s%r";
/// One without anything to encode.
const TOKEN: &str = "pypi-AgEIcHlwaS5vcmc";

/// Makes of a case a test for each of these installers.
macro_rules! cells {
    ($case:ident, $($name:ident $installer:ident),*) => { $(
        #[test]
        fn $name() {
            super::$case(super::Installer::$installer);
        }
    )* };
}
use cells;

/// Makes of each case a test for each installer.
macro_rules! all {
    ($($case:ident),* $(,)?) => { $(
        mod $case {
            cells!($case, with_pip Pip, with_uv Uv, with_npm Npm, with_pnpm Pnpm, with_go Go, with_cargo Cargo, with_maven Maven);
        }
    )* };
}

// ---- what works

all!(
    an_index_comes_from_the_environment,
    an_index_that_redirects_is_followed,
    a_private_ca_is_added,
    a_private_ca_replaces_the_others,
    a_proxy_is_used,
    a_proxy_is_used_for_tls,
    a_proxy_is_not_used_for_its_exceptions,
    a_login_is_not_taken_abroad,
    a_secret_is_found_where_it_is_mounted,
);

/// Builds, plans, and fails: what is left each time is searched for the pod's secrets.
fn tells_nothing(pod: &mut Pod) {
    pod.build().succeeds();
    pod.plan();
    let asked = pod.wanted().to_owned();
    pod.wants(&format!("{asked}acmenothing\n"));
    pod.build().fails(51, &["acmenothing"], &[]);
}

fn an_index_comes_from_the_environment(installer: Installer) {
    let registry = Registry::start(installer.scheme(), Manner::Asks(LOGIN.to_owned()));
    let Some(pod) = asking(installer, &registry) else {
        return;
    };
    pod.build().succeeds();
    pod.is_greeted();
    let plan = pod.plan();
    assert!(plan.contains(installer.step()), "{plan}");
}

fn an_index_that_redirects_is_followed(installer: Installer) {
    let registry = Registry::start(installer.scheme(), Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = asking(installer, &registry) else {
        return;
    };
    pod.index(&(registry.url(&format!("ci-user:{IN_URL}@")) + "/moved"));
    pod.build().succeeds();
    let asked: Vec<_> = registry.asked().into_iter().map(|asked| asked.what).collect();
    assert!(asked.iter().any(|what| what.starts_with("GET /moved/")), "{asked:?}");
}

fn a_private_ca_is_added(installer: Installer) {
    private_ca(installer, "INJECTOR_CA_FILE");
}

fn a_private_ca_replaces_the_others(installer: Installer) {
    private_ca(installer, "SSL_CERT_FILE");
}

/// Trusts the registry by a variable.
fn private_ca(installer: Installer, variable: &str) {
    let registry = Registry::start(Scheme::Https, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    pod.trusts(variable, &registry.ca).index(&registry.url(&format!("ci-user:{IN_URL}@"))).secret(PASSWORD);
    pod.build().succeeds();
    pod.is_greeted();
}

fn a_proxy_is_used(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let proxy = Proxy::before(&registry, Some(LOGIN));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    // Only the proxy knows where this host is.
    pod.index(&format!("http://{UNKNOWN_HOST}"))
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
    let index = format!("https://ci-user:{TOKEN}@{UNKNOWN_HOST}");
    pod.trusts("INJECTOR_CA_FILE", &registry.ca)
        .index(&index)
        .var("https_proxy", &format!("http://ci-user:{IN_URL}@{}", proxy.host))
        .secret(PASSWORD)
        .secret(TOKEN);
    pod.build().succeeds();
    let tunnel = format!("CONNECT {UNKNOWN_HOST}:443");
    let asked = proxy.asked();
    assert!(asked.iter().all(|asked| asked.what == tunnel), "{asked:?}");
    assert!(!asked.is_empty());
}

fn a_proxy_is_not_used_for_its_exceptions(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    pod.index(&registry.url(""))
        .var("HTTP_PROXY", &format!("http://{CLOSED}"))
        .var("NO_PROXY", "localhost,127.0.0.1");
    pod.build().succeeds();
}

fn a_login_is_not_taken_abroad(installer: Installer) {
    let abroad = Registry::abroad(installer.scheme());
    let registry = Registry::start(installer.scheme(), Manner::SendsAway(LOGIN.to_owned(), abroad.url("")));
    let Some(mut pod) = asking(installer, &registry) else {
        return;
    };
    pod.trusts("INJECTOR_CA_FILE", &(registry.ca + &abroad.ca));
    pod.build().succeeds();
    pod.is_greeted();
    let asked = abroad.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.authorization.is_none()), "{asked:?}");
}

fn a_secret_is_found_where_it_is_mounted(installer: Installer) {
    let registry = Registry::start(installer.scheme(), Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    let (file, variable, text) = match installer {
        Installer::Pip | Installer::Uv => {
            let url = registry.url(&format!("ci-user:{IN_URL}@"));
            ("pip.conf", "PIP_CONFIG_FILE", format!("[global]\nindex-url = {url}/simple\n"))
        }
        Installer::Npm | Installer::Pnpm => {
            let password = STANDARD.encode(PASSWORD);
            let place = format!("//{}/npm/", registry.host);
            let login = format!("{place}:username=ci-user\n{place}:_password={password}\n");
            (".npmrc", "NPM_CONFIG_USERCONFIG", format!("registry={}/npm/\n{login}", registry.url("")))
        }
        Installer::Cargo => {
            pod.index(&registry.url(""));
            let token = format!("[registries.company]\ntoken = \"{}\"\n", basic(LOGIN));
            ("cargo-credentials.toml", "", token)
        }
        Installer::Maven => {
            let text = java::settings(&registry.url(&format!("ci-user:{IN_URL}@")), "");
            ("settings.xml", "", text)
        }
        Installer::Go => {
            pod.asks(&registry, "");
            (".netrc", "NETRC", format!("machine {}\nlogin ci-user\npassword {PASSWORD}\n", registry.host))
        }
    };
    pod.file(&format!("secrets/first/{file}"), &text)
        .file(&format!("secrets/second/{file}"), &text.replace("ci-user", "nobody"))
        .secret(PASSWORD);
    if let Some(pod) = pod.mounts_secrets() {
        let ended = pod.build();
        ended.succeeds();
        pod.is_greeted();
        let [first, second] =
            ["first", "second"].map(|name| format!("/var/run/secrets/kubeless.io/{name}/{file}"));
        let why = if variable.is_empty() {
            format!("{first} is instead")
        } else {
            format!("{variable} names {first}")
        };
        let told = format!("{second} is not read: {why}");
        assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    }
}

// ---- what fails, and whose fault it is

all!(
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
    a_proxy_that_lets_nobody_out,
    a_file_that_is_cut,
    a_bundle_that_is_none,
    a_package_that_a_working_registry_does_not_have,
);

/// A pod that asks a registry with a password in the index's URL.
fn asking(installer: Installer, registry: &Registry) -> Option<Pod> {
    let mut pod = Pod::new(installer, "acmegreeting==1.0\n")?;
    pod.asks(registry, &format!("ci-user:{IN_URL}@")).secret(PASSWORD);
    Some(pod)
}

fn a_registry_that_refuses_connections(installer: Installer) {
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    pod.index(&format!("{}://ci-user:{IN_URL}@{CLOSED}", installer.scheme().name())).secret(PASSWORD);
    // Of curl, cargo learns no more.
    let said = if installer == Installer::Cargo { "cannot be reached" } else { "refuses connections" };
    let refused = [CLOSED, said];
    pod.build().fails(52, &refused, &["hint: check ", "the registry's URL"]);
    // The installers' own patience ends too.
    pod.unset("PIP_RETRIES").unset("PIP_TIMEOUT").unset("CARGO_NET_RETRY").unset("CARGO_HTTP_TIMEOUT");
    pod.build().fails(52, &refused, &["hint: check ", "the registry's URL"]);
}

fn a_registry_that_never_answers(installer: Installer) {
    // pnpm 9 and 10 wait for an archive as long as they may, whatever `fetch-timeout` says, and go for everything; the
    // stage's limit ends that.
    if [Installer::Pnpm, Installer::Go].contains(&installer) {
        return;
    }
    let registry = Registry::start(installer.scheme(), Manner::IsSilent);
    let Some(pod) = asking(installer, &registry) else {
        return;
    };
    pod.build().fails(52, &[&registry.host, "cannot be reached"], &["hint: check egress"]);
}

fn a_registry_that_takes_longer_than_a_stage_may(installer: Installer) {
    // Our server alone may take javac as long.
    if installer == Installer::Maven {
        return;
    }
    let registry = Registry::start(installer.scheme(), Manner::IsSilent);
    let Some(mut pod) = asking(installer, &registry) else {
        return;
    };
    pod.var("PIP_TIMEOUT", "60").var("CARGO_HTTP_TIMEOUT", "60").var("INJECTOR_TIMEOUT", "4");
    pod.build().fails(
        52,
        &[installer.step(), "after 4 s"],
        &["hint: is the registry slow", "INJECTOR_TIMEOUT"],
    );
}

fn a_registry_that_hangs_up(installer: Installer) {
    let registry = Registry::start(installer.scheme(), Manner::HangsUp);
    let Some(pod) = asking(installer, &registry) else {
        return;
    };
    pod.build().fails(52, &[&registry.host, "was cut"], &["firewall"]);
}

fn a_registry_that_has_no_address(installer: Installer) {
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    pod.index(&format!("https://ci-user:{IN_URL}@{UNKNOWN_HOST}")).secret(PASSWORD);
    pod.build().fails(
        52,
        &[UNKNOWN_HOST, "cannot be resolved"],
        &["hint: check the registry's URL, the cluster's DNS, and HTTPS_PROXY if a proxy leads out"],
    );
}

fn a_registry_that_is_not_trusted(installer: Installer) {
    let registry = Registry::start(Scheme::Https, Manner::Serves);
    let Some(mut pod) = asking(installer, &registry) else {
        return;
    };
    pod.unset("INJECTOR_CA_FILE").build().fails(52, &[&registry.host, "not trusted"], &["INJECTOR_CA_FILE"]);
}

fn a_registry_that_does_not_know_us(installer: Installer) {
    let registry = Registry::start(installer.scheme(), Manner::Asks("ci-user:another".to_owned()));
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
    let registry = Registry::start(installer.scheme(), Manner::Answers(status));
    let Some(pod) = asking(installer, &registry) else {
        return;
    };
    let headline: Vec<_> = [registry.host.as_str()].into_iter().chain(headline.iter().copied()).collect();
    pod.build().fails(52, &headline, &[hint]);
}

fn a_proxy_that_refuses_connections(installer: Installer) {
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    pod.index(&format!("https://{UNKNOWN_HOST}"))
        .var("HTTPS_PROXY", &format!("http://ci-user:{TOKEN}@{CLOSED}"))
        .secret(TOKEN);
    let headline = format!("the proxy cannot be reached on the way to {UNKNOWN_HOST}");
    pod.build().fails(52, &[&headline], &[&format!("hint: check HTTPS_PROXY ({CLOSED})"), "NO_PROXY"]);
}

fn a_proxy_that_does_not_know_us(installer: Installer) {
    for scheme in [Scheme::Http, Scheme::Https] {
        let registry = Registry::start(scheme, Manner::Serves);
        let proxy = Proxy::before(&registry, Some("ci-user:another"));
        let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
            return;
        };
        let url = format!("http://ci-user:{TOKEN}@{}", proxy.host);
        pod.index(&format!("{}://{UNKNOWN_HOST}", scheme.name()))
            .var("HTTPS_PROXY", &url)
            .var("HTTP_PROXY", &url)
            .var("PIP_TRUSTED_HOST", UNKNOWN_HOST)
            .secret(TOKEN);
        pod.build().fails(
            52,
            &["the proxy asks for credentials"],
            &[&format!("hint: put user and password into HTTPS_PROXY ({})", proxy.host)],
        );
    }
}

fn a_proxy_that_lets_nobody_out(installer: Installer) {
    let proxy = Proxy::closed();
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    pod.index(&format!("https://{UNKNOWN_HOST}")).var("HTTPS_PROXY", &format!("http://{}", proxy.host));
    let refuses = match installer {
        Installer::Pip | Installer::Uv | Installer::Go | Installer::Cargo => {
            "the proxy refuses to connect to"
        }
        // They take the proxy's answer for the registry's.
        Installer::Npm | Installer::Pnpm | Installer::Maven => "refuses access (403)",
    };
    pod.build().fails(52, &[refuses, UNKNOWN_HOST], &["NO_PROXY"]);
}

fn a_file_that_is_cut(installer: Installer) {
    let registry = Registry::start(installer.scheme(), Manner::Cuts);
    let Some(pod) = asking(installer, &registry) else {
        return;
    };
    pod.build().fails(52, &["was cut"], &["hint: try again"]);
}

fn a_bundle_that_is_none(installer: Installer) {
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    let path = pod.path("company.der");
    pod.file("company.der", "0\u{82}\u{3}").var("INJECTOR_CA_FILE", &path);
    pod.build().fails(42, &["company.der", "holds no certificate in PEM form"], &["as PEM"]);
}

fn a_package_that_a_working_registry_does_not_have(installer: Installer) {
    let registry = Registry::start(installer.scheme(), Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = asking(installer, &registry) else {
        return;
    };
    pod.wants("acmegreeting\nacmenothing\n");
    pod.build().fails(51, &[installer.place(), "acmenothing"], &["hint: "]);
}
