//! The node's folder: keys, the artefact cache, the administration token.

use std::env;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
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
    /// When the folder cannot be made, or is a file, or others may write to it: whoever can
    /// put a key there can have this node run any code.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| in_the_way(path).unwrap_or(error))?;
        let path = path.canonicalize()?;
        let metadata = std::fs::metadata(&path)?;
        let own = rustix::process::geteuid().as_raw();
        let refuse = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        if metadata.uid() != own {
            return refuse(format!(
                "it belongs to the user {}, not to {own} as whom this runs; choose a folder of \
                 your own with `--state DIR`",
                metadata.uid()
            ));
        }
        if metadata.mode() & 0o022 != 0 {
            return refuse(format!(
                "other users may write to it (mode {:o}); run `chmod go-w {}`",
                metadata.mode() & 0o777,
                path.display()
            ));
        }
        Ok(Self(path))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where artefacts are kept.
    pub fn artifacts(&self) -> PathBuf {
        self.0.join("artifacts")
    }

    /// Where it stands what is known of functions' files.
    pub(crate) fn sources(&self) -> PathBuf {
        self.0.join("sources")
    }
}

/// Tells of the file that stands where a folder, or one around it, is to be made.
fn in_the_way(path: &Path) -> Option<io::Error> {
    let is_file = |path: &&Path| std::fs::metadata(path).is_ok_and(|found| !found.is_dir());
    let file = path.ancestors().find(is_file)?;
    let it = if file == path {
        "it".to_owned()
    } else {
        format!("`{}`", file.display())
    };
    let why = format!("{it} is a file, not a folder; choose a folder with `--state DIR`");
    Some(io::Error::new(io::ErrorKind::NotADirectory, why))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_made_private_and_one_of_others_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a/b");
        let state = StateDir::open(&path).expect("opens");
        let mode = std::fs::metadata(state.path()).expect("is there").mode();
        assert_eq!(mode & 0o777, 0o700);
        StateDir::open(&path).expect("opens again");
        for (mode, fine) in [(0o755, true), (0o770, false), (0o702, false)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, permissions).expect("changes");
            let opened = StateDir::open(&path);
            assert_eq!(opened.is_ok(), fine, "{mode:o}: {opened:?}");
        }
    }

    #[test]
    fn a_file_is_told_to_be_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("writes");
        let said = |path: &Path| StateDir::open(path).expect_err("no folder").to_string();
        let rest = "is a file, not a folder; choose a folder with `--state DIR`";
        assert_eq!(said(&file), format!("it {rest}"));
        assert_eq!(
            said(&file.join("a/b")),
            format!("`{}` {rest}", file.display())
        );
    }
}
