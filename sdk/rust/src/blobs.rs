//! Objects in the buckets that the function was granted (`grants: { blobs: … }`).
//!
//! ```no_run
//! use strand_sdk::blobs::Bucket;
//!
//! # fn example() -> Result<(), strand_sdk::blobs::BlobError> {
//! let genomes = Bucket::open("genomes")?;
//! for name in genomes.list()? {
//!     let first = genomes.range(&name, 0, 99)?.piece()?;
//! }
//! Bucket::open("cache")?.write("greeting", b"hello")?;
//! # Ok(())
//! # }
//! ```
//!
//! A bucket is a resource of the Directive. Where it is, in a folder or on S3, only the node knows.

use std::{fmt, io};

use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::bindings::wasi::blobstore::{blobstore, container, types};
use crate::streams::{read_into, read_some, words, write_all};

/// Bytes that are asked for at once.
const PIECE: u64 = 256 * 1024;

/// Objects that are listed at most.
const MOST_OBJECTS: usize = 10_000;

/// Why an object could not be had or made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlobError {
    /// What the store says, and about what.
    Store {
        /// The bucket, and the object in it if it is about one.
        what: String,
        /// The store's words.
        message: String,
    },
    /// More objects than are listed.
    TooMany(String),
    /// An object beyond the size that is taken.
    TooLarge {
        /// The bucket and the object in it.
        object: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store { what, message } => write!(f, "{what}: {message}"),
            Self::TooMany(bucket) => {
                write!(
                    f,
                    "{bucket} has more than {MOST_OBJECTS} objects; bind a smaller prefix"
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

impl std::error::Error for BlobError {}

impl From<BlobError> for io::Error {
    fn from(error: BlobError) -> Self {
        Self::other(error)
    }
}

/// A bucket.
#[derive(Debug)]
pub struct Bucket {
    name: String,
    inner: container::Container,
}

/// What a store tells about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written, in seconds since 1970.
    pub created: u64,
}

impl Bucket {
    /// The bucket of a resource of the Directive.
    ///
    /// # Errors
    /// The store's, for example without the grant.
    pub fn open(name: &str) -> Result<Self, BlobError> {
        match blobstore::get_container(name) {
            Ok(inner) => Ok(Self {
                name: name.to_owned(),
                inner,
            }),
            Err(message) => Err(BlobError::Store {
                what: name.to_owned(),
                message,
            }),
        }
    }

    /// The names of its objects.
    ///
    /// # Errors
    /// The store's, or too many objects.
    pub fn list(&self) -> Result<Vec<String>, BlobError> {
        let stream = self
            .inner
            .list_objects()
            .map_err(|message| self.failed(None, message))?;
        let mut names = Vec::new();
        loop {
            let (some, end) = stream
                .read_stream_object_names(1000)
                .map_err(|message| self.failed(None, message))?;
            if some.is_empty() && !end {
                // Asking on could go on for ever, and a part is not the list.
                return Err(self.failed(None, "the listing stopped before its end".into()));
            }
            names.extend(some);
            if names.len() > MOST_OBJECTS {
                return Err(BlobError::TooMany(self.name.clone()));
            }
            if end {
                return Ok(names);
            }
        }
    }

    /// Whether it has an object.
    ///
    /// # Errors
    /// The store's.
    pub fn has(&self, object: &str) -> Result<bool, BlobError> {
        self.inner
            .has_object(object)
            .map_err(|message| self.failed(Some(object), message))
    }

    /// What the store tells about an object.
    ///
    /// # Errors
    /// The store's.
    pub fn info(&self, object: &str) -> Result<Info, BlobError> {
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
    pub fn read(&self, object: &str, limit: u64) -> Result<Vec<u8>, BlobError> {
        let value = self.value(object, 0, u64::MAX)?;
        let size = value.size();
        if size > limit {
            return Err(BlobError::TooLarge {
                object: self.what(Some(object)),
                size,
                limit,
            });
        }
        let mut bytes = Vec::with_capacity(size as usize);
        let mut reader = self.stream(object, value)?;
        while let Some(piece) = reader.piece()? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// A whole object of any size, as it comes.
    ///
    /// # Errors
    /// The store's.
    pub fn reader(&self, object: &str) -> Result<Reader, BlobError> {
        self.range(object, 0, u64::MAX)
    }

    /// The bytes from `first` to `last`, both included, by one request to the store. What is beyond
    /// the object's end is left out.
    ///
    /// # Errors
    /// The store's.
    pub fn range(&self, object: &str, first: u64, last: u64) -> Result<Reader, BlobError> {
        self.stream(object, self.value(object, first, last)?)
    }

    fn value(
        &self,
        object: &str,
        first: u64,
        last: u64,
    ) -> Result<types::IncomingValue, BlobError> {
        self.inner
            .get_data(object, first, last)
            .map_err(|message| self.failed(Some(object), message))
    }

    fn stream(&self, object: &str, value: types::IncomingValue) -> Result<Reader, BlobError> {
        let stream = types::IncomingValue::incoming_value_consume_async(value)
            .map_err(|message| self.failed(Some(object), message))?;
        Ok(Reader {
            stream,
            what: self.what(Some(object)),
        })
    }

    /// Makes an object, or replaces it, in one go. When this returns it is there, through a loss of
    /// power too.
    ///
    /// # Errors
    /// The store's.
    pub fn write(&self, object: &str, bytes: &[u8]) -> Result<(), BlobError> {
        let mut writer = self.writer(object)?;
        writer.write_all(bytes)?;
        writer.finish()
    }

    /// Makes an object, or replaces it, from bytes that are to come.
    ///
    /// # Errors
    /// The store's.
    pub fn writer(&self, object: &str) -> Result<Writer, BlobError> {
        let failed = |message: String| self.failed(Some(object), message);
        let value = types::OutgoingValue::new_outgoing_value();
        let stream = value
            .outgoing_value_write_body()
            .map_err(|()| failed("its stream was taken before".into()))?;
        // The store takes the bytes while it writes the object, so the order is as the interface has
        // it: the object is named first, then its bytes are written, then it is finished.
        self.inner.write_data(object, &value).map_err(failed)?;
        Ok(Writer {
            stream,
            value,
            what: self.what(Some(object)),
        })
    }

    /// Removes an object. One that is not there is no error.
    ///
    /// # Errors
    /// The store's.
    pub fn delete(&self, object: &str) -> Result<(), BlobError> {
        self.inner
            .delete_object(object)
            .map_err(|message| self.failed(Some(object), message))
    }

    fn failed(&self, object: Option<&str>, message: String) -> BlobError {
        let what = self.what(object);
        BlobError::Store { what, message }
    }

    fn what(&self, object: Option<&str>) -> String {
        match object {
            Some(object) => format!("{}/{object}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The bytes of an object as they come: in pieces, or through [`std::io::Read`].
#[derive(Debug)]
pub struct Reader {
    stream: InputStream,
    what: String,
}

impl Reader {
    /// The next bytes, at most 256 KiB, or `None` at the end.
    ///
    /// # Errors
    /// The store's.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>, BlobError> {
        self.some(PIECE)
    }

    fn some(&self, most: u64) -> Result<Option<Vec<u8>>, BlobError> {
        read_some(&self.stream, most).map_err(|error| broken(&self.what, &error))
    }
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_into(buffer, |most| self.some(most))
    }
}

/// An object that is being written. Dropped without [`finish`](Self::finish) it leaves nothing. It
/// can be written through [`std::io::Write`] too.
#[derive(Debug)]
pub struct Writer {
    // Before the value, whose child it is.
    stream: OutputStream,
    value: types::OutgoingValue,
    what: String,
}

impl Writer {
    /// Writes bytes, as fast as the store takes them.
    ///
    /// # Errors
    /// The store's.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        write_all(&self.stream, bytes).map_err(|error| broken(&self.what, &error))
    }

    /// Ends the object. When this returns it is there, through a loss of power too.
    ///
    /// # Errors
    /// The store's.
    pub fn finish(self) -> Result<(), BlobError> {
        let Self {
            stream,
            value,
            what,
        } = self;
        drop(stream);
        types::OutgoingValue::finish(value).map_err(|message| BlobError::Store { what, message })
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    /// Does nothing: only a finished object is there.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn broken(what: &str, error: &StreamError) -> BlobError {
    BlobError::Store {
        what: what.to_owned(),
        message: words(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_they_are_about() {
        let (what, message) = ("genomes/a.fa".into(), "no such object".into());
        assert_eq!(
            BlobError::Store { what, message }.to_string(),
            "genomes/a.fa: no such object"
        );
        let error = BlobError::TooLarge {
            object: "genomes/a.fa".into(),
            size: 11,
            limit: 10,
        };
        assert_eq!(
            io::Error::from(error).to_string(),
            "genomes/a.fa has 11 bytes, more than the 10 that are taken"
        );
        assert_eq!(
            BlobError::TooMany("genomes".into()).to_string(),
            "genomes has more than 10000 objects; bind a smaller prefix"
        );
    }
}
