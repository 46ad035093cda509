//! Many who put, delete and collect at once, whose every operation on the bucket happens at a
//! moment that chance chooses; who are ended in the middle, or wait for days before an operation.
//! After each step: what somebody was told is there, is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use strand_bindle::{Id, Sha256};
use strand_objects::Bucket;
use tokio::task::JoinHandle;

use super::backends::{get, names, repository};
use super::bindles::invoice;
use super::clock::Still;
use super::stepped::Stepped;
use crate::registry::{Manifest, Reference, RegistryError};
use crate::{BindleError, LEASE, Limits, Repository, Store, StoreError};

const LIMITS: Limits = Limits {
    blob: 1000,
    piece: 4,
    memory: 400,
};

/// Content of one to four pieces, whose digests begin in the same way, so that a collection has
/// few lists to read.
fn contents() -> Vec<Bytes> {
    (1..=6_u8)
        .map(|n| {
            let candidates = (0..=u16::MAX).map(|tail| {
                let mut content = vec![n; usize::from(n) * 2];
                content.extend(tail.to_le_bytes());
                Bytes::from(content)
            });
            let mut alike = candidates.filter(|content| Sha256::of(content).as_bytes()[0] == 0);
            alike.next().unwrap()
        })
        .collect()
}

/// What refers to content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Referrer {
    Bindle(Id),
    Manifest(Sha256),
}

/// What was acknowledged: content that has to be there, by the bindle that refers to it.
#[derive(Default)]
struct Told {
    published: BTreeMap<Referrer, BTreeSet<Sha256>>,
    /// Those that somebody began to delete.
    deleted: BTreeSet<Referrer>,
    /// How often a second one of the same was refused.
    refused: u64,
    pushed: u64,
    late: u64,
}

impl Told {
    fn tell(&mut self, referrer: &Referrer, digest: Sha256) {
        if !self.deleted.contains(referrer) {
            let contents = self.published.entry(referrer.clone()).or_default();
            contents.insert(digest);
        }
    }
}

struct Model {
    rng: StdRng,
    clock: Arc<Still>,
    bucket: Stepped,
    told: Arc<Mutex<Told>>,
    /// Those who put, which time makes impatient, and those who collect or delete.
    pushers: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    contents: Vec<Bytes>,
    /// What is published next has this version, or the one behind it.
    version: u64,
    /// Since when the oldest of those who put is at work.
    busy: Duration,
}

impl Model {
    fn new(seed: u64) -> Self {
        let clock = Still::new();
        Self {
            rng: StdRng::seed_from_u64(seed),
            bucket: Stepped::new(&clock),
            clock,
            told: Arc::default(),
            pushers: Vec::new(),
            others: Vec::new(),
            contents: contents(),
            version: 0,
            busy: Duration::ZERO,
        }
    }

    /// A server of its own for each who comes.
    fn server(&self, bucket: Stepped) -> Store {
        let bucket = Bucket::new("stepped", Arc::new(bucket), "").unwrap();
        Store::with_clock(&bucket, LIMITS, self.clock.clone())
    }

    fn id(&mut self) -> Id {
        let name = ["a", "a/b"][self.rng.random_range(0..2)];
        self.version += u64::from(self.rng.random_bool(0.5));
        let major = self.version + self.rng.random_range(0..2_u64);
        Id::new(name, semver::Version::new(major, 0, 0)).unwrap()
    }

    fn begin_push(&mut self) {
        let store = self.server(self.bucket.clone());
        let id = self.id();
        let mut parcels = self.contents.clone();
        parcels.retain(|_| self.rng.random_bool(0.25));
        let resumable = self.rng.random_bool(0.5);
        let may_see = self.rng.random_bool(0.5);
        let told = Arc::clone(&self.told);
        self.pushers.push(tokio::spawn(async move {
            match push(&store, &id, &parcels, resumable, may_see, &told).await {
                Ok(()) => told.lock().unwrap().pushed += 1,
                Err(BindleError::Exists(_)) => told.lock().unwrap().refused += 1,
                Err(BindleError::Deleted(_)) => {}
                // Its lease was over, as was said.
                Err(BindleError::Store(StoreError::NoUpload(_))) => {}
                Err(error) => panic!("{id}: {error}"),
            }
        }));
    }

