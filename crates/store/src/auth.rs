//! Who asks, and what he may.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Repository;

/// What somebody may do in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// See what is there.
    Pull,
    /// Put what is new.
    Push,
    /// Say that something should not be used any more.
    Yank,
    /// Add signatures to what is there.
    Sign,
    /// Delete for good.
    Delete,
}

impl Right {
    /// As a configuration writes it, and errors say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Yank => "yank",
            Self::Sign => "sign",
            Self::Delete => "delete",
        }
    }
}

/// Rights in a part of all repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// A repository and all below it: `example.com/tools` has `example.com/tools/hello`, and not
    /// `example.com/toolset`. Nothing is all of them.
    pub namespace: Option<Repository>,
    /// What may be done there.
    pub rights: BTreeSet<Right>,
}

/// Who asks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    name: Option<Arc<str>>,
    grants: Arc<[Grant]>,
}

impl Caller {
    /// Somebody of whom nothing is known.
    pub fn anonymous(grants: impl Into<Arc<[Grant]>>) -> Self {
        Self {
            name: None,
            grants: grants.into(),
        }
    }

    /// Somebody who has shown who he is.
    pub fn known(name: impl Into<Arc<str>>, grants: impl Into<Arc<[Grant]>>) -> Self {
        Self {
            name: Some(name.into()),
            grants: grants.into(),
        }
    }

    /// What he is called, if he has shown it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether there is nothing at all that he may.
    pub fn may_nothing(&self) -> bool {
        self.grants.iter().all(|grant| grant.rights.is_empty())
    }

    /// Whether he may do that there.
    pub fn may(&self, right: Right, repository: &Repository) -> bool {
        let grants = self.grants.iter();
        grants
            .filter(|grant| grant.rights.contains(&right))
            .any(|grant| grant.has(repository))
    }
}

impl Grant {
    fn has(&self, repository: &Repository) -> bool {
        let Some(namespace) = &self.namespace else {
            return true;
        };
        let rest = repository.as_str().strip_prefix(namespace.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_for_whole_parts_of_names() {
        let grant = |namespace: &str, rights: &[Right]| Grant {
            namespace: (!namespace.is_empty()).then(|| Repository::new(namespace).unwrap()),
            rights: rights.iter().copied().collect(),
        };
        let caller = Caller::known(
            "a",
            [
                grant("x/y", &[Right::Push, Right::Yank]),
                grant("", &[Right::Pull]),
            ],
        );
        for (right, repository, expected) in [
            (Right::Pull, "anything", true),
            (Right::Push, "x/y", true),
            (Right::Yank, "x/y/z", true),
            (Right::Sign, "x/y/z", false),
            (Right::Push, "x/yz", false),
            (Right::Push, "x", false),
            (Right::Push, "X/y", false),
        ] {
            let repository = Repository::new(repository).unwrap();
            assert_eq!(
                caller.may(right, &repository),
                expected,
                "{right:?} {repository}"
            );
        }
        assert!(!Caller::default().may(Right::Pull, &Repository::new("a").unwrap()));
    }
}
