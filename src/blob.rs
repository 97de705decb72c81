//! Large immutable bytes, each under the SHA-256 of its content. `blob/conformance.rs` says what every implementation
//! of the seam keeps; [`archive`] stands on it and is what everybody else uses: it compresses, encrypts and verifies.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

pub mod archive;
#[cfg(test)]
pub mod conformance;
pub mod dir;
mod envelope;
pub mod s3;

/// Bytes. A blob as stored; larger ones are neither taken nor given.
pub const BLOB_BYTES_MAX: usize = 260 << 20;

/// The SHA-256 of a blob's plain content: its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// Of what `Display` wrote; `None`: anything else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        if text.len() != 64 || !text.as_bytes().iter().all(is_digit) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(hash))
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where a blob lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlobKey {
    pub prefix: String,
    pub hash: BlobHash,
}

impl BlobKey {
    /// Of what `Display` wrote; `None`: anything else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (prefix, hash) = text.rsplit_once('/')?;
        check_prefix(prefix).ok()?;
        Some(Self { prefix: prefix.to_owned(), hash: BlobHash::from_text(hash)? })
    }
}

/// `<prefix>/<hash>`.
impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.prefix, self.hash)
    }
}

/// Names keys by their ids at most, and no other secret.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Not reached, too slow, or overloaded: later it may work. Whether a write happened is unknown.
    #[error("the blob store is unavailable")]
    Unavailable(#[source] anyhow::Error),
    /// It answered and said no: it works again once somebody mends rights or settings.
    #[error("the blob store refuses this server")]
    Refused(#[source] anyhow::Error),
    /// What is stored under a hash is not what has it.
    #[error("blob {hash} is damaged: {what}")]
    Damaged { hash: BlobHash, what: &'static str },
    /// It was sealed with a key that is not among those that are set.
    #[error("blob {hash} needs the encryption key `{key_id}`, which is not set")]
    UnknownKey { hash: BlobHash, key_id: String },
    /// Somebody changed it, or set another key under the id of the one that sealed it.
    #[error(
        "blob {hash} does not open with the encryption key `{key_id}`: it was changed, or the key is another"
    )]
    NotOpened { hash: BlobHash, key_id: String },
    #[error("{bytes} bytes are more than a blob may have")]
    TooLarge { bytes: usize },
    /// Prefixes are words of lower-case ASCII letters, digits and `-`, with `/` between them.
    #[error("not a blob prefix")]
    InvalidPrefix,
}

/// Holds bytes and looks at none of them: what a hash says about a blob is [`archive`]'s to check.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Answers when everything that the other calls need is permitted and works. Writes and deletes one small blob of
    /// its own, so that it is for starts and for operators.
    async fn check(&self) -> Result<(), BlobError>;
    /// Stores the bytes under `<prefix>/<hash>` unless something is there; durable on return in both cases. False:
    /// something was there and stays.
    async fn put(&self, prefix: &str, hash: BlobHash, bytes: Bytes) -> Result<bool, BlobError>;
    /// The bytes as stored. `None`: not there.
    async fn get(&self, prefix: &str, hash: BlobHash) -> Result<Option<Bytes>, BlobError>;
    /// Durable on return. Nothing there: nothing happens.
    async fn delete(&self, prefix: &str, hash: BlobHash) -> Result<(), BlobError>;
    /// Blobs below `<prefix>/`, at any depth, at most `limit`: the first, or those behind `after`, which a call before
    /// gave; it may be gone by now. The order is the store's own and stays the same. Fewer than `limit`: there are no
    /// more.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<BlobKey>, BlobError>;
    /// Deletes all that lies below `<prefix>/`, at any depth; how many. After an error some may be left: call it again.
    async fn delete_all(&self, prefix: &str) -> Result<u64, BlobError>;
}

/// No prefix can leave its store, or name what a store keeps for itself: that begins with a dot.
fn check_prefix(prefix: &str) -> Result<(), BlobError> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_letter);
    if prefix.split('/').all(is_word) { Ok(()) } else { Err(BlobError::InvalidPrefix) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_keys_are_read_as_they_are_written() {
        let key = BlobKey { prefix: "designs/0a-1/segments".into(), hash: BlobHash::of(b"x") };
        assert_eq!(BlobKey::from_text(&key.to_string()), Some(key.clone()));
        let hash = key.hash.to_string();
        let others = [
            hash.to_uppercase(),
            hash[1..].into(),
            format!("{hash}0"),
            format!("+{}", &hash[1..]),
            "é".repeat(32),
        ];
        for text in others {
            assert_eq!(BlobHash::from_text(&text), None, "{text}");
            assert_eq!(BlobKey::from_text(&format!("a/{text}")), None, "{text}");
        }
        for text in [hash.clone(), format!("/{hash}"), format!("a//{hash}"), format!(".check/{hash}")] {
            assert_eq!(BlobKey::from_text(&text), None, "{text}");
        }
    }
}
