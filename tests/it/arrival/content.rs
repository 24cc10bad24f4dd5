//! What may be said in `FUNC_CONTENT_TYPE`: carriers, archives, whose dependency file counts, and checksums.

use super::{base64, mount, pod_of, published};
use crate::support::archive::{Compression, Entry, file, tar, zip};
use crate::support::pod::{self, HELLO, Pod, read};
use crate::support::site::Site;

/// `sha256:` and the digest.
fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", pod::digest(bytes))
}

/// A pod whose function these bytes are, brought by this carrier in a mounted file of this name; and the server that
/// has them, if one has.
fn carried(carrier: &str, suffix: &str, name: &str, bytes: &[u8]) -> (Pod, Option<Site>) {
    let pod = pod_of(&format!("{carrier}{suffix}"));
    match carrier {
        "text" => mount(&pod, name, bytes),
        "base64" => mount(&pod, name, base64(bytes)),
        _ => {
            let site = Site::with(bytes.to_owned());
            mount(&pod, name, site.url("", "function?v=1") + "\n");
            return (pod, Some(site));
        }
    }
    (pod, None)
}

const CARRIERS: [&str; 3] = ["text", "base64", "url"];

/// A function with a helper and its dependency file.
fn function() -> Vec<Entry> {
    vec![
        file("hello.py", HELLO),
        file("lib/words.py", "WORD = 'hello'\n"),
        file("run.sh", "#!/bin/sh\n").mode(0o755),
        file("requirements.txt", "# archived\n"),
    ]
}

/// Archives of it, of all kinds, and what the manifest calls each.
fn archives() -> Vec<(&'static str, String, Vec<u8>)> {
    let tar = tar(&function());
    let tars = Compression::ALL.map(|compression| {
        ("+compressedtar", format!("a tar archive, {compression:?}"), compression.pack(&tar))
    });
    let zip = ("+zip", "a zip archive".to_owned(), zip(&function()));
    // Kubeless' CLI looked at the name alone.
    let misnamed = ("+zip", "a tar archive that is called zip".to_owned(), Compression::Gzip.pack(&tar));
    tars.into_iter().chain([zip, misnamed]).collect()
}

#[test]
fn one_file_arrives_by_each_carrier() {
    for carrier in CARRIERS {
        for deps in [None, Some("# mounted\n")] {
            let (pod, site) = carried(carrier, "", "hello.py", HELLO.as_bytes());
            if let Some(deps) = deps {
                mount(&pod, "requirements.txt", deps);
            }
            pod.build().expect(0, &["ready: "]);
            let mut expected = vec![format!("hello.py: {}", HELLO.trim_end())];
            expected.extend(deps.map(|deps| format!("requirements.txt: {}", deps.trim_end())));
            assert_eq!(published(&pod), expected, "{carrier}");
            assert!(site.is_none_or(|site| site.requests() == 1));
        }
    }
}

#[test]
fn an_archive_arrives_by_each_carrier_whatever_it_is_made_with() {
    for (suffix, what, bytes) in archives() {
        for carrier in CARRIERS {
            assert_arrives(carrier, suffix, &what, &bytes, None);
        }
    }
}

#[test]
fn the_mounts_dependency_file_counts_unless_the_archives_shall() {
    let [tar, zip] = [Compression::Gzip.pack(&tar(&function())), zip(&function())];
    for (suffix, bytes) in [("+compressedtar", &tar), ("+compressedtar+deps", &tar), ("+deps+zip", &zip)] {
        for carrier in CARRIERS {
            assert_arrives(carrier, suffix, "an archive", bytes, Some("# mounted"));
        }
    }
}

/// Builds a function that arrives in this archive, with a mounted dependency file or without.
#[track_caller]
fn assert_arrives(carrier: &str, suffix: &str, what: &str, bytes: &[u8], deps: Option<&str>) {
    let (pod, site) = carried(carrier, suffix, "hello", bytes);
    if let Some(deps) = deps {
        mount(&pod, "requirements.txt", deps);
    }
    mount(&pod, "handler", "hello.hello");
    pod.build().expect(0, &["ready: "]);
    let deps = deps.filter(|_| !suffix.contains("+deps")).unwrap_or("# archived");
    let expected = [
        format!("hello.py: {}", HELLO.trim_end()),
        "lib/words.py: WORD = 'hello'".to_owned(),
        format!("requirements.txt: {deps}"),
        "run.sh*: #!/bin/sh".to_owned(),
    ];
    assert_eq!(published(&pod), expected, "{what} as {carrier}{suffix}");
    assert!(site.is_none_or(|site| site.requests() == 1));
    assert_eq!(pod.leftovers(), [""; 0]);
}

