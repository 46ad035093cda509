//! Measures Strand side by side with its peers: `cargo xtask bench`.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test's panic is its report

mod answer;
mod arguments;
mod client;
mod density;
mod density_report;
mod descriptors;
mod http;
mod http_report;
mod in_process;
mod install;
mod load;
mod machine;
mod memory;
mod neighbours;
mod noise;
mod noise_report;
mod open_loop;
mod peers;
mod priority;
mod process;
mod reads;
mod reads_report;
mod setup;
mod start;
mod stats;
mod strand;
mod tools;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Arguments, Bench, HTTP_WINDOW, NOISE_WINDOW};
use crate::http::Plan;
use crate::setup::Setup;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                eprintln!("error: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let arguments = arguments::parse(std::env::args_os().skip(1))?;
    if arguments.help {
        println!("{}", arguments::HELP);
        return Ok(());
    }
    // First of all: what is started inherits it.
    descriptors::raise();
    // One thread for everything here, because the other cores are for what is measured; and like
    // the server's own, for calls in process.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Dropping what runs kills its servers and removes its folders.
        tokio::select! {
            done = run(&arguments) => done,
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })
}

async fn run(arguments: &Arguments) -> Result<()> {
    let setup = Setup::find()?;
    if arguments.install_peers {
        install::install(&setup, &arguments.benches).await?;
    }
    // Of all of them before the first one: an hour is a long time to wait for a line like these.
    let missing: Vec<String> = arguments
        .benches
        .iter()
        .flat_map(|bench| match bench {
            Bench::Http => Plan::hello(&arguments.connections).missing(&setup),
            Bench::Bodies => Plan::bodies().missing(&setup),
            Bench::Start => start::missing(&setup),
            Bench::Reads => reads::missing(&setup),
            Bench::Noise => noise::missing(&setup),
            Bench::Density => density::missing(&setup),
        })
        .collect();
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    for bench in &arguments.benches {
        match bench {
            Bench::Http => requests(&setup, Plan::hello(&arguments.connections), arguments).await?,
            Bench::Bodies => requests(&setup, Plan::bodies(), arguments).await?,
            Bench::Start => {
                let (report, file) = start::run(&setup).await?;
                show(&report, &file);
            }
            Bench::Reads => {
                let (report, file) = reads::run(&setup, arguments.rounds).await?;
                show(&report, &file);
            }
            Bench::Noise => {
                let window = arguments.window.unwrap_or(NOISE_WINDOW);
                let (report, file) = noise::run(&setup, window).await?;
                show(&report, &file);
            }
            Bench::Density => {
                let (report, file) = density::run(&setup, arguments.apps).await?;
                show(&report, &file);
            }
        }
    }
    Ok(())
}

async fn requests(setup: &Setup, plan: Plan, arguments: &Arguments) -> Result<()> {
    let window = arguments.window.unwrap_or(HTTP_WINDOW);
    let (report, file) = http::run(setup, plan, arguments.rounds, window).await?;
    show(&report, &file);
    if report.lost() > 0 {
        bail!(
            "{} measurements of Strand were void twice: see above",
            report.lost()
        );
    }
    Ok(())
}

fn show(report: &impl std::fmt::Display, file: &Path) {
    println!("\n{report}also in {}\n", file.display());
}
