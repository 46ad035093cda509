use std::pin::pin;

use futures::FutureExt;
use http_body_util::{BodyExt, Empty};

use super::*;
use crate::admission::Admission;
use crate::call::{FunctionId, RequestId};
use crate::limits::Limits;
use crate::problem::Limit;
use crate::ticker::Ticker;

const REUSE: Reuse = Reuse {
    requests: 9,
    concurrency: 9,
};
const WALL: Duration = Duration::from_secs(60);

/// What a caller keeps of its request.
struct Caller {
    outcome: Arc<Outcome>,
    head: oneshot::Receiver<Head>,
}

/// Lets so many calls run, and none wait.
fn admission(concurrency: u32) -> Arc<Admission> {
    Admission::new(&Limits {
        concurrency,
        queue: 0,
        ..Limits::default()
    })
}

async fn enter(admission: &Arc<Admission>) -> Result<Permit, Problem> {
    let now = Instant::now();
    admission.enter(now, now + WALL, WALL).await
}

/// A request with a place of its own, and what its caller keeps of it.
async fn asked(deadline: Instant, depth: u8) -> (Box<Accepted>, Caller) {
    let outcome = Outcome::new();
    let (tell, head) = oneshot::channel();
    let accepted = Accepted {
        request: Request::new(Empty::new().map_err(|never| match never {}).boxed_unsync()),
        info: CallInfo {
            function: FunctionId {
                app: "app".into(),
                function: "function".into(),
            },
            id: RequestId::new("id"),
            deadline,
            wall: WALL,
            depth,
        },
        head: tell,
        outcome: Arc::downgrade(&outcome),
        permit: enter(&admission(1)).await.expect("a place"),
    };
    (Box::new(accepted), Caller { outcome, head })
}

/// A request that nobody waits for any more.
pub(in crate::worlds::http03) async fn request() -> Box<Accepted> {
    asked(Instant::now() + WALL, 0).await.0
}

/// An instance that works on its first request.
async fn working(reuse: Reuse, meter: &Arc<Meter>, first: Box<Accepted>) -> (Arc<Instance>, Seat) {
    let (instance, seat) = Instance::new(reuse, Arc::clone(meter), *first);
    let taken = took(&instance).expect("the first one");
    assert_eq!(taken, seat.id);
    (instance, seat)
}

/// An instance that works on its first request, and serves so many in all and at once.
pub(in crate::worlds::http03) async fn serving(
    requests: u32,
    concurrency: u32,
) -> (Arc<Instance>, Seat) {
    let reuse = Reuse {
        requests,
        concurrency,
    };
    working(reuse, &Meter::new(WALL), request().await).await
}

/// The request that an instance takes now, if there is one.
pub(in crate::worlds::http03) fn took(instance: &Instance) -> Option<u32> {
    let taken = instance.next(None).now_or_never().flatten();
    taken.map(|taken| taken.id)
}

/// The guest has answered and nothing more to do, and the caller has all of that.
pub(in crate::worlds::http03) fn finish(seat: Seat) {
    let instance = Arc::clone(&seat.instance);
    leave(seat);
    instance.set_at_rest();
}

/// The guest has answered and goes on, and the caller has all of that.
fn leave(seat: Seat) {
    answer(&seat);
}

fn answer(seat: &Seat) {
    seat.instance.answer(seat.id, Err("an answer".into()));
}

/// Offers a request for which there must be room.
fn offered(instance: &Arc<Instance>, request: Box<Accepted>) -> Seat {
    match instance.offer(request) {
        Offered::Seated(seat) => seat,
        Offered::Full(_) => panic!("it is full"),
        Offered::Closed(_) => panic!("it is closed"),
    }
}

fn is_wall(outcome: &Outcome) -> bool {
    let problem = outcome.problem();
    problem.is_some_and(|problem| problem.limit_reached() == Some(Limit::Wall))
}

