//! The values that the Directive gives the function (`config: { greeting: hello }`).

use std::fmt;

use crate::bindings::wasi::config::store;

/// A value, or `None` where the Directive gives none.
///
/// # Errors
/// [`ConfigError`].
pub fn get(key: &str) -> Result<Option<String>, ConfigError> {
    store::get(key).map_err(ConfigError::new)
}

/// All values, with their keys.
///
/// # Errors
/// [`ConfigError`].
pub fn all() -> Result<Vec<(String, String)>, ConfigError> {
    store::get_all().map_err(ConfigError::new)
}

/// The host could not tell. A Strand node always can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    fn new(error: store::Error) -> Self {
        let (store::Error::Upstream(words) | store::Error::Io(words)) = error;
        Self(words)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be read: {}", self.0)
    }
}

impl std::error::Error for ConfigError {}
