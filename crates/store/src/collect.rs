//! Taking away what nobody needs.
//!
//! A copy of some content goes in three steps: it is condemned, then needs are looked for once
//! more, then it is deleted. Who would need it either wrote that down before it was condemned,
//! and is seen in the second step, or sees that it is condemned, and does not rely on it.

use std::collections::{BTreeMap, HashSet};
use std::time::SystemTime;

use object_store::ObjectMeta;
use object_store::path::Path;
use strand_bindle::Sha256;
use uuid::Uuid;

use crate::blob::{Copies, Pieces};
use crate::layout::{CONDEMNED, HELD};
use crate::lease::{LEASE, is_leased, is_young};
use crate::upload::to_json;
use crate::{Store, StoreError};

/// What a collection took away, or, where it was only asked, would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Copies of content.
    pub copies: u64,
    /// Pieces of uploads that were never finished.
    pub pieces: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Leases, uploads and the like that are over.
    pub notes: u64,
    /// Contents that stay.
    pub staying: u64,
}

/// One shard of the digests, as it was listed.
#[derive(Default)]
struct Content {
    copies: Copies,
    /// Sentences, with whether they are young.
    sentences: Vec<(Uuid, bool)>,
    leases: Vec<ObjectMeta>,
}

struct Collection<'a> {
    store: &'a Store,
    dry: bool,
    now: SystemTime,
    referenced: HashSet<Sha256>,
    /// The copies that there are.
    finished: HashSet<Uuid>,
    collected: Collected,
}

impl Store {
    /// Takes away what nothing refers to and nobody has leased, second copies, and what is left of
    /// uploads that were given up. `dry`: only says what it would.
    ///
    /// It may be ended at any time, run on several servers at once, and run while others put and
    /// get. Holds 32 bytes for each content that something refers to, and as much for each copy.
    ///
    /// # Errors
    /// If the bucket fails, or it takes longer than half a [`LEASE`]; what was done by then is.
    pub async fn collect(&self, dry: bool) -> Result<Collected, StoreError> {
        // Before anything else is read: from here on what is young stays young.
        let now = self.0.clock.now();
        // Before the copies: an upload that is finished later was not given up.
        let given_up = self.given_up(now).await?;
        let mut collection = Collection {
            store: self,
            dry,
            now,
            referenced: self.referenced().await?,
            finished: HashSet::new(),
            collected: Collected::default(),
        };
        let objects = self.objects();
        let (copies, leases) = (objects.layout.all_copies(), objects.layout.all_leases());
        let mut shards = objects.parts_below(&copies).await?;
        shards.extend(objects.parts_below(&leases).await?);
        shards.sort_unstable();
        shards.dedup();
        for shard in shards {
            collection.shard(&shard).await?;
        }
        collection.uploads(given_up).await?;
        Ok(collection.collected)
    }

    /// The pieces of uploads for which nothing came for the time of a lease.
    async fn given_up(
        &self,
        now: SystemTime,
    ) -> Result<BTreeMap<Uuid, Vec<ObjectMeta>>, StoreError> {
        let objects = self.objects();
        let mut uploads: BTreeMap<Uuid, Vec<ObjectMeta>> = BTreeMap::new();
        for meta in objects.list(&objects.layout.data()).await? {
            let parts = objects.layout.parts(&meta.location);
            if let [_, upload, _] = parts[..]
                && let Ok(upload) = Uuid::parse_str(upload)
            {
                uploads.entry(upload).or_default().push(meta);
            }
        }
        uploads.retain(|_, pieces| !pieces.iter().any(|piece| is_leased(piece, now)));
        Ok(uploads)
    }
}

