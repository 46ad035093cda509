//! What a client may make the gateway do.

use std::time::Duration;

use ipnet::IpNet;

/// Limits of the gateway, for all its connections. Time limits are checked a few
/// times in their own length: they take effect up to a quarter of the shortest one
/// later than they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of a request's line and header fields; 32 KiB by default. More is a 431.
    /// As many of its trailers; more is a 400.
    pub header_bytes: usize,
    /// Header fields of a request; 100 by default. More is a 431. Another value than
    /// 100 costs HTTP/1.1 requests an allocation.
    pub header_fields: usize,
    /// Time from a connection's or a request's first byte to the end of the header,
    /// also from a connection's start to its first byte; 10 seconds by default. Over
    /// HTTP/2 it is kept up to the first request: a client that has sent none by then
    /// is told to go, and cut after as long again. Of the header of a later request,
    /// which hyper reads, it does not see the beginning; while a header is not whole
    /// no answer to a ping can come, so that it has `ping_interval` and
    /// `ping_timeout`.
    pub header_timeout: Duration,
    /// Time between two requests of a connection; 60 seconds by default.
    pub idle_timeout: Duration,
    /// Time without a byte of a request's body while its function wants one; 30
    /// seconds by default. More is a 400.
    pub body_timeout: Duration,
    /// Bytes a second of a request's body, over all the time that its function
    /// waited for it, once that is more than `body_timeout`; 128 by default. Less is
    /// a 400.
    pub body_rate: u64,
    /// Time in which the client acknowledges nothing of what was sent, or has no room
    /// for what there is to send; 60 seconds by default. The kernel watches this (it
    /// is TCP's user time-out: RFC 5482), because only it sees a client that takes
    /// its answer slowly but takes it. Of an HTTP/2 stream: time for 128 KiB. Then
    /// the connection, or the stream, is cut.
    pub write_timeout: Duration,
    /// Connections that are open at once; 10,000 by default. Beyond that none is
    /// accepted: clients wait in the kernel's queue, and cost nothing there, until a
    /// connection ends. An answer would need their request to be read. There are never
    /// more than the process may have descriptors, less [`Config::DESCRIPTORS`] or
    /// half of them, whichever is less.
    pub max_connections: usize,
    /// Streams of an HTTP/2 connection at once; 128 by default. Each may have 64 KiB
    /// of a request's body that nobody has read, and the connection as much as all of
    /// them: no body that is not read keeps another one from coming.
    pub max_streams: u32,
    /// Time between two pings of an HTTP/2 connection; 20 seconds by default.
    pub ping_interval: Duration,
    /// Time for the answer to a ping before the connection is closed; 20 seconds by
    /// default.
    pub ping_timeout: Duration,
    /// Networks of proxies that are believed what they say of their clients, in
    /// `x-forwarded-for` and `x-forwarded-proto`; none by default.
    pub trusted_proxies: Vec<IpNet>,
    /// Time for requests in flight to end when the node drains; 30 seconds by
    /// default. Then they are cut.
    pub drain_deadline: Duration,
}

impl Config {
    /// Descriptors that are left to what is no connection of a client's: files and
    /// blobs that are sent, functions' own connections, listeners, memory. Files that
    /// are sent may take half of them.
    pub const DESCRIPTORS: u64 = 512;

    /// What a request holds of the node's memory budget, from its header to the last
    /// byte of its answer: 192 KiB. Of HTTP/2, 128 KiB of the answer that wait for
    /// the client and 64 KiB of the request that wait for the function; of HTTP/1.1,
    /// a buffer of 64 KiB each way and 64 KiB of a file.
    pub const IN_FLIGHT: u64 = 192 << 10;

    /// What compressing an answer takes of the budget beside that: 320 KiB, of which
    /// zlib's state is most. Answers go out as they are while there is no room for it.
    pub const COMPRESSING: u64 = 320 << 10;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            header_bytes: 32 << 10,
            header_fields: 100,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            body_rate: 128,
            write_timeout: Duration::from_secs(60),
            max_connections: 10_000,
            max_streams: 128,
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(20),
            trusted_proxies: Vec::new(),
            drain_deadline: Duration::from_secs(30),
        }
    }
}
