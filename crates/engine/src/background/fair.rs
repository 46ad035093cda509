//! Who runs next: weighted fair queueing in two levels, apps and the functions in them.
//!
//! Each has a clock of the time that it has had, divided by its weight. Next is the one
//! whose clock is furthest behind. Who comes back after a while without anything to run
//! begins at the clock of those that ran meanwhile: nobody saves time up.
//!
//! Of what waits of one function, what is fresh comes first: a short call does not wait for those
//! that need long.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::Weights;
use crate::meter::QUANTUM;

/// What waits to run, by function.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    apps: Slab<App>,
    names: HashMap<Arc<str>, usize>,
    functions: Slab<Function<T>>,
    /// Apps with something that waits.
    ready: Line,
    /// What goes before all that.
    first: VecDeque<(usize, T)>,
}

#[derive(Debug)]
struct App {
    name: Arc<str>,
    clock: Clock,
    functions: usize,
    /// Its functions with something that waits.
    ready: Line,
}

#[derive(Debug)]
struct Function<T> {
    app: usize,
    clock: Clock,
    waiting: Waiting<T>,
}

/// How much of what is fresh comes before one of the rest.
const FRESH_FIRST: u32 = 8;

/// What waits of a function, first come first served, and what is fresh before the rest: so many,
/// then one of those, which are to come to their end, too.
#[derive(Debug)]
struct Waiting<T> {
    fresh: VecDeque<T>,
    rest: VecDeque<T>,
    /// Fresh ones that have passed what waits of the rest.
    passed: u32,
}

impl<T> Waiting<T> {
    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.rest.is_empty()
    }

    fn pop(&mut self) -> Option<T> {
        if self.rest.is_empty() {
            return self.fresh.pop_front();
        }
        if self.passed < FRESH_FIRST
            && let Some(fresh) = self.fresh.pop_front()
        {
            self.passed += 1;
            return Some(fresh);
        }
        self.passed = 0;
        self.rest.pop_front()
    }

    /// Takes out what is `preferred`.
    fn take(&mut self, preferred: impl Fn(&T) -> bool) -> VecDeque<T> {
        let mut taken = VecDeque::new();
        for line in [&mut self.fresh, &mut self.rest] {
            let (these, others): (VecDeque<T>, VecDeque<T>) = line.drain(..).partition(&preferred);
            taken.extend(these);
            *line = others;
        }
        taken
    }
}

/// The time that somebody has had, by weight.
#[derive(Debug)]
struct Clock {
    weight: u64,
    had: u64,
}

impl Clock {
    fn new(weight: u32) -> Self {
        Self {
            weight: u64::from(weight.max(1)),
            had: 0,
        }
    }

    /// Time as the clock counts it: nanoseconds for the weight that is the default. In 64
    /// bits the lightest may have five years.
    fn units(&self, time: Duration) -> u64 {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        nanos.saturating_mul(u64::from(Weights::DEFAULT)) / self.weight
    }
}

/// Those who have something that waits, by their clocks.
#[derive(Debug, Default)]
struct Line {
    by_clock: BTreeSet<(u64, usize)>,
    /// The clock of the one that was taken last.
    now: u64,
}

impl Line {
    fn enter(&mut self, key: usize, clock: &mut Clock) {
        clock.had = clock.had.max(self.now);
        self.by_clock.insert((clock.had, key));
    }

    fn first(&mut self) -> Option<usize> {
        let (had, key) = self.by_clock.pop_first()?;
        self.now = had;
        Some(key)
    }

    fn leave(&mut self, key: usize, clock: &Clock) {
        self.by_clock.remove(&(clock.had, key));
    }

    /// Sets a clock, whether it stands in this line or not.
    fn set(&mut self, key: usize, clock: &mut Clock, had: u64) {
        if self.by_clock.remove(&(clock.had, key)) {
            self.by_clock.insert((had, key));
        }
        clock.had = had;
    }
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            apps: Slab::new(),
            names: HashMap::new(),
            functions: Slab::new(),
            ready: Line::default(),
            first: VecDeque::new(),
        }
    }
}

impl<T> FairQueue<T> {
    /// Takes a function in. All functions of an app give it the same weight; if not, the
    /// last one counts.
    pub(super) fn join(&mut self, app: &str, weights: Weights) -> usize {
        let app = match self.names.get(app) {
            Some(key) => *key,
            None => {
                let name: Arc<str> = app.into();
                let key = self.apps.insert(App {
                    name: Arc::clone(&name),
                    clock: Clock::new(weights.app),
                    functions: 0,
                    ready: Line::default(),
                });
                self.names.insert(name, key);
                key
            }
        };
        self.apps[app].clock.weight = u64::from(weights.app.max(1));
        self.apps[app].functions += 1;
        self.functions.insert(Function {
            app,
            clock: Clock::new(weights.function),
            waiting: Waiting {
                fresh: VecDeque::new(),
                rest: VecDeque::new(),
                passed: 0,
            },
        })
    }

