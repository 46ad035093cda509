//! The certificates of the way in, read from files and read again when those change.

use std::collections::HashMap;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::InconsistentKeys;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::CertificateFiles;
use crate::files::{FileError, read_file};

/// Bytes of a file with certificates or a key.
const MAX_FILE: u64 = 1 << 20;

/// How often the files are looked at. Nothing is read unless they changed.
const LOOK: Duration = Duration::from_secs(1);

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the {what} {path}: {cause}", path = path.display())]
pub struct TlsError {
    what: &'static str,
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Read(#[from] FileError),
    #[error("it is not PEM: {0}")]
    Pem(rustls::pki_types::pem::Error),
    #[error("it holds no certificate (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    #[error("its first certificate cannot be read: {0}")]
    Certificate(webpki::Error),
    #[error("it holds no private key of a kind that is known (RSA, ECDSA, Ed25519; not encrypted)")]
    NoKey,
    #[error("it is not the key of the certificate in {}", .0.display())]
    OtherKey(PathBuf),
}

/// The certificates that connections are given: by the name that the client asks for, else the
/// first.
pub struct Certificates {
    files: Vec<CertificateFiles>,
    /// The files as they were before they were read.
    read: Vec<Option<Stamp>>,
    current: ArcSwap<Set>,
}

/// All certificates at one time.
#[derive(Debug)]
struct Set {
    certificates: Vec<Arc<CertifiedKey>>,
    /// By name, in lower case.
    names: HashMap<String, usize>,
    /// By what follows the `*.`; each stands for one label.
    below: HashMap<String, usize>,
}

impl Certificates {
    /// Reads certificates and their keys.
    ///
    /// # Errors
    /// When one of the files cannot be used; the message says which.
    pub fn read(files: Vec<CertificateFiles>) -> Result<Arc<Self>, TlsError> {
        let read = stamps(&files);
        let set = read_all(&files)?;
        Ok(Arc::new(Self {
            files,
            read,
            current: ArcSwap::from_pointee(set),
        }))
    }

    /// Reads the files again whenever they change. Connections that are there go on with what they
    /// have. What cannot be used is logged, and what was there before stays.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = self.read.clone();
        loop {
            ticks.tick().await;
            let own = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || {
                let found = stamps(&own.files);
                let read = (found != known).then(|| read_all(&own.files));
                (found, read)
            });
            let Ok((found, read)) = looked.await else {
                return;
            };
            known = found;
            match read {
                None => {}
                Some(Ok(set)) => {
                    tracing::info!(names = ?set.all_names(), "certificates were read again");
                    self.current.store(Arc::new(set));
                }
                Some(Err(error)) => tracing::error!(
                    %error,
                    "changed certificates cannot be used; those from before stay"
                ),
            }
        }
    }
}

fn stamps(files: &[CertificateFiles]) -> Vec<Option<Stamp>> {
    let paths = files.iter().flat_map(|it| [&it.certificate, &it.key]);
    paths.map(|path| Stamp::of(path)).collect()
}

/// What tells that a file was changed, or is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (data.dev(), data.ino()),
            length: data.len(),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }
}

impl Set {
    fn choose(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let name = name.map(str::to_ascii_lowercase);
        let found = name.and_then(|name| {
            let parent = name.split_once('.').map(|(_, parent)| parent);
            let named = self.names.get(&name);
            named.or_else(|| self.below.get(parent?)).copied()
        });
        self.certificates.get(found.unwrap_or(0))
    }

    fn all_names(&self) -> Vec<String> {
        let below = self.below.keys().map(|name| format!("*.{name}"));
        let mut names: Vec<_> = self.names.keys().cloned().chain(below).collect();
        names.sort_unstable();
        names
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load().choose(hello.server_name()).cloned()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn read_all(files: &[CertificateFiles]) -> Result<Set, TlsError> {
    let mut set = Set {
        certificates: Vec::new(),
        names: HashMap::new(),
        below: HashMap::new(),
    };
    for (index, files) in files.iter().enumerate() {
        let (certificate, names) = read_pair(files)?;
        set.certificates.push(Arc::new(certificate));
        for name in names {
            // Of two certificates with a name the first has it.
            match name.strip_prefix("*.") {
                Some(below) => set.below.entry(below.to_owned()).or_insert(index),
                None => set.names.entry(name).or_insert(index),
            };
        }
    }
    Ok(set)
}

/// A certificate with its chain and key, and the names that it is for.
fn read_pair(files: &CertificateFiles) -> Result<(CertifiedKey, Vec<String>), TlsError> {
    let fail = |what, path: &Path| {
        let path = path.to_owned();
        move |cause| TlsError { what, path, cause }
    };
    let (chain, names) =
        read_chain(&files.certificate).map_err(fail("certificate", &files.certificate))?;
    let key = read_key(&files.key).map_err(fail("key", &files.key))?;
    let certified = any_supported_type(&key)
        .map(|key| CertifiedKey::new(chain, key))
        .map_err(|_| fail("key", &files.key)(Cause::NoKey))?;
    match certified.keys_match() {
        // Some kinds of key do not tell.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok((certified, names))
        }
        Err(_) => {
            let other = Cause::OtherKey(files.certificate.clone());
            Err(fail("key", &files.key)(other))
        }
    }
}

fn read_chain(path: &Path) -> Result<(Vec<CertificateDer<'static>>, Vec<String>), Cause> {
    let text = read_file(path, MAX_FILE)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(Cause::Pem)?;
    let first = chain.first().ok_or(Cause::NoCertificate)?;
    let own = webpki::EndEntityCert::try_from(first).map_err(Cause::Certificate)?;
    let names = own.valid_dns_names().map(str::to_ascii_lowercase).collect();
    Ok((chain, names))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Cause> {
    let text = read_file(path, MAX_FILE)?;
    if let Ok(data) = std::fs::metadata(path)
        && data.mode() & 0o007 != 0
    {
        tracing::warn!(path = %path.display(), "every user of this machine may read the key");
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => Cause::NoKey,
        error => Cause::Pem(error),
    })
}

#[cfg(test)]
mod tests;
