//! Which functions have their code in memory.
//!
//! Code comes when it is called for the first time, and stays for the calls that follow.
//! While all code in memory is more than its limit, what was not called for longest goes.
//! What runs stays: for so long there may be more than the limit. What comes in beyond it
//! is charged to the memory budget of its app, so that it has an end.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, ready};
use tokio::sync::oneshot;

use crate::budget::{MemoryBudget, Reservation};
use crate::limits::format_bytes;
use crate::problem::{Limit, Problem};

/// How much code is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeInMemory {
    /// Its bytes. The engine holds about a quarter as much beside it to work with.
    pub bytes: u64,
    /// The limit of that.
    pub limit: u64,
    /// Functions whose code it is.
    pub functions: u64,
    /// How often a function's code came into memory since the start.
    pub loads: u64,
}

/// What comes and goes: the code of a function, ready to be called.
pub(crate) trait Code: Send + Sync + 'static {
    /// Bytes in memory.
    fn bytes(&self) -> u64;
    /// How many of those who hold it do so for a call that may come, and do nothing else.
    fn waiting(&self) -> usize;
    /// Has those let go of it.
    fn dismiss(&self);
}

/// Bytes of code in memory; gone from the sum when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    residency: Arc<Residency>,
    bytes: u64,
}

impl Charge {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.residency.bytes.fetch_sub(self.bytes, Relaxed);
    }
}

/// The code of all functions.
pub(crate) struct Residency {
    limit: u64,
    bytes: AtomicU64,
    loads: AtomicU64,
    /// Places that have something in memory.
    residents: Mutex<Vec<Weak<dyn Resident>>>,
    /// Held by who makes room, so that two do not both count what goes.
    making_room: Mutex<()>,
    /// What times of use are counted from.
    began: Instant,
}

impl Residency {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            bytes: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            residents: Mutex::default(),
            making_room: Mutex::default(),
            began: Instant::now(),
        })
    }

    /// Counts code as long as the charge lives, whether there is room or not: it is there.
    pub(crate) fn charge(self: &Arc<Self>, bytes: u64) -> Charge {
        self.bytes.fetch_add(bytes, Relaxed);
        Charge {
            residency: Arc::clone(self),
            bytes,
        }
    }

    pub(crate) fn in_memory(&self) -> CodeInMemory {
        CodeInMemory {
            bytes: self.bytes.load(Relaxed),
            limit: self.limit,
            functions: self.residents().len() as u64,
            loads: self.loads.load(Relaxed),
        }
    }

    fn excess(&self) -> u64 {
        self.bytes.load(Relaxed).saturating_sub(self.limit)
    }

    pub(crate) fn is_over_limit(&self) -> bool {
        self.excess() > 0
    }

    /// Has the code go that was not used for longest and is not in use, until the rest is
    /// within the limit. Takes a part of a millisecond for each that goes: nothing for a
    /// thread that serves.
    pub(crate) fn make_room(&self) {
        if !self.is_over_limit() {
            return;
        }
        let _alone = lock(&self.making_room);
        // Dropped at the end, without the list: that is what takes its time, and those who serve
        // want the list, too.
        let mut gone = Vec::new();
        {
            let mut residents = self.residents();
            let mut excess = self.excess();
            let mut idle: Vec<_> = residents
                .iter()
                .filter_map(Weak::upgrade)
                .filter_map(|resident| Some((resident.used(), resident.idle_bytes()?, resident)))
                .collect();
            idle.sort_unstable_by_key(|(used, ..)| *used);
            for (_, bytes, resident) in idle {
                if excess == 0 {
                    break;
                }
                gone.extend(resident.unload());
                excess = excess.saturating_sub(bytes);
            }
            residents.retain(|resident| resident.upgrade().is_some_and(|one| one.is_loaded()));
        }
        drop(gone);
    }

    /// Takes as much of an app's memory as its code does, which has come in, if there is more code
    /// than the limit: after making room all of it is in use.
    ///
    /// # Errors
    /// When the app can have no more.
    pub(crate) fn pay_for(
        &self,
        bytes: u64,
        budget: &Arc<MemoryBudget>,
    ) -> Result<Option<Reservation>, Problem> {
        if !self.is_over_limit() {
            return Ok(None);
        }
        let mut paid = budget.empty_reservation();
        if paid.grow(bytes) {
            return Ok(Some(paid));
        }
        let value = format_bytes(budget.limit());
        let detail = format!(
            "the code that runs takes all of its limit, and this node's memory budget of {value} has no room for the {bytes} bytes of this function's"
        );
        Err(Problem::limit(Limit::NodeMemory, value, detail))
    }

    fn residents(&self) -> MutexGuard<'_, Vec<Weak<dyn Resident>>> {
        lock(&self.residents)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Residency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.in_memory().fmt(f)
    }
}

