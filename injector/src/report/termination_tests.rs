//! The termination message, letter by letter, and under every budget.

use proptest::prelude::*;

use super::*;

fn go(diagnostics: usize) -> Message {
    let mut found = vec![
        Diagnostic::new("undefined: fmt")
            .at("handler.go", Some(7), Some(2))
            .hint("add `import \"fmt\"` to handler.go"),
        Diagnostic::new("too many arguments in call to greet").at("handler.go", Some(9), Some(14)),
    ];
    found.extend((2..diagnostics).map(|n| {
        let line = u32::try_from(n).ok().map(|n| n + 10);
        Diagnostic::new(format!("undefined: name{n}")).at("handler.go", line, Some(2))
    }));
    Message {
        code: 61,
        title: "compile failed".to_owned(),
        diagnostics: found,
        command: Some(Ran {
            argv: "go build -trimpath -o <out>/server .".to_owned(),
            outcome: "exit 1 after 2.1 s".to_owned(),
        }),
        hints: Vec::new(),
        output: String::new(),
    }
}

#[test]
fn the_shape_is_headline_diagnostics_command_hint_output() {
    let mut message = go(2);
    message.output =
        "# example.com/function\n./handler.go:7:2: undefined: fmt\nnote: module requires Go 1.26\n".into();
    assert_eq!(
        compose(&message, 4096),
        r#"E61 compile failed: handler.go:7:2: undefined: fmt

handler.go:7:2   undefined: fmt
handler.go:9:14  too many arguments in call to greet

$ go build -trimpath -o <out>/server .    exit 1 after 2.1 s
hint: add `import "fmt"` to handler.go

note: module requires Go 1.26
"#
    );
}

#[test]
fn a_diagnostic_that_fits_the_headline_is_said_once() {
    let message = Message {
        code: 51,
        title: "resolve failed".into(),
        diagnostics: vec![Diagnostic::new("no version of flask is named 99").at(
            "requirements.txt",
            Some(3),
            None,
        )],
        output: "ERROR: line 3: no version of flask is named 99\n".into(),
        ..Message::default()
    };
    let expected = "E51 resolve failed: requirements.txt:3: no version of flask is named 99\n";
    assert_eq!(compose(&message, 4096), expected);
}

#[test]
fn a_diagnostic_too_long_for_the_headline_is_said_whole_below() {
    let long = "word ".repeat(80);
    let message = Message {
        code: 61,
        title: "compile failed".into(),
        diagnostics: vec![Diagnostic::new(long.as_str())],
        ..Message::default()
    };
    let text = compose(&message, 4096);
    let (headline, rest) = text.split_once("\n\n").expect("two sections");
    assert!(headline.starts_with("E61 compile failed: word word") && headline.ends_with('…'));
    assert!(headline.len() <= HEADLINE);
    assert_eq!(rest, format!("{}\n", long.trim()));
}

#[test]
fn a_path_of_any_length_leaves_line_column_and_message_in_the_headline() {
    for path in [format!("{}.py", "x".repeat(250)), "größe/".repeat(600) + "hello.py"] {
        let mut message = go(1);
        message.diagnostics[0] = Diagnostic::new("expected ':'").at(path.clone(), Some(2), Some(28));
        let text = compose(&message, 4096);
        let headline = text.lines().next().expect("a line");
        assert!(headline.len() <= HEADLINE, "{headline}");
        assert!(headline.starts_with("E61 compile failed: …"), "{headline}");
        assert!(headline.ends_with(".py:2:28: expected ':'"), "{headline}");
        let shown = path.len() < EARLY / 2;
        assert_eq!(text.contains(&format!("\n{path}:2:28  expected ':'\n")), shown, "{text}");
    }
}

