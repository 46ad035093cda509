//! Searching for bindles.

use semver::{Version, VersionReq};
use thiserror::Error;

use crate::Id;
use crate::text::shortened;

/// Most bytes of a query's terms, and of a range.
const MAX_TERMS: usize = 1024;
const MAX_RANGE: usize = 256;
/// How many invoices an answer has, if nothing is said, and at most: other clients read a byte.
const DEFAULT_LIMIT: u8 = 50;

/// What is searched for, as the query string of `/v1/_q` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Words that must all be found.
    pub terms: String,
    /// Which versions.
    pub version: VersionRange,
    /// Whether the words must stand in the name as they are. Otherwise they may stand in the
    /// description too, and upper and lower case are the same.
    pub strict: bool,
    /// Whether yanked bindles are found as well.
    pub yanked: bool,
    /// How many of what is found are left out at the beginning.
    pub offset: u64,
    /// How many there are at most in the answer.
    pub limit: u8,
}

/// A query cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QueryError {
    /// There is no such parameter.
    #[error("there is no parameter `{}`: there are q, v, o, l, strict and yanked", shortened(.0))]
    Unknown(String),
    /// It is there twice, maybe under both of its names.
    #[error("`{0}` is there twice")]
    Twice(&'static str),
    /// Its value is none of those that there are.
    #[error("`{name}` cannot be `{}`: {expected}", shortened(value))]
    Value {
        /// The parameter.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
}

impl Default for Query {
    fn default() -> Self {
        Self {
            terms: String::new(),
            version: VersionRange::any(),
            strict: false,
            yanked: false,
            offset: 0,
            limit: DEFAULT_LIMIT,
        }
    }
}

impl Query {
    /// Reads a query string: `q` (or `query`), `v` (`version`), `o` (`offset`), `l` (`limit`),
    /// `strict` and `yanked`.
    ///
    /// # Errors
    /// Other parameters, one that is there twice, and values that cannot be.
    pub fn parse(query_string: &str) -> Result<Self, QueryError> {
        let mut query = Self::default();
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(query_string.as_bytes()) {
            let name = match &*name {
                "q" | "query" => "q",
                "v" | "version" => "v",
                "o" | "offset" => "o",
                "l" | "limit" => "l",
                "strict" => "strict",
                "yanked" => "yanked",
                _ => return Err(QueryError::Unknown(name.into_owned())),
            };
            if seen.contains(&name) {
                return Err(QueryError::Twice(name));
            }
            seen.push(name);
            let error = |expected| QueryError::Value {
                name,
                value: value.to_string(),
                expected,
            };
            let flag = || value.parse().map_err(|_| error("it is true or false"));
            match name {
                "q" if value.len() > MAX_TERMS => return Err(error("it has at most 1024 bytes")),
                "q" => query.terms = value.clone().into_owned(),
                "v" => query.version = value.parse()?,
                "o" => query.offset = value.parse().map_err(|_| error("it is a number"))?,
                "l" => query.limit = value.parse().map_err(|_| error("it is 0 to 255"))?,
                "strict" => query.strict = flag()?,
                _ => query.yanked = flag()?,
            }
        }
        Ok(query)
    }

    /// Whether a bindle is what is searched for. Without its description it may be that only that
    /// is missing, unless the query is strict.
    pub fn matches(&self, id: &Id, description: Option<&str>, yanked: bool) -> bool {
        let has_term = |term: &str| {
            if self.strict {
                return id.name().contains(term);
            }
            let term = term.to_lowercase();
            let has = |text: &str| text.to_lowercase().contains(&term);
            has(id.name()) || description.is_some_and(has)
        };
        self.has_version(id, yanked) && self.terms.split_whitespace().all(has_term)
    }

    /// The page that is asked for of all that was found, which is in the order of names and
    /// versions.
    pub fn page<T>(&self, found: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX);
        found.into_iter().skip(skipped).take(self.limit.into())
    }

    /// Whether a bindle has a version that is searched for, and is yanked only if those are as well.
    pub fn has_version(&self, id: &Id, yanked: bool) -> bool {
        (self.yanked || !yanked) && self.version.contains(id.version())
    }
}

/// Which versions of a bindle somebody wants.
///
/// Nothing is any version, and one version only itself, its build too. Everything else is as npm
/// has it: `1.2`, `^1.2.3`, `~1.2`, `>=1 <3`, `1.2.3 - 2`, `1.x || 3.x`. Commas between
/// comparisons are cargo's, and so is what they then mean. A prerelease is only in a range that
/// names one of the same version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRange {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Any,
    Exact(Version),
    Cargo(VersionReq),
    Npm(nodejs_semver::Range),
}

impl VersionRange {
    /// Any version.
    pub const fn any() -> Self {
        Self {
            text: String::new(),
            kind: Kind::Any,
        }
    }

    /// Whether a version is one of them.
    pub fn contains(&self, version: &Version) -> bool {
        match &self.kind {
            Kind::Any => true,
            Kind::Exact(exact) => exact == version,
            Kind::Cargo(range) => range.matches(version),
            Kind::Npm(range) => nodejs_semver::Version::parse(version.to_string())
                .is_ok_and(|version| range.satisfies(&version)),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::str::FromStr for VersionRange {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let error = || QueryError::Value {
            name: "v",
            value: text.to_owned(),
            expected: "it is a version or a range of versions, as `1.2.3`, `^1.2` or `>=1 <3`",
        };
        if text.len() > MAX_RANGE {
            return Err(error());
        }
        let trimmed = text.trim();
        let kind = if trimmed.is_empty() {
            Kind::Any
        } else if let Ok(version) = Version::parse(trimmed) {
            Kind::Exact(version)
        } else if trimmed.contains(',') {
            Kind::Cargo(VersionReq::parse(trimmed).map_err(|_| error())?)
        } else {
            Kind::Npm(nodejs_semver::Range::parse(trimmed).map_err(|_| error())?)
        };
        Ok(Self {
            text: text.to_owned(),
            kind,
        })
    }
}
