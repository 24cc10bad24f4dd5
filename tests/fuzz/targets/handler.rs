//! Names that come from manifests: of what is called, of files, runtimes, versions, digests and places.

use std::fmt::{Debug, Display};
use std::path::{Component, Path};
use std::str::FromStr;

use builders::catalog::RuntimeName;
use builders::function::{Handler, RelPath, Sha256};
use builders::plan::Place;
use builders::toolchain::{Version, references};

/// How many lines are read: more show nothing new.
const LINES: usize = 8;

/// No name leads out of its tree, and each that is accepted is read again as it is shown.
///
/// # Panics
/// When that does not hold.
pub fn handler(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for line in text.lines().take(LINES) {
        if let Some(handler) = same_again::<Handler>(line) {
            assert!(!handler.function.contains(['.', '/']), "{handler:?}");
            stays_below(&handler.module.replace('.', "/"));
        }
        if let Some(path) = same_again::<RelPath>(line) {
            is_below(&path, text);
        }
        if let Some(digest) = same_again::<Sha256>(line) {
            assert_eq!(Sha256::from_hex(&digest.hex()), Ok(digest));
        }
        same_again::<RuntimeName>(line);
        same_again::<Version>(line);
        if let Some(Place { path: Some(path), .. }) = same_again::<Place>(line) {
            stays_below(path.as_str());
        }
    }
    for name in references(text) {
        assert!(text.contains(&name) && !name.contains(['$', '{', '}']), "{name:?}");
    }
}

/// What a text means, which is what its display means.
fn same_again<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let shown = value.to_string();
    assert!(shown.parse().is_ok_and(|again: T| again == value), "{value:?} is shown as {shown:?}");
    Some(value)
}

/// A path, what is above it, and whatever is resolved against it, stay in their tree.
fn is_below(path: &RelPath, others: &str) {
    stays_below(path.as_str());
    assert!(path.as_str().ends_with(path.name()), "{path}");
    if let Some(parent) = path.parent() {
        stays_below(parent.as_str());
        assert_eq!(format!("{parent}/{}", path.name()), path.as_str());
    }
    for resolved in others.lines().take(LINES).filter_map(|other| path.sibling(other).ok()) {
        stays_below(resolved.as_str());
    }
}

fn stays_below(path: &str) {
    let mut components = Path::new(path).components();
    assert!(!path.is_empty() && components.all(|one| matches!(one, Component::Normal(_))), "{path:?}");
}
