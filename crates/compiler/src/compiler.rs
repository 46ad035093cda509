//! The parent's side: cache, child, seal.

use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use strand_engine::{ArtifactError, ArtifactKey, Engine, Identity, LoadedComponent, format_bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;

use crate::cache::Cache;
use crate::child::{ChildLimits, REFUSED};

/// Bytes of a compiler's complaint that are kept.
const COMPLAINT: u64 = 16 << 10;

/// How to compile.
#[derive(Clone, Debug)]
pub struct CompilerConfig {
    /// The program that calls [`crate::child_main`], and its arguments.
    pub child: (PathBuf, Vec<OsString>),
    /// What the child may use; the child is told through its arguments, this is
    /// for messages.
    pub limits: ChildLimits,
    /// How long the child may take.
    pub wall: Duration,
    /// Bytes of source, at most.
    pub source: u64,
    /// Bytes of compiled code, at most.
    pub code: u64,
    /// Children at once.
    pub children: usize,
    /// Where artefacts are kept.
    pub cache: PathBuf,
    /// Bytes of artefacts that are kept, at most.
    pub cache_size: u64,
}

/// Why a source was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It is not WebAssembly that we run.
    #[error("it does not compile: {0}")]
    Refused(String),
    /// It is too large to be compiled at all.
    #[error("it has {size} bytes, and {limit} are allowed (limit: compile source, which is fixed)")]
    Source {
        /// Its bytes.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The compiled code is too large.
    #[error("its compiled code is larger than {0} bytes (limit: compile code, which is fixed)")]
    Code(u64),
    /// The child's memory was used up.
    #[error(
        "compiling it takes more than {0} of memory (limit: compile memory; more: `[compile] memory` in the node's `--config`)"
    )]
    Memory(String),
    /// The child's CPU time was used up.
    #[error(
        "compiling it takes more than {0} s of CPU time (limit: compile cpu; more: `[compile] cpu` in the node's `--config`)"
    )]
    Cpu(u64),
    /// The child took too long.
    #[error(
        "compiling it takes longer than {0:?} (limit: compile wall; more: `[compile] wall` in the node's `--config`)"
    )]
    Wall(Duration),
    /// Somebody killed the child; the kernel does when memory is short.
    #[error(
        "its compiler was killed, probably because this machine or its cgroup is short of \
         memory"
    )]
    Killed,
    /// The compiler crashed on it.
    #[error("the compiler crashed on it ({0})")]
    Crashed(String),
    /// The child could not be run, or the cache not be used.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The compiler does not take its configuration.
    #[error("the compiler cannot be set up: {0}")]
    Setup(String),
    /// Code that was just compiled cannot be mapped.
    #[error("the compiled code does not fit this node: {0}")]
    Map(String),
}

/// Where an artefact came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the cache.
    Cache,
    /// Compiled just now, in so long.
    Compiled(Duration),
}

/// A component that can be run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The component.
    pub component: LoadedComponent,
    /// Where it came from.
    pub origin: Origin,
    /// Of its source.
    pub digest: Digest,
}

/// Names a source by what is in it.
pub type Digest = blake3::Hash;

/// The digest of a source.
pub fn digest(wasm: &[u8]) -> Digest {
    blake3::hash(wasm)
}

/// Compiles, and keeps what was compiled.
#[derive(Debug)]
pub struct Compiler {
    config: CompilerConfig,
    /// What code must have been made by to be used.
    engine: String,
    key: ArtifactKey,
    cache: Cache,
    children: Semaphore,
}

impl Compiler {
    /// Opens the cache.
    ///
    /// # Errors
    /// When the cache's folder cannot be made, or the compiler not be set up.
    pub fn new(config: CompilerConfig, key: ArtifactKey) -> Result<Arc<Self>, CompileError> {
        let cache = Cache::open(&config.cache, config.cache_size, config.code);
        let cache = cache.map_err(|source| CompileError::Io {
            doing: "opening the artefact cache",
            source,
        })?;
        Ok(Arc::new(Self {
            children: Semaphore::new(config.children.max(1)),
            engine: fingerprint()?,
            config,
            key,
            cache,
        }))
    }

