use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::thread::ThreadId;
use std::time::Instant;

use tokio::sync::{Notify, mpsc, oneshot};

use super::*;
use crate::outcome::AbortOnDrop;
use crate::ticker::Ticker;

fn meter() -> Arc<Meter> {
    Meter::new(Duration::from_secs(60))
}

/// A guest that uses some CPU time, a millisecond a turn, and says on which threads.
async fn spin(meter: Arc<Meter>, ticker: Arc<Ticker>, turns: u32) -> Vec<ThreadId> {
    let mut threads = Vec::new();
    let guest = async {
        for _ in 0..turns {
            threads.push(thread::current().id());
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
            tokio::task::yield_now().await;
        }
    };
    meter.drive(&ticker, guest).await;
    threads
}

/// Another guest on this thread, which has turn after turn and uses next to nothing.
fn neighbour(share: &Arc<Share>) -> AbortOnDrop {
    let task = spawn(share, meter(), far(), async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    AbortOnDrop(Some(task.abort_handle()))
}

/// Has a guest hold the background's only thread, until what this gives is dropped.
async fn hold(share: &Arc<Share>) -> std::sync::mpsc::Sender<()> {
    let _neighbour = neighbour(share);
    let (blocked, is_blocked) = oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (own, ticker, here) = (meter(), ticker(), thread::current().id());
    spawn(share, Arc::clone(&own), far(), async move {
        while spin(Arc::clone(&own), Arc::clone(&ticker), 1).await == [here] {}
        let _ = blocked.send(());
        let _ = released.recv();
    });
    is_blocked.await.expect("it runs");
    release
}

/// Has one turn done in the background.
fn turn(
    share: &Arc<Share>,
    hurried: bool,
    work: impl FnOnce() + Send + 'static,
) -> async_task::Task<(), Ticket> {
    turn_of(share, meter(), hurried, work)
}

/// Has one turn done in the background, of a guest that has used something.
fn turn_of(
    share: &Arc<Share>,
    meter: Arc<Meter>,
    hurried: bool,
    work: impl FnOnce() + Send + 'static,
) -> async_task::Task<(), Ticket> {
    let ticket = Ticket {
        home: Handle::current(),
        share: Arc::clone(share),
        meter,
        hurried: Arc::new(AtomicBool::new(hurried)),
        counted: AtomicBool::new(false),
    };
    let (runnable, task) = async_task::Builder::new().metadata(ticket).spawn(
        |_ticket| async move { work() },
        |runnable: Runnable<Ticket>| {
            let shared = Arc::clone(&runnable.metadata().share.shared);
            shared.push(runnable);
        },
    );
    runnable.schedule();
    task
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn ticker() -> Arc<Ticker> {
    let engine = wasmtime::Engine::default();
    Arc::new(Ticker::start(&engine).expect("a thread"))
}

#[tokio::test]
async fn short_work_stays_where_it_began() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let (sender, threads) = oneshot::channel();
    let (meter, ticker) = (meter(), ticker());
    let task = spin(Arc::clone(&meter), ticker, 0);
    spawn(&share, meter, far(), async move {
        let _ = sender.send(thread::current().id());
        let _ = task.await;
    });
    assert_eq!(threads.await.expect("it ran"), thread::current().id());
}

#[tokio::test]
async fn long_work_moves_and_its_runtime_stays_in_reach() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let _neighbour = neighbour(&share);
    let (sender, threads) = oneshot::channel();
    let (meter, ticker) = (meter(), ticker());
    let spinning = spin(Arc::clone(&meter), ticker, 20);
    let task = spawn(&share, meter, far(), async move {
        let threads = spinning.await;
        // Timers and tasks of the runtime that it came from.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let spawned = tokio::spawn(async { thread::current().id() }).await;
        let _ = sender.send((threads, spawned.expect("no panic")));
    });
    let (threads, spawned) = threads.await.expect("it ran");
    let here = thread::current().id();
    assert_eq!((threads[0], spawned), (here, here));
    assert_ne!(threads[19], here);
    task.await.expect("it ends here");
}

