//! The component: routes a request and answers it.

#![allow(unsafe_code, reason = "the macro that exports the component writes it")]

use reads_guest::answer::{self, Broken, Pending};
use reads_guest::problem::Problem;
use reads_guest::{query, reference};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use crate::references::{self, Listed};
use crate::stream::{Failure, Output, Sink};
use crate::{plan, request, store, stream};

struct Simulate;

wasip2::http::proxy::export!(Simulate);

impl wasip2::exports::http::incoming_handler::Guest for Simulate {
    fn handle(incoming: IncomingRequest, out: ResponseOutparam) {
        if let Err(broken) = serve(&incoming, Pending::new(out)) {
            eprintln!("{broken}");
        }
    }
}

fn serve(incoming: &IncomingRequest, pending: Pending) -> Result<(), Broken> {
    let target = incoming.path_with_query().unwrap_or_default();
    let with_body = match answer::wants_body(incoming) {
        Ok(with_body) => with_body,
        Err(problem) => return pending.problem(&problem),
    };
    match query::path(&target) {
        "/reads" => simulate(&target, Output::Reads, with_body, pending),
        "/variants" => simulate(&target, Output::Variants, with_body, pending),
        "/references" => match list(&target) {
            Ok(body) => pending.whole("application/json", &body, with_body),
            Err(problem) => pending.problem(&problem),
        },
        other => pending.problem(&Problem::no_route(other)),
    }
}

fn list(target: &str) -> Result<Vec<u8>, Problem> {
    query::parse(target, &[])?;
    let genomes = store::genomes()?;
    let listed = reference::all(&store::objects(&genomes)?)
        .into_iter()
        .map(|reference| {
            let entries = store::index(&genomes, &reference).map_err(|problem| problem.detail);
            Listed::new(reference.name, entries)
        });
    Ok(references::to_json(&listed.collect::<Vec<_>>()))
}

fn simulate(target: &str, output: Output, with_body: bool, pending: Pending) -> Result<(), Broken> {
    let prepared = match prepare(target) {
        Ok(prepared) => prepared,
        Err(problem) => return pending.problem(&problem),
    };
    let (genomes, reference, request, plan) = prepared;
    let kind = match output {
        Output::Reads => "text/plain; charset=utf-8",
        Output::Variants => "text/tab-separated-values; charset=utf-8",
    };
    let (seed, skipped) = (stream::seed(&request.params), plan.skipped.to_string());
    let mut fields = vec![("content-type", kind), ("strand-seed", seed.as_str())];
    if plan.skipped > 0 {
        fields.push(("strand-skipped", skipped.as_str()));
    }
    if !with_body {
        return pending.start(200, &fields)?.finish();
    }
    let mut sink = Sink::new(pending, fields);
    match stream::run(&genomes, &reference, &request, &plan, output, &mut sink) {
        Ok(()) => sink.finish(),
        Err(Failure::Broken(broken)) => Err(broken),
        Err(Failure::Problem(problem)) => {
            eprintln!("{}: {}", problem.title, problem.detail);
            match sink.into_pending() {
                Some(pending) => pending.problem(&problem),
                // Bytes are out: dropping the body without its end aborts the answer.
                None => Ok(()),
            }
        }
    }
}

type Prepared = (
    reads_guest::objects::Container,
    reference::Reference,
    request::Request,
    plan::Plan,
);

fn prepare(target: &str) -> Result<Prepared, Problem> {
    let request = request::parse(target, random_seed)?;
    let given = std::env::var(plan::MEMORY_VARIABLE).ok();
    let memory = plan::memory(given.as_deref())?;
    let genomes = store::genomes()?;
    let reference = reference::find(&store::objects(&genomes)?, &request.reference)?;
    let entries = store::index(&genomes, &reference)?;
    let plan = plan::plan(&request, entries, memory)?;
    Ok((genomes, reference, request, plan))
}

/// A seed from 1 to 2147483647.
fn random_seed() -> u32 {
    let random = wasip2::random::random::get_random_u64();
    (random % u64::from(i32::MAX as u32)) as u32 + 1
}
