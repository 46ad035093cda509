//! Many calls of a function, some of them at once, whose answers come in the order of the calls.

use std::collections::VecDeque;

use wasip2::clocks::monotonic_clock;
use wasip2::http::types::Method;
use wasip2::io::poll::{Pollable, poll};

use super::to;
use crate::http::{Body, Broken, CallError, Reply, whole};
use crate::outgoing::{self, Sent};
use crate::streams::Ready;

/// How far calls may be ahead of the one whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Calls that run at once, the one whose turn it is included; at least 1 is taken.
    pub calls: usize,
    /// Bytes of an answer that are read before its turn; then the function that gives it has to wait.
    /// It may be 64 KiB more.
    pub bytes: usize,
}

/// Calls a function with GET for each target, as many at once as `ahead` says, and gives the answers in
/// the order of the targets. A target is a path with its query: `/?a=b`.
///
/// A call that finds no place (an answer 503 with `retry-after`, as a node gives it when a function has as
/// many calls as it may) is made again, with pauses that grow: twelve seconds and a half in all. Then the
/// answer is given as it is.
pub fn in_order<I>(function: &str, targets: I, ahead: Ahead) -> InOrder<I::IntoIter>
where
    I: IntoIterator<Item = String>,
{
    InOrder {
        function: function.to_owned(),
        targets: targets.into_iter().fuse(),
        ahead,
        flights: VecDeque::new(),
    }
}

/// Answers in order; see [`in_order`]. What is dropped is called off.
#[derive(Debug)]
pub struct InOrder<I: Iterator<Item = String>> {
    function: String,
    targets: std::iter::Fuse<I>,
    ahead: Ahead,
    /// The calls under way, the one whose turn it is in front.
    flights: VecDeque<Flight>,
}

/// Milliseconds between the attempts of a call that finds no place.
const PAUSES: [u64; 7] = [100, 200, 400, 800, 1600, 3200, 6400];

/// A call under way.
#[derive(Debug)]
struct Flight {
    target: String,
    attempts: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It is to be made again when this is ready.
    Paused(Pollable),
    /// Its answer has not begun.
    Sent(Sent),
    /// Its answer is read. The pieces come before the body's end, whatever that is.
    Answered {
        reply: Reply,
        pieces: VecDeque<Vec<u8>>,
        body: Rest,
    },
    /// There is none.
    Failed(CallError),
}

#[derive(Debug)]
enum Rest {
    Open(Body),
    Ended(Result<(), Broken>),
}

