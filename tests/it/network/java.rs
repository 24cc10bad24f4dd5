//! Maven: what of a company's settings is obeyed, and what of the environment's proxies and CAs reaches its JVM.

use std::fmt::Write as _;

use percent_encoding::percent_decode_str;

use super::pod::{Installer, Pod};
use super::{IN_URL, LOGIN, PASSWORD, TOKEN};
use crate::support::packages::PACKAGES;
use crate::support::registry::{CLOSED, Manner, Proxy, Registry, Scheme, UNKNOWN_HOST, basic, certificate};

/// A function whose handler is `handler.hello`.
pub(super) const HELLO: &str = "import io.kubeless.Context;\nimport io.kubeless.Event;\n\n\
    public class handler {\n    public String hello(Event event, Context context) {\n        return \"hello\";\n    }\n}\n";

/// A POM that asks for these artifacts.
pub(super) fn pom<'a>(artifacts: impl Iterator<Item = &'a str>) -> String {
    let mut pom = String::from(
        "<project><modelVersion>4.0.0</modelVersion><groupId>io.kubeless</groupId><artifactId>function</artifactId>\
         <version>1.0</version><dependencies>",
    );
    for artifact in artifacts {
        let _ = write!(
            pom,
            "<dependency><groupId>acme</groupId><artifactId>{artifact}</artifactId><version>1.0</version></dependency>"
        );
    }
    pom + "</dependencies></project>\n"
}