impl Collection<'_> {
    /// Whether the collection may rely on what it read at its begin.
    fn check_time(&self) -> Result<(), StoreError> {
        match is_young(self.now, self.store.0.clock.now(), LEASE / 2) {
            true => Ok(()),
            false => Err(StoreError::Late),
        }
    }

    async fn delete(&mut self, notes: Vec<Path>) -> Result<(), StoreError> {
        self.collected.notes += notes.len() as u64;
        if !self.dry && !notes.is_empty() {
            self.check_time()?;
            self.store.objects().delete(notes).await?;
        }
        Ok(())
    }

    async fn shard(&mut self, shard: &str) -> Result<(), StoreError> {
        let objects = self.store.objects();
        let layout = &objects.layout;
        let mut contents: BTreeMap<Sha256, Content> = BTreeMap::new();
        for meta in objects.list(&layout.all_copies().join(shard)).await? {
            let parts = layout.parts(&meta.location);
            let [_, _, digest, name] = parts[..] else {
                continue;
            };
            let Ok(digest) = digest.parse() else {
                continue;
            };
            let content = contents.entry(digest).or_default();
            content.copies.note(name);
            if let Some(copy) = name.strip_suffix(CONDEMNED)
                && let Ok(copy) = Uuid::parse_str(copy)
            {
                content.sentences.push((copy, is_leased(&meta, self.now)));
            }
        }
        for meta in objects.list(&layout.all_leases().join(shard)).await? {
            let parts = layout.parts(&meta.location);
            if let [_, _, digest, _, _] = parts[..]
                && let Ok(digest) = digest.parse()
            {
                contents.entry(digest).or_default().leases.push(meta);
            }
        }
        for (digest, content) in contents {
            self.content(digest, content).await?;
        }
        Ok(())
    }

    async fn content(&mut self, digest: Sha256, content: Content) -> Result<(), StoreError> {
        let Content {
            copies,
            sentences,
            leases,
        } = content;
        self.finished.extend(&copies.staying);
        self.finished.extend(&copies.condemned);
        let is_needed = self.referenced.contains(&digest)
            || leases.iter().any(|lease| is_leased(lease, self.now));
        let spared = usize::from(is_needed);
        let mut going = copies.condemned.clone();
        going.extend(copies.staying.iter().skip(spared));
        for copy in &going {
            self.remove(digest, *copy).await?;
        }
        let stays = is_needed && !(copies.staying.is_empty() && going.is_empty());
        self.collected.staying += u64::from(stays);

        let layout = &self.store.objects().layout;
        let mut over: Vec<Path> = Vec::new();
        // A sentence outlives its copy until nobody can finish that upload any more.
        let carried_out = sentences.iter().filter(|(copy, young)| {
            !young && !copies.condemned.contains(copy) && !copies.staying.contains(copy)
        });
        over.extend(carried_out.map(|(copy, _)| layout.condemned(digest, *copy)));
        over.extend(self.leases_that_are_over(&leases, stays));
        self.delete(over).await
    }

    /// Leases that protect nothing any more, but for the last one of each repository that has
    /// content which stays: that one says that it has.
    fn leases_that_are_over(&self, leases: &[ObjectMeta], stays: bool) -> Vec<Path> {
        let layout = &self.store.objects().layout;
        let mut kept: HashSet<&str> = HashSet::new();
        let mut over = Vec::new();
        for lease in leases.iter().rev() {
            let [_, _, _, repository, name] = layout.parts(&lease.location)[..] else {
                continue;
            };
            let says_so = stays && name.ends_with(HELD) && kept.insert(repository);
            if !says_so && !is_leased(lease, self.now) {
                over.push(lease.location.clone());
            }
        }
        over
    }

    /// Takes away one copy of some content.
    async fn remove(&mut self, digest: Sha256, copy: Uuid) -> Result<(), StoreError> {
        let store = self.store;
        let objects = store.objects();
        let Some(blob) = store.copy_of(digest, copy).await? else {
            return Ok(());
        };
        if !self.dry {
            self.check_time()?;
            let condemned = objects.layout.condemned(digest, copy);
            objects.create(&condemned, "").await?;
            // What was written before the sentence is seen from here on.
            if self.is_needed_still(digest).await? && !store.copies(digest).await?.is_there() {
                self.save(digest, copy, blob.pieces()).await?;
            }
            self.check_time()?;
            let mut gone = vec![objects.layout.copy(digest, copy)];
            objects.delete(std::mem::take(&mut gone)).await?;
            gone.extend((0..blob.piece_count()).map(|piece| objects.layout.piece(copy, piece)));
            objects.delete(gone).await?;
        }
        self.collected.copies += 1;
        self.collected.bytes += blob.size();
        Ok(())
    }

    async fn is_needed_still(&self, digest: Sha256) -> Result<bool, StoreError> {
        if self.referenced.contains(&digest) {
            return Ok(true);
        }
        let objects = self.store.objects();
        let leases = objects.layout.leases(digest);
        let is_young = |lease: &ObjectMeta| is_leased(lease, self.now);
        objects.any(&leases, is_young).await
    }

    /// Makes another copy of what is about to go, and is needed after all.
    async fn save(&self, digest: Sha256, from: Uuid, pieces: &[u64]) -> Result<(), StoreError> {
        let objects = self.store.objects();
        let to = self.store.0.clock.id();
        for (number, _) in (0..).zip(pieces) {
            let (from, to) = (
                objects.layout.piece(from, number),
                objects.layout.piece(to, number),
            );
            if !objects.copy(&from, &to).await? {
                // Another collection has deleted it. It was not needed when that looked, which was
                // after the sentence: whoever needs it now knows that he cannot have it.
                return Ok(());
            }
        }
        self.check_time()?;
        let pieces = Pieces::new(pieces.to_vec());
        let at = objects.layout.copy(digest, to);
        objects.create(&at, to_json(&pieces)).await?;
        Ok(())
    }

    /// Takes away what is left of uploads.
    async fn uploads(
        &mut self,
        given_up: BTreeMap<Uuid, Vec<ObjectMeta>>,
    ) -> Result<(), StoreError> {
        let objects = self.store.objects();
        for (upload, pieces) in given_up {
            if self.finished.contains(&upload) {
                continue;
            }
            self.collected.pieces += pieces.len() as u64;
            self.collected.bytes += pieces.iter().map(|piece| piece.size).sum::<u64>();
            if !self.dry {
                self.check_time()?;
                let pieces = pieces.into_iter().map(|piece| piece.location).collect();
                objects.delete(pieces).await?;
            }
        }
        let mut over = Vec::new();
        for meta in objects.list(&objects.layout.uploads()).await? {
            let parts = objects.layout.parts(&meta.location);
            let [_, upload, ..] = parts[..] else {
                continue;
            };
            let Ok(upload) = Uuid::parse_str(upload) else {
                continue;
            };
            if is_leased(&meta, self.now) {
                continue;
            }
            // A large one may have begun long ago.
            let data = objects.layout.data_of(upload);
            let goes_on = |piece: &ObjectMeta| is_leased(piece, self.now);
            if !objects.any(&data, goes_on).await? {
                over.push(meta.location);
            }
        }
        self.delete(over).await
    }
}
