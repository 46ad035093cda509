//! What `/blob/…` asks for.

use crate::target::{Target, decoded};

/// An operation of `wasi:blobstore`. Containers and objects are percent-decoded, so that an object
/// may be named `../secret`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blob {
    /// `/blob/create/CONTAINER`
    Create(String),
    /// `/blob/exists/CONTAINER`
    Exists(String),
    /// `/blob/drop/CONTAINER`: deletes the container.
    Drop(String),
    /// `/blob/clear/CONTAINER`
    Clear(String),
    /// `/blob/list/CONTAINER`
    List(String),
    /// `/blob/info/CONTAINER`
    ContainerInfo(String),
    /// `/blob/info/CONTAINER/OBJECT`
    Info(String, String),
    /// `/blob/has/CONTAINER/OBJECT`
    Has(String, String),
    /// `/blob/read/CONTAINER/OBJECT?start=0&end=9`, both inclusive; without `end` to the end.
    /// With `&whole` the bytes come as one list and not as a stream.
    Read {
        /// The container.
        container: String,
        /// The object.
        object: String,
        /// The first byte.
        start: u64,
        /// The last byte.
        end: u64,
        /// As one list.
        whole: bool,
    },
    /// `/blob/write/CONTAINER/OBJECT`: the request's body. With `?abandon` the value is dropped
    /// and not finished.
    Write {
        /// The container.
        container: String,
        /// The object.
        object: String,
        /// Not finished.
        abandon: bool,
    },
    /// `/blob/delete/CONTAINER/OBJECT`
    Delete(String, String),
    /// `/blob/delete-all/CONTAINER?name=A&name=B`
    DeleteAll(String, Vec<String>),
    /// `/blob/copy/CONTAINER/OBJECT?container=TO&object=NAME`
    Copy {
        /// From where: container and object.
        from: (String, String),
        /// To where.
        to: (String, String),
    },
    /// `/blob/move/CONTAINER/OBJECT?container=TO&object=NAME`
    Move {
        /// From where: container and object.
        from: (String, String),
        /// To where.
        to: (String, String),
    },
}

impl Blob {
    pub(crate) fn new(path: &str, target: &Target<'_>) -> Result<Self, String> {
        let mut segments = path.splitn(3, '/');
        let operation = segments.next().unwrap_or_default();
        let container = match segments.next() {
            Some(container) if !container.is_empty() => decoded(container),
            _ => return Err("`/blob/OPERATION/CONTAINER` lacks the container".to_owned()),
        };
        let name = segments.next().map(decoded);
        let object = || {
            name.clone()
                .ok_or_else(|| format!("`/blob/{operation}/CONTAINER/OBJECT` lacks the object"))
        };
        let to = || {
            let field = |name: &str| target.value(name).ok_or(format!("`{name}` is missing"));
            Ok::<_, String>((field("container")?, field("object")?))
        };
        Ok(match operation {
            "create" => Blob::Create(container),
            "exists" => Blob::Exists(container),
            "drop" => Blob::Drop(container),
            "clear" => Blob::Clear(container),
            "list" => Blob::List(container),
            "info" if name.is_none() => Blob::ContainerInfo(container),
            "info" => Blob::Info(container, object()?),
            "has" => Blob::Has(container, object()?),
            "read" => Blob::Read {
                container,
                object: object()?,
                start: target.parsed("start")?.unwrap_or(0),
                end: target.parsed("end")?.unwrap_or(u64::MAX),
                whole: target.value("whole").is_some(),
            },
            "write" => Blob::Write {
                container,
                object: object()?,
                abandon: target.value("abandon").is_some(),
            },
            "delete" => Blob::Delete(container, object()?),
            "delete-all" => Blob::DeleteAll(container, target.values("name").collect()),
            "copy" => Blob::Copy {
                from: (container, object()?),
                to: to()?,
            },
            "move" => Blob::Move {
                from: (container, object()?),
                to: to()?,
            },
            _ => return Err(format!("there is no operation `{operation}`")),
        })
    }
}
