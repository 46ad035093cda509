use std::collections::VecDeque;
use std::io::Read;

use flate2::read::GzDecoder;
use futures::task::noop_waker_ref;
use http_body_util::Full;
use strand_engine::Problem;

use super::*;

/// What a body does when it is asked.
enum Step {
    Data(Vec<u8>),
    Wait,
    Trailers,
    Fail,
}

struct Steps(VecDeque<Step>);

impl http_body::Body for Steps {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Piece> {
        Poll::Ready(match self.0.pop_front() {
            None => None,
            Some(Step::Data(data)) => Some(Ok(Frame::data(data.into()))),
            Some(Step::Wait) => return Poll::Pending,
            Some(Step::Trailers) => Some(Ok(Frame::trailers(HeaderMap::new()))),
            Some(Step::Fail) => Some(Err(Problem::host_fault("it broke").into())),
        })
    }
}

fn answer(fields: &[(&'static str, &'static str)], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    for (name, value) in fields {
        response
            .headers_mut()
            .insert(*name, HeaderValue::from_static(value));
    }
    response
}

fn text(steps: impl IntoIterator<Item = Step>) -> Response<Body> {
    let body = Steps(steps.into_iter().collect()).boxed_unsync();
    answer(&[("content-type", "text/plain")], body)
}

fn gzipped(response: Response<Body>) -> Response<Body> {
    let compressed = compress(response, &[Coding::Gzip], &Compressors::default(), None);
    assert_eq!(compressed.headers()[CONTENT_ENCODING], "gzip");
    compressed
}

/// What can be had of a body before it waits, fails or ends.
fn drain(body: &mut Body) -> (Vec<u8>, Poll<Option<Result<(), String>>>) {
    let mut cx = Context::from_waker(noop_waker_ref());
    let mut bytes = Vec::new();
    loop {
        match Pin::new(&mut *body).poll_frame(&mut cx) {
            Poll::Pending => return (bytes, Poll::Pending),
            Poll::Ready(None) => return (bytes, Poll::Ready(None)),
            Poll::Ready(Some(Err(error))) => {
                return (bytes, Poll::Ready(Some(Err(error.to_string()))));
            }
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(_) => return (bytes, Poll::Ready(Some(Ok(())))),
            },
        }
    }
}

/// All of a body that has ended.
fn plain(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut plain).unwrap();
    plain
}

/// As far as it can be read of one that has not, which must be seen.
fn begun(gzip: &[u8]) -> Vec<u8> {
    let mut begun = Vec::new();
    let read = GzDecoder::new(gzip).read_to_end(&mut begun);
    assert!(read.is_err(), "{begun:?}");
    begun
}

#[test]
fn what_comes_out_is_what_went_in() {
    let long: Vec<u8> = (0..1_000_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 28) as u8)
        .collect();
    for pieces in [1, 10, 1000] {
        let pieces = long.chunks(long.len() / pieces);
        let response = gzipped(text(pieces.map(|piece| Step::Data(piece.to_vec()))));
        let mut body = response.into_body();
        let mut all = Vec::new();
        // It lets others have their turn.
        loop {
            let (bytes, end) = drain(&mut body);
            all.extend(bytes);
            if end.is_ready() {
                assert_eq!(end, Poll::Ready(None));
                break;
            }
        }
        assert!(all.len() < long.len() * 3 / 4, "{}", all.len());
        assert_eq!(plain(&all), long);
    }
}

/// However long an answer is, little of it is held, and others on the thread have their turns.
#[test]
fn a_long_answer_goes_out_as_it_comes() {
    // What zlib makes nothing smaller of.
    let mut state = 1_u32;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    // No piece fills a turn.
    let pieces: Vec<Vec<u8>> = (0..100)
        .map(|_| (0..10_000).map(|_| noise()).collect())
        .collect();
    let mut body = gzipped(text(pieces.into_iter().map(Step::Data))).into_body();
    let mut cx = Context::from_waker(noop_waker_ref());
    let (mut turns, mut longest) = (0, 0);
    loop {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Pending => turns += 1,
            Poll::Ready(Some(frame)) => {
                let data = frame.unwrap().into_data().unwrap();
                longest = longest.max(data.len());
            }
            Poll::Ready(None) => break,
        }
    }
    assert_eq!(turns, 1_000_000 / TURN);
    assert!(longest < 200_000, "{longest}");
}

