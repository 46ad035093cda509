//! `strand check`.

use std::process::ExitCode;

use anyhow::Result;
use strand_directive::{Diagnostic, Severity};
use strand_node::{AppDir, AppError};

use crate::cli::CheckArgs;
use crate::report;

pub(crate) fn check(args: &CheckArgs) -> Result<ExitCode> {
    let dir = &args.app.dir;
    let checked = match AppDir::check(dir) {
        Ok(checked) => checked,
        // Who asked for JSON is told in JSON.
        Err(error) if args.json => {
            print_json(&[unreadable(&error)], &[])?;
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error.into()),
    };
    if args.json {
        print_json(&checked.problems, &checked.unbuilt)?;
    } else {
        report::problems(&checked.path, &checked.text, &checked.problems);
        for function in &checked.unbuilt {
            report::status(
                "Unchecked",
                format_args!(
                    "imports of `{function}`: it is not built; run `strand build {}`",
                    dir.display()
                ),
            );
        }
    }
    if checked.problems.iter().any(Diagnostic::is_error) {
        return Ok(ExitCode::FAILURE);
    }
    if !args.json {
        report::status("Checked", checked.path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// A problem of the file as a whole.
fn unreadable(error: &AppError) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        message: error.to_string(),
        field: String::new(),
        span: None,
        help: None,
    }
}

fn print_json(problems: &[Diagnostic], unchecked: &[String]) -> Result<()> {
    let text = serde_json::to_string_pretty(&serde_json::json!({
        "problems": problems,
        "unchecked": unchecked,
    }))?;
    println!("{text}");
    Ok(())
}
