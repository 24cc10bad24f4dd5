//! What is planned, and why.

use builders::assets;
use builders::plan::Action;

use super::{DENIED, LOCK, USUAL, WITH_MS, World, function, line, lines, nodejs, plan, text};

#[test]
fn a_single_file_is_checked() {
    let plan = text(&USUAL, "//- hello.js\n");
    let compiled = plan.find("compile\n").expect("a section");
    assert_eq!(plan[..compiled], *"\
because
  hello.js holds the handler hello.handler
  there is no dependency file
check
  check-helper: put nodejs/check.cjs at <scratch>/check.cjs
    our program behind `check`
  check: in <scratch>: node --no-warnings --expose-internals --experimental-vm-modules <scratch>/check.cjs <source> hello.js handler
    syntax of every file, and whether the handler is there
");
    assert!(plan.ends_with(
        "\
launch
  node22|node|nodejs <server>/kubeless.cjs --root <source> --file hello.js --function handler
    with version 22
"
    ));
    assert_eq!(
        line(&plan, "server kubeless.cjs"),
        "server kubeless.cjs: put nodejs/server/kubeless.cjs at <server>/kubeless.cjs"
    );
}

#[test]
fn without_a_lock_npm_chooses_and_scripts_run_without_credentials() {
    let plan = text(&USUAL, WITH_MS);
    assert_eq!(lines(&plan, "npm installs"), ["npm installs: there is no lock"],);
    assert_eq!(
        line(&plan, "install:"),
        "install: in <deps>: CI=true npm_config_fetch_retry_maxtimeout=10000 \
         npm_config_fetch_retry_mintimeout=1000 npm_config_fetch_timeout=90000 npm install --omit=dev --loglevel=http \
         --ignore-scripts --no-audit --no-fund --no-update-notifier --no-progress --color=false \
         --cache=<scratch>/npm-cache"
    );
    assert_eq!(line(&plan, "packages:"), "packages: in <scratch>: node <scratch>/packages.cjs <deps>");
    assert!(line(&plan, "scripts:").contains("npm rebuild "));
    assert_eq!(
        lines(&plan, "what packages run"),
        ["what packages run when they are installed (network, no credentials)"]
    );
    assert_eq!(line(&plan, "link:"), "link: link <tree>/node_modules to <deps>/node_modules");
    assert!(plan.ends_with("--root <source> --file hello.js --function handler\n    with abi 127, arch x86_64, libc glibc 2.36, version 22\n"), "{plan}");
}

#[test]
fn a_lock_is_obeyed_and_says_whether_anything_has_scripts() {
    let plan = text(&USUAL, &format!("{WITH_MS}{LOCK}"));
    assert_eq!(line(&plan, "npm installs"), "npm installs: package-lock.json pins them");
    assert!(
        line(&plan, "install:").contains(" npm ci --omit=dev --loglevel=http --ignore-scripts "),
        "{plan}"
    );
    assert_eq!(
        line(&plan, "copy package-lock.json:"),
        "copy package-lock.json: copy <source>/package-lock.json to <deps>/package-lock.json"
    );
    assert!(lines(&plan, "scripts:").is_empty(), "{plan}");
    let built = LOCK.replace("\"2.1.3\"", "\"2.1.3\", \"hasInstallScript\": true");
    assert_eq!(lines(&text(&USUAL, &format!("{WITH_MS}{built}")), "scripts:").len(), 1);
    let for_development = built.replace("Script\": true", "Script\": true, \"dev\": true");
    assert!(lines(&text(&USUAL, &format!("{WITH_MS}{for_development}")), "scripts:").is_empty());
    let of_npm_6 = "//- package-lock.json\n{\"lockfileVersion\": 1, \"dependencies\": {\"ms\": {\"version\": \"2.1.3\"}}}\n";
    assert_eq!(lines(&text(&USUAL, &format!("{WITH_MS}{of_npm_6}")), "scripts:").len(), 1);
}

#[test]
fn a_shrinkwrap_wins_and_locks_of_others_are_named() {
    let both = format!("{WITH_MS}{LOCK}{}", LOCK.replace("package-lock", "npm-shrinkwrap"));
    let plan = text(&USUAL, &format!("{both}//- yarn.lock\n"));
    assert_eq!(
        line(&plan, "npm installs"),
        "npm installs: npm-shrinkwrap.json pins them; package-lock.json and yarn.lock are not read"
    );
    assert!(lines(&plan, "copy package-lock").is_empty(), "{plan}");
    let yarn = WITH_MS.replace("}}", "}, \"packageManager\": \"yarn@4.1.0\"}");
    assert_eq!(line(&text(&USUAL, &yarn), "npm installs"), "npm installs: there is no lock of yarn");
}

#[test]
fn pnpm_obeys_its_lock() {
    let plan = text(&USUAL, &format!("{WITH_MS}//- pnpm-lock.yaml\nlockfileVersion: '9.0'\n"));
    assert_eq!(line(&plan, "pnpm installs"), "pnpm installs: pnpm-lock.yaml pins them");
    let install = line(&plan, "install:");
    assert!(install.starts_with("install: in <deps>: CI=true pnpm install --prod --frozen-lockfile --ignore-scripts --config.fetch-retry-mintimeout=1000 "), "{install}");
    assert!(install.contains("--config.pm-on-fail=ignore"), "no other pnpm is downloaded: {install}");
    assert!(line(&plan, "scripts:").contains(" pnpm rebuild --recursive "), "{plan}");
    let both = |manager: &str| {
        let fixture = WITH_MS.replace("}}", &format!("}}, \"packageManager\": \"{manager}\"}}"));
        text(&USUAL, &format!("{fixture}{LOCK}//- pnpm-lock.yaml\n"))
    };
    assert_eq!(
        line(&both("pnpm@9.1.0"), "pnpm installs"),
        "pnpm installs: pnpm-lock.yaml pins them; package-lock.json is not read"
    );
    assert_eq!(
        line(&both("npm@10.1.0"), "npm installs"),
        "npm installs: package-lock.json pins them; pnpm-lock.yaml is not read"
    );
}

#[test]
fn what_needs_the_whole_function_is_installed_and_launched_in_a_copy() {
    for (rest, why) in [
        ("{\"scripts\": {\"postinstall\": \"tsc\"}}", "its script postinstall runs there"),
        ("{\"dependencies\": {\"lib\": \"file:./lib\"}}", "lib is a part of it"),
        ("{\"dependencies\": {\"lib\": \"./lib\"}}", "lib is a part of it"),
        ("{\"workspaces\": [\"lib\"]}", "it is a workspace"),
    ] {
        let plan =
            text(&USUAL, &format!("//- hello.js\n//- lib/package.json\n{{}}\n//- package.json\n{rest}\n"));
        assert_eq!(
            line(&plan, "the function is launched"),
            format!("the function is launched from a copy beside its dependencies: {why}")
        );
        assert_eq!(line(&plan, "copy source:"), "copy source: copy <source> to <deps>");
        assert!(lines(&plan, "copy ").len() == 1 && lines(&plan, "link:").is_empty(), "{plan}");
        assert!(plan.contains("--root <deps> --file hello.js"), "{plan}");
    }
    let settings = "//- pnpm-lock.yaml\n//- pnpm-workspace.yaml\nallowBuilds:\n  esbuild: true\n";
    assert!(
        text(&USUAL, &format!("{WITH_MS}{settings}"))
            .contains("pnpm's settings in pnpm-workspace.yaml may name its files")
    );
}

#[test]
fn the_functions_own_scripts_run_one_by_one_in_npms_order() {
    let fixture = "//- hello.js\n//- package.json\n{\"scripts\": {\"prepare\": \"a\", \"preinstall\": \"b\", \"test\": \"c\", \"install\": \"\"}}\n";
    let plan = text(&USUAL, fixture);
    let names: Vec<_> = lines(&plan, "script ")
        .iter()
        .map(|line| line.split(" --no-audit").next().unwrap_or_default())
        .collect();
    assert_eq!(
        names,
        [
            "script preinstall: in <deps>: CI=true npm run --ignore-scripts preinstall",
            "script prepare: in <deps>: CI=true npm run --ignore-scripts prepare",
        ]
    );
    let pnpm = text(&USUAL, &format!("{fixture}//- pnpm-lock.yaml\n"));
    assert_eq!(
        (lines(&pnpm, "script ").len(), lines(&pnpm, "scripts:").len()),
        (0, 1),
        "pnpm runs them itself: {pnpm}"
    );
}

#[test]
fn npm_rebuilds_packages_without_the_functions_own_scripts() {
    let fixture = "//- hello.js\n//- package.json\n{\"dependencies\": {\"ms\": \"2\"}, \
                   \"scripts\": {\"install\": \"a\"}, \"allowScripts\": {\"ms\": false}}\n";
    let plan = plan(&USUAL, fixture).expect("a plan");
    let text = plan.to_string();
    let named: Vec<_> =
        plan.resolve.iter().map(|step| step.name.as_str()).skip_while(|name| *name != "packages").collect();
    assert_eq!(named, ["packages", "stand-in", "scripts", "put back", "script install"]);
    assert_eq!(line(&text, "put back:"), "put back: copy <source>/package.json to <deps>/package.json");
    let written = plan.resolve.iter().find_map(|step| match &step.action {
        Action::Write { text, .. } => Some(text.to_string()),
        _ => None,
    });
    assert_eq!(written.as_deref(), Some("{\"allowScripts\": {\"ms\": false}}"));
}

#[test]
fn where_scripts_are_denied_none_runs() {
    let plan = text(&DENIED, WITH_MS);
    assert_eq!(line(&plan, "packages:"), "packages: in <scratch>: node <scratch>/packages.cjs <deps> deny");
    assert!(lines(&plan, "script").is_empty(), "{plan}");
}

#[test]
fn nothing_asked_for_is_nothing_installed() {
    for (rest, why) in [
        ("", "there is no dependency file"),
        ("//- package.json\n\n", "package.json asks for nothing"),
        (
            "//- package.json\n\u{feff}{\"type\": \"module\", \"dependencies\": {}}\n",
            "package.json asks for nothing",
        ),
        (
            "//- package.json\n{\"devDependencies\": {\"jest\": \"29\"}, \"dependencies\": []}\n",
            "package.json asks for nothing",
        ),
    ] {
        let fixture = format!("//- hello.js\n{rest}");
        let plan = plan(&USUAL, &fixture).expect("a plan");
        assert_eq!(plan.because[1], why);
        assert!(plan.resolve.is_empty() && plan.executes.is_empty(), "{plan}");
        assert!(!nodejs().needs("npm", &function(&USUAL, &fixture)), "{fixture}");
    }
}

#[test]
fn only_the_installer_that_is_used_is_needed() {
    let needs =
        |fixture: &str| ["node", "npm", "pnpm"].map(|tool| nodejs().needs(tool, &function(&USUAL, fixture)));
    assert_eq!(needs("//- hello.js\n"), [true, false, false]);
    assert_eq!(needs(WITH_MS), [true, true, false]);
    assert_eq!(needs(&format!("{WITH_MS}//- pnpm-lock.yaml\n")), [true, false, true]);
}

#[test]
fn a_named_dependency_file_speaks() {
    let named = World { deps_file: Some("conf/package.json"), ..USUAL };
    let plan = text(
        &named,
        "//- hello.mjs\n//- conf/package.json\n{\"dependencies\": {\"ms\": \"2\"}}\n//- package.json\n{}\n",
    );
    assert_eq!(
        line(&plan, "copy conf/package.json:"),
        "copy conf/package.json: copy <source>/conf/package.json to <deps>/package.json"
    );
}

#[test]
fn every_file_with_credentials_is_known_in_both_rooms() {
    let plan = plan(&USUAL, &format!("{WITH_MS}{LOCK}//- .npmrc\n//registry.example/:_authToken=abcdef\n"))
        .expect("a plan");
    for place in [
        "<source>/.npmrc",
        "<deps>/.npmrc",
        "<deps>/package-lock.json",
        "<deps>/node_modules/.package-lock.json",
    ] {
        assert!(
            plan.manifests.iter().any(|listed| listed.to_string() == place),
            "{place} in {:?}",
            plan.manifests
        );
    }
    assert!(plan.to_string().contains("copy .npmrc: copy <source>/.npmrc to <deps>/.npmrc"));
}

#[test]
fn every_asset_of_a_plan_exists() {
    let plan = plan(&USUAL, WITH_MS).expect("a plan");
    let steps = [&plan.check, &plan.resolve, &plan.compile].into_iter().flatten();
    let mut names: Vec<_> = steps.clone().map(|step| &step.name).collect();
    for step in steps {
        if let Action::Asset { id, .. } = &step.action {
            assert!(assets::asset(id).is_some(), "{id} is not embedded");
        }
    }
    names.sort();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}

#[test]
fn pnpm_12_runs_the_functions_own_scripts_apart() {
    let scripts = |version: &'static str, manifest: &str| {
        let world = World { installer_version: version, ..USUAL };
        text(&world, &format!("{manifest}//- pnpm-lock.yaml\n"))
    };
    // Some of its versions run nothing of packages when they install again, and a frozen store forbids to.
    let own = "//- hello.js\n//- package.json\n{\"dependencies\": {\"ms\": \"2\"}, \"scripts\": {\"postinstall\": \"x\"}}\n";
    let again = " pnpm install --prod --frozen-lockfile --offline --force ";
    for (version, manifest, runs_apart) in
        [("11.28.11", own, false), ("12.0.0", WITH_MS, false), ("12.0.0", own, true)]
    {
        let plan = scripts(version, manifest);
        assert!(plan.contains(" pnpm rebuild --recursive "), "{plan}");
        assert_eq!(plan.contains(again), runs_apart, "{version}: {plan}");
    }
}

#[test]
fn a_dependency_file_of_another_name_is_installed_and_masked_as_the_usual_one() {
    let named = World { deps_file: Some("my-package.json"), ..USUAL };
    let plan = plan(&named, &WITH_MS.replace("package.json", "my-package.json")).expect("a plan");
    let copied = "copy my-package.json: copy <source>/my-package.json to <deps>/package.json";
    assert_eq!(line(&plan.to_string(), "copy my-package.json:"), copied);
    for place in ["<source>/my-package.json", "<deps>/package.json"] {
        assert!(plan.manifests.contains(&place.parse().expect("a place")), "{place}");
    }
}
