//! Settled designs are hinted at, and what comes of it reaches the people on all pods: told by the bus at once, and without
//! it by the next look; never twice.

use std::sync::atomic::Ordering;
use std::time::Duration;

use atlas_crdt::ids::{PodId, Seq};
use atlas_crdt::limits::{LOOK_EVERY_MS, SETTLE_MAX_MS, SETTLE_QUIET_MS};
use atlas_crdt::room::Dialect;
use atlas_crdt::wire::{self, ServerFrame};
use serde_json::Value;

use super::super::NewConn;
use super::super::testing::{Mood, Peer, Pod};
use super::watch::{pass_until, settle};
use crate::bus::{AnalysisWord, Bus, BusMessage, Word};
use crate::store::analyses::AnalysisHint;

const LOOK: Duration = Duration::from_millis(LOOK_EVERY_MS);
const QUIET: Duration = Duration::from_millis(SETTLE_QUIET_MS);

/// What the jobs of a pod say.
fn say(pod: &Pod, word: AnalysisWord) {
    pod.bus.publish(pod.design, BusMessage { pod: pod.id, word: Word::Analysis(word) });
}

/// The store has it, and somebody says so.
fn complete(pod: &Pod, no: u64) {
    pod.store.analyse(pod.design, no);
    say(pod, AnalysisWord::Completed { no });
}

/// What a peer was told of analyses since this was last called.
fn told(peer: &Peer) -> Vec<Value> {
    let frames = peer.take_frames().into_iter();
    let notices = frames.filter_map(|frame| match wire::decode_server(&frame).unwrap() {
        ServerFrame::Notice(notice) if notice["type"].as_str().unwrap().starts_with("analysis.") => {
            Some(notice)
        }
        _ => None,
    });
    notices.collect()
}

fn kinds(told: &[Value]) -> Vec<(&str, u64)> {
    told.iter().map(|notice| (notice["type"].as_str().unwrap(), notice["seq"].as_u64().unwrap())).collect()
}

/// A pod whose time stands still, with somebody who hears.
async fn open() -> (Pod, Peer) {
    let pod = Pod::standing_still();
    pod.store.write(pod.design, bytes::Bytes::from_static(&[0, 0]));
    let mut ann = pod.join().await.unwrap();
    ann.hear().await;
    pod.pass(2 * LOOK).await;
    assert!(told(&ann).is_empty());
    (pod, ann)
}

