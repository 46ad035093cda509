//! `strand build`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use strand_builder::{Toolchain, build_app};
use strand_node::AppDir;

use crate::cli::AppArgs;
use crate::report;

pub(crate) fn build(args: &AppArgs) -> Result<ExitCode> {
    let app = AppDir::read(&args.dir, &|_, _| true)?;
    report::warnings(&app, app.warnings());
    build_functions(&app)?;
    let (problems, _) = app.check_components();
    report::warnings(&app, &problems);
    let failed = problems.iter().any(strand_directive::Diagnostic::is_error);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Builds the functions that are crates, and says so.
pub(crate) fn build_functions(app: &AppDir) -> Result<()> {
    let crates: Vec<_> = app.crates().collect();
    if crates.is_empty() {
        return Ok(());
    }
    let progress = |line: &str| report::status("Building", line);
    let toolchain = Toolchain::find(&progress)?;
    for built in build_app(&toolchain, app.dir(), crates, &progress)? {
        app.install(&built.function, &built.path)
            .with_context(|| format!("copying what was built for `{}`", built.function))?;
    }
    Ok(())
}
