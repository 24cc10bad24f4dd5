//! cargo: where its packages come from, where its tokens are, and what of them its packages see.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::pod::{Installer, Pod};
use super::{IN_URL, LOGIN, PASSWORD, TOKEN};
use crate::support::machine;
use crate::support::packages::{PACKAGES, tool};
use crate::support::registry::{CLOSED, Manner, Registry, Scheme, UNKNOWN_HOST, basic, certificate};

/// A pod whose function wants what no registry has: it is known that its registry was asked, and nothing is compiled.
fn asking_in_vain() -> Option<Pod> {
    Pod::new(Installer::Cargo, "acmegreeting\nacmenothing\n")
}

/// A `config.toml` by which a registry stands for crates.io.
fn instead(registry: &Registry) -> String {
    format!(
        "[source.crates-io]\nreplace-with = \"acme\"\n[registries.acme]\nindex = \"sparse+{}/index/\"\n",
        registry.url("")
    )
}

#[test]
fn a_token_comes_from_wherever_cargo_keeps_one() {
    let registry = Registry::start(Scheme::Http, Manner::AsksToken(TOKEN.to_owned()));
    let config = instead(&registry);
    let token = format!("token = \"Bearer {TOKEN}\"\n");
    let credentials = format!("[registries.acme]\n{token}");
    let (here, there) = ("home/.cargo", "usr/local/cargo");
    for files in [
        vec![
            (format!("{here}/config.toml"), config.clone()),
            (format!("{here}/credentials.toml"), credentials.clone()),
        ],
        vec![(format!("{there}/config.toml"), config.clone()), (format!("{there}/credentials"), credentials)],
        vec![(format!("{here}/config"), config.clone() + &token)],
        vec![("src/.cargo/config.toml".to_owned(), config.clone() + &token)],
    ] {
        let Some(mut pod) = asking_in_vain() else { return };
        pod.secret(TOKEN).unset("CARGO_SOURCE_CRATES_IO_REPLACE_WITH");
        if files[0].0.starts_with(there) {
            let home = pod.path(there);
            pod.var("CARGO_HOME", &home);
        }
        for (path, text) in files {
            pod.file(&path, &text);
        }
        pod.build().fails(51, &["Cargo.toml:8", "acmenothing"], &["hint: "]);
        pod.plan();
    }
}

#[test]
fn what_somebody_put_above_the_scratch_room_is_not_obeyed() {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let Some(mut pod) = asking_in_vain() else { return };
    pod.asks(&registry, "").file(".cargo/config.toml", "[net]\noffline = true\n");
    pod.file("rust-toolchain.toml", "[toolchain]\nchannel = 'theirs'\n");
    pod.build().fails(51, &["Cargo.toml:8", "acmenothing"], &["hint: "]);
}

#[test]
fn a_token_of_the_functions_own_is_not_published() {
    let registry = Registry::start(Scheme::Http, Manner::AsksToken(TOKEN.to_owned()));
    let Some(mut pod) = Pod::new(Installer::Cargo, "acmegreeting\n") else { return };
    let config =
        format!("{}token = \"Bearer {TOKEN}\"\n[build]\nrustc-wrapper = \"/none\"\n", instead(&registry));
    pod.file("src/.cargo/config.toml", &config).unset("CARGO_SOURCE_CRATES_IO_REPLACE_WITH").secret(TOKEN);
    let ended = pod.build();
    ended.succeeds();
    pod.is_greeted();
    assert!(ended.stderr.contains(".cargo/config.toml holds credentials"), "{}", ended.stderr);
    let plan = pod.plan();
    assert!(plan.contains("[build] of .cargo/config.toml are left out"), "{plan}");
}

#[test]
fn a_token_is_not_given_to_another_registry_that_a_function_names() {
    let elsewhere = Registry::abroad(Scheme::Http);
    let registry = Registry::start(Scheme::Http, Manner::AsksToken(TOKEN.to_owned()));
    let Some(mut pod) = asking_in_vain() else { return };
    let token = format!("token = \"Bearer {TOKEN}\"\n");
    pod.file("home/.cargo/config.toml", &(instead(&registry) + &token))
        .file("src/.cargo/config.toml", &instead(&elsewhere))
        .unset("CARGO_SOURCE_CRATES_IO_REPLACE_WITH")
        .secret(TOKEN);
    pod.build().fails(51, &["acmenothing"], &[]);
    assert!(elsewhere.asked().is_empty(), "{:?}", elsewhere.asked());
}

