//! What a guest is told when a store fails: what happened to which object, and
//! nothing of where the store is. The cause goes to the log.

use object_store::Error;
use strand_objects::Refusal;

use crate::memory::Full;

/// Why an object is refused, where that is something that the guest can mend.
fn refusal(error: &Error) -> Option<String> {
    if let Some(refusal) = Refusal::in_error(error) {
        return Some(refusal.to_string());
    }
    Full::in_error(error).map(|full| full.to_string())
}

/// The interface's error when one object was to become another: a refusal is the
/// target's, the rest may be either's.
pub(crate) fn describe_copy(from: &str, to: &str, error: &Error) -> String {
    let object = match refusal(error) {
        Some(_) => to,
        None => from,
    };
    describe(object, error)
}

/// The interface's error.
pub(crate) fn describe(object: &str, error: &Error) -> String {
    if let Some(refusal) = refusal(error) {
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
    matches!(error, Error::Generic { .. } | Error::JoinError { .. }) && refusal(error).is_none()
}

/// The node's memory budget has no room.
pub(crate) fn no_memory(bytes: u64) -> String {
    format!(
        "this node has no memory left for a buffer of {}: try again later",
        strand_engine::format_bytes(bytes)
    )
}
