//! Files and directories; every error names its path.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use builders::function::Sha256;
use fs_err as fs;
use fs_err::os::unix::fs::{OpenOptionsExt as _, symlink};
use sha2::Digest as _;
use walkdir::WalkDir;

/// Whether a file is made when it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    /// It is made.
    IfMissing,
    /// Its absence is an error.
    Never,
}

/// Whether bytes must have reached the disk when a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// They must: they are the last word.
    Now,
    /// They will be overwritten; only the loss of the node could take them.
    Later,
}

/// What a tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    /// Files, without directories and links.
    pub(crate) files: u64,
    /// Their lengths, in bytes.
    pub(crate) bytes: u64,
}

/// Overwrites a file where it stands: a bind mount cannot be renamed over.
pub(crate) fn write_in_place(path: &Path, bytes: &[u8], create: Create, sync: Sync) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).truncate(true).create(create == Create::IfMissing);
    let mut file = options.custom_flags(NONBLOCK).open(path)?;
    file.write_all(bytes)?;
    if sync == Sync::Later {
        return Ok(());
    }
    match file.sync_all() {
        // Devices and pipes, given as a termination log in tests, cannot be synced.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => Ok(()),
        result => result,
    }
}

/// Replaces a file by rename, so that a reader sees the old bytes or the new ones.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".new");
    let new = path.with_file_name(name);
    // Never through a link that stands there.
    let replaced = remove(&new).and_then(|()| {
        fs::OpenOptions::new().write(true).create_new(true).open(&new)?.write_all(bytes)?;
        fs::rename(&new, path)
    });
    if replaced.is_err() {
        let _ = fs::remove_file(&new);
    }
    replaced
}

/// Points a symbolic link elsewhere by rename: it is never absent.
pub(crate) fn swap_link(link: &Path, target: &Path, scratch: &Path) -> io::Result<()> {
    let new = scratch.join("link.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => symlink(target, &new)?,
    }
    fs::rename(new, link)
}

/// Writes a file that nobody reads yet, making its directories. What stands there goes: code of dependencies may
/// have left a link, which would lead elsewhere, or a FIFO, which would let us wait.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create_parents(path)?;
    let create = || fs::OpenOptions::new().write(true).create_new(true).open(path);
    let file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove(path).and_then(|()| create()),
        file => file,
    };
    file?.write_all(bytes)
}

/// Makes a file that is not there yet, to write to.
pub(super) fn create_new(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
}

/// Opens a file to read it piece by piece.
pub(crate) fn reader(path: &Path) -> io::Result<impl io::Read + use<>> {
    open(path)
}

/// Makes the directories above a path.
pub(crate) fn create_parents(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), create_dirs)
}

/// Makes a directory and those above it.
pub(crate) fn create_dirs(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Makes a directory, in place of a link that has its name and leads elsewhere.
pub(crate) fn create_real_dir(path: &Path) -> io::Result<()> {
    if is_real_dir(path) {
        return Ok(());
    }
    remove(path)?;
    fs::create_dir(path)
}

/// Makes a directory that only its owner can enter; one that is there is kept and closed.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    match builder.mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs::symlink_metadata(path)?;
            if !metadata.is_dir() {
                return Err(io::Error::new(
                    io::ErrorKind::NotADirectory,
                    format!("{} is no directory", path.display()),
                ));
            }
            if metadata.permissions().mode() & 0o777 == 0o700 {
                return Ok(());
            }
            fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
        }
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("failed to create directory `{}`: {}", path.display(), plain(&error)),
        )),
    }
}

/// An error's own words, without the number that the standard library appends.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or_else(|| text.clone(), |(head, _)| head.to_owned())
}

/// The same without the path that [`fs_err`] quotes, where a sentence has already named the file.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = plain(error);
    text.rsplit_once("`: ").map_or_else(|| text.clone(), |(_, reason)| reason.to_owned())
}

