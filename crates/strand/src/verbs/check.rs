//! `strand check`.

use std::process::ExitCode;

use anyhow::Result;
use strand_directive::Diagnostic;
use strand_node::{AppDir, AppError};

use crate::cli::CheckArgs;
use crate::report;

pub(crate) fn check(args: &CheckArgs) -> Result<ExitCode> {
    let read = AppDir::read(&args.app.dir, &|_| false);
    let (app, mut problems) = match read {
        Ok(app) => {
            let warnings = app.warnings().to_vec();
            (app, warnings)
        }
        Err(AppError::Invalid { diagnostics, .. }) if args.json => {
            print_json(&diagnostics, &[])?;
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error.into()),
    };
    let (found, unbuilt) = app.check_components()?;
    problems.extend(found);
    if args.json {
        print_json(&problems, &unbuilt)?;
    } else {
        report::warnings(&app, &problems);
        for function in &unbuilt {
            report::status(
                "Unchecked",
                format_args!(
                    "imports of `{function}`: it is not built; run `strand build {}`",
                    args.app.dir.display()
                ),
            );
        }
    }
    if problems.iter().any(Diagnostic::is_error) {
        return Ok(ExitCode::FAILURE);
    }
    if !args.json {
        report::status("Checked", app.path().display());
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json(problems: &[Diagnostic], unchecked: &[String]) -> Result<()> {
    let text = serde_json::to_string_pretty(&serde_json::json!({
        "problems": problems,
        "unchecked": unchecked,
    }))?;
    println!("{text}");
    Ok(())
}