#[tokio::test]
async fn long_work_that_is_in_nobodys_way_stays() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let (meter, ticker) = (meter(), ticker());
    let (sender, threads) = oneshot::channel();
    let spinning = spin(Arc::clone(&meter), ticker, 20);
    spawn(&share, meter, far(), async move {
        let _ = sender.send(spinning.await);
    });
    let here = thread::current().id();
    assert_eq!(threads.await.expect("it ran"), [here; 20]);
}

#[tokio::test]
async fn one_that_is_alone_moves_while_somebody_wants_time_in_the_background() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let release = hold(&share).await;
    let (own, ticker, here) = (meter(), ticker(), thread::current().id());
    let task = spawn(&share, Arc::clone(&own), far(), async move {
        while spin(Arc::clone(&own), Arc::clone(&ticker), 1).await == [here] {}
    });
    // Not before it waits there.
    while background.0.wanting.load(Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    drop(release);
    task.await.expect("it ends");
    // When both have ended nobody does.
    while background.0.is_wanted() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_has_used_much_moves_and_with_room_or_in_a_crowd_what_has_used_a_quantum() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let little = Duration::from_nanos(1);
    // Its thread has nothing to do.
    while background.0.idle.load(Relaxed) == 0 {
        thread::yield_now();
    }
    assert!(!share.takes(QUANTUM - little) && share.takes(QUANTUM));
    let _held = hold(&share).await;
    assert!(!share.takes(HEAVY - little) && share.takes(HEAVY));
    // As many as there are threads are no crowd.
    let _one = Warm::new(&share.app);
    assert!(!share.takes(HEAVY - little));
    let _two = Warm::new(&share.app);
    assert!(!share.takes(QUANTUM - little) && share.takes(QUANTUM));
    // Nor is that of another app.
    let other = background.join("b", Weights::default());
    assert!(!other.takes(HEAVY - little));
}

#[tokio::test]
async fn of_a_crowd_are_those_that_have_used_a_quantum_and_stay() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let warm = || share.app.warm.load(Relaxed);
    // One that has left is none of them,
    let held = hold(&share).await;
    assert_eq!(warm(), 0);
    drop(held);
    while background.0.is_wanted() {
        tokio::task::yield_now().await;
    }
    // one that uses next to nothing neither.
    let light = neighbour(&share);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(warm(), 0);
    drop(light);
    // It is alone, and stays.
    let (own, ticker) = (meter(), ticker());
    let (tell, told) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();
    let spinning = spin(Arc::clone(&own), ticker, 5);
    let task = spawn(&share, own, far(), async move {
        spinning.await;
        let _ = tell.send(());
        let _ = ended.await;
    });
    told.await.expect("it ran");
    assert_eq!(warm(), 1);
    end.send(()).expect("it waits");
    task.await.expect("it ends");
    assert_eq!(warm(), 0);
}

#[tokio::test]
async fn what_counts_anew_comes_back() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let _neighbour = neighbour(&share);
    let (meter, ticker) = (meter(), ticker());
    let (requests, mut arrived) = mpsc::channel::<u32>(1);
    let (sender, mut answers) = mpsc::channel(1);
    let served = Arc::clone(&meter);
    spawn(&share, Arc::clone(&meter), far(), async move {
        while let Some(turns) = arrived.recv().await {
            spin(Arc::clone(&served), Arc::clone(&ticker), turns).await;
            let _ = sender.send(thread::current().id()).await;
        }
    });
    let here = Some(thread::current().id());
    let mut ask = async |turns| {
        requests.send(turns).await.expect("it runs");
        let thread = answers.recv().await;
        // The background's thread, if it was that one, is done with it.
        while background.0.idle.load(Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        thread
    };
    assert_ne!(ask(20).await, here);
    meter.reset();
    assert_ne!(
        ask(0).await,
        here,
        "it is taken where the task waited for it"
    );
    assert_eq!(ask(0).await, here);
}

