//! The load: a number of connections, each of which sends its next request when it has read the
//! last one's answer, for a fixed time.
//!
//! All of it runs on the one thread that calls it, because the servers need the other cores; it
//! says how much of that thread it took.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::answer::{self, Failure};
use crate::stats::percentile;

/// How much longer an answer may be than its body should be, in bytes.
const SURPLUS: usize = 64 << 10;
/// How long a connection or the last answers may take beyond the measured time.
const PATIENCE: Duration = Duration::from_secs(30);

/// One measurement.
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    /// What is asked for, one after the other on each connection, each of which begins with
    /// another one.
    pub(crate) hosts: &'a [String],
    pub(crate) exchange: Exchange<'a>,
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

/// What is asked, and what must come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) path: &'a str,
    /// The body of a `POST`; without one it is a `GET`.
    pub(crate) upload: Option<&'a [u8]>,
    /// What every answer's body must be.
    pub(crate) answer: &'a [u8],
}

impl Exchange<'_> {
    fn request(&self, host: &str) -> Vec<u8> {
        let path = self.path;
        let fields = format!("Host: {host}\r\nUser-Agent: strand-bench\r\nAccept: */*\r\n");
        match self.upload {
            None => format!("GET {path} HTTP/1.1\r\n{fields}\r\n").into_bytes(),
            Some(body) => {
                let length = body.len();
                let head =
                    format!("POST {path} HTTP/1.1\r\n{fields}Content-Length: {length}\r\n\r\n");
                [head.as_bytes(), body].concat()
            }
        }
    }
}

/// What a measurement found. Latencies in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// In the measured time.
    pub(crate) requests_per_second: f64,
    /// From before the request is written until the answer is read.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    /// Answers in all, those of the warm-up included.
    pub(crate) answers: u64,
    /// What the whole measurement took, warm-up included.
    pub(crate) elapsed: Duration,
    /// CPU time of the load itself.
    pub(crate) own_cpu: Duration,
}

/// Why a measurement does not count: not every answer was what it should have been.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Void {
    #[error("an answer had the status {0}")]
    Status(u16),
    #[error("an answer had another body than the others")]
    Body,
    #[error(transparent)]
    Answer(#[from] Failure),
    #[error("a connection failed: {0}")]
    Connection(#[from] io::Error),
    #[error("some answers did not come within {PATIENCE:?} after the end")]
    Stalled,
    #[error("there was no answer in the measured time")]
    Silent,
}

/// When things happen, the same for all connections.
#[derive(Clone, Copy)]
struct Schedule {
    begin: Instant,
    end: Instant,
}

/// What one connection saw.
struct Seen {
    /// Nanoseconds of each answer that came in the measured time.
    latencies: Vec<u64>,
    answers: u64,
}

/// Measures a server.
///
/// # Errors
/// When any answer, of the warm-up too, was not the one expected.
pub(crate) async fn run(load: &Load<'_>) -> Result<Measured, Void> {
    let streams = connect(load).await?;
    let requests = load.hosts.iter().map(|host| load.exchange.request(host));
    let requests: Arc<[Vec<u8>]> = requests.collect();
    let answer: Arc<[u8]> = load.exchange.answer.into();

    let cpu = thread_cpu();
    let start = Instant::now();
    let begin = start + load.warm_up;
    let schedule = Schedule {
        begin,
        end: begin + load.window,
    };
    let mut tasks = JoinSet::new();
    for (index, stream) in streams.into_iter().enumerate() {
        tasks.spawn(connection(
            stream,
            Arc::clone(&requests),
            index,
            Arc::clone(&answer),
            schedule,
        ));
    }
    let mut latencies = Vec::new();
    let mut answers = 0;
    let collect = async {
        while let Some(joined) = tasks.join_next().await {
            // A task ends otherwise only when it panics or is aborted, and nobody aborts it.
            let seen = joined.map_err(io::Error::other)??;
            latencies.extend(seen.latencies);
            answers += seen.answers;
        }
        Ok::<_, Void>(())
    };
    let deadline = schedule.end + PATIENCE;
    tokio::time::timeout_at(deadline.into(), collect)
        .await
        .map_err(|_elapsed| Void::Stalled)??;
    let elapsed = start.elapsed();
    let own_cpu = thread_cpu().saturating_sub(cpu);

    latencies.sort_unstable();
    let at = |share| percentile(&latencies, share).ok_or(Void::Silent);
    Ok(Measured {
        requests_per_second: latencies.len() as f64 / load.window.as_secs_f64(),
        p50: at(0.5)?,
        p99: at(0.99)?,
        answers,
        elapsed,
        own_cpu,
    })
}

/// Opens all connections before the first request: accepting them is not what is measured.
async fn connect(load: &Load<'_>) -> Result<Vec<TcpStream>, Void> {
    let mut streams = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        let stream = tokio::time::timeout(PATIENCE, TcpStream::connect(load.address))
            .await
            .map_err(|_elapsed| Void::Stalled)??;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    Ok(streams)
}

async fn connection(
    mut stream: TcpStream,
    requests: Arc<[Vec<u8>]>,
    first: usize,
    answer: Arc<[u8]>,
    schedule: Schedule,
) -> Result<Seen, Void> {
    let mut buffer = Vec::with_capacity(8 << 10);
    let mut seen = Seen {
        latencies: Vec::with_capacity(1 << 16),
        answers: 0,
    };
    let mut sent = Instant::now();
    let mut requests = requests.iter().cycle().skip(first);
    while sent < schedule.end
        && let Some(request) = requests.next()
    {
        stream.write_all(request).await?;
        read_answer(&mut stream, &mut buffer, &answer).await?;
        let now = Instant::now();
        if (schedule.begin..schedule.end).contains(&now) {
            let latency = now.duration_since(sent).as_nanos();
            seen.latencies
                .push(u64::try_from(latency).unwrap_or(u64::MAX));
        }
        seen.answers += 1;
        sent = now;
    }
    Ok(seen)
}

/// Reads one answer and compares it with what it should be.
async fn read_answer(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    expected: &[u8],
) -> Result<(), Void> {
    let mut rest = Some(expected);
    let status = answer::read(stream, buffer, expected.len() + SURPLUS, |piece| {
        rest = rest.and_then(|rest| rest.strip_prefix(piece));
    })
    .await?;
    if status != 200 {
        return Err(Void::Status(status));
    }
    if rest != Some(&[]) {
        return Err(Void::Body);
    }
    Ok(())
}

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    cpu(ClockId::ThreadCPUTime)
}

