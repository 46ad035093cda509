//! What a store holds: the guest's WASI state, its limits, and a slot for each
//! capability. The type is concrete, so that a capability compiles its linker
//! code in its own crate.

use std::any::{Any, TypeId};
use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::call::{FunctionId, RequestId};
use crate::engine::LiveInstance;
use crate::limits::Limiter;
use crate::meter::Meter;
use crate::outgoing::{HttpHooks, Outgoing};

/// The call that an instance works on; with instances that serve several
/// requests, the one that it took last.
#[derive(Clone, Debug)]
pub struct CallInfo {
    /// The function.
    pub function: FunctionId,
    /// The request that the call belongs to.
    pub id: RequestId,
    /// When the call must have ended.
    pub deadline: std::time::Instant,
    /// The time from admission to then: the function's limit, or what its caller had
    /// left.
    pub wall: std::time::Duration,
    /// How many functions stand between the way in and this call.
    pub depth: u8,
}

/// The data of every store.
pub struct Ctx {
    pub(crate) wasi: WasiCtx,
    pub(crate) http: WasiHttpCtx,
    pub(crate) hooks: HttpHooks,
    pub(crate) table: ResourceTable,
    pub(crate) limiter: Limiter,
    pub(crate) meter: Arc<Meter>,
    slots: Slots,
    _live: LiveInstance,
}

impl Ctx {
    pub(crate) fn new(
        mut builder: CtxBuilder,
        hooks: HttpHooks,
        limiter: Limiter,
        meter: Arc<Meter>,
        limits: &crate::Limits,
        live: LiveInstance,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.headers);
        Self {
            wasi: builder.wasi.build(),
            http,
            hooks,
            table,
            limiter,
            meter,
            slots: builder.slots,
            _live: live,
        }
    }

    /// The slot of a capability and the table of the guest's handles.
    ///
    /// `None` when nothing was attached, which a capability's own linker code
    /// never sees: it is linked only where it was granted.
    pub fn slot<T: Any + Send>(&mut self) -> Option<(&mut T, &mut ResourceTable)> {
        Some((self.slots.get_mut()?, &mut self.table))
    }

    /// The table of the guest's handles.
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// The call that the instance works on.
    pub fn call(&self) -> &CallInfo {
        &self.hooks.call
    }
}

impl WasiView for Ctx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Ctx {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// State of capabilities, found by its type. A function has a handful of them,
/// so that a list beats a map.
#[derive(Default)]
struct Slots(Vec<(TypeId, Box<dyn Any + Send>)>);

impl Slots {
    fn get_mut<T: Any + Send>(&mut self) -> Option<&mut T> {
        let id = TypeId::of::<T>();
        let (_, slot) = self.0.iter_mut().find(|(slot, _)| *slot == id)?;
        slot.downcast_mut()
    }
}

/// What capabilities fill in before an instance starts.
pub struct CtxBuilder {
    /// The guest's WASI state: nothing is open, nothing is set.
    pub wasi: WasiCtxBuilder,
    slots: Slots,
    pub(crate) outgoing: Option<Arc<dyn Outgoing>>,
    call: CallInfo,
}

impl CtxBuilder {
    pub(crate) fn new(call: CallInfo) -> Self {
        let mut wasi = WasiCtx::builder();
        // The sockets interfaces are linked, and refuse.
        wasi.allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(64 << 10);
        Self {
            wasi,
            slots: Slots::default(),
            outgoing: None,
            call,
        }
    }

    /// The call for which the instance is made.
    pub fn call(&self) -> &CallInfo {
        &self.call
    }

    /// Gives a capability its state in the store.
    pub fn insert<T: Any + Send>(&mut self, state: T) {
        self.slots.0.push((TypeId::of::<T>(), Box::new(state)));
    }

    /// Says where outgoing HTTP requests go. Without it they are denied.
    pub fn set_outgoing(&mut self, outgoing: Arc<dyn Outgoing>) {
        self.outgoing = Some(outgoing);
    }
}

/// What a function may be granted: its import half, ready for one function.
pub trait Capability: Any + Send + Sync {
    /// Adds the interfaces to a linker. It serves all functions that are granted the same
    /// kinds of capabilities: what is one function's own comes from [`attach`](Self::attach).
    ///
    /// # Errors
    /// When an interface is there already.
    fn add_to_linker(&self, linker: &mut wasmtime::component::Linker<Ctx>) -> wasmtime::Result<()>;

    /// Gives a new instance its state.
    fn attach(&self, builder: &mut CtxBuilder);
}