    /// Forgets a function; nothing of it waits.
    pub(super) fn leave(&mut self, key: usize) {
        let key = self.functions.remove(key).app;
        let app = &mut self.apps[key];
        app.functions -= 1;
        if app.functions == 0 {
            let app = self.apps.remove(key);
            self.names.remove(&app.name);
        }
    }

    pub(super) fn push(&mut self, key: usize, item: T) {
        self.stand_in_line(key);
        self.functions[key].waiting.rest.push_back(item);
    }

    /// As [`push`](Self::push), for what comes before the rest of its function.
    pub(super) fn push_fresh(&mut self, key: usize, item: T) {
        self.stand_in_line(key);
        self.functions[key].waiting.fresh.push_back(item);
    }

    /// Has a function that something is about to wait for stand in line.
    fn stand_in_line(&mut self, key: usize) {
        let function = &mut self.functions[key];
        if !function.waiting.is_empty() {
            return;
        }
        let app = &mut self.apps[function.app];
        let is_first = app.ready.by_clock.is_empty();
        app.ready.enter(key, &mut function.clock);
        if is_first {
            self.ready.enter(function.app, &mut app.clock);
        }
    }

    /// Has something go before all others.
    pub(super) fn push_first(&mut self, key: usize, item: T) {
        self.first.push_back((key, item));
    }

    /// Has what waits of a function and is `preferred` go before all others.
    pub(super) fn prefer(&mut self, key: usize, preferred: impl Fn(&T) -> bool) {
        let function = &mut self.functions[key];
        let first = function.waiting.take(preferred);
        if first.is_empty() {
            return;
        }
        self.first.extend(first.into_iter().map(|item| (key, item)));
        // Nobody stands in a line for nothing.
        if function.waiting.is_empty() {
            let app = &mut self.apps[function.app];
            app.ready.leave(key, &function.clock);
            if app.ready.by_clock.is_empty() {
                self.ready.leave(function.app, &app.clock);
            }
        }
    }

    /// Takes what is next. Its app and function are charged a quantum; what it was more or
    /// less is for [`charge`](Self::charge).
    pub(super) fn pop(&mut self) -> Option<(usize, T)> {
        if let Some((key, item)) = self.first.pop_front() {
            // Charged as all are; nobody stands in line for it.
            let function = &mut self.functions[key];
            let app = &mut self.apps[function.app];
            let had = function.clock.had + function.clock.units(QUANTUM);
            app.ready.set(key, &mut function.clock, had);
            let had = app.clock.had + app.clock.units(QUANTUM);
            self.ready.set(function.app, &mut app.clock, had);
            return Some((key, item));
        }
        let app_key = self.ready.first()?;
        let app = &mut self.apps[app_key];
        let key = app.ready.first()?;
        let function = &mut self.functions[key];
        let item = function.waiting.pop()?;
        function.clock.had += function.clock.units(QUANTUM);
        app.clock.had += app.clock.units(QUANTUM);
        if !function.waiting.is_empty() {
            app.ready.enter(key, &mut function.clock);
        }
        if !app.ready.by_clock.is_empty() {
            self.ready.enter(app_key, &mut app.clock);
        }
        Some((key, item))
    }

