//! How many names are looked up at once.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, RequestOptions};

use super::{get, rule, send, send_with};
use crate::resolve::{LOOKUPS_OF_FUNCTION, Resolver};
use crate::{Config, Grant, Host, HttpClient, HttpClients, Scheme};

/// A resolver whose look-ups go on until they are let go, whoever waits for them,
/// and how many have begun.
struct Stubborn {
    begun: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

impl Stubborn {
    fn new() -> Self {
        Self {
            begun: Arc::default(),
            go: Arc::new(Semaphore::new(0)),
        }
    }

    fn resolver(&self) -> Resolver {
        let (begun, go) = (Arc::clone(&self.begun), Arc::clone(&self.go));
        Arc::new(move |_name, permit| {
            begun.fetch_add(1, Ordering::SeqCst);
            let go = Arc::clone(&go);
            // As the system's: the thread goes on by itself.
            let look_up = tokio::spawn(async move {
                let _permit = permit;
                go.acquire().await.expect("open").forget();
                // Nothing listens there.
                Ok(vec![IpAddr::from([127, 0, 0, 1])])
            });
            Box::pin(async move { look_up.await.map_err(io::Error::other)? })
        })
    }

    async fn has_begun(&self, count: usize) {
        let wait = async {
            while self.begun.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait)
            .await
            .expect("it begins");
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

fn clients(stubborn: &Stubborn) -> [HttpClient; 2] {
    let clients = HttpClients::with_resolver(Config::default(), stubborn.resolver());
    let clients = clients.expect("sets up");
    let rules = vec![rule(Scheme::Http, Host::Name("localhost".to_owned()), 1)];
    [0, 1].map(|_| {
        clients.client(Grant {
            rules: rules.clone(),
        })
    })
}

#[tokio::test]
async fn a_function_cannot_have_all_look_ups() {
    let stubborn = Stubborn::new();
    let [one, two] = clients(&stubborn);
    let many = tokio::spawn(async move {
        let sent = (0..20).map(|_| send(&one, get("http://localhost:1/")));
        join_all(sent).await
    });
    stubborn.has_begun(LOOKUPS_OF_FUNCTION).await;
    let other = tokio::spawn(async move { send(&two, get("http://localhost:1/")).await });
    stubborn.has_begun(LOOKUPS_OF_FUNCTION + 1).await;
    assert_eq!(stubborn.begun(), LOOKUPS_OF_FUNCTION + 1);
    stubborn.go.add_permits(21);
    for answer in many.await.expect("no panic") {
        assert!(matches!(answer, Err(Error::ConnectionRefused)));
    }
    let answer = other.await.expect("no panic");
    assert!(matches!(answer, Err(Error::ConnectionRefused)));
    assert_eq!(stubborn.begun(), 21);
}

#[tokio::test]
async fn a_look_up_that_is_given_up_keeps_its_place() {
    let stubborn = Stubborn::new();
    let [one, _] = clients(&stubborn);
    let options = RequestOptions {
        connect_timeout: Some(Duration::from_millis(200)),
        ..RequestOptions::default()
    };
    for _ in 0..2 {
        let sent =
            (0..LOOKUPS_OF_FUNCTION).map(|_| send_with(&one, get("http://localhost:1/"), options));
        for answer in join_all(sent).await {
            assert!(matches!(answer, Err(Error::DnsTimeout)));
        }
        // The second time none of them had a place.
        assert_eq!(stubborn.begun(), LOOKUPS_OF_FUNCTION);
    }
    stubborn.go.add_permits(LOOKUPS_OF_FUNCTION + 1);
    let answer = send(&one, get("http://localhost:1/")).await;
    assert!(matches!(answer, Err(Error::ConnectionRefused)));
}
