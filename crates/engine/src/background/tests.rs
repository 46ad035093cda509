mod crowd;

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
