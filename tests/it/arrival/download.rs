//! Downloads that end well and downloads that do not: code, words, and how often the server was asked.

use std::fs;

use walkdir::WalkDir;

use super::{mount, pod_of, published};
use crate::support::archive::{Compression, file, tar, zip};
use crate::support::pod::{Ended, HELLO, Pod, read};
use crate::support::registry::{CLOSED, Manner, Proxy, Registry, Scheme, UNKNOWN_HOST, basic};
use crate::support::secrets::assert_hidden;
use crate::support::site::{Answer, Site, says};

/// A password as servers issue them, and how it stands in a URL.
const PASSWORD: &str = "t0k/n@7+x:Y=9s%r";
const LOGIN: &str = "ci-user:t0k/n@7+x:Y=9s%r";
const IN_URL: &str = "ci-user:t0k%2Fn%407%2Bx%3AY%3D9s%25r@";
/// What stands in a signed address.
const SIGNATURE: &str = "sig-8fa3c0ffee+/x";
const SIGNED: &str = "hello.py?v=1&sig=sig-8fa3c0ffee%2B%2Fx";

/// A pod whose function is at this address.
fn at(url: &str) -> Pod {
    pod_of("url").with("FUNC_URL", url)
}

/// Builds, and searches all that is left for the secrets.
#[track_caller]
fn build(pod: &Pod) -> Ended {
    // As a run before leaves it: where it is not there, no report is written before there is anything to build.
    mount(pod, "../volume/.injector/lock", "");
    let ended = searched(pod, pod.build());
    assert!(pod.dir("volume/.injector/report.json").is_file(), "no report to search: {}", ended.stderr);
    ended
}

/// Searches all that a run has left for the secrets.
#[track_caller]
fn searched(pod: &Pod, ended: Ended) -> Ended {
    for secret in [PASSWORD, SIGNATURE] {
        for (place, text) in [
            ("the log", &ended.stderr),
            ("the termination log", &ended.message),
            ("standard output", &ended.stdout),
        ] {
            assert_hidden(secret, place, text.as_bytes());
        }
        for entry in WalkDir::new(pod.dir("volume")).into_iter().map(|entry| entry.expect("readable")) {
            let shown = entry.path().display().to_string();
            assert_hidden(secret, "a name", shown.as_bytes());
            if entry.file_type().is_file() {
                assert_hidden(secret, &shown, &fs::read(entry.path()).expect("readable"));
            }
        }
    }
    assert_eq!(pod.leftovers(), [""; 0]);
    ended
}

fn hello() -> Answer {
    Answer::File(HELLO.into())
}

#[test]
fn a_status_that_is_no_file_is_told_with_its_first_line_and_asked_for_once() {
    for (status, code) in [
        ("404 Not Found", 21),
        ("410 Gone", 21),
        ("401 Unauthorized", 22),
        ("403 Forbidden", 22),
        ("418 I'm a teapot", 22),
    ] {
        let site = Site::start(Scheme::Http, move |_, _| {
            says(status, "<html><h1>There is\u{7} nothing</h1>\n<p>more of it</p></html>")
        });
        let pod = at(&site.url(IN_URL, SIGNED));
        let ended = build(&pod);
        let headline = format!(
            "E{code} survey failed: {} answered {status}: There is nothing",
            site.url("", "hello.py")
        );
        ended.expect(code, &[&headline, "hint: "]);
        assert!(!ended.message.contains("more of it"), "{}", ended.message);
        assert_eq!(site.requests(), 1, "{status}");
        pod.assert_empty();
    }
}

#[test]
fn what_may_heal_is_asked_for_again_and_told() {
    for status in ["500 Internal Server Error", "503 Service Unavailable", "429 Too Many Requests"] {
        let site = Site::start(Scheme::Http, move |_, before| match before {
            0 => Answer::Status(status, "Retry-After: 0\r\n".to_owned(), b"too busy".into()),
            _ => hello(),
        });
        let ended = build(&at(&site.url(IN_URL, SIGNED)));
        ended.expect(0, &["ready: "]);
        let told = format!("{} answered {status}: too busy; trying again in ", site.url("", "hello.py"));
        assert!(ended.stderr.contains(&told), "{}", ended.stderr);
        assert_eq!(site.requests(), 2, "{status}");
    }
}

#[test]
fn a_server_that_asks_for_more_patience_than_a_pod_has_is_told() {
    let site = Site::start(Scheme::Http, |_, _| {
        Answer::Status("429 Too Many Requests", "Retry-After: 3600\r\n".to_owned(), Vec::new())
    });
    build(&at(&site.url("", "hello.py"))).expect(22, &["asks to wait 3600 s"]);
    assert_eq!(site.requests(), 1);
}

