//! `/fetch` and `/call`: a proxy that streams both ways at once.

use guest_behaviour::{Url, case_name};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingRequest, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, ResponseOutparam, Scheme,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::OutputStream;

use crate::answer::{self, Body, Broken};
use crate::relay::{Relay, Step};

/// A request's body on its way out.
struct Upload {
    relay: Relay,
    // The stream goes first: it is the body's child, and the host insists.
    stream: OutputStream,
    body: OutgoingBody,
}

impl Upload {
    /// Passes on what can be now; done when there is nothing to wait for.
    fn step(self) -> Result<Option<(Upload, Pollable)>, Broken> {
        match self.relay.step(&self.stream)? {
            Step::Wait(ready) => Ok(Some((self, ready))),
            Step::End => {
                let trailers = self.relay.trailers()?;
                drop(self.stream);
                OutgoingBody::finish(self.body, trailers)?;
                Ok(None)
            }
        }
    }
}

/// Sends the request on to `url` and its answer back.
pub(crate) fn fetch(
    request: &IncomingRequest,
    url: &Url,
    out: ResponseOutparam,
) -> Result<(), Broken> {
    let (sent, upload) = match send(request, url) {
        Ok(sent) => sent,
        Err(code) => return refused(out, &code),
    };
    let mut upload = Some(upload);
    let response = match response(&sent, &mut upload)? {
        Ok(response) => response,
        Err(code) => return refused(out, &code),
    };
    relay(&response, out, &mut upload)
}

fn refused(out: ResponseOutparam, code: &ErrorCode) -> Result<(), Broken> {
    answer::text(out, 502, &format!("{}\n", case_name(&format!("{code:?}"))))
}

fn send(
    request: &IncomingRequest,
    url: &Url,
) -> Result<(FutureIncomingResponse, Upload), ErrorCode> {
    let internal = |what: &str| ErrorCode::InternalError(Some(what.to_owned()));
    let method = request.method();
    let outgoing = OutgoingRequest::new(fields(request, &method)?);
    let scheme = if url.https {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let set = outgoing.set_method(&method).is_ok()
        && outgoing.set_scheme(Some(&scheme)).is_ok()
        && outgoing.set_authority(Some(&url.authority)).is_ok()
        && outgoing
            .set_path_with_query(Some(&url.path_with_query))
            .is_ok();
    if !set {
        return Err(ErrorCode::HttpRequestUriInvalid);
    }
    let body = outgoing.body().map_err(|()| internal("no body"))?;
    let stream = body.write().map_err(|()| internal("no stream"))?;
    let incoming = request.consume().map_err(|()| internal("body taken"))?;
    let relay = Relay::new(incoming).map_err(|broken| internal(&broken.to_string()))?;
    let sent = outgoing_handler::handle(outgoing, None)?;
    Ok((
        sent,
        Upload {
            relay,
            stream,
            body,
        },
    ))
}

/// What of the request's fields goes on: what says how its body is to be understood.
fn fields(request: &IncomingRequest, method: &Method) -> Result<Fields, ErrorCode> {
    let incoming = request.headers();
    let fields = Fields::new();
    let set = |name: &str, values: &[Vec<u8>]| {
        fields
            .set(name, values)
            .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))
    };
    for name in ["content-type", "content-length"] {
        let values = incoming.get(name);
        if !values.is_empty() {
            set(name, &values)?;
        }
    }
    // Without it a request that has no body would go out as one of unknown length.
    if matches!(method, Method::Get | Method::Head) && !fields.has("content-length") {
        set("content-length", &[b"0".to_vec()])?;
    }
    Ok(fields)
}

/// Waits for the answer's head while the request's body goes out.
fn response(
    sent: &FutureIncomingResponse,
    upload: &mut Option<Upload>,
) -> Result<Result<IncomingResponse, ErrorCode>, Broken> {
    loop {
        if let Some(answer) = sent.get() {
            return answer.map_err(|()| Broken::new("the answer is taken"));
        }
        let answered = sent.subscribe();
        match go_on(upload) {
            Some(ready) => {
                poll(&[&answered, &ready]);
            }
            None => answered.block(),
        }
    }
}

/// Passes the request's body on. A server need not read it to the end: where it does not, its
/// answer counts and the rest of the body is dropped.
fn go_on(upload: &mut Option<Upload>) -> Option<Pollable> {
    match upload.take()?.step() {
        Ok(Some((rest, ready))) => {
            *upload = Some(rest);
            Some(ready)
        }
        Ok(None) => None,
        Err(broken) => {
            eprintln!("probe02: the request's body was not taken: {broken}");
            None
        }
    }
}

/// Passes the answer back while the rest of the request's body goes out.
fn relay(
    response: &IncomingResponse,
    out: ResponseOutparam,
    upload: &mut Option<Upload>,
) -> Result<(), Broken> {
    let status = response.status();
    let headers = Fields::new();
    headers.append("fetched-status", status.to_string().as_bytes())?;
    let incoming = response.headers();
    for name in ["content-type", "content-length", "depth"] {
        for value in incoming.get(name) {
            headers.append(name, &value)?;
        }
    }
    let answer: Body = answer::begin_with(out, status, headers)?;
    let consumed = response.consume();
    let download = Relay::new(consumed.map_err(|()| Broken::new("the body is taken"))?)?;
    while let Step::Wait(ready) = download.step(answer.stream())? {
        match go_on(upload) {
            Some(upload) => {
                poll(&[&ready, &upload]);
            }
            None => ready.block(),
        }
    }
    answer.finish(download.trailers()?)
}
