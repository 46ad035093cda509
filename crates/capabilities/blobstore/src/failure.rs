//! What a guest is told when a store fails: what happened to which object, and
//! nothing of where the store is. The cause goes to the log.

use object_store::Error;

/// The interface's error.
pub(crate) fn describe(object: &str, error: &Error) -> String {
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
}

/// The node's memory budget has no room.
pub(crate) fn no_memory(bytes: u64) -> String {
    format!(
        "this node has no memory left for a buffer of {}: try again later",
        strand_engine::format_bytes(bytes)
    )
}
