//! On which files a function's dependencies depend: an edit of another one resolves nothing anew.

use builders::plan::ResolvesFrom;

use super::{LOCK, USUAL, WITH_MS, World, plan};

/// The files, in one line; `*` for all of them.
#[track_caller]
fn files(world: &World, rest: &str) -> String {
    let plan = plan(world, &format!("{rest}//- lib/x.js\n//- lib/package.json\n{{}}\n")).expect("a plan");
    match plan.resolves_from {
        ResolvesFrom::All => "*".to_owned(),
        ResolvesFrom::Files(files) => files.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn what_the_installer_reads_counts_and_nothing_else() {
    let npmrc = "//- .npmrc\n@a:registry=https://registry.example/\n";
    for (rest, counts) in [
        ("//- hello.js\n".to_owned(), ""),
        (WITH_MS.replace("\"ms\": \"^2.1.0\"", ""), ""),
        (WITH_MS.to_owned(), "package.json"),
        (format!("{WITH_MS}{npmrc}"), ".npmrc package.json"),
        (format!("{WITH_MS}{LOCK}//- yarn.lock\n"), "package-lock.json package.json"),
        (format!("{WITH_MS}//- pnpm-lock.yaml\nlockfileVersion: '9.0'\n"), "package.json pnpm-lock.yaml"),
    ] {
        assert_eq!(files(&USUAL, &rest), counts, "{rest}");
    }
    let named = World { deps_file: Some("conf/package.json"), ..USUAL };
    let rest =
        "//- hello.js\n//- conf/package.json\n{\"dependencies\": {\"ms\": \"2\"}}\n//- package.json\n{}\n";
    assert_eq!(files(&named, rest), "conf/package.json");
}

#[test]
fn what_may_see_any_file_depends_on_all() {
    for manifest in [
        "{\"dependencies\": {\"lib\": \"file:./lib\"}}",
        "{\"dependencies\": {\"lib\": \"link:lib\"}}",
        "{\"dependencies\": {\"lib\": \"./lib\"}}",
        "{\"dependencies\": {\"lib\": \"/mnt/lib\"}}",
        "{\"dependencies\": {\"lib\": \"file:/mnt/lib\"}}",
        "{\"dependencies\": {\"lib\": \"git+file:///mnt/lib\"}}",
        "{\"dependencies\": {\"ms\": \"2\"}, \"overrides\": {\"ms\": \"file:/mnt/ms\"}}",
        "{\"dependencies\": {\"ms\": \"2\"}, \"scripts\": {\"prepare\": \"node lib/x.js\"}}",
        "{\"workspaces\": [\"lib\"]}",
    ] {
        assert_eq!(
            files(&USUAL, &format!("//- hello.js\n//- package.json\n{manifest}\n")),
            "*",
            "{manifest}"
        );
    }
    let pnpm = format!("{WITH_MS}//- pnpm-lock.yaml\n");
    assert_eq!(files(&USUAL, &format!("{pnpm}//- pnpm-workspace.yaml\npackages: [lib]\n")), "*");
    let located = LOCK.replace("\"2.1.3\"", "\"2.1.3\", \"resolved\": \"file:/mnt/ms.tgz\"");
    assert_eq!(files(&USUAL, &format!("{WITH_MS}{located}")), "*");
}