#[test]
fn redirects_are_followed_and_take_no_login_to_another_host() {
    let abroad = Site::abroad(|_, _| hello());
    let there = abroad.url("", SIGNED);
    let site = Site::start(Scheme::Http, move |asked, _| match &*asked.what {
        "GET /one.py" => Answer::Moved("/two".to_owned()),
        _ => Answer::Moved(there.clone()),
    });
    build(&at(&site.url(IN_URL, "one.py"))).expect(0, &["ready: "]);
    let asked: Vec<_> = site.asked().into_iter().map(|asked| (asked.what, asked.authorization)).collect();
    let login = Some(basic(LOGIN));
    assert_eq!(asked, [("GET /one.py".to_owned(), login.clone()), ("GET /two".to_owned(), login)]);
    let asked = abroad.asked();
    assert_eq!((asked.len(), &asked[0].authorization), (1, &None));
    assert_eq!(asked[0].what, format!("GET /{SIGNED}"));
}

#[test]
fn redirects_that_lead_nowhere_are_the_servers_fault() {
    let site = Site::start(Scheme::Http, |asked, before| match &*asked.what {
        "GET /circle" => Answer::Moved("/round".to_owned()),
        "GET /round" => Answer::Moved("circle".to_owned()),
        "GET /file" => Answer::Moved("file:///etc/passwd".to_owned()),
        _ => Answer::Moved(format!("/{before}")),
    });
    build(&at(&site.url(IN_URL, "circle"))).expect(22, &["/circle redirects in a circle", "hint: "]);
    assert_eq!(site.requests(), 2);
    let before = site.requests();
    build(&at(&site.url(IN_URL, "endless"))).expect(22, &["/endless redirects more than 10 times"]);
    assert_eq!(site.requests() - before, 11);
    build(&at(&site.url(IN_URL, "file"))).expect(22, &["302 Found", "file:"]);

    let there = site.url("", "plain");
    let secure = Site::start(Scheme::Https, move |_, _| Answer::Moved(there.clone()));
    let pod = at(&secure.url(IN_URL, "hello.py"));
    mount(&pod, "../ca.pem", &secure.ca);
    let ca = pod.dir("ca.pem").display().to_string();
    build(&pod.with("INJECTOR_CA_FILE", ca)).expect(21, &["from https to http is not followed", "hint: "]);
    assert_eq!(site.asked().iter().filter(|asked| asked.what == "GET /plain").count(), 0);
}

