//! npm and pnpm: where their credentials are, and what of them their packages see.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::pod::{Installer, Pod};
use super::{IN_URL, LOGIN, PASSWORD, TOKEN, cells};
use crate::support::packages::{PACKAGES, tool};
use crate::support::python::put;
use crate::support::registry::{CLOSED, Manner, Proxy, Registry, Scheme, UNKNOWN_HOST, certificate};

/// Makes of each case a test for npm and one for pnpm.
macro_rules! each {
    ($($case:ident),* $(,)?) => { $(
        mod $case {
            super::cells!($case, with_npm Npm, with_pnpm Pnpm);
        }
    )* };
}

each!(
    credentials_come_from_the_users_npmrc,
    credentials_come_from_an_npmrc_that_is_named,
    credentials_come_from_the_functions_own_npmrc,
    a_scope_has_a_registry_of_its_own,
    more_configuration_is_taken_as_kubeless_took_it,
    a_proxy_comes_from_npmrc,
    a_private_ca_that_npm_is_told_of_stays,
    a_cache_that_is_mounted_is_enough,
    scripts_of_packages_see_no_credentials,
);

/// What locks and manifests hold is installed from, and not published.
#[test]
fn credentials_in_the_urls_of_a_manifest_or_a_lock_are_not_published() {
    let registry = Registry::start(Scheme::Http, Manner::Asks(format!("ci-user:{TOKEN}")));
    let Some(mut pod) = Pod::new(Installer::Npm, "acmegreeting\n") else {
        return;
    };
    let url =
        format!("{}/npm/acmegreeting/-/acmegreeting-1.0.0.tgz", registry.url(&format!("ci-user:{TOKEN}@")));
    let package = serde_json::json!({
        "version": "1.0.0", "resolved": url, "integrity": integrity("acmegreeting"),
    });
    let lock = |wanted: &str| {
        serde_json::json!({
            "lockfileVersion": 3,
            "packages": { "": { "dependencies": { "acmegreeting": wanted } }, "node_modules/acmegreeting": package },
        })
        .to_string()
    };
    pod.secret(TOKEN).index(&registry.url("")).file("src/package-lock.json", &lock("1.0.0"));
    let ended = pod.build();
    ended.succeeds();
    pod.is_greeted();
    assert!(ended.stderr.contains("package-lock.json holds credentials"), "{}", ended.stderr);
    let manifest = serde_json::json!({ "dependencies": { "acmegreeting": url } }).to_string();
    pod.file("src/package.json", &manifest).file("src/package-lock.json", &lock(&url));
    pod.build().succeeds();
    // One that is not reached is told of, and its login is not.
    let git = format!("git+https://ci-user:{TOKEN}@{CLOSED}/acme/greeting.git");
    std::fs::remove_file(pod.path("src/package-lock.json")).expect("removed");
    pod.file("src/package.json", &serde_json::json!({ "dependencies": { "acmegreeting": git } }).to_string());
    pod.build().fails(52, &[CLOSED], &[]);
}

/// What is read under one name is published under another, too.
#[test]
fn credentials_in_an_npmrc_that_is_a_link_are_not_published() {
    let Some(mut pod) = Pod::new(Installer::Npm, "") else {
        return;
    };
    let manifest = serde_json::json!({ "scripts": { "postinstall": "true" } }).to_string();
    pod.secret(TOKEN).file("src/package.json", &manifest);
    pod.file("src/npm.conf", &format!("//registry.example/:_authToken={TOKEN}\n"));
    symlink("npm.conf", pod.path("src/.npmrc")).expect("a link");
    let ended = pod.build();
    ended.succeeds();
    for held in [".npmrc", "npm.conf"] {
        assert!(ended.stderr.contains(&format!("{held} holds credentials")), "{}", ended.stderr);
    }
}

/// Nothing is lost of a function that is installed as a whole, whatever its files are called.
#[test]
fn a_function_with_scripts_keeps_its_files() {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let Some(mut pod) = Pod::new(Installer::Npm, "acmegreeting\n") else {
        return;
    };
    let manifest = serde_json::json!({
        "dependencies": { "acmegreeting": "1.0.0" }, "scripts": { "postinstall": "true" },
    })
    .to_string();
    pod.index(&registry.url("")).file("src/package.json", &manifest).file("src/package.json.own", "mine\n");
    pod.build().succeeds();
    assert_eq!(pod.published("deps/package.json"), manifest);
    assert_eq!(pod.published("deps/package.json.own"), "mine\n");
}

/// The ways in which an `.npmrc` gives a login: what the registry asks for, and the lines; `@/` is the registry.
fn logins() -> [(Manner, String); 4] {
    let encoded = |text: &str| STANDARD.encode(text);
    [
        (Manner::AsksToken(TOKEN.to_owned()), format!("@/:_authToken={TOKEN}\n")),
        (Manner::AsksToken(TOKEN.to_owned()), "@/:_authToken=${COMPANY_TOKEN}\n".to_owned()),
        (Manner::Asks(LOGIN.to_owned()), format!("@/:_auth={}\n", encoded(LOGIN))),
        (
            Manner::Asks(LOGIN.to_owned()),
            format!("@/:username=ci-user\n@/:_password={}\n", encoded(PASSWORD)),
        ),
    ]
}

