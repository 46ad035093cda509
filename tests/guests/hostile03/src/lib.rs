//! A guest over WASI 0.3 that attacks its host in the way the path says ([`Hostile`]).

mod answer;
mod connections;
mod floods;

use std::mem;

use guest_behaviour::{Hostile, attacks};
use wasip3::clocks::monotonic_clock;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{spawn_local, wit_future};

struct Guest03;

wasip3::http::service::export!(Guest03);

impl wasip3::exports::http::handler::Guest for Guest03 {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        match Hostile::new(&target) {
            Ok(attack) => attack_host(request, attack).await,
            Err(problem) => answer::text(400, &format!("{problem}\n")),
        }
    }
}

async fn attack_host(request: Request, attack: Hostile) -> Result<Response, ErrorCode> {
    match attack {
        Hostile::Spin => attacks::spin(),
        Hostile::Alloc => attacks::allocate_without_end(),
        Hostile::AllocPolite => {
            let taken = attacks::allocate_politely();
            answer::text(200, &format!("{taken}\n"))
        }
        Hostile::Recurse => answer::text(200, &format!("{}\n", attacks::recurse())),
        Hostile::FloodStdout(count) => floods::stdout(count).await,
        Hostile::FloodStderr(count) => floods::stderr(count).await,
        Hostile::FloodLog(count) => floods::log(count),
        Hostile::FloodHeaders(count) => floods::headers(count),
        Hostile::RandomFlood(size) => floods::random(size),
        Hostile::PollFlood => floods::waits().await,
        Hostile::KeepHeaders => {
            let kept = floods::keep_headers();
            answer::text(200, &format!("{kept}\n"))
        }
        Hostile::Handles => loop {
            mem::forget(Fields::new());
        },
        Hostile::NeverRead => answer::text(200, "the body was not read\n"),
        Hostile::NeverReadHold => {
            let (_received, result) = wit_future::new(|| Ok(()));
            let _body = Request::consume_body(request, result);
            sleep_forever().await
        }
        Hostile::NeverFinish => answer::half(false, async |body| {
            let _begun = body;
            sleep_forever().await
        }),
        Hostile::SleepForever => sleep_forever().await,
        Hostile::Linger => {
            spawn_local(async { sleep_forever().await });
            answer::text(200, "all of it\n")
        }
        Hostile::OpenConnections { url, n } => connections::open(&url, n).await,
        Hostile::CallSelf { function } => connections::call_self(&function).await,
        Hostile::TrapBefore => core::arch::wasm32::unreachable(),
        Hostile::TrapMiddle { declared } => {
            answer::half(declared, async |_body| core::arch::wasm32::unreachable())
        }
        Hostile::DropBody { declared } => answer::half(declared, async |body| drop(body)),
        Hostile::NoAnswer => Err(ErrorCode::InternalError(Some("no answer".to_owned()))),
        Hostile::BadContentLength { declared, sent } => answer::bad_content_length(declared, sent),
        Hostile::BadStatus(status) => answer::bad_status(status),
        Hostile::HugeBuffer(size) => {
            let taken = Fields::new().append("huge", &vec![b'x'; size]);
            answer::text(200, &format!("{taken:?}\n"))
        }
        Hostile::Exit => std::process::exit(3),
    }
}

async fn sleep_forever() -> ! {
    loop {
        monotonic_clock::wait_for(u64::MAX).await;
    }
}
