//! `strand completions`.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::Cli;

pub(crate) fn completions(shell: Shell) -> Result<ExitCode> {
    generate(shell, &mut Cli::command(), "strand", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
