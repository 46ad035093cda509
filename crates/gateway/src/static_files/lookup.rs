//! Finds a file beneath its folder.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use rustix::io::Errno;
use strand_engine::Problem;

use super::missing;
use crate::accept_encoding::Coding;
use crate::path::unescape;

/// What a static route leads to.
#[derive(Debug)]
pub(crate) struct Root {
    /// The app's folder.
    app: Dir,
    /// A file or a folder in it.
    path: PathBuf,
    /// Whether the route takes longer paths too.
    has_rest: bool,
}

/// An open file and what is known of it.
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) metadata: Metadata,
    pub(super) length: u64,
    pub(super) modified: Option<SystemTime>,
    pub(super) content_type: String,
    /// What it is compressed in.
    pub(super) coding: Option<Coding>,
}

impl OpenFile {
    /// When it was changed, in whole seconds: some tools copy no more of it.
    fn second(&self) -> i64 {
        self.metadata.mtime()
    }
}

/// The names on the way to a file, unescaped. Nothing but plain names is let through:
/// no empty, no hidden ones, no separators that were escaped.
pub(super) fn names(captured: &str) -> Result<Vec<String>, Problem> {
    let trimmed = captured.strip_suffix('/').unwrap_or(captured);
    if trimmed.is_empty() {
        // `/` alone would be an empty name.
        return if captured.is_empty() {
            Ok(Vec::new())
        } else {
            Err(missing())
        };
    }
    trimmed
        .split('/')
        .map(|part| {
            let name = unescape(part, "path")?;
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
                return Err(missing());
            }
            Ok(name.into_owned())
        })
        .collect()
}

impl Root {
    pub(crate) fn new(app: Dir, path: &str, has_rest: bool) -> Self {
        Self {
            app,
            path: path.into(),
            has_rest,
        }
    }

    /// Opens what the names lead to; `None` for a folder that was asked for without its
    /// `/`. Blocks.
    pub(super) fn open(
        &self,
        names: &[String],
        in_folder_form: bool,
        codings: &[Coding],
    ) -> Result<Option<OpenFile>, Problem> {
        self.try_open(names, in_folder_form, codings)
            .map_err(|error| {
                if !is_no_file(&error) {
                    tracing::warn!(path = ?self.path, ?names, %error, "a file cannot be opened");
                    return Problem::host_fault("the file could not be opened");
                }
                // Also for what must not be opened: that it is there is not told.
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::debug!(path = ?self.path, ?names, %error, "a file is not served");
                }
                missing()
            })
    }

    fn try_open(
        &self,
        names: &[String],
        in_folder_form: bool,
        codings: &[Coding],
    ) -> io::Result<Option<OpenFile>> {
        let index = |folder: &Dir| {
            let path = Path::new("index.html");
            regular(open(folder, path)?, folder, path, codings)
        };
        if names.is_empty() {
            let file = open(&self.app, &self.path)?;
            return match (file.metadata()?.is_dir(), self.has_rest) {
                (true, true) if !in_folder_form => Ok(None),
                (true, _) => index(&self.app.open_dir(&self.path)?).map(Some),
                (false, true) => Err(io::ErrorKind::NotFound.into()),
                (false, false) => regular(file, &self.app, &self.path, codings).map(Some),
            };
        }
        let folder = self.app.open_dir(&self.path)?;
        let path: PathBuf = names.iter().collect();
        let file = open(&folder, &path)?;
        let is_folder = file.metadata()?.is_dir();
        match (is_folder, in_folder_form) {
            (true, true) => index(&folder.open_dir(&path)?).map(Some),
            (true, false) => Ok(None),
            (false, true) => Err(io::ErrorKind::NotFound.into()),
            (false, false) => regular(file, &folder, &path, codings).map(Some),
        }
    }
}

/// It is there, and is neither a file nor a folder.
#[derive(Debug, thiserror::Error)]
#[error("it is not a regular file")]
struct Irregular;