/// CPU time of all threads of this process.
pub(crate) fn process_cpu() -> Duration {
    cpu(ClockId::ProcessCPUTime)
}

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // A clock that counts from zero is never negative.
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers with each of `answers` in turn, on every connection, and then hangs
    /// up; or for ever with the last one.
    async fn server(answers: &'static [&'static str], forever: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let mut next = answers.iter();
                    let mut last = "";
                    while stream.read(&mut request).await.is_ok_and(|n| n > 0) {
                        match next.next() {
                            Some(answer) => last = answer,
                            None if forever => {}
                            None => return,
                        }
                        stream.write_all(last.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn measure(answers: &'static [&'static str], forever: bool) -> Result<Measured, Void> {
        let address = server(answers, forever).await;
        run(&Load {
            address,
            hosts: &["a.example".to_owned()],
            exchange: HI,
            connections: 3,
            warm_up: Duration::from_millis(20),
            window: Duration::from_millis(80),
        })
        .await
    }

    const HI: Exchange<'static> = Exchange {
        path: "/",
        upload: None,
        answer: b"hi",
    };
    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

    #[tokio::test]
    async fn hosts_are_asked_in_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            let mut request = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut request).await {
                let text = String::from_utf8_lossy(&request[..length]);
                let host = text.split("Host: ").nth(1).unwrap();
                asked.push(host.split("\r\n").next().unwrap().to_owned());
                stream.write_all(GOOD.as_bytes()).await.unwrap();
            }
            asked
        });
        run(&Load {
            address,
            hosts: &["a", "b", "c"].map(str::to_owned),
            exchange: HI,
            connections: 1,
            warm_up: Duration::ZERO,
            window: Duration::from_millis(50),
        })
        .await
        .unwrap();
        let asked = asked.await.unwrap();
        assert!(asked.len() > 3, "{asked:?}");
        for (index, host) in asked.iter().enumerate() {
            assert_eq!(host, ["a", "b", "c"][index % 3]);
        }
    }

    #[test]
    fn a_request_says_what_it_brings() {
        let exchange = Exchange {
            path: "/up",
            upload: Some(b"four"),
            ..HI
        };
        let fields = "Host: h\r\nUser-Agent: strand-bench\r\nAccept: */*\r\n";
        assert_eq!(
            String::from_utf8(exchange.request("h")).unwrap(),
            format!("POST /up HTTP/1.1\r\n{fields}Content-Length: 4\r\n\r\nfour")
        );
        assert_eq!(
            String::from_utf8(HI.request("h")).unwrap(),
            format!("GET / HTTP/1.1\r\n{fields}\r\n")
        );
    }

    #[tokio::test]
    async fn answers_are_counted_and_timed() {
        let measured = measure(&[GOOD], true).await.unwrap();
        let counted = measured.requests_per_second * 0.08;
        assert!(
            counted >= 1.0 && counted < measured.answers as f64,
            "{measured:?}"
        );
        assert!(
            0 < measured.p50 && measured.p50 <= measured.p99,
            "{measured:?}"
        );
        assert!(
            measured.elapsed >= Duration::from_millis(100),
            "{measured:?}"
        );
        assert!(measured.own_cpu > Duration::ZERO, "{measured:?}");
    }

    #[tokio::test]
    async fn one_wrong_answer_makes_a_measurement_void() {
        const OTHER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nho";
        const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nh";
        const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nhi";
        const TWO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP";
        const MUTE: &str = "HTTP/1.1 200 OK\r\n\r\nhi";
        for (answer, why) in [
            (OTHER, "an answer had another body than the others"),
            (SHORT, "an answer had another body than the others"),
            (BUSY, "an answer had the status 503"),
            (TWO, "something came after an answer"),
            (MUTE, "an answer that does not say how long it is"),
        ] {
            // The answers live as long as the test's servers, which nobody stops.
            let answers: &'static [&'static str] = Box::leak(Box::new([GOOD, answer, GOOD]));
            let void = measure(answers, true).await.unwrap_err();
            assert_eq!(void.to_string(), why);
        }
        let void = measure(&[GOOD, GOOD], false).await.unwrap_err();
        assert_eq!(void.to_string(), "connection closed");
    }
}
