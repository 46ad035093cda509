//! What keeps one app's requests from standing before another's.

use super::super::outlook::ALL;
use super::*;

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
                while crate::meter::thread_cpu_time() - start < Duration::from_millis(30) {
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
    let several = Meter::for_several(Duration::from_secs(60));
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
fn turns_that_are_kept_now_and_then_are_no_reason() {
    let background = Background::start(1).expect("threads");
    let charge = |times: &[u64]| {
        let share = background.join("a", Weights::default());
        for kept in times {
            share.charge_kept(Duration::from_millis(*kept));
        }
        share
    };
    assert!(!charge(&[16]).is_wary() && charge(&[17]).is_wary());
    // Several make one, as long as they are not forgotten; the test may take up to 50 ms for one
    // millisecond of them.
    let share = charge(&[6, 6]);
    assert!(!share.is_wary());
    share.charge_kept(Duration::from_millis(30));
    assert!(share.is_wary());
    let share = charge(&[16]);
    share.kept_leaks_until.store(0, Relaxed);
    share.charge_kept(Duration::from_millis(16));
    assert!(!share.is_wary());
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
