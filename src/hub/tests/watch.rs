//! What other pods change reaches the people on this one: told by the bus at once, and without it by the next look.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use atlas_crdt::ids::{DesignId, PodId, SessionId};
use atlas_crdt::limits::LOOK_EVERY_MS;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::wire::CloseCode;

use super::super::inbox::NOTHING_NOTICED;
use super::super::testing::{Mood, Peer, Pod, eventually};
use super::super::watch::Watcher;
use super::super::{Roles, RoomHandle};
use crate::bus::{ALIVE_EVERY, Bus, BusMessage, DEAD_AFTER, Heard as FromBus, PodMessage, PodWord, Word};

const LOOK: Duration = Duration::from_millis(LOOK_EVERY_MS);

/// Lets time pass until it is so, and says how much that took.
pub(super) async fn pass_until(pod: &Pod, mut is_so: impl FnMut() -> bool) -> Duration {
    const STEP: Duration = Duration::from_millis(20);
    let mut passed = Duration::ZERO;
    while !is_so() {
        assert!(passed < Duration::from_mins(1), "it did not become so");
        pod.clock.advance(STEP);
        passed += STEP;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    passed
}

/// Waits without letting time pass.
pub(super) async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

fn room(pod: &Pod, design: DesignId) -> Arc<RoomHandle> {
    Arc::clone(pod.hub.0.rooms.get(&design).unwrap().value())
}

fn has_noticed(pod: &Pod) -> bool {
    room(pod, pod.design).noticed.load(Ordering::SeqCst) != NOTHING_NOTICED
}

/// What the socket of this peer would be given.
fn roles(peer: &Peer) -> Option<Arc<Roles>> {
    match peer.outbox.poll_roles(&Context::from_waker(Waker::noop())) {
        Poll::Ready(roles) => Some(roles),
        Poll::Pending => None,
    }
}

/// A pod with somebody on it, whose members are known.
async fn open() -> (Pod, Peer) {
    let pod = Pod::standing_still();
    let new = pod.newcomer();
    pod.store.write(pod.design, bytes::Bytes::from_static(&[0, 0]));
    pod.store.set_role(pod.design, new.user, Some(DesignRole::Editor));
    let mut ann = pod.join_as(new).await.unwrap();
    ann.hear().await;
    pass_until(&pod, || has_noticed(&pod)).await;
    settle().await;
    assert_eq!(roles(&ann).unwrap()[&new.user], DesignRole::Editor, "the first look hands out the members");
    (pod, ann)
}

// R-ROLE-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_changed_elsewhere_is_noticed_by_the_next_look() {
    let (pod, ann) = open().await;
    let asked = pod.store.role_looks.load(Ordering::SeqCst);
    pod.pass(3 * LOOK).await;
    assert!(roles(&ann).is_none());
    assert_eq!(pod.store.role_looks.load(Ordering::SeqCst), asked, "nothing changed, nobody asks");

    let user = pod.ids.user();
    pod.store.set_role(pod.design, user, Some(DesignRole::Viewer));
    let mut found = None;
    let took = pass_until(&pod, || {
        found = roles(&ann);
        found.is_some()
    })
    .await;
    assert_eq!(found.unwrap()[&user], DesignRole::Viewer);
    assert!(took <= LOOK + Duration::from_millis(100), "{took:?}");
    assert_eq!(pod.store.role_looks.load(Ordering::SeqCst), asked + 1, "one question for all sockets");
}

// R-ROLE-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changes_a_role_tells_the_other_pods_at_once() {
    let (pod, ann) = open().await;
    let other = pod.beside();
    let user = pod.ids.user();
    // The look before was a while ago, and the next is not due yet.
    pod.clock.advance(Duration::from_millis(300));
    settle().await;
    pod.store.set_role(pod.design, user, Some(DesignRole::Owner));
    other.hub.role_changed(other.design, user, Some(DesignRole::Owner)).await;
    let mut found = None;
    eventually(|| {
        found = roles(&ann);
        found.is_some()
    })
    .await;
    assert_eq!(found.unwrap()[&user], DesignRole::Owner, "no time has passed");

    // However often it is said, the store is asked a few times a second.
    let before = pod.store.looks.load(Ordering::SeqCst);
    for _ in 0..500 {
        other.hub.role_changed(other.design, user, Some(DesignRole::Owner)).await;
    }
    pod.pass(Duration::from_secs(1)).await;
    let looks = pod.store.looks.load(Ordering::SeqCst) - before;
    assert!(looks <= 10, "{looks} looks within a second, those of both pods together");
}

