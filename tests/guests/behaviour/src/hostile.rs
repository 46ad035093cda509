//! What the hostile guests over HTTP can be asked to do.

use crate::target::{Target, Url, parsed};

/// How often something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Until somebody stops it.
    Endless,
    /// So many times.
    Times(u64),
}

impl Count {
    /// The rounds of this count.
    pub fn rounds(self) -> impl Iterator<Item = u64> {
        // Nobody lives to see the end of the first one.
        0..match self {
            Count::Endless => u64::MAX,
            Count::Times(times) => times,
        }
    }
}

/// What the path asks a hostile guest to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hostile {
    /// `/spin`: computes for ever.
    Spin,
    /// `/alloc`: takes memory, touching it, until that fails, and fails then.
    Alloc,
    /// `/alloc-polite`: takes memory until that is refused, then answers 200 with the bytes it got.
    AllocPolite,
    /// `/recurse`: calls itself, using nothing but the stack of WebAssembly.
    Recurse,
    /// `/flood-stdout?n=N`: so many lines, then 200; without `n` lines without end.
    FloodStdout(Count),
    /// `/flood-stderr?n=N`: as above.
    FloodStderr(Count),
    /// `/flood-log?n=N`: as above, through `wasi:logging`.
    FloodLog(Count),
    /// `/flood-headers?n=N`: so many response fields of a kilobyte; without `n`, or beyond what the
    /// host takes, all that it takes. The body says how many and why no more. (In 0.2 there is no
    /// error for fields that are too large: Wasmtime ends the guest.)
    FloodHeaders(Count),
    /// `/handles`: makes fields and keeps them, without end.
    Handles,
    /// `/keep-headers`: makes sets of fields of 100 KiB each and keeps them, until one is refused;
    /// then says how many there are. (In 0.2 Wasmtime ends the guest instead.)
    KeepHeaders,
    /// `/never-read`: answers without a look at the request's body.
    NeverRead,
    /// `/never-read-hold`: takes the request's body, reads nothing and sleeps for ever.
    NeverReadHold,
    /// `/never-finish`: begins an answer and never ends it.
    NeverFinish,
    /// `/sleep-forever`: sleeps without an answer.
    SleepForever,
    /// `/linger`: answers in full, and sleeps for ever after that.
    Linger,
    /// `/open-connections?url=U&n=N`: sends so many requests (256) before it waits for the first
    /// answer, and holds all answers; then says as JSON how many ended in which way.
    OpenConnections {
        /// Where to.
        url: Url,
        /// How many.
        n: u64,
    },
    /// `/trap-before`: a trap instead of an answer.
    TrapBefore,
    /// `/trap-middle`: a trap after [`Hostile::HALF`] bytes of the body; with `?declared` the answer
    /// has promised twice as many in its `content-length`.
    TrapMiddle {
        /// Whether there is a `content-length`.
        declared: bool,
    },
    /// `/drop-body`: ends the body after [`Hostile::HALF`] bytes as not whole; `?declared` as above.
    DropBody {
        /// Whether there is a `content-length`.
        declared: bool,
    },
    /// `/call-self?function=F`: calls `http://F.strand.internal/call-self?function=F` (`hostile`)
    /// and passes the answer on with the field `depth` one higher; if there is none, that field is
    /// 0 and the body the error code's name.
    CallSelf {
        /// Its own name.
        function: String,
    },
    /// `/no-answer`: returns without an answer (0.2), or with an error instead of one (0.3).
    NoAnswer,
    /// `/bad-content-length?declared=D&sent=S`: promises D bytes (10) and sends S (5).
    BadContentLength {
        /// What the field says.
        declared: u64,
        /// What is sent.
        sent: u64,
    },
    /// `/bad-status?code=N`: answers with this status (101); if the host refuses it, with 200 and
    /// `refused`.
    BadStatus(u16),
    /// `/huge-buffer?size=N`: hands the host so many bytes (64 MiB) in one call, as a field's value.
    HugeBuffer(usize),
    /// `/random-flood?size=N`: asks for so many random bytes (65536) at once, without end.
    RandomFlood(u64),
    /// `/poll-flood`: waits for the clock in ever more ways at once, without end.
    PollFlood,
    /// `/exit`: ends as a program would, with 3.
    Exit,
}

impl Hostile {
    /// Bytes of each set of fields that is kept.
    pub const KEPT: usize = 100 << 10;
    /// Bytes of an answer that is not ended well.
    pub const HALF: u64 = 64 << 10;