#[tokio::test]
async fn one_that_waits_for_its_next_request_can_be_sent_away() {
    let (instance, seat) = serving(9, 9).await;
    let works = |instance: &Instance| {
        instance.dismiss();
        instance.is_open() && !instance.is_waiting()
    };
    assert!(works(&instance), "on a request");
    answer(&seat);
    assert!(
        works(&instance),
        "for one who has not all of the answer yet"
    );
    drop(seat);
    assert!(works(&instance), "on what it began with its answer");
    instance.set_at_rest();
    assert!(instance.is_waiting());
    let mut next = pin!(Instance::next(&instance, None));
    assert!(next.as_mut().now_or_never().is_none());
    instance.dismiss();
    let heard = next.now_or_never().expect("it hears of it");
    assert!(heard.is_none());
    assert!(!instance.is_open() && !instance.is_waiting());
}

#[tokio::test]
async fn it_serves_so_many_at_once_and_in_all_and_no_more() {
    let (instance, first) = serving(3, 2).await;
    let second = offered(&instance, request().await);
    assert!(matches!(instance.offer(request().await), Offered::Full(_)));
    assert!(instance.is_open());
    finish(first);
    let third = offered(&instance, request().await);
    assert!(!instance.is_open());
    finish(second);
    assert!(matches!(
        instance.offer(request().await),
        Offered::Closed(_)
    ));
    // What was taken before it closed is served.
    let served: Vec<_> = std::iter::from_fn(|| took(&instance)).collect();
    assert_eq!(served, [2, 3]);
    let last = Instance::next(&instance, None).now_or_never();
    assert!(last.expect("it is closed").is_none());
    drop(third);
}

#[tokio::test]
async fn a_request_that_comes_is_heard_of() {
    let (instance, first) = serving(9, 9).await;
    finish(first);
    let mut next = pin!(Instance::next(&instance, None));
    assert!(next.as_mut().now_or_never().is_none());
    let second = offered(&instance, request().await);
    let taken = next.now_or_never().expect("it hears of it");
    assert_eq!(taken.expect("a request").id, second.id);
}

#[tokio::test]
async fn who_has_used_half_takes_nobody_in_beside_others_and_alone_counts_anew() {
    let engine = wasmtime::Engine::default();
    let ticker = Ticker::start(&engine).expect("a thread");
    let meter = Meter::new(Duration::from_millis(2));
    let use_half = async || {
        while !meter.is_half_used() {
            let guest = async {
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(1) {
                    std::hint::spin_loop();
                }
            };
            meter.drive(&ticker, guest).await;
        }
    };
    let (instance, first) = working(REUSE, &meter, request().await).await;
    use_half().await;
    finish(first);
    let _second = offered(&instance, request().await);
    assert_eq!(meter.used(), Duration::ZERO);
    let _third = offered(&instance, request().await);
    use_half().await;
    assert!(matches!(
        instance.offer(request().await),
        Offered::Closed(_)
    ));
    assert!(!instance.is_open());
}

#[tokio::test]
async fn one_that_serves_several_is_as_heavy_as_each_of_them() {
    let engine = wasmtime::Engine::default();
    let ticker = Ticker::start(&engine).expect("a thread");
    let meter = Meter::new(WALL);
    let (instance, first) = working(REUSE, &meter, request().await).await;
    while meter.used() < Duration::from_millis(3) {
        meter
            .drive(&ticker, async { std::thread::yield_now() })
            .await;
    }
    assert_eq!(meter.used_each(), meter.used());
    let _second = offered(&instance, request().await);
    let _third = offered(&instance, request().await);
    assert_eq!(meter.used_each(), meter.used() / 3);
    // Those that have gone count as those that are there.
    finish(first);
    assert_eq!(meter.used_each(), meter.used() / 3);
}

#[tokio::test(start_paused = true)]
async fn one_that_nobody_wants_closes_and_one_that_still_answers_does_not() {
    const IDLE: Duration = Duration::from_secs(10);
    let (instance, seat) = serving(9, 9).await;
    answer(&seat);
    // Its caller has not all of it.
    let next = Instance::next(&instance, Some(IDLE));
    let next = tokio::time::timeout(3 * IDLE, next).await;
    assert!(next.is_err() && instance.is_open());
    drop(seat);
    assert!(Instance::next(&instance, Some(IDLE)).await.is_none());
    assert!(!instance.is_open());
}

