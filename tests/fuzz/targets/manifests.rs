//! Functions of every language, with their manifests, locks and package clients' configuration: what is planned.

use std::collections::BTreeSet;

use builders::function::{Function, Sha256, SourceFile};
use builders::plan::{Action, Launch, Plan};
use builders::toolchain::{BuildScripts, Identity, Policy, Settings, Tool, Toolchain};
use builders::{Inputs, assets, builder};

use super::sections::sections;
use crate::failure::Failure;

/// A tool, its version, and what else it says of itself.
type Said = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// The tools of all languages' images.
const TOOLS: [Said; 12] = [
    ("go", "1.26.8", &[]),
    ("gofmt", "0", &[]),
    ("javac", "17.0.15", &[]),
    ("mvn", "3.9.11", &[("home", "/opt/maven")]),
    ("node", "22.1.0", &[("abi", "127"), ("arch", "x86_64"), ("libc", "glibc 2.36")]),
    ("npm", "10.9.2", &[]),
    ("pnpm", "10.9.2", &[]),
    (
        "python",
        "3.11.7",
        &[("abi", "cpython-311"), ("arch", "x86_64"), ("libc", "glibc 2.36"), ("pip", "23.2.1")],
    ),
    ("uv", "0.13.9", &[]),
    ("rustc", "1.95.0", &[("host", "x86_64-unknown-linux-gnu")]),
    ("cargo", "1.95.0", &[]),
    ("cc", "12", &[]),
];

/// Reads `language handler [deny] [dependency file]`, then sections: files, `~/` files of configuration, and `$`,
/// lines of `NAME=value`. Whatever they hold, there is a plan that can be written, read and carried out, or a
/// refusal that can be shown.
///
/// # Panics
/// When that does not hold.
pub fn manifests(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let (head, sections) = sections(text);
    let mut words = head.split_whitespace();
    let Some(builder) = words.next().and_then(builder) else { return };
    let handler = words.next().and_then(|word| word.parse().ok());
    let mut words = words.peekable();
    let denied = words.next_if_eq(&"deny").is_some();
    let mut function = Function { handler, ..Function::default() };
    let mut settings = Settings::default();
    for (name, text) in sections {
        if name == "$" {
            let pairs = text.lines().filter_map(|line| line.split_once('='));
            settings.env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        } else if name.starts_with("~/") {
            settings.files.push((name.to_owned(), text.to_owned()));
        } else if let Ok(path) = name.parse() {
            let size = text.len() as u64;
            let text = Some(text.to_owned());
            let file = SourceFile { size, sha256: Sha256([0; 32]), executable: false, text };
            function.files.insert(path, file);
        }
    }
    let named = words.next().and_then(|word| word.parse().ok());
    function.deps_file = named.filter(|path| function.files.contains_key(path));
    let policy = Policy {
        build_scripts: if denied { BuildScripts::Deny } else { BuildScripts::Allow },
        choices: settings.env.clone(),
    };
    let Ok(catalog) = assets::catalog() else { panic!("the runtimes that are built in make no sense") };
    let Some(runtime) = catalog.get(builder.id()) else { panic!("{} has no runtime", builder.id()) };
    let tools = TOOLS.iter().filter_map(|(name, version, facts)| {
        let facts = facts.iter().map(|&(fact, value)| (fact.to_owned(), value.to_owned())).collect();
        let identity = Identity { version: version.parse().ok()?, facts };
        Some(((*name).to_owned(), Tool { program: (*name).to_owned(), identity }))
    });
    let toolchain = Toolchain { tools: tools.collect(), ..Toolchain::default() };
    let inputs =
        Inputs { function: &function, runtime, toolchain: &toolchain, settings: &settings, policy: &policy };
    let planned = builder.plan(&inputs);
    assert!(builder.plan(&inputs) == planned, "another plan for the same function");
    match planned {
        Ok(planned) => can_be_carried_out(&planned),
        Err(error) => super::report(&Failure::Plan(error), &[]),
    }
}

/// A plan has what the stages after it rely on.
fn can_be_carried_out(plan: &Plan) {
    assert!(!plan.to_string().is_empty());
    for section in [&plan.check, &plan.resolve, &plan.compile, &plan.verify] {
        let names: BTreeSet<_> = section.iter().map(|step| &step.name).collect();
        assert_eq!(names.len(), section.len(), "steps of one name: {plan}");
        for step in section {
            if let Action::Asset { id, .. } = &step.action {
                assert!(assets::asset(id).is_some(), "there is no {id}");
            }
        }
    }
    let Ok(json) = serde_json::to_string(&plan) else { panic!("no JSON can say: {plan}") };
    for (key, value) in &plan.secrets.0 {
        // What a registry's address is may well stand in a manifest too; a password does not.
        assert!(value.len() < 16 || !value.contains("hunter2") || !json.contains(value), "{key} is shown");
    }
    let launch = serde_json::to_string(&plan.launch).and_then(|json| serde_json::from_str::<Launch>(&json));
    assert!(launch.is_ok_and(|launch| launch == plan.launch), "{}", plan.launch);
}