/// Settings whose mirror is this registry; a login in its URL becomes that of the server.
pub(super) fn settings(url: &str, more: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (login, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let login = percent_decode_str(login).decode_utf8().expect("text").replace('&', "&amp;");
    let server = login.split_once(':').map(|(user, password)| server(user, password)).unwrap_or_default();
    format!(
        "<settings>\n{server}{more}<mirrors><mirror><id>company</id><mirrorOf>*</mirrorOf>\n\
         <url>{scheme}://{host}/maven</url></mirror></mirrors>\n</settings>\n"
    )
}

fn server(user: &str, password: &str) -> String {
    format!(
        "<servers><server><id>company</id><username>{user}</username>\n<password>{password}</password></server></servers>\n"
    )
}

/// A pod whose Maven asks this registry.
fn asking(registry: &str, more: &str) -> Option<Pod> {
    let mut pod = Pod::new(Installer::Maven, "acmegreeting\n")?;
    pod.file("home/.m2/settings.xml", &settings(registry, more)).secret(PASSWORD).secret(TOKEN);
    Some(pod)
}

#[test]
fn a_password_comes_from_a_variable_that_the_settings_name() {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = asking(&registry.url(""), &server("ci-user", "${env.COMPANY_PASS}")) else {
        return;
    };
    pod.var("COMPANY_PASS", PASSWORD);
    super::tells_nothing(&mut pod);
}

/// An agent in `jvm.config` would see the password; here it is an option that no JVM knows.
#[test]
fn no_configuration_of_the_functions_own_or_above_it_reaches_the_jvm_that_has_the_password() {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = asking(&registry.url(""), &server("ci-user", PASSWORD)) else { return };
    for above in ["", "volume/", "src/"] {
        pod.file(&format!("{above}.mvn/jvm.config"), "-XX:NoSuchOption=1\n");
    }
    pod.build().succeeds();
}

/// The user's proxy wins over the environment's, and its exceptions are obeyed.
#[test]
fn a_proxy_comes_from_the_settings() {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let proxy = Proxy::before(&registry, Some(LOGIN));
    let (host, port) = proxy.host.split_once(':').expect("a port");
    let proxies = format!(
        "<proxies><proxy><id>company</id><protocol>http</protocol><username>ci-user</username>\n\
         <password>{PASSWORD}</password><host>{host}</host><port>{port}</port></proxy></proxies>\n"
    );
    let Some(mut pod) = asking(&format!("http://{UNKNOWN_HOST}"), &proxies) else {
        return;
    };
    pod.var("HTTP_PROXY", &format!("http://{CLOSED}"));
    super::tells_nothing(&mut pod);
    let asked = proxy.asked();
    assert!(asked.iter().any(|asked| asked.authorization == Some(basic(LOGIN))), "{asked:?}");
}

/// The proxy is the environment's, the registry's login the settings'.
#[test]
fn the_environments_proxy_goes_with_the_settings_login() {
    let registry = Registry::start(Scheme::Http, Manner::Asks(format!("ci-user:{TOKEN}")));
    let proxy = Proxy::before(&registry, Some(LOGIN));
    let Some(mut pod) = asking(&format!("http://ci-user:{TOKEN}@{UNKNOWN_HOST}"), "") else {
        return;
    };
    pod.var("http_proxy", &format!("http://ci-user:{IN_URL}@{}", proxy.host));
    super::tells_nothing(&mut pod);
    assert!(!proxy.asked().is_empty());
}

/// A range of addresses is an exception, too; a host that is none of them is asked through the proxy.
#[test]
fn exceptions_are_said_in_mavens_words() {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let Some(mut pod) = asking(&registry.url(""), "") else {
        return;
    };
    pod.var("HTTP_PROXY", &format!("http://{CLOSED}")).var("NO_PROXY", "127.0.0.0/8,10.0.0.0/12");
    pod.build().succeeds();
    let plan = pod.plan();
    assert!(plan.contains("Maven has no words for 10.0.0.0/12 in NO_PROXY"), "{plan}");
    // By another way the same packages come: what was resolved would serve.
    pod.unset("INJECTOR_KEEP");
    pod.var("NO_PROXY", ".corp.example,27.0.0.1");
    pod.build().fails(52, &["the proxy cannot be reached on the way to"], &["HTTP"]);
}

/// What `MAVEN_OPTS` says of the JVM's trust stays, and is added to.
#[test]
fn a_trust_store_that_maven_is_told_of_stays() {
    let registry = Registry::start(Scheme::Https, Manner::Serves);
    let Some(mut pod) = asking(&registry.url(""), "") else {
        return;
    };
    let store = pod.path("theirs.p12");
    let theirs = pod.path("theirs.pem");
    pod.file("theirs.pem", &registry.ca);
    let made = std::process::Command::new("keytool")
        .args(["-importcert", "-noprompt", "-alias", "theirs", "-storepass", "changeit"])
        .args(["-file", &theirs, "-keystore", &store])
        .status();
    assert!(made.expect("it runs").success());
    let options =
        format!("-Xmx256m -Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit");
    let ours = pod.path("ours.pem");
    pod.file("ours.pem", &certificate().0).var("MAVEN_OPTS", &options);
    pod.build().succeeds();
    pod.var("INJECTOR_CA_FILE", &ours);
    pod.build().succeeds();
}

/// A page in the place of an artifact, as proxies and sign-in pages answer, is no artifact.
#[test]
fn a_page_instead_of_an_artifact_is_refused() {
    let registry = Registry::start(Scheme::Http, Manner::Answers("200 OK"));
    let Some(pod) = asking(&registry.url(""), "") else {
        return;
    };
    pod.build().fails(52, &[&registry.host, "does not answer as a registry does"], &["NO_PROXY"]);
}

#[test]
fn settings_that_forbid_the_network_are_obeyed() {
    let Some(pod) = asking(&format!("http://{CLOSED}"), "<offline>true</offline>") else {
        return;
    };
    pod.build().fails(
        51,
        &["acme:acmegreeting", "Maven offline"],
        &["hint: take <offline> out of settings.xml"],
    );
}

/// A repository on a volume needs no network.
#[test]
fn a_folder_that_is_mounted_is_enough() {
    let Some(mut pod) = asking("file:///x", "") else {
        return;
    };
    for (path, content) in PACKAGES.iter().filter(|(path, _)| path.starts_with("maven/")) {
        let path = pod.file(&format!("mirror/{path}"), "").path(&format!("mirror/{path}"));
        std::fs::write(path, content).expect("written");
    }
    let mirror = pod.path("mirror");
    pod.file("home/.m2/settings.xml", &settings(&format!("file://{mirror}"), ""));
    if let Some(pod) = pod.mounts_read_only("mirror") {
        pod.build().succeeds();
        pod.is_greeted();
    }
}

/// GitLab's registry takes its tokens so.
#[test]
fn a_token_goes_into_a_header() {
    let registry = Registry::start(Scheme::Http, Manner::AsksToken(TOKEN.to_owned()));
    let header = format!(
        "<servers><server><id>company</id><configuration><httpHeaders><property><name>Authorization</name>\n\
         <value>Bearer {TOKEN}</value></property></httpHeaders></configuration></server></servers>\n"
    );
    let Some(mut pod) = asking(&registry.url(""), &header) else {
        return;
    };
    super::tells_nothing(&mut pod);
}