/// Has a task that holds something aborted when it has moved to the background, and waits until
/// that has let go of all else.
async fn aborted_there(share: &Arc<Share>, held: impl Send + 'static) {
    let _neighbour = neighbour(share);
    let (meter, ticker) = (meter(), ticker());
    let (sender, mut turns) = mpsc::unbounded_channel();
    let task = spawn(share, Arc::clone(&meter), far(), async move {
        let _held = held;
        loop {
            spin(Arc::clone(&meter), Arc::clone(&ticker), 1).await;
            let _ = sender.send(thread::current().id());
        }
    });
    let here = thread::current().id();
    while turns.recv().await == Some(here) {}
    task.abort();
    // The channel ends when the task is dropped.
    while turns.recv().await.is_some() {}
}

#[tokio::test]
async fn work_that_nobody_wants_ends_in_the_background() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let (held, gone) = oneshot::channel::<()>();
    aborted_there(&share, held).await;
    assert!(gone.await.is_err(), "what it held is gone");
}

#[tokio::test]
async fn a_panic_in_the_background_is_its_callers_and_the_thread_goes_on() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let _neighbour = neighbour(&share);
    let ticker = ticker();
    for _ in 0..2 {
        let meter = meter();
        let spinning = spin(Arc::clone(&meter), Arc::clone(&ticker), 20);
        let task = spawn(&share, meter, far(), async move {
            let _ = AssertUnwindSafe(spinning).await;
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(task.await.expect_err("a panic").is_panic());
    }
}

/// Panics when it is dropped.
struct Falls;

impl Drop for Falls {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}

#[tokio::test]
async fn a_panic_while_a_task_is_dropped_leaves_the_thread_to_others() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    aborted_there(&share, Falls).await;
    turn(&share, false, || ()).await;
}

#[tokio::test]
async fn what_is_begun_at_once_runs_at_once() {
    let background = Background::start(2).expect("threads");
    let share = background.join("a", Weights::default());
    let ticker = ticker();
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let meter = meter();
            let spinning = spin(Arc::clone(&meter), Arc::clone(&ticker), 30);
            let (sender, threads) = oneshot::channel();
            spawn(&share, meter, far(), async move {
                let _ = sender.send(spinning.await);
            });
            threads
        })
        .collect();
    let mut threads = std::collections::HashSet::new();
    for task in tasks {
        threads.extend(task.await.expect("it ran"));
    }
    assert_eq!(threads.len(), 3, "this thread and both of the background");
}

/// A time that comes when it is told to.
#[derive(Default)]
struct End {
    has_come: AtomicBool,
    nearer: Notify,
}

impl Deadline for Arc<End> {
    fn at(&self) -> Instant {
        if self.has_come.load(Relaxed) {
            Instant::now()
        } else {
            far()
        }
    }

    async fn nearer(&self) {
        self.nearer.notified().await;
    }
}

/// What happened in the background, in order.
type Happened = Arc<Mutex<Vec<&'static str>>>;

/// Says so when it is gone.
struct Gone(Happened);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.lock().expect("no panic").push("victim");
    }
}