#[test]
fn a_checksum_is_of_what_came_before_it_is_unpacked() {
    let archive = zip(&function());
    for (suffix, name, bytes) in [("", "hello.py", HELLO.as_bytes()), ("+zip", "hello", &archive)] {
        for carrier in CARRIERS {
            let (mut pod, site) = carried(carrier, suffix, name, bytes);
            pod.set("FUNC_CHECKSUM", digest(bytes));
            pod.build().expect(0, &["ready: "]);
            let receipt: serde_json::Value =
                serde_json::from_str(&read(&pod.function().join("receipt.json"))).expect("JSON");
            let (pod, site) = {
                drop(site);
                carried(carrier, suffix, name, bytes)
            };
            let wrong = digest(b"another function");
            let pod = pod.with("FUNC_CHECKSUM", wrong.as_str());
            let ended = pod.build();
            let what = site.as_ref().map_or_else(|| name.to_owned(), |site| site.url("", "function"));
            let said = format!("E21 survey failed: {what} has another checksum than the manifest says");
            ended.expect(21, &[&said, &digest(bytes)[7..], &wrong[7..], "FUNC_CHECKSUM"]);
            assert!(!ended.stderr.contains("unpack"), "{}", ended.stderr);
            pod.assert_empty();
            assert!(site.is_none_or(|site| site.requests() == 1), "a wrong checksum is asked for again");
            if carrier != "text" || !suffix.is_empty() {
                assert_eq!(receipt["origin"]["sha256"], digest(bytes), "{receipt}");
                assert_eq!(receipt["origin"]["bytes"], bytes.len(), "{receipt}");
            }
        }
    }
}

#[test]
fn the_dependency_file_that_counts_must_have_its_checksum() {
    let archive = Compression::Gzip.pack(&tar(&function()));
    for (deps, mounted, right, wrong) in [
        ("", "# mounted\n", "# mounted\n", "# archived\n"),
        ("+deps", "# mounted\n", "# archived\n", "# mounted\n"),
    ] {
        let (mut pod, _) = carried("base64", &format!("+compressedtar{deps}"), "hello", &archive);
        mount(&pod, "requirements.txt", mounted);
        let [right, wrong] = [right, wrong].map(|text| digest(text.as_bytes()));
        pod.set("FUNC_DEPS_CHECKSUM", wrong.as_str());
        pod.build().expect(21, &["requirements.txt", &right[7..], &wrong[7..], "FUNC_DEPS_CHECKSUM"]);
        pod.assert_empty();
        for right in [&right, &right[7..]] {
            pod.set("FUNC_DEPS_CHECKSUM", right);
            pod.build().expect(0, &["ready: "]);
        }
    }
}

#[test]
fn what_is_no_content_type_or_checksum_is_told_before_anything_is_asked_for() {
    let site = Site::with(HELLO.into());
    for (name, value, said) in [
        ("FUNC_CONTENT_TYPE", "url+rar", "\"rar\" is no content type"),
        ("FUNC_CONTENT_TYPE", "url+deps", "+deps is for archives"),
        ("FUNC_CONTENT_TYPE", "url+zip+compressedtar", "another word of its kind"),
        ("FUNC_CHECKSUM", "md5:d41d8cd98f00b204e9800998ecf8427e", "md5"),
        ("FUNC_DEPS_CHECKSUM", "sha512:00", "sha512"),
        ("FUNC_URL", "ftp://host/function", "http"),
        ("INJECTOR_MAX_DOWNLOAD", "lots", "a number of bytes is expected"),
    ] {
        let pod = pod_of("url").with("FUNC_URL", site.url("", "x.py")).with(name, value);
        pod.build().expect(11, &["E11 request failed: ", name, said]);
        pod.assert_empty();
    }
    let text = pod_of("text").with("FUNC_URL", site.url("", "x.py"));
    text.build().expect(11, &["FUNC_URL is set", "set FUNC_CONTENT_TYPE to url"]);
    assert_eq!(site.requests(), 0);
}