#[test]
fn a_token_that_is_missing_or_wrong_is_told_by_the_registrys_name() {
    let registry = Registry::start(Scheme::Http, Manner::AsksToken(TOKEN.to_owned()));
    let Some(mut pod) = asking_in_vain() else { return };
    pod.index(&registry.url(""));
    let named = ["CARGO_REGISTRIES_COMPANY_TOKEN", "cargo-credentials.toml"];
    pod.build().fails(52, &["the registry company asks for a token"], &named);
    pod.var("CARGO_REGISTRIES_COMPANY_TOKEN", "Bearer another-t0ken").secret("another-t0ken");
    pod.build().fails(52, &[&registry.host, "refuses the token", "company", "401"], &named);
}

#[test]
fn a_registry_beside_crates_io_has_packages_of_its_own() {
    let (open, company) = (
        Registry::start(Scheme::Http, Manner::Serves),
        Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned())),
    );
    let Some(mut pod) = Pod::new(Installer::Cargo, "acmegreeting\n") else { return };
    let manifest = "[package]\nname = \"hello\"\nversion = \"0.1.0\"\n[dependencies]\n\
                    acmegreeting = \"1\"\nacmenothing = { version = \"1\", registry = \"company\" }\n";
    let mirror = format!(
        "[source.crates-io]\nreplace-with = \"m\"\n[source.m]\nregistry = \"sparse+{}/index/\"\n",
        open.url("")
    );
    pod.index(&company.url(&format!("ci-user:{IN_URL}@")))
        .unset("CARGO_SOURCE_CRATES_IO_REPLACE_WITH")
        .file("home/.cargo/config.toml", &mirror)
        .file("src/Cargo.toml", manifest)
        .secret(PASSWORD);
    pod.build().fails(51, &["Cargo.toml:6", "acmenothing", "`company`"], &[]);
    assert!(open.asked().iter().all(|asked| asked.authorization.is_none()), "{:?}", open.asked());
}

#[test]
fn a_registry_that_is_none_and_a_package_that_was_altered_are_the_platforms() {
    let page = Registry::start(Scheme::Http, Manner::Answers("200 OK"));
    let Some(mut pod) = asking_in_vain() else { return };
    pod.index(&page.url(""));
    pod.build().fails(52, &["does not answer as a registry does"], &["NO_PROXY"]);
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    pod.index(&registry.url("")).wants("altered\n");
    pod.build().fails(52, &["altered", "is not what its index lists"], &["the mirror changed it"]);
}

#[test]
fn a_private_ca_that_cargo_is_told_of_stays() {
    let registry = Registry::start(Scheme::Https, Manner::Serves);
    for variable in ["INJECTOR_CA_FILE", "SSL_CERT_FILE", "UNRELATED"] {
        let Some(mut pod) = asking_in_vain() else { return };
        let (ours, theirs) = (pod.path("ours.pem"), pod.path("theirs.pem"));
        pod.file("theirs.pem", &registry.ca)
            .file("home/.cargo/config.toml", &format!("[http]\ncainfo = \"{theirs}\"\n"))
            .file("ours.pem", &certificate().0)
            .var(variable, &ours)
            .index(&registry.url(""));
        pod.build().fails(51, &["acmenothing"], &[]);
    }
}

/// The files of the package, as `cargo vendor` leaves them, below a directory.
fn vendor(pod: &mut Pod, below: &str) {
    let line: serde_json::Value = serde_json::from_slice(&PACKAGES["index/acmegreeting"]).expect("JSON");
    let sums = serde_json::json!({ "files": {}, "package": line["cksum"] }).to_string();
    pod.file(&format!("{below}/acmegreeting/.cargo-checksum.json"), &sums)
        .file(
            &format!("{below}/acmegreeting/Cargo.toml"),
            "[package]\nname = \"acmegreeting\"\nversion = \"1.0.0\"\n",
        )
        .file(&format!("{below}/acmegreeting/src/lib.rs"), "pub const TEXT: &str = \"hello from afar\";\n");
}

#[test]
fn packages_that_are_mounted_or_come_along_are_enough() {
    let Some(mut pod) = Pod::new(Installer::Cargo, "acmegreeting\n") else { return };
    vendor(&mut pod, "mirror");
    let mirror = pod.path("mirror");
    pod.var("CARGO_SOURCE_CRATES_IO_REPLACE_WITH", "mirror")
        .var("CARGO_SOURCE_MIRROR_DIRECTORY", &mirror)
        .var("HTTPS_PROXY", &format!("http://{CLOSED}"));
    if let Some(pod) = pod.mounts_read_only("mirror") {
        pod.build().succeeds();
        pod.is_greeted();
        pod.wants("acmegreeting\nacmenothing\n");
        pod.build().fails(51, &["Cargo.toml:8", "acmenothing"], &[]);
    }
    let Some(mut pod) = Pod::new(Installer::Cargo, "acmegreeting\n") else { return };
    vendor(&mut pod, "src/vendor");
    pod.unset("CARGO_SOURCE_CRATES_IO_REPLACE_WITH").var("HTTPS_PROXY", &format!("http://{CLOSED}")).file(
        "src/.cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"vendored-sources\"\n[source.vendored-sources]\ndirectory = \"vendor\"\n",
    );
    pod.build().succeeds();
    pod.is_greeted();
}

