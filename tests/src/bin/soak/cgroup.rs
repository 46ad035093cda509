//! A cgroup of version 1 or 2 that bounds memory.

use std::fs;
use std::path::{Path, PathBuf};

/// A group of its own below the one of this process; removed when dropped.
pub(crate) struct Cgroup {
    folder: PathBuf,
    outer: PathBuf,
    files: &'static Files,
}

struct Files {
    limit: &'static str,
    usage: &'static str,
    peak: &'static str,
}

const VERSION_1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    peak: "memory.max_usage_in_bytes",
};
const VERSION_2: Files = Files {
    limit: "memory.max",
    usage: "memory.current",
    peak: "memory.peak",
};

impl Cgroup {
    /// Makes one. Needs root and the memory controller.
    pub(crate) fn new() -> Self {
        let (outer, files) = outer();
        let folder = outer.join(format!("strand-soak-{}", std::process::id()));
        fs::create_dir(&folder).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; this soak bounds a node's memory and needs root",
                folder.display()
            )
        });
        assert!(
            folder.join(files.limit).exists(),
            "{} has no memory controller; as root, on a machine of version 2: \
             echo +memory > {}/cgroup.subtree_control",
            folder.display(),
            outer.display()
        );
        Self {
            folder,
            outer,
            files,
        }
    }

    /// Starts something whose processes belong to it.
    pub(crate) fn start<T>(&self, start: impl FnOnce() -> T) -> T {
        let own = std::process::id().to_string();
        // A child is born where its parent is.
        fs::write(self.folder.join("cgroup.procs"), &own).unwrap();
        let started = start();
        fs::write(self.outer.join("cgroup.procs"), &own).unwrap();
        started
    }

    pub(crate) fn usage(&self) -> u64 {
        self.read(self.files.usage).unwrap()
    }

    /// The most that was ever in use; not every kernel tells.
    pub(crate) fn peak(&self) -> Option<u64> {
        self.read(self.files.peak)
    }

    pub(crate) fn limit(&self, bytes: u64) {
        fs::write(self.folder.join(self.files.limit), bytes.to_string()).unwrap();
    }

    fn read(&self, file: &str) -> Option<u64> {
        let text = fs::read_to_string(self.folder.join(file)).ok()?;
        text.trim().parse().ok()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Empty by now, unless a process of it outlives a panic.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// The group that this process is in.
fn outer() -> (PathBuf, &'static Files) {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let root = Path::new("/sys/fs/cgroup");
    for line in own.lines() {
        let parts: Vec<&str> = line.splitn(3, ':').collect();
        let [_, controllers, path] = parts[..] else {
            continue;
        };
        let path = path.trim_start_matches('/');
        let (folder, files) = match controllers {
            "" if root.join("cgroup.controllers").exists() => (root.join(path), &VERSION_2),
            c if c.split(',').any(|c| c == "memory") => {
                (root.join("memory").join(path), &VERSION_1)
            }
            _ => continue,
        };
        return (folder, files);
    }
    panic!("this machine bounds no memory: /proc/self/cgroup says {own}");
}