/// A pod whose registry asks for a login, and the lines that give it.
fn asked(installer: Installer, (manner, lines): (Manner, String)) -> Option<(Pod, String)> {
    let registry = Registry::start(Scheme::Http, manner);
    let mut pod = Pod::new(installer, "acmegreeting\n")?;
    pod.index(&registry.url("")).var("COMPANY_TOKEN", TOKEN);
    pod.secret(TOKEN).secret(PASSWORD).secret(LOGIN);
    Some((pod, lines.replace("@/", &format!("//{}/npm/", registry.host))))
}

fn credentials_come_from_the_users_npmrc(installer: Installer) {
    for login in logins() {
        let Some((mut pod, lines)) = asked(installer, login) else {
            return;
        };
        pod.file("home/.npmrc", &lines).build().succeeds();
        pod.is_greeted();
        pod.plan();
    }
}

fn credentials_come_from_an_npmrc_that_is_named(installer: Installer) {
    for login in logins() {
        let Some((mut pod, lines)) = asked(installer, login) else {
            return;
        };
        let path = pod.path("login");
        pod.file("login", &lines).var("NPM_CONFIG_USERCONFIG", &path);
        super::tells_nothing(&mut pod);
    }
}

fn credentials_come_from_the_functions_own_npmrc(installer: Installer) {
    for (manner, lines) in logins() {
        // pnpm reads no variables in what may be a stranger's file: https://pnpm.io/npmrc
        if installer == Installer::Pnpm && lines.contains("${") {
            continue;
        }
        let Some((mut pod, lines)) = asked(installer, (manner, lines)) else {
            return;
        };
        let ended = pod.file("src/.npmrc", &lines).build();
        ended.succeeds();
        pod.is_greeted();
        let told = ended.stderr.contains(".npmrc holds credentials");
        assert_eq!(told, !lines.contains("${"), "{}", ended.stderr);
    }
}

fn a_scope_has_a_registry_of_its_own(installer: Installer) {
    let (open, company) = (
        Registry::start(Scheme::Http, Manner::Serves),
        Registry::start(Scheme::Http, Manner::AsksToken(TOKEN.to_owned())),
    );
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n@acme/secret\n") else {
        return;
    };
    let token = format!("//{}/npm/:_authToken={TOKEN}\n", company.host);
    let scope = format!("@acme:registry={}/npm/\n", company.url(""));
    pod.index(&open.url("")).file("home/.npmrc", &format!("{scope}{token}")).secret(TOKEN);
    pod.build().succeeds();
    assert_eq!(pod.published("deps/node_modules/@acme/secret/index.js"), "module.exports = 'hush'\n");
    assert!(open.asked().iter().all(|asked| asked.authorization.is_none()), "{:?}", open.asked());
    // The same in Kubeless' words.
    pod.index(&company.url(""))
        .var("NPM_SCOPE", "@acme")
        .var("npm_config_registry", &format!("{}/npm/", open.url("")))
        .file("home/.npmrc", &token);
    pod.build().succeeds();
}

fn more_configuration_is_taken_as_kubeless_took_it(installer: Installer) {
    let Some((mut pod, line)) = asked(installer, logins()[0].clone()) else {
        return;
    };
    pod.var("NPM_CONFIG_EXTRA", &format!("strict-ssl=true {line}"));
    super::tells_nothing(&mut pod);
}

fn a_proxy_comes_from_npmrc(installer: Installer) {
    let registry = Registry::start(Scheme::Https, Manner::Serves);
    let proxy = Proxy::before(&registry, Some(LOGIN));
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    let ca = pod.path("company.pem");
    pod.index(&format!("https://{UNKNOWN_HOST}"))
        .file("company.pem", &registry.ca)
        .var("INJECTOR_CA_FILE", &ca)
        .file("home/.npmrc", &format!("https-proxy=http://ci-user:{IN_URL}@{}\n", proxy.host))
        .secret(PASSWORD);
    super::tells_nothing(&mut pod);
    assert!(!proxy.asked().is_empty());
}

fn a_private_ca_that_npm_is_told_of_stays(installer: Installer) {
    let registry = Registry::start(Scheme::Https, Manner::Serves);
    for variable in ["INJECTOR_CA_FILE", "SSL_CERT_FILE", "UNRELATED"] {
        let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
            return;
        };
        let ours = pod.path("ours.pem");
        pod.file("home/theirs.pem", &registry.ca)
            .file("home/.npmrc", "cafile=~/theirs.pem\n")
            .file("ours.pem", &certificate().0)
            .var(variable, &ours)
            .index(&registry.url(""));
        pod.build().succeeds();
    }
}

