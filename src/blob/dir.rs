//! Blobs as files of a folder: `<folder>/<prefix>/<hash>`.
//!
//! A blob is written beside its place, made durable, and renamed into it: what stands under a hash is whole, whatever
//! happens in between. What a crash leaves unfinished lies in `.tmp` and is removed when the folder is opened next.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;

use super::{BlobError, BlobHash, BlobStore};

type Result<T> = std::result::Result<T, BlobError>;

/// One process uses the folder at a time: it lies in the data folder, which the store locks.
#[derive(Debug, Clone)]
pub struct DirBlobs {
    folder: Arc<Path>,
    /// Numbers the files in `.tmp`.
    unfinished: Arc<AtomicU64>,
}

impl DirBlobs {
    /// Opens the folder and makes it if need be.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let opened = Self { folder: folder.into(), unfinished: Arc::default() };
        opened.prepare().with_context(|| format!("cannot use the blob folder {}", folder.display()))?;
        Ok(opened)
    }

    fn prepare(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.unfinished_dir()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(self.unfinished_dir())
    }

    /// No prefix can name it: prefixes have no dots.
    fn unfinished_dir(&self) -> PathBuf {
        self.folder.join(".tmp")
    }

    fn dir_of(&self, prefix: &str) -> Result<PathBuf> {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_letter);
        if !prefix.split('/').all(is_word) {
            return Err(BlobError::InvalidPrefix);
        }
        Ok(self.folder.join(prefix))
    }

    /// A durable file in `.tmp` with these bytes.
    fn write_unfinished(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let path = self.unfinished_dir().join(number.to_string());
        let written = (|| {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        })();
        if let Err(error) = written {
            // Best effort: what stays is removed at the next start.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(path)
    }

    fn put_now(&self, dir: &Path, hash: BlobHash, bytes: &[u8]) -> io::Result<()> {
        let path = dir.join(hash.to_string());
        if !path.try_exists()? {
            make_durable_dir(dir)?;
            let unfinished = self.write_unfinished(bytes)?;
            fs::rename(unfinished, path)?;
        }
        // Also when it was there: who put it may not have come this far.
        sync_dir(dir)
    }
}

/// The names in a folder are durable once the folder itself is synced.
fn sync_dir(dir: &Path) -> io::Result<()> {
    // Other systems cannot open a folder like a file, and write names through.
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

fn make_durable_dir(dir: &Path) -> io::Result<()> {
    if dir.try_exists()? {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_durable_dir(parent)?;
        match fs::create_dir(dir) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => sync_dir(parent)?,
        }
    }
    Ok(())
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| BlobError::Unavailable(error.into())),
        Err(panic) => Err(BlobError::Unavailable(panic.into())),
    }
}

#[async_trait]
impl BlobStore for DirBlobs {
    async fn check(&self) -> Result<()> {
        let blobs = self.clone();
        blocking(move || fs::remove_file(blobs.write_unfinished(b"can this folder be written?")?)).await
    }

    async fn put(&self, prefix: &str, bytes: Bytes) -> Result<BlobHash> {
        let (blobs, dir) = (self.clone(), self.dir_of(prefix)?);
        blocking(move || {
            let hash = BlobHash::of(&bytes);
            blobs.put_now(&dir, hash, &bytes)?;
            Ok(hash)
        })
        .await
    }

    async fn get(&self, prefix: &str, hash: BlobHash) -> Result<Option<Bytes>> {
        let path = self.dir_of(prefix)?.join(hash.to_string());
        let found = blocking(move || match fs::read(path) {
            Ok(bytes) => Ok(Some((BlobHash::of(&bytes), Bytes::from(bytes)))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await?;
        match found {
            None => Ok(None),
            Some((actual, bytes)) if actual == hash => Ok(Some(bytes)),
            Some(_) => Err(BlobError::Damaged(hash.to_string())),
        }
    }

    async fn delete(&self, prefix: &str, hash: BlobHash) -> Result<bool> {
        let dir = self.dir_of(prefix)?;
        blocking(move || match fs::remove_file(dir.join(hash.to_string())) {
            Ok(()) => sync_dir(&dir).map(|()| true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::conformance;

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let root = tempfile::tempdir().unwrap();
        let open = async |place: &'static str| {
            Arc::new(DirBlobs::open(&root.path().join(place)).unwrap()) as Arc<dyn BlobStore>
        };
        conformance::run_all(open).await;
    }

    #[tokio::test]
    async fn a_damaged_blob_is_told_and_never_served() {
        let root = tempfile::tempdir().unwrap();
        let blobs = DirBlobs::open(root.path()).unwrap();
        let hash = blobs.put("a", Bytes::from_static(b"whole")).await.unwrap();
        fs::write(root.path().join("a").join(hash.to_string()), b"whol").unwrap();
        let got = blobs.get("a", hash).await;
        assert!(matches!(&got, Err(BlobError::Damaged(name)) if *name == hash.to_string()), "{got:?}");
    }

    #[tokio::test]
    async fn what_a_crash_left_unfinished_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let blobs = DirBlobs::open(root.path()).unwrap();
        blobs.write_unfinished(b"half").unwrap();
        DirBlobs::open(root.path()).unwrap();
        assert_eq!(fs::read_dir(root.path().join(".tmp")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_folder_that_went_away_is_unavailable() {
        let root = tempfile::tempdir().unwrap();
        let blobs = DirBlobs::open(&root.path().join("blobs")).unwrap();
        fs::remove_dir_all(root.path().join("blobs")).unwrap();
        assert!(matches!(blobs.check().await, Err(BlobError::Unavailable(_))));
        assert!(matches!(blobs.put("a", Bytes::new()).await, Err(BlobError::Unavailable(_))));
    }
}