#[tokio::test]
async fn an_answer_reaches_the_one_who_asked() {
    let (first, mut caller) = asked(Instant::now() + WALL, 0).await;
    let (instance, seat) = working(REUSE, &Meter::new(WALL), first).await;
    let _second = offered(&instance, request().await);
    // That is no request's number.
    instance.answer(99, Err("another answer".into()));
    instance.answer(2, Err("another answer".into()));
    assert!(caller.head.try_recv().is_err());
    answer(&seat);
    let head = caller.head.try_recv().expect("an answer");
    assert_eq!(head.err().as_deref(), Some("an answer"));
}

#[tokio::test]
async fn who_has_gone_keeps_its_place_until_the_guest_has_answered() {
    let (instance, first) = serving(9, 1).await;
    drop(first);
    assert!(!instance.is_waiting());
    assert!(matches!(instance.offer(request().await), Offered::Full(_)));
    instance.answer(1, Err("an answer".into()));
    instance.set_at_rest();
    assert!(instance.is_waiting());
    let _second = offered(&instance, request().await);
}

#[tokio::test]
async fn the_place_of_an_only_request_is_its_until_the_instance_is_gone() {
    for (requests, is_free) in [(1, false), (2, true)] {
        let admission = admission(1);
        let (mut first, _caller) = asked(Instant::now() + WALL, 0).await;
        first.permit = enter(&admission).await.expect("a place");
        let reuse = Reuse {
            requests,
            concurrency: 1,
        };
        let (instance, seat) = working(reuse, &Meter::new(WALL), first).await;
        finish(seat);
        assert_eq!(enter(&admission).await.is_ok(), is_free);
        let places = instance.end(None);
        assert_eq!(places.len(), usize::from(!is_free));
        drop(places);
        assert!(enter(&admission).await.is_ok());
    }
}

#[tokio::test]
async fn the_guest_calls_with_the_nearest_deadline_and_the_greatest_depth() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let (first, _caller) = asked(at(20), 1).await;
    let mut call = first.info.clone();
    let (instance, first) = working(REUSE, &Meter::new(WALL), first).await;
    let second = offered(&instance, asked(at(10), 3).await.0);
    let third = offered(&instance, asked(at(30), 2).await.0);
    assert_eq!(instance.bound(&mut call), 3);
    assert_eq!((call.deadline, call.depth), (at(10), 3));
    finish(second);
    assert_eq!(instance.bound(&mut call), 2);
    assert_eq!((call.deadline, call.depth), (at(20), 2));
    finish(third);
    assert_eq!(instance.bound(&mut call), 1);
    finish(first);
    // The last one's hold for what the guest does beyond its answers.
    assert_eq!(instance.bound(&mut call), 0);
    assert_eq!((call.deadline, call.depth), (at(20), 1));
}

#[tokio::test]
async fn a_nearer_deadline_is_told_and_a_later_one_is_not() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let (first, _caller) = asked(at(20), 0).await;
    let (instance, _first) = working(REUSE, &Meter::new(WALL), first).await;
    let is_told = || Deadline::nearer(&instance).now_or_never().is_some();
    assert!(!is_told());
    let _second = offered(&instance, asked(at(30), 0).await.0);
    assert!(!is_told());
    assert_eq!(instance.at(), at(20));
    let _third = offered(&instance, asked(at(10), 0).await.0);
    assert!(is_told() && !is_told());
    assert_eq!(instance.at(), at(10));
}