#[test]
fn a_download_that_breaks_in_the_middle_goes_on_there() {
    let archive = zip(&[file("hello.py", HELLO), file("data.bin", noise(100_000))]);
    let content = archive.clone();
    let site = Site::start(Scheme::Http, move |_, before| match before {
        0 => Answer::Cut(content.clone(), content.len() / 2),
        _ => Answer::File(content.clone()),
    });
    let pod = at(&site.url(IN_URL, SIGNED)).with("FUNC_CONTENT_TYPE", "url+zip");
    let ended = build(&pod);
    ended.expect(0, &["ready: "]);
    let half = archive.len() / 2;
    let told = format!("the connection broke after {half} of {} bytes; going on in ", archive.len());
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    assert_eq!(site.requests(), 2);
    assert_eq!(fs::read(pod.function().join("source/data.bin")).expect("published"), noise(100_000));
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn what_does_not_heal_is_tried_five_times() {
    let broken = Site::start(Scheme::Http, |_, _| says("500 Internal Server Error", "out of order"));
    let cutting = Site::start(Scheme::Http, |_, _| Answer::Cut(HELLO.into(), 7));
    let closed = Proxy::closed();
    let cut = format!("the connection broke after 7 of {} bytes (after 5 attempts)", HELLO.len());
    let (at_proxy, proxy) =
        (format!("the proxy {} does not connect to {UNKNOWN_HOST}:443", closed.host), &closed.host);
    let cases = [
        (
            at(&broken.url(IN_URL, SIGNED)),
            "answered 500 Internal Server Error: out of order (after 5 attempts)",
        ),
        (at(&cutting.url(IN_URL, SIGNED)), &*cut),
        (
            at(&format!("http://{IN_URL}{CLOSED}/{SIGNED}")),
            "connection refused by 127.0.0.1:1 (after 5 attempts)",
        ),
        (
            at(&format!("https://{UNKNOWN_HOST}/{SIGNED}"))
                .with("HTTPS_PROXY", format!("http://{IN_URL}{proxy}")),
            &at_proxy,
        ),
    ];
    // They wait longer and longer, together.
    let runs: Vec<_> = cases.iter().map(|(pod, said)| (pod, pod.start(&["build"]), said)).collect();
    for (pod, run, said) in runs {
        searched(pod, run.wait()).expect(22, &["E22 survey failed: ", "/hello.py ", said, "hint: "]);
        pod.assert_empty();
    }
    assert_eq!((broken.requests(), cutting.requests(), closed.asked().len()), (5, 5, 5));
}

#[test]
fn a_server_that_stalls_takes_no_longer_than_a_stage_may() {
    let sites = [0, 7]
        .map(|bytes| (Site::start(Scheme::Http, move |_, _| Answer::Stalls(HELLO.into(), bytes)), bytes));
    let pods = sites.each_ref().map(|(site, _)| at(&site.url(IN_URL, SIGNED)).with("INJECTOR_TIMEOUT", "1"));
    let runs = pods.each_ref().map(|pod| pod.start(&["build"]));
    for ((run, pod), (site, bytes)) in runs.into_iter().zip(&pods).zip(&sites) {
        let said = format!("/hello.py was not fetched within 1 s: {bytes} bytes came");
        searched(pod, run.wait()).expect(22, &["E22 survey failed: ", &said, "hint: ", "INJECTOR_TIMEOUT"]);
        assert_eq!(site.requests(), 1);
        pod.assert_empty();
    }
}

#[test]
fn a_proxy_that_does_not_know_us_is_asked_once() {
    let registry = Registry::start(Scheme::Https, Manner::Serves);
    let strict = Proxy::before(&registry, Some("ci-user:another"));
    for scheme in ["http", "https"] {
        let pod = at(&format!("{scheme}://{UNKNOWN_HOST}/{SIGNED}"));
        let pod = pod.with("ALL_PROXY", format!("http://{IN_URL}{}", strict.host));
        let said = format!("the proxy {} asks for a login", strict.host);
        build(&pod).expect(22, &["E22 survey failed: ", &said, "hint: "]);
        pod.assert_empty();
    }
    assert_eq!(strict.asked().len(), 2);
}

#[test]
fn a_host_without_an_address_is_told() {
    let pod = at(&format!("http://{IN_URL}{UNKNOWN_HOST}/{SIGNED}")).with("INJECTOR_TIMEOUT", "1");
    build(&pod).expect(22, &["E22 survey failed: ", UNKNOWN_HOST, "hint: "]);
    pod.assert_empty();
}

#[test]
fn a_page_for_people_is_no_function() {
    let site = Site::start(Scheme::Http, |_, _| {
        let html = "Content-Type: text/html; charset=utf-8\r\n".to_owned();
        Answer::Status("200 OK", html, b"<!DOCTYPE html>\n<html><title>Log in</title>".into())
    });
    for content_type in ["url", "url+zip", "url+compressedtar+deps"] {
        let pod = at(&site.url(IN_URL, SIGNED)).with("FUNC_CONTENT_TYPE", content_type);
        let said =
            format!("{} answered with a web page, where a function was expected", site.url("", "hello.py"));
        build(&pod)
            .expect(21, &["E21 survey failed: ", &said, "hint: is it the page about the file, or a login?"]);
        pod.assert_empty();
    }
    assert_eq!(site.requests(), 3);
}

#[test]
fn what_is_larger_than_allowed_is_not_downloaded() {
    let site = Site::start(Scheme::Http, |asked, _| match &*asked.what {
        "GET /announced" => Answer::Blanks(1 << 40),
        _ => Answer::Endless,
    });
    for (path, found) in [("announced", "1024 GiB"), ("endless", "more than 64 KiB")] {
        let pod = at(&site.url(IN_URL, path)).with("INJECTOR_MAX_DOWNLOAD", "64Ki");
        let said = format!("/{path} has {found}, and INJECTOR_MAX_DOWNLOAD allows 64 KiB");
        build(&pod).expect(21, &["E21 survey failed: ", &said, "hint: "]);
        pod.assert_empty();
    }
    assert_eq!(site.requests(), 2);
    // The flag does the same.
    let pod = at(&site.url("", "announced"));
    pod.run(&["build", "--max-download", "1Ki"]).expect(21, &["INJECTOR_MAX_DOWNLOAD allows 1 KiB"]);
}

#[test]
fn a_server_of_the_company_is_trusted_by_its_ca_alone() {
    let site = Site::start(Scheme::Https, |_, _| hello());
    let mut pod = at(&site.url(IN_URL, SIGNED));
    mount(&pod, "../ca.pem", &site.ca);
    build(&pod).expect(22, &["E22 survey failed: ", "is not trusted", "INJECTOR_CA_FILE"]);
    assert_eq!(site.requests(), 0);
    pod.assert_empty();
    let ca = pod.dir("ca.pem").display().to_string();
    for variable in ["INJECTOR_CA_FILE", "SSL_CERT_FILE"] {
        pod.set(variable, ca.as_str());
        build(&pod).expect(0, &["ready: "]);
        pod.unset(variable);
    }
    assert_eq!(site.requests(), 2);
}

#[test]
fn proxies_are_asked_where_they_should_be() {
    let [http, https] = [Scheme::Http, Scheme::Https].map(|scheme| Registry::start(scheme, Manner::Serves));
    let proxy = Proxy::before(&http, Some(LOGIN));
    let tunnel = Proxy::before(&https, Some(LOGIN));
    let login = |host: &str| format!("http://{IN_URL}{host}");
    // Whatever is asked for, the registry has a file of it.
    let path = "files/acmegreeting-1.0-py3-none-any.whl";
    let mut pod = at(&format!("http://{UNKNOWN_HOST}/{path}")).with("FUNC_CONTENT_TYPE", "url+zip");
    pod.set("FUNC_HANDLER", "acmegreeting.hello");
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        pod.set(variable, login(&proxy.host));
        build(&pod).expect(0, &["ready: "]);
        pod.unset(variable);
    }
    assert!(
        proxy.asked().iter().all(|asked| asked.authorization == Some(basic(LOGIN))),
        "{:?}",
        proxy.asked()
    );
    assert_eq!(proxy.asked().len(), 3);

    pod.set("FUNC_URL", format!("https://{UNKNOWN_HOST}/{path}"));
    mount(&pod, "../ca.pem", &https.ca);
    pod.set("INJECTOR_CA_FILE", pod.dir("ca.pem").display().to_string());
    pod.set("HTTPS_PROXY", login(&tunnel.host));
    build(&pod).expect(0, &["ready: "]);
    assert_eq!(tunnel.asked()[0].what, format!("CONNECT {UNKNOWN_HOST}:443"));

    pod.set("FUNC_URL", https.url("") + "/" + path);
    pod.set("HTTPS_PROXY", login(CLOSED));
    pod.set("NO_PROXY", "localhost,127.0.0.0/8");
    build(&pod).expect(0, &["ready: "]);
}