async fn edit(pod: &Pod, ann: &mut Peer, node: &str) {
    ann.send_edit(node).await;
    pod.pass(Duration::from_millis(40)).await;
    ann.hear_saved().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settled_design_is_hinted_at_once() {
    let (mut pod, mut ann) = open().await;
    assert!(pod.settled.try_recv().is_err());
    edit(&pod, &mut ann, "db").await;
    assert!(pod.settled.try_recv().is_err(), "somebody may still be at it");
    pod.pass(QUIET).await;
    settle().await;
    assert_eq!(pod.settled.try_recv(), Ok(AnalysisHint::Settled(pod.design)));
    pod.pass(Duration::from_millis(3 * SETTLE_MAX_MS)).await;
    assert!(pod.settled.try_recv().is_err(), "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_that_finds_no_place_is_counted_and_nobody_waits_for_it() {
    let (mut pod, mut ann) = open().await;
    while pod.analyses.waits() {}
    let before = pod.analyses.dropped();
    edit(&pod, &mut ann, "db").await;
    let analyses = pod.analyses.clone();
    pass_until(&pod, || before < analyses.dropped()).await;
    edit(&pod, &mut ann, "web").await;
    while pod.settled.try_recv().is_ok() {}
    pod.pass(2 * QUIET).await;
    settle().await;
    assert_eq!(pod.settled.try_recv(), Ok(AnalysisHint::Settled(pod.design)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_stops_says_what_has_settled_by_that() {
    let (mut pod, mut ann) = open().await;
    edit(&pod, &mut ann, "db").await;
    assert!(pod.hub.drain(Duration::from_secs(10)).await.is_whole());
    assert_eq!(pod.settled.try_recv(), Ok(AnalysisHint::Settled(pod.design)));
}

// R-NOTE-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_on_every_pod_is_told_once_and_at_once() {
    let (pod, ann) = open().await;
    let other = pod.beside();
    let mut ben = other.join().await.unwrap();
    ben.hear().await;
    let stock = pod.join_as(NewConn { dialect: Dialect::Stock, ..pod.newcomer() }).await.unwrap();
    settle().await;
    told(&ben);
    say(&pod, AnalysisWord::Started { seq: Seq::new(4) });
    complete(&pod, 4);
    complete(&pod, 4);
    settle().await;
    for peer in [&ann, &ben] {
        let heard = told(peer);
        assert_eq!(kinds(&heard), [("analysis.started", 4), ("analysis.completed", 4)], "no time has passed");
        assert_eq!(heard[1]["findings_count"], 4);
        assert_eq!(heard[1]["grade"], "C");
        assert_eq!(heard[1]["severity"], Value::Null);
    }
    assert!(told(&stock).is_empty());
    // The looks find the same, and late words bring nothing new.
    pod.pass(3 * LOOK).await;
    say(&pod, AnalysisWord::Started { seq: Seq::new(3) });
    say(&pod, AnalysisWord::Completed { no: 3 });
    settle().await;
    assert!(told(&ann).is_empty() && told(&ben).is_empty());
}

// R-NOTE-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_bus_the_next_look_tells_it() {
    let (pod, ann) = open().await;
    pod.store.analyse(pod.design, 5);
    let mut heard = Vec::new();
    let took = pass_until(&pod, || {
        heard.extend(told(&ann));
        !heard.is_empty()
    })
    .await;
    assert_eq!(kinds(&heard), [("analysis.completed", 5)]);
    assert!(took <= LOOK + Duration::from_millis(100), "{took:?}");
    let asked = pod.store.summaries.load(Ordering::SeqCst);
    pod.pass(5 * LOOK).await;
    assert_eq!(pod.store.summaries.load(Ordering::SeqCst), asked, "nothing new, nobody asks");
    assert!(told(&ann).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_newest_is_told_and_one_question_asked_at_a_time() {
    let (pod, ann) = open().await;
    pod.store.summing_up.send_replace(Mood::Slow);
    for no in 1..=20 {
        complete(&pod, no);
    }
    settle().await;
    assert_eq!(pod.store.summaries.load(Ordering::SeqCst), 1);
    pod.store.summing_up.send_replace(Mood::Well);
    settle().await;
    assert_eq!(kinds(&told(&ann)), [("analysis.completed", 20)]);
    assert_eq!(pod.store.summaries.load(Ordering::SeqCst), 1, "the answer was newer than the question");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_trouble_delays_it_and_loses_nothing() {
    let (pod, ann) = open().await;
    pod.store.summing_up.send_replace(Mood::Failing);
    complete(&pod, 3);
    pod.pass(3 * LOOK).await;
    let asked = pod.store.summaries.load(Ordering::SeqCst);
    assert!((2..=5).contains(&asked), "once, and once for each look: {asked}");
    assert!(told(&ann).is_empty());
    pod.store.summing_up.send_replace(Mood::Well);
    pod.pass(LOOK + LOOK / 10).await;
    settle().await;
    assert_eq!(kinds(&told(&ann)), [("analysis.completed", 3)]);
    // One that hangs is given up.
    pod.store.summing_up.send_replace(Mood::Slow);
    complete(&pod, 4);
    pod.pass(Duration::from_secs(4)).await;
    let asked = pod.store.summaries.load(Ordering::SeqCst);
    pass_until(&pod, || asked < pod.store.summaries.load(Ordering::SeqCst)).await;
    pod.store.summing_up.send_replace(Mood::Well);
    settle().await;
    assert_eq!(kinds(&told(&ann)), [("analysis.completed", 4)]);
}

// R-NOTE-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_later_is_told_nothing_and_an_empty_room_asks_nobody() {
    let (pod, ann) = open().await;
    complete(&pod, 7);
    settle().await;
    told(&ann);
    let mut ben = pod.join().await.unwrap();
    ben.hear().await;
    pod.pass(3 * LOOK).await;
    assert!(told(&ben).is_empty());
    drop((ann, ben));
    settle().await;
    let asked = pod.store.summaries.load(Ordering::SeqCst);
    complete(&pod, 8);
    pod.pass(3 * LOOK).await;
    assert_eq!(pod.store.summaries.load(Ordering::SeqCst), asked);
    let mut eve = pod.join().await.unwrap();
    eve.hear().await;
    pod.pass(3 * LOOK).await;
    assert!(told(&eve).is_empty());
    // A room that is loaded knows where it stands.
    let other = pod.beside();
    let mut ann = other.join().await.unwrap();
    ann.hear().await;
    pod.pass(3 * LOOK).await;
    assert!(told(&ann).is_empty());
    assert_eq!(pod.store.summaries.load(Ordering::SeqCst), asked);
    // Words of pods that nobody knows are as good.
    pod.store.analyse(pod.design, 9);
    let word = Word::Analysis(AnalysisWord::Completed { no: 9 });
    pod.bus.publish(pod.design, BusMessage { pod: PodId::new(1), word });
    settle().await;
    assert_eq!(kinds(&told(&ann)), [("analysis.completed", 9)]);
    assert_eq!(kinds(&told(&eve)), [("analysis.completed", 9)]);
}
