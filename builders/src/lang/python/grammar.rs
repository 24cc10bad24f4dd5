//! Reads one requirement: its package, and whether any pip could accept it.
//!
//! The grammar: <https://packaging.python.org/en/latest/specifications/dependency-specifiers/>.

/// Reads one requirement. What has a `/` or an archive's name is a path or a URL, which only the tool can judge.
pub(super) fn entry(text: &str, file: &str, line: u32) -> Result<Entry, Malformed> {
    let of = |name, target: Option<&str>| Entry {
        name,
        origin: target.map_or(Origin::Index, origin),
        is_remote: target.is_none_or(is_remote),
        file: file.to_owned(),
        line,
        constraint: false,
    };
    let before_marker = text.split(';').next().unwrap_or(text).trim();
    if let Some((name, target)) = before_marker.split_once('@') {
        let name = name.split('[').next().unwrap_or(name).trim();
        if is_name(name) {
            return Ok(of(Some(normalise(name)), Some(target.trim())));
        }
    }
    if before_marker.contains('/') || before_marker.starts_with('.') || is_archive(before_marker) {
        return Ok(of(None, Some(before_marker)));
    }
    let name = package(text)?;
    Ok(of(Some(normalise(name)), None))
}

/// One requirement and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The package, normalised; `None` where only the tool can tell (a bare path or URL).
    pub(super) name: Option<String>,
    /// Where the package comes from.
    pub(super) origin: Origin,
    /// Whether it is not one of the function's files, whatever they are.
    pub(super) is_remote: bool,
    /// The file, as its author named it.
    pub(super) file: String,
    /// The line, from 1, on which it begins.
    pub(super) line: u32,
    /// Whether it only limits versions (`-c`).
    pub(super) constraint: bool,
}

/// Where a requirement's package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// An index or a `--find-links` page.
    Index,
    /// A wheel by its URL or path: nothing is built.
    Wheel,
    /// A URL of something that must be built.
    Url,
    /// A directory or an archive of the function itself that must be built.
    Local,
}

/// Why a requirement is one that no pip accepts.
#[derive(Debug)]
pub(super) struct Malformed {
    /// Where in it, in bytes.
    pub(super) offset: usize,
    /// What pip would say.
    pub(super) message: String,
    /// What to write.
    pub(super) hint: &'static str,
}

/// The name in a requirement that is no path and no URL, after its form was checked.
pub(super) fn package(text: &str) -> Result<&str, Malformed> {
    let shown: String = text.chars().take(60).collect();
    let bad = |offset, hint| Malformed { offset, message: format!("Invalid requirement: {shown:?}"), hint };
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
    let name = &text[..end];
    if !is_name(name) {
        return Err(bad(0, "a requirement begins with the package's name, for example `requests>=2.31`"));
    }
    let mut rest = text[end..].trim_start();
    let at = |rest: &str| text.len() - rest.len();
    if let Some(extras) = rest.strip_prefix('[') {
        let (_, after) =
            extras.split_once(']').ok_or_else(|| bad(at(rest), "close the list of extras with `]`"))?;
        rest = after.trim_start();
    }
    if rest.is_empty() || rest.starts_with([';', '(', '@']) {
        return Ok(name);
    }
    let operator = rest.find(|c| !"<>=!~".contains(c)).unwrap_or(rest.len());
    match &rest[..operator] {
        "==" | ">=" | "<=" | "!=" | "~=" | "===" | "<" | ">" => Ok(name),
        "=" => Err(bad(at(rest), "write `==` for an exact version")),
        "" if name == "pip" && rest.starts_with("install") => {
            Err(bad(0, "write the package's name alone, without `pip install`"))
        }
        _ => Err(bad(
            at(rest),
            "after the name comes a version such as `==1.2`; each requirement has a line of its own",
        )),
    }
}

fn is_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn is_archive(text: &str) -> bool {
    let text = text.split('[').next().unwrap_or(text).to_ascii_lowercase();
    [".whl", ".zip", ".gz", ".tgz", ".tar", ".bz2", ".tbz", ".xz", ".txz", ".tlz", ".lz", ".lzma"]
        .iter()
        .any(|ending| text.ends_with(ending))
}

/// Whether a text is a URL that leads to another machine.
pub(super) fn is_remote(text: &str) -> bool {
    let scheme = text.trim().split_once("://").map_or("", |(scheme, _)| scheme);
    let is_scheme = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    // `git+file://` names a repository on this one.
    is_scheme && !scheme.is_empty() && !scheme.to_ascii_lowercase().ends_with("file")
}

fn origin(target: &str) -> Origin {
    let path = target.split(['#', '?']).next().unwrap_or(target).trim_end();
    if path.split('[').next().unwrap_or(path).to_ascii_lowercase().ends_with(".whl") {
        Origin::Wheel
    } else if path.contains("://") && !path.starts_with("file:") {
        Origin::Url
    } else {
        Origin::Local
    }
}

/// A package's name as indexes compare it: <https://peps.python.org/pep-0503/#normalized-names>.
pub(super) fn normalise(name: &str) -> String {
    let parts: Vec<_> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-").to_ascii_lowercase()
}