/// Makes a fresh private directory below `parent`.
pub(crate) fn create_temp_dir(parent: &Path) -> io::Result<PathBuf> {
    let path = unused_temp_dir(parent)?;
    create_private_dir(&path)?;
    Ok(path)
}

/// A name for a private directory, which nothing has.
pub(crate) fn unused_temp_dir(parent: &Path) -> io::Result<PathBuf> {
    Ok(temp_dir(parent, &super::host::random_hex()?))
}

/// Where the private directory with these 16 digits in its name is.
pub(crate) fn temp_dir(parent: &Path, digits: &str) -> PathBuf {
    parent.join(format!("{TEMP}{digits}"))
}

/// The directories below `parent` that [`create_temp_dir`] made for this user, in whatever process.
pub(crate) fn own_temp_dirs(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let is_ours = |name: &OsString| {
        let random = name.to_str().and_then(|name| name.strip_prefix(TEMP));
        random.is_some_and(|random| random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let named = names(parent)?.into_iter().filter(is_ours);
    // In a directory that all may write, somebody else's may hold links that lead anywhere.
    Ok(named.map(|name| parent.join(name)).filter(|dir| is_own_dir(dir)).collect())
}

/// Whether this is a directory and no link to one.
pub(crate) fn is_real_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Whether this is a directory, no link, and belongs to this user.
pub(crate) fn is_own_dir(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw())
}

/// How the names of temporary directories begin.
const TEMP: &str = "injector-";

/// Removes a file or a whole tree, also one whose directories its maker closed; absence is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.is_dir() => return fs::remove_file(path),
        Ok(_) => {}
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_to_owner(path)?;
            fs::remove_dir_all(path)
        }
        result => result,
    }
}

/// Opens a directory and those in it; a walk would look into one before it could be opened.
fn open_to_owner(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_to_owner(&entry.path())?;
        }
    }
    Ok(())
}

/// The path without links and `..`. What leads through the kubelet's link `..data` is there, although the directory to
/// which that led a moment before is not: a swap lets one attempt fail, or two.
pub(super) fn resolve(path: &Path) -> io::Result<PathBuf> {
    const ATTEMPTS: usize = 8;
    let is_absent = |real: &io::Result<PathBuf>| {
        real.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let attempts = || (1..ATTEMPTS).map(|_| fs::canonicalize(path));
    attempts().find(|real| !is_absent(real)).unwrap_or_else(|| fs::canonicalize(path))
}

/// The same. One that is not UTF-8 is an error: no argument of a tool could say it.
pub(crate) fn canonical(path: &Path) -> io::Result<PathBuf> {
    let real = resolve(path)?;
    match real.to_str() {
        Some(_) => Ok(real),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not UTF-8", real.display()))),
    }
}

/// Renames within one file system.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    create_parents(to)?;
    fs::rename(from, to)
}

/// Makes a symbolic link.
pub(crate) fn link(target: &Path, link: &Path) -> io::Result<()> {
    create_parents(link)?;
    symlink(target, link)
}

/// Copies a file or a tree; links are copied as links, modes are kept. What code of dependencies may have left leads
/// nowhere: no link is followed, be it where the copy begins or where it goes, and for no FIFO we wait.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    create_parents(to)?;
    for entry in WalkDir::new(from).follow_root_links(false) {
        let entry = entry?;
        let target = match entry.path().strip_prefix(from) {
            Ok(rest) if !rest.as_os_str().is_empty() => to.join(rest),
            _ => to.to_owned(),
        };
        if entry.file_type().is_dir() {
            create_real_dir(&target)?;
            continue;
        }
        remove(&target)?;
        if entry.file_type().is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
            continue;
        }
        let file = open(entry.path())?;
        let mode = file.metadata()?.permissions().mode();
        let copy = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&target)?;
        // As they are, the kernel copies from one to the other.
        io::copy(&mut file.file(), &mut copy.file())?;
        // The mode above is cut by the umask.
        fs::set_permissions(&target, std::fs::Permissions::from_mode(mode & 0o7777))?;
    }
    Ok(())
}