/// Made elsewhere with another registry; and read-only, as a Kubernetes volume brings it.
fn a_cache_that_is_mounted_is_enough(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Serves);
    let Some(mut pod) = Pod::new(installer, "acmegreeting\n") else {
        return;
    };
    let cache = pod.path("cache");
    let made = pod.path("made");
    put(format!("{made}/package.json").as_ref(), manifest(["acmegreeting"].into_iter()));
    let (command, extra) = if installer == Installer::Npm {
        (["npm", "install", "--package-lock", "--cache"], format!("offline=true cache={cache}"))
    } else {
        put(format!("{made}/pnpm-lock.yaml").as_ref(), lock(["acmegreeting"].into_iter()));
        let extra = format!("offline=true store-dir={cache} frozen-store=true trust-lockfile=true");
        (["pnpm", "install", "--frozen-lockfile", "--store-dir"], extra)
    };
    let registry = format!("{}/npm/", registry.url(""));
    let output = Command::new(tool("nodejs", command[0]).expect("it is on PATH"))
        .args(&command[1..])
        .arg(&cache)
        .current_dir(&made)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &made)
        .env("npm_config_registry", &registry)
        .env("pnpm_config_registry", &registry)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    if installer == Installer::Npm {
        pod.file(
            "src/package-lock.json",
            &std::fs::read_to_string(format!("{made}/package-lock.json")).expect("a lock"),
        );
    }
    pod.index(&format!("http://{CLOSED}")).var("NPM_CONFIG_EXTRA", &extra);
    // pnpm 10 notes in its store who uses it.
    let mounted = if installer == Installer::Pnpm { Some(&mut pod) } else { pod.mounts_read_only("cache") };
    if let Some(pod) = mounted {
        pod.build().succeeds();
        pod.is_greeted();
    }
}

fn scripts_of_packages_see_no_credentials(installer: Installer) {
    let registry = Registry::start(Scheme::Http, Manner::Asks(LOGIN.to_owned()));
    let Some(mut pod) = Pod::new(installer, "nosy\n") else {
        return;
    };
    pod.index(&registry.url(&format!("ci-user:{IN_URL}@")))
        .file(
            "home/.npmrc",
            &format!("//{}/:_authToken=${{COMPANY_TOKEN}}\n@x:_authToken={TOKEN}2\n", registry.host),
        )
        .file("home/.netrc", "machine elsewhere.invalid login me password another-p4ssword\n")
        .file("src/.npmrc", "//elsewhere.invalid/:_password=dGhpcmQtcDRzc3dvcmQ=\n")
        .file(
            "src/pnpm-workspace.yaml",
            "packages: ['.']\nonlyBuiltDependencies: [nosy]\nallowBuilds: {nosy: true}\n",
        )
        .var("COMPANY_TOKEN", TOKEN)
        .var("NPM_CONFIG_EXTRA", "//elsewhere.invalid/:_authToken=fourth-p4ssword")
        .var("CODE_SIGNING_LABEL", "a-value-of-ours");
    for secret in
        [PASSWORD, TOKEN, "another-p4ssword", "third-p4ssword", "fourth-p4ssword", "a-value-of-ours"]
    {
        pod.secret(secret);
    }
    // Whatever the package sees, it writes to where its pod can read it.
    pod.build().succeeds();
    let seen: serde_json::Value =
        serde_json::from_str(&pod.published("deps/node_modules/nosy/seen.json")).expect("JSON");
    assert!(seen["env"]["PATH"].is_string(), "{seen}");
}

/// A `package.json` that asks for these packages.
pub(super) fn manifest<'a>(packages: impl Iterator<Item = &'a str>) -> String {
    let dependencies: serde_json::Map<_, _> =
        packages.map(|name| (name.to_owned(), "1.0.0".into())).collect();
    serde_json::json!({ "dependencies": dependencies }).to_string()
}

/// Its lock as pnpm makes it.
pub(super) fn lock<'a>(packages: impl Iterator<Item = &'a str> + Clone) -> String {
    let mut lock = String::from("lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n");
    for name in packages.clone() {
        let _ = writeln!(lock, "      '{name}':\n        specifier: 1.0.0\n        version: 1.0.0");
    }
    lock.push_str("packages:\n");
    for name in packages.clone() {
        let _ = writeln!(lock, "  '{name}@1.0.0':\n    resolution: {{integrity: {}}}", integrity(name));
    }
    lock.push_str("snapshots:\n");
    for name in packages {
        let _ = writeln!(lock, "  '{name}@1.0.0': {{}}");
    }
    lock
}

/// The digest that the registry gives of a package; that of nothing, where it has none.
fn integrity(package: &str) -> String {
    let nothing =
        "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";
    let Some(packument) = PACKAGES.get(&format!("npm/{package}")) else {
        return nothing.to_owned();
    };
    let packument: serde_json::Value = serde_json::from_slice(packument).expect("JSON");
    let digest = packument["versions"]["1.0.0"]["dist"]["integrity"].as_str();
    digest.expect("a digest").to_owned()
}
