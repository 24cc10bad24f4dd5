//! How a function arrives that is not mounted as it is: decoded or downloaded, verified, unpacked; then it is surveyed
//! like a mount.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use builders::catalog::{Catalog, Runtime};
use builders::diagnostic::Blame;
use builders::function::{Handler, RelPath, Sha256};

use crate::cli::{Build, Environment};
use crate::content::{Carrier, ContentType, Dependencies, Form, Limits};
use crate::failure::Failure;
use crate::network::WayOut;
use crate::pipeline::{self, timed};
use crate::provision::{ProvisionError, TempDir};
use crate::publish::Origin;
use crate::report::Reporter;
use crate::surroundings::MOUNTED;
use crate::survey::{self, ATTEMPTS, HANDLER_KEY, MAX_TEXT, SurveyError};
use crate::sys::decode::DecodeError;
use crate::sys::fetch::{Address, BadAddress, FetchError, Fetched, fetch};
use crate::sys::fs;
use crate::sys::mount::{Entry, Mount, MountError};
use crate::sys::unpack::{Format, UnpackError, recognise, unpack};

/// A function that was brought into a directory of ours.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// Its files, as if they were mounted there.
    pub(crate) tree: PathBuf,
    /// What carried it.
    pub(crate) origin: Origin,
    /// What holds them.
    _room: TempDir,
}

