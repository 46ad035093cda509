//! The node's folder: keys, the artefact cache, the administration token.

use std::env;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where a node keeps what it must not lose between starts.
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// `$XDG_STATE_HOME/strand`, or `~/.local/state/strand`.
    pub fn default_path() -> Option<PathBuf> {
        let absolute = |name| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
        };
        let base = absolute("XDG_STATE_HOME")
            .or_else(|| Some(absolute("HOME")?.join(".local").join("state")))?;
        Some(base.join("strand"))
    }

    /// Opens a state folder, private to this user, and makes it if need be.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)?;
        Ok(Self(path.canonicalize()?))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where artefacts are kept.
    pub fn artifacts(&self) -> PathBuf {
        self.0.join("artifacts")
    }
}