#[test]
fn further_lines_of_a_message_are_indented_below() {
    let message = Message {
        code: 61,
        title: "compile failed".into(),
        diagnostics: vec![Diagnostic::new("invalid syntax\n\n\tdef f(:\n\t      ^\n").at(
            "handler.py",
            Some(3),
            Some(7),
        )],
        hints: vec!["first\nthen".into(), "first\nthen".into(), String::new()],
        ..Message::default()
    };
    assert_eq!(
        compose(&message, 4096),
        "E61 compile failed: handler.py:3:7: invalid syntax\n\n\
         handler.py:3:7  invalid syntax\n        def f(:\n              ^\n\n\
         hint: first\n      then\n"
    );
}

#[test]
fn without_diagnostics_the_title_and_the_output_remain() {
    let message = Message {
        code: 90,
        title: "this is a bug of the injector".into(),
        output: "\u{1b}[31mpanicked\u{1b}[0m at x".into(),
        ..Message::default()
    };
    assert_eq!(compose(&message, 4096), "E90 this is a bug of the injector\n\npanicked at x\n");
}

#[test]
fn two_hundred_diagnostics_leave_the_first_kib_useful() {
    let mut message = go(200);
    message.diagnostics.push(message.diagnostics[0].clone());
    message.output = "handler.go:1:1: error: something else\n".repeat(500);
    let text = compose(&message, 4096);
    let early = &text[..EARLY];
    for needed in [
        "E61 compile failed: handler.go:7:2: undefined: fmt\n\n",
        "\nhandler.go:9:14   too many arguments in call to greet\n",
        "\n$ go build -trimpath -o <out>/server .    exit 1 after 2.1 s\nhint: add `import \"fmt\"` to handler.go\n\n",
    ] {
        assert!(early.contains(needed), "{needed:?} is not in\n{early}");
    }
    assert!(text.ends_with("handler.go:1:1: error: something else\n"));

    let counts: Vec<usize> = text
        .lines()
        .filter_map(|line| line.strip_prefix('(')?.strip_suffix(" more)")?.parse().ok())
        .collect();
    let said = |text: &str| {
        text.lines().filter(|line| line.contains("  undefined: ") || line.contains("  too many")).count()
    };
    let (first, _) = text.split_once("\n$ ").expect("a command");
    assert_eq!(counts, [200 - said(first), 200 - said(&text)]);
}

#[test]
fn what_matters_least_goes_first() {
    let mut message = go(3);
    message.output = "error: more to say\n".into();
    let parts = |text: &str| {
        [
            "error: more",
            "$ go build",
            "name2",
            "too many",
            "hint: add `import \"fmt\"`",
            "E61 compile failed: handler.go:7:2: undefined: fmt",
        ]
        .map(|part| text.contains(part))
    };
    let mut stages = Vec::new();
    for budget in (0..=400).rev() {
        let found = parts(&compose(&message, budget));
        if stages.last() != Some(&found) {
            stages.push(found);
        }
    }
    let lost_in_order: Vec<[bool; 6]> =
        (0..=6).map(|lost| std::array::from_fn(|part| part >= lost)).collect();
    assert_eq!(stages, lost_in_order);
}

#[test]
fn the_count_is_right_under_every_budget() {
    let message = go(6);
    for budget in 0..=600 {
        let text = compose(&message, budget);
        let listed = text.lines().filter(|line| line.starts_with("handler.go:")).count();
        let count = text.lines().find_map(|line| line.strip_prefix('(')?.strip_suffix(" more)"));
        match count {
            Some(count) => assert_eq!(count, (6 - listed.max(1)).to_string(), "at {budget}:\n{text}"),
            None => assert!(listed == 6 || listed == 0, "at {budget}:\n{text}"),
        }
    }
}

#[test]
fn long_commands_keep_their_outcome() {
    let mut message = go(1);
    message.command = Some(Ran {
        argv: format!("node {}", "--flag ".repeat(100)),
        outcome: "killed by signal 9 after 2.1 s".to_owned(),
    });
    let text = compose(&message, 4096);
    let line = text.lines().find(|line| line.starts_with("$ ")).expect("a command");
    assert!(line.len() < COMMAND && line.ends_with("…    killed by signal 9 after 2.1 s"), "{line:?}");
}

