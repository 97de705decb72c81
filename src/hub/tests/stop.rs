//! A pod that stops sends its people away one by one, and saves what they write until then.

use std::collections::HashSet;
use std::time::Duration;

use atlas_crdt::wire::CloseCode;

use super::super::JoinError;
use super::super::testing::{Heard, Peer, Pod, eventually};
use super::{is_notice, join_all};
use crate::bus::{Bus, Heard as FromBus, PodWord};

const PEOPLE: usize = 40;
const SPREAD: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_mins(1);

fn closing(peers: &[Peer]) -> usize {
    peers.iter().filter(|peer| peer.outbox.is_closing()).count()
}

// R-CLOSE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_sent_away_one_by_one_and_edit_until_then() {
    let pod = Pod::standing_still();
    let mut peers = join_all(&pod, PEOPLE).await;
    let mut pods = pod.bus.subscribe_to_pods().await;
    let story = async {
        eventually(|| closing(&peers) == 1).await;
        assert_eq!(pod.join().await.map(|_| ()), Err(JoinError::Draining));
        let mut gone_by = Vec::new();
        for _ in 0..4 {
            pod.pass(SPREAD / 4).await;
            let gone = closing(&peers);
            gone_by.push(gone);
            if let Some(still_here) = peers.iter_mut().find(|peer| !peer.outbox.is_closing()) {
                still_here.send_edit(&format!("n{gone}")).await;
                still_here.hear_saved().await;
            }
        }
        // The last one is told a step before the end of the time.
        for (quarter, gone) in (1..).zip(&gone_by) {
            let due = PEOPLE * quarter / 4;
            assert!((due..=due + 1).contains(gone), "{gone_by:?}");
        }
        let mut hints = HashSet::new();
        for peer in &mut peers {
            peer.hear_until(|_, heard| is_notice(heard, "restarting")).await;
            let close = peer.hear_close().await;
            assert_eq!(close.code, CloseCode::Restarting);
            let hint: serde_json::Value = serde_json::from_str(&close.reason).unwrap();
            let hint = hint["retry_after_ms"].as_u64().unwrap();
            assert!((200..=800).contains(&hint), "{hint}");
            hints.insert(hint);
        }
        assert!(PEOPLE / 2 < hints.len(), "each has one of its own: {hints:?}");
    };
    let (drained, ()) = tokio::join!(pod.hub.drain_spread(SPREAD, PATIENCE), story);
    assert!(drained.is_whole());
    assert_eq!(pod.store.nodes(pod.design).len(), 3, "one in each quarter but the last");
    let said: Vec<_> = std::iter::from_fn(|| pods.messages.try_recv().ok()).collect();
    let is_bye = |heard: &FromBus<_>| matches!(heard, FromBus::Message(said) if is_bye_of(said, &pod));
    assert_eq!(said.iter().filter(|heard| is_bye(heard)).count(), 1);
    assert!(is_bye(said.last().unwrap()), "its last word");
}

fn is_bye_of(said: &crate::bus::PodMessage, pod: &Pod) -> bool {
    said.pod == pod.id && said.word == PodWord::Bye
}

// R-CLOSE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_people_do_not_hold_a_stop_up() {
    let pod = Pod::new();
    let mut peers = join_all(&pod, 3).await;
    for (n, peer) in peers.iter_mut().enumerate() {
        peer.send_edit(&format!("n{n}")).await;
    }
    let hour = Duration::from_hours(1);
    let drained = tokio::time::timeout(PATIENCE, pod.hub.drain_spread(hour, hour)).await.unwrap();
    assert!(drained.is_whole());
    assert_eq!(pod.store.nodes(pod.design).len(), 3);
    for peer in &mut peers {
        assert_eq!(peer.hear_close().await.code, CloseCode::Restarting);
    }
}

// R-CLOSE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_knocks_while_the_others_are_sent_away_is_sent_away_too() {
    let pod = Pod::standing_still();
    let mut peers = join_all(&pod, 2).await;
    let other = pod.ids.design();
    pod.store.create(other);
    let story = async {
        eventually(|| 0 < closing(&peers)).await;
        // Neither an open design nor a closed one.
        for design in [pod.design, other] {
            let refused = pod.join_to(design, pod.newcomer()).await;
            assert_eq!(refused.map(|_| ()), Err(JoinError::Draining));
        }
        pod.pass(SPREAD).await;
        for peer in &mut peers {
            peer.hear_until(|_, heard| matches!(heard, Heard::Close(_))).await;
        }
    };
    let (drained, ()) = tokio::join!(pod.hub.drain_spread(SPREAD, PATIENCE), story);
    assert!(drained.is_whole());
}
