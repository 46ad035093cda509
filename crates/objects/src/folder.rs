//! A folder of the machine as an object store.
//!
//! `object_store` has one too. That one resolves paths again for each call and
//! follows links out of the folder; here every file is opened relative to the
//! folder's own descriptor, and the kernel refuses a path that leads out of it
//! (`openat2` with `RESOLVE_BENEATH`, or step by step where that is missing), so
//! that a link swapped in at the last moment wins nothing.
//!
//! # Guarantees
//! - A write that returned is on disk: the file, its name, and the folders that
//!   were made for it are synced.
//! - An object appears whole or not at all: it is written under
//!   [`STAGING`] and renamed.
//! - A file that changes while it is read ends the reading in an error.
//!
//! Links that stay inside the folder work for reading. Folders are not objects:
//! they come with the first object below them and stay when the last is gone, so
//! that a name cannot be an object and a part of other objects' names.
//! Names of more than [`PARTS`] parts are refused: a listing holds a descriptor for
//! each folder on its way down. Those, and names that are not UTF-8 or hold control
//! characters, are left out of listings when somebody else put them there.

mod list;
mod stage;

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use futures::stream::{BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, RenameTargetMode, Result,
};

use crate::refusal::Refusal;
use stage::{Staged, Upload};

/// Holds what is being written, at the folder's top. Objects cannot have it as
/// their first part.
pub const STAGING: &str = ".strand-uploads";

const STORE: &str = "folder";
/// Parts of a name, the last one included.
const PARTS: usize = 64;
/// Bytes that are read at once.
const PIECE: u64 = 256 << 10;

/// A folder as an object store.
#[derive(Clone)]
pub(crate) struct Folder {
    root: Arc<Dir>,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder that is there.
    pub(crate) fn open(path: &FsPath) -> io::Result<Self> {
        let path = std::fs::canonicalize(path)?;
        let root = Dir::open_ambient_dir(&path, ambient_authority())?;
        stage::remove_abandoned(&root)?;
        Ok(Self {
            root: Arc::new(root),
            path,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &FsPath {
        &self.path
    }

    /// Runs what waits for the disk where it may.
    async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Dir) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let root = Arc::clone(&self.root);
        tokio::task::spawn_blocking(move || run(&root)).await?
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "folder {}", self.path.display())
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Turns an error of the disk into one of a store.
fn store_error(path: &Path, source: io::Error) -> Error {
    let path = path.to_string();
    let source = Box::new(source);
    match source.kind() {
        // A file where a folder should be: nothing can be below it. A folder where a
        // file should be is no object.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            Error::NotFound { path, source }
        }
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, source },
        _ => Error::Generic {
            store: STORE,
            source,
        },
    }
}

/// The path on disk.
fn on_disk(location: &Path) -> Result<&FsPath> {
    let first = location.as_ref().split('/').next().unwrap_or_default();
    if first.is_empty() || first == STAGING {
        return Err(store_error(location, io::ErrorKind::NotFound.into()));
    }
    if location.parts().count() > PARTS {
        return Err(Refusal::TooDeep(PARTS).of(STORE));
    }
    Ok(FsPath::new(location.as_ref()))
}

