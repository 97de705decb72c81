//! Blobs as files of a folder: `<folder>/<prefix>/<hash>`.
//!
//! A blob is written beside its place, made durable, and renamed into it: what stands under a hash is whole, whatever
//! happens in between. What a crash leaves unfinished lies in `.tmp` and is removed when the folder is opened next.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;

use super::{BLOB_BYTES_MAX, BlobError, BlobHash, BlobKey, BlobStore, check_prefix};

type Result<T> = std::result::Result<T, BlobError>;

/// One process uses the folder at a time: it lies in the data folder, which the store locks.
#[derive(Debug, Clone)]
pub struct DirBlobs {
    folder: Arc<Path>,
    /// Numbers the files in `.tmp`.
    unfinished: Arc<AtomicU64>,
    /// Held from looking whether a place is free to taking it.
    placing: Arc<Mutex<()>>,
}

impl DirBlobs {
    /// Opens the folder and makes it if need be.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let opened = Self { folder: folder.into(), unfinished: Arc::default(), placing: Arc::default() };
        opened.prepare().with_context(|| format!("cannot use the blob folder {}", folder.display()))?;
        Ok(opened)
    }

    /// For looking at the folder beside the process that uses it: touches nothing.
    #[must_use]
    pub fn beside(folder: &Path) -> Self {
        Self { folder: folder.into(), unfinished: Arc::default(), placing: Arc::default() }
    }

    fn prepare(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.unfinished_dir()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(self.unfinished_dir())?;
        // Its own name, too.
        self.folder.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_dir)
    }

    /// No prefix can name it: prefixes have no dots.
    fn unfinished_dir(&self) -> PathBuf {
        self.folder.join(".tmp")
    }

    fn dir_of(&self, prefix: &str) -> Result<PathBuf> {
        check_prefix(prefix)?;
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

    fn put_now(&self, dir: &Path, hash: BlobHash, bytes: &[u8]) -> io::Result<bool> {
        let path = dir.join(hash.to_string());
        let is_new = !path.try_exists()? && {
            fs::create_dir_all(dir)?;
            self.place(&self.write_unfinished(bytes)?, &path)?
        };
        // Also when it was there: who put it may not have come this far.
        self.sync_up(dir)?;
        Ok(is_new)
    }

    /// Makes the names in a folder durable, and those of all folders on the way to it.
    fn sync_up(&self, dir: &Path) -> io::Result<()> {
        for dir in dir.ancestors() {
            sync_dir(dir)?;
            if dir == &*self.folder {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Moves a finished file to its place, if nothing is there.
    fn place(&self, unfinished: &Path, path: &Path) -> io::Result<bool> {
        let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = !path.try_exists()?;
        if is_free {
            fs::rename(unfinished, path)?;
        } else {
            fs::remove_file(unfinished)?;
        }
        Ok(is_free)
    }
}

/// The names in a folder are durable once the folder itself is synced.
fn sync_dir(dir: &Path) -> io::Result<()> {
    // Other systems cannot open a folder like a file, and write names through.
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Adds the keys below a folder, whose own key is `folder_key`, that come behind `after`, until there are `limit`.
fn list_below(
    folder: &Path,
    folder_key: &str,
    after: &str,
    limit: usize,
    found: &mut Vec<BlobKey>,
) -> io::Result<()> {
    let mut keys = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // No blob's name is other than ASCII.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let end = if entry.file_type()?.is_dir() { "/" } else { "" };
        keys.push(format!("{folder_key}{name}{end}"));
    }
    keys.sort_unstable();
    for key in keys {
        if found.len() == limit {
            break;
        }
        if let Some(name) = key.strip_prefix(folder_key).and_then(|name| name.strip_suffix('/')) {
            // Every key below begins with this one.
            if after < key.as_str() || after.starts_with(&key) {
                list_below(&folder.join(name), &key, after, limit, found)?;
            }
        } else if after < key.as_str() {
            found.extend(BlobKey::from_text(&key));
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

enum Found {
    Nothing,
    Blob(Bytes),
    TooLarge,
}

#[async_trait]
impl BlobStore for DirBlobs {
    async fn check(&self) -> Result<()> {
        let blobs = self.clone();
        blocking(move || fs::remove_file(blobs.write_unfinished(b"can this folder be written?")?)).await
    }

    async fn put(&self, prefix: &str, hash: BlobHash, bytes: Bytes) -> Result<bool> {
        let (blobs, dir) = (self.clone(), self.dir_of(prefix)?);
        if BLOB_BYTES_MAX < bytes.len() {
            return Err(BlobError::TooLarge { bytes: bytes.len() });
        }
        blocking(move || blobs.put_now(&dir, hash, &bytes)).await
    }

    async fn get(&self, prefix: &str, hash: BlobHash) -> Result<Option<Bytes>> {
        let path = self.dir_of(prefix)?.join(hash.to_string());
        let found = blocking(move || match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
            Ok(file) if (BLOB_BYTES_MAX as u64) < file.len() => Ok(Found::TooLarge),
            _ => fs::read(&path).map(|bytes| Found::Blob(bytes.into())),
        });
        match found.await? {
            Found::Nothing => Ok(None),
            Found::Blob(bytes) => Ok(Some(bytes)),
            Found::TooLarge => Err(BlobError::Damaged { hash, what: "it is larger than any blob" }),
        }
    }

    async fn delete(&self, prefix: &str, hash: BlobHash) -> Result<()> {
        let dir = self.dir_of(prefix)?;
        blocking(move || match fs::remove_file(dir.join(hash.to_string())) {
            Ok(()) => sync_dir(&dir),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>> {
        let (dir, key) = (self.dir_of(prefix)?, format!("{prefix}/"));
        let after = after.map(ToString::to_string).unwrap_or_default();
        blocking(move || {
            let mut found = Vec::new();
            list_below(&dir, &key, &after, limit, &mut found)?;
            Ok(found)
        })
        .await
    }

    async fn delete_all(&self, prefix: &str) -> Result<u64> {
        let (dir, key) = (self.dir_of(prefix)?, format!("{prefix}/"));
        blocking(move || {
            let mut found = Vec::new();
            list_below(&dir, &key, "", usize::MAX, &mut found)?;
            match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            match dir.parent() {
                Some(parent) if parent.try_exists()? => sync_dir(parent)?,
                _ => {}
            }
            Ok(found.len() as u64)
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
    async fn what_is_no_blob_is_neither_listed_nor_in_the_way() {
        let root = tempfile::tempdir().unwrap();
        let blobs = DirBlobs::open(root.path()).unwrap();
        let hash = BlobHash::of(b"whole");
        blobs.put("d/1", hash, Bytes::from_static(b"whole")).await.unwrap();
        fs::write(root.path().join("d/1/notes.txt"), b"somebody's").unwrap();
        fs::create_dir(root.path().join("d/.trash")).unwrap();
        assert_eq!(blobs.list("d", None, 10).await.unwrap(), [BlobKey { prefix: "d/1".into(), hash }]);
        assert_eq!(blobs.delete_all("d").await.unwrap(), 1);
        assert!(!root.path().join("d").exists());
    }

    #[tokio::test]
    async fn a_file_larger_than_any_blob_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let blobs = DirBlobs::open(root.path()).unwrap();
        let hash = BlobHash::of(b"whole");
        blobs.put("a", hash, Bytes::from_static(b"whole")).await.unwrap();
        let file = File::options().write(true).open(root.path().join("a").join(hash.to_string())).unwrap();
        file.set_len(BLOB_BYTES_MAX as u64 + 1).unwrap();
        assert!(matches!(blobs.get("a", hash).await, Err(BlobError::Damaged { .. })));
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
        assert!(matches!(
            blobs.put("a", BlobHash::of(b""), Bytes::new()).await,
            Err(BlobError::Unavailable(_))
        ));
    }
}
