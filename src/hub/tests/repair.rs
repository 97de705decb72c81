//! What a store that hangs, a bus that was away, and many open designs do to each other.

use std::sync::atomic::Ordering;
use std::time::Duration;

use atlas_crdt::ids::{DesignId, PodId};
use atlas_crdt::limits::{HOLE_WAIT_MS, LOOK_EVERY_MS};
use bytes::Bytes;
use yrs::{Doc, Map, Transact};

use super::super::testing::{Peer, Pod, eventually};
use super::watch::{pass_until, settle};
use crate::bus::{Bus, BusMessage, Heard as FromBus, PodMessage, PodWord, Subscription, Word};

const NOTHING: Bytes = Bytes::from_static(&[0, 0]);

/// As another pod logs it.
fn node(name: &str) -> Bytes {
    let doc = Doc::with_client_id(900);
    let nodes = doc.get_or_insert_map("nodes");
    let mut txn = doc.transact_mut();
    nodes.insert(&mut txn, name, name);
    txn.encode_update_v1().into()
}

/// Somebody in each of so many designs.
async fn open(pod: &Pod, count: usize) -> Vec<(DesignId, Peer)> {
    let mut all = Vec::new();
    for _ in 0..count {
        let design = pod.ids.design();
        pod.store.write(design, NOTHING);
        let mut peer = pod.join_to(design, pod.newcomer()).await.unwrap();
        peer.ask().await;
        peer.hear().await;
        all.push((design, peer));
    }
    all
}

fn reads(pod: &Pod) -> usize {
    pod.store.log_reads.load(Ordering::SeqCst)
}

// R-MANY-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_to_the_log_that_hangs_is_asked_again_soon() {
    let pod = Pod::standing_still();
    let (design, mut ann) = open(&pod, 1).await.remove(0);
    pod.store.log_hangs.store(3, Ordering::SeqCst);
    pod.store.write(design, node("vpc"));
    pass_until(&pod, || reads(&pod) == 1).await;
    for (at, limit_ms) in (1..).zip([2_000, 4_000, 8_000]) {
        let took = pass_until(&pod, || at < reads(&pod)).await;
        // After it the next look that succeeds has it asked again.
        let bounds =
            Duration::from_millis(limit_ms - 500)..Duration::from_millis(limit_ms + 2 * LOOK_EVERY_MS);
        assert!(bounds.contains(&took), "{took:?} for {limit_ms} ms");
    }
    ann.hear_until(|ann, _| ann.nodes() == ["vpc"]).await;
    // One that was answered makes up for all that were not.
    pod.store.log_hangs.store(1, Ordering::SeqCst);
    pod.store.write(design, NOTHING);
    pass_until(&pod, || reads(&pod) == 5).await;
    let took = pass_until(&pod, || reads(&pod) == 6).await;
    assert!(took < Duration::from_secs(4), "{took:?}");
}

/// Another pod is heard of.
async fn comes(pod: &Pod, other: u64) {
    let before = pod.hub.stats().pods;
    pod.bus.publish_to_pods(PodMessage { pod: PodId::new(other), word: PodWord::Alive });
    eventually(|| before < pod.hub.stats().pods).await;
}

fn questions(heard: &mut [Subscription]) -> usize {
    let all = heard.iter_mut().flat_map(|heard| std::iter::from_fn(|| heard.messages.try_recv().ok()));
    all.filter(|heard| matches!(heard, FromBus::Message(BusMessage { word: Word::AskPresence, .. }))).count()
}

