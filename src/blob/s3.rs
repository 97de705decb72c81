//! Blobs as objects of an S3 bucket, AWS's own or another vendor's: `<key prefix><prefix>/<hash>`.
//!
//! Every call is one request, or one for each thousand keys; each has a limit in time, is tried again a few times, and
//! uploads in one part: S3 takes up to 5 GiB so, and no blob is larger than [`BLOB_BYTES_MAX`].
//!
//! Put-if-absent is `If-None-Match: *`. A server that does not know the header either refuses it, and is asked again
//! without, or ignores it and stores the same content once more: under its name there is no other content, so that
//! nothing is lost; `put` then says that the blob is new.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::anyhow;
use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier, ServerSideEncryption};
use bytes::{Bytes, BytesMut};
use secrecy::{ExposeSecret as _, SecretString};

use super::{BLOB_BYTES_MAX, BlobError, BlobHash, BlobKey, BlobStore, check_prefix};

type Result<T> = std::result::Result<T, BlobError>;

/// Keys in one answer of a list and in one request to delete; S3 allows no more.
const PAGE_KEYS: usize = 1_000;
/// Of a server that has a region in name only.
const ANY_REGION: &str = "us-east-1";
/// How often a put is begun anew that met another one, or a delete, of the same key.
const CONFLICTS_MAX: u32 = 3;
/// The object that a check writes. No blob has this key: prefixes have no dots.
const CHECKED: &str = ".check";

/// Where a bucket is, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct S3Settings {
    pub bucket: String,
    /// URL of another vendor's server. `None`: AWS's own of the region.
    pub endpoint: Option<String>,
    /// `None`: what the AWS variables and profiles say; with an endpoint `us-east-1`.
    pub region: Option<String>,
    /// Before every key, as it is: `atlas/`. Empty: nothing.
    pub key_prefix: String,
    /// `https://host/bucket/key` in place of `https://bucket.host/key`.
    pub force_path_style: bool,
    pub encryption: S3Encryption,
    /// `None`: found as every AWS tool finds them, and renewed when they expire.
    pub credentials: Option<S3Credentials>,
    pub patience: S3Patience,
}

/// What S3 is asked to encrypt objects with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Encryption {
    /// Nothing is asked: the bucket's default holds.
    BucketDefault,
    /// `AES256`: keys that S3 keeps.
    Aes256,
    /// `aws:kms`, with the bucket's own key to save requests to KMS. `None`: the account's default key.
    Kms { key_id: Option<String> },
}

#[derive(Debug, Clone)]
pub struct S3Credentials {
    pub access_key_id: String,
    pub secret_access_key: SecretString,
}

/// How long a request may take. A blob of [`BLOB_BYTES_MAX`] passes at 10 MB/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct S3Patience {
    pub connect: Duration,
    /// One try.
    pub attempt: Duration,
    /// All tries of a request and the waits between them, or the whole of a download.
    pub operation: Duration,
    /// At least one.
    pub attempts: u32,
    /// The wait before the second try; it doubles before each further one.
    pub backoff: Duration,
}

impl Default for S3Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(30),
            operation: Duration::from_secs(70),
            attempts: 4,
            backoff: Duration::from_millis(200),
        }
    }
}

/// A bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct S3Blobs {
    client: Client,
    bucket: String,
    key_prefix: String,
    encryption: S3Encryption,
    /// For what the client does not limit and wait for itself: the reading of a body, a put that meets another.
    patience: S3Patience,
}

/// Keys as they are in the bucket.
struct Page {
    keys: Vec<String>,
    has_more: bool,
}

impl S3Blobs {
    /// Reads the AWS variables and profiles, but asks the bucket nothing yet: [`BlobStore::check`] does.
    pub async fn open(settings: S3Settings) -> Self {
        let S3Settings { bucket, endpoint, region, key_prefix, force_path_style, encryption, .. } = settings;
        let patience = settings.patience;
        // A version by name: another one would bring other limits and retries.
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        // A region that is given spares asking the machine's metadata, which may not answer.
        let given = region.or_else(|| endpoint.is_some().then(|| ANY_REGION.to_owned()));
        if let Some(region) = given {
            loader = loader.region(Region::new(region));
        }
        if let Some(S3Credentials { access_key_id, secret_access_key }) = settings.credentials {
            let secret = secret_access_key.expose_secret();
            loader =
                loader.credentials_provider(Credentials::new(access_key_id, secret, None, None, "settings"));
        }
        if let Some(endpoint) = endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let limits = TimeoutConfig::builder()
            .connect_timeout(patience.connect)
            .operation_attempt_timeout(patience.attempt)
            .operation_timeout(patience.operation)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(patience.attempts)
            .with_initial_backoff(patience.backoff)
            .with_max_backoff(patience.operation / 4);
        let found = loader.timeout_config(limits).retry_config(retries).load().await;
        let config = aws_sdk_s3::config::Builder::from(&found)
            .force_path_style(force_path_style)
            // Other vendors do not know the newer checksums. The signature covers the body's SHA-256 anyway, and what
            // is read is checked against its name.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self { client: Client::from_conf(config), bucket, key_prefix, encryption, patience }
    }

