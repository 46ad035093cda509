//! Buckets of S3 and of servers that speak its protocol.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use crate::bucket::BucketError;
use crate::patience::Patience;

/// How to reach a bucket. All values come from the node; nothing is read from
/// the environment, and no metadata service is asked.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// `http://HOST:PORT` or `https://HOST`; Amazon's own when there is none.
    pub endpoint: Option<String>,
    /// The region that requests are signed for. `us-east-1` by default.
    pub region: String,
    /// Puts the bucket's name into the host instead of the path. False by default.
    pub virtual_hosted: bool,
    /// Without credentials requests are not signed, which public buckets allow.
    pub credentials: Option<S3Credentials>,
    /// How long a request is tried, pauses included, before it fails. 10 s by
    /// default.
    pub retry_for: Duration,
    /// How long a server may be silent before its answer and in the middle of it.
    /// 10 s by default.
    pub silence: Duration,
    /// Bytes a second at which a body is sent at least: one that takes longer, and
    /// `silence` besides, fails. 64 KiB by default, which gives a part of 8 MiB two
    /// minutes.
    pub rate: u64,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            virtual_hosted: false,
            credentials: None,
            retry_for: Duration::from_secs(10),
            silence: Duration::from_secs(10),
            rate: 64 << 10,
        }
    }
}

/// A key of S3.
#[derive(Clone)]
pub struct S3Credentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_key: String,
    /// `AWS_SESSION_TOKEN`, for keys that expire.
    pub session_token: Option<String>,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret must not reach a log.
        f.debug_struct("S3Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// Times that a request is tried, however fast it fails.
const TRIES: usize = 10;

pub(crate) fn open(bucket: &str, options: &S3Options) -> Result<Arc<dyn ObjectStore>, BucketError> {
    // The HTTP client panics without one.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(BucketError::NoTls);
    }
    let cleartext = options
        .endpoint
        .as_deref()
        .is_some_and(|endpoint| endpoint.starts_with("http://"));
    let client = ClientOptions::new()
        .with_allow_http(cleartext)
        .with_connect_timeout(options.retry_for.min(Duration::from_secs(5)))
        // Neither of the client's own: see `patience`.
        .with_read_timeout_disabled()
        .with_timeout_disabled();
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&options.region)
        .with_virtual_hosted_style_request(options.virtual_hosted)
        .with_client_options(client)
        .with_http_connector(Patience {
            silence: options.silence,
            rate: options.rate.max(1),
        })
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: TRIES,
            retry_timeout: options.retry_for,
        });
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    builder = match &options.credentials {
        Some(credentials) => {
            let builder = builder
                .with_access_key_id(&credentials.access_key)
                .with_secret_access_key(&credentials.secret_key);
            match &credentials.session_token {
                Some(token) => builder.with_token(token),
                None => builder,
            }
        }
        None => builder.with_skip_signature(true),
    };
    let store = builder.build().map_err(|source| BucketError::S3 {
        bucket: bucket.to_owned(),
        source,
    })?;
    Ok(Arc::new(store))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let options = S3Options {
            credentials: Some(S3Credentials {
                access_key: "AKIA".to_owned(),
                secret_key: "hidden".to_owned(),
                session_token: Some("hidden".to_owned()),
            }),
            ..S3Options::default()
        };
        let shown = format!("{options:?}");
        assert!(
            shown.contains("AKIA") && !shown.contains("hidden"),
            "{shown}"
        );
    }
}
