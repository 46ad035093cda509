//! What the functions answer.

use strand_sdk::http::{Broken, Method, Request, Responder};

use crate::problem::{self, Problem};

/// Refuses methods other than GET and HEAD.
///
/// # Errors
/// A 405.
pub fn check_method(request: &Request) -> Result<(), Problem> {
    match request.method() {
        Method::Get | Method::Head => Ok(()),
        _ => Err(Problem::method()),
    }
}

/// Answers a request with a problem, which gets the request's id.
///
/// # Errors
/// [`Broken`].
pub fn problem(
    responder: Responder,
    request: &Request,
    mut problem: Problem,
) -> Result<(), Broken> {
    problem.instance = request.id();
    let mut fields = vec![("content-type", problem::CONTENT_TYPE)];
    if problem.status == 405 {
        fields.push(("allow", problem::METHODS));
    }
    if let Some(seconds) = problem.retry_after() {
        fields.push(("retry-after", seconds));
    }
    responder.send(problem.status, &fields, problem.to_json())
}
