//! Bindles: invoices, which never change, and what is said of them later.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use strand_bindle::{Document, Format, Id, Label, Query, Sha256, Signature};
use thiserror::Error;

use crate::objects::AT_ONCE;
use crate::upload::to_json;
use crate::{Repository, RepositoryError, Store, StoreError};

/// A bindle as a store has it.
#[derive(Clone, Debug)]
pub struct Bindle {
    /// The invoice, as it came.
    pub document: Document,
    /// That of the server which took it.
    pub host: Option<Signature>,
    /// Whether nobody new should use it.
    pub yanked: bool,
}

/// Why an invoice was not taken, or not given.
#[derive(Debug, Error)]
pub enum BindleError {
    /// There is one of that name and version.
    #[error("{0} exists already: what was published does not change; publish another version")]
    Exists(Id),
    /// There was one.
    #[error(
        "{0} was deleted by an administrator, and its version is not given again; publish another version"
    )]
    Deleted(Id),
    /// There is none.
    #[error("there is no bindle {0}")]
    Unknown(Id),
    /// It is yanked from the start.
    #[error("the invoice says `yanked = true`: what is new cannot be yanked")]
    Yanked,
    /// A parcel is there, and has another size.
    #[error("the parcel {digest} has {actual} bytes, where the invoice says {expected}")]
    Size {
        /// The parcel.
        digest: Sha256,
        /// What the invoice says.
        expected: u64,
        /// What it has.
        actual: u64,
    },
    /// Its name cannot be kept.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an object `yanked` or `deleted` says.
#[derive(Serialize, Deserialize)]
struct Since {
    /// Seconds since 1970.
    at: u64,
}

impl Store {
    /// Publishes an invoice, and says which of its parcels are to be put yet. `may_see` says which
    /// repositories' content whoever publishes it could read anyway: a parcel of theirs need not
    /// be put again.
    ///
    /// # Errors
    /// If there is one already or was one, or the store fails. Then nothing was published.
    pub async fn publish(
        &self,
        document: &Document,
        host: Option<&Signature>,
        may_see: &(dyn Fn(&Repository) -> bool + Sync),
    ) -> Result<Vec<Label>, BindleError> {
        let invoice = document.invoice();
        let id = invoice.id();
        let repository = Repository::of(id)?;
        if invoice.yanked {
            return Err(BindleError::Yanked);
        }
        let objects = self.objects();
        let layout = &objects.layout;
        if objects.head(&layout.invoice(id)).await?.is_some() {
            return Err(BindleError::Exists(id.clone()));
        }
        if objects.head(&layout.deleted(id)).await?.is_some() {
            return Err(BindleError::Deleted(id.clone()));
        }
        let missing = self.take_over(&repository, document, may_see).await?;
        // For those who ask by digest, as an OCI registry has it.
        let mut upload = self.put(&repository);
        upload
            .write(Bytes::copy_from_slice(document.bytes()))
            .await?;
        upload.finish(document.digest()).await?;
        if let Some(host) = host {
            let at = layout.host(id, document.digest());
            objects.create(&at, to_json(host)).await?;
        }
        let bytes = document.bytes().to_vec();
        if !objects.create(&layout.invoice(id), bytes).await? {
            return Err(BindleError::Exists(id.clone()));
        }
        // An administrator may have deleted another one of that name meanwhile.
        if objects.head(&layout.deleted(id)).await?.is_some() {
            return Err(BindleError::Deleted(id.clone()));
        }
        Ok(missing)
    }

    /// Leases the parcels of an invoice, and has its repository hold those that it may.
    async fn take_over(
        &self,
        repository: &Repository,
        document: &Document,
        may_see: &(dyn Fn(&Repository) -> bool + Sync),
    ) -> Result<Vec<Label>, BindleError> {
        let labels = distinct_labels(document);
        futures::stream::iter(labels)
            .map(|label| self.take_over_one(repository, label, may_see).boxed())
            .buffered(AT_ONCE)
            .boxed()
            .try_filter_map(|label| async { Ok(label) })
            .try_collect()
            .await
    }