// R-CLOSE-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_design_that_was_deleted_elsewhere_is_closed() {
    let (pod, mut ann) = open().await;
    pod.store.erase(pod.design);
    pass_until(&pod, || ann.outbox.is_closing()).await;
    assert_eq!(ann.hear_close().await.code, CloseCode::NoSuchDesign);

    // Told by the bus, no time passes.
    let (pod, mut ann) = open().await;
    let other = pod.beside();
    pod.clock.advance(Duration::from_millis(300));
    settle().await;
    pod.store.erase(pod.design);
    other.hub.deleted(other.design).await;
    assert_eq!(ann.hear_close().await.code, CloseCode::NoSuchDesign);
}

/// The answer to a question that was asked before says nothing of a room that was opened after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_says_nothing_of_what_came_after_it() {
    let (pod, _ann) = open().await;
    let looks = pod.store.looks.load(Ordering::SeqCst);
    let design = pod.ids.design();
    pod.store.looking.send_replace(Mood::Slow);
    pass_until(&pod, || looks < pod.store.looks.load(Ordering::SeqCst)).await;
    pod.store.write(design, bytes::Bytes::from_static(&[0, 0]));
    let mut ben = pod.join_to(design, pod.newcomer()).await.unwrap();
    ben.hear().await;
    pod.store.looking.send_replace(Mood::Well);
    settle().await;
    assert!(!ben.outbox.is_closing());
}

