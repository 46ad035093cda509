//! `strand check`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use strand_directive::{Diagnostic, Severity};
use strand_node::{AppDir, AppError};

use crate::cli::CheckArgs;
use crate::report;

pub(crate) fn check(args: &CheckArgs) -> Result<ExitCode> {
    let mut good = true;
    for dir in &args.apps.dirs {
        good &= check_app(dir, args.json)?;
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Says what is wrong with an app; gives whether it has no error.
fn check_app(dir: &Path, json: bool) -> Result<bool> {
    let checked = match AppDir::check(dir) {
        Ok(checked) => checked,
        // Who asked for JSON is told in JSON.
        Err(error) if json => {
            print_json(dir, &[unreadable(&error)], &[])?;
            return Ok(false);
        }
        Err(error) => {
            report::error(&error.into());
            return Ok(false);
        }
    };
    let good = !checked.problems.iter().any(Diagnostic::is_error);
    if json {
        print_json(dir, &checked.problems, &checked.unbuilt)?;
        return Ok(good);
    }
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
    if good {
        report::status("Checked", checked.path.display());
    }
    Ok(good)
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

fn print_json(dir: &Path, problems: &[Diagnostic], unchecked: &[String]) -> Result<()> {
    let text = serde_json::to_string_pretty(&serde_json::json!({
        "dir": dir.display().to_string(),
        "problems": problems,
        "unchecked": unchecked,
    }))?;
    println!("{text}");
    Ok(())
}
