//! The objects of a folder.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use cap_std::fs::{Dir, ReadDir};
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta, Result};

use super::{PARTS, STAGING, Stat, object_meta, on_disk, store_error};

/// Objects that are looked up at once.
const BATCH: usize = 256;

/// Goes through a folder and those below it, of which each that is open takes a
/// descriptor. Links to folders are not followed: they could lead in a circle.
struct Walk {
    root: Arc<Dir>,
    /// Folders that are being read, each with its path and a `/`, or nothing.
    open: Vec<(String, ReadDir)>,
}

impl Walk {
    fn new(root: &Arc<Dir>, prefix: Option<&Path>) -> Result<Self> {
        let root = Arc::clone(root);
        let whole = Path::default();
        let prefix = prefix.unwrap_or(&whole);
        let entries = match prefix.as_ref() {
            "" => root.entries(),
            _ => on_disk(prefix).map_or_else(
                |_reserved| Err(io::ErrorKind::NotFound.into()),
                |path| root.read_dir(path),
            ),
        };
        let open = match entries {
            Ok(entries) if prefix.as_ref().is_empty() => vec![(String::new(), entries)],
            Ok(entries) => vec![(format!("{prefix}/"), entries)],
            // Nothing was written below this prefix yet.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Vec::new()
            }
            Err(error) => return Err(store_error(prefix, error)),
        };
        Ok(Self { root, open })
    }

    fn next(&mut self) -> Result<Option<ObjectMeta>> {
        loop {
            let Some((prefix, entries)) = self.open.last_mut() else {
                return Ok(None);
            };
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            let failed = |error| store_error(&Path::from(prefix.as_str()), error);
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let name = format!("{prefix}{name}");
            let Ok(location) = Path::parse(&name) else {
                continue;
            };
            if name == STAGING {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                // Nothing below it has a name of an object's.
                if location.parts().count() >= PARTS {
                    continue;
                }
                match entry.open_dir().and_then(|dir| dir.entries()) {
                    Ok(entries) => self.open.push((format!("{name}/"), entries)),
                    Err(error) if is_gone(&error) => continue,
                    // A part of the names must not be taken for all of them.
                    Err(error) => return Err(store_error(&location, error)),
                }
            } else if let Ok(metadata) = self.root.metadata(&name)
                && metadata.is_file()
            {
                return Ok(Some(object_meta(location, &Stat::from(&metadata))));
            }
        }
    }

    /// Up to [`BATCH`] objects, and whether there are no more.
    fn batch(&mut self) -> Result<(Vec<ObjectMeta>, bool)> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            match self.next()? {
                Some(meta) => batch.push(meta),
                None => return Ok((batch, true)),
            }
        }
        Ok((batch, false))
    }
}

/// Whether a folder that was listed cannot be entered: it was removed, or replaced
/// by a file or a link, or it is not the node's.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
    ) || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

enum Step {
    Begin(Arc<Dir>, Option<Path>),
    GoOn(Walk),
    End,
}

pub(super) fn list(
    root: &Arc<Dir>,
    prefix: Option<&Path>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let begin = Step::Begin(Arc::clone(root), prefix.cloned());
    futures::stream::try_unfold(begin, |step| async move {
        let read = move || -> Result<_> {
            let mut walk = match step {
                Step::Begin(root, prefix) => Walk::new(&root, prefix.as_ref())?,
                Step::GoOn(walk) => walk,
                Step::End => return Ok(None),
            };
            let (batch, ended) = walk.batch()?;
            let next = if ended { Step::End } else { Step::GoOn(walk) };
            let batch = futures::stream::iter(batch.into_iter().map(Ok));
            Ok(Some((batch, next)))
        };
        tokio::task::spawn_blocking(read).await?
    })
    .try_flatten()
    .boxed()
}

/// The objects directly below a prefix, and the prefixes there.
pub(super) async fn one_level(
    mut objects: BoxStream<'static, Result<ObjectMeta>>,
    prefix: Option<&Path>,
) -> Result<ListResult> {
    let prefix = prefix.cloned().unwrap_or_default();
    let mut prefixes = BTreeSet::new();
    let mut here = Vec::new();
    while let Some(meta) = objects.try_next().await? {
        let mut parts = match meta.location.prefix_match(&prefix) {
            Some(parts) => parts.take(2),
            None => continue,
        };
        match (parts.next(), parts.next()) {
            (Some(first), Some(_)) => {
                prefixes.insert(prefix.clone().join(first));
            }
            _ => {
                drop(parts);
                here.push(meta);
            }
        }
    }
    Ok(ListResult {
        common_prefixes: prefixes.into_iter().collect(),
        objects: here,
        extensions: Default::default(),
    })
}
