//! Which mounted file carries a function, what its files are called, and which of them win.

use std::fs::{create_dir_all, remove_file};

use super::{base64, mount, pod_of, published};
use crate::support::archive::{Compression, Entry, file, link, tar, zip};
use crate::support::pod::{HELLO, Pod, names};
use crate::support::site::Site;

/// A pod whose function is this archive, mounted in base64 under the module's name as Kubeless did it.
fn archived(entries: &[Entry]) -> Pod {
    let pod = pod_of("base64+zip");
    mount(&pod, "hello", base64(&zip(entries)));
    pod
}

fn hello() -> Entry {
    file("hello.py", HELLO)
}

/// The names of the published files.
fn published_names(pod: &Pod) -> Vec<String> {
    let files = published(pod).into_iter();
    files.map(|file| file.split([':', '*']).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_file_that_carries_a_function_is_named_after_its_module_or_alone() {
    let archive = base64(&zip(&[hello()]));
    for (mounted, expected) in [
        (&["hello"][..], &["hello.py"][..]),
        (&["any.thing"], &["hello.py"]),
        (&["hello.zip", "words.txt"], &["hello.py", "words.txt"]),
        (&["hello", "hello.zip"], &["hello.py", "hello.zip"]),
        (&["function.zip", "requirements.txt", "handler"], &["hello.py", "requirements.txt"]),
    ] {
        let pod = pod_of("base64+zip");
        for name in mounted {
            let is_carrier = !["words.txt", "requirements.txt", "handler"].contains(name);
            mount(&pod, name, if is_carrier { &archive } else { "" });
        }
        pod.build().expect(0, &["ready: "]);
        assert_eq!(published_names(&pod), expected, "{mounted:?}");
    }
}

#[test]
fn a_mount_that_does_not_say_what_carries_the_function_is_listed() {
    for (mounted, said) in [
        (&["a.zip", "b.zip", "requirements.txt"][..], "there is a.zip, b.zip"),
        (&["hello.zip", "hello.tar"], "there is hello.tar, hello.zip"),
        (&["requirements.txt", "handler"], "hint: a function of the type url needs no file where FUNC_URL"),
        (&[], "there is no file at all"),
    ] {
        let mut pod = pod_of("base64+zip");
        for name in mounted {
            mount(&pod, name, "");
        }
        let headline = "E21 survey failed: none of the mounted files is the one that carries the function";
        pod.build().expect(21, &[headline, said, "hint: name it hello, after the handler's module"]);
        pod.assert_empty();
        if !mounted.contains(&"handler") {
            pod.unset("FUNC_HANDLER");
            pod.build().expect(21, &[said, "name that in FUNC_HANDLER"]);
        }
    }
    let mut pod = pod_of("base64");
    pod.set("INJECTOR_SOURCE", pod.dir("nowhere").display().to_string());
    pod.build().expect(22, &["there is nothing at ", "no function is mounted there"]);
}

#[test]
fn a_mounted_file_that_is_not_what_its_type_says_is_told() {
    let zip = zip(&[hello()]);
    for (content_type, content, said) in [
        ("base64", HELLO.as_bytes().to_vec(), "hello.py cannot be decoded: "),
        ("base64+zip", HELLO.as_bytes().to_vec(), "hello.py cannot be decoded: "),
        ("base64+zip", base64(HELLO.as_bytes()).into(), "hello.py: it is no zip or tar archive"),
        ("text+zip", HELLO.as_bytes().to_vec(), "hello.py: it is no zip or tar archive"),
        ("base64", base64(&zip).into(), "hello.py is a zip archive, where one source file was expected"),
        ("url", HELLO.as_bytes().to_vec(), "hello.py holds no address of a function: "),
        ("url", zip.clone(), "hello.py holds no address of a function: it is no text"),
        ("url", Vec::new(), "hello.py holds no address of a function: it is empty"),
    ] {
        let pod = pod_of(content_type);
        mount(&pod, "hello.py", content);
        pod.build().expect(21, &["E21 survey failed: ", said, "hint: "]);
        pod.assert_empty();
    }
}

#[test]
fn a_function_of_one_file_is_named_after_its_handler_and_runtime() {
    let site = Site::with(HELLO.into());
    for (content_type, mounted, runtime, at, expected) in [
        ("base64", "hello", "python3.12", "", "hello.py"),
        ("base64", "hello.b64", "python", "", "hello.py"),
        ("base64", "pkg/hello.py", "", "", "pkg/hello.py"),
        ("url", "hello", "python", "raw/download", "hello.py"),
        ("url", "hello", "", "other.py?raw=true", "hello.py"),
        ("url", "hello.py", "", "download", "hello.py"),
        ("url", "", "python", "download", "hello.py"),
        ("url", "", "", "some/other.py#L3", "hello.py"),
    ] {
        let mut pod = pod_of(content_type).with("FUNC_RUNTIME", runtime);
        if mounted.starts_with("pkg") {
            pod.set("FUNC_HANDLER", "pkg.hello.hello");
        }
        match (content_type, mounted) {
            (_, "") => pod.set("FUNC_URL", site.url("", at)),
            ("url", name) => mount(&pod, name, site.url("", at)),
            (_, name) => mount(&pod, name, base64(HELLO.as_bytes())),
        }
        pod.build().expect(0, &["ready: "]);
        assert_eq!(published_names(&pod), [expected], "{content_type} {mounted} {runtime} {at}");
    }
    let nameless = pod_of("url").with("FUNC_URL", site.url("", "download"));
    nameless.build().expect(21, &["nobody says what the file from http://", "hint: set FUNC_RUNTIME and"]);
}

#[test]
fn what_is_mounted_beside_an_archive_lies_over_it() {
    let pod = archived(&[
        hello(),
        file("config.json", "archived"),
        file("lib/a.py", "archived"),
        file("lib/b.py", "archived"),
        link("alias", "config.json"),
    ]);
    mount(&pod, "config.json", "mounted");
    mount(&pod, "lib/a.py", "mounted");
    mount(&pod, "new/deep/file", "mounted");
    pod.build().expect(0, &["ready: "]);
    let expected = [
        "alias -> config.json",
        "config.json: mounted",
        &format!("hello.py: {}", HELLO.trim_end()),
        "lib/a.py: mounted",
        "lib/b.py: archived",
        "new/deep/file: mounted",
    ];
    assert_eq!(published(&pod), expected);
}

#[test]
fn a_mounted_file_takes_the_place_of_a_link_and_none_of_a_directory() {
    let pod =
        archived(&[hello(), file("real/file", "archived"), link("lib", "real"), link("alias", "real/file")]);
    mount(&pod, "alias", "mounted");
    mount(&pod, "lib/other", "mounted");
    pod.build().expect(0, &["ready: "]);
    let expected =
        ["alias: mounted", "hello.py: ", "lib -> real", "real/file: archived", "real/other: mounted"];
    let found = published(&pod);
    assert!(found.iter().zip(expected).all(|(found, begin)| found.starts_with(begin)), "{found:?}");

    remove_file(pod.dir("src/alias")).expect("removed");
    mount(&pod, "alias/file", "mounted");
    let said =
        "alias/file is mounted, and the archive has a directory in its place, or none where it needs one";
    pod.build().expect(21, &["E21 survey failed: ", said, "hint: give one of the two another name"]);

    let pod = archived(&[hello(), file("lib/words.py", "archived")]);
    mount(&pod, "lib", "mounted");
    pod.build().expect(21, &["E21 survey failed: lib is mounted, and the archive has a "]);
    pod.assert_empty();
}

#[test]
fn an_empty_dependency_file_in_the_mount_counts_and_is_told() {
    let entries = [hello(), file("requirements.txt", "# archived\n")];
    for (mounted, warned) in [("", true), ("\n", false), ("# mounted\n", false)] {
        let pod = archived(&entries);
        mount(&pod, "requirements.txt", mounted);
        let ended = pod.build();
        ended.expect(0, &["ready: "]);
        let said = "the mounted requirements.txt is empty and counts, not the archive's: add +deps";
        assert_eq!(ended.stderr.contains(said), warned, "{mounted:?}: {}", ended.stderr);
        assert_eq!(published(&pod)[1], format!("requirements.txt: {}", mounted.trim_end()));
    }
    let pod = archived(&entries[..1]);
    mount(&pod, "requirements.txt", "");
    let ended = pod.build();
    assert!(!ended.expect(0, &["ready: "]).stderr.contains("is empty and counts"), "{}", ended.stderr);
}

#[test]
fn the_dependency_file_that_an_archive_brings_counts_alone() {
    let mut pod = archived(&[hello(), file("requirements.txt", "# archived\n")])
        .with("FUNC_CONTENT_TYPE", "base64+zip+deps");
    mount(&pod, "requirements.txt", "# mounted\n");
    let elsewhere = pod.dir("elsewhere/requirements.txt");
    std::fs::create_dir_all(elsewhere.parent().expect("a parent")).expect("made");
    std::fs::write(&elsewhere, "# from elsewhere\n").expect("written");
    for file in [pod.dir("src/requirements.txt"), elsewhere] {
        pod.set("KUBELESS_DEPS_FILE", file.display().to_string());
        pod.build().expect(0, &["ready: "]);
        assert_eq!(published(&pod)[1], "requirements.txt: # archived", "{}", file.display());
    }
}

#[test]
fn an_archive_that_shall_bring_its_dependency_file_must() {
    for name in ["other.txt", "sub/requirements.txt"] {
        let pod =
            archived(&[hello(), file(name, "# archived\n")]).with("FUNC_CONTENT_TYPE", "base64+zip+deps");
        mount(&pod, "requirements.txt", "# mounted\n");
        let said =
            "E21 survey failed: hello brings no dependency file, although FUNC_CONTENT_TYPE ends in +deps";
        pod.build().expect(21, &[said, "requirements.txt", "at the top of the archive, or leave +deps out"]);
        pod.assert_empty();
    }
}

#[test]
fn one_folder_around_everything_is_stepped_into() {
    // What macOS adds is neither beside the folder nor source.
    let clutter = ["__MACOSX/._hello.py", ".DS_Store", "._repo-main", "repo-main/._hello.py"];
    let clutter = clutter.map(|name| file(name, "\0\u{5}\u{16}\u{7}"));
    let pod = archived(
        &[&[file("repo-main/hello.py", HELLO), file("repo-main/lib/x", "x")][..], &clutter].concat(),
    );
    pod.build().expect(0, &["ready: "]);
    assert_eq!(published_names(&pod), ["hello.py", "lib/x"]);

    // The handler counts from above it.
    let pod = archived(&[file("app/hello.py", HELLO)]).with("FUNC_HANDLER", "app.hello.hello");
    pod.build().expect(0, &["ready: "]);
    assert_eq!(published_names(&pod), ["app/hello.py"]);

    // Two folders are nobody's wrapping.
    let pod = archived(&[file("one/hello.py", HELLO), file("two/x.py", "")]);
    pod.build().expect(31, &["E31 detect failed: ", "hello.py", "one/hello.py"]);

    let tar = tar(&[file("./repo/hello.py", HELLO), file("./repo/requirements.txt", "# archived\n")]);
    let pod = pod_of("base64+compressedtar+deps");
    mount(&pod, "hello", base64(&Compression::Xz.pack(&tar)));
    pod.build().expect(0, &["ready: "]);
    assert_eq!(published_names(&pod), ["hello.py", "requirements.txt"]);
}

#[test]
fn an_archive_without_the_handlers_file_says_what_it_has_instead() {
    let pod = archived(&[file("helo.py", HELLO), file("deep/down/hello.py", HELLO), file("README.md", "")]);
    let ended = pod.build();
    ended.expect(
        31,
        &["needs hello.py or hello/__init__.py, which is not there; there is deep/down/hello.py, helo.py"],
    );
    pod.assert_empty();
}

#[test]
fn the_address_of_the_environment_wins_and_needs_no_mount() {
    let [right, wrong] = ["right", "wrong"].map(|word| Site::with(format!("{HELLO}# {word}\n").into()));
    let mut pod = pod_of("url").with("FUNC_URL", right.url("", "hello.py"));
    mount(&pod, "requirements.txt", "# mounted\n");
    pod.build().expect(0, &["ready: "]);
    assert_eq!(published_names(&pod), ["hello.py", "requirements.txt"]);

    pod.set("INJECTOR_SOURCE", pod.dir("nowhere").display().to_string());
    pod.build().expect(0, &["ready: "]);
    assert_eq!(published_names(&pod), ["hello.py"]);

    // What Kubeless has put into the mount is no part of the function then.
    pod.set("INJECTOR_SOURCE", pod.dir("src").display().to_string());
    mount(&pod, "address", wrong.url("me:s3cret-word@", "hello.py"));
    pod.build().expect(0, &["ready: "]);
    assert_eq!(published_names(&pod), ["hello.py", "requirements.txt"]);
    remove_file(pod.dir("src/address")).expect("removed");
    mount(&pod, "hello.py", wrong.url("", "hello.py"));
    pod.build().expect(0, &["ready: "]);
    assert!(published(&pod)[0].contains("# right"), "{:?}", published(&pod));
    assert_eq!((right.requests(), wrong.requests()), (4, 0));
}

#[test]
fn an_archive_is_built_where_it_lies_and_nothing_of_it_stays_there() {
    for (name, bytes) in [
        ("function.zip", zip(&[hello()])),
        ("function.tgz", Compression::Gzip.pack(&tar(&[hello()]))),
        ("function", Compression::Zstd.pack(&tar(&[hello()]))),
    ] {
        let mut pod = pod_of("");
        for variable in ["FUNC_CONTENT_TYPE", "INJECTOR_SOURCE", "KUBELESS_INSTALL_VOLUME"] {
            pod.unset(variable);
        }
        create_dir_all(pod.dir("packed")).expect("a directory");
        mount(&pod, &format!("../packed/{name}"), &bytes);
        let archive = pod.dir("packed").join(name).display().to_string();
        let dry = pod.run(&["build", "--dry-run", &archive]);
        assert_eq!(dry.code, Some(0), "{}", dry.stderr);
        assert!(dry.stdout.starts_with("ready: "), "{}", dry.stdout);
        assert_eq!(names(&pod.dir("packed")), [name]);
        let plan = pod.run(&["plan", &archive]);
        plan.expect(0, &[]);
        assert!(plan.stdout.contains("hello.py"), "{}", plan.stdout);
        assert_eq!(names(&pod.dir("packed")), [name]);

        let built = pod.run(&["build", &archive]);
        built.expect(0, &["ready: "]);
        assert_eq!(names(&pod.dir("packed")), [".injector-out", name]);
        let source = pod.dir("packed/.injector-out/function/source");
        assert_eq!(names(&source), ["hello.py"]);
        assert_eq!(pod.leftovers(), [""; 0]);
    }
}