/// A place that has code in memory, whatever it is of.
trait Resident: Send + Sync {
    /// When it was used last.
    fn used(&self) -> u64;
    /// Its bytes, unless it is in use or has gone.
    fn idle_bytes(&self) -> Option<u64>;
    fn is_loaded(&self) -> bool;
    /// Lets go of its code, and gives it to be dropped.
    fn unload(&self) -> Option<Arc<dyn Code>>;
}

/// Code on its way into memory. All who wait for it share it.
pub(crate) type Arriving<T> = Shared<BoxFuture<'static, Result<Arc<T>, Problem>>>;

/// The place of one function's code.
pub(crate) struct Place<T> {
    residency: Arc<Residency>,
    code: ArcSwapOption<T>,
    /// When it was used last, in milliseconds.
    used: AtomicU64,
    arriving: Mutex<Option<Arriving<T>>>,
}

impl<T: Code> Place<T> {
    pub(crate) fn new(residency: &Arc<Residency>) -> Arc<Self> {
        Arc::new(Self {
            residency: Arc::clone(residency),
            code: ArcSwapOption::empty(),
            used: AtomicU64::new(0),
            arriving: Mutex::default(),
        })
    }

    /// The code, if it is in memory. Whoever holds it keeps it there.
    pub(crate) fn get(&self, now: Instant) -> Option<Arc<T>> {
        let code = self.code.load_full()?;
        self.touch(now);
        Some(code)
    }

    /// The code as soon as it is in memory, where `load` brings it unless it is there by
    /// now, or on its way. That goes on when nobody waits any more; when it fails all who
    /// wait are told, and the next one tries again. Must be called on a Tokio runtime.
    pub(crate) fn load<F>(self: &Arc<Self>, load: impl FnOnce() -> F) -> Arriving<T>
    where
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let mut arriving = self.arriving();
        if let Some(arriving) = &*arriving {
            return arriving.clone();
        }
        if let Some(code) = self.get(Instant::now()) {
            return ready(Ok(code)).boxed().shared();
        }
        let (tell, told) = oneshot::channel();
        let told = told
            .map(|told| told.unwrap_or_else(|_dropped| Err(not_loaded())))
            .boxed()
            .shared();
        *arriving = Some(told.clone());
        drop(arriving);
        // Without the lock: a runtime that ends drops what it is given at once, and so ends the
        // arrival, which takes the lock.
        let arrived = Arrived(Arc::clone(self));
        let load = load();
        tokio::spawn(async move {
            let code = load.await.map(Arc::new);
            if let Ok(code) = &code {
                arrived.0.keep(code);
            }
            // Before anybody is told: who then asks again does not find this.
            drop(arrived);
            // Nobody may wait any more.
            let _ = tell.send(code);
        });
        told
    }

    fn keep(self: &Arc<Self>, code: &Arc<T>) {
        self.touch(Instant::now());
        self.residency.loads.fetch_add(1, Relaxed);
        let resident = Arc::downgrade(self) as Weak<dyn Resident>;
        let mut residents = self.residency.residents();
        self.code.store(Some(Arc::clone(code)));
        residents.push(resident);
    }

    /// Most of the time it was used in the same millisecond: then nobody's cache line is
    /// written to.
    fn touch(&self, now: Instant) {
        let now = now.saturating_duration_since(self.residency.began);
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        // A call that waited for long came before others that did not.
        if self.used.load(Relaxed) < now {
            self.used.fetch_max(now, Relaxed);
        }
    }

    fn arriving(&self) -> MutexGuard<'_, Option<Arriving<T>>> {
        lock(&self.arriving)
    }
}

/// What a call is told whose function's code did not come. Why, the log says.
pub(crate) fn not_loaded() -> Problem {
    Problem::host_fault("the function's code cannot be loaded; the log of the node says why")
}

/// Ends an arrival, however it ends.
struct Arrived<T: Code>(Arc<Place<T>>);

impl<T: Code> Drop for Arrived<T> {
    fn drop(&mut self) {
        *self.0.arriving() = None;
    }
}

impl<T: Code> Resident for Place<T> {
    fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    fn idle_bytes(&self) -> Option<u64> {
        let code = self.code.load();
        let code = code.as_ref()?;
        // This place is the one holder beside them. A call that begins at this moment is no
        // harm: it has what it holds, and the next one loads it again.
        (Arc::strong_count(code) <= 1 + code.waiting()).then(|| code.bytes())
    }

    fn is_loaded(&self) -> bool {
        self.code.load().is_some()
    }

    fn unload(&self) -> Option<Arc<dyn Code>> {
        let code = self.code.swap(None)?;
        code.dismiss();
        Some(code)
    }
}

#[cfg(test)]
mod tests;
