//! What docs/arrival.md shows, done: each function that it quotes arrives and is built.

use std::fs;

use crate::deploy;
use crate::support::archive::{Compression, directory, file, tar};
use crate::support::pod::{Pod, read};
use crate::support::registry::Scheme;
use crate::support::site::{Answer, Site, says};

/// The host that the document quotes.
const HOST: &str = "https://artifacts.corp.example/";
/// The function that it quotes, in base64 and by its digest.
const HELLO: &str = "def handler(event, context):\n    return \"hello\"\n";

#[test]
fn every_function_that_the_document_shows_arrives_and_is_built() {
    let site = Site::start(Scheme::Http, |asked, _| match &*asked.what {
        "GET /hello-1.0.0.py" => Answer::File(HELLO.into()),
        "GET /hello-1.0.0.tar.gz" => Answer::File(archive()),
        _ => says("404 Not Found", ""),
    });
    let mut types = Vec::new();
    for block in deploy::quoted().into_iter().filter(|block| block.name.starts_with("docs/arrival.md")) {
        let objects = block.objects();
        let env = objects.iter().find_map(|object| object["spec"]["initContainers"][0]["env"].as_array());
        let variable = |name: &str| {
            let found = env?.iter().find(|variable| variable["name"] == name)?;
            Some(found["value"].as_str()?.replace(HOST, &site.url("", "")))
        };
        // What is quoted of volumes and credentials alone is no function.
        let (Some(_), Some(content_type)) = (variable("FUNC_HANDLER"), variable("FUNC_CONTENT_TYPE")) else {
            continue;
        };
        let Some(mut pod) = Pod::python() else { return };
        fs::remove_file(pod.dir("src").join("hello.py")).expect("it is there");
        for (key, bytes) in deploy::content(&objects[0]) {
            let text = String::from_utf8(bytes).expect("text");
            pod.source(&key, &text.replace(HOST, &site.url("", "")));
        }
        for name in ["FUNC_HANDLER", "FUNC_CONTENT_TYPE", "FUNC_URL", "FUNC_CHECKSUM"] {
            if let Some(value) = variable(name) {
                pod.set(name, value);
            }
        }
        pod.set("FUNC_RUNTIME", "python");
        pod.build().expect(0, &["ready: "]);
        let source = |name: &str| read(&pod.function().join("source").join(name));
        if content_type.ends_with("+deps") {
            assert_eq!(source("words.py"), "GREETING = \"hello from staging\"\n", "{}", block.name);
        } else {
            assert_eq!(source("hello.py"), HELLO, "{}", block.name);
        }
        types.push(content_type);
    }
    assert_eq!(types, ["base64", "url", "url", "base64+zip", "url+compressedtar+deps"]);
}

/// As a forge packs a release.
fn archive() -> Vec<u8> {
    let greets = "import words\n\n\ndef handler(event, context):\n    return words.GREETING\n";
    Compression::Gzip.pack(&tar(&[
        directory("hello-1.0.0/"),
        file("hello-1.0.0/hello.py", greets),
        file("hello-1.0.0/words.py", "GREETING = \"hello\"\n"),
        file("hello-1.0.0/requirements.txt", ""),
    ]))
}