/// Whether an error says that a path leads to nothing that is served. The rest, such
/// as no descriptor or a broken disk, is no fault of the path's.
fn is_no_file(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        // Paths that lead out of their folder are among these.
        | io::ErrorKind::PermissionDenied
        // The name is too long for any file.
        | io::ErrorKind::InvalidFilename => true,
        _ if error.get_ref().is_some_and(|inner| inner.is::<Irregular>()) => true,
        _ => {
            let number = error.raw_os_error();
            // Links that lead to each other; sockets, and devices without a driver.
            [Errno::LOOP, Errno::NXIO, Errno::NODEV]
                .iter()
                .any(|errno| number == Some(errno.raw_os_error()))
        }
    }
}

fn open(folder: &Dir, path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // A pipe must not keep a thread waiting for its other end.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    options.read(true).custom_flags(flags.bits().cast_signed());
    Ok(folder.open_with(path, &options)?.into_std())
}

/// The file, or one beside it that has the same in a coding that the client takes.
fn regular(file: File, folder: &Dir, path: &Path, codings: &[Coding]) -> io::Result<OpenFile> {
    let file = described(file, content_type(path), None)?;
    for coding in codings {
        let mut name = path.as_os_str().to_owned();
        name.push(coding.suffix());
        let beside = open(folder, Path::new(&name))
            .and_then(|beside| described(beside, file.content_type.clone(), Some(*coding)));
        match beside {
            // An older one is of what was there before.
            Ok(beside) if beside.second() >= file.second() => return Ok(beside),
            Ok(_) => tracing::debug!(?path, ?name, "a compressed file is older than its original"),
            Err(error) if is_no_file(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(file)
}

fn described(file: File, content_type: String, coding: Option<Coding>) -> io::Result<OpenFile> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other(Irregular));
    }
    Ok(OpenFile {
        length: metadata.len(),
        modified: metadata.modified().ok(),
        content_type,
        coding,
        metadata,
        file,
    })
}

fn content_type(path: &Path) -> String {
    let guessed = mime_guess::from_path(path).first_or_octet_stream();
    if guessed.type_() == mime_guess::mime::TEXT {
        format!("{guessed}; charset=utf-8")
    } else {
        guessed.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for (captured, expected) in [
            ("", Some(vec![])),
            ("a", Some(vec!["a"])),
            ("a/b.css", Some(vec!["a", "b.css"])),
            ("a/", Some(vec!["a"])),
            ("a%20b", Some(vec!["a b"])),
            ("%C3%A4", Some(vec!["ä"])),
            ("a..", Some(vec!["a.."])),
            ("/", None),
            ("//", None),
            ("a//b", None),
            ("/a", None),
            (".", None),
            ("..", None),
            ("a/../b", None),
            (".git/config", None),
            ("a/.env", None),
            ("%2Eenv", None),
            ("a%2Fb", None),
            ("..%2F..%2Fetc", None),
            ("a%00", None),
            ("%FF", None),
        ] {
            let found = names(captured).ok();
            let expected: Option<Vec<String>> =
                expected.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(found, expected, "{captured}");
        }
    }

    #[test]
    fn only_what_the_path_says_is_no_file() {
        for (errno, expected) in [
            (Errno::NOENT, true),
            (Errno::NOTDIR, true),
            (Errno::ACCESS, true),
            (Errno::PERM, true),
            (Errno::NAMETOOLONG, true),
            (Errno::LOOP, true),
            (Errno::NXIO, true),
            (Errno::NODEV, true),
            (Errno::MFILE, false),
            (Errno::NFILE, false),
            (Errno::NOMEM, false),
            (Errno::IO, false),
            (Errno::STALE, false),
            (Errno::INTR, false),
        ] {
            assert_eq!(is_no_file(&errno.into()), expected, "{errno:?}");
        }
        assert!(is_no_file(&io::Error::other(Irregular)));
        assert!(!is_no_file(&io::Error::other("something else")));
    }

    #[test]
    fn media_types_come_from_names() {
        for (name, expected) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.wasm", "application/wasm"),
            ("a", "application/octet-stream"),
            ("a.nobody-knows", "application/octet-stream"),
        ] {
            assert_eq!(content_type(Path::new(name)), expected, "{name}");
        }
    }
}