#[tokio::test]
async fn each_request_has_its_time_and_what_is_beyond_them_the_longest() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let until = |instance: &Instance, now| match instance.look_at_clock(at(now)) {
        Clock::Until(end) => end,
        other => panic!("{other:?}"),
    };
    let (first, caller) = asked(at(15), 0).await;
    let (instance, first) = working(REUSE, &Meter::new(WALL), first).await;
    let (late, _late) = asked(at(20), 0).await;
    let late = offered(&instance, late);
    let (soon, slow) = asked(at(10), 0).await;
    let soon = offered(&instance, soon);
    assert_eq!(until(&instance, 0), at(10));
    answer(&soon);
    // As long as it has time its caller may be slow.
    assert_eq!(until(&instance, 9), at(10));
    assert!(slow.outcome.problem().is_none());
    // Then it loses what it has not, and the others go on.
    assert_eq!(until(&instance, 10), at(15));
    assert!(is_wall(&slow.outcome));
    assert!(instance.is_open());
    drop(soon);
    // One that is not answered by then is the end of all.
    match instance.look_at_clock(at(15)) {
        Clock::Over(call) => assert_eq!(call.deadline, at(15)),
        other => panic!("{other:?}"),
    }
    // They are told by the end, not by the clock.
    assert!(caller.outcome.problem().is_none());
    leave(first);
    assert_eq!(until(&instance, 15), at(20));
    leave(late);
    assert_eq!(instance.at(), at(20));
    assert_eq!(until(&instance, 19), at(20));
    assert!(instance.is_open());
    assert!(matches!(instance.look_at_clock(at(20)), Clock::Forgotten));
    assert!(!instance.is_open());
}

#[tokio::test]
async fn a_guest_at_rest_may_wait_beyond_the_time_of_its_last_request() {
    let now = Instant::now();
    let (first, _caller) = asked(now, 0).await;
    let (instance, first) = working(REUSE, &Meter::new(WALL), first).await;
    finish(first);
    let later = now + Duration::from_secs(5);
    match instance.look_at_clock(later) {
        Clock::Until(end) => assert!(end > later),
        other => panic!("{other:?}"),
    }
    assert!(instance.at() > later);
    assert!(instance.is_open());
    // The next one has its time.
    let (second, _caller) = asked(later, 0).await;
    let second = offered(&instance, second);
    assert_eq!(instance.at(), later);
    // A guest that finds a request is not at rest.
    instance.set_at_rest();
    assert!(!instance.is_at_rest());
    leave(second);
}

#[tokio::test]
async fn its_end_is_told_to_all_its_callers_and_that_they_shared_it() {
    for others in 0..3 {
        let (first, mut caller) = asked(Instant::now() + WALL, 0).await;
        let (instance, _first) = working(REUSE, &Meter::new(WALL), first).await;
        // Who is gone is nobody that it was shared with.
        let _gone = offered(&instance, request().await);
        let mut callers = Vec::new();
        let mut seats = Vec::new();
        for _ in 0..others {
            let (request, caller) = asked(Instant::now() + WALL, 0).await;
            seats.push(offered(&instance, request));
            callers.push(caller);
        }
        // One of them has been answered, and has not all of that yet.
        if let Some(seat) = seats.first() {
            answer(seat);
        }
        let places = instance.end(Some(Problem::guest_fault("it trapped")));
        assert_eq!(places.len(), 2 + others);
        // Nothing will come any more.
        let closed = oneshot::error::TryRecvError::Closed;
        assert_eq!(caller.head.try_recv().err(), Some(closed));
        callers.push(caller);
        for caller in callers {
            let problem = caller.outcome.problem().expect("is told");
            let json = problem.to_json(&RequestId::new("id"));
            assert_eq!(json["type"], "urn:strand:problem:guest-fault");
            assert_eq!(json["shared"] == true, others > 0);
        }
        assert!(!instance.is_open());
        assert_eq!(took(&instance), None);
    }
}

#[tokio::test]
async fn a_good_end_is_nobody_s_problem() {
    let (first, mut caller) = asked(Instant::now() + WALL, 0).await;
    let (instance, seat) = working(REUSE, &Meter::new(WALL), first).await;
    answer(&seat);
    assert_eq!(instance.end(None).len(), 1);
    assert!(caller.outcome.problem().is_none());
    assert!(caller.head.try_recv().is_ok());
    assert!(!instance.is_open());
}
