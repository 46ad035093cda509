//! The `strand` binary: verbs of the command line, and the process's allocator.

use std::process::ExitCode;

use clap::Parser;

mod cli;
mod report;
mod verbs;

use cli::{Cli, Verb};

#[global_allocator]
static ALLOCATOR: strand_engine::Allocator = strand_engine::Allocator;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.verb {
        Verb::Up(args) => verbs::up::up(&args),
        Verb::Run(args) => verbs::run::run(&args),
        Verb::Build(args) => verbs::build::build(&args),
        Verb::Check(args) => verbs::check::check(&args),
        Verb::Inspect(args) => verbs::inspect::inspect(&args),
        Verb::Schema => verbs::schema::schema(),
        Verb::Completions { shell } => verbs::completions::completions(shell),
        Verb::CompileChild(args) => return verbs::compile_child(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            report::error(&error);
            ExitCode::FAILURE
        }
    }
}
