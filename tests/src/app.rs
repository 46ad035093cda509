//! An app in a temporary folder.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::guest;

/// A folder with a Directive and what belongs to it; gone when dropped.
pub struct TestApp {
    dir: TempDir,
}

impl TestApp {
    /// An app of the given `spec`, indented by two spaces as in a file. Guests are
    /// named as `file: NAME.wasm` and copied in.
    pub fn new(spec: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = Self { dir };
        app.write(
            "directive.yaml",
            format!(
                "apiVersion: strand.dev/v1alpha1\nkind: App\nmetadata: {{ name: test }}\nspec:\n  version: 0.1.0\n{spec}"
            ),
        );
        for word in spec.split(|c: char| !(c.is_alphanumeric() || "-_.".contains(c))) {
            if let Some(name) = word.strip_suffix(".wasm")
                && !app.path().join(word).exists()
            {
                fs::copy(guest(name), app.path().join(word)).unwrap();
            }
        }
        app
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file of the app.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}
