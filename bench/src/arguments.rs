//! The command line.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Result, bail};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Measures Strand side by side with the peers that are installed.

cargo xtask bench [NAME] [OPTIONS]

NAME (all of them, one after the other, without a name)
  http     hello world over HTTP: requests a second, latency, CPU time of the server
  bodies   the same with small and large bodies, in both directions
  start    from exec to the first answer; an instance, and a call, in process; memory
  reads    simulated sequencing reads of E. coli, exact and windowed, against wgsim
  noise    latency of a function that needs 5 ms, alone and beside others that take all they can
  density  a node with many apps: its start, its memory, first requests; the first time all of
           them are compiled, which takes minutes

OPTIONS
  --install-peers     install first what is missing of the peers (wasmtime takes a while to
                      compile), and the genome for `reads`
  --rounds N          interleaved rounds of `http`, `bodies` and `reads` [5]
  --seconds N         what one measurement takes, after a second or two of warming up
                      [`http` and `bodies` 5, `noise` 60]
  --connections LIST  numbers of connections of `http` [1,32,256,1024]
  --apps N            apps of `density` [1000]
  --help              this text

Figures go to the standard output and, as JSON, to target/bench/NAME.json.";

/// A thing to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bench {
    Http,
    Bodies,
    Start,
    Reads,
    Noise,
    Density,
}

/// All of them, in the order in which they run.
const ALL: [Bench; 6] = [
    Bench::Http,
    Bench::Bodies,
    Bench::Start,
    Bench::Reads,
    Bench::Noise,
    Bench::Density,
];

impl Bench {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Bodies => "bodies",
            Self::Start => "start",
            Self::Reads => "reads",
            Self::Noise => "noise",
            Self::Density => "density",
        }
    }
}

/// Options of some, and whose they are.
const OPTIONS: [(&str, &[Bench]); 4] = [
    ("--rounds", &[Bench::Http, Bench::Bodies, Bench::Reads]),
    ("--seconds", &[Bench::Http, Bench::Bodies, Bench::Noise]),
    ("--connections", &[Bench::Http]),
    ("--apps", &[Bench::Density]),
];

/// What one measurement takes unless something else is asked for.
pub(crate) const HTTP_WINDOW: Duration = Duration::from_secs(5);
pub(crate) const NOISE_WINDOW: Duration = Duration::from_secs(60);

/// Numbers of connections that are measured unless others are asked for.
pub(crate) const CONNECTIONS: [usize; 4] = [1, 32, 256, 1024];
/// Most connections at once: each takes a port of this machine's.
const MOST_CONNECTIONS: usize = 10_000;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) benches: Vec<Bench>,
    pub(crate) install_peers: bool,
    /// Interleaved rounds.
    pub(crate) rounds: usize,
    /// What one measurement of `http`, `bodies` and `noise` takes, if that is said.
    pub(crate) window: Option<Duration>,
    /// Numbers of connections, each of which is measured; each once.
    pub(crate) connections: Vec<usize>,
    /// Apps of a node, two or more: what one adds is what is looked for.
    pub(crate) apps: usize,
    pub(crate) help: bool,
}

/// Reads the command line, without the program's name.
///
/// # Errors
/// When it says something that we do not know, or has an option of nothing that is asked for.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments> {
    let mut parsed = Arguments {
        benches: Vec::new(),
        install_peers: false,
        rounds: 5,
        window: None,
        connections: CONNECTIONS.into(),
        apps: 1000,
        help: false,
    };
    let mut given = Vec::new();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        if let lexopt::Arg::Long(option) = argument {
            given.push(format!("--{option}"));
        }
        match argument {
            lexopt::Arg::Value(name) => parsed.benches.push(named(&name.to_string_lossy())?),
            lexopt::Arg::Long("install-peers") => parsed.install_peers = true,
            lexopt::Arg::Long("rounds") => {
                parsed.rounds = positive(&mut parser, "--rounds")? as usize;
            }
            lexopt::Arg::Long("seconds") => {
                let seconds = positive(&mut parser, "--seconds")?;
                parsed.window = Some(Duration::from_secs(seconds.into()));
            }
            lexopt::Arg::Long("connections") => {
                parsed.connections = connections(&parser.value()?.to_string_lossy())?;
            }
            lexopt::Arg::Long("apps") => {
                parsed.apps = positive(&mut parser, "--apps")?.into();
                if parsed.apps < 2 {
                    bail!("`--apps` takes a number from 2 to 65535");
                }
            }
            lexopt::Arg::Long("help") | lexopt::Arg::Short('h') => parsed.help = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if parsed.benches.is_empty() {
        parsed.benches.extend(ALL);
    }
    // An option that does nothing was meant for something else.
    let unheeded = OPTIONS.iter().find(|(option, benches)| {
        let is_given = given.iter().any(|given| given == option);
        is_given && !benches.iter().any(|bench| parsed.benches.contains(bench))
    });
    match unheeded {
        Some((option, benches)) if !parsed.help => bail!(
            "nothing that is asked for has `{option}`: it belongs to {}",
            names(benches)
        ),
        _ => Ok(parsed),
    }
}

