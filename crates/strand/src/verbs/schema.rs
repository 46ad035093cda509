//! `strand schema`.

use std::process::ExitCode;

use anyhow::Result;

pub(crate) fn schema() -> Result<ExitCode> {
    println!(
        "{}",
        serde_json::to_string_pretty(&strand_directive::schema())?
    );
    Ok(ExitCode::SUCCESS)
}
