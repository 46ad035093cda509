//! What requests in flight hold of the node's memory.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use http::Response;
use http_body_util::BodyExt;
use serde_json::json;
use strand_engine::MemoryBudget;
use strand_gateway::Config;

use crate::client::{Client, http2};
use crate::support::{Drops, Endless, Folder, Server, eventually, folder, function, get, text};

#[tokio::test]
async fn each_request_in_flight_is_charged() {
    let app = Folder::new();
    std::fs::write(app.0.join("large"), vec![0; 20 << 20]).unwrap();
    let routes = [function("/{*rest}", "*", "any"), folder("/large", "large")];
    let budget = MemoryBudget::new(3 * Config::IN_FLIGHT + 1);
    let drops = Drops::default();
    let server = Server::launch(
        Config::default(),
        Some(&budget),
        &app.0,
        &routes,
        move |call| {
            let body = Endless {
                taken: Arc::new(AtomicUsize::new(0)),
                piece: 16 << 10,
                _guard: drops.guard(),
            };
            async move {
                Ok(match call.request.uri().path() {
                    "/endless" => Response::new(body.boxed_unsync()),
                    _ => text("well"),
                })
            }
        },
    );
    // None of these clients reads its answer.
    let mut small = Client::connect_small(server.addr).await;
    small.send("GET /endless HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let mut file = Client::connect_small(server.addr).await;
    file.send("GET /large HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let mut sender = http2(server.addr).await;
    let stream = sender.send_request(get("http://t/endless")).await.unwrap();
    eventually("three in flight", || budget.used() == 3 * Config::IN_FLIGHT).await;

    let mut client = Client::connect(server.addr).await;
    let answer = client.get("/x").await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    let problem = answer.json();
    assert_eq!(
        (&problem["limit"], &problem["value"]),
        (&json!("node-memory"), &json!("589825"))
    );
    let refused = sender.send_request(get("http://t/x")).await.unwrap();
    assert_eq!(refused.status(), 503);

    // One ends: another has its place, again and again.
    drop(stream);
    let two = || eventually("two in flight", || budget.used() == 2 * Config::IN_FLIGHT);
    for _ in 0..3 {
        two().await;
        assert_eq!(client.get("/x").await.text(), "well");
        two().await;
        let response = sender.send_request(get("http://t/x")).await.unwrap();
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "well");
    }
    drop((small, file));
    eventually("nothing in flight", || budget.used() == 0).await;
}