    fn begin_manifest(&mut self) {
        let store = self.server(self.bucket.clone());
        let mut layers = self.contents.clone();
        layers.retain(|_| self.rng.random_bool(0.25));
        let made = manifest(self.rng.random_range(0..u64::MAX), &layers);
        let told = Arc::clone(&self.told);
        self.pushers.push(tokio::spawn(async move {
            let to = repository("a");
            for layer in &layers {
                let digest = Sha256::of(layer);
                // As clients do: what is there is not sent.
                if store.holds(&to, digest).await.unwrap() && store.is_there(digest).await.unwrap()
                {
                    continue;
                }
                let mut upload = store.put(&to);
                upload.write(layer.clone()).await.unwrap();
                upload.finish(digest).await.unwrap();
            }
            let reference = Reference::Digest(Sha256::of(&made.bytes));
            match store.put_manifest(&to, &reference, &made).await {
                Ok(put) => {
                    let mut told = told.lock().unwrap();
                    for layer in layers {
                        told.tell(&Referrer::Manifest(put.digest), Sha256::of(&layer));
                    }
                    told.pushed += 1;
                }
                // What was there, and not leased, may have gone meanwhile.
                Err(RegistryError::Missing(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }));
    }

    /// Content to which nobody will refer.
    fn begin_litter(&mut self) {
        let store = self.server(self.bucket.clone());
        let to = ["a", "a/b", "litter"][self.rng.random_range(0..3)];
        let content = self.contents[self.rng.random_range(0..6)].clone();
        self.pushers.push(tokio::spawn(async move {
            let mut upload = store.put(&repository(to));
            upload.write(content.clone()).await.unwrap();
            match upload.finish(Sha256::of(&content)).await {
                Ok(_) | Err(StoreError::NoUpload(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }));
    }

    fn begin_delete(&mut self) {
        let store = self.server(self.bucket.clone());
        let referrer = {
            let mut told = self.told.lock().unwrap();
            let count = told.published.len();
            if count == 0 {
                return;
            }
            let index = self.rng.random_range(0..count);
            let referrer = told.published.keys().nth(index).unwrap().clone();
            // Nobody relies on it from now on.
            told.published.remove(&referrer);
            told.deleted.insert(referrer.clone());
            referrer
        };
        self.others.push(tokio::spawn(async move {
            match referrer {
                Referrer::Bindle(id) => match store.delete_bindle(&id).await {
                    Ok(()) | Err(BindleError::Unknown(_)) => {}
                    Err(error) => panic!("{error}"),
                },
                Referrer::Manifest(digest) => {
                    let reference = Reference::Digest(digest);
                    let from = repository("a");
                    store.delete_manifest(&from, &reference).await.unwrap();
                }
            }
        }));
    }

    fn begin_collection(&mut self) {
        let store = self.server(self.bucket.clone());
        let told = Arc::clone(&self.told);
        self.others.push(tokio::spawn(async move {
            match store.collect(false).await {
                Ok(_) => {}
                Err(StoreError::Late) => told.lock().unwrap().late += 1,
                Err(error) => panic!("{error}"),
            }
        }));
    }

    /// Lets everybody go on until all wait for the bucket.
    async fn settle(&mut self) {
        let mut quiet = 0;
        let mut before = usize::MAX;
        while quiet < 3 {
            tokio::task::yield_now().await;
            let waiting = self.bucket.waiting();
            quiet = if waiting == before { quiet + 1 } else { 0 };
            before = waiting;
        }
        for tasks in [&mut self.pushers, &mut self.others] {
            for index in (0..tasks.len()).rev() {
                if tasks[index].is_finished()
                    && let Err(error) = tasks.swap_remove(index).await
                    && error.is_panic()
                {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
        }
        if self.pushers.is_empty() {
            self.busy = Duration::ZERO;
        }
    }

    fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.busy += time;
        if self.busy > LEASE / 2 {
            // Who has slept for so long is taken for dead.
            for pusher in self.pushers.drain(..) {
                pusher.abort();
            }
            self.busy = Duration::ZERO;
        }
    }

    async fn check(&self) {
        let store = self.server(self.bucket.at_once());
        let published = self.told.lock().unwrap().published.clone();
        let contents: BTreeSet<Sha256> = published.into_values().flatten().collect();
        for digest in contents {
            match get(&store, digest, 0..u64::MAX).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{digest} is gone"),
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn step(&mut self) {
        let busy = self.pushers.len() + self.others.len();
        match self.rng.random_range(0..10_000) {
            _ if busy < 2 => self.begin_push(),
            0..200 if busy < 8 => self.begin_push(),
            200..300 if busy < 8 => self.begin_manifest(),
            300..360 if busy < 8 => self.begin_litter(),
            360..460 if busy < 8 => self.begin_collection(),
            460..560 if busy < 8 => self.begin_delete(),
            560..570 if !self.pushers.is_empty() => {
                let index = self.rng.random_range(0..self.pushers.len());
                self.pushers.swap_remove(index).abort();
            }
            570..575 if !self.others.is_empty() => {
                let index = self.rng.random_range(0..self.others.len());
                self.others.swap_remove(index).abort();
            }
            575..585 => self.pass(LEASE / 8),
            585..600 => {
                // All leases are over, and what nothing refers to is to go.
                self.pass(LEASE);
                self.begin_collection();
            }
            _ => {}
        }
        self.settle().await;
        let waiting = self.bucket.waiting();
        if waiting > 0 {
            // Often the last one, so that somebody gets far while others stand still.
            let index = match self.rng.random_bool(0.8) {
                true => waiting - 1,
                false => self.rng.random_range(0..waiting),
            };
            self.bucket.step(index);
            self.settle().await;
        }
        self.check().await;
    }

    /// Lets all end, and sees that nothing is left that nobody needs.
    async fn end(mut self) {
        while !(self.pushers.is_empty() && self.others.is_empty()) || self.bucket.waiting() > 0 {
            if self.bucket.waiting() > 0 {
                self.bucket.step(0);
            }
            self.settle().await;
        }
        let store = self.server(self.bucket.at_once());
        for _ in 0..3 {
            self.clock.advance(LEASE * 2);
            store.collect(false).await.unwrap();
            self.check().await;
        }
        let referenced = store.referenced().await.unwrap();
        let mut copies = BTreeMap::new();
        let mut pieces = BTreeMap::new();
        for name in names(&store).await {
            match name.split('/').collect::<Vec<_>>()[..] {
                ["blobs", _, digest, copy] => {
                    let digest: Sha256 = digest.parse().unwrap();
                    assert!(referenced.contains(&digest), "{digest} is left");
                    assert_eq!(
                        copies.insert(digest, copy.to_owned()),
                        None,
                        "{digest} is there twice"
                    );
                }
                ["data", upload, _] => *pieces.entry(upload.to_owned()).or_insert(0) += 1,
                ["uploads", ..] => panic!("{name} is left"),
                ["leases", _, digest, ..] => {
                    assert!(
                        referenced.contains(&digest.parse().unwrap()),
                        "{name} is left"
                    );
                }
                ["invoices" | "manifests", ..] => {}
                _ => panic!("{name} is none of ours"),
            }
        }
        let copies: BTreeSet<String> = copies.into_values().collect();
        let pieces: BTreeSet<String> = pieces.into_keys().collect();
        assert_eq!(copies, pieces);
    }
}

fn manifest(number: u64, layers: &[Bytes]) -> Manifest {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| {
            let digest = format!("sha256:{}", Sha256::of(layer));
            serde_json::json!({ "mediaType": "a/b", "digest": digest, "size": layer.len() })
        })
        .collect();
    let annotations = serde_json::json!({ "number": number.to_string() });
    let made = serde_json::json!({
        "schemaVersion": 2, "layers": layers, "annotations": annotations,
    });
    Manifest {
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        bytes: made.to_string().into(),
    }
}

/// As a client does it.
async fn push(
    store: &Store,
    id: &Id,
    parcels: &[Bytes],
    resumable: bool,
    may_see: bool,
    told: &Mutex<Told>,
) -> Result<(), BindleError> {
    let document = invoice(&id.to_string(), &parcels.iter().collect::<Vec<_>>());
    let see = move |_: &Repository| may_see;
    let missing = store.publish(&document, None, &see).await?;
    let missing: BTreeSet<Sha256> = missing.iter().map(|label| label.sha256).collect();
    let tell = |digest: Sha256| {
        told.lock()
            .unwrap()
            .tell(&Referrer::Bindle(id.clone()), digest);
    };
    for parcel in parcels {
        let digest = Sha256::of(parcel);
        if !missing.contains(&digest) {
            tell(digest);
        }
    }
    let to = Repository::of(id)?;
    for parcel in parcels {
        let digest = Sha256::of(parcel);
        if missing.contains(&digest) {
            let mut upload = match resumable {
                true => {
                    let upload = store.put_resumable(&to).await?;
                    let upload_id = upload.id();
                    drop(upload);
                    let mut upload = store.resume(upload_id, &to).await?;
                    upload.write(parcel.clone()).await?;
                    upload.pause().await?;
                    // A client that got no answer asks again while the first one is at work.
                    let first = store.resume(upload_id, &to).await?;
                    let again = store.resume(upload_id, &to).await?;
                    let (first, again) = tokio::join!(first.finish(digest), again.finish(digest));
                    first.or(again)?;
                    tell(digest);
                    continue;
                }
                false => store.put(&to),
            };
            upload.write(parcel.clone()).await?;
            upload.finish(digest).await?;
            tell(digest);
        }
    }
    Ok(())
}

/// Steps of all seeds together; `STRAND_MODEL_STEPS` says otherwise.
const STEPS: u64 = 100_000;
const STEPS_OF_A_SEED: u64 = 2_000;

#[tokio::test]
async fn whatever_happens_when_what_was_told_is_there_is_there() {
    let steps = std::env::var("STRAND_MODEL_STEPS");
    let steps = steps.map_or(STEPS, |steps| steps.parse().unwrap());
    let (mut pushed, mut refused, mut late) = (0, 0, 0);
    for seed in 0..steps.div_ceil(STEPS_OF_A_SEED) {
        let mut model = Model::new(seed);
        for _ in 0..STEPS_OF_A_SEED {
            model.step().await;
        }
        {
            let told = model.told.lock().unwrap();
            pushed += told.pushed;
            refused += told.refused;
            late += told.late;
        }
        model.end().await;
    }
    // What never happens is not tested.
    assert!(
        pushed >= steps / 1000 && refused >= steps / 2000 && late > 0,
        "{pushed} {refused} {late}"
    );
}