#[test]
fn what_was_written_is_sent_while_more_is_waited_for() {
    let steps = [
        Step::Data(b"first".to_vec()),
        Step::Wait,
        Step::Wait,
        Step::Wait,
        Step::Data(b"second".to_vec()),
    ];
    let mut body = gzipped(text(steps)).into_body();
    let (mut bytes, end) = drain(&mut body);
    assert!(end.is_pending());
    assert_eq!(begun(&bytes), b"first");
    // Nothing new: nothing to send.
    assert_eq!(drain(&mut body), (Vec::new(), Poll::Pending));
    let (rest, end) = drain(&mut body);
    bytes.extend(rest);
    assert_eq!(end, Poll::Ready(None));
    assert_eq!(plain(&bytes), b"firstsecond");
    assert!(body.is_end_stream());
}

#[test]
fn trailers_come_after_the_end() {
    let mut body = gzipped(text([Step::Data(b"a".to_vec()), Step::Trailers])).into_body();
    let (bytes, end) = drain(&mut body);
    assert_eq!(end, Poll::Ready(Some(Ok(()))));
    assert_eq!(plain(&bytes), b"a");
    assert_eq!(drain(&mut body), (Vec::new(), Poll::Ready(None)));
}

/// Whoever asks no more once an answer has ended still sees all of it.
#[test]
fn an_answer_has_ended_with_what_comes_last() {
    for (step, left) in [(None, 1), (Some(Step::Trailers), 2), (Some(Step::Fail), 2)] {
        let steps = [Some(Step::Data(b"a".to_vec())), step];
        let mut body = gzipped(text(steps.into_iter().flatten())).into_body();
        let mut cx = Context::from_waker(noop_waker_ref());
        let mut frames = 0;
        while !body.is_end_stream() {
            assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
            frames += 1;
        }
        assert_eq!(frames, left);
    }
}

#[test]
fn an_answer_that_breaks_off_stays_broken() {
    let mut body = gzipped(text([Step::Data(b"a".to_vec()), Step::Fail])).into_body();
    let (bytes, end) = drain(&mut body);
    let broke = Err("host-fault: it broke".to_owned());
    assert_eq!(end, Poll::Ready(Some(broke)));
    // As far as it came, and without gzip's end.
    assert_eq!(begun(&bytes), b"a");
}

#[test]
fn the_announced_length_is_that_of_what_came() {
    for (announced, expected) in [
        ("2000", None),
        (
            "2001",
            Some("guest-fault: the answer ended 1 bytes before its announced length"),
        ),
        (
            "1999",
            Some("guest-fault: the answer is longer than its announced length"),
        ),
    ] {
        let mut response = text([Step::Data(vec![b'a'; 2000])]);
        let length = HeaderValue::from_static(announced);
        response.headers_mut().insert(CONTENT_LENGTH, length);
        let response = gzipped(response);
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
        let (_, end) = drain(&mut response.into_body());
        let expected = expected.map(|text| Err(text.to_owned()));
        assert_eq!(end, Poll::Ready(expected), "{announced}");
    }
}

fn full(length: usize) -> Body {
    Full::new(Bytes::from(vec![b'a'; length]))
        .map_err(|never| match never {})
        .boxed_unsync()
}

