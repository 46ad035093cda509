//! A guest's side of the interface.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use strand_engine::MemoryBudget;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, StreamError};

use crate::access::{Access, Containers};
use crate::account::Account;
use crate::host::bindings::wasi::blobstore::types::ObjectId;
use crate::host::bindings::wasi::blobstore::{blobstore, container, types};
use crate::host::{Handle, View};
use crate::names::Names;
use crate::read::IncomingValue;
use crate::write::OutgoingValue;
use crate::{Config, Grant};

use blobstore::Host as _;
use container::{HostContainer as _, HostStreamObjectNames as _};
use strand_objects::Bucket;
use types::{HostIncomingValue as _, HostOutgoingValue as _};

pub(super) const READ: Access = Access {
    read: true,
    write: false,
};
pub(super) const WRITE: Access = Access {
    read: false,
    write: true,
};
pub(super) const ALL: Access = Access {
    read: true,
    write: true,
};

/// A function with containers.
pub(super) struct Guest {
    containers: Arc<Containers>,
    account: Arc<Account>,
    table: ResourceTable,
    pub(super) budget: Arc<MemoryBudget>,
}

/// Another handle of the same resource, as each call of a guest makes one.
pub(super) fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

fn id(object: (&str, &str)) -> ObjectId {
    ObjectId {
        container: object.0.to_owned(),
        object: object.1.to_owned(),
    }
}

impl Guest {
    pub(super) fn new(config: &Config, containers: &[(&str, &Bucket, Access)]) -> Self {
        Self::with_budget(config, containers, 1 << 30)
    }

    pub(super) fn with_budget(
        config: &Config,
        containers: &[(&str, &Bucket, Access)],
        budget: u64,
    ) -> Self {
        let budget = MemoryBudget::new(budget);
        let mut grant = Grant::default();
        let mut buckets = BTreeMap::new();
        for (name, bucket, access) in containers {
            grant.containers.insert((*name).to_owned(), *access);
            buckets.insert((*name).to_owned(), (*bucket).clone());
        }
        let containers = Containers::new(config, &budget, grant, &buckets).expect("bound");
        Self {
            containers: Arc::new(containers),
            account: Account::new(config, &budget),
            table: ResourceTable::new(),
            budget,
        }
    }