    async fn take_over_one(
        &self,
        repository: &Repository,
        label: &Label,
        may_see: &(dyn Fn(&Repository) -> bool + Sync),
    ) -> Result<Option<Label>, BindleError> {
        let digest = label.sha256;
        self.write_lease(digest, repository, false).await?;
        // After the lease, as everywhere.
        let Some(copy) = self.copies(digest).await?.staying.into_iter().next() else {
            return Ok(Some(label.clone()));
        };
        if !self.holds(repository, digest).await? {
            if !self.holders(digest).await?.iter().any(may_see) {
                return Ok(Some(label.clone()));
            }
            self.write_lease(digest, repository, true).await?;
        }
        let blob = match self.copy_of(digest, copy).await? {
            Some(blob) => Some(blob),
            // That one was a second copy, and went.
            None => self.blob(digest).await?,
        };
        match blob {
            Some(blob) if blob.size() != label.size => Err(BindleError::Size {
                digest,
                expected: label.size,
                actual: blob.size(),
            }),
            _ => Ok(None),
        }
    }

    /// A bindle, if it is there.
    ///
    /// # Errors
    /// If it was deleted, or the store fails.
    pub async fn bindle(&self, id: &Id) -> Result<Option<Bindle>, BindleError> {
        Repository::of(id)?;
        let objects = self.objects();
        let layout = &objects.layout;
        if objects.head(&layout.deleted(id)).await?.is_some() {
            return Err(BindleError::Deleted(id.clone()));
        }
        let at = layout.invoice(id);
        let Some(bytes) = objects.get(&at).await? else {
            return Ok(None);
        };
        let document = read_document(&bytes).ok_or_else(|| StoreError::Foreign(at.to_string()))?;
        let host = match objects.get(&layout.host(id, document.digest())).await? {
            Some(host) => serde_json::from_slice(&host).ok(),
            None => None,
        };
        let yanked = objects.head(&layout.yanked(id)).await?.is_some();
        Ok(Some(Bindle {
            document,
            host,
            yanked,
        }))
    }

