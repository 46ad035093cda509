//! Remembers that `rustup target add` failed, so that not every run waits for a network that is
//! not there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Target;

/// How long a failure is remembered.
const AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The stamp for adding `target`, in the user's cache folder (XDG base directories). None where
/// there is neither `XDG_CACHE_HOME` nor `HOME`: then nothing is remembered.
pub(crate) fn path(target: Target) -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|dir| !dir.is_empty());
    let cache = folder("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| folder("HOME").map(|home| Path::new(&home).join(".cache")))?;
    Some(
        cache
            .join("strand")
            .join(format!("rustup-target-add-failed-{target}")),
    )
}

/// Whether adding failed for the Rust toolchain at `sysroot` less than a day ago.
pub(crate) fn is_fresh(stamp: &Path, sysroot: &str) -> bool {
    let recent = fs::metadata(stamp)
        .and_then(|data| data.modified())
        // A time in the future is as good as none.
        .is_ok_and(|time| time.elapsed().is_ok_and(|age| age < AGE));
    recent && fs::read_to_string(stamp).is_ok_and(|of| of == sysroot)
}

pub(crate) fn set(stamp: &Path, sysroot: &str) -> io::Result<()> {
    if let Some(folder) = stamp.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(stamp, sysroot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_stamp_holds_for_its_toolchain_and_a_day() {
        let folder = std::env::temp_dir().join(format!("strand-stamp-{}", std::process::id()));
        let stamp = folder.join("deeper").join("stamp");
        assert!(!is_fresh(&stamp, "/a"));
        set(&stamp, "/a").unwrap();
        assert!(is_fresh(&stamp, "/a"));
        assert!(!is_fresh(&stamp, "/b"));

        let file = fs::File::options().write(true).open(&stamp).unwrap();
        file.set_modified(SystemTime::now() - AGE).unwrap();
        assert!(!is_fresh(&stamp, "/a"));
        file.set_modified(SystemTime::now() + AGE).unwrap();
        assert!(!is_fresh(&stamp, "/a"));
        fs::remove_dir_all(folder).unwrap();
    }
}
