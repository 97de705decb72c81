//! What every [`BlobStore`] keeps, as tests. `open(place)` opens the store of that place: the same name finds the
//! same blobs again, another name an empty store.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::{BlobError, BlobHash, BlobStore};

/// Runs every promise against a store of its own.
pub async fn run_all(open: impl AsyncFn(&'static str) -> Arc<dyn BlobStore>) {
    open("check").await.check().await.unwrap();
    bytes_come_back_unchanged(open("unchanged").await).await;
    putting_again_changes_nothing(open("again").await).await;
    prefixes_are_apart(open("apart").await).await;
    odd_prefixes_are_refused(open("odd").await).await;
    a_deleted_blob_is_gone(open("delete").await).await;
    what_was_put_survives_reopening(&open).await;
}

fn hash_of_nothing() -> BlobHash {
    // FIPS 180-4's SHA-256 of no bytes.
    BlobHash([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ])
}

async fn bytes_come_back_unchanged(blobs: Arc<dyn BlobStore>) {
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(3 << 20).collect();
    for bytes in [Bytes::new(), Bytes::from_static(b"x"), Bytes::from(every_byte)] {
        let hash = blobs.put("segments", bytes.clone()).await.unwrap();
        assert!(blobs.get("segments", hash).await.unwrap() == Some(bytes));
    }
    assert_eq!(blobs.put("segments", Bytes::new()).await.unwrap(), hash_of_nothing());
    assert!(blobs.get("segments", BlobHash([7; 32])).await.unwrap().is_none());
}

async fn putting_again_changes_nothing(blobs: Arc<dyn BlobStore>) {
    let bytes = Bytes::from_static(b"the same bytes");
    let hash = blobs.put("a", bytes.clone()).await.unwrap();
    // At once and by many.
    for again in join_all((0..20).map(|_| blobs.put("a", bytes.clone()))).await {
        assert_eq!(again.unwrap(), hash);
    }
    assert_eq!(blobs.get("a", hash).await.unwrap(), Some(bytes));
}

async fn prefixes_are_apart(blobs: Arc<dyn BlobStore>) {
    let bytes = Bytes::from_static(b"here");
    let hash = blobs.put("a/b-1", bytes.clone()).await.unwrap();
    assert_eq!(blobs.get("a/b-1", hash).await.unwrap(), Some(bytes));
    for other in ["a", "a/b", "b-1"] {
        assert_eq!(blobs.get(other, hash).await.unwrap(), None);
        assert!(!blobs.delete(other, hash).await.unwrap());
    }
    assert!(blobs.get("a/b-1", hash).await.unwrap().is_some());
}

async fn odd_prefixes_are_refused(blobs: Arc<dyn BlobStore>) {
    for prefix in ["", "/", "/a", "a/", "a//b", "..", "a/../b", ".tmp", "A", "ä", "a b", "a\\b", "a\0"] {
        let put = blobs.put(prefix, Bytes::new()).await;
        assert!(matches!(put, Err(BlobError::InvalidPrefix)), "{prefix:?}: {put:?}");
        assert!(matches!(blobs.get(prefix, hash_of_nothing()).await, Err(BlobError::InvalidPrefix)));
        assert!(matches!(blobs.delete(prefix, hash_of_nothing()).await, Err(BlobError::InvalidPrefix)));
    }
}

async fn a_deleted_blob_is_gone(blobs: Arc<dyn BlobStore>) {
    let hash = blobs.put("a", Bytes::from_static(b"short-lived")).await.unwrap();
    assert!(blobs.delete("a", hash).await.unwrap());
    assert!(!blobs.delete("a", hash).await.unwrap());
    assert_eq!(blobs.get("a", hash).await.unwrap(), None);
    assert_eq!(blobs.put("a", Bytes::from_static(b"short-lived")).await.unwrap(), hash);
    assert!(blobs.get("a", hash).await.unwrap().is_some());
}

async fn what_was_put_survives_reopening(open: &impl AsyncFn(&'static str) -> Arc<dyn BlobStore>) {
    let bytes = Bytes::from_static(b"kept");
    let hash = open("survive").await.put("a", bytes.clone()).await.unwrap();
    assert_eq!(open("survive").await.get("a", hash).await.unwrap(), Some(bytes));
}