/// Why a function did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArrivalError {
    /// The mount, or a checksum.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// There is no room for it.
    #[error(transparent)]
    Room(#[from] ProvisionError),
    /// A file of the room, or of the mount.
    #[error("the function cannot be brought here: {0}")]
    Io(#[from] io::Error),
    /// Nothing, or more than one thing, could carry the function.
    #[error("none of the mounted files is the one that carries the function")]
    NoCarrier {
        /// The files that are there.
        found: Vec<String>,
        /// The name that was looked for.
        module: Option<String>,
    },
    /// The mounted file is no address.
    #[error("{file} holds no address of a function: {source}")]
    Address {
        /// The file.
        file: RelPath,
        /// What is wrong with it.
        source: BadAddress,
    },
    /// The mounted file is not base64.
    #[error("{file} cannot be decoded: {source}")]
    Decode {
        /// The file.
        file: RelPath,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The function cannot be downloaded.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A page for people came instead of the function.
    #[error("{address} answered with a web page, where a function was expected")]
    WebPage {
        /// From where, without credentials.
        address: String,
    },
    /// An archive that nobody announced.
    #[error("{what} is {format}, where one source file was expected")]
    Unannounced {
        /// The file, or the address.
        what: String,
        /// What it is.
        format: Format,
    },
    /// The archive cannot be unpacked.
    #[error("{what}: {source}")]
    Unpack {
        /// The file, or the address.
        what: String,
        /// What is wrong with it.
        source: UnpackError,
    },
    /// Nobody says what the function's file shall be called.
    #[error("nobody says what the file from {what} shall be called")]
    NoName {
        /// The file, or the address.
        what: String,
    },
    /// `+deps` was said, and nothing is there.
    #[error("{what} brings no dependency file, although FUNC_CONTENT_TYPE ends in +deps")]
    NoDependencies {
        /// The file, or the address.
        what: String,
        /// The names that it could have.
        names: Vec<String>,
    },
    /// A mounted file cannot be laid over the archive's.
    #[error("{0} is mounted, and the archive has a directory in its place, or none where it needs one")]
    InTheWay(RelPath),
}

impl ArrivalError {
    /// Who can mend it.
    pub(crate) fn blame(&self) -> Blame {
        match self {
            ArrivalError::Survey(error) => error.blame(),
            ArrivalError::Room(error) => error.blame(),
            ArrivalError::Fetch(error) => error.blame(),
            ArrivalError::Unpack { source, .. } => source.blame(),
            ArrivalError::Io(_) | ArrivalError::Decode { source: DecodeError::Io(_), .. } => Blame::Platform,
            ArrivalError::NoCarrier { .. }
            | ArrivalError::Address { .. }
            | ArrivalError::Decode { .. }
            | ArrivalError::WebPage { .. }
            | ArrivalError::Unannounced { .. }
            | ArrivalError::NoName { .. }
            | ArrivalError::NoDependencies { .. }
            | ArrivalError::InTheWay(_) => Blame::Author,
        }
    }
}

impl From<ArrivalError> for Failure {
    fn from(error: ArrivalError) -> Self {
        match error {
            ArrivalError::Survey(error) => error.into(),
            ArrivalError::Room(error) => error.into(),
            error => Failure::Arrival(error),
        }
    }
}

/// Where the bytes lie that carry a function, in the room.
const PACKAGE: &str = "package";
/// Where the mounted files lie that will be laid over an archive's.
const BESIDE: &str = "beside";
/// Where the function's files are made.
const TREE: &str = "tree";
/// The section in which the story tells of downloads and archives.
const SECTION: &str = "survey";
/// What macOS adds to archives, beside the companions of files.
const CLUTTER: [&str; 2] = ["__MACOSX", ".DS_Store"];
/// The directory that languages give a meaning, so that it is never just a wrapping.
const MEANT: &str = "src";
/// What is looked at to recognise an archive, in bytes: a tar archive says so in its first header.
const START: usize = 512;

/// What the mount gave.
struct Taken {
    /// What is called, as far as one can know.
    handler: Option<Handler>,
    /// What carries the function.
    package: Package,
    /// The files and links beside it.
    beside: Vec<RelPath>,
}

/// What carries a function.
enum Package {
    /// A file of the mount, whose bytes are in the room now: their number, and their digest.
    File(RelPath, (u64, Sha256)),
    /// An address: of the environment, or of this file.
    Address(Address, Option<RelPath>),
}

impl Package {
    /// How messages call it.
    fn name(&self) -> String {
        match self {
            Package::File(path, _) => path.to_string(),
            Package::Address(address, _) => address.to_string(),
        }
    }
}

/// Brings a function into a directory of ours; `None` if it lies in the mount as it is.
pub(crate) fn arrive(
    request: &Build,
    env: &Environment,
    catalog: &Catalog,
    reporter: &mut Reporter,
) -> Result<Option<Arrived>, ArrivalError> {
    let content = announced(request)?;
    if content == ContentType::default() {
        return Ok(None);
    }
    let room = TempDir::new(&pipeline::scratch_parent(request, env))?;
    let [package, beside, mut tree] = [PACKAGE, BESIDE, TREE].map(|name| room.path.join(name));
    let manifests = survey::manifests(request, catalog);
    let runtimes: Vec<&Runtime> = match &request.runtime {
        Some(name) => catalog.find(name).into_iter().collect(),
        None => catalog.runtimes().iter().collect(),
    };
    let mut taken = take(request, catalog, content, &manifests, [&package, &beside])?;
    let what = taken.package.name();
    let (bytes, sha256) = match &taken.package {
        Package::File(_, copied) => *copied,
        Package::Address(address, _) => {
            let fetched = download(request, env, address, &package, reporter)?;
            if fetched.is_web_page {
                return Err(ArrivalError::WebPage { address: what });
            }
            (fetched.size, fetched.sha256)
        }
    };
    if let Some(expected) = request.checksum {
        survey::compare(&what, sha256, expected, "FUNC_CHECKSUM")?;
    }
    let mut origin = Origin { from: what.clone(), sha256, bytes, archive: None };

    fs::create_dirs(&tree)?;
    if let Form::Archive(dependencies) = content.form {
        let step = reporter.step(SECTION, &format!("unpack {what}"));
        let unpacked = timed(step, || unpack(&package, &tree, &request.limits, request.timeout));
        let unpacked = unpacked.map_err(|source| ArrivalError::Unpack { what: what.clone(), source })?;
        origin.archive = Some(unpacked.format.to_string());
        fs::remove(&package)?;
        tree = top(tree, taken.handler.as_ref())?;
        let listed = runtimes.iter().flat_map(|runtime| &runtime.manifests).map(String::as_str);
        let names: Vec<&str> = request.deps_name().into_iter().chain(listed).collect();
        let brought = names.iter().any(|name| fs::is_file(&tree.join(name)));
        if dependencies == Dependencies::Archived && !brought {
            let names = names.into_iter().map(str::to_owned).collect();
            return Err(ArrivalError::NoDependencies { what, names });
        }
    } else {
        if let Some(format) = recognise(&fs::start(&package, START)?) {
            return Err(ArrivalError::Unannounced { what, format });
        }
        let name = file_name(&taken, &runtimes).ok_or(ArrivalError::NoName { what })?;
        let file = tree.join(name.as_str());
        fs::create_parents(&file)?;
        fs::rename(&package, &file)?;
        taken.beside.retain(|path| *path != name);
    }
    for path in &taken.beside {
        lay_over(&beside, &tree, path, &manifests, reporter)?;
    }
    Ok(Some(Arrived { tree, origin, _room: room }))
}

/// What the manifest says of how the function arrives. Where it says nothing, an archive that is named itself is one.
fn announced(request: &Build) -> io::Result<ContentType> {
    if let Some(content) = request.content_type {
        return Ok(content);
    }
    let is_archive = fs::is_file(&request.source) && recognise(&fs::start(&request.source, START)?).is_some();
    let form = if is_archive { Form::Archive(Dependencies::Mounted) } else { Form::Plain };
    Ok(ContentType { carrier: Carrier::Text, form })
}

/// Takes from the mount what is needed of it, again if the kubelet swaps it meanwhile.
fn take(
    request: &Build,
    catalog: &Catalog,
    content: ContentType,
    manifests: &[&str],
    to: [&Path; 2],
) -> Result<Taken, ArrivalError> {
    for _ in 0..ATTEMPTS {
        let mount = match (Mount::open(&request.source), &request.url) {
            // With an address nothing needs to be mounted.
            (Err(MountError::Absent(_)), Some(address)) => {
                let handler = called(request, None);
                let package = Package::Address(address.clone(), None);
                return Ok(Taken { handler, package, beside: Vec::new() });
            }
            (Err(error), _) if error.is_vanished() => continue,
            (mount, _) => mount.map_err(survey::wrong(request))?,
        };
        let taken = take_from(&mount, request, catalog, content, manifests, to);
        if mount.is_current() {
            return taken;
        }
        to.into_iter().try_for_each(fs::remove)?;
    }
    Err(SurveyError::Unsettled.into())
}

fn take_from(
    mount: &Mount,
    request: &Build,
    catalog: &Catalog,
    content: ContentType,
    manifests: &[&str],
    [to, beside]: [&Path; 2],
) -> Result<Taken, ArrivalError> {
    // What carries a function counts as a download does; how large the function itself is, is seen when it is unpacked.
    let limits = Limits { unpacked: request.limits.unpacked.max(request.limits.download), ..request.limits };
    let entries = survey::entries(mount, request, catalog, &limits).map_err(survey::wrong(request))?;
    let text = |path: &RelPath| {
        let (_, _, bytes) = mount.read(path, MAX_TEXT).map_err(survey::wrong(request))?;
        Ok::<_, SurveyError>(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    };
    let key = entries.iter().map(|(path, _)| path).find(|path| path.as_str() == HANDLER_KEY);
    let handler = called(request, key.map(text).transpose()?.flatten().as_deref());
    let is_manifest = |path: &RelPath| manifests.contains(&path.as_str());
    let files = entries.iter().filter(|(_, entry)| matches!(entry, Entry::File { .. })).map(|(path, _)| path);
    let files: Vec<&RelPath> =
        files.filter(|path| path.as_str() != HANDLER_KEY && !is_manifest(path)).collect();
    let (package, carrier) = if let Some(address) = &request.url {
        // Where Kubeless put another one, that is no part of the function.
        let is_address = |file: &&RelPath| {
            text(file).is_ok_and(|text| text.is_some_and(|text| text.parse::<Address>().is_ok()))
        };
        let file = carrier(&files, handler.as_ref()).ok().filter(is_address).cloned();
        (Package::Address(address.clone(), file.clone()), file)
    } else {
        let file = carrier(&files, handler.as_ref())?;
        let package = match content.carrier {
            Carrier::Text => Package::File(file.clone(), mount.copy_out(file, to, false)?),
            Carrier::Base64 => {
                let wrong = |source| ArrivalError::Decode { file: file.clone(), source };
                Package::File(file.clone(), mount.decode(file, to).map_err(wrong)?)
            }
            Carrier::Url => {
                let wrong = |source| ArrivalError::Address { file: file.clone(), source };
                let text = text(file)?.ok_or(BadAddress::NoText).map_err(wrong)?;
                Package::Address(text.parse().map_err(wrong)?, Some(file.clone()))
            }
        };
        (package, Some(file.clone()))
    };
    let left_out = |path: &RelPath| {
        carrier.as_ref() == Some(path)
            || content.form == Form::Archive(Dependencies::Archived) && is_manifest(path)
    };
    let mut kept = Vec::new();
    for (path, entry) in entries.into_iter().filter(|(path, _)| !left_out(path)) {
        let to = beside.join(path.as_str());
        match entry {
            Entry::File { executable, .. } => drop(mount.copy_out(&path, &to, executable)?),
            Entry::Link(target) => fs::link(Path::new(&target), &to)?,
        }
        kept.push(path);
    }
    Ok(Taken { handler, package, beside: kept })
}

/// What is called, as far as one can know: what is wrong with it is said when the runtime is chosen.
fn called(request: &Build, key: Option<&str>) -> Option<Handler> {
    pipeline::handler(request, key).ok().flatten()
}

/// The mounted file that carries the function: the only one, or the one that is named after the handler's module.
fn carrier<'a>(files: &[&'a RelPath], handler: Option<&Handler>) -> Result<&'a RelPath, ArrivalError> {
    let found = if let [_] = files { files.first() } else { named(files, handler) };
    found.copied().ok_or_else(|| ArrivalError::NoCarrier {
        found: files.iter().map(ToString::to_string).collect(),
        module: handler.map(|handler| handler.module.clone()),
    })
}

