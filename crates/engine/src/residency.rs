//! Which functions have their code in memory.
//!
//! Code comes when it is called for the first time, and stays for the calls that follow. When
//! what comes does not fit, what was not called for longest goes; but an app that has much
//! already pushes out nobody who has less. What runs stays. What comes in although nothing can go
//! for it is charged to the memory budget of its app instead, so that it has an end, and is in
//! nobody else's way.

use std::collections::HashMap;
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
use crate::shares::{Share, Shares};

/// Up to this part of the limit an app's code pushes out any other that was not called for
/// longer. With more it has to do with its own, and with that of apps that have as much.
const MODEST: u64 = 8;

/// How much code is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeInMemory {
    /// Its bytes. The engine holds about a quarter as much beside it to work with.
    pub bytes: u64,
    /// The limit of that; what is charged to apps' memory does not count in it.
    pub limit: u64,
    /// Functions whose code it is.
    pub functions: u64,
    /// How often a function's code came into memory since the start.
    pub loads: u64,
}

/// What comes and goes: the code of a function, ready to be called.
pub(crate) trait Code: Send + Sync + 'static {
    /// Its bytes in memory.
    fn charge(&self) -> &Charge;
    /// How many of those who hold it do so for a call that may come, and do nothing else.
    fn waiting(&self) -> usize;
    /// Has those let go of it.
    fn dismiss(&self);
}

/// Bytes of code in memory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    residency: Arc<Residency>,
    bytes: u64,
    borne: Mutex<Borne>,
}

/// Who bears code in memory.
#[derive(Debug)]
enum Borne {
    /// Nobody: it comes or goes.
    Passing,
    /// It counts in the limit, of which apps have shares.
    Limit(Arc<Share>),
    /// It is charged to its app.
    App { _memory: Reservation },
}

impl Charge {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn is_paid(&self) -> bool {
        matches!(*lock(&self.borne), Borne::App { .. })
    }

    /// Counts it in the limit, if there is room for it.
    fn count(&self, share: &Arc<Share>) -> bool {
        let fits = share.take(self.bytes).is_ok();
        if fits {
            self.bear(Borne::Limit(Arc::clone(share)));
        }
        fits
    }

    /// Charges it to an app, if that can have so much.
    fn pay(&self, budget: &Arc<MemoryBudget>) -> bool {
        let mut memory = budget.empty_reservation();
        let fits = memory.grow(self.bytes);
        if fits {
            self.residency.paid.fetch_add(self.bytes, Relaxed);
            self.bear(Borne::App { _memory: memory });
        }
        fits
    }

