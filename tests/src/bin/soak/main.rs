//! What takes longer, or more memory and disk, than CI has: `cargo xtask soak NAME`.
//!
//! Each says what it measures, prints the figures, and fails when one is not what it
//! must be.

#![allow(clippy::unwrap_used)] // A failure's report is its panic.

mod cgroup;
mod chromosome;
mod load;
mod memory;
mod minimap2;
mod s3;
mod slow_clients;
mod windowed;

use std::process::ExitCode;

/// The soaks by name.
const NAMES: &str = "reads-memory, reads-s3, reads-windowed, reads-minimap2, slow-clients";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    for name in &names {
        match name.as_str() {
            "reads-memory" => memory::run().await,
            "reads-s3" => s3::run().await,
            "reads-windowed" => windowed::run().await,
            "reads-minimap2" => minimap2::run().await,
            "slow-clients" => slow_clients::run().await,
            other => {
                eprintln!("error: no soak `{other}`; there are: {NAMES}");
                return ExitCode::FAILURE;
            }
        }
        println!("{name}: passed");
    }
    if names.is_empty() {
        eprintln!("error: which soak? there are: {NAMES}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
