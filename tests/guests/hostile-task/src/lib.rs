//! A task that attacks its host in the way its input says:
//!
//! | input | what it does |
//! |---|---|
//! | `trap` | traps |
//! | `fail CODE MESSAGE` | fails with this code, of 16 bits |
//! | `huge` | returns 64 MiB |
//! | `spin` | computes for ever |
//! | `recurse` | calls itself without end |
//! | `alloc` | takes memory without end |
//! | anything else | is returned |

use bindings::exports::strand::function::task::{Failure, Guest};
use guest_behaviour::attacks;

#[allow(
    unsafe_code,
    missing_docs,
    reason = "wit-bindgen generates this module; raw memory is how components exchange values"
)]
mod bindings {
    use super::Attacker;

    wit_bindgen::generate!({
        path: "../../../wit/strand-function",
        world: "strand:function/task-function",
    });
    export!(Attacker with_types_in self);
}

/// Bytes of an output that is more than a host wants to copy.
const HUGE: usize = 64 << 20;

struct Attacker;

impl Guest for Attacker {
    fn run(input: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let text = String::from_utf8_lossy(&input);
        let mut words = text.trim_end().splitn(3, ' ');
        match words.next().unwrap_or_default() {
            "trap" => core::arch::wasm32::unreachable(),
            "fail" => Err(Failure {
                code: words.next().and_then(|code| code.parse().ok()).unwrap_or(0),
                message: words.next().unwrap_or_default().to_owned(),
            }),
            "huge" => Ok(vec![b'x'; HUGE]),
            "spin" => attacks::spin(),
            "recurse" => Ok(attacks::recurse().to_le_bytes().to_vec()),
            "alloc" => attacks::allocate_without_end(),
            _ => Ok(input),
        }
    }
}