impl<I: Iterator<Item = String>> InOrder<I> {
    /// The answer of the next call, when its head is there; `None` after the last one. What was not
    /// read of the one before is called off.
    ///
    /// # Errors
    /// [`CallError`] of that call; an answer with any status is none.
    #[expect(clippy::should_implement_trait, reason = "an item borrows from this")]
    pub fn next(&mut self) -> Result<Option<Turn<'_, I>>, CallError> {
        loop {
            self.go_on();
            match self.flights.front().map(|flight| &flight.state) {
                None => return Ok(None),
                Some(State::Answered { .. }) => return Ok(Some(Turn { calls: self })),
                Some(State::Sent(_) | State::Paused(_)) => self.wait(),
                Some(State::Failed(_)) => {
                    if let Some(State::Failed(error)) = self.flights.pop_front().map(|it| it.state)
                    {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Begins calls that may begin, and takes what is there of the answers.
    fn go_on(&mut self) {
        while self.flights.len() < self.ahead.calls.max(1)
            && let Some(target) = self.targets.next()
        {
            let state = start(&self.function, &target);
            self.flights.push_back(Flight {
                target,
                attempts: 0,
                state,
            });
        }
        for flight in &mut self.flights {
            flight.go_on(&self.function, self.ahead.bytes);
        }
    }

    /// Waits until there is more of any answer.
    fn wait(&self) {
        let waiting: Vec<_> = self
            .flights
            .iter()
            .filter_map(|flight| flight.subscribe(self.ahead.bytes))
            .collect();
        if !waiting.is_empty() {
            poll(&waiting.iter().map(Waiting::pollable).collect::<Vec<_>>());
        }
    }
}

fn start(function: &str, target: &str) -> State {
    match outgoing::start(Method::Get, &to(function, target), &[], b"") {
        Ok(sent) => State::Sent(sent),
        Err(error) => State::Failed(error),
    }
}

impl Flight {
    fn go_on(&mut self, function: &str, most: usize) {
        if let State::Paused(pause) = &self.state
            && pause.ready()
        {
            self.state = start(function, &self.target);
        }
        if let State::Sent(sent) = &self.state
            && let Some(answer) = sent.answer(&to(function, &self.target))
        {
            self.state = self.answered(answer);
        }
        let wanted = self.wants(most);
        if let State::Answered { pieces, body, .. } = &mut self.state
            && let Rest::Open(open) = body
            && wanted
        {
            match open.ready() {
                Ok(Ready::NotYet) => {}
                Ok(Ready::Piece(piece)) => pieces.push_back(piece),
                Ok(Ready::End) => *body = Rest::Ended(Ok(())),
                Err(broken) => *body = Rest::Ended(Err(broken)),
            }
        }
    }

    /// What becomes of it with this answer.
    fn answered(&mut self, answer: Result<Reply, CallError>) -> State {
        let reply = match answer {
            Ok(reply) => reply,
            Err(error) => return State::Failed(error),
        };
        if reply.status() == 503
            && reply.header("retry-after").is_some()
            && let Some(pause) = PAUSES.get(self.attempts)
        {
            self.attempts += 1;
            return State::Paused(monotonic_clock::subscribe_duration(pause * 1_000_000));
        }
        match reply.body() {
            Ok(body) => State::Answered {
                reply,
                pieces: VecDeque::new(),
                body: Rest::Open(body),
            },
            Err(broken) => State::Failed(CallError::Broken(broken)),
        }
    }

    /// Whether more of its answer may be read.
    fn wants(&self, most: usize) -> bool {
        match &self.state {
            State::Answered { pieces, body, .. } => {
                matches!(body, Rest::Open(_))
                    && pieces.iter().map(Vec::len).sum::<usize>() < most.max(1)
            }
            _ => false,
        }
    }

    /// Waits for its next step, if there is one that may be taken.
    fn subscribe(&self, most: usize) -> Option<Waiting<'_>> {
        match &self.state {
            State::Paused(pause) => Some(Waiting::Pause(pause)),
            State::Sent(sent) => Some(Waiting::Step(sent.future.subscribe())),
            State::Answered {
                body: Rest::Open(body),
                ..
            } if self.wants(most) => Some(Waiting::Step(body.subscribe())),
            _ => None,
        }
    }
}

/// What a call waits for.
enum Waiting<'a> {
    Pause(&'a Pollable),
    Step(Pollable),
}

impl Waiting<'_> {
    fn pollable(&self) -> &Pollable {
        match self {
            Self::Pause(pause) => pause,
            Self::Step(step) => step,
        }
    }
}

/// The answer whose turn it is.
#[derive(Debug)]
pub struct Turn<'a, I: Iterator<Item = String>> {
    calls: &'a mut InOrder<I>,
}

impl<I: Iterator<Item = String>> Turn<'_, I> {
    fn reply(&self) -> Option<&Reply> {
        match &self.calls.flights.front()?.state {
            State::Answered { reply, .. } => Some(reply),
            _ => None,
        }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        // There is one: it is what a turn is made for.
        self.reply().map_or(500, Reply::status)
    }

    /// The first value of a header field, if it is text.
    pub fn header(&self, name: &str) -> Option<String> {
        self.reply()?.header(name)
    }

    /// The next bytes, at most 64 KiB, or `None` at the end. Meanwhile the answers behind are read.
    ///
    /// # Errors
    /// [`Broken`] when the function failed in the middle of its answer.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        loop {
            self.calls.go_on();
            let front = self
                .calls
                .flights
                .front_mut()
                .map(|flight| &mut flight.state);
            let Some(State::Answered { pieces, body, .. }) = front else {
                return Ok(None);
            };
            if let Some(piece) = pieces.pop_front() {
                return Ok(Some(piece));
            }
            match body {
                Rest::Open(_) => self.calls.wait(),
                Rest::Ended(end) => return std::mem::replace(end, Ok(())).map(|()| None),
            }
        }
    }

    /// The rest of it, up to `limit` bytes.
    ///
    /// # Errors
    /// [`Broken`], also when there is more.
    pub fn read(mut self, limit: usize) -> Result<Vec<u8>, Broken> {
        whole(limit, || self.piece())
    }
}

impl<I: Iterator<Item = String>> Drop for Turn<'_, I> {
    fn drop(&mut self) {
        self.calls.flights.pop_front();
    }
}
