//! The names of a container's objects, a few at a time.

use futures::stream::{BoxStream, StreamExt as _};
use object_store::ObjectMeta;
use strand_objects::Bucket;

use crate::account::Charge;
use crate::failure::describe;

/// Names that are given at once.
const AT_ONCE: u64 = 1000;

/// A listing under way.
#[expect(unreachable_pub, reason = "the bindings name it in a `pub use`")]
pub struct Names {
    bucket: Bucket,
    /// `None` after the end: guests may keep what holds nothing any more.
    open: Option<Open>,
}

struct Open {
    stream: BoxStream<'static, object_store::Result<ObjectMeta>>,
    _charge: Charge,
}

impl Names {
    pub(crate) fn new(bucket: &Bucket, charge: Charge) -> Self {
        Self {
            bucket: bucket.clone(),
            open: Some(Open {
                stream: bucket.store().list(bucket.prefix()),
                _charge: charge,
            }),
        }
    }

    /// The next name; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<String, String>> {
        while let Some(open) = &mut self.open {
            match open.stream.next().await {
                Some(Ok(meta)) => {
                    if let Some(name) = self.bucket.name(&meta.location) {
                        return Some(Ok(name));
                    }
                }
                Some(Err(error)) => {
                    self.open = None;
                    return Some(Err(describe("*", &error)));
                }
                None => self.open = None,
            }
        }
        None
    }

    /// Up to `count` names, and whether the end was reached.
    pub(crate) async fn read(&mut self, count: u64) -> Result<(Vec<String>, bool), String> {
        let count = count.min(AT_ONCE) as usize;
        let mut names = Vec::new();
        while names.len() < count {
            match self.next().await {
                Some(name) => names.push(name?),
                None => break,
            }
        }
        Ok((names, self.open.is_none()))
    }

    /// Passes over `count` names; how many there were, and whether the end was
    /// reached.
    pub(crate) async fn skip(&mut self, count: u64) -> Result<(u64, bool), String> {
        let mut skipped = 0;
        while skipped < count {
            match self.next().await {
                Some(name) => {
                    name?;
                    skipped += 1;
                }
                None => break,
            }
        }
        Ok((skipped, self.open.is_none()))
    }
}
