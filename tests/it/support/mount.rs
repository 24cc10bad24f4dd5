//! A volume of a `ConfigMap`, a Secret or several of them, laid out and updated exactly as the kubelet does it.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// The kubelet's atomic writer: files stand in a directory with a date, `..data` is a link to it, and what a user sees
/// are links through `..data`, one for each first part of a path.
/// <https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go>
#[derive(Debug)]
pub(crate) struct AtomicWriter {
    target: PathBuf,
    mode: u32,
    generation: u32,
}

impl AtomicWriter {
    /// Of a volume at this directory.
    pub(crate) fn new(target: PathBuf) -> Self {
        fs::create_dir_all(&target).expect("a directory");
        AtomicWriter { target, mode: 0o644, generation: 0 }
    }

    /// With files of this mode, the volume's `defaultMode`.
    pub(crate) fn with_mode(self, mode: u32) -> Self {
        AtomicWriter { mode, ..self }
    }

    /// Publishes these files, by path, in the place of those that were there.
    pub(crate) fn write<P: AsRef<str>, B: AsRef<[u8]>>(&mut self, files: &[(P, B)]) {
        self.generation += 1;
        let data = self.target.join("..data");
        let old = fs::read_link(&data).ok();
        let name = format!("..2026_11_22_10_00_00.{:010}", self.generation);
        let dir = self.target.join(&name);
        fs::create_dir(&dir).expect("a directory");
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("a mode");
        for (path, bytes) in files {
            let file = dir.join(path.as_ref());
            fs::create_dir_all(file.parent().expect("a directory")).expect("directories");
            fs::write(&file, bytes).expect("written");
            fs::set_permissions(&file, Permissions::from_mode(self.mode)).expect("a mode");
        }
        let new = self.target.join("..data_tmp");
        symlink(&name, &new).expect("a link");
        fs::rename(&new, &data).expect("renamed");
        let first = |path: &str| path.split('/').next().unwrap_or(path).to_owned();
        let visible: BTreeSet<String> = files.iter().map(|(path, _)| first(path.as_ref())).collect();
        for name in &visible {
            let link = self.target.join(name);
            if !link.is_symlink() {
                symlink(Path::new("..data").join(name), link).expect("a link");
            }
        }
        for entry in fs::read_dir(&self.target).expect("a directory") {
            let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            if !name.starts_with("..") && !visible.contains(&name) {
                fs::remove_file(self.target.join(name)).expect("removed");
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(self.target.join(old)).expect("removed");
        }
    }
}
