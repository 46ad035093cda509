use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::*;
use crate::problem::Kind;

/// Code of some bytes, some holders of which only wait.
struct Fake {
    charge: Charge,
    waiting: AtomicUsize,
    dismissed: Arc<AtomicUsize>,
}

impl Code for Fake {
    fn charge(&self) -> &Charge {
        &self.charge
    }

    fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    fn dismiss(&self) {
        self.dismissed.fetch_add(1, SeqCst);
    }
}

/// A function's place with what is told of its code.
struct Function {
    place: Arc<Place<Fake>>,
    residency: Arc<Residency>,
    budget: Arc<MemoryBudget>,
    bytes: u64,
    dismissed: Arc<AtomicUsize>,
}

impl Function {
    fn new(residency: &Arc<Residency>, bytes: u64) -> Self {
        Self::of("an app", residency, bytes)
    }

    fn of(app: &str, residency: &Arc<Residency>, bytes: u64) -> Self {
        Self {
            place: Place::new(residency, app),
            residency: Arc::clone(residency),
            budget: MemoryBudget::new(1000),
            bytes,
            dismissed: Arc::default(),
        }
    }

    /// What a call does: the code, loaded if it is not there.
    async fn call(&self) -> Arc<Fake> {
        if let Some(code) = self.place.get(Instant::now()) {
            return code;
        }
        let (residency, bytes) = (Arc::clone(&self.residency), self.bytes);
        let dismissed = Arc::clone(&self.dismissed);
        let (app, budget) = (Arc::clone(self.place.app()), Arc::clone(&self.budget));
        let load = || async move {
            let charge = residency.charge(bytes);
            residency.admit(&app, &charge, &budget)?;
            Ok(Fake {
                charge,
                waiting: AtomicUsize::new(0),
                dismissed,
            })
        };
        self.place.load(load).await.expect("loads")
    }

    /// As if it had been called so many milliseconds after the start, and never since.
    fn used_at(&self, millisecond: u64) {
        self.place.used.store(millisecond, Relaxed);
    }

    fn is_loaded(&self) -> bool {
        self.place.is_loaded()
    }

    /// What its app pays for its code.
    fn pays(&self) -> u64 {
        self.budget.used()
    }
}

/// Which of them are loaded.
fn loaded<const N: usize>(functions: &[Function; N]) -> [bool; N] {
    std::array::from_fn(|index| functions[index].is_loaded())
}

#[tokio::test]
async fn what_was_not_called_for_longest_makes_room() {
    let residency = Residency::new(30);
    let functions = [10, 10, 10, 10, 15].map(|bytes| Function::new(&residency, bytes));
    let [a, b, c, d, e] = &functions;
    for (function, at) in [(a, 3), (b, 1), (c, 2)] {
        function.call().await;
        function.used_at(at);
    }
    assert_eq!(residency.in_memory().bytes, 30);
    assert_eq!(loaded(&functions), [true, true, true, false, false]);
    d.call().await;
    d.used_at(4);
    assert_eq!(loaded(&functions), [true, false, true, true, false]);
    // Its call makes the oldest one the newest.
    a.place
        .get(residency.began + Duration::from_millis(5))
        .expect("is there");
    e.call().await;
    assert_eq!(loaded(&functions), [true, false, false, false, true]);
    let seen = residency.in_memory();
    assert_eq!((seen.bytes, seen.functions, seen.loads), (25, 2, 5));
}

#[tokio::test]
async fn what_has_just_come_is_not_the_oldest() {
    let mut residency = Residency::new(20);
    // The node has run for a while.
    let began = &mut Arc::get_mut(&mut residency).expect("nobody else's").began;
    *began -= Duration::from_secs(60);
    let functions = [10, 10, 10].map(|bytes| Function::new(&residency, bytes));
    let [a, b, c] = &functions;
    a.call().await;
    a.used_at(1);
    // Its only call was the one that brought it.
    b.call().await;
    c.call().await;
    assert_eq!(loaded(&functions), [false, true, true]);
}

