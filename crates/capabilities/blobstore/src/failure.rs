//! What a guest is told when a store fails: what happened to which object, and
//! nothing of where the store is. The cause goes to the log.

use object_store::Error;

/// What a store of ours will not do, for a reason that the guest can mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// In a folder.
    #[error("a part of its name is an object, and in a folder no object is below another one")]
    BelowObject,
    /// In a folder.
    #[error("there are objects below that name, and in a folder no object is above another one")]
    AboveObjects,
    /// In a folder.
    #[error("its name has more than {0} parts, and in a folder it may have no more")]
    TooDeep(usize),
    /// In memory.
    #[error(
        "this bucket is in memory, of which it may have {}: delete objects, or have the node \
         bind another place",
        strand_engine::format_bytes(*.0)
    )]
    Full(u64),
}

impl Refusal {
    /// As an error of a store.
    pub(crate) fn of(self, store: &'static str) -> Error {
        Error::Generic {
            store,
            source: Box::new(self),
        }
    }

    pub(crate) fn in_error(error: &Error) -> Option<Self> {
        match error {
            Error::Generic { source, .. } => source.downcast_ref().copied(),
            _ => None,
        }
    }
}

/// The interface's error when one object was to become another: a refusal is the
/// target's, the rest may be either's.
pub(crate) fn describe_copy(from: &str, to: &str, error: &Error) -> String {
    let object = match Refusal::in_error(error) {
        Some(_) => to,
        None => from,
    };
    describe(object, error)
}

/// The interface's error.
pub(crate) fn describe(object: &str, error: &Error) -> String {
    if let Some(refusal) = Refusal::in_error(error) {
        return format!("`{object}` is refused: {refusal}");
    }
    match error {
        Error::NotFound { .. } => format!("there is no object `{object}`"),
        Error::Precondition { .. } => {
            format!("the object `{object}` changed while it was read: read it again")
        }
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            tracing::warn!(object, %error, "a store refused access to the node");
            format!("the store refused this node access to `{object}`")
        }
        _ => {
            tracing::warn!(object, %error, "a store failed");
            format!("the store failed at `{object}`: the node's log has the cause, try again later")
        }
    }
}

/// Whether trying again may have another result.
pub(crate) fn is_transient(error: &Error) -> bool {
    matches!(error, Error::Generic { .. } | Error::JoinError { .. })
        && Refusal::in_error(error).is_none()
}

/// The node's memory budget has no room.
pub(crate) fn no_memory(bytes: u64) -> String {
    format!(
        "this node has no memory left for a buffer of {}: try again later",
        strand_engine::format_bytes(bytes)
    )
}
