//! `injector explain`, fed pods by kubectl; and what is left of a message after the kubelet has cut it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::support::pod::{Ended, HELLO, Pod};

/// Runs `injector explain` on what a pipe brings.
fn explain(input: &[u8]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_injector"))
        .arg("explain")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    let output = thread::scope(|scope| {
        // Who is fed too much goes away.
        scope.spawn(move || drop(pipe.write_all(input)));
        child.wait_with_output().expect("it ends")
    });
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended {
        code: output.status.code(),
        message: String::new(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// What it says of pods.
fn explained(input: &[u8]) -> String {
    let ended = explain(input);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    ended.stdout
}

fn kept(name: &str) -> Vec<u8> {
    fs::read(Path::new(PODS).join(format!("{name}.json"))).expect("a pod")
}

const PODS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/pods");

/// `UPDATE=1` writes the texts anew.
#[test]
fn every_pod_is_explained() {
    let mut culprits = String::new();
    let mut names: Vec<_> = fs::read_dir(PODS)
        .expect("the pods")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    names.sort();
    assert!(names.len() > 30, "{names:?}");
    for file in names {
        let found = explained(&fs::read(&file).expect("a pod"));
        let text = file.with_extension("txt");
        let expected = fs::read_to_string(&text).unwrap_or_default();
        if expected == found {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&text, found).expect("written");
        } else {
            let _ = write!(culprits, "\n{} is:\n{expected}--- found:\n{found}", text.display());
        }
    }
    assert!(culprits.is_empty(), "{culprits}");
}

#[test]
fn what_a_pod_says_can_neither_steer_a_terminal_nor_pass_for_ours() {
    let text = explained(&kept("hostile"));
    let harmless = |c: char| c == '\n' || !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}');
    assert!(text.chars().all(harmless), "{text:?}");
    let ours: Vec<&str> =
        text.lines().filter(|line| line.starts_with("next: ") || line.starts_with("pod ")).collect();
    assert_eq!(ours.len(), 2, "{text}");

    let pod = String::from_utf8(kept("well")).expect("UTF-8");
    for name in ["x; rm -rf ~", "$(id)", "-o", "x\\u001b[2J", ""] {
        let ended = explain(pod.replace("hello-6c9d7f5b8-q4x2z", name).as_bytes());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(11), ""), "{name}");
        assert!(ended.stderr.contains("cannot be the name of a pod"), "{}", ended.stderr);
        assert!(!ended.stderr.contains('\u{1b}'), "{:?}", ended.stderr);
    }
}

#[test]
fn pods_come_alone_in_lists_and_one_after_the_other() {
    let pod: Value = serde_json::from_slice(&kept("init-error")).expect("JSON");
    let alone = explained(pod.to_string().as_bytes());
    let mut nameless = pod.clone();
    nameless.as_object_mut().expect("a pod").remove("kind");
    for input in [
        json!({"kind": "List", "items": [pod]}),
        json!({"kind": "PodList", "items": [nameless]}),
        json!({"kind": "List", "items": [{"kind": "Service", "metadata": {"name": "hello"}}, pod]}),
    ] {
        assert_eq!(explained(input.to_string().as_bytes()), alone);
    }
    let twice = explained(format!("{pod}\n{pod}").as_bytes());
    assert!(twice.starts_with(&alone) && twice.contains("\nthe same: hello-6c9d7f5b8-q4x2z\n"), "{twice}");
}

#[test]
fn a_manifest_is_no_pod_of_a_cluster() {
    // `kubectl create --dry-run=client -o json` adds an empty status.
    let pod = json!({"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": []}, "status": {}});
    let said = explained(pod.to_string().as_bytes());
    assert!(said.starts_with("pod a: nothing is known of it") && said.contains("kubectl get pod a -o json"));
}

#[test]
fn what_holds_no_pod_is_refused_with_the_command_that_gives_one() {
    let deployment =
        json!({"kind": "Deployment", "spec": {"selector": {"matchLabels": {"app": "a", "tier": "b"}}}});
    let stolen = json!({"kind": "Deployment", "spec": {"selector": {"matchLabels": {"app": "a`id`"}}}});
    let events = json!({"kind": "List", "items": [{"kind": "Event"}, {"kind": "Event"}]});
    for (input, said) in [
        (" \n".to_owned(), ["standard input is empty", "without a pipe"]),
        (
            "apiVersion: v1\nkind: Pod\n".to_owned(),
            ["standard input is not JSON: expected value", "-o json | injector explain"],
        ),
        ("{\"kind\": \"Pod\"".to_owned(), ["standard input is not JSON: EOF", "-o json"]),
        ("[".repeat(1 << 20), ["standard input is not JSON: recursion limit", "-o json"]),
        ("3".to_owned(), ["JSON without a kind", "kubectl get pod -l function=NAME -o json"]),
        (deployment.to_string(), ["an object of kind Deployment", "kubectl get pod -l app=a,tier=b -o json"]),
        (stolen.to_string(), ["an object of kind Deployment", "kubectl get pod -l function=NAME -o json"]),
        (events.to_string(), ["2 objects of other kinds", "kubectl get pod -l"]),
        (json!({"kind": "List", "items": []}).to_string(), ["an empty list", "kubectl get pod -l"]),
        (
            json!({"kind": "Pod", "metadata": {"name": "a"}}).to_string(),
            ["cannot be read: missing field `spec`", "-o json"],
        ),
        (" ".repeat((32 << 20) + 1), ["it has more than 32 MiB", "cannot be read"]),
    ] {
        let ended = explain(input.as_bytes());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(11), ""));
        assert!(ended.stderr.starts_with("E11 request failed: "), "{}", ended.stderr);
        for part in said {
            assert!(ended.stderr.contains(part), "{part:?} is missing:\n{}", ended.stderr);
        }
    }
}

