//! Where content is put: what Bindle calls a name, and OCI a repository.

use std::fmt;
use std::str::FromStr;

use strand_bindle::{Id, IdError};
use thiserror::Error;

/// Most bytes of a repository's name as a part of an object's name: what a file may be called.
const MAX_ESCAPED: usize = 255;

/// The name of a repository: `example.com/tools/hello`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

/// A text is no repository's name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RepositoryError {
    /// It is none of a bindle either.
    #[error(transparent)]
    Name(#[from] IdError),
    /// It cannot be kept.
    #[error(
        "a name is too long: {0} bytes, where what is neither a letter nor a digit counts for three; 255 are allowed"
    )]
    Long(usize),
}

impl Repository {
    /// The repository of this name, which can be that of a bindle.
    ///
    /// # Errors
    /// If it cannot.
    pub fn new(name: impl Into<String>) -> Result<Self, RepositoryError> {
        let id = Id::new(name, semver::Version::new(0, 0, 0))?;
        Self::of(&id)
    }

    /// The repository that a bindle is in.
    ///
    /// # Errors
    /// If its name is too long to be kept.
    pub fn of(id: &Id) -> Result<Self, RepositoryError> {
        let repository = Self(id.name().to_owned());
        match repository.escaped().len() {
            length if length > MAX_ESCAPED => Err(RepositoryError::Long(length)),
            _ => Ok(repository),
        }
    }

    /// `example.com/tools/hello`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As one part of an object's name, so that no repository is inside of another one.
    pub(crate) fn escaped(&self) -> String {
        escape(&self.0)
    }

    pub(crate) fn unescaped(text: &str) -> Option<Self> {
        Self::new(unescape(text)?).ok()
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Repository {
    type Err = RepositoryError;

    fn from_str(text: &str) -> Result<Self, RepositoryError> {
        Self::new(text)
    }
}

/// Writes a text so that it is one part of an object's name anywhere: `/` is `!`, and what is
/// neither a letter, a digit nor one of `-._+` is `=` and two digits for each of its bytes.
pub(crate) fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'/' => escaped.push('!'),
            b'-' | b'.' | b'_' | b'+' => escaped.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
            byte => {
                // A string takes all that is written to it.
                let _ = write!(escaped, "={byte:02x}");
            }
        }
    }
    escaped
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'!' => b'/',
            b'=' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    let name = String::from_utf8(bytes).ok()?;
    // There is one way to write each.
    (escape(&name) == text).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_part_and_come_back() {
        for (name, escaped) in [
            ("a", "a"),
            ("example.com/tools/hello-1_x", "example.com!tools!hello-1_x"),
            ("A!b=c~d", "A=21b=3dc=7ed"),
            ("ü", "=c3=bc"),
        ] {
            let repository = Repository::new(name).unwrap();
            assert_eq!(repository.escaped(), escaped);
            assert_eq!(Repository::unescaped(escaped), Some(repository));
        }
        for text in ["", "a/b", "=2", "=zz", "=61", "a!!b", "a!..!b", "=c3"] {
            assert_eq!(Repository::unescaped(text), None, "{text}");
        }
        assert!(Repository::new("ü".repeat(42)).is_ok());
        assert_eq!(
            Repository::new("ü".repeat(43)),
            Err(RepositoryError::Long(258))
        );
        assert!(matches!(
            Repository::new("a//b"),
            Err(RepositoryError::Name(_))
        ));
    }
}
