//! The command line.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use crate::{peers, soak};

/// What `cargo xtask help` prints.
pub(crate) const HELP: &str = "\
The developer's verbs of Strand.

cargo xtask up [-- ARGS]       build the server and start examples/reads on 127.0.0.1:8080;
                               ARGS go to `strand up`
cargo xtask test [OPTIONS] [FILTER]
                               every check and every test; FILTER as for `cargo test`
    --test NAME                nothing but this file of tests of the main workspace: cli, hostile,
                               …; may be given several times
    --allow-missing NAME       go on without this peer if it is not installed, and skip what
                               needs it: wgsim, bowtie2-examples, bowtie-examples,
                               chromium or clang
cargo xtask guests             build the guests of examples and tests into target/guests
cargo xtask genome ecoli       add E. coli to the genomes of examples/reads
cargo xtask picture            make docs/images/reads-page.png anew, with Chromium
cargo xtask bench [NAME] [OPTIONS]
                               measure, side by side with the peers that are installed; --help
                               lists what, and the options
cargo xtask soak NAME [-- ARGS]
                               what takes longer than CI has; NAME is one of
    reads-memory               250 million bases in a cgroup with little memory (needs root)
    reads-s3                   250 million bases from an S3 server, which dies in the middle
    reads-windowed             250 million bases in windowed mode: the first byte, and memory
    reads-minimap2             where minimap2 finds reads of E. coli, beside those of wgsim
    slow-clients               two thousand clients that send or read too slowly, beside others
    store-model                the store under a million operations in any order, some of them days late
    fuzz                       the Directive's parser, for ten minutes; ARGS go to libFuzzer
    mutants                    faults put into validation and limits; ARGS go to cargo-mutants
cargo xtask deny               licences and sources of all dependencies, and advisories about them
                               where their database can be had (installs cargo-deny)
cargo xtask help               this text";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Help,
    Up {
        arguments: Vec<OsString>,
    },
    Guests,
    Test(Tests),
    Genome {
        name: String,
    },
    Picture,
    Bench {
        arguments: Vec<OsString>,
    },
    Soak {
        name: String,
        /// For the tool that does the work.
        arguments: Vec<OsString>,
    },
    Deny,
}

/// What is to be tested.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    /// Names of peers that may be missing.
    pub(crate) allowed: Vec<&'static str>,
    /// Nothing but these files of tests; empty for every check and every test.
    pub(crate) only: Vec<String>,
    pub(crate) filter: Option<String>,
}

/// Reads the command line, the program's name first.
pub(crate) fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Verb> {
    let mut parser = lexopt::Parser::from_iter(line);
    let verb = match parser.next()? {
        None | Some(Long("help") | Short('h')) => return Ok(Verb::Help),
        Some(Value(verb)) => verb.string()?,
        Some(other) => return Err(unknown(&other)),
    };
    let parsed = match verb.as_str() {
        "help" => Verb::Help,
        "up" => Verb::Up {
            arguments: after_dashes(&mut parser)?,
        },
        "guests" => Verb::Guests,
        "test" => return test(&mut parser),
        "genome" => {
            let name = parser.value().context("which genome? there is: ecoli")?;
            Verb::Genome {
                name: name.string()?,
            }
        }
        "picture" => Verb::Picture,
        "bench" => Verb::Bench {
            arguments: parser.raw_args()?.collect(),
        },
        "soak" => {
            let name = parser
                .value()
                .with_context(|| format!("which soak? there are: {}", soak::NAMES))?;
            Verb::Soak {
                name: name.string()?,
                arguments: after_dashes(&mut parser)?,
            }
        }
        "deny" => Verb::Deny,
        other => bail!("no verb `{other}`; `cargo xtask help` lists them"),
    };
    match parser.next()? {
        None => Ok(parsed),
        Some(extra) => Err(unknown(&extra)),
    }
}

fn test(parser: &mut lexopt::Parser) -> Result<Verb> {
    let mut tests = Tests::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("allow-missing") => {
                let peer = peers::named(&parser.value()?.string()?)?;
                tests.allowed.push(peer);
            }
            Long("test") => tests.only.push(parser.value()?.string()?),
            Value(value) if tests.filter.is_none() => tests.filter = Some(value.string()?),
            other => return Err(unknown(&other)),
        }
    }
    Ok(Verb::Test(tests))
}

