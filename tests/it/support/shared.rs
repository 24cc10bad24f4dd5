//! Pods that share a cache: one function and one image, and for each pod a volume of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::pod::{Ended, Pod, Running, digest, names, read};

/// An image, a function, and a node's cache.
pub(crate) struct Node {
    /// Where image and function are; its own volume is not used.
    pub(crate) pod: Pod,
}

impl Node {
    /// With an installer that notes when it is called, waits for `@/go` to be there if `@/wait` is, and installs one file
    /// that holds the requirements, and something else each time if `@/different` is there.
    pub(crate) fn python() -> Option<Self> {
        let pip = "while [ -e @/wait ] && [ ! -e @/go ]; do sleep 0.02; done\n\
                   for last; do case \"$before\" in --target) deps=$last ;; -r) file=$last ;; esac; before=$last; done\n\
                   grep -q broken \"$file\" && exit 1\n\
                   cp \"$file\" \"$deps/demo.txt\"; [ -e @/different ] && cat /proc/sys/kernel/random/uuid >>\"$deps/demo.txt\"; mkdir \"$deps/demo\"; echo 'WORD = 1' >\"$deps/demo/__init__.py\"; ln -s demo/__init__.py \"$deps/link.py\"\n\
                   head -c 3000000 /dev/zero >\"$deps/demo/data.bin\"; mkdir \"$deps/demo-1.0.dist-info\"\n\
                   printf 'Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n' >\"$deps/demo-1.0.dist-info/METADATA\"; exit 0";
        let pod = Pod::fake_pip(pip)?;
        let cache = pod.dir("cache").display().to_string();
        Some(Node { pod: pod.with("INJECTOR_CACHE_DIR", cache) })
    }

    /// Starts a build for a pod of this name.
    pub(crate) fn start(&self, name: &str, args: &[&str]) -> Running {
        let volume = self.volume(name).display().to_string();
        self.pod.start(&[&["build", "--volume", volume.as_str()], args].concat())
    }

    /// Builds for a pod of this name.
    pub(crate) fn build(&self, name: &str) -> Ended {
        self.start(name, &[]).wait()
    }

    /// The volume of a pod.
    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        self.pod.dir(&format!("volumes/{name}"))
    }

    /// What is published for a pod: path, kind, mode and content, the receipt aside.
    pub(crate) fn published(&self, name: &str) -> BTreeMap<String, String> {
        listing(&self.volume(name).join("function"))
    }

    /// How often the installer was called.
    pub(crate) fn installed(&self) -> usize {
        read(&self.pod.dir("calls")).lines().filter(|line| *line == "pip").count()
    }

    /// All files of the cache.
    pub(crate) fn every_file(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.pod.dir("cache"), &mut |path| {
            found.extend(path.symlink_metadata().is_ok_and(|file| file.is_file()).then(|| path.to_owned()));
        });
        found
    }

    /// The files of the cache with this name.
    pub(crate) fn cached(&self, name: &str) -> Vec<PathBuf> {
        self.every_file().into_iter().filter(|path| path.ends_with(name)).collect()
    }

    /// The records of a layer.
    pub(crate) fn records(&self, layer: &str) -> Vec<PathBuf> {
        let is_one = |path: &PathBuf| path.to_string_lossy().contains(&format!("/record/{layer}-"));
        self.every_file().into_iter().filter(is_one).collect()
    }
}

/// A tree: path, kind, mode and content, the receipt aside.
pub(crate) fn listing(root: &Path) -> BTreeMap<String, String> {
    let root = root.canonicalize().expect("something is published");
    let mut found = BTreeMap::new();
    walk(&root, &mut |path| {
        let shown = path.strip_prefix(&root).expect("below").display().to_string();
        let metadata = path.symlink_metadata().expect("there");
        let what = if metadata.is_symlink() {
            format!("-> {}", path.read_link().expect("a link").display())
        } else if metadata.is_dir() {
            "directory".to_owned()
        } else {
            let digest = blake3::hash(&fs::read(path).expect("readable"));
            format!("{:o} {digest}", metadata.permissions().mode() & 0o7777)
        };
        if shown != "receipt.json" {
            found.insert(shown, what);
        }
    });
    found
}

/// Changes a record of the cache, or what a tool said, and gives it the digest that belongs to what it says then.
pub(crate) fn rewrite(record: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let mut value: serde_json::Value = serde_json::from_str(&read(record)).expect("JSON");
    change(&mut value);
    value.as_object_mut().and_then(|fields| fields.remove("digest")).expect("it has a digest");
    value["digest"] = format!("sha256:{}", digest(value.to_string())).into();
    fs::write(record, value.to_string()).expect("written");
}

/// Visits what is below a directory; links are not followed.
pub(crate) fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    for name in names(dir) {
        let path = dir.join(name);
        visit(&path);
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            walk(&path, visit);
        }
    }
}