// R-MANY-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_pod_that_comes_designs_with_people_ask_a_few_at_a_time() {
    let pod = Pod::standing_still();
    let peopled = open(&pod, 120).await;
    let left: Vec<DesignId> = open(&pod, 10).await.into_iter().map(|(design, _)| design).collect();
    let mut heard = Vec::new();
    for design in peopled.iter().map(|(design, _)| design).chain(&left) {
        heard.push(pod.bus.subscribe(*design).await);
    }
    settle().await;
    assert_eq!(questions(&mut heard), 0);
    let mut so_far = 0;
    comes(&pod, 7).await;
    settle().await;
    so_far += questions(&mut heard);
    assert_eq!(so_far, 50, "not more before time has passed");
    // 70 wait, and ask for this one as well; those that have asked do so again, behind them.
    comes(&pod, 8).await;
    for asked_by_then in [50, 100, 150, 170, 170] {
        eventually(|| {
            so_far += questions(&mut heard);
            so_far == asked_by_then
        })
        .await;
        settle().await;
        assert_eq!(questions(&mut heard), 0, "not before time has passed");
        pod.clock.advance(Duration::from_millis(50));
    }
}

// R-MANY-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_bus_was_away_one_look_says_which_logs_to_read() {
    let pod = Pod::standing_still();
    let mut all = open(&pod, 40).await;
    let looks = || pod.store.looks.load(Ordering::SeqCst);
    // All are known to the watch, and no look is due for a while.
    pass_until(&pod, || 1 < looks()).await;
    pod.clock.advance(Duration::from_millis(250));
    settle().await;
    let (before, read_before) = (looks(), reads(&pod));
    for (design, _) in &all[..3] {
        pod.store.write(*design, node("vpc"));
    }
    pod.bus.tell_gap_to_designs();
    let mut took = Duration::ZERO;
    while reads(&pod) < read_before + 3 {
        // Slow enough for everybody to keep up with the clock.
        pod.clock.advance(Duration::from_millis(20));
        took += Duration::from_millis(20);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let looked = looks() - before;
    println!("{looked} looks, the logs were read after {took:?}");
    // Who is told after the first look has begun is in the second.
    assert!((1..=3).contains(&looked), "{looked}");
    assert!(took < Duration::from_millis(LOOK_EVERY_MS - 250), "{took:?}");
    for (_, peer) in &mut all[..3] {
        peer.hear_until(|peer, _| peer.nodes() == ["vpc"]).await;
    }
    pod.pass(Duration::from_millis(4 * HOLE_WAIT_MS)).await;
    assert_eq!(reads(&pod), read_before + 3, "the others have missed nothing");
}

// R-MANY-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_bus_was_away_designs_ask_a_few_at_a_time() {
    let pod = Pod::standing_still();
    let all = open(&pod, 120).await;
    let mut heard = Vec::new();
    for (design, _) in &all {
        heard.push(pod.bus.subscribe(*design).await);
    }
    settle().await;
    assert_eq!(questions(&mut heard), 0);
    pod.bus.tell_gap_to_designs();
    let mut so_far = 0;
    for most in [50, 100, 120, 120] {
        settle().await;
        so_far += questions(&mut heard);
        assert!(0 < so_far && so_far <= most, "{so_far} of {most}");
        pod.clock.advance(Duration::from_millis(50));
    }
    // Who was told a moment after the others has the turn after.
    pod.clock.advance(Duration::from_millis(50));
    eventually(|| {
        so_far += questions(&mut heard);
        so_far == 120
    })
    .await;
}

// R-MANY-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_after_a_pod_has_the_room_ask_for_it() {
    let pod = Pod::standing_still();
    let (design, ann) = open(&pod, 1).await.remove(0);
    drop(ann);
    eventually(|| pod.hub.stats().connections == 0).await;
    let mut heard = [pod.bus.subscribe(design).await];
    comes(&pod, 7).await;
    settle().await;
    assert_eq!(questions(&mut heard), 0, "nobody need know");
    let ben = pod.join_to(design, pod.newcomer()).await.unwrap();
    settle().await;
    assert_eq!(questions(&mut heard), 1);
    drop(ben);
    let _cyd = pod.join_to(design, pod.newcomer()).await.unwrap();
    settle().await;
    assert_eq!(questions(&mut heard), 0, "once");
}
