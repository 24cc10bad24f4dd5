//! What is planned, and why.

use builders::assets;
use builders::plan::Action;

use super::{LOCK, PROJECT, USUAL, WITH_UV, World, error, lines, plan, python, text};

#[test]
fn a_single_file_is_checked_and_compiled() {
    let plan = text(&USUAL, "//- hello.py\n");
    assert_eq!(plan, "\
because
  hello.py holds the handler hello.handler
  there is no dependency file
check
  check-helper: put python/check.py at <scratch>/check.py
    our program behind `check`
  compile-helper: put python/compile.py at <scratch>/compile.py
    our program behind `compile`
  check: in <scratch>: python -I -S -W ignore <scratch>/check.py <source> hello.py handler
    syntax of every file, and whether the handler is there
compile
  server kubeless.py: put python/server/kubeless.py at <server>/kubeless.py
    what calls the function
  server request.py: put python/server/request.py at <server>/request.py
    what calls the function
  compile: in <scratch>: python -I -S <scratch>/compile.py <jobs> <source>=source <server>=server
    byte-code, for a faster first call
launch
  python3.11|python3|python -I -u <server>/kubeless.py --source <source> --deps <deps> --file hello.py --module hello --function handler
    with version 3.11
");
}

#[test]
fn requirements_are_installed_with_pip() {
    let fixture = "//- hello.py\n//- requirements.txt\nsix==1.16.0\n";
    let plan = text(&USUAL, fixture);
    assert_eq!(plan, "\
because
  hello.py holds the handler hello.handler
  requirements.txt lists the dependencies
  pip installs: uv is not in this image
check
  check-helper: put python/check.py at <scratch>/check.py
    our program behind `check`
  compile-helper: put python/compile.py at <scratch>/compile.py
    our program behind `compile`
  check: in <scratch>: python -I -S -W ignore <scratch>/check.py <source> hello.py handler
    syntax of every file, and whether the handler is there
resolve
  pip-helper: put python/pip.py at <scratch>/pip.py
    our program behind `pip`
  install: in <source>: PIP_DRY_RUN=0 PIP_QUIET=0 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT= PIP_ROOT_USER_ACTION=ignore PIP_USER=0 python -I <scratch>/pip.py install --target <deps> -r <source>/requirements.txt --disable-pip-version-check --no-input --progress-bar off --no-color --no-cache-dir --no-compile --no-warn-script-location --prefix=
    the packages that requirements.txt asks for (network)
  conflicts-helper: put python/conflicts.py at <scratch>/conflicts.py
    our program behind `conflicts`
  conflicts: in <scratch>: python -I -S <scratch>/conflicts.py <deps>
    whether the installed packages go together
  compile-deps: in <scratch>: python -I -S <scratch>/compile.py <jobs> <deps>=deps
    byte-code, kept with the packages
compile
  server kubeless.py: put python/server/kubeless.py at <server>/kubeless.py
    what calls the function
  server request.py: put python/server/request.py at <server>/request.py
    what calls the function
  compile: in <scratch>: python -I -S <scratch>/compile.py <jobs> <source>=source <server>=server
    byte-code, for a faster first call
launch
  python3.11|python3|python -I -u <server>/kubeless.py --source <source> --deps <deps> --file hello.py --module hello --function handler
    with abi cpython-311, arch x86_64, libc glibc 2.36, version 3.11
");
}

#[test]
fn a_lock_is_exported_and_obeyed() {
    let plan = text(&WITH_UV, &format!("//- hello.py\n{PROJECT}{LOCK}"));
    assert_eq!(lines(&plan, "uv installs"), ["uv installs, as it made the lock"]);
    assert_eq!(
        lines(&plan, "export:"),
        [
            "export: in <source>: UV_CACHE_DIR=<scratch>/uv-cache UV_LINK_MODE=copy uv export --frozen --no-dev \
          --no-emit-project --format requirements-txt --quiet --no-progress --no-python-downloads --color never \
          --python python -o <scratch>/locked.txt"
        ]
    );
    assert_eq!(
        lines(&plan, "install:"),
        [
            "install: in <source>: UV_CACHE_DIR=<scratch>/uv-cache UV_LINK_MODE=copy uv pip install --no-progress \
          --no-python-downloads --color never --python python --target <deps> -r <scratch>/locked.txt \
          --require-hashes"
        ]
    );
    let git =
        LOCK.replace("registry = \"https://registry.example/simple\"", "git = \"https://git.example/six\"");
    let plan = text(&WITH_UV, &format!("//- hello.py\n{PROJECT}{git}"));
    assert!(!plan.contains("--require-hashes"), "a repository has no hash:\n{plan}");
}

#[test]
fn a_project_is_installed_from_its_list() {
    let url = "pkg @ https://user:s3cr3t-token@git.example/pkg.whl";
    let fixture = format!("//- hello.py\n//- pyproject.toml\n[project]\ndependencies = ['six', '{url}']\n");
    let plan = plan(&USUAL, &fixture).expect("a plan");
    let shown = format!("{plan}{}", serde_json::to_string(&plan).expect("JSON"));
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert!(plan.secrets.0.values().any(|value| value == url));
    let written = plan.resolve.iter().find_map(|step| match &step.action {
        Action::Write { path, text } => Some((path.to_string(), text.to_string())),
        _ => None,
    });
    assert_eq!(written, Some(("<scratch>/requirements.txt".to_owned(), "six\n".to_owned())));
    assert!(shown.contains("<pyproject.toml:2>"), "{shown}");
}

#[test]
fn the_manifest_that_speaks_is_the_first_that_asks_for_something() {
    let speaks = |world: &World, rest: &str| {
        let plan = text(world, &format!("//- hello.py\n{rest}"));
        plan.lines().nth(2).expect("a reason").trim().to_owned()
    };
    let both = format!("//- requirements.txt\n# nothing yet\n{PROJECT}");
    assert_eq!(speaks(&USUAL, &both), "pyproject.toml lists the dependencies");
    assert_eq!(
        speaks(&USUAL, &both.replace("# nothing yet", "six")),
        "requirements.txt lists the dependencies"
    );
    assert_eq!(speaks(&USUAL, "//- requirements.txt\n\n"), "requirements.txt asks for nothing");
    let named = World { deps_file: Some("conf/deps.txt"), ..USUAL };
    assert_eq!(
        speaks(&named, &format!("//- conf/deps.txt\nsix\n{both}")),
        "conf/deps.txt lists the dependencies"
    );
}

#[test]
fn uv_installs_where_the_configuration_of_pip_can_be_translated() {
    let fixture = "//- hello.py\n//- requirements.txt\nsix\n";
    let world = World {
        env: &[
            ("PIP_INDEX_URL", "https://me:s3cr3t-token@registry.example/simple"),
            ("PIP_PROGRESS_BAR", "off"),
        ],
        files: &[
            ("/etc/pip.conf", "[global]\nindex-url = https://lost.example/\ntimeout = 7.5\nretries: 0\n"),
            (
                "~/.config/pip/pip.conf",
                "[install]\nextra-index-url =\n  https://a.example/\n  https://b.example/\n; no\n",
            ),
        ],
        ..WITH_UV
    };
    let plan = plan(&world, fixture).expect("a plan");
    let shown = plan.to_string();
    assert_eq!(
        lines(&shown, "uv installs"),
        [
            "uv installs: it is in this image; translated for it from pip: extra-index-url, index-url, retries, timeout"
        ]
    );
    assert_eq!(
        lines(&shown, "install:"),
        [
            "install: in <source>: UV_CACHE_DIR=<scratch>/uv-cache UV_DEFAULT_INDEX=<index-url> UV_HTTP_RETRIES=1 \
          UV_HTTP_TIMEOUT=7 UV_INDEX=<extra-index-url> UV_INDEX_STRATEGY=unsafe-best-match UV_LINK_MODE=copy uv pip \
          install --no-progress --no-python-downloads --color never --python python --target <deps> \
          -r <source>/requirements.txt"
        ]
    );
    assert_eq!(plan.secrets.0["extra-index-url"], "https://a.example/ https://b.example/");
    assert_eq!(plan.secrets.0["index-url"], "https://me:s3cr3t-token@registry.example/simple");
}

#[test]
fn the_installer_is_chosen_for_a_reason() {
    const PIP_CONF: (&str, &str) = ("/etc/pip.conf", "[global]\nprefer-binary = true\n");
    let fixture = "//- hello.py\n//- requirements.txt\nsix\n";
    let reason = |world: World| text(&world, fixture).lines().nth(3).expect("a reason").trim().to_owned();
    assert_eq!(
        reason(World { files: &[PIP_CONF], ..WITH_UV }),
        "pip installs: uv has no counterpart for prefer-binary"
    );
    assert_eq!(
        reason(World { env: &[("PIP_CONFIG_FILE", "/secret/pip.conf")], ..WITH_UV }),
        "pip installs: uv has no counterpart for config-file"
    );
    assert_eq!(
        reason(World {
            env: &[("PIP_CONFIG_FILE", "/dev/null")],
            files: &[PIP_CONF, ("/dev/null", "")],
            ..WITH_UV
        }),
        "uv installs: it is in this image"
    );
    assert_eq!(reason(World { installer: Some("pip"), ..WITH_UV }), "pip installs: it was asked for");
    assert_eq!(
        reason(World { files: &[PIP_CONF], installer: Some("uv"), ..WITH_UV }),
        "uv installs: it was asked for; it has no counterpart for prefer-binary"
    );
    assert_eq!(
        reason(World { files: &[PIP_CONF], tools: &["python", "uv"], ..USUAL }),
        "uv installs: it is in this image; it has no counterpart for prefer-binary"
    );
    let refused = |world: World| error(&world, fixture);
    assert!(refused(World { tools: &["python"], ..USUAL }).starts_with("NoTool { tool: \"pip\""));
    assert!(refused(World { installer: Some("uv"), ..USUAL }).starts_with("NoTool { tool: \"uv\""));
    assert!(refused(World { installer: Some("poetry"), ..USUAL }).starts_with("Choice"));
}

#[test]
fn a_hash_anywhere_means_hashes_everywhere() {
    let fixture =
        "//- hello.py\n//- requirements.txt\n-r more.txt\n//- more.txt\nsix==1 \\\n  --hash=sha256:00\n";
    assert!(text(&USUAL, fixture).contains("-r <source>/requirements.txt --require-hashes"));
}

#[test]
fn a_file_may_limit_versions_and_be_installed_too() {
    let both = "//- hello.py\n//- requirements.txt\n-c base.txt\n-r base.txt\n//- base.txt\nsix==1.16.0\n";
    assert!(text(&USUAL, both).contains("requirements.txt lists the dependencies"));
}

#[test]
fn a_package_of_the_function_is_built_in_a_copy() {
    let plan = text(&USUAL, "//- hello.py\n//- requirements.txt\n./pkg\n//- pkg/setup.py\n");
    assert_eq!(lines(&plan, "copy-source"), ["copy-source: copy <source> to <scratch>/source"]);
    assert!(lines(&plan, "install:")[0].starts_with("install: in <scratch>/source: "), "{plan}");
}

#[test]
fn credentials_in_a_requirements_file_stay_there() {
    let fixture = "//- hello.py\n//- requirements.txt\n--index-url https://me:s3cr3t-token@registry.example/simple\nsix\n";
    let plan = plan(&WITH_UV, fixture).expect("a plan");
    assert!(!format!("{plan}{}{plan:?}", serde_json::to_string(&plan).expect("JSON")).contains("s3cr3t"));
    assert_eq!(plan.secrets.0["requirements.txt:1:1"], "https://me:s3cr3t-token@registry.example/simple");
}

#[test]
fn every_asset_of_a_plan_exists() {
    let plan = plan(&USUAL, "//- hello.py\n//- requirements.txt\nsix\n").expect("a plan");
    let steps = [plan.check, plan.resolve, plan.compile].concat();
    let mut ids = steps.iter().filter_map(|step| match &step.action {
        Action::Asset { id, .. } => Some(id.as_str()),
        _ => None,
    });
    assert!(ids.clone().any(|id| id == "python/server/kubeless.py"));
    assert_eq!(ids.find(|id| assets::asset(id).is_none()), None);
    assert!(python().probe("python").last().is_some_and(|text| text.contains("version")));
}
