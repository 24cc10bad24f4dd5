//! What is planned.

use builders::plan::{Action, Credentials, Network, ResolvesFrom, Serves};
use toml::Value;

use super::{CRATE, USUAL, World, lines, manifest, plan, text, written};

#[test]
fn a_function_without_packages_is_built_without_the_network() {
    for fixture in [
        "//- hello.rs\n",
        "//- hello.rs\n//- Cargo.toml\n",
        "//- hello.rs\n//- Cargo.toml\n[package]\nname = 'x'\n",
    ] {
        let world = World { handler: "hello.handler", ..USUAL };
        let plan = plan(&world, fixture).expect("a plan");
        assert!(plan.resolve.iter().all(|step| step.name.starts_with("server ")), "{plan}");
        assert!([plan.resolve, plan.compile].concat().iter().all(|step| step.network == Network::Unused));
    }
}

#[test]
fn packages_are_fetched_with_credentials_and_compiled_without() {
    let plan = plan(&USUAL, &format!("{CRATE}[dependencies]\nitoa = '1'\n")).expect("a plan");
    for step in [plan.check, plan.resolve, plan.compile].concat() {
        let Action::Run(run) = &step.action else { continue };
        let is_fetch = step.name == "fetch";
        assert_eq!(run.credentials == Credentials::Given, is_fetch, "{}", step.name);
        assert_eq!(step.network == Network::Needed, is_fetch, "{}", step.name);
        assert!(is_fetch || step.action.to_string().contains("--frozen"), "{}", step.action);
    }
}

#[test]
fn resolving_depends_on_no_source() {
    let fixture = format!(
        "{CRATE}[dependencies]\na = {{ path = 'a' }}\n//- a/Cargo.toml\n[package]\nname = 'a'\n//- a/src/lib.rs\n//- .cargo/config.toml\n"
    );
    let plan = plan(&USUAL, &fixture).expect("a plan");
    assert_eq!(plan.kept, Serves::InPlace);
    let ResolvesFrom::Files(files) = plan.resolves_from else { panic!("on all") };
    let files: Vec<_> = files.iter().map(ToString::to_string).collect();
    assert_eq!(files, [".cargo/config.toml", "Cargo.toml", "a/Cargo.toml"]);
}

#[test]
fn the_program_is_linked_statically_for_the_machine_that_builds() {
    let text = text(&World { host: "aarch64-unknown-linux-gnu", ..USUAL }, CRATE);
    let build = lines(&text, "build: ");
    assert!(build[0].contains(" CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu "), "{build:?}");
    let flags = " CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS=-Ctarget-feature=+crt-static ";
    assert!(build[0].contains(flags), "{build:?}");
    assert_eq!(
        lines(&text, "program: "),
        ["program: copy <kept>/target/aarch64-unknown-linux-gnu/release/kubeless-function to <out>/server"]
    );
}

#[test]
fn the_manifest_is_the_authors_with_our_server_added() {
    let found = manifest(&format!(
        "{CRATE}default-run = 'tool'\nedition = '2018'\n[lib]\ncrate-type = ['cdylib']\n[[bin]]\nname = 'tool'\n\
         [dependencies]\nkubeless = {{ version = '0.9', features = ['x'] }}\nitoa = '1'\n\
         [profile.release]\nlto = true\npanic = 'abort'\n[patch.crates-io]\nitoa = {{ path = 'itoa' }}\n\
         [dev-dependencies]\ntempfile = '3'\n[target.'cfg(unix)'.dev-dependencies]\nx = '1'\n[lints.rust]\nunused = 'deny'\n"
    ));
    let at = |path: &[&str]| {
        path.iter().try_fold(&Value::Table(found.clone()), |value, key| value.get(key)).cloned()
    };
    assert_eq!(at(&["package", "edition"]), Some("2018".into()));
    assert_eq!(at(&["package", "default-run"]), None);
    assert_eq!(at(&["package", "autobins"]), Some(false.into()));
    assert_eq!(at(&["lib", "name"]), Some("my_crate".into()));
    assert_eq!(at(&["lib", "crate-type"]), Some(Value::Array(vec!["lib".into()])));
    assert_eq!(at(&["dependencies", "kubeless", "path"]), Some(".kubeless".into()));
    assert_eq!(at(&["dependencies", "kubeless", "version"]), None);
    assert_eq!(at(&["dependencies", "itoa"]), Some("1".into()));
    assert_eq!(at(&["profile", "release", "lto"]), Some(true.into()));
    assert_eq!(at(&["profile", "release", "panic"]), Some("unwind".into()));
    assert_eq!(at(&["patch", "crates-io", "itoa", "path"]), Some("itoa".into()));
    assert_eq!(at(&["lints", "rust", "unused"]), Some("deny".into()));
    assert_eq!(at(&["dev-dependencies"]), None);
    assert_eq!(at(&["target", "cfg(unix)", "dev-dependencies"]), None);
    let programs = at(&["bin"]).expect("ours");
    assert_eq!(programs.as_array().map(Vec::len), Some(1));
    let text = text(&USUAL, &format!("{CRATE}[profile.release]\npanic = 'abort'\n"));
    assert!(text.contains("`panic = \"abort\"` is not obeyed"), "{text}");
}