/// Makes files newer than all that any clock has dated.
pub(crate) fn postdate(path: &Path) -> io::Result<()> {
    // The last second that every file system knows.
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(0x7fff_ffff);
    for entry in WalkDir::new(path).follow_root_links(false) {
        let entry = entry?;
        if entry.file_type().is_file() {
            fs::File::open(entry.path())?.file().set_modified(last)?;
        }
    }
    Ok(())
}

/// A file's path past all links, its size, and when it and its entry were changed: another stamp, another file. The times
/// of files in images may all be the same; those of their entries are of the node's making.
pub(crate) fn stamp(path: &Path) -> io::Result<String> {
    let path = canonical(path)?;
    let file = fs::metadata(&path)?;
    let (changed, entered) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
    Ok(format!("{} {} {changed:?} {entered:?}", path.display(), file.len()))
}

/// Whether there is a file, links followed.
pub(crate) fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Whether there is a directory, links followed.
pub(crate) fn is_dir(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// The text of a file; `None` if there is none or it may not be read.
pub(crate) fn read_text(path: &Path) -> Option<String> {
    read(path).ok().flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The most that is read of one file, in bytes: the receipt of the largest function has less.
const MOST: u64 = 64 << 20;

/// The bytes of a file; `None` if there is none. One that has too many is an error.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_up_to(path, MOST)
}

/// The bytes of a file, at most `limit`: one that has more is an error, [`io::ErrorKind::FileTooLarge`].
pub(crate) fn read_up_to(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let reason = format!("{} has more than {} KiB", path.display(), limit >> 10);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(Some(bytes))
}

/// The first bytes of a file, at most `count`.
pub(crate) fn start(path: &Path, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count);
    open(path)?.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file to read it, and nothing else: a FIFO would let us wait, and a device have no end.
pub(super) fn open(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).custom_flags(NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no regular file", path.display())))
}

/// To open a FIFO without waiting for whoever holds its other end.
pub(super) const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// Where a link points; `None` if there is none.
pub(crate) fn read_link(path: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read_link(path) {
        Ok(target) => Ok(Some(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names in a directory, sorted; empty if there is none.
pub(crate) fn names(dir: &Path) -> io::Result<Vec<OsString>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Copies what can be read from `from` to `to`, and digests it on the way.
pub(crate) fn digest(from: &mut impl io::Read, mut to: impl io::Write) -> io::Result<(u64, Sha256)> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut size = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok((size, Sha256(hasher.finalize().into()))),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
        size += count as u64;
    }
}

/// The digest of some bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// Copies this program to `dest`: a temporary file, 0755, then a rename, so that a half-written
/// program never has the name.
pub(crate) fn install(dest: &Path) -> io::Result<u64> {
    let mut own = fs::File::open("/proc/self/exe")?;
    let mut name = dest.file_name().map_or_else(OsString::new, OsString::from);
    name.push(format!(".{}", super::host::random_hex()?));
    let temporary = dest.with_file_name(name);
    let copied = (|| {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o755);
        let mut file = options.open(&temporary)?;
        let size = io::copy(&mut own, &mut file)?;
        // The mode above is cut by the umask.
        fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o755))?;
        file.sync_all()?;
        fs::rename(&temporary, dest)?;
        Ok(size)
    })();
    if copied.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    copied
}

/// The digest of this program.
pub(crate) fn own_digest() -> io::Result<Sha256> {
    Ok(digest(&mut fs::File::open("/proc/self/exe")?, io::sink())?.1)
}