/// By git's own program, with the login that `.netrc` has.
#[test]
fn a_repository_is_fetched_with_the_login_in_netrc() {
    let registry = Registry::start(Scheme::Https, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = Pod::new(Installer::Cargo, "acmegreeting\n") else { return };
    if !PACKAGES.contains_key("git/acme/acmegreeting.git/HEAD") {
        return machine::skip("rust", "there is no git on PATH");
    }
    let manifest = format!(
        "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\n\
         acmegreeting = {{ git = \"{}/git/acme/acmegreeting.git\" }}\n",
        registry.url("")
    );
    let (ca, host) = (registry.ca.clone(), registry.host.split(':').next().unwrap_or_default());
    let netrc = format!("machine {host}\nlogin ci-user\npassword {PASSWORD}\n");
    pod.trusts("INJECTOR_CA_FILE", &ca).file("src/Cargo.toml", &manifest).secret(PASSWORD);
    pod.build().fails(52, &[&registry.host, "asks for credentials"], &["mount", ".netrc"]);
    pod.file("home/.netrc", &netrc).build().succeeds();
    pod.is_greeted();
}

#[test]
fn a_build_script_sees_no_credentials() {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = Pod::new(Installer::Cargo, "nosy\n") else { return };
    pod.index(&registry.url(&format!("ci-user:{IN_URL}@")))
        .file("home/.cargo/credentials.toml", &format!("[registries.other]\ntoken = \"{TOKEN}\"\n"))
        .file(
            "home/.cargo/config.toml",
            &format!("[http]\nproxy = \"http://me:third-p4ssword@{UNKNOWN_HOST}\"\n"),
        )
        .file("home/.netrc", "machine elsewhere.invalid login me password another-p4ssword\n")
        .var("NO_PROXY", "127.0.0.1")
        .var("CODE_SIGNING_LABEL", "a-value-of-ours")
        .var("INJECTOR_PASS_ENV", "CODE_SIGNING_LABEL");
    for secret in [PASSWORD, TOKEN, "another-p4ssword", "third-p4ssword", "a-value-of-ours"] {
        pod.secret(secret);
    }
    // Whatever it sees becomes a part of the program, which is searched.
    pod.build().succeeds();
    let program = std::fs::read(pod.inner.function().join("out/server")).expect("a program");
    assert!(String::from_utf8_lossy(&program).contains("CARGO_MANIFEST_DIR="));
}

/// Where the toolchain is, past rustup, whose settings are in another home.
pub(super) fn toolchain() -> Option<PathBuf> {
    let rustc = tool("rust", "rustc")?;
    let output = std::process::Command::new(rustc).args(["--print", "sysroot"]).output().expect("it runs");
    Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).join("bin"))
}

/// Names the company's registry; a login in the URL becomes its token, since cargo allows none there.
pub(super) fn index<'a>(pod: &'a mut Pod, url: &str, variable: &str, path: &str) -> &'a mut Pod {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (login, host) = rest.rsplit_once('@').map_or((None, rest), |(login, host)| (Some(login), host));
    if let Some(login) = login {
        let login = percent_decode_str(login).decode_utf8_lossy();
        pod.var("CARGO_REGISTRIES_COMPANY_TOKEN", &basic(&login));
    }
    pod.var(variable, &format!("sparse+{scheme}://{host}{path}"))
}

/// A `Cargo.toml` that asks for these packages.
pub(super) fn manifest<'a>(packages: impl Iterator<Item = &'a str>) -> String {
    let asked = packages.map(|name| format!("{name} = \"1\"\n"));
    format!(
        "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n{}",
        asked.collect::<String>()
    )
}

/// A function that says what they say.
pub(super) fn function<'a>(packages: impl Iterator<Item = &'a str>) -> String {
    let texts = packages.flat_map(|name| [name, "::TEXT, "]).collect::<String>();
    format!(
        "use kubeless::{{Context, Event}};\n\npub fn hello(_: Event, _: Context) -> String {{\n    std::hint::black_box([{texts}]).concat()\n}}\n"
    )
}
