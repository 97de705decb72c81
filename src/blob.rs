//! Large immutable bytes under their content hash. `blob/conformance.rs` says what every implementation keeps.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

#[cfg(test)]
pub mod conformance;
pub mod dir;

/// The SHA-256 of a blob's bytes: its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("the blob store is unavailable")]
    Unavailable(#[source] anyhow::Error),
    /// What is stored under a hash does not have it.
    #[error("blob {0} is damaged")]
    Damaged(String),
    /// Prefixes are words of lower-case ASCII letters, digits and `-`, with `/` between them.
    #[error("not a blob prefix")]
    InvalidPrefix,
}

#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Answers when the store can be written.
    async fn check(&self) -> Result<(), BlobError>;
    /// Stores the bytes under `prefix/<hash>`, durable on return; storing what is there already changes nothing.
    async fn put(&self, prefix: &str, bytes: Bytes) -> Result<BlobHash, BlobError>;
    /// `None`: not there. The hash is checked on every read.
    async fn get(&self, prefix: &str, hash: BlobHash) -> Result<Option<Bytes>, BlobError>;
    /// False: was not there.
    async fn delete(&self, prefix: &str, hash: BlobHash) -> Result<bool, BlobError>;
}
