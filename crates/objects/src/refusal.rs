//! What a folder cannot do that other stores can.

use object_store::Error;

/// Why a folder will not have an object, which another name would mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A file is where a folder would be.
    #[error("a part of its name is an object, and in a folder no object is below another one")]
    BelowObject,
    /// A folder is where the file would be.
    #[error("there are objects below that name, and in a folder no object is above another one")]
    AboveObjects,
    /// It has more parts than this.
    #[error("its name has more than {0} parts, and in a folder it may have no more")]
    TooDeep(usize),
}

impl Refusal {
    /// As an error of a store.
    pub(crate) fn of(self, store: &'static str) -> Error {
        Error::Generic {
            store,
            source: Box::new(self),
        }
    }

    /// The refusal that an error of a store is, if it is one.
    pub fn in_error(error: &Error) -> Option<Self> {
        match error {
            Error::Generic { source, .. } => source.downcast_ref().copied(),
            _ => None,
        }
    }
}
