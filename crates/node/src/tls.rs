//! The certificates of the way in, read from files and read again when those change.

mod validity;

use std::collections::{BTreeMap, HashMap};
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
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};
use x509_parser::certificate::Validity;
use x509_parser::time::ASN1Time;

use crate::config::CertificateFiles;
use crate::files::{FileError, FileId, read_file};

/// Bytes of a file with certificates or a key.
const MAX_FILE: u64 = 1 << 20;

/// How often the files are looked at. Nothing is read unless they changed, or could not be read.
const LOOK: Duration = Duration::from_secs(1);

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the {what} {path}: {cause}", path = path.display())]
pub struct TlsError {
    what: &'static str,
    path: PathBuf,
    cause: Cause,
}

impl TlsError {
    /// Whether it was the system that did not let a file be read, such as for want of a
    /// descriptor: that may pass, and the file is the same then.
    fn may_pass(&self) -> bool {
        matches!(self.cause, Cause::Read(FileError::Io(_)))
    }
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

/// The certificates that connections are given: the one that names what the client asks for, else
/// one with a wildcard for it, of several the first; else the first of all.
pub struct Certificates {
    files: Vec<CertificateFiles>,
    /// The files as they were before they were read.
    read: Vec<Option<FileId>>,
    current: ArcSwap<Set>,
}

/// All certificates at one time.
#[derive(Debug)]
struct Set {
    certificates: Vec<Arc<CertifiedKey>>,
    /// When each of them is valid, if that can be read.
    validity: Vec<Option<Validity>>,
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
        let read = look(&files);
        let set = read_all(&files)?;
        Ok(Arc::new(Self {
            files,
            read,
            current: ArcSwap::from_pointee(set),
        }))
    }

    /// When each certificate ends, in seconds since 1970, by its file.
    pub(crate) fn ends(&self) -> BTreeMap<String, i64> {
        let current = self.current.load();
        let each = self.files.iter().zip(&current.validity);
        each.filter_map(|(files, validity)| {
            let file = files.certificate.display().to_string();
            Some((file, validity.as_ref()?.not_after.timestamp()))
        })
        .collect()
    }

    /// Reads the files again whenever they change. Connections that are there go on with what they
    /// have. What cannot be used is logged, and what was there before stays.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = Known {
            files: self.read.clone(),
            said: None,
        };
        loop {
            ticks.tick().await;
            let (own, before) = (Arc::clone(&self), known.files.clone());
            let looked = spawn_blocking(move || {
                let found = look(&own.files);
                let read = (found != before).then(|| read_all(&own.files));
                (found, read)
            });
            if let Some(set) = known.learn(looked.await) {
                tracing::info!(names = ?set.all_names(), "certificates were read again");
                self.current.store(Arc::new(set));
            }
        }
    }
}

/// Which files are there. `None` stands for one that is not, or is none.
fn look(files: &[CertificateFiles]) -> Vec<Option<FileId>> {
    let paths = files.iter().flat_map(|it| [&it.certificate, &it.key]);
    paths.map(|path| FileId::look(path)).collect()
}

/// What one look found: the files, and what they hold if they are not those that were known.
type Looked = (Vec<Option<FileId>>, Option<Result<Set, TlsError>>);

/// What is remembered from one look to the next.
struct Known {
    /// The files that were read, also if what they hold is of no use.
    files: Vec<Option<FileId>>,
    /// Why files could not be read, as it was said.
    said: Option<String>,
}

impl Known {
    /// The certificates, if there are new ones. Files that could not be read are not known then,
    /// so that the next look reads them: nothing about them need change before they can be.
    fn learn(&mut self, looked: Result<Looked, JoinError>) -> Option<Set> {
        let (found, read) = match looked {
            Ok((_, Some(Err(error)))) if error.may_pass() => {
                self.say(error.to_string());
                return None;
            }
            Ok(looked) => looked,
            // The panic itself was reported when it happened.
            Err(_) => {
                self.say("a panic ended the look at them".to_owned());
                return None;
            }
        };
        self.files = found;
        self.said = None;
        match read? {
            Ok(set) => Some(set),
            Err(error) => {
                tracing::error!(%error, "changed certificates cannot be used; those from before stay");
                None
            }
        }
    }

    /// Says a cause once, however often it is met.
    fn say(&mut self, cause: String) {
        if self.said.as_ref() != Some(&cause) {
            tracing::error!(
                error = %cause,
                "changed certificates cannot be read; those from before stay, and it is tried again"
            );
            self.said = Some(cause);
        }
    }
}

impl Set {
    /// The certificate that names it, else one with a wildcard for it, else the first of all.
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
        validity: Vec::new(),
        names: HashMap::new(),
        below: HashMap::new(),
    };
    for (index, files) in files.iter().enumerate() {
        let (certificate, names) = read_pair(files)?;
        let own = certificate.cert.first();
        set.validity.push(own.and_then(|own| validity::of(own)));
        set.certificates.push(Arc::new(certificate));
        for name in names {
            // Of several certificates with a name the first has it.
            match name.strip_prefix("*.") {
                Some(below) => set.below.entry(below.to_owned()).or_insert(index),
                None => set.names.entry(name).or_insert(index),
            };
        }
    }
    for (files, validity) in files.iter().zip(&set.validity) {
        warn_of_readers(&files.key);
        warn_of_times(&files.certificate, validity.as_ref());
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
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => Cause::NoKey,
        error => Cause::Pem(error),
    })
}

/// Only of keys that are used: those of files that cannot be read are tried every second.
fn warn_of_readers(key: &Path) {
    if let Ok(data) = std::fs::metadata(key)
        && data.mode() & 0o007 != 0
    {
        tracing::warn!(path = %key.display(), "every user of this machine may read the key");
    }
}

fn warn_of_times(certificate: &Path, validity: Option<&Validity>) {
    let path = certificate.display();
    match validity {
        Some(validity) => {
            if let Some(fault) = validity::fault(validity, ASN1Time::now()) {
                tracing::warn!(%path, "{fault}");
            }
        }
        None => tracing::warn!(%path, "when the certificate is valid cannot be read"),
    }
}

#[cfg(test)]
mod tests;
