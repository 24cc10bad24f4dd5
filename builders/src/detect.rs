//! Which runtime a function is for: exactly one, or an error that lists the candidates.

use crate::catalog::{Catalog, Runtime, RuntimeName};
use crate::error::DetectError;
use crate::function::Function;

/// The runtime that was chosen, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// The runtime.
    pub runtime: Runtime,
    /// What was asked for, or the ID that was detected without a version.
    pub name: RuntimeName,
    /// Why this one, in one sentence.
    pub evidence: String,
}

/// Chooses the runtime: what was asked for, else what the files show.
///
/// # Errors
/// When what was asked for is not known, or the files show none or several.
pub fn detect(
    hint: Option<&RuntimeName>,
    function: &Function,
    catalog: &Catalog,
) -> Result<Detected, DetectError> {
    if function.files.is_empty() {
        return Err(DetectError::Empty);
    }
    if let Some(name) = hint {
        let runtime = catalog.find(name)?.clone();
        return Ok(Detected { runtime, name: name.clone(), evidence: format!("{name} was asked for") });
    }
    let mut candidates: Vec<(&Runtime, String)> = catalog
        .runtimes()
        .iter()
        .filter_map(|runtime| Some((runtime, evidence(runtime, function)?)))
        .collect();
    match candidates.len() {
        1 => {
            let (runtime, evidence) = candidates.remove(0);
            let name = RuntimeName { id: runtime.id.clone(), version: None };
            Ok(Detected { runtime: runtime.clone(), name, evidence })
        }
        0 => {
            let is_for = |runtime: &&Runtime| evidence(runtime, function).is_some();
            Err(match catalog.withheld().iter().find(is_for) {
                Some(runtime) => {
                    DetectError::RuntimeNotAllowed { title: runtime.title.clone(), allowed: catalog.ids() }
                }
                None => DetectError::NoRuntime {
                    found: function.files.keys().take(5).map(ToString::to_string).collect(),
                    known: catalog.ids(),
                },
            })
        }
        _ => Err(DetectError::Ambiguous {
            candidates: candidates
                .into_iter()
                .map(|(runtime, evidence)| (runtime.example(), evidence))
                .collect(),
        }),
    }
}

/// What in a function speaks for a runtime: its source files, or where there are none, a dependency file.
fn evidence(runtime: &Runtime, function: &Function) -> Option<String> {
    let source = |path: &&crate::function::RelPath| {
        path.extension().is_some_and(|found| runtime.extensions.iter().any(|listed| listed == found))
    };
    let sources: Vec<_> = function.files.keys().filter(source).collect();
    let manifest = runtime.manifests.iter().find_map(|name| function.top(name));
    match (sources.first(), manifest) {
        (Some(first), _) if sources.len() == 1 => Some(format!("{first} is {}", runtime.title)),
        (Some(first), _) => Some(format!("{first} and {} more are {}", sources.len() - 1, runtime.title)),
        (None, Some(manifest)) => Some(format!("{manifest} is a dependency file of {}", runtime.title)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::{Sha256, SourceFile};

    fn catalog() -> Catalog {
        let of = |id: &str, extension: &str, manifest: &str| {
            format!(
                "schema = 1\nid = '{id}'\ntitle = '{id}'\nversions = ['1']\nextensions = ['{extension}']\nmanifests = ['{manifest}']"
            )
        };
        let (one, two) = (of("xx", "x", "x.txt"), of("yy", "y", "y.txt"));
        Catalog::parse([("xx", one.as_str()), ("yy", two.as_str())]).expect("a catalog")
    }

    fn function(names: &[&str]) -> Function {
        let file = SourceFile { size: 0, sha256: Sha256([0; 32]), executable: false, text: None };
        let files = names.iter().map(|name| (name.parse().expect("a path"), file.clone())).collect();
        Function { files, ..Function::default() }
    }

    #[test]
    fn one_language_is_detected() {
        let detected = detect(None, &function(&["a.x", "b.x", "c.txt"]), &catalog()).expect("detected");
        assert_eq!(
            (detected.runtime.id.as_str(), detected.evidence.as_str()),
            ("xx", "a.x and 1 more are xx")
        );
    }

    #[test]
    fn none_and_several_are_errors_that_list_candidates() {
        let several = detect(None, &function(&["a.x", "b.y"]), &catalog());
        assert!(matches!(several, Err(DetectError::Ambiguous { candidates }) if candidates.len() == 2));
        assert!(matches!(detect(None, &function(&["a.z"]), &catalog()), Err(DetectError::NoRuntime { .. })));
        assert!(matches!(detect(None, &function(&[]), &catalog()), Err(DetectError::Empty)));
    }

    #[test]
    fn what_the_operator_took_away_is_not_allowed_rather_than_unknown() {
        let catalog = catalog().restrict("file", "schema = 1\n[runtimes.xx]\n").expect("a catalog");
        let name: RuntimeName = "yy1".parse().expect("a name");
        for hint in [None, Some(&name)] {
            let refused = detect(hint, &function(&["a.y"]), &catalog);
            assert!(
                matches!(&refused, Err(DetectError::RuntimeNotAllowed { title, allowed })
                    if title == "yy" && allowed == &["xx1"]),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn what_was_asked_for_wins_over_the_files() {
        let name: RuntimeName = "yy1".parse().expect("a name");
        assert_eq!(detect(Some(&name), &function(&["a.x"]), &catalog()).expect("detected").runtime.id, "yy");
    }
}