#[tokio::test]
async fn what_runs_stays() {
    let residency = Residency::new(20);
    let functions = [10, 10, 10].map(|bytes| Function::new(&residency, bytes));
    let [a, b, c] = &functions;
    let running = a.call().await;
    a.used_at(1);
    b.call().await;
    b.used_at(2);
    c.call().await;
    assert_eq!(loaded(&functions), [true, false, true]);
    // What comes beyond it is the app's to pay for, as long as all runs.
    let also = c.call().await;
    let beyond = b.call().await;
    assert_eq!(loaded(&functions), [true, true, true]);
    assert_eq!(functions.each_ref().map(Function::pays), [0, 10, 0]);
    residency.settle();
    assert_eq!(loaded(&functions), [true, true, true]);
    assert!(residency.has_paid());
    // Then it goes,
    drop(beyond);
    residency.settle();
    assert_eq!(loaded(&functions), [true, false, true]);
    assert_eq!((b.pays(), residency.has_paid()), (0, false));
    // or has the place of another that went.
    let beyond = b.call().await;
    assert_eq!(b.pays(), 10);
    let Function { place, .. } = &functions[0];
    drop((running, place.unload()));
    residency.settle();
    assert_eq!(loaded(&functions), [false, true, true]);
    assert_eq!((b.pays(), residency.has_paid()), (0, false));
    drop((also, beyond));
}

#[tokio::test]
async fn who_only_waits_for_a_call_does_not_keep_it() {
    let residency = Residency::new(10);
    let functions = [10, 10].map(|bytes| Function::new(&residency, bytes));
    let [a, b] = &functions;
    let waiting = a.call().await;
    waiting.waiting.store(1, SeqCst);
    b.call().await;
    assert_eq!(loaded(&functions), [false, true]);
    assert_eq!(a.dismissed.load(SeqCst), 1, "it hears of it");
    // It is there until it has let go, but no longer counts: nobody pays for the other.
    assert_eq!(residency.in_memory().bytes, 20);
    assert_eq!(b.pays(), 0);
    drop(waiting);
    assert_eq!(residency.in_memory().bytes, 10);
}

#[tokio::test]
async fn more_than_all_room_is_paid_for_and_pushes_nobody_out() {
    let residency = Residency::new(10);
    let functions = [11, 4].map(|bytes| Function::new(&residency, bytes));
    let [large, small] = &functions;
    small.call().await;
    large.call().await;
    assert_eq!(loaded(&functions), [true, true]);
    assert_eq!(large.pays(), 11);
    residency.settle();
    assert_eq!(loaded(&functions), [false, true]);
    assert_eq!(large.pays(), 0);
}

#[tokio::test]
async fn what_the_limit_has_room_for_stays_whatever_is_settled() {
    let residency = Residency::new(10);
    let function = Function::new(&residency, 10);
    function.call().await;
    for _ in 0..2 {
        residency.settle();
        assert!(function.is_loaded());
    }
    assert_eq!((function.pays(), residency.has_paid()), (0, false));
}

#[tokio::test]
async fn no_more_goes_than_has_to() {
    let residency = Residency::new(80);
    let other = Function::of("other", &residency, 8);
    let own = [1, 31, 31, 1].map(|bytes| Function::of("an app", &residency, bytes));
    for (function, at) in std::iter::once(&other).chain(&own[..3]).zip(0..) {
        function.call().await;
        function.used_at(at);
    }
    // It has seven times what is left, and so it has when its oldest has made room for this.
    own[3].call().await;
    assert_eq!(loaded(&own), [false, true, true, true]);
    assert!(other.is_loaded());
    assert_eq!(own[3].pays(), 0);
}

#[tokio::test]
async fn up_to_an_eighth_pushes_out_what_is_oldest_of_whoever_has_less() {
    let residency = Residency::new(80);
    let other = Function::of("other", &residency, 3);
    let own = [5, 5].map(|bytes| Function::of("an app", &residency, bytes));
    let many = Function::of("many", &residency, 66);
    for (function, at) in [(&many, 2), (&other, 0), (&own[0], 1)] {
        function.call().await;
        function.used_at(at);
    }
    // Ten of the eighty are its, with this.
    own[1].call().await;
    assert_eq!(loaded(&own), [true, true]);
    assert!(!other.is_loaded() && many.is_loaded());
    assert_eq!(own[1].pays(), 0);
}

