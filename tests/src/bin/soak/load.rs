//! A steady load: requests at fixed times, whether or not the ones before were answered.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections, each of which sends a request every so often: 500 a second.
const CONNECTIONS: u32 = 50;
const EVERY: Duration = Duration::from_millis(100);

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nhost: t\r\n\r\n";
const END: &[u8] = b"Hello from WASI 0.2!\n";

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    answers: usize,
    p50: Duration,
    pub(crate) p99: Duration,
    most: Duration,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            answers,
            p50,
            p99,
            most,
        } = self;
        write!(
            f,
            "{answers} answers, p50 {p50:.2?}, p99 {p99:.2?}, at most {most:.2?}"
        )
    }
}

/// Asks for `/hello` for a time.
pub(crate) async fn run(address: SocketAddr, window: Duration) -> Measured {
    let mut connections = JoinSet::new();
    // All are there before the first request.
    let begin = Instant::now() + Duration::from_secs(1);
    for number in 0..CONNECTIONS {
        let begin = begin + EVERY * number / CONNECTIONS;
        connections.spawn(ask(address, begin, begin + window));
    }
    let mut times = connections.join_all().await.concat();
    times.sort_unstable();
    let at = |share: f64| times[(times.len() as f64 * share) as usize];
    Measured {
        answers: times.len(),
        p50: at(0.50),
        p99: at(0.99),
        most: times[times.len() - 1],
    }
}

/// Asks over one connection, and how long each answer took.
async fn ask(address: SocketAddr, begin: Instant, end: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut times = Vec::new();
    let mut due = begin;
    let mut answer = Vec::new();
    while due < end {
        // One that has to wait for the answer before it has waited since it was due. Else the
        // time begins when it is sent: the timer's own delay is no delay of the server's.
        let late = Instant::now() > due;
        tokio::time::sleep_until(due.into()).await;
        let since = if late { due } else { Instant::now() };
        stream.write_all(REQUEST).await.unwrap();
        answer.clear();
        while !answer.ends_with(END) {
            let read = stream.read_buf(&mut answer).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        }
        times.push(since.elapsed());
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
        due += EVERY;
    }
    times
}
