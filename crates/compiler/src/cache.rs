//! Sealed artefacts on disk, by digest of their source and engine.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use strand_engine::Identity;

/// A folder of artefacts. What is in it proves nothing: each is checked when it
/// is opened.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
}

impl Cache {
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(Self { dir: dir.into() })
    }

    pub(crate) fn path(&self, identity: &Identity) -> PathBuf {
        let engine = blake3::hash(identity.engine.as_bytes()).to_hex();
        self.dir
            .join(format!("{}-{}.artifact", identity.source, &engine[..16]))
    }

    /// The sealed bytes, if there are any.
    pub(crate) fn get(&self, identity: &Identity) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.path(identity)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps sealed bytes; readers see all of them or none.
    pub(crate) fn put(&self, identity: &Identity, sealed: &[u8]) -> io::Result<()> {
        let draft = self
            .dir
            .join(format!(".draft-{:016x}", rand::random::<u64>()));
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
        written
    }
}