/// Makes all of a tree readable for everyone and writable for its owner alone, and counts what is in it.
pub(crate) fn open_to_all(root: &Path) -> io::Result<Usage> {
    let mut usage = Usage::default();
    for entry in WalkDir::new(root) {
        let entry = entry?;
        if entry.file_type().is_symlink() {
            continue;
        }
        let metadata = entry.metadata()?;
        let mode = metadata.permissions().mode();
        let execute = if metadata.is_dir() || mode & 0o100 != 0 { 0o111 } else { 0 };
        let wanted = (mode | 0o444 | execute) & !0o6022;
        if mode != wanted {
            fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(wanted & 0o7777))?;
        }
        if metadata.is_file() {
            usage.files += 1;
            usage.bytes += metadata.len();
        }
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_swapped_while_it_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let link = dir.path().join("function");
        swap_link(&link, Path::new("a"), dir.path()).expect("made");
        swap_link(&link, Path::new("b"), dir.path()).expect("swapped");
        assert_eq!(read_link(&link).expect("read"), Some(PathBuf::from("b")));
        assert_eq!(names(dir.path()).expect("listed"), ["function"]);
    }

    #[test]
    fn what_is_published_is_readable_for_everyone_and_neither_setuid_nor_writable_for_others() {
        let dir = tempfile::tempdir().expect("a directory");
        let (secret, tool) = (dir.path().join("secret"), dir.path().join("tool"));
        for (path, mode) in [(&secret, 0o600), (&tool, 0o4777)] {
            fs::write(path, "12345").expect("written");
            fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("closed");
        }
        symlink("/nowhere", dir.path().join("broken")).expect("linked");
        let usage = open_to_all(dir.path()).expect("opened");
        assert_eq!(usage, Usage { files: 2, bytes: 10 });
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
        assert_eq!((mode(&secret), mode(&tool)), (0o644, 0o755));
    }

    #[test]
    fn a_copy_follows_no_link_and_waits_for_no_fifo() {
        let dir = tempfile::tempdir().expect("a directory");
        let [from, to, precious] = ["from", "to", "precious"].map(|name| dir.path().join(name));
        fs::create_dir_all(from.join("sub")).expect("a directory");
        fs::write(from.join("sub/tool"), "new").expect("written");
        fs::set_permissions(from.join("sub/tool"), std::fs::Permissions::from_mode(0o751)).expect("a mode");
        fs::create_dir_all(&precious).expect("a directory");
        fs::write(precious.join("tool"), "precious").expect("written");
        fs::create_dir(&to).expect("a directory");
        symlink(&precious, to.join("sub")).expect("linked");
        copy(&from, &to).expect("copied");
        assert_eq!(fs::read_to_string(precious.join("tool")).expect("there"), "precious");
        assert_eq!(fs::read_to_string(to.join("sub/tool")).expect("there"), "new");
        assert_eq!(fs::metadata(to.join("sub/tool")).expect("there").permissions().mode() & 0o777, 0o751);

        let fifo = dir.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).expect("a FIFO");
        assert!(copy(&fifo, &dir.path().join("copy")).is_err());
        copy(&from.join("sub/tool"), &fifo).expect("in its place");
        assert_eq!(fs::read_to_string(&fifo).expect("there"), "new");

        let link = dir.path().join("link");
        symlink(&precious, &link).expect("linked");
        copy(&link, &dir.path().join("link.copy")).expect("copied");
        assert_eq!(read_link(&dir.path().join("link.copy")).expect("read"), Some(precious.clone()));
        assert_eq!(fs::read_to_string(precious.join("tool")).expect("there"), "precious");
    }

    #[test]
    fn the_program_installs_itself_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let dest = dir.path().join("injector");
        fs::write(&dest, "an older one").expect("written");
        let size = install(&dest).expect("installed");
        assert_eq!(fs::metadata(&dest).expect("there").len(), size);
        assert!(install(&dir.path().join("no/such/dir")).is_err());
        assert_eq!(names(dir.path()).expect("listed"), ["injector"]);
    }

    #[test]
    fn a_termination_log_that_nobody_mounted_is_not_made() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("termination-log");
        assert!(write_in_place(&log, b"x", Create::Never, Sync::Later).is_err());
        write_in_place(&log, b"longer", Create::IfMissing, Sync::Now).expect("written");
        write_in_place(&log, b"x", Create::Never, Sync::Later).expect("written");
        assert_eq!(fs::read(&log).expect("read"), b"x");
    }
}