    fn key(&self, prefix: &str, hash: BlobHash) -> Result<String> {
        check_prefix(prefix)?;
        Ok(format!("{}{prefix}/{hash}", self.key_prefix))
    }

    /// Below which keys lie.
    fn folder(&self, prefix: &str) -> Result<String> {
        check_prefix(prefix)?;
        Ok(format!("{}{prefix}/", self.key_prefix))
    }

    /// Stores an object. `if_absent`: unless there is one; then false.
    async fn put_object(
        &self,
        key: &str,
        bytes: &Bytes,
        if_absent: bool,
    ) -> std::result::Result<bool, Failed> {
        let request = self.client.put_object().bucket(&self.bucket).key(key);
        let request = request.content_type("application/octet-stream").body(ByteStream::from(bytes.clone()));
        let request = if if_absent { request.if_none_match("*") } else { request };
        let request = match &self.encryption {
            S3Encryption::BucketDefault => request,
            S3Encryption::Aes256 => request.server_side_encryption(ServerSideEncryption::Aes256),
            S3Encryption::Kms { key_id } => request
                .server_side_encryption(ServerSideEncryption::AwsKms)
                .set_ssekms_key_id(key_id.clone())
                .bucket_key_enabled(true),
        };
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => match Failed::of("PutObject", &error) {
                Failed { status: Some(412), .. } if if_absent => Ok(false),
                failed => Err(failed),
            },
        }
    }

    /// All of the body, if it is no larger than a blob may be.
    async fn body(&self, hash: BlobHash, output: GetObjectOutput) -> Result<Bytes> {
        let too_large = || BlobError::Damaged { hash, what: "it is larger than any blob" };
        let told = usize::try_from(output.content_length().unwrap_or(0)).unwrap_or(0);
        if BLOB_BYTES_MAX < told {
            return Err(too_large());
        }
        let mut bytes = BytesMut::with_capacity(told);
        let mut stream = output.body;
        let unread =
            |error| BlobError::Unavailable(anyhow!("GetObject: the body broke off: {}", chain(&error)));
        while let Some(piece) = stream.try_next().await.map_err(unread)? {
            if BLOB_BYTES_MAX - bytes.len() < piece.len() {
                return Err(too_large());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// At most a thousand keys below `folder`, behind `after`.
    async fn page(&self, folder: &str, after: Option<&str>, limit: usize) -> Result<Page> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(folder);
        let request = request.set_start_after(after.map(str::to_owned));
        let keys_max = i32::try_from(limit.min(PAGE_KEYS)).unwrap_or(i32::MAX);
        let listed = request.max_keys(keys_max).send().await;
        let listed = listed.map_err(|error| Failed::of("ListObjectsV2", &error))?;
        let keys = listed.contents().iter().filter_map(|object| object.key()).map(str::to_owned).collect();
        Ok(Page { keys, has_more: listed.is_truncated() == Some(true) })
    }

    async fn delete_object(&self, key: &str) -> Result<()> {
        let deleted = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
        deleted.map(drop).map_err(|error| Failed::of("DeleteObject", &error).into())
    }

    /// At most a thousand.
    async fn delete_objects(&self, keys: &[String]) -> Result<()> {
        let named = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let named = named.collect::<std::result::Result<_, _>>();
        let delete = named.and_then(|named| Delete::builder().set_objects(Some(named)).quiet(true).build());
        let delete = delete.map_err(|error| BlobError::Refused(error.into()))?;
        let deleted = self.client.delete_objects().bucket(&self.bucket).delete(delete).send().await;
        let deleted = deleted.map_err(|error| Failed::of("DeleteObjects", &error))?;
        match deleted.errors().first() {
            None => Ok(()),
            Some(error) => {
                let (left, code) = (deleted.errors().len(), error.code().unwrap_or("no code"));
                Err(BlobError::Unavailable(anyhow!("DeleteObjects left {left} objects: {code}")))
            }
        }
    }
}

#[async_trait]
impl BlobStore for S3Blobs {
    async fn check(&self) -> Result<()> {
        let key = format!("{}{CHECKED}", self.key_prefix);
        self.put_object(&key, &Bytes::from_static(b"can this bucket be written?"), false).await?;
        // Another process that checks may have deleted it by now.
        match self.client.get_object().bucket(&self.bucket).key(&key).send().await {
            Err(error) if !is_no_such_key(&error) => return Err(Failed::of("GetObject", &error).into()),
            _ => {}
        }
        self.page(&key, None, 1).await?;
        self.delete_object(&key).await
    }

    async fn put(&self, prefix: &str, hash: BlobHash, bytes: Bytes) -> Result<bool> {
        let key = self.key(prefix, hash)?;
        if BLOB_BYTES_MAX < bytes.len() {
            return Err(BlobError::TooLarge { bytes: bytes.len() });
        }
        let mut conflicts = 0;
        loop {
            match self.put_object(&key, &bytes, true).await {
                // What met it may have been a delete, or a put that failed then.
                Err(Failed { status: Some(409), .. }) if conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                    tokio::time::sleep(self.patience.backoff * conflicts).await;
                }
                Err(Failed { status: Some(501), .. }) => {
                    return Ok(self.put_object(&key, &bytes, false).await?);
                }
                put => return Ok(put?),
            }
        }
    }

    async fn get(&self, prefix: &str, hash: BlobHash) -> Result<Option<Bytes>> {
        let key = self.key(prefix, hash)?;
        let read = async {
            match self.client.get_object().bucket(&self.bucket).key(key).send().await {
                Ok(output) => self.body(hash, output).await.map(Some),
                Err(error) if is_no_such_key(&error) => Ok(None),
                Err(error) => Err(Failed::of("GetObject", &error).into()),
            }
        };
        let read = tokio::time::timeout(self.patience.operation, read).await;
        read.unwrap_or_else(|_| Err(BlobError::Unavailable(anyhow!("GetObject took too long"))))
    }

    async fn delete(&self, prefix: &str, hash: BlobHash) -> Result<()> {
        self.delete_object(&self.key(prefix, hash)?).await
    }

    async fn list(&self, prefix: &str, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>> {
        let folder = self.folder(prefix)?;
        let mut after = after.map(|after| format!("{}{after}", self.key_prefix));
        let mut found = Vec::new();
        while found.len() < limit {
            let page = self.page(&folder, after.as_deref(), limit - found.len()).await?;
            let own = page.keys.iter().filter_map(|key| key.strip_prefix(self.key_prefix.as_str()));
            found.extend(own.filter_map(BlobKey::from_text));
            after = page.keys.last().cloned();
            if !page.has_more || after.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn delete_all(&self, prefix: &str) -> Result<u64> {
        let folder = self.folder(prefix)?;
        let (mut after, mut deleted) = (None::<String>, 0);
        loop {
            let page = self.page(&folder, after.as_deref(), PAGE_KEYS).await?;
            let Some(last) = page.keys.last() else { return Ok(deleted) };
            match self.delete_objects(&page.keys).await {
                // Some vendors delete one object at a time only.
                Err(BlobError::Refused(_)) => {
                    for key in &page.keys {
                        self.delete_object(key).await?;
                    }
                }
                all => all?,
            }
            deleted += page.keys.len() as u64;
            after = Some(last.clone());
            if !page.has_more {
                return Ok(deleted);
            }
        }
    }
}

/// A bucket that is not there answers 404 as well.
fn is_no_such_key<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    code == Some("NoSuchKey")
}

/// A request that did not do what it was to do. Says what is needed to mend it, and nothing that was sent.
struct Failed {
    /// `None`: nobody answered.
    status: Option<u16>,
    what: String,
}

impl Failed {
    fn of<E>(operation: &str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let SdkError::ServiceError(answer) = error else {
            return Self { status: None, what: format!("{operation}: {}", chain(error)) };
        };
        let status = answer.raw().status().as_u16();
        // The code is one of a list; the message may repeat what was sent.
        let code = answer.err().code().unwrap_or("no code");
        let mut what = format!("{operation}: HTTP {status}, {code}");
        if let Some(request) = answer.raw().headers().get("x-amz-request-id") {
            let _ = write!(what, ", request {request}");
        }
        Self { status: Some(status), what }
    }
}

impl From<Failed> for BlobError {
    fn from(failed: Failed) -> Self {
        let what = anyhow!(failed.what);
        match failed.status {
            // Timed out, met another request, throttled: to be tried again. All other 4xx stay as they are.
            Some(400..=407 | 410..=428 | 430..=499 | 501) => Self::Refused(what),
            _ => Self::Unavailable(what),
        }
    }
}

/// The messages of an error and its causes; the last tells most. They have no bodies and no headers.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod answers;
#[cfg(test)]
mod tests;
