//! What a bindle is called.

use std::fmt;
use std::str::FromStr;

use semver::Version;
use thiserror::Error;

use crate::Sha256;
use crate::text::shortened;

/// Most bytes of a name.
pub const MAX_NAME: usize = 255;

/// A bindle's name and version, written `NAME/VERSION`: `example.com/tools/hello/1.2.3-rc.1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    name: String,
    version: Version,
}

/// A text does not name a bindle.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// There is no version.
    #[error("`{}` does not name a bindle: that is NAME/VERSION, as in `example.com/hello/1.2.3`", shortened(.0))]
    NoVersion(String),
    /// What should be the version is none.
    #[error("`{}` is not a version: {why}", shortened(.text))]
    Version {
        /// What there is.
        text: String,
        /// Why it is none.
        why: String,
    },
    /// The name cannot be one.
    #[error("`{}` cannot be a bindle's name: {why}", shortened(.text))]
    Name {
        /// What there is.
        text: String,
        /// Why it cannot be.
        why: &'static str,
    },
}

impl Id {
    /// A bindle of this name and version.
    ///
    /// # Errors
    /// A name is refused that is empty or longer than [`MAX_NAME`], that has an empty part, `.` or
    /// `..` between its slashes, or a character that would mean something else in a path (`@`, `?`,
    /// `#`, `%`, `\`) or not be seen: all but letters and digits of any script, and ASCII's signs.
    pub fn new(name: impl Into<String>, version: Version) -> Result<Self, IdError> {
        let name = name.into();
        if let Some(why) = problem_of_name(&name) {
            return Err(IdError::Name { text: name, why });
        }
        Ok(Self { name, version })
    }

    /// `example.com/hello`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `1.2.3`.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// What a place to keep it is called: the SHA-256 of `NAME/VERSION`.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(self.to_string())
    }
}

/// What of a name prevents it from being one.
pub(crate) fn problem_of_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > MAX_NAME {
        return Some("it is longer than 255 bytes");
    }
    if name.split('/').any(str::is_empty) {
        return Some("a part between its slashes is empty");
    }
    if name.split('/').any(|part| part == "." || part == "..") {
        return Some("`.` and `..` are no parts of a name");
    }
    let is_seen = |c: char| c.is_ascii_graphic() || (!c.is_ascii() && c.is_alphanumeric());
    if !name.chars().all(is_seen) {
        return Some("it has a space, or a character that is not seen");
    }
    if name.contains(['@', '?', '#', '%', '\\']) {
        return Some("it has one of `@?#%\\`");
    }
    None
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let no_version = || IdError::NoVersion(text.to_owned());
        let (name, version) = text.rsplit_once('/').ok_or_else(no_version)?;
        if version.is_empty() {
            return Err(no_version());
        }
        let version = parse_version(version)?;
        Self::new(name, version)
    }
}

/// A version as semver 2.0 writes it, of at most 256 bytes.
pub(crate) fn parse_version(text: &str) -> Result<Version, IdError> {
    let error = |why: String| IdError::Version {
        text: text.to_owned(),
        why,
    };
    if text.len() > 256 {
        return Err(error("it is longer than 256 bytes".to_owned()));
    }
    Version::parse(text).map_err(|cause| error(cause.to_string()))
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_the_version() {
        for (text, name, version) in [
            ("foo/0.1.0", "foo", "0.1.0"),
            (
                "example.com/a/b/1.10.0-rc.1",
                "example.com/a/b",
                "1.10.0-rc.1",
            ),
            ("1.0.0/2.0.0+build.7", "1.0.0", "2.0.0+build.7"),
            ("wëb_x-y.z/1.0.0", "wëb_x-y.z", "1.0.0"),
        ] {
            let id: Id = text.parse().unwrap();
            assert_eq!((id.name(), &*id.version().to_string()), (name, version));
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let long = format!("{}/1.0.0", "x".repeat(MAX_NAME + 1));
        let long_version = format!("x/1.0.0-{}", "x".repeat(256));
        for text in [
            "",
            "/",
            "foo",
            "foo/",
            "1.0.0",
            "/1.0.0",
            "foo/1.0",
            "foo/v1.0.0",
            "foo/latest",
            "//1.0.0",
            "a//1.0.0",
            "/a/1.0.0",
            "a//b/1.0.0",
            "../1.0.0",
            "a/../1.0.0",
            "a/./b/1.0.0",
            "a b/1.0.0",
            "a\n/1.0.0",
            "a@b/1.0.0",
            "a?b/1.0.0",
            "a#/1.0.0",
            "a%2f/1.0.0",
            "a\\b/1.0.0",
            "a/1.0.0 ",
            "a/ 1.0.0",
            "a\u{a0}b/1.0.0",
            &long,
            &long_version,
        ] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }

    #[test]
    fn its_place_is_the_digest_of_name_and_version() {
        // echo -n enterprise.com/warpcore/1.0.0 | sha256sum
        let id: Id = "enterprise.com/warpcore/1.0.0".parse().unwrap();
        let expected = "1927aefa8fdc8327499e918300e2e49ecb271321530cc5881fcd069ca8372dcd";
        assert_eq!(id.digest().to_string(), expected);
    }
}