/// As they are written, with commas.
fn names(benches: &[Bench]) -> String {
    let names: Vec<&str> = benches.iter().map(|bench| bench.name()).collect();
    names.join(", ")
}

fn named(name: &str) -> Result<Bench> {
    match ALL.into_iter().find(|bench| bench.name() == name) {
        Some(bench) => Ok(bench),
        None => bail!(
            "nothing called `{name}` to measure; there are: {}",
            names(&ALL)
        ),
    }
}

fn connections(list: &str) -> Result<Vec<usize>> {
    let mut numbers: Vec<usize> = Vec::new();
    for part in list.split(',') {
        match part.trim().parse() {
            Ok(number @ 1..=MOST_CONNECTIONS) if numbers.contains(&number) => {}
            Ok(number @ 1..=MOST_CONNECTIONS) => numbers.push(number),
            _ => bail!(
                "`--connections` takes numbers from 1 to {MOST_CONNECTIONS}, as in `1,32,256`; \
                 `{part}` is none"
            ),
        }
    }
    Ok(numbers)
}

fn positive(parser: &mut lexopt::Parser, option: &str) -> Result<u16> {
    use lexopt::ValueExt;
    match parser.value()?.parse()? {
        0 => bail!("`{option}` takes a number from 1 to 65535"),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn without_a_name_everything_is_measured() {
        let all = parsed("").unwrap();
        assert_eq!(all.benches, ALL);
        assert_eq!((all.rounds, all.window, all.apps), (5, None, 1000));
        assert_eq!(all.connections, CONNECTIONS);
        assert!(!all.install_peers);
    }

    #[test]
    fn names_and_options_come_in_any_order() {
        let some = parsed("--rounds 3 reads --install-peers --seconds=2 http").unwrap();
        assert_eq!(some.benches, [Bench::Reads, Bench::Http]);
        assert_eq!(some.rounds, 3);
        assert_eq!(some.window, Some(Duration::from_secs(2)));
        assert!(some.install_peers);
        let others = parsed("density --apps 10000 noise").unwrap();
        assert_eq!(others.benches, [Bench::Density, Bench::Noise]);
        assert_eq!(others.apps, 10_000);
    }

    #[test]
    fn options_belong_to_what_is_asked_for() {
        for (line, option, owners) in [
            ("noise --connections 1", "--connections", "http"),
            ("http --apps=2", "--apps", "density"),
            ("--rounds 1 start noise", "--rounds", "http, bodies, reads"),
            (
                "reads density --seconds 1",
                "--seconds",
                "http, bodies, noise",
            ),
        ] {
            assert_eq!(
                parsed(line).unwrap_err().to_string(),
                format!("nothing that is asked for has `{option}`: it belongs to {owners}")
            );
        }
        for line in [
            "--apps 2 --connections 1 --rounds 1 --seconds 1",
            "start http --connections 1",
            "start --apps 2 --help",
        ] {
            assert!(parsed(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_name_that_is_none_is_told_with_those_that_are() {
        assert_eq!(
            parsed("htp").unwrap_err().to_string(),
            "nothing called `htp` to measure; there are: http, bodies, start, reads, noise, density"
        );
        for bench in ALL {
            assert_eq!(parsed(bench.name()).unwrap().benches, [bench]);
            assert!(HELP.contains(&format!("\n  {} ", bench.name())));
        }
    }

    #[test]
    fn connections_are_a_list() {
        let of = |line: &str| parsed(line).unwrap().connections;
        assert_eq!(of("--connections 32"), [32]);
        assert_eq!(of("--connections=64,1,10000,64"), [64, 1, 10_000]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in [
            "htp",
            "--round 3",
            "--rounds 0",
            "--seconds 70000",
            "--rounds",
            "--connections",
            "--connections=",
            "--connections 0",
            "--connections 1,,2",
            "--connections 10001",
            "--connections many",
            "--apps 0",
            "--apps 1",
            "--apps 65536",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
