//! How the operator's configuration of cargo, and the function's own, reach it: which step gets what of it.

use builders::plan::Action;

use super::{CRATE, USUAL, World, lines, plan, refusal};

/// The private `config.toml`, the step that fetches, what its secrets stand for, and what was decided.
struct Made {
    file: String,
    fetch: String,
    secrets: Vec<(String, String)>,
    because: String,
}

#[track_caller]
fn made(world: &World, rest: &str) -> Made {
    let plan = plan(world, &format!("{CRATE}[dependencies]\nitoa = '1'\n{rest}")).expect("a plan");
    let shown = format!("{plan}{}", serde_json::to_string(&plan).expect("JSON"));
    assert!(!shown.contains("s3cr3t"), "{shown}");
    let file = |step: &builders::plan::Step| match &step.action {
        Action::Write { text, .. } if step.name == "config" => Some(text.to_string()),
        _ => None,
    };
    let files: Vec<_> = plan.resolve.iter().chain(&plan.compile).filter_map(file).collect();
    assert!(files.len() == 2 && files[0] == files[1], "{files:?}");
    Made {
        file: files[0].clone(),
        fetch: lines(&plan.to_string(), "fetch:")[0].to_owned(),
        secrets: plan.secrets.0.into_iter().collect(),
        because: plan.because.join("\n"),
    }
}

const COMPANY: &str = "[source.crates-io]\nreplace-with = 'company'\n[registries.company]\n\
                       index = 'sparse+https://registry.example/index/'\n";

#[test]
fn every_step_knows_the_sources_and_one_the_tokens() {
    let files = [
        ("~/.cargo/credentials.toml", "[registries.company]\ntoken = 's3cr3t'\n"),
        ("~/.cargo/config.toml", COMPANY),
    ];
    let found = made(&World { files: files.to_vec().leak(), ..USUAL }, "");
    assert_eq!(
        found.file,
        "source.crates-io.replace-with = \"company\"\n\
         registries.company.index = \"sparse+https://registry.example/index/\"\n"
    );
    assert!(
        found.fetch.contains(" CARGO_REGISTRIES_COMPANY_TOKEN=<CARGO_REGISTRIES_COMPANY_TOKEN> "),
        "{}",
        found.fetch
    );
    assert!(
        found.fetch.contains(" CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS=cargo:token "),
        "{}",
        found.fetch
    );
    assert_eq!(found.secrets, [("CARGO_REGISTRIES_COMPANY_TOKEN".to_owned(), "s3cr3t".to_owned())]);
    assert!(found.because.contains("company stands for crates.io"), "{}", found.because);
}

#[test]
fn a_variable_wins_over_a_file() {
    let env = [("CARGO_REGISTRIES_COMPANY_TOKEN", "theirs"), ("CARGO_NET_RETRY", "1")];
    let files = [(
        "~/.cargo/config.toml",
        "[registries.company]\ntoken = 's3cr3t'\n[net]\nretry = 9\ngit-fetch-with-cli = true\n\
         [registry]\nglobal-credential-providers = ['cargo:token', 'our-helper --of us']\n",
    )];
    let found = made(&World { env: env.to_vec().leak(), files: files.to_vec().leak(), ..USUAL }, "");
    assert!(
        !found.fetch.contains("CARGO_NET_RETRY=") && !found.fetch.contains("COMPANY_TOKEN="),
        "{}",
        found.fetch
    );
    assert!(
        found.fetch.contains(" CARGO_NET_GIT_FETCH_WITH_CLI=<CARGO_NET_GIT_FETCH_WITH_CLI> "),
        "{}",
        found.fetch
    );
    assert!(
        found.fetch.contains(" --config <CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS>"),
        "{}",
        found.fetch
    );
    let providers = "registry.global-credential-providers=[\"cargo:token\", \"our-helper --of us\"]";
    assert!(found.secrets.iter().any(|(_, value)| value == providers), "{:?}", found.secrets);
}

#[test]
fn variables_say_of_sources_what_cargo_lets_files_only_say() {
    let env = [
        ("CARGO_SOURCE_CRATES_IO_REPLACE_WITH", "our-mirror"),
        ("CARGO_SOURCE_OUR_MIRROR_DIRECTORY", "/mirror/crates"),
        ("CARGO_SOURCE_OTHER_LOCAL_REGISTRY", "/mirror/local"),
    ];
    let found = made(&World { env: env.to_vec().leak(), ..USUAL }, "");
    assert_eq!(
        found.file,
        "source.crates-io.replace-with = \"our-mirror\"\n\
         source.other.local-registry = \"/mirror/local\"\n\
         source.our-mirror.directory = \"/mirror/crates\"\n"
    );
}

#[test]
fn of_a_functions_own_file_registries_and_sources_are_obeyed() {
    let own = "//- .cargo/config.toml\n\
               [source.crates-io]\nreplace-with = 'vendored-sources'\n\
               [source.vendored-sources]\ndirectory = './vendor/'\n\
               [registries.acme]\nindex = 'sparse+https://acme.example/'\ntoken = 's3cr3t'\ncredential-provider = 'sh'\n\
               [build]\nrustflags = ['-Cx']\nrustc-wrapper = 'sh'\n[target.x]\nrunner = 'sh'\n[alias]\nb = 'build'\n\
               [http]\nproxy = 'elsewhere'\n[registry]\nglobal-credential-providers = ['sh']\n";
    let found = made(&USUAL, own);
    assert_eq!(
        found.file,
        "source.crates-io.replace-with = \"vendored-sources\"\n\
         source.vendored-sources.directory = '<kept>/function/vendor'\n\
         registries.acme.index = \"sparse+https://acme.example/\"\n"
    );
    assert_eq!(found.secrets, [("CARGO_REGISTRIES_ACME_TOKEN".to_owned(), "s3cr3t".to_owned())]);
    let told = "[build], [http], [registry], [target] of .cargo/config.toml are left out";
    assert!(found.because.contains(told), "{}", found.because);
}

#[test]
fn a_function_redirects_no_registry_of_the_operators() {
    let world = World { files: [("~/.cargo/config.toml", COMPANY)].to_vec().leak(), ..USUAL };
    let own = "//- .cargo/config.toml\n[registries.company]\nindex = 'sparse+https://elsewhere.example/'\n";
    let found = made(&world, own);
    assert!(found.file.contains("https://registry.example/index/"), "{}", found.file);
    assert!(!found.file.contains("elsewhere"), "{}", found.file);
}

#[test]
fn what_cannot_be_obeyed_is_refused() {
    let refused =
        |world: &World, own: &str| refusal(plan(world, &format!("{CRATE}[dependencies]\nitoa = '1'\n{own}")));
    assert_eq!(
        refused(&USUAL, "//- .cargo/config.toml\n[source\n"),
        "manifest: .cargo/config.toml:1:8: unclosed table, expected `]` | -"
    );
    assert!(
        refused(&USUAL, "//- .cargo/config.toml\n[source.x]\ndirectory = '../y'\n")
            .starts_with("manifest: .cargo/config.toml: the source x is at \"../y\"")
    );
    let mirror = "[source.crates-io]\nreplace-with = 'm'\n[source.m]\nregistry = 'sparse+https://u:s3cr3t@registry.example/'\n";
    let world = World { files: [("~/.cargo/config.toml", mirror)].to_vec().leak(), ..USUAL };
    let told = refused(&world, "");
    assert!(told.starts_with("dependencies: the URL of source.m.registry holds credentials"), "{told}");
    assert!(!told.contains("s3cr3t"), "{told}");
}
