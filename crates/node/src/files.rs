//! Files that somebody else names: read whole, but neither without end nor without a
//! bound, whatever stands there.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

/// A file that has not changed for so long cannot have changed without its times saying so:
/// no file system's clock is coarser.
const SETTLED: Duration = Duration::from_secs(2);

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is something else: a folder, a pipe, a device.
    #[error("it is {0}, not a file")]
    Special(&'static str),
    /// It is larger than what is read of such a file.
    #[error("it has {size} bytes, and at most {limit} are read")]
    TooLarge {
        /// Its bytes; one more than the limit if it does not say.
        size: u64,
        /// Most bytes.
        limit: u64,
    },
    /// It is not text as we read it.
    #[error("line {line}, column {column} is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The line of the first byte at fault, counted from 1.
        line: usize,
        /// Its column in characters, counted from 1.
        column: usize,
    },
    /// The system refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a regular file of at most `limit` bytes. Never waits for what is none: a pipe
/// may have nobody who writes, and a device no end.
///
/// # Errors
/// When it cannot be opened or read, is no regular file, or is larger.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    read_identified(path, limit).map(|(bytes, _)| bytes)
}

/// Reads a file as [`read_file`] does; with its identity, if that is sure to be another one
/// when the file has changed.
pub(crate) fn read_identified(
    path: &Path,
    limit: u64,
) -> Result<(Vec<u8>, Option<FileId>), FileError> {
    let file = open(path)?;
    // Of the open file, not of whatever has its name by now.
    let found = file.metadata()?;
    let opened = SystemTime::now();
    if let Some(special) = special(found.file_type()) {
        return Err(FileError::Special(special));
    }
    let too_large = |size| Err(FileError::TooLarge { size, limit });
    if found.len() > limit {
        return too_large(found.len());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0));
    // It may grow in the meantime, and those of the system do not know their length.
    Read::take(&file, limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        size if size > limit => too_large(size),
        _ => {
            let id = FileId::of(&found);
            let sure = id.is_settled(opened) && id == FileId::of(&file.metadata()?);
            Ok((bytes, sure.then_some(id)))
        }
    }
}

/// What tells a file from every other one, and from itself before it was changed: its place,
/// its size and its times, of which nobody can set back that of the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileId {
    /// Of a regular file.
    pub(crate) fn look(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        found.is_file().then(|| Self::of(&found))
    }

    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// That of another file, which is the same but for its number.
    #[cfg(test)]
    pub(crate) fn numbered(self, inode: u64) -> Self {
        Self { inode, ..self }
    }

    /// Two changes within one tick of the file system's clock leave the same times.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let changed = match (u64::try_from(seconds), u32::try_from(nanoseconds)) {
            (Ok(seconds), Ok(nanoseconds)) => UNIX_EPOCH + Duration::new(seconds, nanoseconds),
            // Before 1970.
            _ => UNIX_EPOCH,
        };
        now.duration_since(changed).is_ok_and(|age| age > SETTLED)
    }
}

/// Reads a regular file of at most `limit` bytes that holds text.
///
/// # Errors
/// As [`read_file`], and when it is not UTF-8.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, FileError> {
    String::from_utf8(read_file(path, limit)?).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]);
        let (line, column) = end_of(&before);
        FileError::NotUtf8 { line, column }
    })
}

fn open(path: &Path) -> Result<File, FileError> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    opened.map_err(|error| {
        // A socket does not even open, and what the system says then helps nobody.
        let kind = std::fs::metadata(path).map(|found| special(found.file_type()));
        match kind {
            Ok(Some(kind)) => FileError::Special(kind),
            _ => error.into(),
        }
    })
}

/// What something that is no regular file is.
fn special(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

/// Line and column of what would follow a text. A line ends with a line feed, a carriage
/// return, or both.
fn end_of(text: &str) -> (usize, usize) {
    let ends = |end: &str| text.matches(end).count();
    let line = ends("\n") + ends("\r") - ends("\r\n") + 1;
    let start = text.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    (line, text[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn said(path: &Path) -> String {
        read_file(path, 10).expect_err("refuses").to_string()
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        for size in [0, 1, 10] {
            fs::write(&path, vec![7; size]).expect("writes");
            assert_eq!(read_file(&path, 10).expect("reads"), vec![7; size]);
        }
        fs::write(&path, [7; 11]).expect("writes");
        assert_eq!(said(&path), "it has 11 bytes, and at most 10 are read");
        // Nothing of it is read: that would take long, and more memory than there is.
        let sparse = File::create(&path).expect("creates");
        sparse.set_len(1 << 42).expect("grows");
        assert_eq!(
            said(&path),
            "it has 4398046511104 bytes, and at most 10 are read"
        );
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(said(dir.path()), "it is a folder, not a file");
        assert_eq!(said(Path::new("/dev/zero")), "it is a device, not a file");
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).expect("a pipe");
        assert_eq!(said(&pipe), "it is a pipe, not a file");
        let socket = dir.path().join("socket");
        let _listener = UnixListener::bind(&socket).expect("a socket");
        assert_eq!(said(&socket), "it is a socket, not a file");
        let missing = read_file(&dir.path().join("missing"), 10);
        assert!(
            matches!(&missing, Err(FileError::Io(error)) if error.kind() == io::ErrorKind::NotFound),
            "{missing:?}"
        );
    }

    /// Its length is nought until it is read.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_does_not_know_its_length_is_bounded_too() {
        assert_eq!(
            said(Path::new("/proc/self/maps")),
            "it has 11 bytes, and at most 10 are read"
        );
    }

    #[test]
    fn the_first_byte_that_is_no_text_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("text");
        for (bytes, place) in [
            (&b"\xff\xfea\0b\0"[..], "line 1, column 1"),
            (b"gr\xfc\xdfe: a", "line 1, column 3"),
            ("ü: 1\nö: ".as_bytes(), ""),
            (b"\xc3\xbc: 1\n\xc3\xb6: \xe4\n", "line 2, column 4"),
            (b"a\r\nb\r\n\x80", "line 3, column 1"),
            (b"a\rb\rcd\x80", "line 3, column 3"),
            // Half a character at the end.
            (b"a\n\xc3", "line 2, column 1"),
        ] {
            fs::write(&path, bytes).expect("writes");
            match read_text(&path, 100) {
                Ok(text) => assert_eq!((text.as_bytes(), place), (bytes, "")),
                Err(error) => assert_eq!(
                    error.to_string(),
                    format!("{place} is not UTF-8; save the file as UTF-8")
                ),
            }
        }
    }
}
