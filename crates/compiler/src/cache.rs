//! Sealed artefacts on disk, by digest of their source and engine.

use std::fs::{DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
use strand_engine::Identity;

/// Bytes that a seal adds to its code, at most: a hash, and an identity of a few hundred bytes.
const SEAL: u64 = 4 << 10;
/// What a file begins with while it is written.
const DRAFT: &str = ".draft-";
/// What an artefact ends with.
const ARTIFACT: &str = ".artifact";
/// How long a draft may be written; older ones are of a node that was killed.
const DRAFTING: Duration = Duration::from_secs(60 * 60);

/// A folder of artefacts. What is in it proves nothing: each is checked when it
/// is opened.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    /// Bytes that it may hold.
    limit: u64,
    /// Bytes of an artefact, at most.
    largest: u64,
}

impl Cache {
    /// A folder that may hold `limit` bytes, of artefacts with at most `code` bytes of code each.
    pub(crate) fn open(dir: &Path, limit: u64, code: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(Self {
            dir: dir.into(),
            limit,
            largest: code.saturating_add(SEAL),
        })
    }

    pub(crate) fn path(&self, identity: &Identity) -> PathBuf {
        let engine = blake3::hash(identity.engine.as_bytes()).to_hex();
        self.dir
            .join(format!("{}-{}{ARTIFACT}", identity.source, &engine[..16]))
    }

    /// Whether there is an artefact, of which nothing is looked at yet. It counts as used
    /// from now on, for `prune`.
    pub(crate) fn has(&self, identity: &Identity) -> bool {
        let path = self.path(identity);
        let special = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times = Timestamps {
            last_access: special(UTIME_OMIT),
            last_modification: special(UTIME_NOW),
        };
        utimensat(CWD, &path, &times, AtFlags::empty()).is_ok()
            // Where nothing can be written to, nothing is removed either.
            || path.is_file()
    }

    /// The sealed bytes, if there are any.
    pub(crate) fn get(&self, identity: &Identity) -> io::Result<Option<Vec<u8>>> {
        let file = match open_regular(&self.path(identity)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let size = file.metadata()?.len().min(self.largest);
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        Read::take(&file, self.largest.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > self.largest {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it has more than {} bytes", self.largest),
            ));
        }
        // When it was used last, for `prune`. In a folder that cannot be written to
        // nothing is removed either.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(bytes))
    }

    /// Keeps sealed bytes; readers see all of them or none. What was not used for
    /// longest makes room for them.
    pub(crate) fn put(&self, identity: &Identity, sealed: &[u8]) -> io::Result<()> {
        let draft = self
            .dir
            .join(format!("{DRAFT}{:016x}", rand::random::<u64>()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .and_then(|mut file| file.write_all(sealed))
            .and_then(|()| std::fs::rename(&draft, self.path(identity)));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = std::fs::remove_file(&draft);
        }
        written.and_then(|()| self.prune(&self.path(identity)))
    }

    /// Removes the artefacts that were not used for longest until the rest fits, and
    /// what killed nodes left; `kept` stays in any case.
    fn prune(&self, kept: &Path) -> io::Result<()> {
        let now = SystemTime::now();
        let mut artifacts = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((used, size)) = used_and_size(&entry) else {
                continue;
            };
            let age = now.duration_since(used).unwrap_or_default();
            match name.to_string_lossy() {
                name if name.starts_with(DRAFT) && age > DRAFTING => remove(&entry.path())?,
                name if name.ends_with(ARTIFACT) => artifacts.push((used, size, entry.path())),
                _ => {}
            }
        }
        artifacts.sort_unstable();
        let mut total: u64 = artifacts.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in artifacts {
            if total <= self.limit {
                break;
            }
            if path != kept {
                remove(&path)?;
                total -= size;
            }
        }
        Ok(())
    }
}

/// Opens a regular file for reading. What is none is not waited for: a pipe may have nobody who
/// writes.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ))
    }
}

