//! The token that administration needs.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;
use rustix::fs::OFlags;
use subtle::ConstantTimeEq;

/// The token's file in a node's state folder.
pub const TOKEN_FILE: &str = "admin-token";

/// 32 random bytes in hexadecimal.
const LENGTH: usize = 64;

/// A secret: it does not show when it is printed for debugging.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes a token as it was told, for a client.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token. Do not log it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares with what a client says, in a time that tells nothing of how much of
    /// it was right: hashes are compared, so not even the length counts.
    pub(crate) fn matches(&self, offered: &[u8]) -> bool {
        let own = blake3::hash(self.0.as_bytes());
        let offered = blake3::hash(offered);
        own.as_bytes().ct_eq(offered.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Others may have read it.
    #[error(
        "the admin token {path:?} can be read or written by others (mode {mode:03o}); delete it to have a new one made, or `chmod 600` it if you trust all of them"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Somebody else put it there.
    #[error("the admin token {path:?} belongs to the user {owner} and not to this one; delete it")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
    },
    /// It is not a token.
    #[error(
        "the admin token {path:?} is not 64 hexadecimal digits; delete it to have a new one made"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or made.
    #[error("the admin token {path:?} cannot be {what}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed.
        what: &'static str,
        /// Why.
        reason: io::Error,
    },
}

/// Reads the token of a node from its state folder, or makes one at its first start.
/// The folder is made, for this user alone, if it is not there.
///
/// The file is readable for this user alone from its first moment, and appears under
/// its name only with all its bytes: of several nodes that start at once, all get the
/// same token.
///
/// # Errors
/// When the file is exposed to others, is not ours or not a token, or cannot be read
/// or made.
pub fn token(state_dir: &Path) -> Result<Token, TokenError> {
    let path = state_dir.join(TOKEN_FILE);
    if let Some(token) = read(&path)? {
        return Ok(token);
    }
    let made = make_folder(state_dir).and_then(|()| make(state_dir, &path));
    made.map_err(|reason| TokenError::Io {
        path: path.clone(),
        what: "made",
        reason,
    })?;
    read(&path)?.ok_or_else(|| TokenError::Io {
        path,
        what: "read",
        reason: io::ErrorKind::NotFound.into(),
    })
}

/// `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Token>, TokenError> {
    let failed = |reason| TokenError::Io {
        path: path.to_owned(),
        what: "read",
        reason,
    };
    // A link could lead to a file that somebody else writes, a pipe could make us wait.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Of the open file, not of whatever has its name by now.
    let metadata = file.metadata().map_err(failed)?;
    let owner = metadata.uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(TokenError::Foreign {
            path: path.to_owned(),
            owner,
        });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TokenError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    let read = file.take(LENGTH as u64 + 2).read_to_string(&mut text);
    let text = text.trim_end();
    let is_token = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match read {
        Err(error) if error.kind() != io::ErrorKind::InvalidData => Err(failed(error)),
        Ok(_) if is_token => Ok(Some(Token::new(text))),
        _ => Err(TokenError::Malformed {
            path: path.to_owned(),
        }),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes a file with a new token, unless there is one by now.
fn make(folder: &Path, path: &Path) -> io::Result<()> {
    let name = random_hex(8)?;
    let temporary = folder.join(format!(".{TOKEN_FILE}.{name}"));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&temporary)?;
    let written = writeln!(file, "{}", random_hex(LENGTH / 2)?)
        .and_then(|()| file.sync_all())
        .and_then(|()| match std::fs::hard_link(&temporary, path) {
            // Another node was faster: its token is ours.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    let removed = std::fs::remove_file(&temporary);
    written.and(removed)?;
    File::open(folder)?.sync_all()
}

fn random_hex(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    SysRng
        .try_fill_bytes(&mut random)
        .map_err(io::Error::other)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = random_hex(8).unwrap();
            let path = std::env::temp_dir().join(format!("strand-admin-{name}"));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join(TOKEN_FILE)
        }

        fn write(&self, text: &str, mode: u32) {
            fs::write(self.file(), text).unwrap();
            fs::set_permissions(self.file(), Permissions::from_mode(mode)).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_token_is_made_once() {
        let folder = Folder::new();
        let state = folder.0.join("a/b");
        let made = token(&state).unwrap();
        assert_eq!(made.as_str().len(), 64);
        assert_eq!(token(&state).unwrap().as_str(), made.as_str());
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&state.join(TOKEN_FILE)), 0o600);
        assert_eq!(mode(&state), 0o700);
        assert_eq!(
            fs::read_dir(&state).unwrap().count(),
            1,
            "nothing is left over"
        );
        let other = Folder::new();
        assert_ne!(token(&other.0).unwrap().as_str(), made.as_str());
    }

    #[test]
    fn nodes_that_start_at_once_get_the_same() {
        let folder = Folder::new();
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| token(&folder.0).unwrap().as_str().to_owned()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]));
    }

    #[test]
    fn what_others_can_read_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o660, 0o644] {
            let folder = Folder::new();
            folder.write(&"a".repeat(64), mode);
            assert!(
                matches!(token(&folder.0), Err(TokenError::Exposed { mode: found, .. }) if found == mode),
                "{mode:o}"
            );
        }
        let folder = Folder::new();
        folder.write(&"a".repeat(64), 0o400);
        assert!(token(&folder.0).is_ok());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in [
            "",
            "a",
            &"g".repeat(64),
            &"a".repeat(63),
            &"a".repeat(65),
            "\u{e4}",
        ] {
            let folder = Folder::new();
            folder.write(text, 0o600);
            assert!(
                matches!(token(&folder.0), Err(TokenError::Malformed { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = Folder::new();
        let elsewhere = folder.0.join("elsewhere");
        fs::write(&elsewhere, "a".repeat(64)).unwrap();
        fs::set_permissions(&elsewhere, Permissions::from_mode(0o600)).unwrap();
        symlink(&elsewhere, folder.file()).unwrap();
        assert!(matches!(
            token(&folder.0),
            Err(TokenError::Io { what: "read", .. })
        ));
    }

    #[test]
    fn tokens_are_compared_whole_and_not_shown() {
        let token = Token::new("abc");
        assert!(token.matches(b"abc"));
        for other in [&b""[..], b"ab", b"abd", b"abcd", b"ABC"] {
            assert!(!token.matches(other));
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