#[test]
fn a_login_comes_from_netrc() {
    let site = Site::start(Scheme::Http, |asked, _| {
        if asked.authorization == Some(basic(LOGIN)) {
            hello()
        } else {
            says("401 Unauthorized", "who are you?")
        }
    });
    let netrc = format!("machine 127.0.0.1\nlogin ci-user\npassword {PASSWORD}\n");
    let mut pod = at(&site.url("", SIGNED));
    build(&pod).expect(22, &["401 Unauthorized: who are you?", "hint: "]);
    mount(&pod, "../home/.netrc", &netrc);
    pod.set("HOME", pod.dir("home").display().to_string());
    build(&pod).expect(0, &["ready: "]);
    pod.unset("HOME");
    pod.set("NETRC", pod.dir("home/.netrc").display().to_string());
    build(&pod).expect(0, &["ready: "]);
    assert_eq!(site.requests(), 3);
}

#[test]
fn credentials_of_an_address_are_nowhere_to_be_read() {
    let archive = Compression::Gzip.pack(&tar(&[file("hello.py", HELLO)]));
    let site = Site::with(archive);
    // In the mount, too, where Kubeless put it, and where nothing of it may be published.
    let pod = pod_of("url+compressedtar");
    mount(&pod, "hello", site.url(IN_URL, SIGNED));
    build(&pod).expect(0, &["ready: "]);
    assert_eq!(published(&pod).len(), 1, "{:?}", published(&pod));
    let receipt: serde_json::Value =
        serde_json::from_str(&read(&pod.function().join("receipt.json"))).expect("JSON");
    assert_eq!(receipt["origin"]["from"], site.url("", "hello.py"));
    let plan = pod.run(&["plan", "--json"]);
    for text in [&plan.stdout, &plan.stderr] {
        assert_hidden(PASSWORD, "the plan", text.as_bytes());
        assert_hidden(SIGNATURE, "the plan", text.as_bytes());
    }
    // Nor where the address is none.
    mount(&pod, "hello", site.url(IN_URL, SIGNED).replace("http:", "ssh:"));
    build(&pod).expect(21, &["hello holds no address of a function"]);
}