/// The file that is named after the handler's module, as Kubeless did it: without an extension, or as the only one with
/// any.
fn named<'f, 'a>(files: &'f [&'a RelPath], handler: Option<&Handler>) -> Option<&'f &'a RelPath> {
    let module = handler?.module.as_str();
    let after = |file: &RelPath| file.as_str().strip_prefix(module).map(str::to_owned);
    let exact = files.iter().find(|file| after(file).is_some_and(|rest| rest.is_empty()));
    let mut extended = files.iter().filter(|file| after(file).is_some_and(|rest| rest.starts_with('.')));
    match (exact, extended.next(), extended.next()) {
        (Some(file), ..) | (None, Some(file), None) => Some(file),
        _ => None,
    }
}

fn download(
    request: &Build,
    env: &Environment,
    address: &Address,
    to: &Path,
    reporter: &mut Reporter,
) -> Result<Fetched, ArrivalError> {
    let way = WayOut::find(env, request.ca_file.as_deref(), Path::new(MOUNTED))?;
    reporter.hide(address.secrets().chain(way.secrets));
    for unread in &way.unread {
        reporter.warn(unread);
    }
    let step = reporter.step(SECTION, &format!("download {address}"));
    let mut retrying = |why: &str| reporter.warn(why);
    let (most, timeout) = (request.limits.download, request.timeout);
    Ok(timed(step, || fetch(address, to, most, timeout, &way.network, &mut retrying))?)
}

