//! Leases: who needs content that nothing refers to yet, and who has it.

use std::time::{Duration, SystemTime};

use object_store::ObjectMeta;
use strand_bindle::Sha256;

use crate::layout::HELD;
use crate::{Repository, Store, StoreError};

/// How long content is kept for who put it, or said that he would refer to it: a day. An upload
/// has half of it from its last byte to its end, so that clocks may differ.
pub const LEASE: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether something that happened then is still in its time.
pub(crate) fn is_young(then: SystemTime, now: SystemTime, time: Duration) -> bool {
    // What is of the future, by another clock, is young.
    now.duration_since(then).is_ok_and(|age| age < time) || then > now
}

/// Whether an object was made within the time of a lease.
pub(crate) fn is_leased(meta: &ObjectMeta, now: SystemTime) -> bool {
    is_young(SystemTime::from(meta.last_modified), now, LEASE)
}

impl Store {
    /// Keeps content for somebody who is about to refer to it in a repository, and says whether
    /// it is there. `held`: the repository has it from then on, as he was allowed to see it.
    ///
    /// What this says holds for half a [`LEASE`].
    ///
    /// # Errors
    /// If the bucket fails.
    pub async fn lease(
        &self,
        digest: Sha256,
        repository: &Repository,
        held: bool,
    ) -> Result<bool, StoreError> {
        self.write_lease(digest, repository, held).await?;
        // After the lease: who collects looks for leases after it has condemned a copy.
        Ok(self.copies(digest).await?.is_there())
    }

    pub(crate) async fn write_lease(
        &self,
        digest: Sha256,
        repository: &Repository,
        held: bool,
    ) -> Result<(), StoreError> {
        let objects = self.objects();
        let lease = self.0.clock.id();
        let at = objects.layout.lease(digest, repository, lease, held);
        objects.create(&at, "").await?;
        Ok(())
    }

    /// Whether a repository has content: it was put there, or was let in from another one.
    ///
    /// # Errors
    /// If the bucket fails.
    pub async fn holds(&self, repository: &Repository, digest: Sha256) -> Result<bool, StoreError> {
        let objects = self.objects();
        let below = objects.layout.leases_of(digest, repository);
        let is_held = |meta: &ObjectMeta| meta.location.as_ref().ends_with(HELD);
        objects.any(&below, is_held).await
    }

    /// Has a repository give content up. It stays for who has leased it, and where else it is.
    /// False if the repository does not have it.
    ///
    /// # Errors
    /// If the bucket fails.
    pub async fn let_go(
        &self,
        repository: &Repository,
        digest: Sha256,
    ) -> Result<bool, StoreError> {
        let objects = self.objects();
        let listed = objects
            .list(&objects.layout.leases_of(digest, repository))
            .await?;
        let held = listed.into_iter().map(|meta| meta.location);
        let held: Vec<_> = held.filter(|at| at.as_ref().ends_with(HELD)).collect();
        if held.is_empty() {
            return Ok(false);
        }
        // Somebody may be about to refer to it, on one of those that go.
        self.write_lease(digest, repository, false).await?;
        objects.delete(held).await?;
        Ok(true)
    }

    /// The repositories that have content.
    ///
    /// # Errors
    /// If the bucket fails.
    pub async fn holders(&self, digest: Sha256) -> Result<Vec<Repository>, StoreError> {
        let objects = self.objects();
        let mut holders = Vec::new();
        for meta in objects.list(&objects.layout.leases(digest)).await? {
            let parts = objects.layout.parts(&meta.location);
            if let [_, _, _, repository, lease] = parts[..]
                && lease.ends_with(HELD)
                && let Some(repository) = Repository::unescaped(repository)
                && holders.last() != Some(&repository)
            {
                holders.push(repository);
            }
        }
        Ok(holders)
    }
}
