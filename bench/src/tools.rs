//! Programs that run to their end. They are killed when nobody waits for them any more, so that an
//! interrupted measurement leaves nothing behind.

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use strand_builder::shell_line;
use tokio::process::Command as TokioCommand;

/// Runs a program and lets it say what it says.
pub(crate) async fn show(mut command: Command) -> Result<()> {
    command.stdin(Stdio::null());
    let line = shell_line(&command);
    let status = TokioCommand::from(command)
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("`{line}` could not be started"))?;
    check(&line, status, "")
}

/// Runs a program, silent but for errors; what it wrote to its standard output, and the time from
/// before its start to its end.
pub(crate) async fn time(mut command: Command) -> Result<(String, Duration)> {
    command.stdin(Stdio::null());
    let line = shell_line(&command);
    let mut command = TokioCommand::from(command);
    command.kill_on_drop(true);
    let begun = Instant::now();
    let output = command
        .output()
        .await
        .with_context(|| format!("`{line}` could not be started"))?;
    let took = begun.elapsed();
    check(
        &line,
        output.status,
        &String::from_utf8_lossy(&output.stderr),
    )?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), took))
}

/// Runs a program, silent, and looks at it every few milliseconds until it ends. `look` is given
/// its process id.
pub(crate) async fn watch(mut command: Command, mut look: impl FnMut(u32)) -> Result<()> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let line = shell_line(&command);
    let mut child = TokioCommand::from(command)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("`{line}` could not be started"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return check(&line, status, "");
        }
        if let Some(id) = child.id() {
            look(id);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn check(line: &str, status: ExitStatus, said: &str) -> Result<()> {
    if !status.success() {
        bail!("`{line}` failed ({status}): {}", said.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[tokio::test]
    async fn output_and_time_are_given() {
        let (output, took) = time(shell("sleep 0.05; echo done")).await.unwrap();
        assert_eq!(output, "done\n");
        assert!(took >= Duration::from_millis(50), "{took:?}");
    }

    #[tokio::test]
    async fn a_failure_says_what_the_program_said() {
        let error = time(shell("echo no >&2; exit 4"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("exit status: 4") && error.ends_with("no"),
            "{error}"
        );
        assert!(show(shell("exit 1")).await.is_err());
        assert!(watch(shell("exit 1"), |_| ()).await.is_err());
    }

    #[tokio::test]
    async fn a_program_is_looked_at_while_it_runs() {
        let mut looks = 0;
        watch(shell("sleep 0.1"), |id| {
            assert!(id > 0);
            looks += 1;
        })
        .await
        .unwrap();
        assert!(looks > 2, "{looks}");
    }
}