/// Lets the time of one task of the background be over, or has it aborted, while others wait
/// there before it.
async fn what_happens(abort: bool, goes_on: bool) -> Vec<&'static str> {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let _neighbour = neighbour(&share);
    let ticker = ticker();
    let happened = Happened::default();
    let release = hold(&share).await;
    let wanting = async |count| {
        while background.0.wanting.load(Relaxed) < count {
            tokio::task::yield_now().await;
        }
    };
    let mut others = Vec::new();
    for waiting in 2..5 {
        let (own, ticker, happened) = (meter(), Arc::clone(&ticker), Arc::clone(&happened));
        let here = thread::current().id();
        let task = spawn(&share, Arc::clone(&own), far(), async move {
            loop {
                let threads = spin(Arc::clone(&own), Arc::clone(&ticker), 1).await;
                if threads != [here] {
                    happened.lock().expect("no panic").push("another");
                }
            }
        });
        others.push(AbortOnDrop(Some(task.abort_handle())));
        wanting(waiting).await;
    }
    let (own, gone) = (meter(), Gone(Arc::clone(&happened)));
    let end = Arc::new(End::default());
    let over = Arc::clone(&end);
    let victim = spawn(&share, Arc::clone(&own), Arc::clone(&end), async move {
        let gone = gone;
        let here = thread::current().id();
        while goes_on || !over.has_come.load(Relaxed) {
            let threads = spin(Arc::clone(&own), Arc::clone(&ticker), 1).await;
            if goes_on && threads != [here] {
                gone.0.lock().expect("no panic").push("victim");
            }
        }
    });
    wanting(5).await;
    if abort {
        victim.abort();
    } else {
        end.has_come.store(true, Relaxed);
        end.nearer.notify_one();
    }
    // Its end, or that of a sleep that began after its stub's.
    tokio::select! {
        _ = victim => {}
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    drop(release);
    loop {
        if let Some(first) = happened.lock().expect("no panic").get(..10) {
            return first.to_vec();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_to_end_has_its_last_turn_before_all_others() {
    assert_eq!(what_happens(false, false).await[0], "victim");
    assert_eq!(what_happens(true, false).await[0], "victim");
    // And is not before them for good if it does not end.
    let goes_on = what_happens(false, true).await;
    assert!(
        goes_on[0] == "victim" && goes_on.contains(&"another"),
        "{goes_on:?}"
    );
}

#[tokio::test]
async fn what_is_to_end_when_it_is_woken_comes_before_all_others() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let release = hold(&share).await;
    let happened = Happened::default();
    let turns = [("one", false), ("another", false), ("victim", true)].map(|(name, hurried)| {
        let happened = Arc::clone(&happened);
        turn(&share, hurried, move || {
            happened.lock().expect("no panic").push(name);
        })
    });
    drop(release);
    for turn in turns {
        turn.await;
    }
    let happened = happened.lock().expect("no panic");
    assert_eq!(*happened, ["victim", "one", "another"]);
}

#[tokio::test]
async fn turns_are_charged_with_what_they_took() {
    let background = Background::start(1).expect("threads");
    let apps = ["held", "long", "short"].map(|app| background.join(app, Weights::default()));
    let [held, long, short] = &apps;
    let release = hold(held).await;
    let happened = Happened::default();
    let takes = |share: &Arc<Share>, name: &'static str, time: Duration| {
        let happened = Arc::clone(&happened);
        turn(share, false, move || {
            let start = thread_cpu_time();
            while thread_cpu_time() - start < time {
                std::hint::spin_loop();
            }
            happened.lock().expect("no panic").push(name);
        })
    };
    let mut turns = vec![
        takes(long, "long", Duration::from_millis(20)),
        takes(long, "long", Duration::ZERO),
    ];
    turns.extend([(); 5].map(|()| takes(short, "short", Duration::ZERO)));
    drop(release);
    for turn in turns {
        turn.await;
    }
    let happened = happened.lock().expect("no panic");
    let mut expected = ["short"; 7];
    (expected[0], expected[6]) = ("long", "long");
    assert_eq!(*happened, expected);
}

/// Guests of an app, so many at once, each for two milliseconds and the last of a turn: which of
/// them left their thread.
async fn left(share: &Arc<Share>, guests: usize) -> usize {
    let here = thread::current().id();
    let ticker = ticker();
    let mut tasks = Vec::new();
    for _ in 0..guests {
        let (own, ticker) = (meter(), Arc::clone(&ticker));
        let (tell, told) = oneshot::channel();
        spawn(share, Arc::clone(&own), far(), async move {
            let _ = tell.send(spin(own, ticker, 3).await);
        });
        tasks.push(told);
    }
    let mut left = 0;
    for told in tasks {
        let threads = told.await.expect("it ran");
        left += usize::from(threads.iter().any(|thread| *thread != here));
    }
    left
}

#[tokio::test]
async fn of_a_crowd_that_needs_a_little_most_leave() {
    // Its thread is busy, so that nobody leaves because it has nothing to do.
    let background = Background::start(1).expect("threads");
    let busy = background.join("b", Weights::default());
    let _neighbour = neighbour(&busy);
    let held = hold(&busy).await;
    let share = background.join("a", Weights::default());
    assert_eq!(left(&share, 1).await, 0);
    let crowd = left(&share, 4);
    let unblock = async {
        // Not before they wait there.
        while background.0.wanting.load(Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        drop(held);
    };
    let (left, ()) = tokio::join!(crowd, unblock);
    assert!(left >= 1, "{left}");
    assert_eq!(share.app.warm.load(Relaxed), 0);
}

#[tokio::test]
async fn a_function_that_keeps_its_turn_begins_in_the_background() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let begins = async || {
        let (own, ticker) = (meter(), ticker());
        let (tell, told) = oneshot::channel();
        spawn(&share, Arc::clone(&own), far(), async move {
            let long = async {
                let begun = thread::current().id();
                let start = crate::meter::thread_cpu_time();
                while crate::meter::thread_cpu_time() - start < Duration::from_millis(10) {
                    std::hint::spin_loop();
                }
                begun
            };
            let begun = own.drive(&ticker, long).await;
            let _ = tell.send(begun);
        });
        told.await.expect("it ran")
    };
    let here = thread::current().id();
    assert_eq!(begins().await, here);
    // Nobody looks at a turn that was the last one before it has ended.
    while !share.is_wary() {
        tokio::task::yield_now().await;
    }
    assert_ne!(begins().await, here);
}

#[tokio::test]
async fn who_begins_in_the_background_and_needs_little_comes_back() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    share.be_wary();
    let its = Arc::clone(&share);
    let (tell, told) = oneshot::channel();
    spawn(&share, meter(), far(), async move {
        let mut threads = Vec::new();
        for turn in 0..5 {
            threads.push(thread::current().id());
            if turn == 2 {
                its.wary_until.store(0, Relaxed);
            }
            tokio::task::yield_now().await;
        }
        let _ = tell.send(threads);
    });
    let threads = told.await.expect("it ran");
    let here = thread::current().id();
    // Not while the next turn may be one that is kept.
    assert!(threads[..3].iter().all(|thread| *thread != here));
    assert_eq!(threads[3..], [here; 2]);
}

