//! How Kubeless' variables and the user's own configuration reach npm and pnpm.

use super::{USUAL, WITH_MS, World, line, plan};

const PNPM_LOCK: &str = "//- pnpm-lock.yaml\n";

/// The installation, with npm or with pnpm, and what its secrets stand for.
#[track_caller]
fn installed(world: &World, rest: &str) -> (String, Vec<(String, String)>) {
    let plan = plan(world, &format!("{WITH_MS}{rest}")).expect("a plan");
    let shown = format!("{plan}{}", serde_json::to_string(&plan).expect("JSON"));
    assert!(!shown.contains("s3cr3t"), "{shown}");
    (line(&plan.to_string(), "install:").to_owned(), plan.secrets.0.into_iter().collect())
}

#[test]
fn kubeless_variables_name_a_registry() {
    let secret = [("NPM_REGISTRY:login".to_owned(), "dXNlcjpzM2NyM3Q=".to_owned())];
    let world = World { env: &[("NPM_REGISTRY", "https://user:s3cr3t@registry.example/npm/")], ..USUAL };
    let (npm, secrets) = installed(&world, "");
    assert!(npm.contains(" npm_config_//registry.example/npm/:_auth=<NPM_REGISTRY:login> "), "{npm}");
    assert!(npm.contains(" npm_config_registry=https://registry.example/npm/ npm install "), "{npm}");
    assert_eq!(secrets, secret);
    let (pnpm, secrets) = installed(&world, PNPM_LOCK);
    assert!(pnpm.contains(" --config.registry=https://registry.example/npm/ "), "{pnpm}");
    assert!(pnpm.contains(" --config.//registry.example/npm/:_auth=<NPM_REGISTRY:login> "), "{pnpm}");
    assert_eq!(secrets, secret);
    for scope in ["@my_org", "my_org"] {
        let env = [("NPM_REGISTRY", "https://user:s3cr3t@registry.example/npm/"), ("NPM_SCOPE", scope)];
        let world = World { env: env.to_vec().leak(), ..USUAL };
        assert!(installed(&world, "").0.contains(" --@my_org:registry=https://registry.example/npm/ "));
        assert!(
            installed(&world, PNPM_LOCK)
                .0
                .contains(" --config.@my_org:registry=https://registry.example/npm/ ")
        );
    }
}

#[test]
fn more_configuration_is_taken_as_npm_config_set_took_it() {
    let extra = "//registry.example/:_authToken=s3cr3t fetch-retries 5 strict-ssl=false foo:bar";
    let world = World {
        env: &[(
            "NPM_CONFIG_EXTRA",
            "//registry.example/:_authToken=s3cr3t fetch-retries 5 strict-ssl=false foo:bar",
        )],
        ..USUAL
    };
    let (npm, secrets) = installed(&world, "");
    assert!(npm.contains(" NPM_CONFIG_EXTRA= "), "npm would take it for a key: {npm}");
    for set in [
        "npm_config_//registry.example/:_authToken=<NPM_CONFIG_EXTRA:1>",
        "npm_config_fetch_retries=5",
        "npm_config_strict_ssl=<NPM_CONFIG_EXTRA:3>",
    ] {
        assert!(npm.contains(set), "{set} in {npm}");
    }
    let values: Vec<_> = secrets.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["s3cr3t", "false"], "{extra}");
    let (pnpm, _) = installed(&world, PNPM_LOCK);
    assert!(pnpm.contains(" --config.//registry.example/:_authToken=<NPM_CONFIG_EXTRA:1>"), "{pnpm}");
}

