//! What is kept as blobs: compressed, encrypted if there is a key, named by the hash of what it was before, and
//! verified on every read. `envelope.rs` has the bytes around it.

use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use bytes::Bytes;

use super::envelope::{self, Envelope, Header, KEY_ID_BYTES_MAX};
use super::{BlobError, BlobHash, BlobStore};
use crate::clock::Ids;

/// Bytes. The plain content of a blob: eight times the largest document. What claims to be larger is not opened.
pub const CONTENT_BYTES_MAX: usize = 256 << 20;
/// zstd's default: what stands above it takes several times as long for a few percent of these contents.
const ZSTD_LEVEL: i32 = 3;
/// Bytes. Larger contents are sealed, and all are opened, where that may take its time.
const ASIDE_BYTES: usize = 16 << 10;

type Result<T> = std::result::Result<T, BlobError>;

/// A key that blobs are encrypted with: AES-256, under the id that stands in the blobs it sealed.
pub struct SealKey {
    id: String,
    key: LessSafeKey,
}

impl SealKey {
    /// # Errors
    /// When the id is not 1 to 32 ASCII letters, digits, `-`, `_` or `.`, or the key not 32 bytes.
    pub fn new(id: &str, key: &[u8]) -> anyhow::Result<Self> {
        anyhow::ensure!(
            envelope::is_key_id(id.as_bytes()),
            "a key id is 1 to {KEY_ID_BYTES_MAX} letters, digits, `-`, `_` or `.`"
        );
        let key = UnboundKey::new(&AES_256_GCM, key).ok().context("a key has 32 bytes")?;
        Ok(Self { id: id.to_owned(), key: LessSafeKey::new(key) })
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A blob as it will be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// SHA-256 of the plain content: the blob's name.
    pub hash: BlobHash,
    pub bytes: Bytes,
}

/// Blobs by content. Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    blobs: Arc<dyn BlobStore>,
    /// The first seals, all open.
    keys: Arc<[SealKey]>,
    ids: Ids,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Archive {
    /// The first of `keys` seals, all of them open what they sealed. None: blobs are stored unencrypted. What was
    /// stored unencrypted can be read with and without keys.
    #[must_use]
    pub fn new(blobs: Arc<dyn BlobStore>, keys: Vec<SealKey>, ids: Ids) -> Self {
        Self { blobs, keys: keys.into(), ids }
    }

    /// For everything that needs no content: checking, listing, deleting.
    #[must_use]
    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.blobs
    }

    /// Stores it under `<prefix>/<hash>`, durable on return. False: something was there and stays.
    pub async fn put(&self, prefix: &str, sealed: &Sealed) -> Result<bool> {
        self.blobs.put(prefix, sealed.hash, sealed.bytes.clone()).await
    }

    /// The plain content, which has this hash. `None`: not there.
    ///
    /// # Errors
    /// Besides the store's own: `Damaged`, `UnknownKey`, `NotOpened`.
    pub async fn get(&self, prefix: &str, hash: BlobHash) -> Result<Option<Bytes>> {
        let Some(stored) = self.blobs.get(prefix, hash).await? else { return Ok(None) };
        let archive = self.clone();
        aside(move || archive.open(hash, &stored)).await.map(Some)
    }

    /// [`seal`](Self::seal), on a thread that may be busy for long unless the content is small.
    pub async fn seal_aside(&self, content: Bytes) -> Result<Sealed> {
        if content.len() <= ASIDE_BYTES {
            return self.seal(&content);
        }
        let archive = self.clone();
        aside(move || archive.seal(&content)).await
    }

    /// Compresses and encrypts: some 10 ms of CPU per megabyte.
    ///
    /// # Errors
    /// `TooLarge` above [`CONTENT_BYTES_MAX`].
    pub fn seal(&self, content: &[u8]) -> Result<Sealed> {
        if CONTENT_BYTES_MAX < content.len() {
            return Err(BlobError::TooLarge { bytes: content.len() });
        }
        let hash = BlobHash::of(content);
        let packed = zstd::bulk::compress(content, ZSTD_LEVEL)
            .context("zstd could not compress")
            .map_err(BlobError::Unavailable)?;
        let key = self.keys.first();
        let header = Header {
            content_bytes: content.len() as u64,
            lock: key.map(|key| envelope::Lock { key_id: key.id.clone(), nonce: self.ids.nonce() }),
        };
        let mut bytes = header.encode();
        let header_bytes = bytes.len();
        bytes.extend_from_slice(&packed);
        if let (Some(key), Some(lock)) = (key, &header.lock) {
            let known = known_to_both(&bytes[..header_bytes], hash);
            let tag = key.key.seal_in_place_separate_tag(
                nonce(lock.nonce),
                Aad::from(known),
                &mut bytes[header_bytes..],
            );
            let tag = tag.ok().context("AES-256-GCM could not seal").map_err(BlobError::Unavailable)?;
            bytes.extend_from_slice(tag.as_ref());
        }
        Ok(Sealed { hash, bytes: bytes.into() })
    }

    /// The plain content of what is stored under this hash. Memory: the stored bytes and the content's size, whatever
    /// the bytes are.
    ///
    /// # Errors
    /// `Damaged`, `UnknownKey`, `NotOpened`.
    pub fn open(&self, hash: BlobHash, stored: &[u8]) -> Result<Bytes> {
        let damaged = |what| BlobError::Damaged { hash, what };
        let Envelope { header, header_bytes } = Envelope::read(stored).map_err(damaged)?;
        let size = usize::try_from(header.content_bytes).unwrap_or(usize::MAX);
        if CONTENT_BYTES_MAX < size {
            return Err(damaged("it says that it is larger than any content"));
        }
        let content = match &header.lock {
            None => unpack(&stored[header_bytes..], size),
            Some(lock) => {
                let key = self.keys.iter().find(|key| key.id == lock.key_id);
                let key = key.ok_or_else(|| BlobError::UnknownKey { hash, key_id: lock.key_id.clone() })?;
                let known = known_to_both(&stored[..header_bytes], hash);
                let mut body = stored[header_bytes..].to_vec();
                let packed = key.key.open_in_place(nonce(lock.nonce), Aad::from(known), &mut body);
                let not_opened = || BlobError::NotOpened { hash, key_id: lock.key_id.clone() };
                unpack(packed.map_err(|_| not_opened())?, size)
            }
        };
        let content = content.map_err(damaged)?;
        if BlobHash::of(&content) != hash {
            return Err(damaged("its content has another hash"));
        }
        Ok(content.into())
    }
}

/// At most `size` bytes are ever made of it.
fn unpack(packed: &[u8], size: usize) -> std::result::Result<Vec<u8>, &'static str> {
    let content = zstd::bulk::decompress(packed, size).map_err(|_| "it cannot be decompressed")?;
    if content.len() == size { Ok(content) } else { Err("it has another size than it says") }
}

/// What is authenticated besides the body: the header, and the name under which the blob lies.
fn known_to_both(header: &[u8], hash: BlobHash) -> Vec<u8> {
    [header, &hash.0].concat()
}

fn nonce(bytes: [u8; NONCE_LEN]) -> Nonce {
    Nonce::assume_unique_for_key(bytes)
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => Err(BlobError::Unavailable(panic.into())),
    }
}

#[cfg(test)]
mod tests;