/// What a guest has used that has used a quantum.
async fn used_much() -> Arc<Meter> {
    let (meter, ticker) = (meter(), ticker());
    while meter.used() < QUANTUM {
        spin(Arc::clone(&meter), Arc::clone(&ticker), 1).await;
    }
    meter
}

#[tokio::test]
async fn who_needs_long_begins_in_the_background_while_too_many_wait_there() {
    let background = Background::start(1).expect("threads");
    let shares = ["long", "short"].map(|_| background.join("a", Weights::default()));
    let [long, short] = &shares;
    let much = used_much().await;
    for _ in 0..6 {
        long.learn(&much);
    }
    let held = hold(short).await;
    let happened = Happened::default();
    let long_turn = || {
        let happened = Arc::clone(&happened);
        turn_of(long, Arc::clone(&much), false, move || {
            happened.lock().expect("no panic").push("long");
        })
    };
    // Those that have used next to nothing are no crowd, nor are as many as have a turn at once.
    let mut turns = vec![
        turn(long, false, || {}),
        turn(long, false, || {}),
        long_turn(),
    ];
    assert!(!long.begins_there());
    turns.push(long_turn());
    assert!(long.begins_there() && !short.begins_there());
    // One that begins there has its turn before them, and goes where it came from when they are
    // gone.
    let (go, gone) = oneshot::channel();
    let (tell, told) = oneshot::channel();
    let say = Arc::clone(&happened);
    spawn(long, meter(), far(), async move {
        say.lock().expect("no panic").push("short");
        let began = thread::current().id();
        let _ = gone.await;
        tokio::task::yield_now().await;
        let _ = tell.send((began, thread::current().id()));
    });
    // The one that holds the thread, the four of above and this one.
    while background.0.wanting.load(Relaxed) < 6 {
        tokio::task::yield_now().await;
    }
    drop(held);
    for turn in turns {
        turn.await;
    }
    assert!(!long.begins_there());
    go.send(()).expect("it waits");
    let (began, ended) = told.await.expect("it ran");
    let here = thread::current().id();
    assert!(began != here && ended == here);
    assert_eq!(
        *happened.lock().expect("no panic"),
        ["short", "long", "long"]
    );
}

