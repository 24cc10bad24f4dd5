//! The mount becomes a [`Function`]: names, sizes, digests, and the texts that a builder may read.

use std::io;
use std::path::Path;

use builders::catalog::Catalog;
use builders::diagnostic::Blame;
use builders::function::{Function, RelPath, Sha256, SourceFile};

use crate::cli::Build;
use crate::content::{Dependencies, Form, Limits};
use crate::sys::fs;
use crate::sys::mount::{Entry, Mount, MountError};

/// What was found in the mount.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The mount, held at the generation that was surveyed.
    pub(crate) mount: Mount,
    /// The function in it.
    pub(crate) function: Function,
    /// The text of the mount's key `handler`, which is never source.
    pub(crate) handler_key: Option<String>,
    /// A dependency file from elsewhere than the mount: its bytes, to be put beside the function.
    pub(crate) foreign_deps: Option<(RelPath, Vec<u8>)>,
}

/// Why the function cannot be read, or is not the one that was meant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SurveyError {
    /// The mount or something in it.
    #[error("{source}")]
    Mount {
        /// Where the function is mounted.
        root: String,
        /// What is wrong.
        source: MountError,
    },
    /// The kubelet went on swapping the mount.
    #[error("the mounted function kept changing while it was read")]
    Unsettled,
    /// The file that carries the function is not what the manifest says.
    #[error("{file} has another checksum than the manifest says")]
    Checksum {
        /// The file.
        file: String,
        /// What was expected.
        expected: Sha256,
        /// What was found.
        found: Sha256,
        /// The variable that says what is expected.
        variable: &'static str,
    },
    /// There is a checksum, and nothing or more than one thing that it could be of.
    #[error("{variable} is set, but {reason}")]
    NothingToCheck {
        /// The variable.
        variable: &'static str,
        /// What there is instead.
        reason: String,
    },
}

impl SurveyError {
    /// Who can mend it.
    pub(crate) fn blame(&self) -> Blame {
        match self {
            SurveyError::Mount { source, .. } => match source {
                MountError::Absent(_) | MountError::Unreadable { .. } | MountError::Io(_) => Blame::Platform,
                MountError::Name(_)
                | MountError::Escape { .. }
                | MountError::Special(_)
                | MountError::TooMuch { .. } => Blame::Author,
            },
            SurveyError::Unsettled => Blame::Platform,
            SurveyError::Checksum { .. } | SurveyError::NothingToCheck { .. } => Blame::Author,
        }
    }
}

/// The mount's key that names the handler.
pub(crate) const HANDLER_KEY: &str = "handler";
/// The longest text that a builder is given, in bytes: a `ConfigMap` holds no more.
pub(crate) const MAX_TEXT: u64 = 1 << 20;
/// How often a mount that changes is read anew.
pub(crate) const ATTEMPTS: usize = 5;
/// How the names of files begin in which macOS keeps what other systems do not know of a file: they are never part of a
/// function, and named as if they were its source.
pub(crate) const COMPANION: &str = "._";
/// Directories that are never part of a function, whatever its language.
const IGNORED: [&str; 5] = [".git", ".hg", ".svn", ".injector-out", "__MACOSX"];

/// Reads the function in `source`, again if it changes meanwhile. Its `checksum` is looked at here, unless it was when
/// the function arrived.
pub(crate) fn survey(
    request: &Build,
    source: &Path,
    checksum: Option<Sha256>,
    catalog: &Catalog,
) -> Result<Survey, SurveyError> {
    for _ in 0..ATTEMPTS {
        match attempt(request, source, catalog) {
            Ok(Some(survey)) => {
                verify(request, checksum, catalog, &survey.function)?;
                return Ok(survey);
            }
            Err(error) if !error.is_vanished() => return Err(wrong(request)(error)),
            _ => {}
        }
    }
    Err(SurveyError::Unsettled)
}

