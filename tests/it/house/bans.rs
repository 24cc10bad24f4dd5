//! What only some rooms may name: the operating system, the environment, the outputs, the clock.

use super::scan::names;

/// Names in `text` that its room must not use, each with its place and what to do.
pub(super) fn trespasses(path: &str, text: &str) -> Vec<String> {
    let names = names(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut culprits = Vec::new();
    for ban in BANS.iter().filter(|ban| !ban.rooms.iter().any(|room| path.starts_with(room))) {
        for name in &names {
            let is_banned = ban.tokens.iter().any(|token| name.is(token));
            if is_banned && !ban.harmless.iter().any(|token| name.is(token)) {
                culprits.push(format!("{path}:{} names {}: {}", name.line, name.text, ban.advice));
            }
        }
    }
    culprits
}

/// What only some rooms may name.
struct Ban {
    tokens: &'static [&'static str],
    /// Files, or directories with their `/`, that may name it all the same.
    rooms: &'static [&'static str],
    /// Names of that kind that do no harm anywhere.
    harmless: &'static [&'static str],
    advice: &'static str,
}

const SYS: &str = "injector/src/sys/";

const BANS: &[Ban] = &[
    Ban {
        tokens: &[
            "std::fs",
            "std::net",
            "std::os::unix::fs",
            "std::os::unix::net",
            "std::os::unix::process",
            "std::process",
            "SystemTime::now",
            "fs_err::",
            "walkdir::",
            "tokio::",
            "reqwest::",
            "hickory_resolver::",
            "http_body::",
            "rustix::",
            "cap_std::",
            "tar::",
            "flate2::",
            "rawzip::",
            "zstd::",
            "bzip2::",
            "lzma_rust2::",
            ".exists",
            ".try_exists",
            ".is_file",
            ".is_dir",
            ".is_symlink",
            ".metadata",
            ".symlink_metadata",
            ".canonicalize",
            ".read_dir",
            ".read_link",
        ],
        rooms: &[SYS],
        harmless: &["std::process::ExitCode"],
        advice: "let injector/src/sys/ do it, the only door to the operating system",
    },
    Ban {
        tokens: &["std::env", "clap::"],
        rooms: &["injector/src/cli.rs", "injector/src/cli/"],
        harmless: &["std::env::consts"],
        advice: "read it in injector/src/cli.rs and pass it on in the request",
    },
    Ban {
        tokens: &[
            "print!",
            "println!",
            "eprint!",
            "eprintln!",
            "dbg!",
            "io::stdout",
            "io::stderr",
            "io::Stdout",
            "io::Stderr",
            "anstream::",
            "indicatif::",
        ],
        rooms: &["injector/src/report/"],
        harmless: &[],
        advice: "return it, and let injector/src/report/ write it",
    },
    Ban {
        tokens: &["Instant::now"],
        rooms: &[SYS, "injector/src/pipeline.rs", "injector/src/execute.rs"],
        harmless: &[],
        advice: "only stages and steps are timed, by pipeline.rs and execute.rs",
    },
];

#[cfg(test)]
mod tests {
    use super::trespasses;

    #[test]
    fn a_trespass_is_named_with_its_place_and_its_way_out() {
        let read = "//! Words.\nuse std::fs;\n";
        let culprits = trespasses("injector/src/survey.rs", read);
        assert_eq!(culprits.len(), 1, "{culprits:?}");
        assert!(culprits[0].starts_with("injector/src/survey.rs:2 names std::fs: let injector/src/sys/"));
        assert_eq!(trespasses("injector/src/sys/fs.rs", read), [""; 0]);
        for (path, text) in [
            ("injector/src/sys/exec.rs", "fn f() { std::env::var(x); }"),
            ("injector/src/sys/exec.rs", "fn f() { eprintln!(); }"),
            ("injector/src/report/console.rs", "fn f() { path.exists(); }"),
            ("injector/src/cli.rs", "fn f() { std::io::stderr(); }"),
            ("injector/src/survey.rs", "fn f() { Instant::now(); }"),
            ("injector/src/publish.rs", "fn f() { std::time::SystemTime::now(); }"),
            ("builders/src/lang/python.rs", "use tokio::fs;"),
            ("builders/src/plan.rs", "use std::process;"),
        ] {
            assert_eq!(trespasses(path, text).len(), 1, "{path}: {text}");
        }
        for (path, text) in [
            ("injector/src/cli.rs", "fn f() { std::env::args_os(); }"),
            ("injector/src/report/console.rs", "fn f() { eprintln!(); }"),
            ("injector/src/pipeline.rs", "fn f() { Instant::now(); }"),
            ("injector/src/main.rs", "use std::process::ExitCode;"),
        ] {
            assert_eq!(trespasses(path, text), [""; 0], "{path}: {text}");
        }
    }
}