    /// The parcels of a bindle that were not put yet.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn missing(&self, bindle: &Bindle) -> Result<Vec<Label>, BindleError> {
        let repository = &Repository::of(bindle.document.invoice().id())?;
        futures::stream::iter(distinct_labels(&bindle.document))
            .map(|label| {
                async move {
                    let is_there = self.holds(repository, label.sha256).await?
                        && self.copies(label.sha256).await?.is_there();
                    Ok((!is_there).then(|| label.clone()))
                }
                .boxed()
            })
            .buffered(AT_ONCE)
            .boxed()
            .try_filter_map(|label| async { Ok(label) })
            .try_collect()
            .await
    }

    /// Says that nobody new should use a bindle. There is no way back.
    ///
    /// # Errors
    /// If there is no such bindle, or the store fails.
    pub async fn yank(&self, id: &Id) -> Result<(), BindleError> {
        Repository::of(id)?;
        let objects = self.objects();
        if objects.head(&objects.layout.invoice(id)).await?.is_none() {
            return Err(BindleError::Unknown(id.clone()));
        }
        let at = objects.layout.yanked(id);
        objects.create(&at, to_json(&self.since())).await?;
        Ok(())
    }

    /// Deletes a bindle for good. Its parcels go with the next collection, unless something else
    /// refers to them; its version is not given again.
    ///
    /// # Errors
    /// If there is no such bindle, or the store fails.
    pub async fn delete_bindle(&self, id: &Id) -> Result<(), BindleError> {
        Repository::of(id)?;
        let objects = self.objects();
        let layout = &objects.layout;
        let Some(bytes) = objects.get(&layout.invoice(id)).await? else {
            return Err(BindleError::Unknown(id.clone()));
        };
        objects
            .create(&layout.deleted(id), to_json(&self.since()))
            .await?;
        let host = layout.host(id, Sha256::of(&bytes));
        let gone = vec![layout.invoice(id), host, layout.yanked(id)];
        objects.delete(gone).await?;
        Ok(())
    }

    fn since(&self) -> Since {
        Since {
            at: self.unix_time(),
        }
    }

    /// Seconds since 1970.
    pub(crate) fn unix_time(&self) -> u64 {
        let now = self.0.clock.now();
        let since = now.duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    /// The bindles that there are, in the order of their names and versions; whether each is
    /// yanked.
    async fn ids(&self) -> Result<BTreeMap<Id, bool>, StoreError> {
        let objects = self.objects();
        let mut published = BTreeMap::new();
        let mut deleted = Vec::new();
        for meta in objects.list(&objects.layout.invoices()).await? {
            let parts = objects.layout.parts(&meta.location);
            let [_, repository, version, what] = parts[..] else {
                continue;
            };
            let Some(id) = Repository::unescaped(repository)
                .and_then(|name| Id::new(name.as_str(), version.parse().ok()?).ok())
            else {
                continue;
            };
            match what {
                "invoice" => drop(published.entry(id).or_insert(false)),
                // Behind `invoice`, in the order of names.
                "yanked" => drop(published.entry(id).and_modify(|yanked| *yanked = true)),
                "deleted" => deleted.push(id),
                _ => {}
            }
        }
        for id in deleted {
            published.remove(&id);
        }
        Ok(published)
    }

    /// The bindles that a query finds among those that may be seen: how many, and those of the
    /// page that it asks for.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn search(
        &self,
        query: &Query,
        may_see: &(dyn Fn(&Id) -> bool + Sync),
    ) -> Result<(u64, Vec<Bindle>), BindleError> {
        let mut ids = self.ids().await?;
        ids.retain(|id, _| may_see(id));
        let found: Vec<Id> = futures::stream::iter(ids)
            .map(|(id, yanked)| {
                async move {
                    if query.matches(&id, None, yanked) {
                        return Ok(Some(id));
                    }
                    if query.strict || !query.has_version(&id, yanked) {
                        return Ok(None);
                    }
                    let found = self.existing(&id).await?;
                    let invoice = found.as_ref().map(|bindle| bindle.document.invoice());
                    let description =
                        invoice.and_then(|invoice| invoice.bindle.description.as_deref());
                    Ok::<_, BindleError>(query.matches(&id, description, yanked).then_some(id))
                }
                .boxed()
            })
            .buffered(AT_ONCE)
            .boxed()
            .try_filter_map(|id| async { Ok(id) })
            .try_collect()
            .await?;
        let total = found.len() as u64;
        let page: Vec<Id> = query.page(found).collect();
        let page = futures::stream::iter(page)
            .map(|id| async move { self.existing(&id).await }.boxed())
            .buffered(AT_ONCE)
            .boxed()
            .try_filter_map(|bindle| async { Ok(bindle) })
            .try_collect()
            .await?;
        Ok((total, page))
    }

    /// A bindle that was there a moment ago.
    async fn existing(&self, id: &Id) -> Result<Option<Bindle>, BindleError> {
        match self.bindle(id).await {
            Err(BindleError::Deleted(_)) => Ok(None),
            found => found,
        }
    }

    /// All content that something refers to.
    pub(crate) async fn referenced(&self) -> Result<HashSet<Sha256>, StoreError> {
        let objects = self.objects();
        let invoices = self.ids().await?.into_keys();
        let mut invoices = futures::stream::iter(invoices)
            .map(|id| {
                async move {
                    let at = objects.layout.invoice(&id);
                    let bytes = objects.get(&at).await?;
                    match bytes.as_deref().map(read_document) {
                        Some(None) => Err(StoreError::Foreign(at.to_string())),
                        Some(document) => Ok(document),
                        None => Ok(None),
                    }
                }
                .boxed()
            })
            .buffer_unordered(AT_ONCE)
            .boxed();
        let mut referenced = HashSet::new();
        while let Some(document) = invoices.try_next().await? {
            if let Some(document) = document {
                referenced.insert(document.digest());
                let labels = document.invoice().parcel.iter();
                referenced.extend(labels.map(|parcel| parcel.label.sha256));
            }
        }
        self.in_manifests(&mut referenced).await?;
        Ok(referenced)
    }
}

/// Each parcel once, even if several labels are for it.
fn distinct_labels(document: &Document) -> Vec<&Label> {
    let mut seen = HashSet::new();
    let labels = document.invoice().parcel.iter().map(|parcel| &parcel.label);
    labels.filter(|label| seen.insert(label.sha256)).collect()
}

/// An invoice as it was kept, whose first character says what it is written in.
fn read_document(bytes: &[u8]) -> Option<Document> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let format = match first {
        Some(b'{') => Format::Json,
        _ => Format::Toml,
    };
    Document::read(bytes.to_vec(), format).ok()
}
