//! The interface, function by function.

use std::sync::Arc;

use futures::stream::{StreamExt as _, TryStreamExt as _};
use object_store::{Error, ObjectStoreExt as _};
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use crate::access::{Container, Containers};
use crate::account::Account;
use crate::failure::describe;
use crate::names::Names;
use crate::object::{Found, ObjectId, delete, find, head};
use crate::read::{IncomingValue, Source};
use crate::write::OutgoingValue;

pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: [
            "../../../wit/deps/wasi-io-0.2.1",
            "../../../wit/deps/wasi-blobstore-0.2.0-draft",
        ],
        world: "wasi:blobstore/imports",
        imports: { default: async | trappable },
        require_store_data_send: true,
        with: {
            "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
            "wasi:blobstore/types.incoming-value": crate::read::IncomingValue,
            "wasi:blobstore/types.outgoing-value": crate::write::OutgoingValue,
            "wasi:blobstore/container.container": crate::host::Handle,
            "wasi:blobstore/container.stream-object-names": crate::names::Names,
        },
    });
}

use bindings::wasi::blobstore::{blobstore, container, types};

/// A function's handle of a container.
#[expect(unreachable_pub, reason = "the bindings name it in a `pub use`")]
pub type Handle = Arc<Container>;

/// What the interface works on.
pub(crate) struct View<'a> {
    pub(crate) containers: Arc<Containers>,
    pub(crate) account: Arc<Account>,
    pub(crate) table: &'a mut ResourceTable,
}

pub(crate) struct HasView;

impl HasData for HasView {
    type Data<'a> = View<'a>;
}

/// The interface's own result, inside that of the host, whose errors are traps.
type Outcome<T> = wasmtime::Result<Result<T, String>>;

impl View<'_> {
    fn container(&self, handle: &Resource<Handle>) -> wasmtime::Result<Arc<Container>> {
        Ok(Arc::clone(self.table.get(handle)?))
    }
}

impl types::Host for View<'_> {}
impl container::Host for View<'_> {}

impl types::HostOutgoingValue for View<'_> {
    async fn new_outgoing_value(&mut self) -> wasmtime::Result<Resource<OutgoingValue>> {
        let value = OutgoingValue::new(self.containers.config.part, &self.account);
        Ok(self.table.push(value)?)
    }

    async fn outgoing_value_write_body(
        &mut self,
        value: Resource<OutgoingValue>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        let Some(stream) = self.table.get_mut(&value)?.body() else {
            return Ok(Err(()));
        };
        let stream: DynOutputStream = Box::new(stream);
        // A child: the value cannot go before its stream.
        Ok(Ok(self.table.push_child(stream, &value)?))
    }

    async fn finish(&mut self, value: Resource<OutgoingValue>) -> Outcome<()> {
        let value = self.table.delete(value)?;
        Ok(value.finish().await)
    }

    async fn drop(&mut self, value: Resource<OutgoingValue>) -> wasmtime::Result<()> {
        self.table.delete(value)?;
        Ok(())
    }
}

impl types::HostIncomingValue for View<'_> {
    async fn incoming_value_consume_sync(
        &mut self,
        value: Resource<IncomingValue>,
    ) -> Outcome<Vec<u8>> {
        let value = self.table.delete(value)?;
        Ok(value.collect(self.containers.config.at_once).await)
    }

    async fn incoming_value_consume_async(
        &mut self,
        value: Resource<IncomingValue>,
    ) -> Outcome<Resource<DynInputStream>> {
        let value = self.table.delete(value)?;
        match value.stream(self.containers.config.read_ahead) {
            Ok(stream) => {
                let stream: DynInputStream = Box::new(stream);
                Ok(Ok(self.table.push(stream)?))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn size(&mut self, value: Resource<IncomingValue>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&value)?.left())
    }

    async fn drop(&mut self, value: Resource<IncomingValue>) -> wasmtime::Result<()> {
        self.table.delete(value)?;
        Ok(())
    }
}

