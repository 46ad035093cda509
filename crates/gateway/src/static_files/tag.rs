//! Entity tags.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::lookup::OpenFile;

/// A file that has not changed for so long cannot have changed without its times
/// saying so: no file system's clock is coarser.
const SETTLED: Duration = Duration::from_secs(2);

/// An entity tag (RFC 9110, section 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) weak: bool,
    pub(super) opaque: String,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weak = if self.weak { "W/" } else { "" };
        write!(f, "{weak}\"{}\"", self.opaque)
    }
}

/// The tag of a file, from its identity, size and times, which costs no reading.
///
/// The time of the last change of its metadata is among them, which nobody can set
/// back. Strong once the file is settled: two writes within one tick of the file
/// system's clock could leave the same times, so that before that it is only a weak
/// one. Hashed, because inode numbers are nobody's business.
pub(super) fn of(file: &OpenFile, now: SystemTime) -> Tag {
    let data = &file.metadata;
    let mut hasher = blake3::Hasher::new();
    for part in [
        data.dev() as i128,
        data.ino() as i128,
        data.len() as i128,
        i128::from(data.mtime()),
        i128::from(data.mtime_nsec()),
        i128::from(data.ctime()),
        i128::from(data.ctime_nsec()),
    ] {
        hasher.update(&part.to_le_bytes());
    }
    let changed = u64::try_from(data.ctime()).map_or(UNIX_EPOCH, |seconds| {
        UNIX_EPOCH + Duration::from_secs(seconds)
    });
    let settled = now.duration_since(changed).is_ok_and(|age| age > SETTLED);
    Tag {
        weak: !settled,
        opaque: hasher.finalize().to_hex()[..24].to_owned(),
    }
}
