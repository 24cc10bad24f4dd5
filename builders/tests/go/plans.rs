//! Which modules come in how, and what go sees of a function.

use builders::plan::{ResolvesFrom, Serves};

use super::{USUAL, World, line, lines, plan, text, written};

const UUID: &str =
    "//- hello.go\n//- go.mod\nmodule function\n\ngo 1.21\n\nrequire github.com/google/uuid v1.6.0\n";

#[test]
fn without_requirements_nothing_is_fetched() {
    for (manifest, why) in [
        ("", "there is no dependency file"),
        ("//- go.mod\n", "there is no dependency file"),
        ("//- go.mod\nmodule a // alone\n", "go.mod asks for nothing"),
        ("//- go.mod\nmodule a\nrequire github.com/kubeless/kubeless v1.0.7\n", "go.mod asks for nothing"),
    ] {
        let text = text(&USUAL, &format!("//- hello.go\n{manifest}"));
        assert!(text.contains(why), "{manifest}: {text}");
        assert_eq!(lines(&text, "fetch"), [""; 0], "{manifest}");
        assert!(line(&text, "build: ").contains(" GOPROXY=off "), "{text}");
        assert!(line(&text, "build: ").contains(" -mod=readonly "), "{text}");
    }
}

#[test]
fn checksums_are_obeyed_where_there_are_some_and_found_where_there_are_none() {
    let locked = text(&USUAL, &format!("{UUID}//- go.sum\ngithub.com/google/uuid v1.6.0 h1:x=\n"));
    assert!(line(&locked, "fetch: ").ends_with("/overlay.json"), "{locked}");
    assert!(line(&locked, "build: ").contains(" -mod=readonly "), "{locked}");
    line(&locked, "sums: copy <source>/go.sum to <deps>/go.sum");
    for blank in ["", "//- go.sum\n\n"] {
        let open = text(&USUAL, &format!("{UUID}{blank}"));
        assert!(line(&open, "fetch: ").ends_with("/overlay.json all"), "{open}");
        assert!(line(&open, "build: ").contains(" -mod=mod "), "{open}");
        assert_eq!(lines(&open, "sums"), [""; 0]);
    }
}

#[test]
fn the_modfile_is_the_functions_own_and_what_the_server_needs() {
    let modfile = |manifest: &str| {
        let plan = plan(&USUAL, &format!("//- hello.go\n{manifest}")).expect("a plan");
        written(&plan, "modules")
    };
    let server = "require injector.internal/server v0.0.0\nreplace injector.internal/server => ./injector-server/server\n";
    let interface = "replace github.com/kubeless/kubeless => ./injector-server/api\n";
    let asks = "require github.com/kubeless/kubeless v1.0.8\n";
    let note = "\n// Added by the injector.\n";
    assert_eq!(modfile(""), format!("module function\n\ngo 1.26\n{note}{asks}{interface}{server}"));
    let own = "module example.com/a\n\nrequire (\n\t\"github.com/kubeless/kubeless\" v1.0.7 // theirs\n)\n";
    assert_eq!(modfile(&format!("//- go.mod\n{own}")), format!("{own}{note}{interface}{server}"));
    for replace in ["=> ./k", "v1.0.7 => ./k", "=> example.com/k v1.0.0"] {
        let own = format!("module a\nreplace github.com/kubeless/kubeless {replace}\n");
        let found = modfile(&format!("//- k/go.mod\n//- go.mod\n{own}"));
        assert_eq!(found, format!("{own}{note}{server}"), "theirs wins");
    }
    let vendored = "//- vendor/modules.txt\n# x\n";
    let own = "module a\nrequire github.com/google/uuid v1.6.0\n";
    assert_eq!(modfile(&format!("{vendored}//- go.mod\n{own}")), own, "as vendor/modules.txt has it");
}

#[test]
fn only_go_sees_what_is_ours_and_it_stands_where_the_handler_may_be_imported() {
    let seen = |world: &World, fixture: &str| written(&plan(world, fixture).expect("a plan"), "overlay");
    let bare = seen(&USUAL, "//- hello.go\n");
    assert!(bare.contains("\"<source>/go.mod\": \"<deps>/go.mod\""), "{bare}");
    let json: serde_json::Value = serde_json::from_str(&bare).expect("JSON");
    assert_eq!(json["Replace"].as_object().map(serde_json::Map::len), Some(7), "{bare}");
    let inner = World { handler: "a.internal.b.Handler", ..USUAL };
    let fixture = "//- a/internal/b.go\n//- go.mod\nmodule example.com/m\n";
    let list = seen(&inner, fixture);
    assert!(list.contains("\"<source>/a/internal/injector-server/main.go\": "), "{list}");
    assert!(!list.contains("<source>/go.mod"), "{list}");
    let plan = plan(&inner, fixture).expect("a plan");
    assert!(line(&plan.to_string(), "build: ").ends_with(" ./a/internal/injector-server"), "{plan}");
    let main = written(&plan, "main");
    for part in ["function \"example.com/m/a/internal\"", "function.Handler", "\"a.internal.b.Handler\""] {
        assert!(main.contains(part), "{part} in {main}");
    }
    let vendored = format!("{UUID}//- vendor/modules.txt\n# x\n");
    let list = seen(&USUAL, &vendored);
    for path in
        ["github.com/kubeless/kubeless/pkg/functions/functions.go", "injector.internal/server/server.go"]
    {
        assert!(list.contains(&format!("\"<source>/vendor/{path}\": ")), "{path} in {list}");
    }
    let own =
        seen(&USUAL, &format!("{vendored}//- vendor/github.com/kubeless/kubeless/pkg/functions/x.go\n"));
    assert!(!own.contains("kubeless/pkg/functions"), "theirs wins: {own}");
}

#[test]
fn an_edit_of_a_source_resolves_nothing_anew() {
    let plan = plan(&USUAL, &format!("{UUID}//- go.sum\n//- lib/go.mod\n//- lib/lib.go\n")).expect("a plan");
    assert_eq!(plan.kept, Serves::Anywhere);
    let ResolvesFrom::Files(files) = &plan.resolves_from else { panic!("{:?}", plan.resolves_from) };
    let files: Vec<_> = files.iter().map(ToString::to_string).collect();
    assert_eq!(files, ["go.mod", "go.sum", "lib/go.mod"]);
}

#[test]
fn what_is_compiled_is_checked_where_gofmt_is_there() {
    let files =
        "//- hello.go\n//- a/b.go\n//- x_test.go\n//- testdata/x.go\n//- _x/x.go\n//- vendor/x/x.go\n";
    let checked = text(&USUAL, files);
    assert!(line(&checked, "check: ").ends_with(" gofmt -e -l -- a/b.go hello.go"), "{checked}");
    let bare = World { tools: &[("go", "1.26.8")], ..USUAL };
    assert_eq!(lines(&text(&bare, files), "check: "), [""; 0]);
    let tests = World { handler: "x_test.Handler", ..USUAL };
    assert_eq!(lines(&text(&tests, "//- x_test.go\n"), "check: "), [""; 0]);
}
