//! From a host to the addresses that may be connected to.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::Error;

use crate::rule::{Destination, Reach};

/// Addresses of one host that are tried.
const ADDRESSES: usize = 16;
/// Look-ups of the node at once. The system's resolver blocks a thread for each
/// and cannot be told to stop.
const LOOKUPS: usize = 32;
/// Look-ups of one function at once: names that nobody answers for keep a thread
/// for half a minute, and another function must find one.
pub(crate) const LOOKUPS_OF_FUNCTION: usize = 8;

/// Addresses, later.
pub(crate) type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a name. It keeps the permit, which is one of the
/// function's, as long as the look-up goes on, also when nobody waits for it any
/// more. A function, so that tests can be a resolver that lies.
pub(crate) type Resolver = Arc<dyn Fn(String, OwnedSemaphorePermit) -> Lookup + Send + Sync>;

/// The system's resolver.
pub(crate) fn system() -> Resolver {
    let lookups = Arc::new(Semaphore::new(LOOKUPS));
    Arc::new(move |name, of_function| {
        let lookups = Arc::clone(&lookups);
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            // The permits are the thread's: the look-up goes on when nobody waits.
            let look_up = move || {
                let _permits = (permit, of_function);
                let addresses = (name.as_str(), 0).to_socket_addrs()?;
                Ok(addresses.map(|address| address.ip()).collect())
            };
            tokio::task::spawn_blocking(look_up)
                .await
                .map_err(io::Error::other)?
        })
    })
}

/// The addresses of a destination, each of them checked. They are what must be
/// connected to: a second look-up may have another answer.
///
/// # Errors
/// When there is none, none that may be reached, or no answer in time.
pub(crate) async fn resolve(
    resolver: &Resolver,
    lookups: &Arc<Semaphore>,
    to: &Destination,
    reach: Reach,
    until: Instant,
) -> Result<Vec<SocketAddr>, Error> {
    let look_up = async {
        let lookups = Arc::clone(lookups);
        let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
        resolver(to.host.clone(), permit).await
    };
    let found = match to.address() {
        Some(address) => vec![address],
        None => match timeout_at(until, look_up).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::debug!(host = to.host, %error, "no address");
                return Err(Error::DnsError {
                    rcode: Some("the name could not be looked up".to_owned()),
                    info_code: None,
                });
            }
            Err(_elapsed) => return Err(Error::DnsTimeout),
        },
    };
    if found.is_empty() {
        return Err(Error::DestinationNotFound);
    }
    let mut allowed: Vec<_> = found
        .iter()
        .filter(|address| reach.allows(**address))
        .map(|address| SocketAddr::new(*address, to.port))
        .collect();
    if allowed.is_empty() {
        tracing::warn!(
            host = to.host,
            addresses = ?found,
            "a function's request was refused: the host has no public address, \
             and the grant does not name the address itself",
        );
        return Err(Error::DestinationIpProhibited);
    }
    allowed.truncate(ADDRESSES);
    Ok(allowed)
}