    /// What the code of this compiler is made by: its whole version and configuration.
    pub fn fingerprint(&self) -> &str {
        &self.engine
    }

    fn identity(&self, source: &Digest) -> Identity {
        Identity {
            source: source.to_hex().to_string(),
            engine: self.engine.clone(),
        }
    }

    /// Makes a component of source: from the cache, or compiled.
    ///
    /// # Errors
    /// When the source does not compile within the limits.
    pub async fn load(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        wasm: &[u8],
    ) -> Result<Loaded, CompileError> {
        let digest = digest(wasm);
        let started = Instant::now();
        let (component, origin) = match self.cached(engine, digest).await {
            Some(component) => (component, Origin::Cache),
            None => {
                let component = self.make(engine, digest, wasm).await?;
                (component, Origin::Compiled(started.elapsed()))
            }
        };
        Ok(Loaded {
            component,
            origin,
            digest,
        })
    }

    /// Whether the cache has code of a source. Whether that is to be trusted is found out
    /// when it is loaded.
    pub fn has(&self, source: &Digest) -> bool {
        self.cache.has(&self.identity(source))
    }

    /// Makes a component of code in the cache, if it has code of the source that is to be
    /// trusted.
    pub async fn cached(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        source: Digest,
    ) -> Option<LoadedComponent> {
        let (compiler, mapper) = (Arc::clone(self), Arc::clone(engine));
        let mapping = move || compiler.map_cached(&mapper, &compiler.identity(&source));
        engine.aside(mapping).await
    }

    /// Compiles a source of this digest, keeps the code, and makes a component of it.
    ///
    /// # Errors
    /// When the source does not compile within the limits.
    pub async fn make(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        source: Digest,
        wasm: &[u8],
    ) -> Result<LoadedComponent, CompileError> {
        let code = self.compile(wasm).await?;
        let (compiler, mapper) = (Arc::clone(self), Arc::clone(engine));
        let mapping = move || compiler.map_new(&mapper, &compiler.identity(&source), &code);
        engine.aside(mapping).await
    }

    fn map_new(
        &self,
        engine: &Engine,
        identity: &Identity,
        code: &[u8],
    ) -> Result<LoadedComponent, CompileError> {
        let sealed = self.key.seal(identity, code);
        if let Err(error) = self.cache.put(identity, &sealed) {
            // The app runs all the same; only the next start is slower.
            tracing::warn!(folder = %self.config.cache.display(), %error, "compiled code was not kept; it is compiled again at each start");
        }
        let artifact = self
            .key
            .open(sealed, identity)
            .map_err(|error| CompileError::Map(error.to_string()))?;
        engine
            .load(&artifact)
            .map_err(|error| CompileError::Map(error.to_string()))
    }

