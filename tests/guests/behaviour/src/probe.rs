//! What the probes can be asked to do.

use std::time::Duration;

use crate::blob::Blob;
use crate::target::{Target, Url, parsed};

/// What the path asks a probe to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// `/echo`: the request's body and trailers back, as they come.
    Echo,
    /// `/headers`: the request's method, target and header fields as JSON.
    Headers,
    /// `/status/N`: an empty answer with this status.
    Status(u16),
    /// `/bytes/N`: a body of [`Pattern`](crate::Pattern), streamed; with `?declared` it has a
    /// `content-length`.
    Bytes {
        /// How many.
        count: u64,
        /// Whether the answer tells so in advance.
        declared: bool,
    },
    /// `/sleep/MS`: answers after so long.
    Sleep(Duration),
    /// `/spin/MS`: computes for so long, by the clock, and then answers.
    Spin(Duration),
    /// `/work/N`: computes so many rounds, however long that takes, and then answers.
    Work(u64),
    /// `/env`: the environment as JSON.
    Env,
    /// `/config`: all of `wasi:config` as JSON; with `?key=K` what there is for one key.
    Config(Option<String>),
    /// `/log/N`: so many lines through `wasi:logging`, of all levels in turn.
    Log(u64),
    /// `/stdout/N`: so many lines.
    Stdout(u64),
    /// `/stderr/N`: so many lines.
    Stderr(u64),
    /// `/fetch?url=U`, or `/call/FUNCTION/REST?QUERY` for
    /// `http://FUNCTION.strand.internal/REST?QUERY`: sends the request's method and body there and
    /// gives the answer's status (also in the field `fetched-status`), body and trailers back; or
    /// 502 with the error code's name.
    Fetch(Url),
    /// `/blob/…`, see [`Blob`].
    Blob(Blob),
    /// `/count`: how many of these the instance has answered, this one included.
    Count,
    /// `/random`: 32 random bytes in hexadecimal.
    Random,
    /// `/clock`: the clocks as JSON, in nanoseconds.
    Clock,
}

impl Probe {
    /// What a request's path and query ask for.
    ///
    /// # Errors
    /// A sentence that says what is wrong with them.
    pub fn new(path_with_query: &str) -> Result<Self, String> {
        let target = Target::new(path_with_query);
        let (first, rest) = target.split();
        let milliseconds = || parsed("milliseconds", rest).map(Duration::from_millis);
        Ok(match first {
            "echo" => Probe::Echo,
            "headers" => Probe::Headers,
            "status" => Probe::Status(parsed("status", rest)?),
            "bytes" => Probe::Bytes {
                count: parsed("count", rest)?,
                declared: target.value("declared").is_some(),
            },
            "sleep" => Probe::Sleep(milliseconds()?),
            "spin" => Probe::Spin(milliseconds()?),
            "work" => Probe::Work(parsed("rounds", rest)?),
            "env" => Probe::Env,
            "config" => Probe::Config(target.value("key")),
            "log" => Probe::Log(parsed("lines", rest)?),
            "stdout" => Probe::Stdout(parsed("lines", rest)?),
            "stderr" => Probe::Stderr(parsed("lines", rest)?),
            "fetch" => {
                let url = target.value("url").ok_or("`url` is missing")?;
                Probe::Fetch(url.parse().map_err(|error| format!("{error}"))?)
            }
            "call" => Probe::Fetch(function(rest, target.raw_query())?),
            "blob" => Probe::Blob(Blob::new(rest, &target)?),
            "count" => Probe::Count,
            "random" => Probe::Random,
            "clock" => Probe::Clock,
            _ => return Err(format!("there is no probe `{first}`")),
        })
    }
}

/// The address of another function.
fn function(path: &str, query: &str) -> Result<Url, String> {
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    let mark = if query.is_empty() { "" } else { "?" };
    format!("http://{name}.strand.internal/{rest}{mark}{query}")
        .parse()
        .map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(path: &str) -> Probe {
        Probe::new(path).unwrap()
    }

    fn url(https: bool, authority: &str, path_with_query: &str) -> Url {
        Url {
            https,
            authority: authority.to_owned(),
            path_with_query: path_with_query.to_owned(),
        }
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(probe("/echo"), Probe::Echo);
        assert_eq!(probe("/status/204"), Probe::Status(204));
        let count = 1 << 40;
        let declared = true;
        assert_eq!(
            probe("/bytes/1099511627776?declared"),
            Probe::Bytes { count, declared }
        );
        assert_eq!(
            probe("/sleep/1500"),
            Probe::Sleep(Duration::from_millis(1500))
        );
        assert_eq!(probe("/work/5000000"), Probe::Work(5_000_000));
        assert_eq!(probe("/config"), Probe::Config(None));
        assert_eq!(
            probe("/config?key=a%20b"),
            Probe::Config(Some("a b".to_owned()))
        );
    }

    #[test]
    fn addresses() {
        assert_eq!(
            probe("/fetch?url=https://a.example:8443/x%3Fy%3D1%26z"),
            Probe::Fetch(url(true, "a.example:8443", "/x?y=1&z"))
        );
        assert_eq!(
            probe("/fetch?url=http://a.example"),
            Probe::Fetch(url(false, "a.example", "/"))
        );
        assert_eq!(
            probe("/call/other/bytes/9?declared"),
            Probe::Fetch(url(false, "other.strand.internal", "/bytes/9?declared"))
        );
        assert_eq!(
            probe("/call/other"),
            Probe::Fetch(url(false, "other.strand.internal", "/"))
        );
    }

    #[test]
    fn blobs() {
        let pair = |container: &str, object: &str| (container.to_owned(), object.to_owned());
        assert_eq!(
            probe("/blob/read/c/a/b%2F..%2Fc+=&?start=5"),
            Probe::Blob(Blob::Read {
                container: "c".to_owned(),
                object: "a/b/../c+=&".to_owned(),
                start: 5,
                end: u64::MAX,
                whole: false,
            })
        );
        assert_eq!(
            probe("/blob/info/c"),
            Probe::Blob(Blob::ContainerInfo("c".to_owned()))
        );
        assert_eq!(
            probe("/blob/move/c/o?object=p&container=d"),
            Probe::Blob(Blob::Move {
                from: pair("c", "o"),
                to: pair("d", "p"),
            })
        );
        assert_eq!(
            probe("/blob/delete-all/c?name=a&name=b"),
            Probe::Blob(Blob::DeleteAll(
                "c".to_owned(),
                vec!["a".to_owned(), "b".to_owned()]
            ))
        );
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let error = |path: &str| Probe::new(path).unwrap_err();
        assert_eq!(error("/"), "there is no probe ``");
        assert_eq!(error("/status/ok"), "`status` cannot be `ok`");
        assert_eq!(error("/fetch"), "`url` is missing");
        assert_eq!(
            error("/fetch?url=ftp://a/"),
            "`ftp://a/` is no http: or https: address"
        );
        assert_eq!(
            error("/blob/read/c"),
            "`/blob/read/CONTAINER/OBJECT` lacks the object"
        );
        assert_eq!(
            error("/blob/list/"),
            "`/blob/OPERATION/CONTAINER` lacks the container"
        );
        assert_eq!(error("/blob/copy/c/o?container=d"), "`object` is missing");
    }
}
