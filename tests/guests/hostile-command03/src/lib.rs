//! A command over WASI 0.3 that attacks its host in the way its first argument says:
//!
//! | argument | what it does |
//! |---|---|
//! | `flood` | writes to standard output without end |
//! | `exit-before CODE` | exits with this code (3) before any output |
//! | `exit-after CODE` | writes a line and exits with this code (3) |
//! | `fail` | exits with an error, which is 1 |
//! | `never-read` | ends well without a look at standard input |
//! | `never-read-hold` | writes a line, opens standard input and sleeps for ever |
//! | `echo` | standard input to standard output |
//! | `spin` | writes a line and computes for ever |
//!
//! Only here can a program tell its exit code: to the host of a program over WASI 0.2 or preview 1
//! every failure is a 1.

use guest_behaviour::{Pattern, attacks};
use wasip3::cli::{environment, exit, stdin, stdout};
use wasip3::clocks::monotonic_clock;
use wasip3::wit_bindgen::{StreamResult, StreamWriter};
use wasip3::{spawn_local, wit_stream};

struct Attacker;

wasip3::cli::command::export!(Attacker);

/// Bytes read at a time at most.
const PIECE: usize = 64 << 10;

impl wasip3::exports::cli::run::Guest for Attacker {
    async fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let attack = arguments.get(1).cloned().unwrap_or_default();
        let code = arguments.get(2).and_then(|code| code.parse().ok());
        let (output, contents) = wit_stream::new();
        let written = stdout::write_via_stream(contents);
        spawn_local(attack_host(attack, code.unwrap_or(3), output));
        written.await.map_err(|_code| ())
    }
}

async fn attack_host(attack: String, code: u8, mut output: StreamWriter<u8>) {
    match attack.as_str() {
        "flood" => {
            // A host that closes the output has not stopped the flood.
            for piece in Pattern::new(u64::MAX) {
                output.write_all(piece).await;
            }
        }
        "exit-before" => exit::exit_with_code(code),
        "exit-after" => {
            say(&mut output, "before the end").await;
            exit::exit_with_code(code);
        }
        "fail" => exit::exit(Err(())),
        "never-read" => say(&mut output, "not read").await,
        "never-read-hold" => {
            let _input = stdin::read_via_stream();
            say(&mut output, "not read").await;
            monotonic_clock::wait_for(u64::MAX).await;
        }
        "echo" => echo(output).await,
        "spin" => {
            say(&mut output, "before the spin").await;
            attacks::spin()
        }
        _ => {
            eprintln!("there is no attack `{attack}`");
            exit::exit_with_code(2);
        }
    }
}

/// Writes a line; the host has it when this returns.
async fn say(output: &mut StreamWriter<u8>, line: &str) {
    output.write_all(format!("{line}\n").into_bytes()).await;
}

async fn echo(mut output: StreamWriter<u8>) {
    let (mut input, end) = stdin::read_via_stream();
    loop {
        let (result, piece) = input.read(Vec::with_capacity(PIECE)).await;
        let over = piece.is_empty() && !matches!(result, StreamResult::Complete(_));
        if over || !output.write_all(piece).await.is_empty() {
            break;
        }
    }
    drop(input);
    if end.await.is_err() {
        exit::exit(Err(()));
    }
}