/// Reads the function once; `None` if the kubelet has swapped it meanwhile.
fn attempt(request: &Build, source: &Path, catalog: &Catalog) -> Result<Option<Survey>, MountError> {
    let mount = Mount::open(source)?;
    let read = read(&mount, request, catalog);
    if !mount.is_current() {
        return Ok(None);
    }
    let (mut function, handler_key) = read?;
    let foreign_deps = deps_file(request, &mut function)?;
    Ok(Some(Survey { mount, function, handler_key, foreign_deps }))
}

/// What is wrong with the mount.
pub(crate) fn wrong(request: &Build) -> impl Fn(MountError) -> SurveyError {
    let root = request.source.display().to_string();
    move |source| SurveyError::Mount { root: root.clone(), source }
}

/// What is mounted, but for what never is part of a function.
pub(crate) fn entries(
    mount: &Mount,
    request: &Build,
    catalog: &Catalog,
    limits: &Limits,
) -> Result<Vec<(RelPath, Entry)>, MountError> {
    let volume = fs::canonical(&request.volume).ok();
    let names = catalog.runtimes().iter().flat_map(|runtime| &runtime.ignore).map(String::as_str);
    let names: Vec<&str> = names.chain(IGNORED).collect();
    // What was built before is no source, wherever the volume lies.
    let mut entries = mount.entries(limits, &|dir: &Path| {
        volume.as_deref() == Some(dir)
            || dir.file_name().is_some_and(|name| names.iter().any(|one| name == *one))
    })?;
    entries.retain(|(path, _)| !path.name().starts_with(COMPANION));
    Ok(entries)
}

/// The names of dependency files, in the order in which builders prefer them.
pub(crate) fn manifests<'a>(request: &'a Build, catalog: &'a Catalog) -> Vec<&'a str> {
    let manifests = catalog.runtimes().iter().flat_map(|runtime| &runtime.manifests).map(String::as_str);
    request.deps_name().into_iter().chain(manifests).collect()
}

fn read(mount: &Mount, request: &Build, catalog: &Catalog) -> Result<(Function, Option<String>), MountError> {
    let mut function = Function::default();
    let mut handler_key = None;
    let mut links = Vec::new();
    for (path, entry) in entries(mount, request, catalog, &request.limits)? {
        match entry {
            Entry::Link(target) => {
                function.links.insert(path, target);
            }
            Entry::File { executable, link, .. } => {
                let is_text = is_text(&path, request, catalog);
                let (size, sha256, bytes) = mount.read(&path, if is_text { MAX_TEXT } else { 0 })?;
                let text = bytes.filter(|_| is_text).and_then(|bytes| String::from_utf8(bytes).ok());
                if path.as_str() == HANDLER_KEY {
                    handler_key = text;
                } else {
                    links.extend(link.filter(|_| !is_text).map(|target| (path.clone(), target)));
                    function.files.insert(path, SourceFile { size, sha256, executable, text });
                }
            }
        }
    }
    // A program finds what lies beside it by where it really is, as those in `node_modules/.bin` do. What a builder reads
    // is a file all the same, and so is what leads to a part of the mount that is no part of the function.
    links.retain(|(path, target)| path.sibling(target).is_ok_and(|file| function.files.contains_key(&file)));
    function.links.extend(links);
    Ok((function, handler_key))
}

/// Whether a builder may need the text of this file.
fn is_text(path: &RelPath, request: &Build, catalog: &Catalog) -> bool {
    let extension = path.extension().unwrap_or_default();
    path.as_str() == HANDLER_KEY
        || request.deps_name() == Some(path.as_str())
        || catalog.runtimes().iter().any(|runtime| {
            runtime.manifests.iter().any(|name| name == path.name())
                || runtime.texts.iter().any(|listed| listed == extension || listed == path.name())
        })
}

