//! What the probes do with `wasi:blobstore`.

use std::io::Write;

use guest_behaviour::Blob;
use serde_json::{Value, json};
use wasip2::io::streams::{InputStream, OutputStream};

use crate::bindings::wasi::blobstore::blobstore as store;
use crate::bindings::wasi::blobstore::container::Container;
use crate::bindings::wasi::blobstore::types::{
    ContainerMetadata, IncomingValue, ObjectId, ObjectMetadata, OutgoingValue,
};

/// Names that are read from a listing at a time; small, so that tests get by with few objects.
const NAMES: u64 = 10;

/// What an operation gave.
#[derive(Debug)]
pub enum Found {
    /// What it says.
    Json(Value),
    /// An object's bytes as they come.
    Stream(InputStream),
    /// An object's bytes.
    Bytes(Vec<u8>),
}

/// Does an operation; of [`Blob::Write`] only what comes before the bytes, see [`Writing`].
///
/// # Errors
/// What the host said.
pub fn run(operation: &Blob) -> Result<Found, String> {
    let done = |()| Value::Null;
    let json = match operation {
        Blob::Create(container) => store::create_container(container).map(|_| Value::Null)?,
        Blob::Exists(container) => json!(store::container_exists(container)?),
        Blob::Drop(container) => store::delete_container(container).map(done)?,
        Blob::Clear(container) => get(container)?.clear().map(done)?,
        Blob::List(container) => json!(list(&get(container)?)?),
        Blob::ContainerInfo(container) => {
            let ContainerMetadata { name, created_at } = get(container)?.info()?;
            json!({ "name": name, "created": created_at })
        }
        Blob::Info(container, object) => {
            let ObjectMetadata {
                name,
                container,
                created_at,
                size,
            } = get(container)?.object_info(object)?;
            json!({ "name": name, "container": container, "created": created_at, "size": size })
        }
        Blob::Has(container, object) => json!(get(container)?.has_object(object)?),
        Blob::Read {
            container,
            object,
            start,
            end,
            whole,
        } => {
            let value = get(container)?.get_data(object, *start, *end)?;
            return if *whole {
                IncomingValue::incoming_value_consume_sync(value).map(Found::Bytes)
            } else {
                IncomingValue::incoming_value_consume_async(value).map(Found::Stream)
            };
        }
        Blob::Write {
            container, object, ..
        } => Writing::begin(container, object).map(|_| Value::Null)?,
        Blob::Delete(container, object) => get(container)?.delete_object(object).map(done)?,
        Blob::DeleteAll(container, objects) => get(container)?.delete_objects(objects).map(done)?,
        Blob::Copy { from, to } => store::copy_object(&id(from), &id(to)).map(done)?,
        Blob::Move { from, to } => store::move_object(&id(from), &id(to)).map(done)?,
    };
    Ok(Found::Json(json))
}

fn get(container: &str) -> Result<Container, String> {
    store::get_container(container)
}

fn id((container, object): &(String, String)) -> ObjectId {
    ObjectId {
        container: container.clone(),
        object: object.clone(),
    }
}

fn list(container: &Container) -> Result<Vec<String>, String> {
    let stream = container.list_objects()?;
    let mut all = Vec::new();
    loop {
        let (names, end) = stream.read_stream_object_names(NAMES)?;
        all.extend(names);
        if end {
            return Ok(all);
        }
    }
}

/// An object that is being written. Dropped before [`Writing::finish`] it is not whole.
#[derive(Debug)]
pub struct Writing {
    // The stream goes first: it is the value's child, and the host insists.
    stream: OutputStream,
    value: OutgoingValue,
}

impl Writing {
    /// Creates or replaces an object.
    ///
    /// # Errors
    /// What the host said.
    pub fn begin(container: &str, object: &str) -> Result<Self, String> {
        let container = get(container)?;
        let value = OutgoingValue::new_outgoing_value();
        let stream = value
            .outgoing_value_write_body()
            .map_err(|()| "the value gives no stream".to_owned())?;
        container.write_data(object, &value)?;
        Ok(Writing { stream, value })
    }

    /// Writes all of these bytes, waiting for the host where it has no room.
    ///
    /// # Errors
    /// What the host said.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream
            .write_all(bytes)
            .map_err(|error| error.to_string())
    }

    /// The stream itself, for those who splice.
    pub fn stream(&self) -> &OutputStream {
        &self.stream
    }

    /// Completes the object.
    ///
    /// # Errors
    /// What the host said.
    pub fn finish(self) -> Result<(), String> {
        let Writing { stream, value } = self;
        stream.blocking_flush().map_err(|error| error.to_string())?;
        drop(stream);
        OutgoingValue::finish(value)
    }
}
