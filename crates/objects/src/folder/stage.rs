//! What is being written: under a name of its own until it is whole and synced.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use cap_std::fs::{Dir, OpenOptions};
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::{STAGING, STORE, Stat, on_disk, store_error};
use crate::refusal::Refusal;

/// What nobody has written to for so long was left by a process that is gone.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Files that were staged by this process; part of their names.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Removes what processes that are gone had begun to write.
pub(super) fn remove_abandoned(root: &Dir) -> io::Result<()> {
    let entries = match root.read_dir(STAGING) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let modified = entry.metadata()?.modified()?.into_std();
        let age = SystemTime::now().duration_since(modified);
        if age.is_ok_and(|age| age > ABANDONED) {
            match entry.remove_file() {
                // Another node that opens the same folder was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
fn sync_dir(root: &Dir, path: &FsPath) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() {
        FsPath::new(".")
    } else {
        path
    };
    root.open(path)?.sync_all()
}

/// Makes a file's name durable.
pub(super) fn sync_parent(root: &Dir, path: &FsPath) -> io::Result<()> {
    sync_dir(root, path.parent().unwrap_or(FsPath::new("")))
}

/// Makes the folders that a path needs, durably: `sync` is told of each one's path.
fn make_parents(
    root: &Dir,
    path: &FsPath,
    mut sync: impl FnMut(&FsPath) -> io::Result<()>,
) -> io::Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let mut made = PathBuf::new();
    for part in parent {
        made.push(part);
        match root.create_dir(&made) {
            // Another writer may have made it and not synced it yet, or ended before.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => done?,
        }
        sync(&made)?;
    }
    Ok(())
}

/// Gives a file its name: instead of what has it, or, with `create`, only if
/// nothing has it.
pub(super) fn place(root: &Dir, from: &FsPath, to: &Path, create: bool) -> Result<()> {
    let path = on_disk(to)?;
    let place = || {
        make_parents(root, path, |made| sync_parent(root, made))?;
        if create {
            root.hard_link(from, root, path)?;
            root.remove_file(from)?;
        } else {
            root.rename(from, root, path)?;
        }
        sync_parent(root, path)
    };
    place().map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory => Refusal::BelowObject.of(STORE),
        io::ErrorKind::IsADirectory => Refusal::AboveObjects.of(STORE),
        _ => store_error(to, error),
    })
}

/// A file that has no object's name yet. Removed when dropped.
pub(super) struct Staged {
    root: Dir,
    file: Arc<std::fs::File>,
    path: PathBuf,
    placed: bool,
}

impl Staged {
    pub(super) fn new(root: &Dir) -> io::Result<Self> {
        match root.create_dir(STAGING) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let name = format!(
            "{}-{}-{}",
            std::process::id(),
            now.map_or(0, |now| now.as_nanos()),
            COUNT.fetch_add(1, Ordering::Relaxed),
        );
        let path = FsPath::new(STAGING).join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let file = root.open_with(&path, &options)?.into_std();
        Ok(Self {
            root: root.try_clone()?,
            file: Arc::new(file),
            path,
            placed: false,
        })
    }

    pub(super) fn file(&self) -> &std::fs::File {
        &self.file
    }

    /// Syncs it and gives it its name.
    pub(super) fn publish(mut self, to: &Path, create: bool) -> Result<PutResult> {
        self.file
            .sync_all()
            .map_err(|error| store_error(to, error))?;
        let metadata = self
            .file
            .metadata()
            .map_err(|error| store_error(to, error))?;
        place(&self.root, &self.path, to, create)?;
        self.placed = true;
        Ok(PutResult {
            e_tag: Some(Stat::from(&metadata).e_tag()),
            version: None,
            extensions: Default::default(),
        })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.placed
            && let Err(error) = self.root.remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.path.display(), %error, "a staged file is left over");
        }
    }
}

/// An object that is written in parts.
pub(super) struct Upload {
    staged: Option<Staged>,
    location: Path,
    /// Bytes of the parts so far.
    length: u64,
}

impl Upload {
    pub(super) fn new(staged: Staged, location: Path) -> Self {
        Self {
            staged: Some(staged),
            location,
            length: 0,
        }
    }

    fn over(&self) -> object_store::Error {
        let over = io::Error::other("the upload is over");
        store_error(&self.location, over)
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload")
            .field("location", &self.location)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let Some(staged) = &self.staged else {
            return Box::pin(std::future::ready(Err(self.over())));
        };
        let file = Arc::clone(&staged.file);
        let location = self.location.clone();
        let mut at = self.length;
        self.length += data.content_length() as u64;
        Box::pin(async move {
            let write = move || {
                for piece in &data {
                    file.write_all_at(piece, at)?;
                    at += piece.len() as u64;
                }
                Ok(())
            };
            tokio::task::spawn_blocking(write)
                .await?
                .map_err(|error| store_error(&location, error))
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.staged.take().ok_or_else(|| self.over())?;
        let (location, length) = (self.location.clone(), self.length);
        let publish = move || {
            let metadata = staged.file().metadata();
            let written = metadata
                .map_err(|error| store_error(&location, error))?
                .len();
            if written != length {
                let missing = io::Error::other("a part was not written");
                return Err(store_error(&location, missing));
            }
            staged.publish(&location, false)
        };
        tokio::task::spawn_blocking(publish).await?
    }

    async fn abort(&mut self) -> Result<()> {
        if let Some(staged) = self.staged.take() {
            tokio::task::spawn_blocking(move || drop(staged)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_on_the_way_is_synced() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority());
        let root = root.expect("opens");
        // Whether it was there before or not.
        for path in ["a/b/x", "a/b/y", "a/b/c/x"] {
            let path = FsPath::new(path);
            let mut synced = Vec::new();
            let sync = |made: &FsPath| {
                synced.push(made.to_owned());
                Ok(())
            };
            make_parents(&root, path, sync).expect("made");
            let mut above: Vec<_> = path.ancestors().skip(1).map(FsPath::to_owned).collect();
            above.pop();
            above.reverse();
            assert_eq!(synced, above, "{}", path.display());
            assert!(root.is_dir(path.parent().expect("a folder")));
        }
    }
}
