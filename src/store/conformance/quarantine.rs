//! Updates that a document could not take.

use std::sync::Arc;

use atlas_crdt::ids::{ClientId, DesignId};
use atlas_crdt::room::{Quarantine, QuarantineMark};
use bytes::Bytes;
use futures_util::future::join_all;

use super::{create, design_id, hash, register, user_id};
use crate::store::{QUARANTINE_BYTES_MAX, QUARANTINE_PAYLOADS_MAX, Store, StoreError};

fn mark(n: u8, clients: &[u64]) -> QuarantineMark {
    let clients = clients.iter().copied().map(ClientId::new).collect();
    QuarantineMark { user: user_id(u128::from(n)), hash: hash(n), clients }
}

fn culprit(n: u8, bytes: usize) -> Quarantine {
    let mark = mark(n, &[u64::from(n), (1 << 53) - 1]);
    Quarantine { update: Bytes::from(vec![n; bytes]), mark, reason: format!("culprit {n}") }
}

async fn marks(store: &dyn Store, design: DesignId) -> Vec<QuarantineMark> {
    store.load(design).await.unwrap().unwrap().quarantined
}

pub(super) async fn what_is_in_quarantine_is_known_by_its_hash(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let (design, other) =
        (create(&*store, 1, owner, "a design").await, create(&*store, 2, owner, "other").await);
    assert_eq!(marks(&*store, design).await, []);
    store.quarantine(design, culprit(1, 10)).await.unwrap();
    store.quarantine(design, Quarantine { mark: mark(2, &[]), ..culprit(2, 0) }).await.unwrap();
    let expected = [culprit(1, 10).mark, mark(2, &[])];
    assert_eq!(marks(&*store, design).await, expected);

    // Once more, and many times at once: the first word about a hash stays.
    let another = Quarantine { mark: QuarantineMark { hash: hash(1), ..mark(3, &[]) }, ..culprit(3, 5) };
    for answer in join_all((0..5).map(|_| store.quarantine(design, another.clone()))).await {
        answer.unwrap();
    }
    assert_eq!(marks(&*store, design).await, expected);
    assert_eq!(marks(&*store, other).await, [], "every design has its own");
    assert_eq!(store.head(design).await.unwrap().unwrap().seq.get(), 1, "the log knows nothing of it");

    let nowhere = store.quarantine(design_id(9), culprit(1, 10)).await;
    assert!(matches!(nowhere, Err(StoreError::NoSuchDesign)), "{nowhere:?}");
    store.delete_design(design).await.unwrap();
    create(&*store, 1, owner, "risen").await;
    assert_eq!(marks(&*store, design).await, [], "it goes with its design");
}

/// What is left of payloads can only be seen in the implementation's own tests.
pub(super) async fn the_oldest_payloads_go_and_every_hash_stays(
    open: &impl AsyncFn(&'static str) -> Arc<dyn Store>,
) {
    let store = open("quarantine-full").await;
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "a design").await;
    let mut expected = Vec::new();
    let sizes = std::iter::repeat_n(10, QUARANTINE_PAYLOADS_MAX + 20);
    let sizes = sizes.chain([QUARANTINE_BYTES_MAX, QUARANTINE_BYTES_MAX + 1, QUARANTINE_BYTES_MAX / 2, 1]);
    for (n, bytes) in (0..).zip(sizes) {
        store.quarantine(design, culprit(n, bytes)).await.unwrap();
        expected.push(culprit(n, 0).mark);
    }
    assert_eq!(marks(&*store, design).await, expected);
    store.close().await;
    assert_eq!(
        marks(&*open("quarantine-full").await, design).await,
        expected,
        "in the order in which they came"
    );
}
