//! What a document could not take reaches the store, however the store feels, and holds nobody up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use atlas_crdt::ids::{ClientId, UserId};
use atlas_crdt::room::{Effect, Quarantine, QuarantineMark};
use bytes::Bytes;

use super::super::executor::Executor;
use super::super::testing::{Mood, Pod, eventually};

fn culprit(n: u8) -> Quarantine {
    Quarantine {
        update: Bytes::from(vec![n; 100]),
        mark: QuarantineMark {
            user: UserId::from_u128(7),
            hash: [n; 32],
            clients: vec![ClientId::new(u64::from(n))],
        },
        reason: "it did not apply".to_owned(),
    }
}

fn put(executor: &mut Executor, culprits: impl Iterator<Item = u8>) {
    let mut effects = culprits.map(|n| Effect::Quarantine(culprit(n))).collect();
    executor.execute(&mut effects, &mut VecDeque::new());
    assert!(executor.results.is_empty(), "the room waits for nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_outlives_its_room_and_a_store_in_trouble() {
    let pod = Pod::standing_still();
    let mut executor = Executor::new(pod.design, Arc::clone(&pod.hub.0));
    for mood in [Mood::Failing, Mood::Forgetful] {
        pod.store.quarantining.send_replace(mood);
        put(&mut executor, std::iter::once(mood as u8));
    }
    drop(executor);
    pod.pass(Duration::from_secs(1)).await;
    pod.store.quarantining.send_replace(Mood::Well);
    eventually(|| {
        pod.clock.advance(Duration::from_secs(1));
        pod.hub.0.deps.tasks.running() == 0
    })
    .await;
    let mut kept = pod.store.quarantined(pod.design);
    kept.sort_by_key(|kept| kept.mark.hash);
    assert_eq!(kept, [culprit(Mood::Failing as u8), culprit(Mood::Forgetful as u8)]);
}

// INV-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_the_store_is_bounded_and_ends() {
    let pod = Pod::standing_still();
    let mut executor = Executor::new(pod.design, Arc::clone(&pod.hub.0));
    pod.store.quarantining.send_replace(Mood::Slow);
    put(&mut executor, 0..20);
    assert_eq!(pod.hub.0.deps.tasks.running(), 16);
    pod.store.quarantining.send_replace(Mood::Well);
    eventually(|| pod.hub.0.deps.tasks.running() == 0).await;
    assert_eq!(pod.store.quarantined(pod.design).len(), 16);

    // There are places again, and a store that never comes back is not asked for ever.
    pod.store.quarantining.send_replace(Mood::Failing);
    put(&mut executor, 20..36);
    assert_eq!(pod.hub.0.deps.tasks.running(), 16);
    eventually(|| {
        pod.clock.advance(Duration::from_secs(20));
        pod.hub.0.deps.tasks.running() == 0
    })
    .await;
    assert_eq!(pod.store.quarantined(pod.design).len(), 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_of_the_process_does_not_wait_for_a_store_in_trouble() {
    let pod = Pod::standing_still();
    let mut executor = Executor::new(pod.design, Arc::clone(&pod.hub.0));
    pod.store.quarantining.send_replace(Mood::Failing);
    put(&mut executor, 0..3);
    assert!(pod.hub.0.deps.tasks.close_and_wait(Duration::from_secs(10)).await);
}