/// What a function of one file is called: as the mount has it, else after the handler, as Kubeless did it, else after
/// its address. The extension tells of the runtime, so that it must be one of its own.
fn file_name(taken: &Taken, runtimes: &[&Runtime]) -> Option<RelPath> {
    let extension = |path: &RelPath| {
        let found = path.extension()?;
        let known = runtimes.iter().flat_map(|runtime| &runtime.extensions).any(|listed| listed == found);
        known.then(|| found.to_owned())
    };
    let (mounted, downloaded) = match &taken.package {
        Package::File(path, _) => (Some(path), None),
        Package::Address(address, path) => {
            (path.as_ref(), address.file_name().and_then(|name| name.parse::<RelPath>().ok()))
        }
    };
    if let Some(path) = mounted.filter(|path| extension(path).is_some()) {
        return Some(path.clone());
    }
    let first = || match runtimes {
        [one] => one.extensions.first().cloned(),
        _ => None,
    };
    let extension = downloaded.as_ref().and_then(extension).or_else(first)?;
    let stem = match (&taken.handler, mounted, &downloaded) {
        (Some(handler), ..) => handler.module.replace('.', "/"),
        (None, Some(path), _) => path.to_string(),
        (None, None, downloaded) => downloaded.as_ref()?.as_str().split('.').next()?.to_owned(),
    };
    format!("{stem}.{extension}").parse().ok()
}

