//! Blobs whose store fails when told to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use crate::blob::dir::DirBlobs;
use crate::blob::{BlobError, BlobHash, BlobKey, BlobStore};

/// A folder of blobs that may be away.
pub(crate) struct MoodyBlobs {
    pub(crate) inner: DirBlobs,
    pub(crate) is_away: AtomicBool,
    /// Takes a blob and never says so.
    pub(crate) is_silent: AtomicBool,
    pub(crate) refusals: AtomicUsize,
    /// These blobs alone it does not take.
    pub(crate) refused: Mutex<Vec<BlobHash>>,
}

impl MoodyBlobs {
    fn answer(&self) -> Result<(), BlobError> {
        if self.is_away.load(Ordering::SeqCst) {
            self.refusals.fetch_add(1, Ordering::SeqCst);
            return Err(BlobError::Unavailable(anyhow::anyhow!("as told")));
        }
        Ok(())
    }
}

#[async_trait]
impl BlobStore for MoodyBlobs {
    async fn check(&self) -> Result<(), BlobError> {
        self.answer()?;
        self.inner.check().await
    }
    async fn put(&self, prefix: &str, hash: BlobHash, bytes: Bytes) -> Result<bool, BlobError> {
        self.answer()?;
        if self.refused.lock().unwrap().contains(&hash) {
            self.refusals.fetch_add(1, Ordering::SeqCst);
            return Err(BlobError::Refused(anyhow::anyhow!("as told")));
        }
        let put = self.inner.put(prefix, hash, bytes).await;
        if self.is_silent.load(Ordering::SeqCst) {
            self.refusals.fetch_add(1, Ordering::SeqCst);
            return std::future::pending().await;
        }
        put
    }
    async fn get(&self, prefix: &str, hash: BlobHash) -> Result<Option<Bytes>, BlobError> {
        self.answer()?;
        self.inner.get(prefix, hash).await
    }
    async fn delete(&self, prefix: &str, hash: BlobHash) -> Result<(), BlobError> {
        self.answer()?;
        self.inner.delete(prefix, hash).await
    }
    async fn list(
        &self,
        prefix: &str,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<BlobKey>, BlobError> {
        self.answer()?;
        self.inner.list(prefix, after, limit).await
    }
    async fn delete_all(&self, prefix: &str) -> Result<u64, BlobError> {
        self.answer()?;
        self.inner.delete_all(prefix).await
    }
}