#[tokio::test]
async fn an_app_with_much_pushes_out_who_has_as_much() {
    let residency = Residency::new(80);
    let other = [20, 20].map(|bytes| Function::of("other", &residency, bytes));
    let own = [20, 20].map(|bytes| Function::of("an app", &residency, bytes));
    for (function, at) in [&other[0], &own[0], &other[1]].into_iter().zip(0..) {
        function.call().await;
        function.used_at(at);
    }
    own[1].call().await;
    assert_eq!((loaded(&other), loaded(&own)), ([false, true], [true; 2]));
    assert_eq!(own[1].pays(), 0);
}

#[tokio::test]
async fn who_has_less_by_then_is_left_in_peace() {
    let residency = Residency::new(80);
    let other: [Function; 3] = std::array::from_fn(|_| Function::of("other", &residency, 16));
    for (function, at) in other.iter().zip(0..) {
        function.call().await;
        function.used_at(at);
    }
    // Two of the other app's would have to go. But without one it has less than this one would,
    // and one alone would go in vain.
    let large = Function::of("an app", &residency, 44);
    large.call().await;
    assert_eq!(loaded(&other), [true; 3]);
    assert_eq!(large.pays(), 44);
}

#[tokio::test]
async fn an_app_with_much_pushes_nobody_out_who_has_less() {
    let residency = Residency::new(80);
    let modest = Function::of("modest", &residency, 8);
    modest.call().await;
    modest.used_at(0);
    let greedy: [Function; 12] = std::array::from_fn(|_| Function::of("greedy", &residency, 8));
    // One after the other, each used later than the modest one.
    for (function, at) in greedy.iter().zip(1..) {
        function.call().await;
        function.used_at(at);
    }
    assert!(modest.is_loaded());
    let stay = loaded(&greedy).iter().filter(|loaded| **loaded).count();
    // Seven times what is left for others at most.
    assert_eq!(stay, 7);
    assert!(loaded(&greedy)[11] && !loaded(&greedy)[0]);
    // Nor when all that it has runs.
    let mut running = Vec::new();
    for function in &greedy {
        running.push(function.call().await);
    }
    assert!(modest.is_loaded());
    assert!(greedy.iter().map(Function::pays).sum::<u64>() > 0);
    // And who comes then finds room.
    let third = Function::of("third", &residency, 6);
    third.call().await;
    assert_eq!(
        (third.is_loaded(), third.pays(), modest.is_loaded()),
        (true, 0, true)
    );
}

#[tokio::test]
async fn who_has_little_pushes_out_what_is_oldest_of_anybody_s() {
    let residency = Residency::new(81);
    let first = Function::of("first", &residency, 4);
    first.call().await;
    first.used_at(0);
    let others: [Function; 19] =
        std::array::from_fn(|app| Function::of(&app.to_string(), &residency, 4));
    for (function, at) in others.iter().zip(1..) {
        function.call().await;
        function.used_at(at);
    }
    assert_eq!(loaded(&others), [true; 19]);
    let last = Function::of("last", &residency, 4);
    last.call().await;
    assert!(!first.is_loaded() && last.is_loaded());
    assert_eq!(last.pays(), 0);
}

#[tokio::test]
async fn a_function_that_is_gone_takes_its_code_along() {
    let residency = Residency::new(100);
    let function = Function::new(&residency, 10);
    function.call().await;
    drop(function);
    assert_eq!(residency.in_memory().bytes, 0);
    // And is in nobody's way.
    let other = Function::new(&residency, 101);
    other.call().await;
    residency.settle();
    assert_eq!(residency.in_memory().functions, 0);
}