/// Opens a file for reading. Not what only looks like one: opening a pipe would
/// wait for its other end.
fn open(root: &Dir, location: &Path) -> Result<(std::fs::File, ObjectMeta)> {
    let path = on_disk(location)?;
    let no_wait = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(no_wait.bits() as i32);
    let file = root
        .open_with(path, &options)
        .map_err(|error| store_error(location, error))?
        .into_std();
    let metadata = file
        .metadata()
        .map_err(|error| store_error(location, error))?;
    if !metadata.is_file() {
        return Err(store_error(location, io::ErrorKind::NotFound.into()));
    }
    let meta = object_meta(location.clone(), &Stat::from(&metadata));
    Ok((file, meta))
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stat {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl From<&std::fs::Metadata> for Stat {
    fn from(metadata: &std::fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }
}

impl From<&cap_std::fs::Metadata> for Stat {
    fn from(metadata: &cap_std::fs::Metadata) -> Self {
        use cap_std::fs::MetadataExt as _;
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }
}

impl Stat {
    fn modified(self) -> SystemTime {
        let nanoseconds = Duration::from_nanos(self.nanoseconds.unsigned_abs());
        let seconds = Duration::from_secs(self.seconds.unsigned_abs());
        let whole = if self.seconds < 0 {
            UNIX_EPOCH.checked_sub(seconds)
        } else {
            UNIX_EPOCH.checked_add(seconds)
        };
        whole
            .and_then(|time| time.checked_add(nanoseconds))
            .unwrap_or(UNIX_EPOCH)
    }

    fn e_tag(self) -> String {
        let Self {
            inode,
            size,
            seconds,
            nanoseconds,
        } = self;
        format!("\"{inode:x}-{size:x}-{seconds:x}.{nanoseconds:x}\"")
    }
}

fn object_meta(location: Path, stat: &Stat) -> ObjectMeta {
    ObjectMeta {
        location,
        last_modified: stat.modified().into(),
        size: stat.size,
        e_tag: Some(stat.e_tag()),
        version: None,
    }
}

/// Reads a range of an open file, piece by piece, as long as it stays what it
/// was.
fn read(
    file: std::fs::File,
    meta: &ObjectMeta,
    range: Range<u64>,
) -> BoxStream<'static, Result<Bytes>> {
    let state = (Arc::new(file), meta.clone(), range);
    futures::stream::try_unfold(state, |(file, meta, mut range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let length = PIECE.min(range.end - range.start);
        let (from, at) = (Arc::clone(&file), range.start);
        let read = move || -> io::Result<(Vec<u8>, Stat)> {
            let mut piece = vec![0; length as usize];
            from.read_exact_at(&mut piece, at)?;
            Ok((piece, Stat::from(&from.metadata()?)))
        };
        let (piece, stat) =
            tokio::task::spawn_blocking(read)
                .await?
                .map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => changed(&meta.location),
                    _ => store_error(&meta.location, error),
                })?;
        if meta.e_tag != Some(stat.e_tag()) {
            return Err(changed(&meta.location));
        }
        range.start += length;
        Ok(Some((Bytes::from(piece), (file, meta, range))))
    })
    .boxed()
}

fn changed(location: &Path) -> Error {
    Error::Precondition {
        path: location.to_string(),
        source: "the file changed while it was read".into(),
    }
}

fn unsupported(operation: &str) -> Error {
    Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: STORE.to_owned(),
    }
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let create = match options.mode {
            PutMode::Overwrite => false,
            PutMode::Create => true,
            PutMode::Update(_) => return Err(unsupported("an update on condition")),
        };
        let location = location.clone();
        self.blocking(move |root| {
            on_disk(&location)?;
            let staged = Staged::new(root).map_err(|error| store_error(&location, error))?;
            let mut at = 0;
            for piece in &payload {
                staged
                    .file()
                    .write_all_at(piece, at)
                    .map_err(|error| store_error(&location, error))?;
                at += piece.len() as u64;
            }
            staged.publish(&location, create)
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let location = location.clone();
        let upload = self
            .blocking(move |root| {
                on_disk(&location)?;
                let staged = Staged::new(root).map_err(|error| store_error(&location, error))?;
                Ok(Upload::new(staged, location))
            })
            .await?;
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let location = location.clone();
        let (file, meta) = self.blocking(move |root| open(root, &location)).await?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|source| Error::Generic {
                store: STORE,
                source: Box::new(source),
            })?,
            None => 0..meta.size,
        };
        let stream = if options.head {
            futures::stream::empty().boxed()
        } else {
            read(file, &meta, range.clone())
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream),
            meta,
            range,
            attributes: Default::default(),
            extensions: Default::default(),
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let folder = self.clone();
        locations
            .then(move |location| {
                let folder = folder.clone();
                async move {
                    let location = location?;
                    folder
                        .blocking(move |root| {
                            let path = on_disk(&location)?;
                            root.remove_file(path)
                                .and_then(|()| stage::sync_parent(root, path))
                                .map_err(|error| store_error(&location, error))?;
                            Ok(location)
                        })
                        .await
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        list::list(&self.root, prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        list::one_level(self.list(prefix), prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.blocking(move |root| {
            on_disk(&to)?;
            let (mut source, meta) = open(root, &from)?;
            let staged = Staged::new(root).map_err(|error| store_error(&to, error))?;
            let mut target = staged.file();
            let copied = io::copy(&mut source, &mut target);
            let copied = copied.map_err(|error| store_error(&to, error))?;
            let now = source
                .metadata()
                .map_err(|error| store_error(&from, error))?;
            if copied != meta.size || meta.e_tag != Some(Stat::from(&now).e_tag()) {
                return Err(changed(&from));
            }
            staged.publish(&to, matches!(options.mode, CopyMode::Create))?;
            Ok(())
        })
        .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let create = matches!(options.target_mode, RenameTargetMode::Create);
        let (from, to) = (from.clone(), to.clone());
        self.blocking(move |root| {
            // A folder is no object, though the kernel would move it.
            open(root, &from)?;
            on_disk(&to)?;
            stage::place(root, on_disk(&from)?, &to, create)?;
            stage::sync_parent(root, on_disk(&from)?).map_err(|error| store_error(&from, error))
        })
        .await
    }
}
