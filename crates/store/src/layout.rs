//! What the objects of a store are called. ARCHITECTURE.md has the table.
//!
//! Digests are spread over 256 folders, by their first two digits, so that none of them gets too
//! large and so that they can be looked at a part at a time.

use object_store::path::Path;
use strand_bindle::{Id, Sha256};
use uuid::Uuid;

use crate::repository::{Repository, escape};

/// At the end of what is said of a copy that is to go.
pub(crate) const CONDEMNED: &str = ".condemned";

/// At the end of a lease whose repository has the content, rather than only means to refer to it.
pub(crate) const HELD: &str = ".held";

/// What a store holds below its prefix.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    prefix: Path,
}

impl Layout {
    pub(crate) fn new(prefix: Path) -> Self {
        Self { prefix }
    }

    #[cfg(test)]
    pub(crate) fn prefix(&self) -> Path {
        self.prefix.clone()
    }

    fn at<const N: usize>(&self, parts: [&str; N]) -> Path {
        let parts = parts.into_iter().map(Into::into);
        self.prefix.parts().chain(parts).collect()
    }

    pub(crate) fn data_of(&self, upload: Uuid) -> Path {
        self.at(["data", &upload.to_string()])
    }

    pub(crate) fn data(&self) -> Path {
        self.at(["data"])
    }

    pub(crate) fn piece(&self, upload: Uuid, number: u32) -> Path {
        self.at(["data", &upload.to_string(), &format!("{number:08}")])
    }

    pub(crate) fn uploads(&self) -> Path {
        self.at(["uploads"])
    }

    pub(crate) fn upload(&self, upload: Uuid) -> Path {
        self.at(["uploads", &upload.to_string(), "upload"])
    }

    pub(crate) fn states(&self, upload: Uuid) -> Path {
        self.at(["uploads", &upload.to_string(), "state"])
    }

    /// What the digest of an upload is computed on with, from this byte on.
    pub(crate) fn state(&self, upload: Uuid, offset: u64) -> Path {
        let upload = upload.to_string();
        self.at(["uploads", &upload, "state", &format!("{offset:020}")])
    }

    fn by_digest(&self, kind: &str, digest: Sha256) -> Path {
        let digest = digest.to_string();
        self.at([kind, &digest[..2], &digest])
    }

    pub(crate) fn copies(&self, digest: Sha256) -> Path {
        self.by_digest("blobs", digest)
    }

    /// What has the copies of all content, spread over the first digits of digests.
    pub(crate) fn all_copies(&self) -> Path {
        self.at(["blobs"])
    }

    pub(crate) fn copy(&self, digest: Sha256, upload: Uuid) -> Path {
        self.copies(digest).join(upload.to_string())
    }

    pub(crate) fn condemned(&self, digest: Sha256, upload: Uuid) -> Path {
        self.copies(digest).join(format!("{upload}{CONDEMNED}"))
    }

    pub(crate) fn leases(&self, digest: Sha256) -> Path {
        self.by_digest("leases", digest)
    }

    /// What has all leases, spread in the same way.
    pub(crate) fn all_leases(&self) -> Path {
        self.at(["leases"])
    }

    pub(crate) fn leases_of(&self, digest: Sha256, repository: &Repository) -> Path {
        self.leases(digest).join(repository.escaped())
    }

    pub(crate) fn lease(
        &self,
        digest: Sha256,
        repository: &Repository,
        lease: Uuid,
        held: bool,
    ) -> Path {
        let suffix = if held { HELD } else { "" };
        self.leases_of(digest, repository)
            .join(format!("{lease}{suffix}"))
    }

    pub(crate) fn invoices(&self) -> Path {
        self.at(["invoices"])
    }

    fn of_bindle(&self, id: &Id, what: &str) -> Path {
        let name = escape(id.name());
        self.at(["invoices", &name, &id.version().to_string(), what])
    }

    pub(crate) fn invoice(&self, id: &Id) -> Path {
        self.of_bindle(id, "invoice")
    }

    pub(crate) fn yanked(&self, id: &Id) -> Path {
        self.of_bindle(id, "yanked")
    }

    pub(crate) fn deleted(&self, id: &Id) -> Path {
        self.of_bindle(id, "deleted")
    }

    /// The host's signature of the invoice with this digest.
    pub(crate) fn host(&self, id: &Id, invoice: Sha256) -> Path {
        self.of_bindle(id, &format!("host.{invoice}"))
    }

    pub(crate) fn manifests(&self) -> Path {
        self.at(["manifests"])
    }

    pub(crate) fn manifests_of(&self, repository: &Repository) -> Path {
        self.manifests().join(repository.escaped())
    }

    pub(crate) fn manifest(&self, repository: &Repository, digest: Sha256) -> Path {
        self.manifests_of(repository).join(digest.to_string())
    }

    pub(crate) fn tags(&self, repository: &Repository) -> Path {
        self.at(["tags", &repository.escaped()])
    }

    pub(crate) fn tag(&self, repository: &Repository, tag: &str) -> Path {
        self.tags(repository).join(tag)
    }

    pub(crate) fn referrers(&self, repository: &Repository, subject: Sha256) -> Path {
        self.at(["referrers", &repository.escaped(), &subject.to_string()])
    }

    pub(crate) fn referrer(
        &self,
        repository: &Repository,
        subject: Sha256,
        manifest: Sha256,
    ) -> Path {
        self.referrers(repository, subject)
            .join(manifest.to_string())
    }

    /// The part of an object's name behind the prefix, `data` or `blobs` first.
    pub(crate) fn parts<'a>(&self, location: &'a Path) -> Vec<&'a str> {
        let own = self.prefix.parts().count();
        // The parts of a name are never empty.
        location.as_ref().split('/').skip(own).collect()
    }
}
