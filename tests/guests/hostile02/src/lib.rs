//! A guest over WASI 0.2 that attacks its host in the way the path says ([`Hostile`]).

mod answer;
mod connections;
mod floods;

use std::mem;

use guest_behaviour::{Hostile, attacks};
use wasip2::clocks::monotonic_clock;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, ResponseOutparam};

struct Guest02;

wasip2::http::proxy::export!(Guest02);

impl Guest for Guest02 {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        match Hostile::new(&target) {
            Ok(attack) => attack_host(request, attack, out),
            Err(problem) => answer::text(out, 400, &format!("{problem}\n")),
        }
    }
}

fn attack_host(request: IncomingRequest, attack: Hostile, out: ResponseOutparam) {
    match attack {
        Hostile::Spin => attacks::spin(),
        Hostile::Alloc => attacks::allocate_without_end(),
        Hostile::AllocPolite => {
            let taken = attacks::allocate_politely();
            answer::text(out, 200, &format!("{taken}\n"));
        }
        Hostile::Recurse => {
            let result = attacks::recurse();
            answer::text(out, 200, &format!("{result}\n"));
        }
        Hostile::FloodStdout(count) => floods::stdout(count, out),
        Hostile::FloodStderr(count) => floods::stderr(count, out),
        Hostile::FloodLog(count) => floods::log(count, out),
        Hostile::FloodHeaders(count) => floods::headers(count, out),
        Hostile::RandomFlood(size) => floods::random(size),
        Hostile::KeepHeaders => {
            let kept = floods::keep_headers();
            answer::text(out, 200, &format!("{kept}\n"));
        }
        Hostile::Handles => loop {
            mem::forget(Fields::new());
        },
        Hostile::PollFlood => loop {
            mem::forget(monotonic_clock::subscribe_duration(u64::MAX));
        },
        Hostile::NeverRead => answer::text(out, 200, "the body was not read\n"),
        Hostile::NeverReadHold => {
            let _body = request.consume();
            sleep_forever()
        }
        Hostile::NeverFinish => {
            let _begun = answer::half(out, false);
            sleep_forever()
        }
        Hostile::SleepForever => sleep_forever(),
        Hostile::Linger => {
            answer::text(out, 200, "all of it\n");
            sleep_forever()
        }
        Hostile::OpenConnections { url, n } => connections::open(&url, n, out),
        Hostile::CallSelf { function } => connections::call_self(&function, out),
        Hostile::TrapBefore => core::arch::wasm32::unreachable(),
        Hostile::TrapMiddle { declared } => {
            let _begun = answer::half(out, declared);
            core::arch::wasm32::unreachable()
        }
        Hostile::DropBody { declared } => drop(answer::half(out, declared)),
        Hostile::NoAnswer => drop(out),
        Hostile::BadContentLength { declared, sent } => {
            answer::bad_content_length(out, declared, sent);
        }
        Hostile::BadStatus(status) => answer::bad_status(out, status),
        Hostile::HugeBuffer(size) => {
            let value = vec![b'x'; size];
            let taken = Fields::new().append("huge", &value);
            answer::text(out, 200, &format!("{taken:?}\n"));
        }
        Hostile::Exit => std::process::exit(3),
    }
}

fn sleep_forever() -> ! {
    loop {
        monotonic_clock::subscribe_duration(u64::MAX).block();
    }
}