#[tokio::test]
async fn calls_at_once_share_one_load() {
    let residency = Residency::new(100);
    let place = Place::<Fake>::new(&residency, "an app");
    let loads = Arc::new(AtomicUsize::new(0));
    let go = Arc::new(Notify::new());
    let load = || {
        let (residency, loads) = (Arc::clone(&residency), Arc::clone(&loads));
        let go = Arc::clone(&go);
        async move {
            loads.fetch_add(1, SeqCst);
            go.notified().await;
            Ok(Fake {
                charge: residency.charge(10),
                waiting: AtomicUsize::new(0),
                dismissed: Arc::default(),
            })
        }
    };
    let first = place.load(load);
    let second = place.load(load);
    // Who began it need not wait for it.
    drop(first);
    go.notify_one();
    let code = second.await.expect("loads");
    let third = place.load(load).await.expect("is there");
    assert!(Arc::ptr_eq(&code, &third));
    assert_eq!(loads.load(SeqCst), 1);
}

#[tokio::test]
async fn a_failure_is_told_to_all_who_wait_and_tried_again() {
    let residency = Residency::new(100);
    let function = Function::new(&residency, 10);
    let (fail, failing) = oneshot::channel::<()>();
    let first = function.place.load(|| async {
        let _ = failing.await;
        Err(not_loaded())
    });
    let second = function
        .place
        .load(|| async { unreachable!("one is under way") });
    fail.send(()).expect("is waited for");
    for told in [first.await, second.await] {
        let problem = told.err().expect("fails");
        assert_eq!(*problem.kind(), Kind::HostFault);
    }
    assert!(!function.is_loaded());
    function.call().await;
    assert!(function.is_loaded());
}

#[tokio::test]
async fn a_panic_is_a_failure_like_others() {
    let residency = Residency::new(100);
    let function = Function::new(&residency, 10);
    let load = || async { panic!("a fault of ours") };
    let problem = function.place.load(load).await.err().expect("fails");
    assert_eq!(*problem.kind(), Kind::HostFault);
    function.call().await;
    assert!(function.is_loaded());
}

#[test]
fn a_runtime_that_has_ended_loads_nothing_and_blocks_nobody() {
    let residency = Residency::new(100);
    let place = Place::<Fake>::new(&residency, "an app");
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().expect("a runtime")
    };
    let ended = runtime();
    let handle = ended.handle().clone();
    drop(ended);
    let told = {
        let _entered = handle.enter();
        place.load(|| async { unreachable!("nobody drives it") })
    };
    let problem = runtime().block_on(told).err().expect("fails");
    assert_eq!(*problem.kind(), Kind::HostFault);
    assert!(place.arriving().is_none());
}

#[tokio::test]
async fn a_call_that_waited_for_long_does_not_make_code_old() {
    let residency = Residency::new(100);
    let function = Function::new(&residency, 10);
    function.call().await;
    let at = |millis| residency.began + Duration::from_millis(millis);
    for (millis, expected) in [(5000, 5000), (3000, 5000), (5001, 5001)] {
        function.place.get(at(millis)).expect("is there");
        assert_eq!(function.place.used.load(Relaxed), expected);
    }
}

#[test]
fn code_beyond_the_limit_is_its_app_s_to_pay_for() {
    let residency = Residency::new(10);
    let (app, budget) = (residency.counted.of_app("an app"), MemoryBudget::new(15));
    let [first, second, third] = [10, 9, 7].map(|bytes| residency.charge(bytes));
    let admit = |charge: &Charge| residency.admit(&app, charge, &budget);
    admit(&first).expect("there is room");
    assert_eq!(budget.used(), 0);
    admit(&second).expect("there is memory");
    assert_eq!(budget.used(), 9);
    let refused = admit(&third).expect_err("there is none");
    assert_eq!(refused.limit_reached(), Some(Limit::NodeMemory));
    assert_eq!(budget.used(), 9);
    // Taken in again it counts once.
    admit(&second).expect("there is memory");
    assert_eq!(budget.used(), 9);
    drop((first, second));
    assert_eq!((budget.used(), residency.has_paid()), (0, false));
    admit(&third).expect("there is room");
    assert_eq!((budget.used(), residency.in_memory().bytes), (0, 7));
}
