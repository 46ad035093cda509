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
    field_room: FieldRoom,
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
        let field_room = FieldRoom::new(limits.headers);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(field_room.most);
        Self {
            wasi: builder.wasi.build(),
            http,
            field_room,
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
        self.field_room.adjust(&mut self.http, &mut self.table);
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// How large a set of header fields may be that the guest makes. Sets are the host's memory, and
/// the guest may keep as many as it may have handles. So each next one may be smaller the more
/// handles there are: the n-th has [`SETS`] n-ths of the limit of one, which in sum is little more
/// than that many limits times the logarithm of n.
struct FieldRoom {
    most: usize,
    calls: u32,
}

/// How many sets at once may each be as large as the limit of one.
const SETS: usize = 4;
/// Bytes that each may have in any case.
const SMALL_SET: usize = 1 << 10;
/// Calls of the host from one look at the handles to the next.
const CALLS: u32 = 16;

impl FieldRoom {
    fn new(most: usize) -> Self {
        Self { most, calls: 0 }
    }

    fn adjust(&mut self, http: &mut WasiHttpCtx, table: &mut ResourceTable) {
        self.calls += 1;
        if self.calls == CALLS {
            self.calls = 0;
            http.set_field_size_limit(self.with(table.iter_mut().count()));
        }
    }

    /// With so many handles.
    fn with(&self, handles: usize) -> usize {
        let part = self.most.saturating_mul(SETS) / handles.max(1);
        part.max(SMALL_SET).min(self.most)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sets_of_fields_together_are_bounded() {
        let room = FieldRoom::new(128 << 10);
        assert_eq!(room.with(0), 128 << 10);
        assert_eq!(room.with(4), 128 << 10);
        assert_eq!(room.with(50), (512 << 10) / 50);
        let all: usize = (1..=4096).map(|handles| room.with(handles)).sum();
        assert!(all < 8 << 20, "{all}");
        // A limit below the least is kept.
        assert_eq!(FieldRoom::new(100).with(4096), 100);
    }

    #[test]
    fn what_a_set_may_have_follows_the_handles_both_ways() {
        let mut room = FieldRoom::new(128 << 10);
        let (mut http, mut table) = (WasiHttpCtx::new(), ResourceTable::new());
        // Nothing else tells it.
        let told = |http: &WasiHttpCtx| format!("{http:?}");
        let mut held = Vec::new();
        for handles in [8, 64, 4] {
            while held.len() < handles {
                held.push(table.push(()).expect("there is room"));
            }
            for handle in held.drain(handles..) {
                table.delete(handle).expect("it is there");
            }
            let before = told(&http);
            for _ in 1..CALLS {
                room.adjust(&mut http, &mut table);
            }
            assert_eq!(told(&http), before);
            room.adjust(&mut http, &mut table);
            let mut expected = WasiHttpCtx::new();
            expected.set_field_size_limit(room.with(handles));
            assert_eq!(told(&http), told(&expected));
        }
    }

    #[test]
    fn each_capability_finds_its_own_state() {
        struct Buckets(u8);
        struct Settings(u8);
        let mut slots = Slots::default();
        slots
            .0
            .push((TypeId::of::<Buckets>(), Box::new(Buckets(1))));
        assert!(slots.get_mut::<Settings>().is_none());
        slots
            .0
            .push((TypeId::of::<Settings>(), Box::new(Settings(2))));
        assert_eq!(slots.get_mut::<Buckets>().expect("is there").0, 1);
        assert_eq!(slots.get_mut::<Settings>().expect("is there").0, 2);
    }
}
