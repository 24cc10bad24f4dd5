//! `runtimes-config/README.md` explains every field of the format, no other, and by examples that hold.

use std::collections::{BTreeMap, BTreeSet};

use builders::assets;
use builders::catalog::{Catalog, Environment, Runtime, ToolSpec};
use serde_json::Value;

const README: &str = include_str!("../../runtimes-config/README.md");

#[test]
fn every_field_is_explained_and_every_explained_field_exists() {
    let runtime = serde_json::to_value(full()).expect("a runtime can be written");
    let mut fields = keys(&runtime);
    fields.extend(keys(&runtime["tools"][0]));
    fields.extend(keys(&runtime["environment"]));
    assert_eq!(explained(), fields, "left: README.md; right: builders/src/catalog.rs");
}

#[test]
fn the_examples_hold() {
    let examples: Vec<&str> =
        README.split("```toml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    let [runtime, operator] = examples[..] else {
        panic!("README.md has {} examples, not a runtime and an operator's file", examples.len());
    };
    Catalog::parse([("README.md", runtime)]).expect("the example is a runtime");
    let known = assets::catalog().expect("the embedded runtimes are well-formed");
    let left = known.restrict("README.md", operator).expect("the example is an operator's file");
    assert_eq!(left.ids(), ["python"]);
}

/// A runtime with all its fields, so that a new one does not compile until it stands here.
fn full() -> Runtime {
    Runtime {
        schema: 1,
        id: String::new(),
        title: String::new(),
        aliases: Vec::new(),
        versions: Vec::new(),
        extensions: Vec::new(),
        manifests: Vec::new(),
        texts: Vec::new(),
        locks: Vec::new(),
        near_misses: BTreeMap::new(),
        ignore: Vec::new(),
        tools: vec![ToolSpec {
            name: String::new(),
            programs: Vec::new(),
            versioned: false,
            leans_on: Vec::new(),
        }],
        environment: Environment {
            pass: Vec::new(),
            files: Vec::new(),
            homes: BTreeMap::new(),
            mounted: BTreeMap::new(),
            choices: Vec::new(),
            ca: Vec::new(),
        },
    }
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().into_iter().flat_map(|object| object.keys().map(String::as_str)).collect()
}

/// The fields in the first column of the README's tables of fields.
fn explained() -> BTreeSet<&'static str> {
    let (_, tables) = README.split_once("field by field").expect("the README explains the fields");
    tables
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(field, _)| field)
        .collect()
}