/// Finds the dependency file that the environment names: on disk, else beside the function.
fn deps_file(request: &Build, function: &mut Function) -> Result<Option<(RelPath, Vec<u8>)>, MountError> {
    let (Some(file), Some(name)) = (&request.deps_file, request.deps_name()) else {
        return Ok(None);
    };
    let Ok(path) = name.parse::<RelPath>() else {
        return Ok(None);
    };
    if file.starts_with(&request.source) {
        let inside: Option<RelPath> =
            file.strip_prefix(&request.source).ok().and_then(|rest| rest.to_str()?.parse().ok());
        function.deps_file = inside.filter(|inside| function.files.contains_key(inside));
        return Ok(None);
    }
    // With `+deps` that of the archive counts alone.
    let is_archived =
        request.content_type.is_some_and(|content| content.form == Form::Archive(Dependencies::Archived));
    let foreign = if is_archived { None } else { read_foreign(file, &path)? };
    let Some(bytes) = foreign else {
        function.deps_file = function.files.contains_key(&path).then_some(path);
        return Ok(None);
    };
    let text = String::from_utf8(bytes.clone()).ok();
    let source =
        SourceFile { size: bytes.len() as u64, sha256: fs::digest_of(&bytes), executable: false, text };
    function.links.remove(&path);
    function.files.insert(path.clone(), source);
    function.deps_file = Some(path.clone());
    Ok(Some((path, bytes)))
}

/// Reads a dependency file that is not in the mount; `None` if it is absent. It may lie on a volume that
/// others write: a link there must not lend its target, such as a mounted secret, to what is published.
fn read_foreign(file: &Path, name: &RelPath) -> Result<Option<Vec<u8>>, MountError> {
    let real = match fs::canonical(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        real => real?,
    };
    let dir = fs::canonical(&Path::new(".").join(file.parent().unwrap_or(file)))?;
    if !real.starts_with(dir) {
        return Err(MountError::Escape { path: name.clone(), target: real });
    }
    match fs::read_up_to(&real, MAX_TEXT) {
        Ok(Some(bytes)) => Ok(Some(bytes)),
        // It was there: the kubelet has swapped it meanwhile.
        Ok(None) => Err(io::Error::from(io::ErrorKind::NotFound).into()),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err(MountError::TooMuch { most: format!("{} KiB in {name}", MAX_TEXT >> 10), variable: None })
        }
        Err(error) => Err(error.into()),
    }
}

/// Compares digests with what the manifest says.
fn verify(
    request: &Build,
    checksum: Option<Sha256>,
    catalog: &Catalog,
    function: &Function,
) -> Result<(), SurveyError> {
    let manifests = manifests(request, catalog);
    if let Some(expected) = checksum {
        let variable = "FUNC_CHECKSUM";
        let is_source = |(path, _): &(&RelPath, &SourceFile)| !manifests.contains(&path.as_str());
        match function.files.iter().filter(is_source).collect::<Vec<_>>()[..] {
            [(path, file)] => compare(path.as_str(), file.sha256, expected, variable)?,
            ref several => {
                let reason = format!("the mount holds {} files that it could be of", several.len());
                return Err(SurveyError::NothingToCheck { variable, reason });
            }
        }
    }
    if let Some(expected) = request.deps_checksum {
        let variable = "FUNC_DEPS_CHECKSUM";
        let reason = "there is no dependency file".to_owned();
        let listed = || manifests.iter().find_map(|name| function.top(name));
        let path = function.deps_file.as_ref().or_else(listed);
        let file = path.and_then(|path| function.files.get_key_value(path));
        let (path, file) = file.ok_or(SurveyError::NothingToCheck { variable, reason })?;
        compare(path.as_str(), file.sha256, expected, variable)?;
    }
    Ok(())
}

/// Refuses what has another digest than the manifest says.
pub(crate) fn compare(
    what: &str,
    found: Sha256,
    expected: Sha256,
    variable: &'static str,
) -> Result<(), SurveyError> {
    if found == expected {
        return Ok(());
    }
    Err(SurveyError::Checksum { file: what.to_owned(), expected, found, variable })
}
