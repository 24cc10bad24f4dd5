//! Which of a function's files may have been meant by a handler whose file is not there.

use strsim::osa_distance;

use crate::error::PlanError;
use crate::function::{Function, Handler, RelPath};

/// How many files an error lists.
const LISTED: usize = 5;

/// How near a name is to the one that is wanted, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    /// The same, in another directory.
    Elsewhere,
    /// The same but for capitals.
    Case,
    /// So many letters were mistyped.
    Letters(usize),
    /// Another name.
    Far,
}

impl Nearness {
    /// Compares the last parts of two modules.
    fn of(found: &str, wanted: &str) -> Self {
        let [found, wanted] = [found, wanted].map(|path| path.rsplit('/').next().unwrap_or(path));
        if found == wanted {
            return Nearness::Elsewhere;
        }
        if found.to_lowercase() == wanted.to_lowercase() {
            return Nearness::Case;
        }
        // As cargo has it: a third of a name may be wrong.
        let most = wanted.chars().count() / 3;
        if found.chars().count().abs_diff(wanted.chars().count()) > most {
            return Nearness::Far;
        }
        match osa_distance(found, wanted) {
            letters if letters <= most => Nearness::Letters(letters),
            _ => Nearness::Far,
        }
    }
}

/// The error that `handler` has none of the files that were `expected`. It lists the nearest of those that the language
/// loads, best first, or of all where it loads none. `modules` are the names, with `/` between directories, by which a
/// handler could call for a file; `None` if the language does not load it.
pub(crate) fn no_module<'a>(
    function: &'a Function,
    handler: Handler,
    expected: Vec<String>,
    modules: impl Fn(&'a RelPath) -> Option<Vec<String>>,
) -> PlanError {
    let wanted = handler.module.replace('.', "/");
    let rank = |path: &'a RelPath, modules: Vec<String>| {
        let near = modules.into_iter().map(|module| (Nearness::of(&module, &wanted), module)).min();
        let (nearness, module) = near.unwrap_or((Nearness::Far, String::new()));
        (nearness, path.as_str().matches('/').count(), path, module)
    };
    let files = function.files.keys();
    let mut found: Vec<_> = files.filter_map(|path| modules(path).map(|names| rank(path, names))).collect();
    let is_loaded = !found.is_empty();
    if !is_loaded {
        let stem = |path: &RelPath| {
            path.as_str().rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem).to_owned()
        };
        found = function.files.keys().map(|path| rank(path, vec![stem(path)])).collect();
    }
    found.sort();
    let best = found.first().filter(|(nearness, ..)| is_loaded && *nearness != Nearness::Far);
    let meant =
        best.and_then(|(.., module)| named(module, &handler)).filter(|meant| *meant != handler).map(Box::new);
    let more = found.len().saturating_sub(LISTED);
    let found = found.into_iter().take(LISTED).map(|(_, _, path, _)| path.to_string()).collect();
    PlanError::NoModule { handler, expected, found, more, meant }
}

/// The handler that calls the same function of this module; `None` if no handler can name it.
fn named(module: &str, handler: &Handler) -> Option<Handler> {
    // A dot would stand for a directory.
    let dotted = Some(module.replace('/', ".")).filter(|_| !module.contains('.'))?;
    Handler::new(&dotted, &handler.function).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::{Sha256, SourceFile};

    /// What is found, and the handler that is meant, of functions that end in `.x` and whose modules are their paths.
    fn near(handler: &str, files: &[&str]) -> (Vec<String>, Option<String>) {
        let file = SourceFile { size: 0, sha256: Sha256([0; 32]), executable: false, text: None };
        let files = files.iter().map(|path| (path.parse().expect("a path"), file.clone())).collect();
        let function = Function { files, ..Function::default() };
        let modules = |path: &RelPath| path.as_str().strip_suffix(".x").map(|stem| vec![stem.to_owned()]);
        match no_module(&function, handler.parse().expect("a handler"), Vec::new(), modules) {
            PlanError::NoModule { found, meant, .. } => (found, meant.map(|meant| meant.to_string())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_name_elsewhere_comes_first_then_another_case_then_a_slip_then_the_others() {
        let files = ["aa.x", "b/Index.x", "indxe.x", "src/app/index.x", "lib/index.x", "notes.txt"];
        let (found, meant) = near("index.run", &files);
        assert_eq!(found, ["lib/index.x", "src/app/index.x", "b/Index.x", "indxe.x", "aa.x"]);
        assert_eq!(meant.as_deref(), Some("lib.index.run"));
        assert_eq!(near("package.Index.run", &files[1..3]).1.as_deref(), Some("b.Index.run"));
        assert_eq!(near("index.run", &files[..3]).1.as_deref(), Some("b.Index.run"));
        assert_eq!(near("index.run", &["aa.x", "indxe.x"]).1.as_deref(), Some("indxe.run"));
    }

    #[test]
    fn what_is_far_is_listed_and_not_advised() {
        assert_eq!(near("index.run", &["a.x", "b.x"]), (vec!["a.x".to_owned(), "b.x".to_owned()], None));
        assert_eq!(near("a.run", &["b.x"]).1, None);
        assert_eq!(
            near("index.run", &["z.y", "src/index.y"]),
            (vec!["src/index.y".to_owned(), "z.y".to_owned()], None)
        );
        assert_eq!(near("index.run", &[]), (Vec::new(), None));
        assert_eq!(near("index.run", &["1", "2", "3", "4", "5", "6"]).0.len(), LISTED);
    }

    #[test]
    fn a_file_that_no_handler_can_name_is_not_advised() {
        assert_eq!(near("index.run", &["app-1.2/index.x"]).1, None);
        assert_eq!(near("index.run", &["my app/index.x"]).1, None);
        assert_eq!(near("index.run", &["my-app/index.x"]).1.as_deref(), Some("my-app.index.run"));
    }
}
