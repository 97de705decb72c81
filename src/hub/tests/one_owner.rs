//! INV-4 under any plan: however joins, leaves, edits, evictions and a moody store come together, a design has one
//! owner at a time, and nothing that was written while the store could write is lost.

use std::time::Duration;

use proptest::prelude::*;

use super::super::testing::{Mood, Peer, Pod, eventually};
use super::IDLE;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many join at once.
    Join(usize),
    /// The peer at this place leaves, right behind an edit.
    LeaveBehindAnEdit(usize),
    Edit(usize),
    Loading(Mood),
    Appending(Mood),
    /// Long enough for a room that nobody is in.
    Idle,
    Breathe,
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![3 => Just(Mood::Well), 1 => Just(Mood::Slow), 1 => Just(Mood::Failing), 1 => Just(Mood::Forgetful)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..4_usize).prop_map(Step::Join),
        4 => (0..8_usize).prop_map(Step::LeaveBehindAnEdit),
        3 => (0..8_usize).prop_map(Step::Edit),
        1 => mood().prop_map(Step::Loading),
        2 => mood().prop_map(Step::Appending),
        4 => Just(Step::Idle),
        2 => Just(Step::Breathe),
    ]
}

async fn live(plan: Vec<Step>) -> usize {
    let pod = Pod::standing_still();
    let mut peers: Vec<Peer> = Vec::new();
    let mut edits = 0;
    for step in plan {
        match step {
            Step::Join(count) => {
                // A slow load keeps its joiners waiting: they give up, which must be safe at any moment.
                let patience = Duration::from_millis(3);
                let joins = (0..count).map(|_| tokio::time::timeout(patience, pod.join()));
                let joined = futures_util::future::join_all(joins).await;
                peers.extend(joined.into_iter().filter_map(|joined| joined.ok()?.ok()));
            }
            Step::LeaveBehindAnEdit(at) if at < peers.len() => {
                let mut peer = peers.swap_remove(at);
                let frame = peer.edit(&format!("n{edits}"), "");
                edits += usize::from(peer.handle().send_frame(frame).await.is_ok());
            }
            Step::Edit(at) if at < peers.len() => {
                let frame = peers[at].edit(&format!("n{edits}"), "");
                edits += usize::from(peers[at].handle().send_frame(frame).await.is_ok());
            }
            Step::LeaveBehindAnEdit(_) | Step::Edit(_) => {}
            Step::Loading(mood) => drop(pod.store.loading.send_replace(mood)),
            Step::Appending(mood) => drop(pod.store.appending.send_replace(mood)),
            Step::Idle => pod.clock.advance(IDLE),
            Step::Breathe => tokio::time::sleep(Duration::from_micros(300)).await,
        }
        assert!(pod.hub.stats().rooms <= 1, "INV-4");
    }
    pod.store.loading.send_replace(Mood::Well);
    pod.store.appending.send_replace(Mood::Well);
    peers.clear();
    eventually(|| {
        pod.clock.advance(IDLE);
        pod.hub.stats().rooms == 0
    })
    .await;
    assert_eq!(pod.store.two_owners.lock().unwrap()[..], [] as [&str; 0], "INV-4");
    assert_eq!(pod.hub.stats().connections, 0);
    edits
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_design_has_one_owner_at_a_time(plan in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(live(plan));
    }
}
