//! Where functions' components come from: compiled code in the cache, else their files.

use std::path::PathBuf;
use std::sync::Arc;

use strand_compiler::{CompileError, Compiler, Digest, Loaded, Origin, digest};
use strand_engine::{Engine, FetchError, Fetching, LoadedComponent, Source};
use strand_telemetry::CompileMetrics;

use crate::app::MAX_WASM;
use crate::files::{FileError, read_file};

/// Makes components, and counts how.
pub(crate) struct Maker {
    pub(crate) engine: Arc<Engine>,
    pub(crate) compiler: Arc<Compiler>,
    pub(crate) counts: CompileMetrics,
}

impl Maker {
    /// Of a file that was read: from the cache, or compiled.
    pub(crate) async fn load(&self, wasm: &[u8]) -> Result<Loaded, CompileError> {
        let loaded = self.compiler.load(&self.engine, wasm).await;
        let count = match &loaded {
            Ok(loaded) if loaded.origin == Origin::Cache => &self.counts.cached,
            Ok(_) => &self.counts.compiled,
            Err(_) => &self.counts.failed,
        };
        count.inc();
        loaded
    }
}

/// A function's file, as it was at the start.
pub(crate) struct FunctionFile {
    pub(crate) maker: Arc<Maker>,
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
}

/// Why a function's code cannot be had again.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(
        "{path}: {source}; its compiled code is gone, too, so that it has to be there",
        path = path.display()
    )]
    Read { path: PathBuf, source: FileError },
    #[error(
        "{path} has changed since the node started, and the compiled code of what it was is gone: \
         start the node again to serve what it is now",
        path = .0.display()
    )]
    Changed(PathBuf),
    #[error("{path}: {source}", path = path.display())]
    Compile { path: PathBuf, source: CompileError },
}

impl FunctionFile {
    async fn again(&self) -> Result<LoadedComponent, Lost> {
        let Maker {
            engine,
            compiler,
            counts,
        } = &*self.maker;
        if let Some(component) = compiler.cached(engine, self.digest).await {
            return Ok(component);
        }
        // As at the start, but for what was checked there: that must be what it was.
        let path = self.path.clone();
        let reading = move || read_file(&path, MAX_WASM).map(|wasm| (digest(&wasm), wasm));
        let path = || self.path.clone();
        let (found, wasm) = engine.aside(reading).await.map_err(|source| {
            let path = path();
            Lost::Read { path, source }
        })?;
        if found != self.digest {
            return Err(Lost::Changed(path()));
        }
        let made = compiler.make(engine, found, &wasm).await;
        let count = match &made {
            Ok(_) => &counts.compiled,
            Err(_) => &counts.failed,
        };
        count.inc();
        made.map_err(|source| {
            let path = path();
            Lost::Compile { path, source }
        })
    }
}

impl Source for FunctionFile {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async { self.again().await.map_err(FetchError::from) })
    }
}
