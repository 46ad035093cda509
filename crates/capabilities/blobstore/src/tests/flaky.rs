//! Reading goes on after the store broke off, with the same object or not at all.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use strand_objects::Bucket;

use super::guest::{ALL, Guest, bytes};
use crate::Config;

/// A store in memory whose answers break off.
#[derive(Clone, Debug)]
struct Flaky {
    inner: Arc<InMemory>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// How each further answer goes; those after the last go well.
    plan: Vec<Fault>,
    /// What was asked: range and whether on condition.
    asked: Vec<(Option<GetRange>, bool)>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The answer breaks off with an error after so many bytes.
    BreaksAfter(usize),
    /// It ends after so many bytes as if it were whole.
    EndsAfter(usize),
    /// Nothing comes any more after so many bytes.
    StandsStillAfter(usize),
    /// There is no answer but an error.
    Refuses,
    /// As the first, and then somebody writes another object of the same length.
    ChangesAfter(usize),
}

/// What an answer does after its last byte.
enum End {
    Breaks,
    Ends,
    StandsStill,
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flaky")
    }
}

fn broken() -> Error {
    Error::Generic {
        store: "flaky",
        source: "broken".into(),
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(
        &self,
        to: &Path,
        data: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.inner.put_opts(to, data, options).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = {
            let mut state = self.state.lock().expect("not poisoned");
            let conditional = options.if_match.is_some();
            state.asked.push((options.range.clone(), conditional));
            match state.plan.is_empty() {
                true => None,
                false => Some(state.plan.remove(0)),
            }
        };
        let mut result = self.inner.get_opts(from, options).await?;
        let (length, end) = match fault {
            None => return Ok(result),
            Some(Fault::Refuses) => return Err(broken()),
            Some(Fault::BreaksAfter(length)) => (length, End::Breaks),
            Some(Fault::EndsAfter(length)) => (length, End::Ends),
            Some(Fault::StandsStillAfter(length)) => (length, End::StandsStill),
            Some(Fault::ChangesAfter(length)) => {
                let changed = bytes(result.meta.size as usize + 1).split_off(1);
                self.inner.put(from, changed.into()).await?;
                (length, End::Breaks)
            }
        };
        let GetResultPayload::Stream(mut whole) = result.payload else {
            panic!("memory gives streams");
        };
        let first = whole.next().await.expect("bytes")?.slice(..length);
        let pieces = stream::iter([Ok(first)]);
        result.payload = GetResultPayload::Stream(match end {
            End::Breaks => pieces.chain(stream::iter([Err(broken())])).boxed(),
            End::Ends => pieces.boxed(),
            End::StandsStill => pieces.chain(stream::pending()).boxed(),
        });
        Ok(result)
    }

    fn delete_stream(
        &self,
        from: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(from)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Reads the bytes from 10 to 99,999 of an object while the store does this.
async fn read(plan: &[Fault]) -> (std::result::Result<Vec<u8>, String>, Vec<(u64, bool)>) {
    let store = Flaky {
        inner: Arc::new(InMemory::new()),
        state: Arc::default(),
    };
    let config = Config {
        retry_for: Duration::from_secs(2),
        ..Config::default()
    };
    let bucket = Bucket::new("flaky", Arc::new(store.clone()), "").expect("a bucket");
    let mut guest = Guest::new(&config, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    guest
        .write(&c, "x", &bytes(100_000))
        .await
        .expect("written");
    store.state.lock().expect("not poisoned").plan = plan.to_vec();
    let read = guest.read(&c, "x", (10, 99_999)).await;
    let asked = std::mem::take(&mut store.state.lock().expect("not poisoned").asked);
    let asked = asked
        .into_iter()
        .map(|(range, conditional)| match range {
            Some(GetRange::Bounded(range)) => {
                assert_eq!(range.end, 100_000);
                (range.start, conditional)
            }
            other => panic!("asked for {other:?}"),
        })
        .collect();
    (read, asked)
}

#[tokio::test]
async fn it_goes_on_where_it_stood() {
    let plan = [
        Fault::BreaksAfter(1000),
        Fault::Refuses,
        Fault::EndsAfter(500),
        Fault::BreaksAfter(0),
    ];
    let (read, asked) = read(&plan).await;
    assert!(read.expect("bytes") == bytes(100_000)[10..]);
    let expected = [
        (10, false),
        (1010, true),
        (1010, true),
        (1510, true),
        (1510, true),
    ];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_store_that_is_silent_is_asked_again() {
    let plan = [Fault::StandsStillAfter(1000), Fault::StandsStillAfter(500)];
    let (read, asked) = read(&plan).await;
    assert!(read.expect("bytes") == bytes(100_000)[10..]);
    assert_eq!(asked, [(10, false), (1010, true), (1510, true)]);
}

#[tokio::test]
async fn another_object_is_an_error() {
    let (read, asked) = read(&[Fault::ChangesAfter(1000)]).await;
    assert_eq!(
        read.expect_err("changed"),
        "the object `x` changed while it was read: read it again"
    );
    assert_eq!(asked, [(10, false), (1010, true)]);
}

#[tokio::test]
async fn trying_has_an_end() {
    let mut plan = vec![Fault::BreaksAfter(1000)];
    plan.extend([Fault::Refuses; 1000]);
    let begun = Instant::now();
    let (read, asked) = read(&plan).await;
    let error = read.expect_err("given up");
    assert!(error.starts_with("the store failed at `x`"), "{error}");
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(4),
        "{took:?}"
    );
    assert!(asked.len() > 3 && asked.len() < 10, "{} tries", asked.len());
}