#[test]
fn only_texts_of_some_length_are_compressed() {
    const TEXT: (&str, &str) = ("content-type", "text/html; charset=utf-8");
    for (fields, length, compressed, varies) in [
        (&[TEXT][..], 2000, true, true),
        (&[TEXT], 1024, true, true),
        (&[TEXT], 1023, false, true),
        (&[("content-type", "application/json")], 2000, true, true),
        (&[("content-type", "Application/LD+JSON")], 2000, true, true),
        (&[("content-type", "image/svg+xml")], 2000, true, true),
        (&[("content-type", "image/bmp")], 2000, true, true),
        (
            &[("content-type", "application/xhtml+xml")],
            2000,
            true,
            true,
        ),
        (&[("content-type", "application/wasm")], 2000, true, true),
        (&[("content-type", "font/ttf")], 2000, true, true),
        (&[("content-type", "font/woff2")], 2000, false, false),
        (&[("content-type", "application/zip")], 2000, false, false),
        (&[("content-type", "video/mp4")], 2000, false, false),
        (&[("content-type", "text")], 2000, false, false),
        (&[("content-type", "text/event-stream")], 2000, false, false),
        (&[("content-type", "image/png")], 2000, false, false),
        (
            &[("content-type", "application/octet-stream")],
            2000,
            false,
            false,
        ),
        (&[], 2000, false, false),
        (&[TEXT, ("content-encoding", "br")], 2000, false, false),
        (
            &[TEXT, ("content-range", "bytes 0-1999/5000")],
            2000,
            false,
            false,
        ),
        (
            &[TEXT, ("cache-control", "public, No-Transform")],
            2000,
            false,
            false,
        ),
        (&[TEXT, ("cache-control", "public")], 2000, true, true),
    ] {
        let response = compress(
            answer(fields, full(length)),
            &[Coding::Gzip],
            &Compressors::default(),
            None,
        );
        let headers = response.headers();
        let is = headers
            .get(CONTENT_ENCODING)
            .is_some_and(|coding| coding == "gzip");
        assert_eq!(is, compressed, "{fields:?} {length}");
        assert_eq!(headers.contains_key("vary"), varies, "{fields:?} {length}");
    }
    for status in [204, 205, 304] {
        let mut nothing = answer(&[TEXT], full(2000));
        *nothing.status_mut() = StatusCode::from_u16(status).unwrap();
        let nothing = compress(nothing, &[Coding::Gzip], &Compressors::default(), None);
        assert!(
            !nothing.headers().contains_key(CONTENT_ENCODING),
            "{status}"
        );
        assert!(!nothing.headers().contains_key("vary"), "{status}");
    }
    // What it announced counts where nobody knows how much will come.
    for (length, compressed) in [("1023", false), ("1024", true)] {
        let mut streamed = text([]);
        let length = HeaderValue::from_static(length);
        streamed.headers_mut().insert(CONTENT_LENGTH, length);
        let streamed = compress(streamed, &[Coding::Gzip], &Compressors::default(), None);
        let is = streamed.headers().contains_key(CONTENT_ENCODING);
        assert_eq!(is, compressed);
    }
    for codings in [&[][..], &[Coding::Brotli]] {
        let response = compress(
            answer(&[TEXT], full(2000)),
            codings,
            &Compressors::default(),
            None,
        );
        assert!(!response.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(response.headers()["vary"], "accept-encoding");
    }
}

#[test]
fn tags_become_weak() {
    for (tag, expected) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\"")] {
        let fields = [
            ("content-type", "text/plain"),
            ("etag", tag),
            ("accept-ranges", "bytes"),
        ];
        let response = gzipped(answer(&fields, full(2000)));
        assert_eq!(response.headers()[ETAG], expected);
        assert!(!response.headers().contains_key(ACCEPT_RANGES));
    }
}

#[test]
fn the_budget_is_charged_and_paid_back() {
    let budget = MemoryBudget::new(3 * Config::COMPRESSING);
    let compressors = Compressors::default();
    let text = || text([Step::Data(vec![b'a'; 2000])]);
    let compress = || {
        let response = compress(text(), &[Coding::Gzip], &compressors, Some(&budget));
        let is = response.headers().contains_key(CONTENT_ENCODING);
        (response, is)
    };
    let (first, is) = compress();
    assert!(is);
    assert_eq!(budget.used(), Config::COMPRESSING);
    // Calls need the other half.
    let (second, is) = compress();
    assert!(is);
    assert!(!compress().1);
    drop((first, second));
    assert_eq!(budget.used(), 0);
}

#[test]
fn the_budget_may_be_half_used_and_must_have_room() {
    let is = |budget: &Arc<MemoryBudget>| {
        let text = text([Step::Data(vec![b'a'; 2000])]);
        let response = compress(text, &[Coding::Gzip], &Compressors::default(), Some(budget));
        response.headers().contains_key(CONTENT_ENCODING)
    };
    let budget = MemoryBudget::new(2 * Config::COMPRESSING);
    let mut used = budget.empty_reservation();
    assert!(used.grow(Config::COMPRESSING));
    assert!(is(&budget));
    assert!(used.grow(1));
    assert!(!is(&budget));
    let small = MemoryBudget::new(Config::COMPRESSING - 1);
    assert!(!is(&small));
    assert_eq!(small.used(), 0);
}

#[test]
fn there_are_so_many_at_once() {
    let compressors = Compressors::default();
    let compress = || {
        let text = text([Step::Data(vec![b'a'; 2000])]);
        compress(text, &[Coding::Gzip], &compressors, None)
    };
    let all: Vec<_> = (0..AT_ONCE).map(|_| compress()).collect();
    let is = |response: &Response<Body>| response.headers().contains_key(CONTENT_ENCODING);
    assert!(all.iter().all(is));
    assert!(!is(&compress()));
    drop(all);
    assert!(is(&compress()));
}