/// Where an archive's files begin: in the one folder around everything, unless the handler counts from above it.
fn top(tree: PathBuf, handler: Option<&Handler>) -> io::Result<PathBuf> {
    let names = fs::names(&tree)?;
    let is_clutter = |name: &OsString| {
        let is_companion = name.as_encoded_bytes().starts_with(survey::COMPANION.as_bytes());
        is_companion || CLUTTER.iter().any(|clutter| name == clutter)
    };
    let mut names = names.iter().filter(|name| !is_clutter(name));
    let (Some(folder), None) = (names.next(), names.next()) else { return Ok(tree) };
    let inner = tree.join(folder);
    let counts_from = |dir: &Path| handler.map_or(Ok(false), |handler| holds(dir, &handler.module));
    if folder == MEANT || !fs::is_real_dir(&inner) || counts_from(&tree)? && !counts_from(&inner)? {
        return Ok(tree);
    }
    Ok(inner)
}

/// Whether a directory has a file of this module, whatever its extension, or a directory.
fn holds(dir: &Path, module: &str) -> io::Result<bool> {
    let path = module.replace('.', "/");
    let path = dir.join(path);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(false);
    };
    if !fs::is_dir(parent) {
        return Ok(false);
    }
    let stem = |found: &OsString| found.to_str().and_then(|found| found.split('.').next()) == Some(name);
    Ok(fs::names(parent)?.iter().any(stem))
}

/// Lays a mounted file over those of the function.
fn lay_over(
    beside: &Path,
    tree: &Path,
    path: &RelPath,
    manifests: &[&str],
    reporter: &Reporter,
) -> Result<(), ArrivalError> {
    let (from, to) = (beside.join(path.as_str()), tree.join(path.as_str()));
    let has_bytes = |file: &Path| Ok::<_, io::Error>(fs::is_file(file) && !fs::start(file, 1)?.is_empty());
    if manifests.contains(&path.as_str()) && has_bytes(&to)? && !has_bytes(&from)? {
        reporter.warn(&format!(
            "the mounted {path} is empty and counts, not the archive's: add +deps to FUNC_CONTENT_TYPE for that one"
        ));
    }
    let in_the_way = |error: io::Error| match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => ArrivalError::InTheWay(path.clone()),
        _ => error.into(),
    };
    if fs::is_real_dir(&to) {
        return Err(ArrivalError::InTheWay(path.clone()));
    }
    fs::create_parents(&to).map_err(in_the_way)?;
    fs::remove(&to).map_err(in_the_way)?;
    Ok(fs::rename(&from, &to)?)
}

#[cfg(test)]
mod tests {
    use builders::assets;

    use super::*;

    fn path(text: &str) -> RelPath {
        text.parse().expect("a path")
    }

    fn handler(text: &str) -> Option<Handler> {
        (!text.is_empty()).then(|| text.parse().expect("a handler"))
    }