#[test]
fn a_code_that_is_asked_for_wins_over_what_is_fed() {
    let run = |stdin: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_injector"));
        command.args(["explain", "61"]).stdin(stdin).output().expect("it runs").stdout
    };
    let pod = fs::File::open(Path::new(PODS).join("well.json")).expect("a pod");
    let fed = run(pod.into());
    assert!(fed.starts_with(b"E61  compile, author\n"));
    assert_eq!(fed, run(Stdio::null()));
}

/// What the kubelet passes on of a termination file, in a pod of so many containers: the last 4096 bytes,
/// and of these its share of 12 KiB from the start
/// (<https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/status/status_manager.go>).
fn cut(file: &str, containers: usize) -> String {
    let tail = &file.as_bytes()[file.len().saturating_sub(4096)..];
    String::from_utf8_lossy(&tail[..tail.len().min(12288 / containers)]).into_owned()
}

/// A pod of so many containers, whose build failed with this message.
fn failed(code: i32, message: &str, containers: usize) -> String {
    let others: Vec<Value> = (1..containers.max(2)).map(|n| json!({"name": format!("main-{n}")})).collect();
    let (init, main) = if containers == 1 {
        (json!([]), json!([{"name": "build"}]))
    } else {
        (json!([{"name": "build"}]), json!(others))
    };
    let status = json!([{
        "name": "build", "restartCount": 3, "ready": false,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": {"exitCode": code, "reason": "Error", "message": message}},
    }]);
    json!({
        "kind": "Pod",
        "metadata": {"name": "hello"},
        "spec": {"initContainers": init, "containers": main},
        "status": {"phase": "Pending", "initContainerStatuses": status, "containerStatuses": status},
    })
    .to_string()
}

/// A build that fails at length says in its first line, and in its first KiB, what must be known,
/// however much the kubelet cuts.
#[track_caller]
fn survives(pod: &mut Pod, code: i32, headline: &str, early: &[&str]) {
    pod.set("INJECTOR_REPLAY", "off");
    let whole = pod.build().expect(code, &[]).message.clone();
    assert!(whole.len() > 12288 / 4, "it is too short to be cut: {whole}");
    assert_eq!(whole.lines().next(), Some(headline));
    for part in early {
        let at = whole.find(part).unwrap_or_else(|| panic!("{part:?} is missing:\n{whole}"));
        assert!(at + part.len() <= 1024, "{part:?} comes late:\n{whole}");
    }
    for containers in 1..=8 {
        let limit = 12288 / containers;
        let kept = cut(&whole, containers);
        assert_eq!(kept.lines().next(), Some(headline), "{containers} containers");
        assert!(early.iter().all(|part| kept.contains(part)), "{containers} containers: {kept}");
        let said = explained(failed(code, &kept, containers).as_bytes());
        assert!(said.contains(&format!("\n    {headline}\n")), "{said}");
        let is_cut = format!("\nthe kubelet cut the message to {limit} bytes: more is in the log\n");
        assert_eq!(said.contains(&is_cut), whole.len() > limit, "{containers} containers: {said}");

        pod.set("INJECTOR_TERMINATION_BUDGET", limit.to_string());
        let fitting = pod.build().expect(code, early).message.clone();
        assert_eq!(cut(&fitting, containers), fitting, "{containers} containers");
        assert_eq!(fitting.lines().next(), Some(headline));
        let said = explained(failed(code, &fitting, containers).as_bytes());
        assert!(!said.contains("the kubelet cut"), "{containers} containers: {said}");
    }
}

#[test]
fn sixty_syntax_errors_survive_the_kubelet() {
    let Some(mut pod) = Pod::python() else { return };
    for number in 0..60 {
        let line = format!("größe{number} = {}'ü' +", "'größer, höher, weiter' + ".repeat(12));
        pod.source(&format!("module{number:02}.py"), &format!("# -*- coding: utf-8 -*-\n{line}\n"));
    }
    let headline = "E61 compile failed: module00.py:2:327: invalid syntax";
    survives(
        &mut pod,
        61,
        headline,
        &["\nmodule00.py:2:327  invalid syntax\n        größe0 = 'größer, höher"],
    );
}

#[test]
fn a_file_name_as_long_as_a_key_may_be_survives_the_kubelet() {
    let Some(mut pod) = Pod::python() else { return };
    let long = format!("{}.py", "x".repeat(250));
    pod.source(&long, "def other(event, context)\n    return 1\n");
    for number in 0..60 {
        pod.source(&format!("y{number}{}.py", "y".repeat(200)), "def other(\n");
    }
    pod.source("hello.py", HELLO);
    let headline = format!("E61 compile failed: …{}:1:26: expected ':'", &long[long.len() - 123..]);
    survives(&mut pod, 61, &headline, &[&format!("\n{long}:1:26  expected ':'\n")]);
}

#[test]
fn a_tool_that_talks_for_long_survives_the_kubelet() {
    let pip = "i=0; while [ $i -lt 400 ]; do echo \"ERROR: größere Mühe mit demo, Versuch $i ✗\" >&2; i=$((i+1)); done\n\
               echo 'ERROR: Could not find a version that satisfies the requirement demo (from versions: none)' >&2\n\
               echo 'ERROR: No matching distribution found for demo' >&2\n\
               exit 1";
    let Some(mut pod) = Pod::fake_pip(pip) else { return };
    let headline = "E51 resolve failed: requirements.txt:1: there is no package demo in the index";
    survives(&mut pod, 51, headline, &["\n$ python3 -I ", "\nhint: check the spelling, "]);
}