    pub(super) fn view(&mut self) -> View<'_> {
        View {
            containers: Arc::clone(&self.containers),
            account: Arc::clone(&self.account),
            table: &mut self.table,
        }
    }

    pub(super) async fn container(&mut self, name: &str) -> Resource<Handle> {
        let handle = self.view().get_container(name.to_owned()).await;
        handle.expect("no trap").expect("a container")
    }

    pub(super) async fn value(&mut self) -> Resource<OutgoingValue> {
        let value = self.view().new_outgoing_value().await;
        value.expect("no trap")
    }

    pub(super) async fn body(&mut self, value: &Resource<OutgoingValue>) -> DynOutputStream {
        let stream = self.view().outgoing_value_write_body(again(value)).await;
        let stream = stream.expect("no trap").expect("a stream");
        self.table.delete(stream).expect("a stream")
    }

    pub(super) async fn write_data(
        &mut self,
        container: &Resource<Handle>,
        name: &str,
        value: &Resource<OutgoingValue>,
    ) -> Result<(), String> {
        let written = self
            .view()
            .write_data(again(container), name.to_owned(), again(value))
            .await;
        written.expect("no trap")
    }

    pub(super) async fn finish(&mut self, value: Resource<OutgoingValue>) -> Result<(), String> {
        let value = Resource::new_own(value.rep());
        self.view().finish(value).await.expect("no trap")
    }

    pub(super) fn drop_value(&mut self, value: Resource<OutgoingValue>) {
        let value = Resource::<OutgoingValue>::new_own(value.rep());
        self.table.delete(value).expect("a value");
    }

    /// Writes an object: place first, then the body, then `finish`.
    pub(super) async fn write(
        &mut self,
        container: &Resource<Handle>,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), String> {
        let value = self.value().await;
        let mut stream = self.body(&value).await;
        let begun = self.write_data(container, name, &value).await;
        let written = match begun {
            Ok(()) => pour(&mut stream, bytes).await,
            Err(error) => Err(error),
        };
        drop(stream);
        if let Err(error) = written {
            self.drop_value(value);
            return Err(error);
        }
        self.finish(value).await
    }

    pub(super) async fn get_data(
        &mut self,
        container: &Resource<Handle>,
        name: &str,
        range: (u64, u64),
    ) -> Result<Resource<IncomingValue>, String> {
        let value = self
            .view()
            .get_data(again(container), name.to_owned(), range.0, range.1)
            .await;
        value.expect("no trap")
    }

    pub(super) async fn size(&mut self, value: &Resource<IncomingValue>) -> u64 {
        self.view().size(again(value)).await.expect("no trap")
    }

    pub(super) async fn at_once(
        &mut self,
        value: Resource<IncomingValue>,
    ) -> Result<Vec<u8>, String> {
        let value = Resource::new_own(value.rep());
        let bytes = self.view().incoming_value_consume_sync(value).await;
        bytes.expect("no trap")
    }

    pub(super) async fn stream(
        &mut self,
        value: Resource<IncomingValue>,
    ) -> Result<DynInputStream, String> {
        let value = Resource::new_own(value.rep());
        let stream = self.view().incoming_value_consume_async(value).await;
        let stream = stream.expect("no trap")?;
        Ok(self.table.delete(stream).expect("a stream"))
    }

    /// Reads a range of an object, as a stream.
    pub(super) async fn read(
        &mut self,
        container: &Resource<Handle>,
        name: &str,
        range: (u64, u64),
    ) -> Result<Vec<u8>, String> {
        let value = self.get_data(container, name, range).await?;
        let mut stream = self.stream(value).await?;
        drain(&mut stream).await
    }

    pub(super) async fn listing(&mut self, container: &Resource<Handle>) -> Resource<Names> {
        let names = self.view().list_objects(again(container)).await;
        names.expect("no trap").expect("a listing")
    }

    pub(super) async fn next_names(
        &mut self,
        names: &Resource<Names>,
        count: u64,
    ) -> (Vec<String>, bool) {
        let read = self
            .view()
            .read_stream_object_names(again(names), count)
            .await;
        read.expect("no trap").expect("names")
    }

    pub(super) async fn skip_names(&mut self, names: &Resource<Names>, count: u64) -> (u64, bool) {
        let skipped = self
            .view()
            .skip_stream_object_names(again(names), count)
            .await;
        skipped.expect("no trap").expect("names")
    }

    /// All names, sorted.
    pub(super) async fn names(&mut self, container: &Resource<Handle>) -> Vec<String> {
        let listing = self.listing(container).await;
        let mut all = Vec::new();
        loop {
            let (mut some, ended) = self.next_names(&listing, 3).await;
            all.append(&mut some);
            if ended {
                all.sort();
                return all;
            }
        }
    }

    pub(super) async fn has(&mut self, container: &Resource<Handle>, name: &str) -> bool {
        let has = self
            .view()
            .has_object(again(container), name.to_owned())
            .await;
        has.expect("no trap").expect("an answer")
    }

    pub(super) async fn delete(
        &mut self,
        container: &Resource<Handle>,
        names: &[&str],
    ) -> Result<(), String> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let deleted = self.view().delete_objects(again(container), names).await;
        deleted.expect("no trap")
    }

    pub(super) async fn copy(
        &mut self,
        from: (&str, &str),
        to: (&str, &str),
    ) -> Result<(), String> {
        let copied = self.view().copy_object(id(from), id(to)).await;
        copied.expect("no trap")
    }

    pub(super) async fn rename(
        &mut self,
        from: (&str, &str),
        to: (&str, &str),
    ) -> Result<(), String> {
        let moved = self.view().move_object(id(from), id(to)).await;
        moved.expect("no trap")
    }
}

/// Writes all bytes, waiting as a guest would.
pub(super) async fn pour(stream: &mut DynOutputStream, mut bytes: &[u8]) -> Result<(), String> {
    while !bytes.is_empty() {
        let room = stream.write_ready().await.map_err(text)?;
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        stream.write(Bytes::copy_from_slice(now)).map_err(text)?;
        bytes = later;
    }
    Ok(())
}

/// Reads to the end.
pub(super) async fn drain(stream: &mut DynInputStream) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(100_000).await {
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(StreamError::Closed) => return Ok(all),
            Err(error) => return Err(text(error)),
        }
    }
}

pub(super) fn text(error: StreamError) -> String {
    match error {
        StreamError::LastOperationFailed(error) => error.to_string(),
        other => panic!("not an error of the interface: {other}"),
    }
}

/// Bytes that are the same nowhere.
pub(super) fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}
