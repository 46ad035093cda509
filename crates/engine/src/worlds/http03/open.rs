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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::instance::tests::{finish, request, serving, took};
    use super::*;

    /// Whether nobody has the instance but who asks.
    fn is_out(instance: &Arc<Instance>) -> bool {
        Arc::strong_count(instance) == 1
    }

    #[tokio::test]
    async fn who_had_room_is_asked_first_for_the_next_one() {
        let open = Open::default();
        let (busy, its_first) = serving(9, 1).await;
        let (roomy, _first) = serving(9, 9).await;
        open.add(Arc::clone(&busy));
        open.add(Arc::clone(&roomy));
        let _second = open.seat(request().await).ok().expect("room");
        assert!(took(&roomy).is_some());
        // By now both have.
        finish(its_first);
        let _third = open.seat(request().await).ok().expect("room");
        assert!(took(&roomy).is_some() && took(&busy).is_none());
        assert!(busy.is_waiting());
    }

    #[tokio::test]
    async fn a_request_for_which_nobody_has_room_comes_back() {
        let open = Open::default();
        let request = open.seat(request().await).err().expect("comes back");
        let (busy, first) = serving(9, 1).await;
        open.add(Arc::clone(&busy));
        let request = open.seat(request).err().expect("comes back");
        // Who is busy stays, and has room some time.
        finish(first);
        let _second = open.seat(request).ok().expect("room");
        assert!(took(&busy).is_some());
    }

    #[tokio::test]
    async fn one_that_is_closed_is_taken_out_and_the_next_one_asked() {
        let open = Open::default();
        let (closed, first) = serving(9, 9).await;
        finish(first);
        closed.dismiss();
        let (roomy, _first) = serving(9, 9).await;
        open.add(Arc::clone(&closed));
        open.add(Arc::clone(&roomy));
        let _second = open.seat(request().await).ok().expect("room");
        assert!(took(&roomy).is_some());
        assert!(is_out(&closed));
    }

    #[tokio::test]
    async fn one_that_takes_its_last_request_is_taken_out() {
        let open = Open::default();
        let (instance, first) = serving(3, 9).await;
        open.add(Arc::clone(&instance));
        finish(first);
        finish(open.seat(request().await).ok().expect("room"));
        assert!(!is_out(&instance));
        finish(open.seat(request().await).ok().expect("room"));
        assert!(is_out(&instance));
        assert!(open.seat(request().await).is_err());
    }

    #[tokio::test]
    async fn one_is_taken_out_from_whichever_thread() {
        let open = Open::default();
        let (gone, first) = serving(9, 9).await;
        let (stays, _first) = serving(9, 9).await;
        open.add(Arc::clone(&gone));
        open.add(Arc::clone(&stays));
        finish(first);
        thread::scope(|scope| {
            scope.spawn(|| open.remove(&gone));
        });
        assert!(is_out(&gone));
        let _second = open.seat(request().await).ok().expect("room");
        assert!(took(&stays).is_some());
    }

    #[tokio::test]
    async fn instances_of_other_threads_are_not_asked() {
        let open = Open::default();
        let (here, first) = serving(9, 9).await;
        let (there, _first) = serving(9, 1).await;
        finish(first);
        open.add(Arc::clone(&here));
        let request = request().await;
        let request = thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let request = open.seat(request).err().expect("it has none");
                open.add(Arc::clone(&there));
                open.seat(request).err().expect("its own is busy")
            });
            asking.join().expect("no panic")
        });
        assert!(here.is_waiting());
        let _second = open.seat(request).ok().expect("room");
        assert!(took(&here).is_some());
    }

    #[tokio::test]
    async fn those_that_only_wait_are_counted_and_end_on_all_threads() {
        let open = Open::default();
        let (works, _first) = serving(9, 9).await;
        let (here, first) = serving(9, 9).await;
        let (there, second) = serving(9, 9).await;
        open.add(Arc::clone(&works));
        open.add(Arc::clone(&here));
        thread::scope(|scope| {
            scope.spawn(|| open.add(Arc::clone(&there)));
        });
        assert_eq!(open.waiting(), 0);
        finish(first);
        finish(second);
        assert_eq!(open.waiting(), 2);
        open.dismiss();
        assert_eq!(open.waiting(), 0);
        assert!(works.is_open() && !here.is_open() && !there.is_open());
    }
}
