//! How many files may be open for answers at once.

use std::sync::Arc;
use std::time::Duration;

use strand_engine::{Limit, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a request waits for a place. Most files are read at once and closed: a burst
/// of requests for them has its turn, and only clients that take nothing keep others out.
const PATIENCE: Duration = Duration::from_secs(1);

/// Places for open files. A client that does not take its answers keeps their files open,
/// and everybody else on the node needs descriptors too.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    all: usize,
}

impl Places {
    pub(crate) fn new(all: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(all)),
            all,
        }
    }

    /// Takes a place, before a file is opened.
    ///
    /// # Errors
    /// When there is none for longer than a burst lasts.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = timeout(PATIENCE, Arc::clone(&self.free).acquire_owned()).await;
        // Nobody closes the semaphore: it can only have taken too long.
        place.ok().and_then(Result::ok).ok_or_else(|| {
            let all = self.all;
            let detail =
                format!("this node may have {all} files open for answers at once, and has them");
            Problem::limit(Limit::Concurrency, all, detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_no_place_is_told_of_how_many() {
        let places = Places::new(1);
        let place = places.take().await.unwrap();
        let refused = places.take().await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "limit concurrency (1): this node may have 1 files open for answers at once, and has them"
        );
        // One that comes free in time is taken.
        let (taken, ()) = tokio::join!(places.take(), async { drop(place) });
        assert!(taken.is_ok());
    }
}