/// What follows `--`.
fn after_dashes(parser: &mut lexopt::Parser) -> Result<Vec<OsString>> {
    let mut rest = parser.raw_args()?;
    match rest.next() {
        None => Ok(Vec::new()),
        Some(dashes) if dashes == "--" => Ok(rest.collect()),
        Some(other) => bail!(
            "`{}` before `--`: arguments for what is run go after it, as in \
             `cargo xtask up -- --listen 127.0.0.1:9000`",
            other.to_string_lossy()
        ),
    }
}

fn unknown(argument: &lexopt::Arg<'_>) -> anyhow::Error {
    let shown = match argument {
        Short(letter) => format!("-{letter}"),
        Long(name) => format!("--{name}"),
        Value(value) => value.to_string_lossy().into_owned(),
    };
    anyhow::anyhow!("`{shown}` is not expected here; `cargo xtask help` shows the verbs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Verb> {
        let words = std::iter::once("xtask").chain(line.split_whitespace());
        parse(words.map(OsString::from))
    }

    fn refused(line: &str) -> String {
        parsed(line).unwrap_err().to_string()
    }

    #[test]
    fn verbs() {
        assert_eq!(parsed("").unwrap(), Verb::Help);
        assert_eq!(parsed("help").unwrap(), Verb::Help);
        assert_eq!(parsed("guests").unwrap(), Verb::Guests);
        assert_eq!(parsed("picture").unwrap(), Verb::Picture);
        let arguments = vec!["--listen".into(), "[::]:1".into()];
        assert_eq!(
            parsed("up -- --listen [::]:1").unwrap(),
            Verb::Up { arguments }
        );
        let arguments = vec!["http".into(), "--install-peers".into()];
        assert_eq!(
            parsed("bench http --install-peers").unwrap(),
            Verb::Bench { arguments }
        );
        let (name, arguments) = ("fuzz".to_owned(), vec!["-runs=1".into()]);
        assert_eq!(
            parsed("soak fuzz -- -runs=1").unwrap(),
            Verb::Soak { name, arguments }
        );
        let name = "ecoli".to_owned();
        assert_eq!(parsed("genome ecoli").unwrap(), Verb::Genome { name });
    }

    #[test]
    fn every_soak_is_in_the_help() {
        for name in crate::soak::NAMES.split(", ") {
            assert!(HELP.contains(&format!("\n    {name} ")), "{name}");
        }
    }

    #[test]
    fn a_peer_is_named_as_itself_or_as_its_package() {
        let line = "test --allow-missing samtools --allow-missing=chromium reads";
        assert_eq!(
            parsed(line).unwrap(),
            Verb::Test(Tests {
                allowed: vec!["wgsim", "chromium"],
                only: Vec::new(),
                filter: Some("reads".to_owned()),
            })
        );
    }

    #[test]
    fn files_of_tests_are_named() {
        assert_eq!(
            parsed("test --test hostile spins --test=cli").unwrap(),
            Verb::Test(Tests {
                allowed: Vec::new(),
                only: vec!["hostile".to_owned(), "cli".to_owned()],
                filter: Some("spins".to_owned()),
            })
        );
        assert_eq!(
            refused("test --test"),
            "missing argument for option '--test'"
        );
    }

    #[test]
    fn slips_are_told() {
        assert_eq!(
            refused("tset"),
            "no verb `tset`; `cargo xtask help` lists them"
        );
        assert_eq!(
            refused("guests now"),
            "`now` is not expected here; `cargo xtask help` shows the verbs"
        );
        assert_eq!(
            refused("test --allow-missing wgsmi"),
            "no peer `wgsmi`; there are: wgsim, bowtie2-examples, bowtie-examples, chromium, clang"
        );
        assert!(refused("up --listen x").starts_with("`--listen` before `--`"));
        assert_eq!(refused("genome"), "which genome? there is: ecoli");
    }
}
