//! What is refused before anything runs, and how that is said.

use super::support::advises;
use super::{DENIED, LOCK, USUAL, WITH_MS, World, error, plan};

/// Why a manifest is refused.
#[track_caller]
fn refused(manifest: &str) -> String {
    error(&USUAL, &format!("//- hello.js\n//- package.json\n{manifest}"))
}

#[test]
fn the_handler_needs_its_file() {
    let nobody = World { handler: "", ..USUAL };
    assert_eq!(
        error(&nobody, "//- hello.js\n//- a/index.mjs\n//- b.txt\n"),
        r#"NoHandler { candidates: ["a.<function>", "hello.<function>"] }"#
    );
    let other = World { handler: "api.hello.handler", ..USUAL };
    let said = error(&other, "//- hello.js\n");
    for name in
        ["api/hello.js", "api/hello.mjs", "api/hello.cjs", "api/hello/index.js", r#"found: ["hello.js"]"#]
    {
        assert!(said.contains(name), "{name} in {said}");
    }
}

#[test]
fn a_misspelt_manifest_gets_advice() {
    assert_eq!(
        error(&USUAL, "//- hello.js\n//- packages.json\n{}\n"),
        "manifest: packages.json: no tool reads a dependency file of this name | rename it to package.json"
    );
}

#[test]
fn a_manifest_that_is_no_json_says_what_stands_there() {
    assert_eq!(
        refused("{\n  \"dependencies\": {\n    \"ms\": \"2.1.3\",\n  }\n}\n"),
        "manifest: package.json:3:18: no comma may stand behind the last entry | remove it"
    );
    assert_eq!(
        refused("{\n  \"dependencies\": {\n    \"ms\": 2\n  }\n}\n"),
        "manifest: package.json:3:11: the version of ms must be a string | put it in double quotes, such as `\"^4.17.21\"`"
    );
    assert_eq!(
        refused("{\"dependencies\": [\"ms\"]}"),
        "manifest: package.json:1:18: dependencies must be an object | write names and versions, such as `{\"lodash\": \"^4.17.21\"}`"
    );
    assert!(refused("[]").starts_with("manifest: package.json:1:1: a manifest must be an object"));
    assert_eq!(
        refused("(binary)\n"),
        "manifest: package.json: the file is not UTF-8 text, or is too large to be a manifest | save it as UTF-8"
    );
}

#[test]
fn another_node_than_the_function_is_for_is_refused() {
    assert_eq!(
        refused("{\n  \"engines\": {\"node\": \">=18 <20 || ^24\"}\n}"),
        "version: package.json:2:23: the function is for Node.js >=18 <20 || ^24, this image has 22.1.0 \
         | choose an image of such a version, or widen `engines`"
    );
    for fine in ["22.x", "18 || 20 || 22", "*", ">= 18", "~22.1", "v22.1.0", "lts/*", "18 - 22"] {
        let fixture = format!("//- hello.js\n//- package.json\n{{\"engines\": {{\"node\": \"{fine}\"}}}}\n");
        assert!(super::plan(&USUAL, &fixture).is_ok(), "{fine} was refused");
    }
}

#[test]
fn a_lock_that_drifted_is_refused_before_anything_is_asked_of_a_registry() {
    let with = |dependencies: &str| {
        error(
            &USUAL,
            &format!("//- hello.js\n//- package.json\n{{\"dependencies\": {{\n{dependencies}}}}}\n{LOCK}"),
        )
    };
    let hint = "run `npm install` where you have both, and deploy the lock that it writes";
    assert_eq!(
        with("\"ms\": \"^2.0.0\",\n\"is-odd\": \"^3.0.0\""),
        format!("dependencies: package.json:3:11: is-odd is not in package-lock.json | {hint}")
    );
    assert_eq!(
        with("\"ms\": \"^3.0.0\""),
        format!(
            "dependencies: package.json:2:7: ms is 2.1.3 in package-lock.json, and ^3.0.0 is asked for | {hint}"
        )
    );
    for fine in ["*", "latest", "npm:ms@3", "github:vercel/ms", "2.1.x", ">=1 <3"] {
        let fixture = WITH_MS.replace("^2.1.0", fine);
        assert!(super::plan(&USUAL, &format!("{fixture}{LOCK}")).is_ok(), "{fine} was refused");
    }
    for any in ["*", ""] {
        let fixture = format!("{WITH_MS}{LOCK}").replace("^2.1.0", any).replace("2.1.3", "3.0.0-beta.2");
        assert!(super::plan(&USUAL, &fixture).is_ok(), "{any:?} admits pre-releases, too");
    }
}

#[test]
fn a_lock_that_cannot_be_obeyed_is_named() {
    assert_eq!(
        error(&USUAL, &format!("//- hello.js\n{LOCK}")),
        "manifest: package-lock.json: package-lock.json is of no use without its package.json \
         | deploy package.json beside it"
    );
    let malformed = error(&USUAL, &format!("{WITH_MS}//- package-lock.json\n{{\n<<<<<<< HEAD\n"));
    assert_eq!(
        malformed,
        "manifest: package-lock.json:2:1: a merge conflict is left in this file | resolve it, and deploy again"
    );
    let both = error(&USUAL, &format!("{WITH_MS}{LOCK}//- pnpm-lock.yaml\n"));
    assert!(
        both.starts_with("dependencies: pnpm-lock.yaml: pnpm-lock.yaml stands beside package-lock.json"),
        "{both}"
    );
    for name in ["yarn.lock", "bun.lock", "bun.lockb"] {
        let foreign = error(&USUAL, &format!("{WITH_MS}//- {name}\n(binary)\n"));
        assert!(foreign.starts_with(&format!("dependencies: {name}: {name} cannot be obeyed")), "{foreign}");
    }
}

#[test]
fn an_installer_that_is_absent_is_named() {
    let bare = World { tools: &[], ..USUAL };
    assert_eq!(
        error(&bare, WITH_MS),
        r#"NoTool { tool: "npm", needed_for: "package.json", hint: "choose an image that has npm" }"#
    );
    let pnpm = error(&bare, &format!("{WITH_MS}//- pnpm-lock.yaml\n"));
    assert!(
        pnpm.contains(r#"tool: "pnpm""#) && pnpm.contains("or deploy package-lock.json instead"),
        "{pnpm}"
    );
}

#[test]
fn a_path_stays_within_the_function() {
    let with =
        |wanted: &str| refused(&format!("{{\"dependencies\": {{\"lib\": \"{wanted}\"}}}}\n//- other/x.js\n"));
    assert_eq!(
        with("file:../lib"),
        "dependencies: package.json:1:26: file:../lib leads out of the function \
         | deploy the package within the function, and name it like `file:./lib`"
    );
    assert!(with("~/../../lib").contains("leads out of the function"));
    for mounted in ["link:/opt/lib", "file:///opt/lib-1.0.0.tgz", "/opt/lib-1.0.0.tgz"] {
        let fixture = WITH_MS.replace("^2.1.0", mounted);
        assert!(
            !super::text(&USUAL, &fixture).contains("copy source"),
            "{mounted} is no part of the function"
        );
    }
    assert!(with("file:lib").contains("lib is not among the function's files | deploy it with the function"));
    assert!(with("./lib-1.0.0.tgz").contains("lib-1.0.0.tgz is not among the function's files"));
    assert!(with("file:./other").contains("other is no package: it has no package.json"));
}

#[test]
fn what_only_another_installer_knows_is_refused() {
    let with = |wanted: &str| refused(&format!("{{\"dependencies\": {{\"lib\": \"{wanted}\"}}}}\n"));
    assert_eq!(
        with("workspace:*"),
        "dependencies: package.json:1:26: workspace:* is pnpm's, and npm installs here \
         | deploy pnpm-lock.yaml, so that pnpm installs, or write a version"
    );
    assert!(with("catalog:").contains("catalog: is pnpm's"));
    assert!(with("portal:../x").contains("portal:../x is yarn's"));
}

#[test]
fn a_function_that_is_installed_as_a_whole_has_its_manifest_at_the_top() {
    for path in ["sub/package.json", "my-package.json"] {
        let named = World { deps_file: Some(path), ..USUAL };
        let fixture = format!("//- hello.js\n//- {path}\n{{\"scripts\": {{\"postinstall\": \"tsc\"}}}}\n");
        assert_eq!(
            error(&named, &fixture),
            format!(
                "dependencies: {path}: npm must see the whole function, and reads package.json at its top: its script \
                 postinstall runs there | make it package.json at the top of the function, with its lock beside it, \
                 and name that in KUBELESS_DEPS_FILE"
            )
        );
    }
}

#[test]
fn scripts_may_be_forbidden() {
    assert_eq!(
        error(
            &DENIED,
            "//- hello.js\n//- package.json\n{\n  \"scripts\": {\n    \"postinstall\": \"tsc\"\n  }\n}\n"
        ),
        "dependencies: package.json:3:20: the script postinstall would run while the function is built, which is not \
         allowed here | run it before you deploy, or ask the operator for INJECTOR_BUILD_SCRIPTS=allow"
    );
}

#[test]
fn pnpm_is_given_no_url_with_credentials() {
    let with = |wanted: &str| format!("{}//- pnpm-lock.yaml\n", WITH_MS.replace("^2.1.0", wanted));
    for held in ["https://me:s3cr3t@h.example/ms.tgz", "git+https://t0ken@h.example/ms.git"] {
        let said = error(&USUAL, &with(held));
        assert!(said.contains("the URL of ms holds credentials") && !said.contains("s3cr3t"), "{said}");
    }
    for fine in ["https://h.example/@me/ms.tgz", "git+ssh://git@h.example/ms.git", "npm:@me/ms@1"] {
        assert!(super::plan(&USUAL, &with(fine)).is_ok(), "{fine} was refused");
    }
}

#[test]
fn a_handler_is_looked_for_elsewhere_and_under_names_that_are_near() {
    for (fixture, wrong, right) in [
        ("//- app/index.js\n", "index.handler", "app.index.handler"),
        ("//- src/app/index.mjs\n", "app.handler", "src.app.handler"),
        ("//- src/helo.cjs\n", "hello.handler", "src.helo.handler"),
    ] {
        advises(|handler| plan(&World { handler, ..USUAL }, fixture), wrong, right);
    }
}