#[tokio::test]
async fn most_of_its_last_guests_decide_what_is_expected_of_the_next() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let (much, little) = (used_much().await, meter());
    let most = || share.heavy.load(Relaxed) > ALL / 2;
    let learn = |used, times| {
        for _ in 0..times {
            share.learn(used);
        }
        most()
    };
    assert!(!learn(&little, 100));
    assert!(!learn(&much, 5) && learn(&much, 1));
    assert!(learn(&much, 100));
    assert!(learn(&little, 4) && !learn(&little, 4));
    // Half of them are not most.
    for _ in 0..100 {
        learn(&much, 1);
        learn(&little, 1);
    }
    assert!(!most());
    // One that serves several is none of them.
    let several = used_much().await;
    several.count_request(1);
    several.count_request(1);
    while several.used_each() < QUANTUM {
        spin(Arc::clone(&several), ticker(), 1).await;
    }
    assert!(!learn(&several, 100));
}

#[tokio::test]
async fn what_a_guest_used_is_learnt_wherever_it_began() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let heavy = || share.heavy.load(Relaxed);
    let guest = async |turns| {
        let own = meter();
        let task = spin(Arc::clone(&own), ticker(), turns);
        let task = spawn(&share, own, far(), async move {
            task.await;
        });
        task.await.expect("it ends");
        heavy()
    };
    let long = guest(5).await;
    assert!(long > 0);
    let mut light = long;
    while light >= 8 {
        let lighter = guest(0).await;
        assert!(lighter < light);
        light = lighter;
    }
    share.be_wary();
    assert!(guest(5).await > light);
}

#[test]
fn whose_guest_kept_its_turn_begins_in_the_background_for_ten_seconds() {
    let background = Background::start(1).expect("threads");
    let share = background.join("a", Weights::default());
    let now = || background.0.milliseconds();
    assert!(!share.is_wary());
    let before = now();
    share.be_wary();
    let until = share.wary_until.load(Relaxed);
    assert!((before + 10_000..=now() + 10_000).contains(&until));
    // Then no more.
    share.wary_until.store(1, Relaxed);
    while now() < 1 {
        thread::yield_now();
    }
    assert!(!share.is_wary());
}

#[test]
fn functions_of_an_app_count_together_whatever_comes_and_goes() {
    let background = Background::start(1).expect("threads");
    let join = |of: &str, number: usize| {
        let app = format!("{of}{number}");
        background.join(&app, Weights::default())
    };
    let stay: Vec<_> = (0..50).map(|number| join("stays", number)).collect();
    for number in 0..1000 {
        drop(join("goes", number));
    }
    for (number, share) in stay.iter().enumerate() {
        let another = join("stays", number);
        assert!(Arc::ptr_eq(&share.app, &another.app));
    }
    let known = background.0.apps.lock().expect("no panic").len();
    assert!(known < 200, "{known}");
    // Nothing of those that went is left in the queue either.
    assert!(join("stays", 0).key <= 50);
}

#[test]
fn its_threads_end_with_it() {
    let background = Background::start(3).expect("threads");
    let shared = Arc::downgrade(&background.0);
    // They wait for something to do.
    while background.0.idle.load(Relaxed) < 3 {
        thread::yield_now();
    }
    drop(background);
    while shared.strong_count() > 0 {
        thread::yield_now();
    }
}
