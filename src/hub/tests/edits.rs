//! Edits over HTTP: into a room, and out again with an answer that is true.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atlas_crdt::design::{Change, ElementPatch, Patch};
use atlas_crdt::limits::EDIT_WAIT_MS;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::EditOutcome;
use atlas_crdt::wire::{CloseCode, ServerFrame};

use super::super::edit::{BYTES_MAX, EditError, NewEdit};
use super::super::testing::{Heard, Mood, Pod, eventually};
use super::evict;

type Answer = Result<EditOutcome, EditError>;

impl Pod {
    fn new_node(&self, id: &str) -> NewEdit {
        let upsert = vec![(id.to_owned(), serde_json::Map::new())];
        let nodes = ElementPatch { upsert, remove: Vec::new() };
        NewEdit {
            user: self.newcomer().user,
            role: DesignRole::Editor,
            expected: None,
            change: Change::Patch(Patch { nodes, ..Patch::default() }),
        }
    }

    async fn make_node(&self, id: &str) -> Answer {
        let space = self.hub.edit_space(100).await?;
        self.hub.edit(self.design, self.new_node(id), space).await
    }
}

fn seq(answer: Answer) -> u64 {
    match answer {
        Ok(EditOutcome::Done(edited)) => edited.seq.get(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_opens_the_room_and_open_canvases_follow() {
    let pod = Pod::standing_still();
    assert_eq!(seq(pod.make_node("first").await), 1);
    assert_eq!((pod.hub.stats().rooms, pod.hub.stats().connections), (1, 0));
    let mut ann = pod.join().await.unwrap();
    ann.ask().await;
    ann.hear_until(|ann, _| ann.nodes() == ["first"]).await;
    pod.clock.advance(Duration::from_secs(1));
    pod.store.appending.send_replace(Mood::Slow);
    let is_answered = AtomicBool::new(false);
    let making = async {
        let answer = pod.make_node("second").await;
        is_answered.store(true, Ordering::SeqCst);
        answer
    };
    let watching = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let is_quiet = !is_answered.load(Ordering::SeqCst) && ann.outbox.bytes() == 0;
        pod.store.appending.send_replace(Mood::Well);
        is_quiet
    };
    let (made, is_quiet) = tokio::join!(making, watching);
    assert!(is_quiet, "nothing leaves before the commit (INV-3)");
    assert_eq!(seq(made), 2);
    let is_update = |heard: &Heard| matches!(heard, Heard::Frame(ServerFrame::Update { .. }));
    ann.hear_until(|ann, heard| is_update(heard) && ann.nodes() == ["first", "second"]).await;
    drop(ann);
    evict(&pod).await;
    assert_eq!(pod.store.nodes(pod.design), ["first", "second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_that_race_with_evictions_always_find_a_room() {
    let pod = Pod::standing_still();
    for round in 0..60 {
        assert_eq!(seq(pod.make_node(&format!("n{round}")).await), round + 1);
        // Its time is over: it goes under the feet of the next one.
        pod.clock.advance(super::IDLE);
        tokio::time::sleep(Duration::from_micros(round % 7 * 20)).await;
    }
    assert!(5 < pod.store.loads.load(Ordering::SeqCst), "hardly a room was ever evicted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_too_long_for_a_room_is_turned_away_and_nothing_is_made() {
    let pod = Pod::standing_still();
    pod.store.loading.send_replace(Mood::Slow);
    let time = async {
        eventually(|| pod.store.loads.load(Ordering::SeqCst) == 1).await;
        pod.pass(Duration::from_secs(6)).await;
    };
    let (answer, ()) = tokio::join!(pod.make_node("late"), time);
    assert_eq!(answer, Err(EditError::Busy));
    pod.store.loading.send_replace(Mood::Well);
    assert_eq!(seq(pod.make_node("next").await), 1);
    assert_eq!(pod.store.nodes(pod.design), ["next"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_fails_nobody_is_told_what_is_not_known() {
    let pod = Pod::standing_still();
    seq(pod.make_node("before").await);
    pod.store.appending.send_replace(Mood::Failing);
    let time = async {
        // Both are in the room before time goes on.
        tokio::time::sleep(Duration::from_millis(50)).await;
        pod.pass(Duration::from_millis(EDIT_WAIT_MS + 100)).await;
    };
    let (first, second, ()) = tokio::join!(pod.make_node("first"), pod.make_node("second"), time);
    let mut answers = [first.unwrap(), second.unwrap()];
    answers.sort_by_key(|answer| *answer != EditOutcome::Unknown);
    assert_eq!(answers[0], EditOutcome::Unknown, "it is in flight");
    assert!(
        matches!(&answers[1], EditOutcome::TurnedAway { code: CloseCode::Overloaded, .. }),
        "{:?}",
        answers[1]
    );
    pod.store.appending.send_replace(Mood::Well);
    eventually(|| {
        pod.clock.advance(Duration::from_secs(1));
        pod.store.nodes(pod.design).len() == 2
    })
    .await;
    evict(&pod).await;
    assert_eq!(pod.store.nodes(pod.design).len(), 2, "the other one was given up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_found_again() {
    let pod = Pod::new();
    pod.store.appending.send_replace(Mood::Forgetful);
    let well = async {
        eventually(|| pod.store.nodes(pod.design) == ["once"]).await;
        pod.store.appending.send_replace(Mood::Well);
    };
    let (answer, ()) = tokio::join!(pod.make_node("once"), well);
    assert_eq!(seq(answer), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_fails_leaves_the_outcome_open() {
    let pod = Pod::new();
    pod.store.appending.send_replace(Mood::Broken);
    assert_eq!(pod.make_node("lost").await, Ok(EditOutcome::Unknown));
    pod.store.appending.send_replace(Mood::Well);
    assert_eq!(seq(pod.make_node("next").await), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_goes_turns_edits_away() {
    let pod = Pod::new();
    assert!(pod.hub.drain(Duration::from_secs(5)).await.is_whole());
    assert_eq!(pod.make_node("late").await, Err(EditError::Draining));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_design_no_edit() {
    let mut pod = Pod::new();
    pod.design = atlas_crdt::ids::DesignId::from_u128(1);
    let answer = pod.make_node("nowhere").await;
    assert!(
        matches!(answer, Ok(EditOutcome::TurnedAway { code: CloseCode::NoSuchDesign, .. })),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_edits_together_take_a_bounded_space() {
    let pod = Pod::standing_still();
    let all = pod.hub.edit_space(2 * BYTES_MAX).await.unwrap();
    let time = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        pod.pass(Duration::from_secs(6)).await;
    };
    let (refused, ()) = tokio::join!(pod.hub.edit_space(1), time);
    assert_eq!(refused.unwrap_err(), EditError::Busy);
    drop(all);
    assert_eq!(seq(pod.make_node("a").await), 1);
}