#[test]
fn a_lock_is_kept_as_it_is_but_for_our_server() {
    let lock = "//- Cargo.lock\nversion = 4\n\n[[package]]\nname = \"itoa\"\nversion = \"1.0.14\"\nsource = \"registry+x\"\n\
                checksum = \"00\"\n\n[[package]]\nname = \"kubeless\"\nversion = \"0.9.0\"\nsource = \"git+x\"\n\n\
                [[package]]\nname = \"my-crate\"\nversion = \"0.1.0\"\ndependencies = [\n \"itoa\",\n \"kubeless 0.9.0\",\n]\n";
    let fixture = format!("{CRATE}[dependencies]\nitoa = '1'\n[dev-dependencies]\ntempfile = '3'\n{lock}");
    assert_eq!(
        written(&USUAL, "<kept>/function/Cargo.lock", &fixture),
        "version = 4\n\n[[package]]\nname = \"itoa\"\nversion = \"1.0.14\"\nsource = \"registry+x\"\nchecksum = \"00\"\n\n\
         [[package]]\nname = \"my-crate\"\nversion = \"0.1.0\"\ndependencies = [\n \"itoa\",\n \"kubeless\",\n]\n\n\
         [[package]]\nname = \"kubeless\"\nversion = \"1.0.0\"\n\n"
    );
    assert!(manifest(&fixture).contains_key("dev-dependencies"), "the lock has them, too");
    assert!(text(&USUAL, &fixture).contains(" cargo fetch --target x86_64-unknown-linux-gnu --locked "));
}

#[test]
fn a_handler_is_found_in_the_crate() {
    let fixture = format!("{CRATE}//- src/orders.rs\n//- src/a/mod.rs\n//- src/a/b.rs\n");
    for (handler, file, path) in [
        ("lib.run", "src/lib.rs", "authors::run("),
        ("src/lib.run", "src/lib.rs", "authors::run("),
        ("my-crate.run", "src/lib.rs", "authors::run("),
        ("my_crate.run", "src/lib.rs", "authors::run("),
        ("orders.run", "src/orders.rs", "authors::orders::run("),
        ("src.orders.run", "src/orders.rs", "authors::orders::run("),
        ("my_crate.a.run", "src/a/mod.rs", "authors::a::run("),
        ("a.b.run", "src/a/b.rs", "authors::a::b::run("),
    ] {
        let world = World { handler, ..USUAL };
        let text = text(&world, &fixture);
        assert!(text.contains(&format!("{file} holds the handler {handler}")), "{handler}: {text}");
        let glue = written(&world, "<kept>/glue/main.rs", &fixture);
        assert!(
            // Without another name, `rust_2018_idioms`, which a manifest may deny, finds them idle.
            glue.contains(path) && glue.contains("kubeless as server;\nextern crate my_crate as authors;"),
            "{handler}: {glue}"
        );
    }
    let elsewhere = "//- code/start.rs\n//- Cargo.toml\n[lib]\nname = 'other'\npath = './code/start.rs'\n";
    for handler in ["start.run", "code/start.run", "other.run"] {
        let glue = written(&World { handler, ..USUAL }, "<kept>/glue/main.rs", elsewhere);
        assert!(glue.contains("other as authors") && glue.contains("authors::run("), "{glue}");
    }
    let flat = World { handler: "pkg.my-orders.run", ..USUAL };
    let found: toml::Table =
        written(&flat, "<kept>/function/Cargo.toml", "//- pkg/my-orders.rs\n").parse().expect("TOML");
    assert_eq!(found["lib"]["path"], "pkg/my-orders.rs".into());
    assert_eq!(found["package"]["edition"], "2021".into());
}

#[test]
fn a_dependency_file_of_another_name_counts() {
    let world = World { deps_file: Some("deps.toml"), handler: "hello.run", ..USUAL };
    let found = written(
        &world,
        "<kept>/function/Cargo.toml",
        "//- hello.rs\n//- deps.toml\n[dependencies]\nitoa = '1'\n",
    );
    assert!(found.contains("itoa = \"1\""), "{found}");
}