// R-CLOSE-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_ended_elsewhere_closes_its_sockets_here() {
    let pod = Pod::standing_still();
    let other = pod.beside();
    let (ann, ben) = (pod.newcomer(), pod.newcomer());
    let mut by_bus = pod.join_as(ann).await.unwrap();
    let mut by_look = pod.join_as(ben).await.unwrap();
    let stays = pod.join().await.unwrap();
    settle().await;
    other.hub.session_revoked(ann.session);
    assert_eq!(by_bus.hear_close().await.code, CloseCode::Unauthorised, "no time has passed");
    pod.store.revoke(ben.session);
    pass_until(&pod, || by_look.outbox.is_closing()).await;
    assert_eq!(by_look.hear_close().await.code, CloseCode::Unauthorised);
    // Whoever was checked before and joins after finds out, too.
    assert_eq!(pod.join_as(ben).await.unwrap().hear_close().await.code, CloseCode::Unauthorised);
    // Words about others, twice, from nobody knows whom, do no harm.
    for pod_id in [1, 1, 2] {
        let word = PodWord::SessionRevoked(SessionId::from_u128(pod_id.into()));
        pod.bus.publish_to_pods(PodMessage { pod: PodId::new(pod_id), word });
    }
    settle().await;
    assert!(!stays.outbox.is_closing());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_answer_changes_nothing() {
    let (pod, mut ann) = open().await;
    pod.store.looking.send_replace(Mood::Failing);
    pass_until(&pod, || pod.hub.stats().looks_fail).await;
    pod.store.set_role(pod.design, pod.ids.user(), Some(DesignRole::Viewer));
    pod.store.revoke(SessionId::from_u128(1));
    pod.pass(5 * LOOK).await;
    assert!(roles(&ann).is_none());
    assert!(!ann.outbox.is_closing());
    assert!(5 * LOOK_EVERY_MS <= pod.hub.stats().look_age_ms.unwrap());
    ann.send_edit("vpc").await;
    ann.hear_saved().await;
    // What happened meanwhile is not lost.
    pod.store.looking.send_replace(Mood::Well);
    pass_until(&pod, || roles(&ann).is_some()).await;
    assert!(!pod.hub.stats().looks_fail);
    assert!(pod.hub.stats().look_age_ms.unwrap() <= 2 * LOOK_EVERY_MS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nothing_is_open_nobody_is_asked() {
    let pod = Pod::standing_still();
    pod.pass(10 * LOOK).await;
    assert_eq!(pod.store.looks.load(Ordering::SeqCst), 0);
    assert_eq!(pod.hub.stats().look_age_ms, None);
}

/// All that is said of a design and to all pods, while `subscribed` lives.
async fn listen(
    pod: &Pod,
) -> (impl FnMut() -> Vec<BusMessage> + use<>, impl FnMut() -> Vec<PodWord> + use<>) {
    let mut design = pod.bus.subscribe(pod.design).await;
    let mut pods = pod.bus.subscribe_to_pods().await;
    let own = pod.id;
    let of_design = move || {
        std::iter::from_fn(|| design.messages.try_recv().ok())
            .filter_map(|heard| match heard {
                FromBus::Message(message) => Some(message),
                FromBus::Gap => None,
            })
            .collect()
    };
    let of_pods = move || {
        std::iter::from_fn(|| pods.messages.try_recv().ok())
            .filter_map(|heard| match heard {
                FromBus::Message(PodMessage { pod, word }) if pod == own => Some(word),
                FromBus::Message(_) | FromBus::Gap => None,
            })
            .collect()
    };
    (of_design, of_pods)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_hear_of_each_other_until_they_do_not() {
    let (pod, _ann) = open().await;
    let (mut of_design, mut of_pods) = listen(&pod).await;
    assert_eq!(pod.hub.stats().pods, 0);
    pod.pass(10 * ALIVE_EVERY).await;
    let alive = of_pods();
    assert!(alive.iter().all(|word| *word == PodWord::Alive), "{alive:?}");
    assert!((9..=11).contains(&alive.len()), "{} times in ten periods", alive.len());
    of_design();

    let other = pod.beside();
    pass_until(&pod, || pod.hub.stats().pods == 1).await;
    let asks = |said: Vec<BusMessage>| {
        said.iter().filter(|said| said.pod == pod.id && said.word == Word::AskPresence).count()
    };
    settle().await;
    assert_eq!(asks(of_design()), 1, "who is over there?");
    pod.pass(5 * DEAD_AFTER).await;
    assert_eq!((pod.hub.stats().pods, other.hub.stats().pods), (1, 1));
    assert_eq!(asks(of_design()), 0, "once");

    // One that stops says so.
    assert!(other.hub.drain(Duration::from_secs(10)).await.is_whole());
    eventually(|| pod.hub.stats().pods == 0).await;
    pod.pass(2 * ALIVE_EVERY).await;
    assert_eq!(pod.hub.stats().pods, 0, "and is silent from then on");

    // One that dies does not, and one that is heard again is asked again.
    let ghost = PodMessage { pod: PodId::new(7), word: PodWord::Alive };
    for _ in 0..2 {
        pod.bus.publish_to_pods(ghost.clone());
        eventually(|| pod.hub.stats().pods == 1).await;
        settle().await;
        assert_eq!(asks(of_design()), 1);
        let took = pass_until(&pod, || pod.hub.stats().pods == 0).await;
        assert!(DEAD_AFTER <= took && took <= DEAD_AFTER + 2 * ALIVE_EVERY, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_stood_still_does_not_take_the_others_for_dead() {
    let pod = Pod::standing_still();
    let mut watcher = Watcher::new(Arc::clone(&pod.hub.0), pod.bus.subscribe_to_pods().await);
    let alive = PodMessage { pod: PodId::new(7), word: PodWord::Alive };
    watcher.hear(&FromBus::Message(alive.clone()));
    // Its word lies in the queue when the time of its death has come.
    pod.bus.publish_to_pods(alive);
    pod.clock.advance(2 * DEAD_AFTER);
    watcher.look_after_pods(pod.clock.now());
    assert_eq!(watcher.pods.len(), 1);
    pod.clock.advance(2 * DEAD_AFTER);
    watcher.look_after_pods(pod.clock.now());
    assert_eq!(watcher.pods.len(), 0);
}

/// A room that commits while the store is being asked is ahead of the answer, which is no loss of rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_answer_is_no_loss_of_rows() {
    let (pod, mut ann) = open().await;
    pod.store.looking.send_replace(Mood::Slow);
    let looks = pod.store.looks.load(Ordering::SeqCst);
    pass_until(&pod, || looks < pod.store.looks.load(Ordering::SeqCst)).await;
    for n in 0..5 {
        ann.send_edit(&format!("n{n}")).await;
        pod.pass(Duration::from_millis(40)).await;
        ann.hear_saved().await;
    }
    pod.store.looking.send_replace(Mood::Well);
    pod.pass(2 * LOOK).await;
    assert!(!ann.outbox.is_closing());
    assert_eq!(pod.store.log_len(pod.design), 6);
}
