//! What every [`BlobStore`] keeps, as tests. `open(place)` opens the store of that place: the same name finds the
//! same blobs again, another name an empty store.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::{BlobError, BlobHash, BlobKey, BlobStore};

/// Runs every promise against a store of its own.
pub async fn run_all(open: impl AsyncFn(&'static str) -> Arc<dyn BlobStore>) {
    a_check_leaves_nothing_behind(open("check").await).await;
    bytes_come_back_as_they_were_stored(open("unchanged").await).await;
    what_is_there_stays(open("again").await).await;
    one_of_many_at_once_stores_it(open("at-once").await).await;
    prefixes_are_apart(open("apart").await).await;
    odd_prefixes_are_refused(open("odd").await).await;
    a_deleted_blob_is_gone(open("delete").await).await;
    a_list_goes_on_where_it_ended(open("list").await).await;
    erasing_takes_all_that_lies_below_and_nothing_else(open("erase").await).await;
    what_was_put_survives_reopening(&open).await;
}

const fn hash(of: u8) -> BlobHash {
    BlobHash([of; 32])
}

fn key(prefix: &str, of: u8) -> BlobKey {
    BlobKey { prefix: prefix.to_owned(), hash: hash(of) }
}

async fn put(blobs: &Arc<dyn BlobStore>, key: &BlobKey) -> bool {
    blobs.put(&key.prefix, key.hash, Bytes::from(key.to_string())).await.unwrap()
}

async fn list(blobs: &Arc<dyn BlobStore>, prefix: &str) -> Vec<BlobKey> {
    blobs.list(prefix, None, usize::MAX).await.unwrap()
}

async fn a_check_leaves_nothing_behind(blobs: Arc<dyn BlobStore>) {
    for checked in join_all((0..3).map(|_| blobs.check())).await {
        checked.unwrap();
    }
    assert_eq!(list(&blobs, "check").await, []);
}

async fn bytes_come_back_as_they_were_stored(blobs: Arc<dyn BlobStore>) {
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(3 << 20).collect();
    for (of, bytes) in
        [Bytes::new(), Bytes::from_static(b"x"), Bytes::from(every_byte)].into_iter().enumerate()
    {
        let hash = hash(u8::try_from(of).unwrap());
        assert!(blobs.put("designs/01-f/segments", hash, bytes.clone()).await.unwrap());
        assert!(blobs.get("designs/01-f/segments", hash).await.unwrap() == Some(bytes));
    }
    assert!(blobs.get("designs/01-f/segments", hash(7)).await.unwrap().is_none());
    assert!(blobs.get("nowhere", hash(7)).await.unwrap().is_none());
}

async fn what_is_there_stays(blobs: Arc<dyn BlobStore>) {
    assert!(blobs.put("a", hash(1), Bytes::from_static(b"first")).await.unwrap());
    assert!(!blobs.put("a", hash(1), Bytes::from_static(b"sealed again")).await.unwrap());
    assert_eq!(blobs.get("a", hash(1)).await.unwrap(), Some(Bytes::from_static(b"first")));
}

async fn one_of_many_at_once_stores_it(blobs: Arc<dyn BlobStore>) {
    for round in 0..3 {
        let many = (0..8_u8).map(|from| blobs.put("a", hash(round), Bytes::from(vec![from; 1_000])));
        let stored: Vec<bool> = join_all(many).await.into_iter().map(Result::unwrap).collect();
        let got = blobs.get("a", hash(round)).await.unwrap().unwrap();
        let winner = stored.iter().position(|stored| *stored).unwrap();
        assert_eq!(stored.iter().filter(|stored| **stored).count(), 1, "{stored:?}");
        assert!(got.len() == 1_000 && got.iter().all(|byte| usize::from(*byte) == winner));
    }
}

async fn prefixes_are_apart(blobs: Arc<dyn BlobStore>) {
    put(&blobs, &key("a/b-1", 1)).await;
    for other in ["a", "a/b", "b-1"] {
        assert_eq!(blobs.get(other, hash(1)).await.unwrap(), None);
        blobs.delete(other, hash(1)).await.unwrap();
    }
    assert!(blobs.get("a/b-1", hash(1)).await.unwrap().is_some());
}

async fn odd_prefixes_are_refused(blobs: Arc<dyn BlobStore>) {
    for prefix in ["", "/", "/a", "a/", "a//b", "..", "a/../b", ".tmp", "A", "ä", "a b", "a\\b", "a\0"] {
        let refusals = [
            blobs.put(prefix, hash(1), Bytes::new()).await.unwrap_err(),
            blobs.get(prefix, hash(1)).await.unwrap_err(),
            blobs.delete(prefix, hash(1)).await.unwrap_err(),
            blobs.list(prefix, None, 1).await.unwrap_err(),
            blobs.delete_all(prefix).await.unwrap_err(),
        ];
        for refusal in refusals {
            assert!(matches!(refusal, BlobError::InvalidPrefix), "{prefix:?}: {refusal:?}");
        }
    }
}

async fn a_deleted_blob_is_gone(blobs: Arc<dyn BlobStore>) {
    assert!(put(&blobs, &key("a", 1)).await);
    blobs.delete("a", hash(1)).await.unwrap();
    blobs.delete("a", hash(1)).await.unwrap();
    blobs.delete("nowhere", hash(1)).await.unwrap();
    assert_eq!(blobs.get("a", hash(1)).await.unwrap(), None);
    assert!(put(&blobs, &key("a", 1)).await, "it may be stored again");
    assert!(blobs.get("a", hash(1)).await.unwrap().is_some());
}

async fn a_list_goes_on_where_it_ended(blobs: Arc<dyn BlobStore>) {
    let mut wanted = Vec::new();
    // Words that begin alike: stores differ in whether `-` stands before `/`.
    for prefix in ["d/1", "d/1-2/segments", "d/1/segments", "d/1/snapshots", "d/12"] {
        wanted.extend([0x00, 0x3f, 0xff].map(|of| key(prefix, of)));
    }
    for key in wanted.iter().rev().chain(&[key("d-1", 1), key("e", 1)]) {
        put(&blobs, key).await;
    }
    let order = list(&blobs, "d").await;
    assert!(order.len() == wanted.len() && wanted.iter().all(|key| order.contains(key)), "{order:?}");
    for limit in [1, 4, wanted.len(), wanted.len() + 1] {
        let mut found: Vec<BlobKey> = Vec::new();
        loop {
            let page = blobs.list("d", found.last(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let is_last = page.len() < limit;
            found.extend(page);
            if is_last {
                break;
            }
        }
        assert_eq!(found, order, "{limit} at a time");
    }
    blobs.delete(&order[4].prefix, order[4].hash).await.unwrap();
    assert_eq!(blobs.list("d", Some(&order[4]), 2).await.unwrap(), order[5..7]);
    assert_eq!(blobs.list("d", order.last(), 1).await.unwrap(), []);
    assert_eq!(blobs.list("d", None, 0).await.unwrap(), []);
    assert_eq!(list(&blobs, "d/1/snapshots").await.len(), 3);
    assert_eq!(list(&blobs, "nowhere").await, []);
}

async fn erasing_takes_all_that_lies_below_and_nothing_else(blobs: Arc<dyn BlobStore>) {
    let others = [key("d/1-2", 1), key("d/12", 1), key("d", 1), key("e", 1)];
    for key in
        others.iter().chain(&[key("d/1", 1), key("d/1/segments", 1), key("d/1/a/b", 1), key("d/1/a", 2)])
    {
        put(&blobs, key).await;
    }
    assert_eq!(blobs.delete_all("d/1").await.unwrap(), 4);
    assert_eq!(list(&blobs, "d/1").await, []);
    assert_eq!(blobs.delete_all("d/1").await.unwrap(), 0);
    for key in &others {
        assert!(blobs.get(&key.prefix, key.hash).await.unwrap().is_some(), "{key}");
    }
    assert!(put(&blobs, &key("d/1/segments", 1)).await);
}

async fn what_was_put_survives_reopening(open: &impl AsyncFn(&'static str) -> Arc<dyn BlobStore>) {
    put(&open("survive").await, &key("a", 1)).await;
    assert_eq!(list(&open("survive").await, "a").await, [key("a", 1)]);
}
