//! The installation's key for artefacts.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use strand_engine::ArtifactKey;

use crate::cache::open_regular;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read or made.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The key's file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read or change it.
    #[error(
        "{path} can be read or written by others (mode {mode:03o}); run `chmod 600 {path}` if \
         you trust all of them, or remove it to have a new one made (everything is compiled \
         again then)",
        path = path.display()
    )]
    Exposed {
        /// The key's file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is not a key.
    #[error(
        "{path} is not a key, which has 32 bytes; remove it to have a new one made (everything \
         is compiled again then)",
        path = path.display()
    )]
    Unfit {
        /// The key's file.
        path: PathBuf,
    },
}

/// Reads the key `artifact.key` in a folder, or makes it; the folder and the key
/// are private to this user.
///
/// # Errors
/// When the file cannot be read or made, or is not private.
pub fn load_or_create_key(dir: &Path) -> Result<ArtifactKey, KeyError> {
    let path = dir.join("artifact.key");
    let io = |source| KeyError::Io {
        path: path.clone(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(io)?;
    // Another process may make it at the same time: whoever links first wins.
    if !path.exists() {
        let key: [u8; 32] = rand::random();
        let draft = dir.join(format!(".artifact.key.{:016x}", rand::random::<u64>()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .map_err(io)?;
        let written = file.write_all(&key).and_then(|()| file.sync_all());
        let linked = written.and_then(|()| match std::fs::hard_link(&draft, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
        let removed = std::fs::remove_file(&draft);
        linked.and(removed).map_err(io)?;
    }
    let file = open_regular(&path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.mode() & 0o777;
    let mut bytes = Vec::new();
    Read::take(&file, 33).read_to_end(&mut bytes).map_err(io)?;
    match <[u8; 32]>::try_from(bytes) {
        Ok(_) if mode & 0o077 != 0 => Err(KeyError::Exposed { path, mode }),
        Ok(key) => Ok(ArtifactKey::new(key)),
        Err(_) => Err(KeyError::Unfit { path }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_is_made_once_and_private() {
        let dir = tempfile::tempdir().expect("a folder");
        let state = dir.path().join("state");
        load_or_create_key(&state).expect("makes");
        let first = std::fs::read(state.join("artifact.key")).expect("reads");
        load_or_create_key(&state).expect("reads");
        assert_eq!(
            std::fs::read(state.join("artifact.key")).expect("reads"),
            first
        );
        let mode = |path: &Path| std::fs::metadata(path).expect("is there").mode() & 0o777;
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&state.join("artifact.key")), 0o600);
        assert_eq!(std::fs::read_dir(&state).expect("lists").count(), 1);
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_cut_short_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        load_or_create_key(dir.path()).expect("makes");
        let path = dir.path().join("artifact.key");
        let refused = || load_or_create_key(dir.path()).expect_err("refuses");
        for mode in [0o640, 0o644, 0o602] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("sets");
            let error = refused();
            assert!(
                matches!(error, KeyError::Exposed { mode: found, .. } if found == mode),
                "{error}"
            );
            let mend = format!("run `chmod 600 {}`", path.display());
            assert!(error.to_string().contains(&mend), "{error}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("sets");
        load_or_create_key(dir.path()).expect("that mends it");
        for length in [0, 31, 33] {
            std::fs::write(&path, vec![1; length]).expect("writes");
            let error = refused();
            assert!(matches!(error, KeyError::Unfit { .. }), "{error}");
        }
    }
}
