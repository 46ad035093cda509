//! The instances of a function that take requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thread_local::ThreadLocal;

use super::instance::{Accepted, Instance, Offered, Seat};

type List = Mutex<Vec<Arc<Instance>>>;

/// A list for each thread: a request goes to an instance of its own, so that neither needs a
/// wake-up across cores, and no thread waits for another to find a place. A thread that takes the
/// place of one that ended takes its list over, too; instances there end with their runtime.
#[derive(Default)]
pub(super) struct Open(ThreadLocal<List>);

impl Open {
    /// Gives the request to an instance of this thread that has room, or back.
    pub(super) fn seat(&self, mut request: Box<Accepted>) -> Result<Seat, Box<Accepted>> {
        let Some(list) = self.0.get() else {
            return Err(request);
        };
        let mut list = lock(list);
        let mut index = 0;
        while let Some(instance) = list.get(index) {
            request = match instance.offer(request) {
                Offered::Seated(seat) => {
                    if instance.is_open() {
                        // Who had room for one is asked first for the next.
                        list.swap(0, index);
                    } else {
                        list.swap_remove(index);
                    }
                    return Ok(seat);
                }
                Offered::Full(request) => {
                    index += 1;
                    request
                }
                Offered::Closed(request) => {
                    list.swap_remove(index);
                    request
                }
            };
        }
        Err(request)
    }

    /// Adds one of this thread's.
    pub(super) fn add(&self, instance: Arc<Instance>) {
        lock(self.0.get_or_default()).push(instance);
    }

    /// Takes one out, from whichever thread.
    pub(super) fn remove(&self, instance: &Arc<Instance>) {
        for list in &self.0 {
            lock(list).retain(|other| !Arc::ptr_eq(other, instance));
        }
    }

    /// Instances that only wait for their next request.
    pub(super) fn waiting(&self) -> usize {
        let waiting = |list| lock(list).iter().filter(|it| it.is_waiting()).count();
        self.0.iter().map(waiting).sum()
    }

    /// Has those end that only wait for their next request.
    pub(super) fn dismiss(&self) {
        for list in &self.0 {
            for instance in &*lock(list) {
                instance.dismiss();
            }
        }
    }
}

fn lock(list: &List) -> MutexGuard<'_, Vec<Arc<Instance>>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
