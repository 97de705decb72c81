//! What holds of blobs that wait for their store.

use bytes::Bytes;
use futures_util::future::join_all;

use super::folds::design_of;
use super::{design_id, hash};
use crate::store::folds::{BacklogBlob, BacklogSize};
use crate::store::upkeep::Upkeep;
use crate::store::{StoreError, Stores};

fn blob(prefix: &str, n: u8, bytes: usize) -> BacklogBlob {
    BacklogBlob { prefix: prefix.to_owned(), hash: hash(n), bytes: Bytes::from(vec![n; bytes]) }
}

async fn waiting(upkeep: &dyn Upkeep) -> Vec<BacklogBlob> {
    let blobs = upkeep.backlog(0, 10, 1_000).await.unwrap();
    blobs.into_iter().map(|(_, blob)| blob).collect()
}

pub(super) async fn blobs_wait_in_their_order(stores: Stores) {
    let upkeep = &*stores.upkeep;
    assert_eq!(upkeep.backlog_size().await.unwrap(), BacklogSize::default());
    assert_eq!(upkeep.backlog(0, 10, 1_000).await.unwrap(), []);
    let sizes = [(5, 100), (3, 0), (9, 50), (1, 1_000), (7, 10)];
    for (n, bytes) in sizes {
        upkeep.add_to_backlog(blob("exports", n, bytes)).await.unwrap();
    }
    let listed_after = async |after, limit, bytes| {
        let blobs = upkeep.backlog(after, limit, bytes).await.unwrap();
        for (_, found) in &blobs {
            let n = found.hash[0];
            assert_eq!(*found, blob("exports", n, found.bytes.len()));
            assert!(sizes.contains(&(n, found.bytes.len())), "{n}");
        }
        blobs
    };
    let listed = async |limit, bytes| {
        let blobs = listed_after(0, limit, bytes).await;
        blobs.into_iter().map(|(_, blob)| blob.hash[0]).collect::<Vec<_>>()
    };
    assert_eq!(listed(10, 10_000).await, [5, 3, 9, 1, 7]);
    assert_eq!(listed(2, 10_000).await, [5, 3]);
    assert_eq!(listed(10, 150).await, [5, 3, 9]);
    assert_eq!(listed(10, 149).await, [5, 3]);
    assert_eq!(listed(10, 0).await, [5], "one comes whatever its size");
    assert_eq!(listed(0, 10_000).await, [0; 0]);
    assert_eq!(listed(10, 10_000).await, [5, 3, 9, 1, 7], "they stay");

    let mut rest = vec![5, 3, 9, 1, 7];
    for (number, _) in listed_after(0, 10, 10_000).await {
        rest.remove(0);
        let behind = listed_after(number, 10, 10_000).await;
        assert_eq!(behind.iter().map(|(_, blob)| blob.hash[0]).collect::<Vec<_>>(), rest, "behind {number}");
    }
    let size = upkeep.backlog_size().await.unwrap();
    assert_eq!((size.blobs, size.bytes), (5, 1_160));
    for n in [5, 9, 5, 42] {
        upkeep.remove_from_backlog("exports", hash(n)).await.unwrap();
    }
    upkeep.remove_from_backlog("elsewhere", hash(1)).await.unwrap();
    assert_eq!(listed(10, 10_000).await, [3, 1, 7]);
    let later = upkeep.backlog_size().await.unwrap();
    assert_eq!((later.blobs, later.bytes), (3, 1_010));
    assert!(size.oldest.unwrap() < later.oldest.unwrap(), "the oldest is gone");
    for n in [3, 1, 7] {
        upkeep.remove_from_backlog("exports", hash(n)).await.unwrap();
    }
    assert_eq!(upkeep.backlog_size().await.unwrap(), BacklogSize::default());
}

pub(super) async fn a_blob_waits_once(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let add = join_all((0..10).map(|_| upkeep.add_to_backlog(blob("exports", 1, 10))));
    for added in add.await {
        added.unwrap();
    }
    // The same name elsewhere is another blob.
    upkeep.add_to_backlog(blob("exports/more", 1, 20)).await.unwrap();
    upkeep.add_to_backlog(blob("exports", 1, 30)).await.unwrap();
    assert_eq!(waiting(upkeep).await, [blob("exports", 1, 10), blob("exports/more", 1, 20)]);
    upkeep.remove_from_backlog("exports", hash(1)).await.unwrap();
    assert_eq!(waiting(upkeep).await, [blob("exports/more", 1, 20)]);
}

/// Its blobs are to be erased: one that came after that would stay for ever.
pub(super) async fn no_blob_waits_for_a_deleted_design(stores: Stores) {
    let upkeep = &*stores.upkeep;
    let (design, other) = (design_of(&stores, 1, 2).await, design_of(&stores, 2, 2).await);
    let (hers, others) = (format!("designs/{design}/segments"), format!("designs/{other}/segments"));
    for prefix in [&hers, &others] {
        upkeep.add_to_backlog(blob(prefix, 1, 10)).await.unwrap();
        upkeep.add_to_backlog(blob(prefix, 2, 10)).await.unwrap();
    }
    let remains = async |design| upkeep.remains(design).await.unwrap().map(|remains| remains.backlog);
    assert_eq!(remains(design).await, Some(vec![(hers.clone(), hash(1)), (hers.clone(), hash(2))]));
    stores.store.delete_design(design).await.unwrap();
    assert_eq!(waiting(upkeep).await, [blob(&others, 1, 10), blob(&others, 2, 10)]);
    for prefix in [hers, format!("designs/{}/snapshots", design_id(9))] {
        let late = upkeep.add_to_backlog(blob(&prefix, 3, 10)).await;
        assert!(matches!(late, Err(StoreError::NoSuchDesign)), "{late:?}");
    }
    assert_eq!(upkeep.backlog_size().await.unwrap().blobs, 2);
}
