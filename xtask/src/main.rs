//! The developer's verbs: `cargo xtask help` lists them.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test's panic is its report

mod arguments;
mod bench;
mod checks;
mod deny;
mod genome;
mod guests;
mod peers;
mod picture;
mod session;
mod soak;
mod test;
mod tools;
mod up;

use std::process::ExitCode;

use anyhow::Result;

use crate::arguments::Verb;
use crate::session::Session;

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os()).and_then(|verb| run(&verb)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &Verb) -> Result<()> {
    match verb {
        Verb::Help => {
            println!("{}", arguments::HELP);
            Ok(())
        }
        Verb::Up { arguments } => up::run(&Session::start()?, arguments),
        Verb::Guests => guests::build(&Session::start()?, &[]).map(drop),
        Verb::Test(tests) => test::run(&Session::start()?, tests),
        Verb::Genome { name } => genome::fetch(&Session::start()?, name),
        Verb::Picture => picture::make(&Session::start()?),
        Verb::Bench { arguments } => bench::run(&Session::start()?, arguments),
        Verb::Soak { name, arguments } => soak::run(&Session::start()?, name, arguments),
        Verb::Deny => deny::run(&Session::start()?),
    }
}
