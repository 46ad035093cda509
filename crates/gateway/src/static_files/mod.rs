//! Files of an app.
//!
//! A file is found beneath its route's folder and nowhere else: every step of the
//! way is opened beneath the one before it, so that neither `..` nor a symbolic link
//! leads out, also if it is put there in between. Files and folders whose name
//! begins with a dot are not there. A folder is its `index.html`, under a path that
//! ends with `/`.
//!
//! Only one range is served: a request for several gets the whole file, which RFC
//! 9110 allows and which spares everybody the multipart format. Files are read
//! in pieces as the client takes them; one that shrinks meanwhile breaks the answer
//! off. So many files may be open at once and no more, as each takes a descriptor for
//! as long as its client likes; one that is sent in a single piece is closed at once.
//!
//! A file `style.css` with a `style.css.br`, `.zst` or `.gz` beside it that is not older is sent
//! as that one to clients that take its coding. It is a file of its own, with a tag and with
//! ranges of its own.

mod body;
mod conditions;
mod lookup;
mod places;
mod range;
mod tag;

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::BodyExt;
use strand_engine::{Body, Kind, Problem};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

use crate::accept_encoding::Coding;
use crate::answer::empty;
use crate::compress::LeftOut;
use crate::rules::vary;
pub(crate) use crate::static_files::lookup::Root;
pub(crate) use crate::static_files::places::Places;

use body::FileBody;
use conditions::{Conditions, Outcome};
use lookup::OpenFile;
use range::Selection;

/// Bytes that are read of a file at once. A part of `Config::IN_FLIGHT`.
pub(crate) const PIECE: usize = 64 << 10;

/// Answers with a file, or what there is to say of it. `file` is the part of the path
/// that the route captured, still escaped, `codings` what the client takes if the route is to
/// compress.
pub(crate) async fn answer(
    places: &Places,
    root: Arc<Root>,
    file: String,
    codings: Option<&[Coding]>,
    parts: &Parts,
) -> Result<Response<Body>, Problem> {
    let names = lookup::names(&file)?;
    let in_folder_form = parts.uri.path().ends_with('/');
    let conditions = Conditions::of(&parts.headers);
    let head = parts.method == Method::HEAD;
    let place = places.take().await?;
    let codings = codings.map(<[Coding]>::to_vec);
    let work = move || {
        let takes = codings.as_deref().unwrap_or_default();
        let file = root.open(&names, in_folder_form, takes)?;
        file.map(|file| respond(file, codings.is_some(), place, &conditions, head))
            .transpose()
    };
    let done: Result<Option<Response<Body>>, Problem> =
        spawn_blocking(work).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a file could not be served");
            Err(Problem::host_fault("the file could not be read"))
        });
    match done? {
        Some(response) => Ok(response),
        None => to_folder_form(parts),
    }
}

/// Blocks: reads the first piece.
fn respond(
    file: OpenFile,
    compresses: bool,
    place: OwnedSemaphorePermit,
    conditions: &Conditions,
    head: bool,
) -> Result<Response<Body>, Problem> {
    let tag = tag::of(&file, SystemTime::now());
    let modified = file.modified.map(|time| time.min(SystemTime::now()));
    let mut response = Response::new(empty());
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Some(coding) = file.coding {
        let name = HeaderValue::from_static(coding.name());
        headers.insert(header::CONTENT_ENCODING, name);
    }
    if compresses {
        // Also of what no client gets compressed now: whether there are neighbours for other
        // clients is not looked at, and one may come.
        vary(headers, "accept-encoding");
    }
    insert(headers, header::ETAG, &tag.to_string());
    if let Some(modified) = modified {
        insert(
            headers,
            header::LAST_MODIFIED,
            &httpdate::fmt_http_date(modified),
        );
    }
    match conditions.evaluate(&tag, modified) {
        Outcome::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            if let Ok(content_type) = HeaderValue::from_str(&file.content_type) {
                let length = file.length;
                response.extensions_mut().insert(LeftOut {
                    content_type,
                    length,
                });
            }
            return Ok(response);
        }
        Outcome::Failed => {
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            return Ok(response);
        }
        Outcome::Send { ranges } => {
            // A range is of what a `GET` sends (RFC 9110, section 14.2).
            let selection = if ranges && !head {
                range::select(conditions.range(), file.length)
            } else {
                Selection::Whole
            };
            let (start, end) = match selection {
                Selection::Whole => (0, file.length),
                Selection::Part { start, end } => {
                    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                    insert(
                        response.headers_mut(),
                        header::CONTENT_RANGE,
                        &format!("bytes {start}-{}/{}", end - 1, file.length),
                    );
                    (start, end)
                }
                Selection::Unsatisfiable => {
                    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                    insert(
                        response.headers_mut(),
                        header::CONTENT_RANGE,
                        &format!("bytes */{}", file.length),
                    );
                    return Ok(response);
                }
            };
            let headers = response.headers_mut();
            insert(headers, header::CONTENT_TYPE, &file.content_type);
            insert(headers, header::CONTENT_LENGTH, &(end - start).to_string());
            if !head && start < end {
                let body = FileBody::begin(file.file, place, start, end).map_err(|error| {
                    tracing::warn!(%error, "a file cannot be read");
                    Problem::host_fault("the file could not be read")
                })?;
                *response.body_mut() = body.boxed_unsync();
            }
        }
    }
    Ok(response)
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    // All that is written here are numbers, dates and media types.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Sends the client to the path with `/`, so that the page's relative links work.
fn to_folder_form(parts: &Parts) -> Result<Response<Body>, Problem> {
    let path = parts.uri.path();
    // A browser would take `//host` for another site.
    if path.starts_with("//") {
        return Err(missing());
    }
    let query = parts.uri.query().map(|query| format!("?{query}"));
    let target = format!("{path}/{}", query.unwrap_or_default());
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    insert(response.headers_mut(), header::LOCATION, &target);
    Ok(response)
}

/// The same for everything that is not to be had, so that nobody learns what else
/// there is.
fn missing() -> Problem {
    Problem::new(Kind::NotFound, "there is no such file")
}