#[test]
fn what_the_user_says_wins() {
    let patient = World {
        env: &[
            ("NPM_CONFIG_FETCH_TIMEOUT", "1000"),
            ("npm_config_registry", "https://a.example/"),
            ("NPM_REGISTRY", "https://b.example/"),
        ],
        ..USUAL
    };
    let (npm, _) = installed(&patient, "");
    assert!(!npm.contains("fetch_timeout") && !npm.contains("<NPM_REGISTRY>"), "{npm}");
    assert!(npm.contains("fetch_retry_mintimeout=1000"), "{npm}");
    let (npm, _) = installed(&USUAL, "//- .npmrc\nfetch-retry-mintimeout = 7\n; fetch-timeout=5\n");
    assert!(!npm.contains("mintimeout") && npm.contains("fetch_timeout=90000"), "{npm}");
    let file = World { files: &[("~/.config/pnpm/config.yaml", "fetchTimeout: 1000\n")], ..USUAL };
    assert!(!installed(&file, PNPM_LOCK).0.contains("fetch-timeout"));
}

#[test]
fn pnpm_is_told_what_npms_variables_say_of_the_network() {
    let env = &[
        ("NPM_CONFIG_REGISTRY", "https://user:s3cr3t@registry.example/"),
        ("npm_config_//registry.example/:_authToken", "s3cr3t"),
        ("npm_config_cafile", "/ca.pem"),
        ("npm_config_userconfig", "/npmrc"),
        ("npm_config_loglevel", "silly"),
    ];
    let (pnpm, secrets) = installed(&World { env, ..USUAL }, PNPM_LOCK);
    for told in [
        "--config.registry=<registry>",
        "--config.//registry.example/:_authToken=<//registry.example/:_authToken>",
        "--config.cafile=<cafile>",
    ] {
        assert!(pnpm.contains(told), "{told} in {pnpm}");
    }
    assert!(!pnpm.contains("userconfig") && !pnpm.contains("loglevel"), "{pnpm}");
    assert_eq!(secrets.len(), 3);
    let own =
        &[("NPM_CONFIG_REGISTRY", "https://a.example/"), ("PNPM_CONFIG_REGISTRY", "https://b.example/")];
    let (pnpm, _) = installed(&World { env: own, ..USUAL }, PNPM_LOCK);
    assert!(pnpm.contains(" --config.registry=https://b.example/ "), "{pnpm}");
}

#[test]
fn who_wants_no_scripts_gets_none() {
    let plan = plan(&USUAL, &format!("{WITH_MS}//- .npmrc\nignore-scripts=true\n")).expect("a plan");
    assert!(plan.because.contains(&"no script runs: ignore-scripts is configured".to_owned()), "{plan}");
    assert!(plan.resolve.iter().all(|step| step.name != "scripts"), "{plan}");
}

#[test]
fn a_mounted_cache_is_used() {
    let env =
        &[("npm_config_cache", "/mirror/npm"), ("NPM_CONFIG_EXTRA", "offline=true store-dir=/mirror/pnpm")];
    let world = World { env, ..USUAL };
    let (npm, secrets) = installed(&world, "");
    assert!(
        npm.contains(" --cache=<cache>") && npm.contains(" npm_config_offline=<NPM_CONFIG_EXTRA:1> "),
        "{npm}"
    );
    assert!(secrets.contains(&("cache".to_owned(), "/mirror/npm".to_owned())), "{secrets:?}");
    let (pnpm, _) = installed(&world, PNPM_LOCK);
    assert!(
        pnpm.contains(" --config.store-dir=<store-dir> ") && pnpm.contains(" --config.cache-dir=<scratch>/"),
        "{pnpm}"
    );
}

#[test]
fn kubeless_variable_is_configuration_as_any_other() {
    let env = &[("NPM_CONFIG_EXTRA", "ignore-scripts true fetch-timeout=5000")];
    let world = World { env, ..USUAL };
    let (npm, _) = installed(&world, "");
    assert!(npm.contains(" npm_config_fetch_timeout=5000 "), "{npm}");
    let plan = plan(&world, WITH_MS).expect("a plan");
    assert!(plan.because.contains(&"no script runs: ignore-scripts is configured".to_owned()), "{plan}");
    assert!(!plan.resolve.iter().any(|step| step.name == "scripts"), "{plan}");
}
