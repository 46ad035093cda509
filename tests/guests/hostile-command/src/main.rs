//! A command that attacks its host in the way its first argument says:
//!
//! | argument | what it does |
//! |---|---|
//! | `flood` | writes to standard output without end |
//! | `exit-before` | ends with 3 before any output; WASI 0.2 tells the host only that it failed |
//! | `exit-after` | writes a line and ends with 3 |
//! | `never-read` | ends well without a look at standard input |
//! | `read-forever` | reads standard input to its end, and again, without end |
//! | `spin` | writes a line and computes for ever |
//! | `spin-silent` | computes for ever |
//! | `recurse` | calls itself without end |
//! | `alloc` | takes memory without end |
//! | `sleep` | sleeps for ever |
//! | `arguments` | writes its arguments, one a line |
//! | `environment` | writes its environment, one variable a line |

use std::env;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use guest_behaviour::attacks;

fn main() -> io::Result<ExitCode> {
    let attack = env::args().nth(1).unwrap_or_default();
    let mut output = io::stdout();
    match attack.as_str() {
        "flood" => {
            let piece = [b'x'; 4096];
            loop {
                output.write_all(&piece)?;
            }
        }
        "exit-before" => Ok(ExitCode::from(3)),
        "exit-after" => {
            say(&mut output, "before the end")?;
            Ok(ExitCode::from(3))
        }
        "never-read" => {
            say(&mut output, "not read")?;
            Ok(ExitCode::SUCCESS)
        }
        "read-forever" => {
            let mut piece = [0; 4096];
            loop {
                // At the end of the input this returns nothing, again and again.
                let _ = io::stdin().read(&mut piece)?;
            }
        }
        "spin" => {
            say(&mut output, "before the spin")?;
            attacks::spin()
        }
        "spin-silent" => attacks::spin(),
        "recurse" => {
            let result = attacks::recurse();
            say(&mut output, &result.to_string())?;
            Ok(ExitCode::SUCCESS)
        }
        "alloc" => attacks::allocate_without_end(),
        "sleep" => loop {
            thread::sleep(Duration::from_secs(3600));
        },
        "arguments" => {
            for argument in env::args().skip(1) {
                writeln!(output, "{argument}")?;
            }
            Ok(ExitCode::SUCCESS)
        }
        "environment" => {
            for (name, value) in env::vars() {
                writeln!(output, "{name}={value}")?;
            }
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("there is no attack `{attack}`");
            Ok(ExitCode::from(2))
        }
    }
}

/// Writes a line that is out before anything else happens.
fn say(output: &mut impl Write, line: &str) -> io::Result<()> {
    writeln!(output, "{line}")?;
    output.flush()
}
