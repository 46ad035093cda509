//! `strand build`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use strand_builder::{Toolchain, build_app};
use strand_directive::Diagnostic;
use strand_node::AppDir;

use crate::cli::AppsArgs;
use crate::report;

pub(crate) fn build(args: &AppsArgs) -> Result<ExitCode> {
    let mut good = true;
    for dir in &args.dirs {
        // One that cannot be built keeps none of the others from it.
        good &= build_dir(dir).unwrap_or_else(|error| {
            report::error(&error);
            false
        });
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds an app, and says what is wrong with it then; gives whether it has no error.
fn build_dir(dir: &Path) -> Result<bool> {
    let app = AppDir::read(dir, &|_, _| true)?;
    report::warnings(&app, app.warnings());
    build_functions(&app)
        .with_context(|| format!("the app in {} cannot be built", dir.display()))?;
    let (problems, _) = app.check_components();
    report::warnings(&app, &problems);
    Ok(!problems.iter().any(Diagnostic::is_error))
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