    fn bear(&self, borne: Borne) {
        match std::mem::replace(&mut *lock(&self.borne), borne) {
            Borne::Passing => {}
            Borne::Limit(share) => share.give_back(self.bytes),
            Borne::App { .. } => {
                self.residency.paid.fetch_sub(self.bytes, Relaxed);
            }
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.bear(Borne::Passing);
        self.residency.bytes.fetch_sub(self.bytes, Relaxed);
    }
}

/// The code of all functions.
pub(crate) struct Residency {
    /// What counts in the limit.
    counted: Arc<Shares>,
    /// Bytes that are in memory.
    bytes: AtomicU64,
    /// Those of them that are charged to apps.
    paid: AtomicU64,
    loads: AtomicU64,
    /// Places that have something in memory.
    residents: Mutex<Vec<Weak<dyn Resident>>>,
    /// Held by who decides what comes and goes, so that two do not both count on the same room.
    deciding: Mutex<()>,
    /// What times of use are counted from.
    began: Instant,
}

impl Residency {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            counted: Shares::new(limit),
            bytes: AtomicU64::new(0),
            paid: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            residents: Mutex::default(),
            deciding: Mutex::default(),
            began: Instant::now(),
        })
    }

    /// Tells of code that is in memory as long as the charge lives.
    pub(crate) fn charge(self: &Arc<Self>, bytes: u64) -> Charge {
        self.bytes.fetch_add(bytes, Relaxed);
        Charge {
            residency: Arc::clone(self),
            bytes,
            borne: Mutex::new(Borne::Passing),
        }
    }

    pub(crate) fn in_memory(&self) -> CodeInMemory {
        CodeInMemory {
            bytes: self.bytes.load(Relaxed),
            limit: self.counted.limit(),
            functions: self.residents().len() as u64,
            loads: self.loads.load(Relaxed),
        }
    }

    /// Whether apps are charged for code.
    pub(crate) fn has_paid(&self) -> bool {
        self.paid.load(Relaxed) > 0
    }

    /// Takes an app's code in, which is in memory by now. Has other code go for it where that
    /// helps, and charges it to the app's memory where not. Takes a part of a millisecond for each
    /// that goes: nothing for a thread that serves.
    ///
    /// # Errors
    /// When the app can have no more memory.
    pub(crate) fn admit(
        &self,
        app: &Arc<Share>,
        charge: &Charge,
        budget: &Arc<MemoryBudget>,
    ) -> Result<(), Problem> {
        // Dropped last, without the locks: that is what takes its time, and those who serve want
        // the list, too.
        let mut gone = Vec::new();
        let _deciding = lock(&self.deciding);
        // A component that stays in memory anyway may be taken in again.
        charge.bear(Borne::Passing);
        if charge.count(app) {
            return Ok(());
        }
        self.make_room(app, charge.bytes, &mut gone);
        if charge.count(app) || charge.pay(budget) {
            return Ok(());
        }
        let value = format_bytes(budget.limit());
        let detail = format!(
            "no idle code can go for this function's, and this node's memory budget of {value} has no room for its {} bytes",
            charge.bytes
        );
        Err(Problem::limit(Limit::NodeMemory, value, detail))
    }

    /// Has idle code go, if there is enough that so many bytes of an app may push out: what was
    /// not used for longest first.
    fn make_room(&self, app: &Arc<Share>, bytes: u64, gone: &mut Vec<Arc<dyn Code>>) {
        let mut residents = self.residents();
        let all: Vec<_> = residents.iter().filter_map(Weak::upgrade).collect();
        // By address: an app has one share.
        let mut has: HashMap<*const Share, u64> = HashMap::new();
        for resident in &all {
            *has.entry(Arc::as_ptr(resident.app())).or_default() += resident.bytes().unwrap_or(0);
        }
        let has_of = |has: &HashMap<*const Share, u64>, app: &Arc<Share>| {
            has.get(&Arc::as_ptr(app)).copied().unwrap_or(0)
        };
        let mut idle: Vec<_> = all
            .iter()
            .filter_map(|resident| {
                Some((resident.used(), resident.idle_counted_bytes()?, resident))
            })
            .collect();
        idle.sort_unstable_by_key(|(used, ..)| *used);
        let modest = self.counted.limit() / MODEST;
        let mut going = Vec::new();
        let (mut all_less, mut own_less) = (0, 0);
        for (_, less, resident) in idle {
            if app.has_room_for(bytes, all_less, own_less) {
                break;
            }
            let is_own = Arc::ptr_eq(resident.app(), app);
            let own = has_of(&has, app) + bytes;
            if is_own || own <= modest || has_of(&has, resident.app()) >= own {
                all_less += less;
                own_less += if is_own { less } else { 0 };
                *has.entry(Arc::as_ptr(resident.app())).or_default() -= less;
                going.push(resident);
            }
        }
        // Nobody goes in vain.
        if app.has_room_for(bytes, all_less, own_less) {
            gone.extend(going.into_iter().filter_map(|resident| resident.unload()));
        }
        residents.retain(|resident| resident.upgrade().is_some_and(|one| one.is_loaded()));
    }

    /// Gives apps back what they pay for: code that the limit has room for by now counts there,
    /// and other code goes when it is idle. Takes milliseconds.
    pub(crate) fn settle(&self) {
        let mut gone = Vec::new();
        let _deciding = lock(&self.deciding);
        let mut residents = self.residents();
        for resident in residents.iter().filter_map(Weak::upgrade) {
            gone.extend(resident.settle());
        }
        residents.retain(|resident| resident.upgrade().is_some_and(|one| one.is_loaded()));
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
    /// Whose it is.
    fn app(&self) -> &Arc<Share>;
    /// When it was used last.
    fn used(&self) -> u64;
    /// Its bytes, unless it has gone.
    fn bytes(&self) -> Option<u64>;
    /// Those of code that counts in the limit and is not in use.
    fn idle_counted_bytes(&self) -> Option<u64>;
    fn is_loaded(&self) -> bool {
        self.bytes().is_some()
    }
    /// Lets go of its code, and gives it to be dropped.
    fn unload(&self) -> Option<Arc<dyn Code>>;
    /// If its code is charged to the app: has it count in the limit where there is room, or else
    /// lets go of it if it is idle.
    fn settle(&self) -> Option<Arc<dyn Code>>;
}

/// Code on its way into memory. All who wait for it share it.
pub(crate) type Arriving<T> = Shared<BoxFuture<'static, Result<Arc<T>, Problem>>>;

/// The place of one function's code.
pub(crate) struct Place<T> {
    residency: Arc<Residency>,
    app: Arc<Share>,
    code: ArcSwapOption<T>,
    /// When it was used last, in milliseconds.
    used: AtomicU64,
    arriving: Mutex<Option<Arriving<T>>>,
}

impl<T: Code> Place<T> {
    pub(crate) fn new(residency: &Arc<Residency>, app: &str) -> Arc<Self> {
        Arc::new(Self {
            residency: Arc::clone(residency),
            app: residency.counted.of_app(app),
            code: ArcSwapOption::empty(),
            used: AtomicU64::new(0),
            arriving: Mutex::default(),
        })
    }

    /// The share of its app in the limit of code.
    pub(crate) fn app(&self) -> &Arc<Share> {
        &self.app
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

/// Whether nobody holds it but its place and those who wait for a call that may come. A call that
/// begins at this moment is no harm: it has what it holds, and the next one loads it again.
fn is_idle<T: Code>(code: &Arc<T>) -> bool {
    Arc::strong_count(code) <= 1 + code.waiting()
}

impl<T: Code> Resident for Place<T> {
    fn app(&self) -> &Arc<Share> {
        &self.app
    }

    fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    fn bytes(&self) -> Option<u64> {
        let code = self.code.load();
        Some(code.as_ref()?.charge().bytes())
    }

    fn idle_counted_bytes(&self) -> Option<u64> {
        let code = self.code.load();
        let code = code.as_ref()?;
        let counted = !code.charge().is_paid();
        (counted && is_idle(code)).then(|| code.charge().bytes())
    }

    fn unload(&self) -> Option<Arc<dyn Code>> {
        let code = self.code.swap(None)?;
        // On its way out, however long those who waited take to let go of it.
        code.charge().bear(Borne::Passing);
        code.dismiss();
        Some(code)
    }

    fn settle(&self) -> Option<Arc<dyn Code>> {
        let code = self.code.load();
        let code = code.as_ref()?;
        let stays = !code.charge().is_paid() || code.charge().count(&self.app) || !is_idle(code);
        if stays { None } else { self.unload() }
    }
}

#[cfg(test)]
mod tests;
