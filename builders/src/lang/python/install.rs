//! Brings a function's dependencies into `deps/`, with pip.

use std::collections::BTreeMap;

use super::requirements::{self, Origin, Requirements};
use super::{byte_code, helper, offline, python, scratch};
use crate::Inputs;
use crate::diagnostic::{Blame, Diagnostic};
use crate::error::PlanError;
use crate::function::RelPath;
use crate::plan::{Action, Arg, Capture, Dir, Network, Place, Step};
use crate::toolchain::{BuildScripts, Tool};

/// How the dependencies come in.
#[derive(Debug, Default)]
pub(super) struct Install {
    /// What was decided and why.
    pub(super) because: Vec<String>,
    /// The steps; none where there are no dependencies.
    pub(super) steps: Vec<Step>,
    /// Values that no output may show.
    pub(super) secrets: BTreeMap<String, String>,
}

/// Decides how the dependencies of a function come in.
pub(super) fn install(inputs: &Inputs<'_>, tool: &Tool) -> Result<Install, PlanError> {
    let function = inputs.function;
    let path = function
        .deps_file
        .as_ref()
        .or_else(|| function.top("requirements.txt"));
    let Some(path) = path else {
        return Ok(Install {
            because: vec!["no dependency file".to_owned()],
            ..Install::default()
        });
    };
    let wanted = requirements::read(function, path)?;
    if wanted.entries.is_empty() {
        return Ok(Install {
            because: vec![format!("{path} asks for nothing")],
            ..Install::default()
        });
    }
    if inputs.policy.build_scripts == BuildScripts::Deny {
        refuse_builds(&wanted)?;
    }
    if !tool.identity.facts.contains_key("pip") {
        return Err(PlanError::NoTool {
            tool: "pip".to_owned(),
            needed_for: format!("the dependencies in {path}"),
            hint: "choose an image that has pip or uv".to_owned(),
        });
    }
    let steps = vec![
        Step {
            name: "install".to_owned(),
            why: format!("the packages that {path} asks for"),
            action: pip(path, &wanted, inputs.policy.build_scripts),
            blame: Blame::Author,
            network: Network::Needed,
        },
        helper("conflicts"),
        offline(
            "conflicts",
            "whether the installed packages go together",
            Blame::Author,
            python(
                vec!["-I".into(), scratch("conflicts.py").into(), Dir::Deps.into()],
                Capture::Whole,
            ),
        ),
        offline(
            "compile-deps",
            "byte-code, kept with the packages",
            Blame::Platform,
            byte_code(inputs.policy.jobs, Dir::Deps),
        ),
    ];
    Ok(Install {
        because: vec![format!("{path} lists the dependencies; pip installs them")],
        steps,
        secrets: BTreeMap::new(),
    })
}

fn pip(path: &RelPath, wanted: &Requirements, scripts: BuildScripts) -> Action {
    let mut args: Vec<Arg> = [
        "-I",
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
        "--no-color",
        "--no-cache-dir",
        "--no-compile",
        "--no-warn-script-location",
        "--target",
    ]
    .map(Arg::from)
    .into();
    args.extend([
        Dir::Deps.into(),
        "-r".into(),
        Place::new(Dir::Source, path.clone()).into(),
    ]);
    if wanted.hashed {
        args.push("--require-hashes".into());
    }
    if scripts == BuildScripts::Deny {
        args.extend(["--only-binary", ":all:"].map(Arg::from));
    }
    // What a user's configuration may say and `--target` contradicts, or what would hide the evidence of a failure.
    let env = [
        ("PIP_USER", "0"),
        ("PIP_REQUIRE_VIRTUALENV", "0"),
        ("PIP_QUIET", "0"),
        ("PIP_ROOT_USER_ACTION", "ignore"),
    ];
    Action::Run {
        tool: "python".to_owned(),
        args,
        env: env.map(|(name, value)| (name.to_owned(), value.into())).into(),
        cwd: Dir::Source.into(),
        capture: Capture::Ends,
    }
}

/// Refuses what pip would build whatever `--only-binary` says.
fn refuse_builds(wanted: &Requirements) -> Result<(), PlanError> {
    let refuse = |what: String, file: &str, line| {
        Err(PlanError::Dependencies(
            Diagnostic::new(format!(
                "{what} must be built, and building dependencies is not allowed here"
            ))
            .at(file, Some(line), None)
            .hint("name a wheel instead, or ask the operator for INJECTOR_BUILD_SCRIPTS=allow"),
        ))
    };
    let built = |origin| matches!(origin, Origin::Url | Origin::Local);
    if let Some(entry) = wanted
        .entries
        .iter()
        .find(|entry| built(entry.origin) && !entry.constraint)
    {
        let what = entry.name.as_deref().unwrap_or("this requirement");
        return refuse(what.to_owned(), &entry.file, entry.line);
    }
    let option = wanted.options.iter().find(|option| match option.name.as_str() {
        "--no-binary" => option.value != ":none:",
        "--only-binary" => option.value == ":none:",
        _ => false,
    });
    option.map_or(Ok(()), |option| {
        refuse(
            format!("with {} {} something", option.name, option.value),
            &option.file,
            option.line,
        )
    })
}