    /// Says how much time it was in the end. The function may be gone.
    pub(super) fn charge(&mut self, key: usize, used: Duration) {
        let Some(function) = self.functions.get_mut(key) else {
            return;
        };
        let app = &mut self.apps[function.app];
        let settled = |clock: &Clock| {
            clock.had.saturating_add(clock.units(used)) - clock.units(QUANTUM).min(clock.had)
        };
        let had = settled(&function.clock);
        app.ready.set(key, &mut function.clock, had);
        let had = settled(&app.clock);
        self.ready.set(function.app, &mut app.clock, had);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn queue(members: &[(&str, u32, u32)]) -> FairQueue<usize> {
        let mut queue = FairQueue::default();
        for (expected, (app, of_app, of_function)) in members.iter().enumerate() {
            let weights = Weights {
                app: *of_app,
                function: *of_function,
            };
            assert_eq!(queue.join(app, weights), expected);
        }
        queue
    }

    /// Lets members that always have something to run do so for a while; each turn takes
    /// as long as it says. Gives the time that each had.
    fn had(queue: &mut FairQueue<usize>, turns: &[Duration], rounds: usize) -> Vec<f64> {
        for member in 0..turns.len() {
            queue.push(member, member);
        }
        let mut had = vec![Duration::ZERO; turns.len()];
        for _ in 0..rounds {
            let (key, item) = queue.pop().expect("something waits");
            assert_eq!(key, item);
            had[key] += turns[key];
            queue.charge(key, turns[key]);
            queue.push(key, key);
        }
        let all: Duration = had.iter().sum();
        had.iter()
            .map(|had| had.as_secs_f64() / all.as_secs_f64())
            .collect()
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        for (found_one, expected_one) in found.iter().zip(expected) {
            assert!(
                (found_one - expected_one).abs() < 0.01,
                "{found:?}, not {expected:?}"
            );
        }
    }

    #[test]
    fn time_is_shared_among_apps_whatever_the_number_of_their_functions() {
        let mut queue = queue(&[("a", 100, 100), ("b", 100, 100), ("b", 100, 100)]);
        let shares = had(&mut queue, &[MILLISECOND; 3], 3000);
        assert_close(&shares, &[0.5, 0.25, 0.25]);
    }

    #[test]
    fn weights_count_among_apps_and_among_functions() {
        let mut queue = queue(&[("a", 300, 100), ("b", 100, 400), ("b", 100, 100)]);
        let shares = had(&mut queue, &[MILLISECOND; 3], 10_000);
        assert_close(&shares, &[0.75, 0.2, 0.05]);
    }

    #[test]
    fn who_takes_longer_turns_gets_fewer() {
        let mut queue = queue(&[("a", 100, 100), ("b", 100, 100)]);
        let shares = had(&mut queue, &[MILLISECOND / 10, MILLISECOND * 3], 10_000);
        assert_close(&shares, &[0.5, 0.5]);
    }

    #[test]
    fn who_was_away_has_saved_nothing_up() {
        let mut queue = queue(&[("a", 100, 100), ("b", 100, 100)]);
        queue.push(0, 0);
        for _ in 0..1000 {
            let (key, item) = queue.pop().expect("something waits");
            queue.charge(key, MILLISECOND);
            queue.push(key, item);
        }
        queue.push(1, 1);
        let mut turns = [0, 0];
        for _ in 0..100 {
            let (key, item) = queue.pop().expect("something waits");
            turns[key] += 1;
            queue.charge(key, MILLISECOND);
            queue.push(key, item);
        }
        assert!((49..=51).contains(&turns[0]), "{turns:?}");
    }

    #[test]
    fn who_is_in_debt_does_not_lose_it_by_being_away_for_a_moment() {
        let mut queue = queue(&[("a", 100, 100), ("b", 100, 100)]);
        queue.push(0, 0);
        queue.push(1, 1);
        let (first, _) = queue.pop().expect("something waits");
        queue.charge(first, MILLISECOND * 50);
        queue.push(first, first);
        for turn in 0..49 {
            let (key, item) = queue.pop().expect("something waits");
            assert_eq!(key, 1 - first, "turn {turn}");
            queue.charge(key, MILLISECOND);
            queue.push(key, item);
        }
    }

    #[test]
    fn the_weight_of_an_app_that_was_said_last_counts() {
        let mut queue = queue(&[("a", 100, 100), ("b", 100, 100), ("a", 300, 100)]);
        let shares = had(&mut queue, &[MILLISECOND; 3], 10_000);
        assert_close(&shares, &[0.375, 0.25, 0.375]);
    }

    #[test]
    fn several_threads_take_from_different_apps_and_functions() {
        for other in ["a", "b"] {
            let mut queue = queue(&[("a", 100, 100), (other, 100, 100)]);
            for item in 0..4 {
                queue.push(item % 2, item);
            }
            let mut taken: Vec<_> = (0..2)
                .filter_map(|_| queue.pop())
                .map(|(key, _)| key)
                .collect();
            taken.sort_unstable();
            assert_eq!(taken, [0, 1]);
        }
    }

    #[test]
    fn who_is_charged_while_more_of_it_waits_goes_behind_the_others() {
        for other in ["a", "b"] {
            let mut queue = queue(&[("a", 100, 100), (other, 100, 100)]);
            for item in 0..4 {
                queue.push(item % 2, item);
            }
            assert_eq!(queue.pop(), Some((0, 0)));
            queue.charge(0, MILLISECOND * 50);
            let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            assert_eq!(rest, [(1, 1), (1, 3), (0, 2)]);
        }
    }

    /// With less on its clock than those that had their turns meanwhile, as after short ones.
    #[test]
    fn who_has_more_to_run_stands_in_line_once() {
        for other in ["a", "b"] {
            let mut queue = queue(&[("a", 100, 100), (other, 100, 100), ("c", 100, 100)]);
            queue.push(2, 0);
            queue.push(2, 1);
            assert_eq!(queue.pop(), Some((2, 0)));
            queue.charge(2, MILLISECOND * 50);
            for item in 2..5 {
                queue.push(0, item);
            }
            assert_eq!(queue.pop(), Some((0, 2)));
            assert_eq!(queue.pop(), Some((0, 3)));
            queue.charge(0, Duration::ZERO);
            queue.charge(0, Duration::ZERO);
            queue.push(0, 5);
            queue.push(1, 6);
            let mut rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            assert_eq!(rest.pop(), Some((2, 1)));
            rest.sort_unstable();
            assert_eq!(rest, [(0, 4), (0, 5), (1, 6)]);
        }
    }

    #[test]
    fn what_goes_before_all_others_is_charged_as_they_are() {
        for other in ["a", "b"] {
            let mut queue = queue(&[("a", 100, 100), (other, 100, 100)]);
            queue.push_first(0, 0);
            assert_eq!(queue.pop(), Some((0, 0)));
            queue.push(0, 2);
            queue.push(1, 1);
            let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            assert_eq!(rest, [(1, 1), (0, 2)]);
        }
    }

    #[test]
    fn what_one_function_has_comes_in_order_and_then_there_is_nothing() {
        let mut queue = queue(&[("a", 100, 100)]);
        for item in 0..3 {
            queue.push(0, item);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|(_, item)| item)
            .collect();
        assert_eq!(order, [0, 1, 2]);
        assert!(queue.pop().is_none());
    }

    #[test]
    fn what_is_fresh_comes_before_the_rest_of_its_function_and_of_no_other() {
        let mut queue = queue(&[("a", 100, 100), ("b", 100, 100)]);
        queue.push(0, 0);
        queue.push(1, 1);
        queue.push(1, 2);
        queue.push_fresh(1, 3);
        queue.push_fresh(1, 4);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(0, 0), (1, 3), (1, 4), (1, 1), (1, 2)]);
        // The rest has its turn, too, when so many have passed it; those before it came do not count.
        for item in 0..20 {
            queue.push_fresh(0, item);
            assert!(queue.pop().is_some());
        }
        for item in 0..20 {
            queue.push_fresh(0, item);
        }
        queue.push(0, 100);
        queue.push(0, 101);
        let order: Vec<_> = std::iter::from_fn(|| Some(queue.pop()?.1)).collect();
        let expected = (0..8).chain([100]).chain(8..16).chain([101]).chain(16..20);
        assert_eq!(order, expected.collect::<Vec<_>>());
        // It stands in line for nothing but this, too, and is preferred as the rest is.
        queue.push_fresh(0, 5);
        queue.push_fresh(0, 6);
        queue.push(0, 7);
        queue.prefer(0, |item| item % 2 == 0);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(0, 6), (0, 5), (0, 7)]);
    }

    #[test]
    fn what_is_preferred_comes_first_and_nothing_twice() {
        let mut queue = queue(&[("a", 100, 100), ("a", 100, 100), ("b", 100, 100)]);
        for (key, item) in [(0, 1), (0, 2), (0, 3), (1, 4), (2, 5)] {
            queue.push(key, item);
        }
        queue.prefer(0, |item| item % 2 == 1);
        queue.prefer(2, |_| true);
        queue.prefer(1, |_| false);
        queue.push_first(1, 6);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order[..4], [(0, 1), (0, 3), (2, 5), (1, 6)]);
        let mut rest = order[4..].to_vec();
        rest.sort_unstable();
        assert_eq!(rest, [(0, 2), (1, 4)]);
        // And again as before.
        queue.push(2, 7);
        queue.push(0, 8);
        let mut rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        rest.sort_unstable();
        assert_eq!(rest, [(0, 8), (2, 7)]);
    }

    #[test]
    fn an_app_of_which_something_is_preferred_stays_in_line_for_the_rest() {
        let mut queue = queue(&[("a", 100, 100), ("a", 100, 100)]);
        queue.push(0, 1);
        queue.push(1, 2);
        queue.prefer(0, |_| true);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(0, 1), (1, 2)]);
    }

    #[test]
    fn a_weight_that_changes_during_a_turn_does_no_harm() {
        let mut queue = queue(&[("a", 300, 100), ("b", 100, 100)]);
        queue.push(0, 0);
        assert_eq!(queue.pop(), Some((0, 0)));
        // A turn weighs more now than it did when it was charged.
        assert_eq!(queue.join("a", Weights::default()), 2);
        queue.charge(0, Duration::ZERO);
        queue.push(1, 1);
        queue.push(0, 2);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(0, 2), (1, 1)]);
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let mut queue = queue(&[("a", 100, 100), ("a", 100, 100), ("b", 100, 100)]);
        queue.leave(0);
        assert_eq!(queue.apps.len(), 2);
        queue.leave(1);
        assert_eq!((queue.apps.len(), queue.names.len()), (1, 1));
        // Somebody whose last turn ends when it is gone.
        queue.charge(1, MILLISECOND);
        queue.push(2, 2);
        assert_eq!(queue.pop(), Some((2, 2)));
        queue.leave(2);
        assert!(queue.apps.is_empty() && queue.functions.is_empty());
    }
}
