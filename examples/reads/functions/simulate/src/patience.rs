//! Waiting for something that others may be about to make.

use reads_guest::problem::Problem;

/// Milliseconds between questions, when too many ask at once: twelve seconds and a half in all.
const PAUSES: [u64; 7] = [100, 200, 400, 800, 1600, 3200, 6400];

/// Asks for something until it is made or `there`, with pauses as long as the problem is one that may
/// pass; each is given to `wait` in milliseconds.
///
/// # Errors
/// A problem of `there`, or that of `ask` which does not pass, or not soon enough.
pub fn until_made(
    mut ask: impl FnMut() -> Result<(), Problem>,
    mut there: impl FnMut() -> Result<bool, Problem>,
    mut wait: impl FnMut(u64),
) -> Result<(), Problem> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let Err(problem) = ask() else {
            return Ok(());
        };
        let Some(pause) = pauses.next().filter(|_| problem.may_pass()) else {
            return Err(problem);
        };
        wait(pause);
        if there()? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn busy() -> Problem {
        let json = br#"{"type":"urn:strand:problem:limit","title":"t","detail":"d"}"#;
        Problem::received(503, json).expect("a problem")
    }

    /// Asks while the answer is that it is busy so many times; gives the result, the questions and
    /// the milliseconds that were waited.
    fn asked(
        busy_times: u32,
        then: Result<(), Problem>,
        there_after: u32,
    ) -> (Result<(), Problem>, u32, u64) {
        let (questions, looks, waited) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let result = until_made(
            || {
                questions.set(questions.get() + 1);
                if questions.get() <= busy_times {
                    Err(busy())
                } else {
                    then.clone()
                }
            },
            || {
                looks.set(looks.get() + 1);
                Ok(looks.get() >= there_after)
            },
            |pause| waited.set(waited.get() + pause),
        );
        (result, questions.get(), waited.get())
    }

    #[test]
    fn it_waits_as_long_as_that_may_help() {
        const NEVER: u32 = u32::MAX;
        assert_eq!(asked(0, Ok(()), NEVER), (Ok(()), 1, 0));
        assert_eq!(asked(2, Ok(()), NEVER), (Ok(()), 3, 300));
        // Somebody else has made it.
        assert_eq!(asked(NEVER, Ok(()), 3), (Ok(()), 3, 700));
        let (result, questions, waited) = asked(NEVER, Ok(()), NEVER);
        let problem = result.expect_err("it is busy for ever");
        assert_eq!((problem.status, problem.retry_after()), (503, Some("1")));
        assert_eq!((questions, waited), (8, 12_700));
    }

    #[test]
    fn what_does_not_pass_ends_it_at_once() {
        let broken = Problem::broken_reference("a", "line 1");
        let expected = (Err(broken.clone()), 2, 100);
        assert_eq!(asked(1, Err(broken), u32::MAX), expected);
        let unreachable = || Err(Problem::unreachable("the object store", "gone"));
        let result = until_made(|| Err(busy()), unreachable, |_| ());
        assert_eq!(result.map_err(|problem| problem.status), Err(500));
    }
}