    fn map_cached(&self, engine: &Engine, identity: &Identity) -> Option<LoadedComponent> {
        let path = self.cache.path(identity);
        let sealed = match self.cache.get(identity) {
            Ok(sealed) => sealed?,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "an artefact cannot be read; compiling again");
                return None;
            }
        };
        let artifact = match self.key.open(sealed, identity) {
            Ok(artifact) => artifact,
            Err(error @ (ArtifactError::Tampered | ArtifactError::Malformed)) => {
                tracing::warn!(path = %path.display(), %error, "an artefact in the cache is not to be trusted; compiling again");
                return None;
            }
            Err(error @ ArtifactError::OtherIdentity) => {
                tracing::debug!(path = %path.display(), %error, "a stale artefact");
                return None;
            }
        };
        match engine.load(&artifact) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::info!(path = %path.display(), %error, "an artefact was made for another engine; compiling again");
                None
            }
        }
    }

    /// Compiles in a child, without the cache.
    ///
    /// # Errors
    /// When the source does not compile within the limits.
    pub async fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
        let size = wasm.len() as u64;
        if size > self.config.source {
            return Err(CompileError::Source {
                size,
                limit: self.config.source,
            });
        }
        let io = |doing| move |source| CompileError::Io { doing, source };
        // Never closed.
        let _turn = self.children.acquire().await;
        let (program, arguments) = &self.config.child;
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            // The binary's allocator has reserved addresses before the child limits them: a
            // gigabyte at once, unless it is told to be content with so many KiB.
            .env("MIMALLOC_ARENA_RESERVE", "16384")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(io("starting the compiler"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A child that stops reading says why by how it ends.
                let _ = stdin.write_all(wasm).await;
            }
        };
        let work = async {
            let ((), code, complaint) = tokio::join!(
                feed,
                read_bounded(stdout, self.config.code),
                read_bounded(stderr, COMPLAINT)
            );
            Ok::<_, io::Error>((child.wait().await?, code?, complaint?))
        };
        let (status, code, complaint) = tokio::time::timeout(self.config.wall, work)
            .await
            .map_err(|_elapsed| CompileError::Wall(self.config.wall))?
            .map_err(io("running the compiler"))?;
        if status.success() {
            return code.ok_or(CompileError::Code(self.config.code));
        }
        let complaint = complaint.unwrap_or_default();
        Err(self.why(status, &String::from_utf8_lossy(&complaint)))
    }

    fn why(&self, status: ExitStatus, complaint: &str) -> CompileError {
        let limits = self.config.limits;
        if status.code() == Some(i32::from(REFUSED)) {
            return CompileError::Refused(complaint.to_owned());
        }
        const SIGXCPU: i32 = rustix::process::Signal::XCPU.as_raw();
        const SIGKILL: i32 = rustix::process::Signal::KILL.as_raw();
        match status.signal() {
            Some(SIGXCPU) => CompileError::Cpu(limits.cpu_seconds),
            Some(SIGKILL) => CompileError::Killed,
            _ if is_out_of_memory(complaint) => CompileError::Memory(format_bytes(limits.memory)),
            _ => {
                let first = complaint.lines().next().unwrap_or_default();
                CompileError::Crashed(format!("{status}: {first}"))
            }
        }
    }
}

/// What Rust and the system say when an allocation or a thread's stack fails.
fn is_out_of_memory(complaint: &str) -> bool {
    [
        "memory allocation of",
        "Cannot allocate memory",
        "out of memory",
    ]
    .iter()
    .any(|text| complaint.contains(text))
}

/// Reads all, or `None` when there is more than the limit; reads on then, so
/// that the writer can end.
async fn read_bounded(
    pipe: Option<impl AsyncRead + Unpin>,
    limit: u64,
) -> io::Result<Option<Vec<u8>>> {
    let Some(mut pipe) = pipe else {
        return Ok(Some(Vec::new()));
    };
    let mut bytes = Vec::new();
    (&mut pipe).take(limit + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > limit {
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
        return Ok(None);
    }
    Ok(Some(bytes))
}

/// Everything beside the source that decides what its code is: the compiler with its
/// whole version and configuration, and the adapter of modules. Wasmtime itself
/// compares less when it maps code: not its patch version, in which a fault of the
/// compiler may have been mended.
fn fingerprint() -> Result<String, CompileError> {
    let engine = wasmtime::Engine::new(&strand_engine::base_config())
        .map_err(|error| CompileError::Setup(format!("{error:#}")))?;
    let mut hasher = Fingerprint(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.write(WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER);
    let hash = hasher.0.finalize().to_hex();
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!("strand {version} {}", &hash[..32]))
}

/// For types that only know how to be hashed to 64 bits, which are too few here.
struct Fingerprint(blake3::Hasher);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        u64::from_le_bytes(std::array::from_fn(|byte| hash.as_bytes()[byte]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_the_same_each_time() {
        let first = fingerprint().expect("an engine");
        assert_eq!(first, fingerprint().expect("an engine"));
        assert!(first.starts_with(concat!("strand ", env!("CARGO_PKG_VERSION"))));
    }
}