    /// What a request's path and query ask for.
    ///
    /// # Errors
    /// A sentence that says what is wrong with them.
    pub fn new(path_with_query: &str) -> Result<Self, String> {
        let target = Target::new(path_with_query);
        let (first, rest) = target.split();
        if !rest.is_empty() {
            return Err(format!("`{first}` takes no further path"));
        }
        let count = || {
            let times = target.parsed("n")?;
            Ok::<_, String>(times.map_or(Count::Endless, Count::Times))
        };
        let declared = target.value("declared").is_some();
        Ok(match first {
            "spin" => Hostile::Spin,
            "alloc" => Hostile::Alloc,
            "alloc-polite" => Hostile::AllocPolite,
            "recurse" => Hostile::Recurse,
            "flood-stdout" => Hostile::FloodStdout(count()?),
            "flood-stderr" => Hostile::FloodStderr(count()?),
            "flood-log" => Hostile::FloodLog(count()?),
            "flood-headers" => Hostile::FloodHeaders(count()?),
            "handles" => Hostile::Handles,
            "keep-headers" => Hostile::KeepHeaders,
            "never-read" => Hostile::NeverRead,
            "never-read-hold" => Hostile::NeverReadHold,
            "never-finish" => Hostile::NeverFinish,
            "sleep-forever" => Hostile::SleepForever,
            "linger" => Hostile::Linger,
            "open-connections" => Hostile::OpenConnections {
                url: parsed("url", &target.value("url").ok_or("`url` is missing")?)?,
                n: target.parsed("n")?.unwrap_or(256),
            },
            "trap-before" => Hostile::TrapBefore,
            "trap-middle" => Hostile::TrapMiddle { declared },
            "drop-body" => Hostile::DropBody { declared },
            "call-self" => Hostile::CallSelf {
                function: target.value("function").unwrap_or("hostile".to_owned()),
            },
            "no-answer" => Hostile::NoAnswer,
            "bad-content-length" => Hostile::BadContentLength {
                declared: target.parsed("declared")?.unwrap_or(10),
                sent: target.parsed("sent")?.unwrap_or(5),
            },
            "bad-status" => Hostile::BadStatus(target.parsed("code")?.unwrap_or(101)),
            "huge-buffer" => Hostile::HugeBuffer(target.parsed("size")?.unwrap_or(64 << 20)),
            "random-flood" => Hostile::RandomFlood(target.parsed("size")?.unwrap_or(64 << 10)),
            "poll-flood" => Hostile::PollFlood,
            "exit" => Hostile::Exit,
            _ => return Err(format!("there is no attack `{first}`")),
        })
    }

    /// The address at which a function calls itself.
    ///
    /// # Errors
    /// When `function` cannot be a part of an address.
    pub fn own_url(function: &str) -> Result<Url, String> {
        let url = format!("http://{function}.strand.internal/call-self?function={function}");
        parsed("function", &url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile(path: &str) -> Hostile {
        Hostile::new(path).unwrap()
    }

    #[test]
    fn defaults_and_values() {
        assert_eq!(hostile("/spin"), Hostile::Spin);
        assert_eq!(hostile("/flood-log"), Hostile::FloodLog(Count::Endless));
        assert_eq!(
            hostile("/flood-log?n=7"),
            Hostile::FloodLog(Count::Times(7))
        );
        let declared = false;
        assert_eq!(hostile("/trap-middle"), Hostile::TrapMiddle { declared });
        let declared = true;
        assert_eq!(
            hostile("/drop-body?declared"),
            Hostile::DropBody { declared }
        );
        let (declared, sent) = (10, 5);
        assert_eq!(
            hostile("/bad-content-length"),
            Hostile::BadContentLength { declared, sent }
        );
        let (declared, sent) = (5, 11);
        assert_eq!(
            hostile("/bad-content-length?declared=5&sent=11"),
            Hostile::BadContentLength { declared, sent }
        );
        let function = "hostile".to_owned();
        assert_eq!(hostile("/call-self"), Hostile::CallSelf { function });
    }

    #[test]
    fn its_own_address() {
        let url = Hostile::own_url("evil").unwrap();
        assert_eq!(url.authority, "evil.strand.internal");
        assert_eq!(url.path_with_query, "/call-self?function=evil");
        assert_eq!(
            Hostile::new(&url.path_with_query),
            Ok(Hostile::CallSelf {
                function: "evil".to_owned()
            })
        );
        assert!(Hostile::own_url("a b").is_err());
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let error = |path: &str| Hostile::new(path).unwrap_err();
        assert_eq!(error("/nothing"), "there is no attack `nothing`");
        assert_eq!(error("/spin/5"), "`spin` takes no further path");
        assert_eq!(error("/open-connections"), "`url` is missing");
        assert_eq!(error("/flood-log?n=-1"), "`n` cannot be `-1`");
    }

    #[test]
    fn counts_end_where_they_should() {
        assert_eq!(Count::Times(0).rounds().count(), 0);
        assert_eq!(Count::Times(3).rounds().count(), 3);
        assert_eq!(Count::Endless.rounds().take(5).count(), 5);
    }
}