/// Text as hostile as a tool can make it.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,40}",
        "[a-z ]{0,60}",
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("50%\r100%".to_owned()),
        Just("\t \0\u{7f}\u{9b}1m".to_owned()),
        Just("\u{1b}[1;31merror\u{1b}[0m: ".to_owned()),
        Just("\u{1b}]8;;unterminated".to_owned()),
        prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn messages() -> impl Strategy<Value = Message> {
    let place = prop::option::of((hostile(), any::<Option<u32>>(), any::<Option<u32>>()));
    let diagnostic = (hostile(), place, prop::option::of(hostile())).prop_map(|(message, place, hint)| {
        let diagnostic = Diagnostic { hint, ..Diagnostic::new(message) };
        match place {
            Some((file, line, column)) => diagnostic.at(file, line, column),
            None => diagnostic,
        }
    });
    let diagnostics = prop::collection::vec(diagnostic, 0..20);
    let command = prop::option::of((hostile(), hostile()).prop_map(|(argv, outcome)| Ran { argv, outcome }));
    (hostile(), diagnostics, command, prop::collection::vec(hostile(), 0..4), hostile(), 0usize..200)
        .prop_map(|(title, diagnostics, command, hints, output, times)| Message {
            code: 61,
            title,
            diagnostics,
            command,
            hints,
            output: output.repeat(times),
        })
}

fn check(text: &str, budget: usize) {
    assert!(text.len() <= budget, "{} > {budget}", text.len());
    assert!(text.starts_with(&"E61 "[..budget.min(3)]));
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.split('\n').all(|line| line == line.trim_end()), "{text:?}");
    assert!(!text.contains("\n\n\n"), "{text:?}");
    assert!(text.ends_with('\n') || !text.contains('\n'), "{text:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_budget_is_kept(message in messages(), from in 0usize..64) {
        for budget in (from..=4096).step_by(61).chain(0..64).chain([4096]) {
            check(&compose(&message, budget), budget);
        }
    }

    #[test]
    fn the_first_line_survives_the_kubelet(message in messages()) {
        let text = compose(&message, 4096);
        let tail = &text.as_bytes()[text.len().saturating_sub(4096)..];
        for containers in 1..=8 {
            let kept = &tail[..tail.len().min(12288 / containers)];
            let first = |bytes: &[u8]| bytes.split(|&byte| byte == b'\n').next().map(<[u8]>::to_vec);
            prop_assert_eq!(first(kept), first(text.as_bytes()));
        }
    }
}

#[test]
fn one_hostile_message_under_each_budget() {
    let mut message = go(40);
    message.title = "compile\tfailed \u{1b}[31m".into();
    message.hints = vec!["schön\u{1b}]0;\u{7} ✓ ".repeat(20)];
    message.output = "\u{1b}[31mFehler: größer\u{1b}[0m\t\0\r\nerror: 🦀\n".repeat(100);
    for budget in 0..=4096 {
        check(&compose(&message, budget), budget);
    }
}

#[test]
fn a_line_of_a_mebibyte_is_no_trouble() {
    for unit in ["x", "é", "\t", "\u{1b}[", "error "] {
        let huge = unit.repeat((1 << 20) / unit.len());
        let message = Message {
            code: 61,
            title: "compile failed".into(),
            diagnostics: vec![
                Diagnostic::new(huge.as_str()).at(huge.as_str(), None, None).hint(huge.as_str()),
            ],
            command: Some(Ran { argv: huge.clone(), outcome: huge.clone() }),
            hints: vec![huge.clone()],
            output: huge,
        };
        for budget in [100, 4096] {
            check(&compose(&message, budget), budget);
        }
    }
}