/// `None` when it is gone by now: several nodes may share a folder.
fn used_and_size(entry: &DirEntry) -> Option<(SystemTime, u64)> {
    let metadata = entry.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(source: &str) -> Identity {
        Identity {
            source: source.into(),
            engine: "test".into(),
        }
    }

    fn names(cache: &Cache) -> Vec<String> {
        let entries = std::fs::read_dir(&cache.dir).expect("reads");
        let mut names: Vec<_> = entries
            .map(|entry| {
                entry
                    .expect("reads")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .map(|name| name.split('-').next().unwrap_or_default().to_owned())
            .collect();
        names.sort_unstable();
        names
    }

    /// As if it had been used so many seconds ago.
    fn age(path: &Path, seconds: u64) {
        let file = OpenOptions::new().write(true).open(path).expect("opens");
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
            .expect("ages");
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(dir.path(), 10, 20).expect("opens");
        for (name, seconds) in [("a", 30), ("b", 20), ("c", 10)] {
            cache.put(&identity(name), &[0; 3]).expect("puts");
            age(&cache.path(&identity(name)), seconds);
        }
        // 9 of 10 bytes: nobody had to go. Reading `a` makes `b` the oldest.
        assert_eq!(names(&cache), ["a", "b", "c"]);
        assert_eq!(cache.get(&identity("a")).expect("reads"), Some(vec![0; 3]));
        cache.put(&identity("d"), &[0; 4]).expect("puts");
        assert_eq!(names(&cache), ["a", "c", "d"]);
        assert_eq!(cache.get(&identity("b")).expect("reads"), None);
        // One that is too large for all of it is kept alone.
        cache.put(&identity("e"), &[0; 11]).expect("puts");
        assert_eq!(names(&cache), ["e"]);
    }

    #[test]
    fn what_is_asked_for_counts_as_used() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(dir.path(), 6, 20).expect("opens");
        for (name, seconds) in [("a", 30), ("b", 20)] {
            cache.put(&identity(name), &[0; 3]).expect("puts");
            age(&cache.path(&identity(name)), seconds);
        }
        assert!(cache.has(&identity("a")));
        assert!(!cache.has(&identity("c")));
        cache.put(&identity("c"), &[0; 3]).expect("puts");
        assert_eq!(names(&cache), ["a", "c"]);
    }

    #[test]
    fn what_cannot_be_an_artefact_is_neither_waited_for_nor_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(dir.path(), 10, 10).expect("opens");
        let path = |name: &str| cache.path(&identity(name));
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), 0o600.into()).expect("a pipe");
        std::fs::create_dir(path("folder")).expect("makes");
        for name in ["pipe", "folder"] {
            let error = cache.get(&identity(name)).expect_err(name);
            assert_eq!(error.to_string(), "it is not a regular file", "{name}");
        }
        let file = |name: &str, size: u64| {
            let file = File::create(path(name)).expect("creates");
            file.set_len(size).expect("grows");
        };
        // As much as there can be, and more than there is memory for.
        file("largest", 10 + SEAL);
        let largest = cache.get(&identity("largest")).expect("reads");
        assert_eq!(largest.map(|bytes| bytes.len() as u64), Some(10 + SEAL));
        file("larger", 1 << 42);
        let error = cache.get(&identity("larger")).expect_err("refuses");
        assert_eq!(error.to_string(), "it has more than 4106 bytes");
    }

    #[test]
    fn drafts_of_killed_nodes_go_and_strangers_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(dir.path(), 10, 10).expect("opens");
        for name in [".draft-old", ".draft-new", "README"] {
            std::fs::write(dir.path().join(name), [0; 100]).expect("writes");
        }
        age(&dir.path().join(".draft-old"), 60 * 60 + 60);
        age(&dir.path().join("README"), 60 * 60 * 24);
        cache.put(&identity("a"), &[0; 3]).expect("puts");
        assert_eq!(names(&cache), [".draft", "README", "a"]);
    }
}
