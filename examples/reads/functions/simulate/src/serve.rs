//! The component: routes a request and answers it.

use reads_guest::problem::Problem;
use reads_guest::sink::Sink;
use reads_guest::{answer, query, reference};
use strand_sdk::blobs::Bucket;
use strand_sdk::http::{Broken, Request, Responder};

use crate::coding::Coding;
use crate::references::{self, Listed};
use crate::request::Mode;
use crate::stream::{Failure, Output};
use crate::{plan, request, store, stream, windowed};

strand_sdk::http!(serve);

fn serve(incoming: Request, responder: Responder) -> Result<(), Broken> {
    if let Err(problem) = answer::check_method(&incoming) {
        return answer::problem(responder, &incoming, problem);
    }
    match incoming.path() {
        "/reads" => simulate(&incoming, Output::Reads, responder),
        "/variants" => simulate(&incoming, Output::Variants, responder),
        "/references" => match list(incoming.target()) {
            Ok(body) => responder.json(body),
            Err(problem) => answer::problem(responder, &incoming, problem),
        },
        other => answer::problem(responder, &incoming, Problem::no_route(other)),
    }
}

fn list(target: &str) -> Result<Vec<u8>, Problem> {
    query::parse(target, &[])?;
    let genomes = store::genomes()?;
    let listed = reference::all(&store::objects(&genomes)?)
        .into_iter()
        .map(|reference| {
            let entries =
                store::index(&genomes, &reference).map_err(|problem| problem.detail.clone());
            Listed::new(reference.name, entries)
        });
    Ok(references::to_json(&listed.collect::<Vec<_>>()))
}

fn simulate(incoming: &Request, output: Output, responder: Responder) -> Result<(), Broken> {
    let prepared = match prepare(incoming.target()) {
        Ok(prepared) => prepared,
        Err(problem) => return answer::problem(responder, incoming, problem),
    };
    let (genomes, reference, request, plan) = prepared;
    let coding = Coding::of(&request.mode, incoming.header("accept-encoding").as_deref());
    let kind = match (&coding, output) {
        (Coding::Bgzf, _) => "application/gzip",
        (_, Output::Reads) => "text/plain; charset=utf-8",
        (_, Output::Variants) => "text/tab-separated-values; charset=utf-8",
    };
    let (seed, skipped) = (request.params.seed.to_string(), plan.skipped.to_string());
    let mut fields = vec![("content-type", kind), ("strand-seed", seed.as_str())];
    if plan.skipped > 0 {
        fields.push(("strand-skipped", skipped.as_str()));
    }
    if let Coding::Gzip(_) = coding {
        fields.push(("content-encoding", "gzip"));
    }
    if let Mode::Windowed { bgzf: false, .. } = request.mode {
        fields.push(("vary", "accept-encoding"));
    }
    if !responder.wants_body() {
        return responder.start(200, &fields)?.finish();
    }
    let mut sink = Sink::new(responder, fields);
    let done = match request.mode {
        Mode::Exact => stream::run(&genomes, &reference, &request, &plan, output, &mut sink),
        Mode::Windowed { parallel, .. } => {
            let object = &reference.object;
            windowed::run(object, &request, &plan, output, parallel, coding, &mut sink)
        }
    };
    match done {
        Ok(()) => sink.finish(),
        Err(Failure::Broken(broken)) => Err(broken),
        Err(Failure::Problem(problem)) => {
            eprintln!("{}: {}", problem.title, problem.detail);
            match sink.into_responder() {
                Some(responder) => answer::problem(responder, incoming, problem),
                // Bytes are out: dropping the body without its end aborts the answer.
                None => Ok(()),
            }
        }
    }
}

type Prepared = (Bucket, reference::Reference, request::Request, plan::Plan);

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