impl container::HostContainer for View<'_> {
    async fn name(&mut self, this: Resource<Handle>) -> Outcome<String> {
        Ok(Ok(self.container(&this)?.name.clone()))
    }

    async fn info(&mut self, this: Resource<Handle>) -> Outcome<types::ContainerMetadata> {
        let name = self.container(&this)?.name.clone();
        let created_at = 0;
        Ok(Ok(types::ContainerMetadata { name, created_at }))
    }

    async fn get_data(
        &mut self,
        this: Resource<Handle>,
        name: String,
        start: u64,
        end: u64,
    ) -> Outcome<Resource<IncomingValue>> {
        let container = self.container(&this)?;
        let retry_for = self.containers.config.retry_for;
        let open = async {
            let Found { bucket, location } = find(container.readable()?, &name)?;
            // Before the store is asked for anything.
            let charge = self.account.value()?;
            let range = (start, end);
            let source = Source::open(bucket.store(), &location, &name, range, retry_for).await?;
            Ok(IncomingValue::new(source, charge))
        };
        match open.await {
            Ok(value) => Ok(Ok(self.table.push(value)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn write_data(
        &mut self,
        this: Resource<Handle>,
        name: String,
        data: Resource<OutgoingValue>,
    ) -> Outcome<()> {
        let container = self.container(&this)?;
        let found = match container.writable().and_then(|bucket| find(bucket, &name)) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let place = self.containers.place(found, name);
        Ok(self.table.get_mut(&data)?.write_to(place).await)
    }

    async fn list_objects(&mut self, this: Resource<Handle>) -> Outcome<Resource<Names>> {
        let container = self.container(&this)?;
        let open = || Ok(Names::new(container.readable()?, self.account.listing()?));
        match open() {
            Ok(names) => Ok(Ok(self.table.push(names)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn delete_object(&mut self, this: Resource<Handle>, name: String) -> Outcome<()> {
        self.delete_objects(this, vec![name]).await
    }

    async fn delete_objects(&mut self, this: Resource<Handle>, names: Vec<String>) -> Outcome<()> {
        let container = self.container(&this)?;
        let delete_all = async {
            let bucket = container.writable()?;
            // A name that is none must not leave half of the others deleted.
            let found: Vec<_> = names
                .iter()
                .map(|name| Ok((find(bucket, name)?, name)))
                .collect::<Result<_, String>>()?;
            for (found, name) in found {
                delete(&found, name).await?;
            }
            Ok(())
        };
        Ok(delete_all.await)
    }

    async fn has_object(&mut self, this: Resource<Handle>, name: String) -> Outcome<bool> {
        let container = self.container(&this)?;
        let has = async {
            let found = find(container.readable()?, &name)?;
            match found.bucket.store().head(&found.location).await {
                Ok(_) => Ok(true),
                Err(Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(describe(&name, &error)),
            }
        };
        Ok(has.await)
    }

    async fn object_info(
        &mut self,
        this: Resource<Handle>,
        name: String,
    ) -> Outcome<types::ObjectMetadata> {
        let container = self.container(&this)?;
        let info = async {
            let found = find(container.readable()?, &name)?;
            let meta = head(&found, &name).await?;
            Ok(types::ObjectMetadata {
                container: container.name.clone(),
                created_at: u64::try_from(meta.last_modified.timestamp()).unwrap_or(0),
                size: meta.size,
                name: name.clone(),
            })
        };
        Ok(info.await)
    }

    async fn clear(&mut self, this: Resource<Handle>) -> Outcome<()> {
        let container = self.container(&this)?;
        let clear = async {
            let bucket = container.writable()?;
            let listed = bucket.store().list(bucket.prefix());
            let locations = listed.map_ok(|meta| meta.location).boxed();
            let mut deleted = bucket.store().delete_stream(locations);
            while let Some(result) = deleted.next().await {
                match result {
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(describe("*", &error)),
                }
            }
            Ok(())
        };
        Ok(clear.await)
    }

    async fn drop(&mut self, this: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl container::HostStreamObjectNames for View<'_> {
    async fn read_stream_object_names(
        &mut self,
        this: Resource<Names>,
        count: u64,
    ) -> Outcome<(Vec<String>, bool)> {
        Ok(self.table.get_mut(&this)?.read(count).await)
    }

    async fn skip_stream_object_names(
        &mut self,
        this: Resource<Names>,
        count: u64,
    ) -> Outcome<(u64, bool)> {
        Ok(self.table.get_mut(&this)?.skip(count).await)
    }

    async fn drop(&mut self, this: Resource<Names>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

/// Why a function makes and deletes no containers.
fn declared(name: &str) -> String {
    let shown: String = name.chars().take(64).collect();
    format!(
        "access denied: containers are resources of the Directive \
         (`spec.resources.blobs`), a function cannot make or delete {shown:?}"
    )
}

impl blobstore::Host for View<'_> {
    async fn create_container(&mut self, name: String) -> Outcome<Resource<Handle>> {
        Ok(Err(declared(&name)))
    }

    async fn get_container(&mut self, name: String) -> Outcome<Resource<Handle>> {
        match self.containers.get(&name).map(Arc::clone) {
            Ok(container) => Ok(Ok(self.table.push(container)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn delete_container(&mut self, name: String) -> Outcome<()> {
        Ok(Err(declared(&name)))
    }

    async fn container_exists(&mut self, name: String) -> Outcome<bool> {
        Ok(Ok(self.containers.contains(&name)))
    }

    async fn copy_object(&mut self, from: types::ObjectId, to: types::ObjectId) -> Outcome<()> {
        let (from, to) = (ends(&from), ends(&to));
        Ok(self.containers.copy(&self.account, from, to).await)
    }

    async fn move_object(&mut self, from: types::ObjectId, to: types::ObjectId) -> Outcome<()> {
        let (from, to) = (ends(&from), ends(&to));
        Ok(self.containers.rename(&self.account, from, to).await)
    }
}

fn ends(id: &types::ObjectId) -> ObjectId<'_> {
    ObjectId {
        container: &id.container,
        object: &id.object,
    }
}
