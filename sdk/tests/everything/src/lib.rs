//! Uses every part of the SDK, a path each.

use std::error::Error;
use std::io::{self, Read, Write};
use std::time::Duration;

use strand_sdk::blobs::Bucket;
use strand_sdk::functions::Ahead;
use strand_sdk::http::{self, CallError, Method, Request, Responder};
use strand_sdk::{config, functions, log};

strand_sdk::http!(serve);

type Done = Result<(), Box<dyn Error>>;

fn serve(request: Request, responder: Responder) -> Done {
    match request.path() {
        "/about" => about(&request, responder),
        "/echo" => echo(&request, responder),
        "/short" => Ok(responder.send(200, &[], request.body()?.read(10)?)?),
        "/settings" => settings(responder),
        "/blobs" => blobs(&request, responder),
        "/calls" => calls(&request, responder),
        "/many" => many(responder),
        "/part" => part(&request, responder),
        "/fetch" => fetch(&request, responder),
        "/silent" => Ok(()),
        "/broken" => broken(responder),
        _ => Ok(responder.send(404, &[], "")?),
    }
}

/// What the request is, as the function sees it.
fn about(request: &Request, responder: Responder) -> Done {
    let about = format!(
        "{:?} {} [{}] name={:?} id={:?} body={}\n",
        request.method(),
        request.target(),
        request.query(),
        request.parameter("name"),
        request.id(),
        responder.wants_body(),
    );
    // Also in a field, for the answer to HEAD.
    let fields = [("content-type", "text/plain"), ("about", about.trim_end())];
    Ok(responder.send(200, &fields, &about)?)
}

/// The body, through the traits of the standard library.
fn echo(request: &Request, responder: Responder) -> Done {
    let mut answer = responder.start(200, &[])?;
    io::copy(&mut request.body()?, &mut answer)?;
    answer.flush()?;
    Ok(answer.finish()?)
}

fn settings(responder: Responder) -> Done {
    log::warn("settings were asked for");
    let greeting = config::get("greeting")?;
    let missing = config::get("missing")?;
    let text = format!("{greeting:?} {missing:?} {:?}\n", config::all()?);
    Ok(responder.text(&text)?)
}

/// Keeps the body as an object, in two ways, and gives it back from both.
fn blobs(request: &Request, responder: Responder) -> Done {
    let files = Bucket::open("files")?;
    let mut writer = files.writer("streamed")?;
    io::copy(&mut request.body()?, &mut writer)?;
    writer.finish()?;
    let mut streamed = Vec::new();
    files.reader("streamed")?.read_to_end(&mut streamed)?;
    files.write("whole", &streamed)?;
    files.write("empty", b"")?;
    // Never finished, and so never there.
    files.writer("dropped")?.write_all(b"x")?;
    let whole = files.read("whole", 1 << 20)?;
    let too_large = files.read("whole", whole.len() as u64 - 1).unwrap_err();
    let some = files.range("whole", 1, 3)?.piece()?.unwrap_or_default();
    let mut names = files.list()?;
    names.sort();
    let sizes = [files.info("whole")?.size, files.info("empty")?.size];
    for name in &names {
        files.delete(name)?;
    }
    let empty = files.list()?.is_empty() && !files.has("whole")?;
    let other = Bucket::open("other").unwrap_err();
    let text = format!(
        "{} {} {names:?} {sizes:?} {empty}\n{too_large}\n{other}\n",
        whole == streamed,
        String::from_utf8_lossy(&some),
    );
    Ok(responder.text(&text)?)
}

fn calls(request: &Request, responder: Responder) -> Done {
    let input = request.body()?.read(1 << 20)?;
    let shouted = functions::post("shout", "/", &input)?;
    let status = shouted.status();
    let shouted = String::from_utf8(shouted.read(1 << 20)?)?;
    let denied = functions::get("closed", "/").err();
    let denied = matches!(denied, Some(CallError::Denied(_)));
    Ok(responder.text(&format!("{status} {shouted} {denied}\n"))?)
}

/// Calls itself many times, several of them at once, and writes the answers in order.
fn many(responder: Responder) -> Done {
    let ahead = Ahead {
        calls: 4,
        bytes: 128 * 1024,
    };
    let targets = (0..20).map(|k| format!("/part?k={k}"));
    let mut calls = functions::in_order("everything", targets, ahead);
    let mut answer = responder.start(200, &[("content-type", "text/plain")])?;
    while let Some(mut turn) = calls.next()? {
        write!(answer, "{} {:?} ", turn.status(), turn.header("part"))?;
        while let Some(piece) = turn.piece()? {
            answer.write_all(&piece)?;
        }
    }
    // One that is not read to its end, and those behind it, are called off.
    let targets = (0..20).map(|k| format!("/part?k={k}"));
    let mut left = functions::in_order("everything", targets, ahead);
    let head = left.next()?.map(|turn| turn.status());
    let denied = functions::in_order("closed", ["/".to_owned()], ahead)
        .next()
        .err();
    let denied = matches!(denied, Some(CallError::Denied(_)));
    writeln!(answer, "{head:?} {denied}")?;
    Ok(answer.finish()?)
}

/// Text that takes a while, and another one for each part.
fn part(request: &Request, responder: Responder) -> Done {
    let k: u64 = request.parameter("k").unwrap_or_default().parse()?;
    std::thread::sleep(Duration::from_millis(k * 7 % 5));
    let status = if k == 7 { 404 } else { 200 };
    let text = format!("{k} ").repeat(100_000);
    Ok(responder.send(status, &[("part", &k.to_string())], &text)?)
}

fn fetch(request: &Request, responder: Responder) -> Done {
    let url = request.parameter("url").unwrap_or_default();
    let reply = http::get(&url)?;
    let kind = reply.header("content-type");
    let head = format!("{} {kind:?} ", reply.status());
    let mut answer = responder.start(200, &[("content-type", "text/plain")])?;
    answer.write_all(head.as_bytes())?;
    io::copy(&mut reply.body()?, &mut answer)?;
    let refused = http::fetch(Method::Post, "https://elsewhere.example.org/", &[], b"x");
    let denied = matches!(refused, Err(CallError::Denied(_)));
    let none = matches!(http::get("no address"), Err(CallError::Address(_)));
    answer.write_all(format!("{denied} {none}\n").as_bytes())?;
    Ok(answer.finish()?)
}

/// Fails in the middle of its answer.
fn broken(responder: Responder) -> Done {
    let mut answer = responder.start(200, &[])?;
    answer.write_all(b"the first part\n")?;
    answer.flush()?;
    Err("there is no second part".into())
}