    #[test]
    fn the_file_that_carries_a_function_is_named_after_its_module_or_alone() {
        for (files, of, expected) in [
            (&["index"][..], "index.run", Some("index")),
            (&["other"], "index.run", Some("other")),
            (&["other"], "", Some("other")),
            (&["index", "index.zip", "x"], "index.run", Some("index")),
            (&["index.tar.gz", "indexes", "x"], "index.run", Some("index.tar.gz")),
            (&["a/index.js", "x"], "a/index.run", Some("a/index.js")),
            (&["index.zip", "index.js"], "index.run", None),
            (&["a", "b"], "index.run", None),
            (&["a", "b"], "", None),
            (&[], "index.run", None),
        ] {
            let files: Vec<RelPath> = files.iter().map(|file| path(file)).collect();
            let found = carrier(&files.iter().collect::<Vec<_>>(), handler(of).as_ref()).ok();
            assert_eq!(found.map(RelPath::as_str), expected, "{files:?} for {of:?}");
        }
    }

    #[test]
    fn a_function_of_one_file_is_named_after_its_handler_and_runtime() {
        let catalog = assets::catalog().expect("a catalog");
        let mounted = |name| Package::File(path(name), (0, Sha256([0; 32])));
        let at = |url: &str, name: Option<&str>| {
            Package::Address(url.parse().expect("an address"), name.map(path))
        };
        for (package, of, runtime, expected) in [
            (mounted("hello.py"), "other.run", "python", Some("hello.py")),
            (mounted("sub dir/hello.mjs"), "hello.run", "", Some("sub dir/hello.mjs")),
            (mounted("hello"), "hello.run", "python", Some("hello.py")),
            (mounted("hello.b64"), "hello.run", "nodejs", Some("hello.js")),
            (mounted("hello"), "", "go", Some("hello.go")),
            (mounted("hello"), "hello.run", "", None),
            (at("https://host/x/y.mjs?raw=true", None), "hello.run", "nodejs", Some("hello.mjs")),
            (at("https://host/x/y.py", None), "pkg.hello.run", "", Some("pkg/hello.py")),
            (at("https://host/x/y.py", None), "", "", Some("y.py")),
            (at("https://host/x/y.py", Some("hello.js")), "hello.run", "nodejs", Some("hello.js")),
            (at("https://host/download", None), "Hello.run", "java", Some("Hello.java")),
            (at("https://host/download", None), "", "java", Some("download.java")),
            (at("https://host/", None), "", "", None),
        ] {
            let name = package.name();
            let taken = Taken { handler: handler(of), package, beside: Vec::new() };
            let runtimes: Vec<&Runtime> =
                catalog.runtimes().iter().filter(|one| runtime.is_empty() || one.id == runtime).collect();
            let found = file_name(&taken, &runtimes);
            assert_eq!(found.as_ref().map(RelPath::as_str), expected, "{name} for {of:?}, {runtime:?}");
        }
    }

    #[test]
    fn one_folder_around_everything_is_stepped_into_unless_the_handler_counts_from_above_it() {
        for (files, of, expected) in [
            (&["hello/hello.py"][..], "hello.run", "hello"),
            (
                &["hello-main/hello.py", "hello-main/x", "._hello-main", "__MACOSX/._x", ".DS_Store"],
                "hello.run",
                "hello-main",
            ),
            (&["hello-main/hello.py"], "", "hello-main"),
            (&["hello/__init__.py"], "hello.run", ""),
            (&["pkg/mod.py"], "pkg.mod.run", ""),
            (&["pkg/pkg/mod.py"], "pkg.mod.run", "pkg"),
            (&["src/hello.py"], "hello.run", ""),
            (&["hello.py"], "hello.run", ""),
            (&["a/hello.py", "b/x"], "hello.run", ""),
            (&["a/b/hello.py"], "hello.run", "a"),
            (&[], "hello.run", ""),
        ] {
            let dir = tempfile::tempdir().expect("a directory");
            for file in files {
                fs::write(&dir.path().join(file), b"").expect("written");
            }
            let found = top(dir.path().to_owned(), handler(of).as_ref()).expect("read");
            assert_eq!(found, dir.path().join(expected), "{files:?} for {of:?}");
        }
    }
}
