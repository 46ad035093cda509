//! Objects of the containers that the function was granted.

use std::fmt;

use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::bindings::{blobstore, container, types};

/// Bytes that are asked for at once.
const PIECE: u64 = 256 * 1024;

/// Objects that are listed at most.
const MOST_OBJECTS: usize = 10_000;

/// Why an object could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum ObjectError {
    /// What the store says, and about what.
    Store {
        /// The container, and the object in it if it is about one.
        what: String,
        /// The store's words.
        message: String,
    },
    /// More objects than are listed.
    TooMany(String),
    /// An object beyond the size that is taken.
    TooLarge {
        /// The object.
        object: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store { what, message } => write!(f, "{what}: {message}"),
            Self::TooMany(container) => {
                write!(
                    f,
                    "{container} has more than {MOST_OBJECTS} objects; bind a smaller prefix"
                )
            }
            Self::TooLarge {
                object,
                size,
                limit,
            } => {
                write!(
                    f,
                    "{object} has {size} bytes, more than the {limit} that are taken"
                )
            }
        }
    }
}

impl std::error::Error for ObjectError {}

/// A container.
#[derive(Debug)]
pub struct Container {
    name: String,
    inner: container::Container,
}

/// What a store tells about an object.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// Its size in bytes.
    pub size: u64,
    /// When it was made, as the store counts time.
    pub created: u64,
}

impl Container {
    /// The container of a resource of the Directive.
    ///
    /// # Errors
    /// The store's, for example without the grant.
    pub fn open(name: &str) -> Result<Self, ObjectError> {
        match blobstore::get_container(name) {
            Ok(inner) => Ok(Self {
                name: name.to_owned(),
                inner,
            }),
            Err(message) => Err(ObjectError::Store {
                what: name.to_owned(),
                message,
            }),
        }
    }

    /// The names of its objects.
    ///
    /// # Errors
    /// The store's, or too many objects.
    pub fn list(&self) -> Result<Vec<String>, ObjectError> {
        let stream = self
            .inner
            .list_objects()
            .map_err(|message| self.failed(None, message))?;
        let mut names = Vec::new();
        loop {
            let (some, end) = stream
                .read_stream_object_names(1000)
                .map_err(|message| self.failed(None, message))?;
            let stalled = some.is_empty();
            names.extend(some);
            if names.len() > MOST_OBJECTS {
                return Err(ObjectError::TooMany(self.name.clone()));
            }
            if end || stalled {
                return Ok(names);
            }
        }
    }

    /// Whether it has an object.
    ///
    /// # Errors
    /// The store's.
    pub fn has(&self, object: &str) -> Result<bool, ObjectError> {
        self.inner
            .has_object(object)
            .map_err(|message| self.failed(Some(object), message))
    }

    /// What the store tells about an object.
    ///
    /// # Errors
    /// The store's.
    pub fn info(&self, object: &str) -> Result<Info, ObjectError> {
        let info = self.inner.object_info(object);
        let info = info.map_err(|message| self.failed(Some(object), message))?;
        Ok(Info {
            size: info.size,
            created: info.created_at,
        })
    }

    /// A whole object of at most `limit` bytes.
    ///
    /// # Errors
    /// The store's, or an object beyond the limit.
    pub fn read(&self, object: &str, limit: u64) -> Result<Vec<u8>, ObjectError> {
        let size = self.info(object)?.size;
        if size > limit {
            return Err(ObjectError::TooLarge {
                object: object.to_owned(),
                size,
                limit,
            });
        }
        let mut bytes = Vec::with_capacity(size as usize);
        if let Some(last) = size.checked_sub(1) {
            let mut reader = self.range(object, 0, last)?;
            while let Some(piece) = reader.piece()? {
                bytes.extend_from_slice(&piece);
            }
        }
        Ok(bytes)
    }

    /// The bytes from `first` to `last`, both included, by one request to the store.
    ///
    /// # Errors
    /// The store's.
    pub fn range(&self, object: &str, first: u64, last: u64) -> Result<Reader, ObjectError> {
        let value = self.inner.get_data(object, first, last);
        let stream = value.and_then(types::IncomingValue::incoming_value_consume_async);
        let stream = stream.map_err(|message| self.failed(Some(object), message))?;
        Ok(Reader {
            stream,
            what: format!("{}/{object}", self.name),
        })
    }

    /// Writes an object.
    ///
    /// # Errors
    /// The store's.
    pub fn write(&self, object: &str, bytes: &[u8]) -> Result<(), ObjectError> {
        let failed = |message: String| self.failed(Some(object), message);
        let value = types::OutgoingValue::new_outgoing_value();
        let stream = value
            .outgoing_value_write_body()
            .map_err(|()| failed("its stream was already taken".into()))?;
        // The store takes the bytes while it writes the object, so the order is as the interface has
        // it: the object is named first, then its bytes are written, then it is finished.
        self.inner.write_data(object, &value).map_err(failed)?;
        write_all(&stream, bytes).map_err(|error| failed(error.to_string()))?;
        drop(stream);
        types::OutgoingValue::finish(value).map_err(failed)
    }

    fn failed(&self, object: Option<&str>, message: String) -> ObjectError {
        let what = match object {
            Some(object) => format!("{}/{object}", self.name),
            None => self.name.clone(),
        };
        ObjectError::Store { what, message }
    }
}

/// The bytes of a range as they come.
#[derive(Debug)]
pub struct Reader {
    stream: InputStream,
    what: String,
}

impl Reader {
    /// The next bytes, or `None` at the end.
    ///
    /// # Errors
    /// The store's.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>, ObjectError> {
        match self.stream.blocking_read(PIECE) {
            Ok(piece) => Ok(Some(piece)),
            Err(StreamError::Closed) => Ok(None),
            Err(StreamError::LastOperationFailed(error)) => {
                let message = error.to_debug_string();
                Err(ObjectError::Store {
                    what: self.what.clone(),
                    message,
                })
            }
        }
    }
}

/// Bytes that are given to a stream at once: several times what the blocking calls take.
const WRITE: usize = 64 * 1024;

/// Writes all bytes, waiting whenever the other side is behind.
///
/// # Errors
/// The stream's.
pub(crate) fn write_all(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let room = stream.check_write()? as usize;
        if room == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(room.min(WRITE).min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    Ok(())
}
