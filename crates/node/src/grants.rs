//! Grants of a Directive, tied to this node's back ends.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::sync::Arc;

use strand_blobstore::Blobstore;
use strand_directive::{
    Access, Directive, Function as FunctionSection, HostPattern, HttpRule, Scheme,
};
use strand_engine::{Capability, MemoryBudget};
use strand_http_client::{HttpClients, Rule};
use strand_objects::{Bucket, BucketError, S3Credentials, S3Options};

use crate::app::AppDir;
use crate::bindings::BlobLocation;

/// Why a back end cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BackendsError {
    /// A resource that is bound to nothing.
    #[error(transparent)]
    Unbound(#[from] strand_blobstore::Unbound),
    /// A bucket that cannot be opened.
    #[error("resource `{resource}`: {source}")]
    Bucket {
        /// The resource.
        resource: String,
        /// Why.
        source: Box<BucketError>,
    },
    /// A folder for development that cannot be made.
    #[error("resource `{resource}`: the folder {path} cannot be made: {source}")]
    DevFolder {
        /// The resource.
        resource: String,
        /// The folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The values of `config` and `env`.
    #[error(transparent)]
    Config(#[from] strand_config::Error),
    /// Outgoing HTTP.
    #[error(transparent)]
    HttpClient(#[from] strand_http_client::Error),
}

/// The back ends of a node.
pub(crate) struct Backends {
    http: HttpClients,
}

/// Opens the buckets that an app's functions are granted.
///
/// # Errors
/// When one cannot be opened.
pub(crate) fn buckets(app: &AppDir) -> Result<BTreeMap<String, Bucket>, BackendsError> {
    let directive = app.directive();
    let resources = &directive.resources.blobs;
    let mut buckets = BTreeMap::new();
    for name in granted(directive) {
        let bucket = match app.bindings().get(name) {
            Some(location) => open(location),
            None => match resources.get(name).and_then(|blobs| blobs.dev.as_deref()) {
                Some(dev) => {
                    let path = app.dir().join(dev);
                    // Made here only for whoever may write; a folder that is only read was
                    // checked to be there.
                    std::fs::create_dir_all(&path).map_err(|source| BackendsError::DevFolder {
                        resource: name.to_owned(),
                        path: path.display().to_string(),
                        source,
                    })?;
                    Bucket::folder(&path)
                }
                // Whoever is granted it is told.
                None => continue,
            },
        };
        let bucket = bucket.map_err(|source| BackendsError::Bucket {
            resource: name.to_owned(),
            source: Box::new(source),
        })?;
        buckets.insert(name.to_owned(), bucket);
    }
    Ok(buckets)
}

impl Backends {
    /// Back ends; a function may have so many outgoing connections.
    pub(crate) fn new(connections: usize) -> Result<Self, BackendsError> {
        let http = strand_http_client::Config {
            connections,
            ..strand_http_client::Config::default()
        };
        Ok(Self {
            http: HttpClients::new(http)?,
        })
    }

    /// What a function is granted, and the inert base that every function has.
    pub(crate) fn capabilities(
        &self,
        section: &FunctionSection,
        buckets: &BTreeMap<String, Bucket>,
        budget: &Arc<MemoryBudget>,
    ) -> Result<Vec<Arc<dyn Capability>>, BackendsError> {
        let values = strand_config::Grant {
            config: section.config.clone(),
            env: section.env.clone(),
        };
        let config = strand_config::Values::new(&strand_config::Config::default(), values)?;
        let logging = strand_logging::Logging::new(&strand_logging::Config::default());
        let mut granted: Vec<Arc<dyn Capability>> = vec![Arc::new(config), Arc::new(logging)];
        let grants = &section.grants;
        if !grants.http.is_empty() {
            granted.push(Arc::new(self.http.client(strand_http_client::Grant {
                rules: grants.http.iter().map(http_rule).collect(),
            })));
        }
        if !grants.blobs.is_empty() {
            let containers = grants
                .blobs
                .iter()
                .map(|(name, access)| (name.clone(), blob_access(access)))
                .collect();
            granted.push(Arc::new(Blobstore::new(
                &strand_blobstore::Config::default(),
                budget,
                strand_blobstore::Grant { containers },
                buckets,
            )?));
        }
        Ok(granted)
    }
}

fn granted(directive: &Directive) -> BTreeSet<&str> {
    directive
        .functions
        .values()
        .flat_map(|function| function.grants.blobs.keys())
        .map(String::as_str)
        .collect()
}

fn open(location: &BlobLocation) -> Result<Bucket, BucketError> {
    match location {
        BlobLocation::Folder(path) => Bucket::folder(path),
        BlobLocation::Memory => Ok(strand_blobstore::memory()),
        BlobLocation::S3 { bucket, prefix } => Bucket::s3(bucket, prefix, &s3_options()),
    }
}

/// How to reach S3, from the standard variables.
fn s3_options() -> S3Options {
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let credentials = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
    let default = S3Options::default();
    S3Options {
        endpoint: variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL")),
        region: variable("AWS_REGION")
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .unwrap_or(default.region.clone()),
        credentials: credentials.map(|(access_key, secret_key)| S3Credentials {
            access_key,
            secret_key,
            session_token: variable("AWS_SESSION_TOKEN"),
        }),
        ..default
    }
}

fn blob_access(access: &BTreeSet<Access>) -> strand_blobstore::Access {
    strand_blobstore::Access {
        read: access.contains(&Access::Read),
        write: access.contains(&Access::Write),
    }
}

fn http_rule(rule: &HttpRule) -> Rule {
    Rule {
        scheme: match rule.scheme {
            Scheme::Http => strand_http_client::Scheme::Http,
            Scheme::Https => strand_http_client::Scheme::Https,
        },
        host: match &rule.host {
            HostPattern::Name(name) => strand_http_client::Host::Name(name.clone()),
            HostPattern::Below(name) => strand_http_client::Host::Below(name.clone()),
            HostPattern::Address(address) => strand_http_client::Host::Address(*address),
        },
        port: rule.port,
    }
}
