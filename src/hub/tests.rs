//! The hub's promises as stories.

mod analyses;
mod edits;
mod one_owner;
mod herd;
mod quarantine;
mod repair;
mod stop;
mod watch;

use std::sync::atomic::Ordering;
use std::time::Duration;

use atlas_crdt::limits::{IDLE_EVICT_MS, OUTBOX_BYTES_MAX};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::wire::{CloseCode, ServerFrame};

use super::testing::{Heard, Mood, Peer, Pod, eventually};
use super::{Delivery, FromConn, JoinError};

const IDLE: Duration = Duration::from_millis(IDLE_EVICT_MS + 1_000);

fn is_notice(heard: &Heard, name: &str) -> bool {
    matches!(heard, Heard::Frame(ServerFrame::Notice(notice)) if notice["type"] == name)
}

fn is_hello(heard: &Heard) -> bool {
    is_notice(heard, "hello")
}

/// Lets time pass until no room is left.
async fn evict(pod: &Pod) {
    eventually(|| {
        pod.clock.advance(IDLE);
        pod.hub.stats().rooms == 0
    })
    .await;
}

async fn join_all(pod: &Pod, count: usize) -> Vec<Peer> {
    let mut peers = Vec::new();
    for peer in futures_util::future::join_all((0..count).map(|_| pod.join())).await {
        peers.push(peer.unwrap());
    }
    peers
}

// R-HAND-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_joiners_of_a_closed_design_load_it_once() {
    let pod = Pod::new();
    pod.store.loading.send_replace(Mood::Slow);
    let release = async {
        eventually(|| pod.store.loads.load(Ordering::SeqCst) == 1).await;
        pod.store.loading.send_replace(Mood::Well);
    };
    let (mut peers, ()) = tokio::join!(join_all(&pod, 50), release);
    for peer in &mut peers {
        assert!(is_hello(&peer.hear().await));
    }
    assert_eq!(pod.store.loads.load(Ordering::SeqCst), 1);
    assert_eq!((pod.hub.stats().rooms, pod.hub.stats().connections), (1, 50));
}

// R-SYNC-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_reaches_the_others_and_is_acknowledged_after_its_commit() {
    let pod = Pod::new();
    let (mut ann, mut ben) = (pod.join().await.unwrap(), pod.join().await.unwrap());
    ann.ask().await;
    ben.ask().await;
    ben.hear_until(|_, heard| matches!(heard, Heard::Frame(ServerFrame::SyncStep2 { .. }))).await;
    pod.store.appending.send_replace(Mood::Slow);
    ann.send_edit("vpc").await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(ben.outbox.bytes(), 0, "nothing leaves before the commit (INV-3)");
    pod.store.appending.send_replace(Mood::Well);
    ann.hear_saved().await;
    ben.hear_until(|ben, _| ben.nodes() == ["vpc"]).await;
    assert_eq!(pod.store.nodes(pod.design), ["vpc"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joiners_that_race_with_evictions_always_find_a_room() {
    let pod = Pod::standing_still();
    let mut written = 0;
    for round in 0..100 {
        // Time runs while they join: now and then the room of the round before goes under their feet.
        let time = async {
            for _ in 0..round % 10 {
                pod.clock.advance(IDLE);
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
        };
        let join = async {
            tokio::time::sleep(Duration::from_millis(round % 7)).await;
            join_all(&pod, 3).await
        };
        let (mut peers, ()) = tokio::join!(join, time);
        for (at, peer) in peers.iter_mut().enumerate() {
            assert!(is_hello(&peer.hear().await));
            peer.send_edit(&format!("n{round:03}-{at}")).await;
            written += 1;
        }
        // They leave at once: their last edits are still on the way to the log.
    }
    evict(&pod).await;
    assert_eq!(pod.store.nodes(pod.design).len(), written, "INV-7");
    let loads = pod.store.loads.load(Ordering::SeqCst);
    println!("{loads} rooms in 100 rounds");
    assert!(5 < loads, "hardly a room was ever evicted");
    assert_eq!(pod.hub.stats().connections, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_with_unsaved_edits_stays_until_they_are_saved() {
    let pod = Pod::standing_still();
    let mut ann = pod.join().await.unwrap();
    pod.store.appending.send_replace(Mood::Failing);
    ann.send_edit("vpc").await;
    ann.hear_until(|_, heard| {
        matches!(heard, Heard::Frame(ServerFrame::Notice(notice)) if notice["type"] == "store.degraded")
    })
    .await;
    drop(ann);
    for _ in 0..5 {
        pod.pass(IDLE).await;
    }
    assert_eq!(pod.hub.stats().rooms, 1, "INV-7");
    assert!(0 < pod.hub.stats().unsaved_bytes);
    // The commit happens, its answer is lost: the retry finds its old place.
    pod.store.appending.send_replace(Mood::Forgetful);
    pod.pass(IDLE).await;
    pod.store.appending.send_replace(Mood::Well);
    evict(&pod).await;
    assert_eq!(pod.store.nodes(pod.design), ["vpc"]);
    assert_eq!(pod.store.log_len(pod.design), 1);
}

// R-HAND-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_fails_refuses_the_join_and_the_next_one_tries_anew() {
    let pod = Pod::standing_still();
    pod.store.loading.send_replace(Mood::Failing);
    assert_eq!(pod.join().await.unwrap().hear_close().await.code, CloseCode::Overloaded);
    pod.store.loading.send_replace(Mood::Well);
    evict(&pod).await;
    assert!(is_hello(&pod.join().await.unwrap().hear().await));
    pod.store.erase(pod.design);
    evict(&pod).await;
    assert_eq!(pod.join().await.unwrap().hear_close().await.code, CloseCode::NoSuchDesign);
}

// R-CLOSE-9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_panics_sends_its_connections_away_and_the_next_room_is_well() {
    let pod = Pod::new();
    let (mut ann, mut ben) = (pod.join().await.unwrap(), pod.join().await.unwrap());
    ann.send_edit("saved").await;
    ann.hear_saved().await;
    pod.store.appending.send_replace(Mood::Broken);
    ann.send_edit("lost").await;
    assert_eq!(ann.hear_close().await.code, CloseCode::Overloaded);
    assert_eq!(ben.hear_close().await.code, CloseCode::Overloaded);
    pod.store.appending.send_replace(Mood::Well);
    let mut cat = pod.join().await.unwrap();
    cat.ask().await;
    cat.hear_until(|cat, _| cat.nodes() == ["saved"]).await;
    assert_eq!(pod.hub.stats().rooms, 1);
}

// R-CLOSE-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_before_leaving_counts() {
    let pod = Pod::new();
    let mut ann = pod.join().await.unwrap();
    for at in 0..100 {
        ann.send_edit(&format!("n{at:02}")).await;
    }
    drop(ann);
    eventually(|| pod.store.nodes(pod.design).len() == 100).await;
}

// R-CLOSE-6, R-CLOSE-7, R-CLOSE-8, R-ROLE-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_loses_membership_or_login_is_sent_away() {
    let pod = Pod::new();
    let (ann, ben, cat) = (pod.newcomer(), pod.newcomer(), pod.newcomer());
    let mut peers = Vec::new();
    for new in [ann, ben, cat] {
        peers.push(pod.join_as(new).await.unwrap());
    }
    pod.hub.role_changed(pod.design, ann.user, None).await;
    assert_eq!(peers[0].hear_close().await.code, CloseCode::Forbidden);
    pod.hub.session_revoked(ben.session);
    assert_eq!(peers[1].hear_close().await.code, CloseCode::Unauthorised);
    pod.hub.role_changed(pod.design, cat.user, Some(DesignRole::Viewer)).await;
    peers[2]
        .hear_until(|_, heard| {
            matches!(heard, Heard::Frame(ServerFrame::Notice(notice)) if notice["role"] == "viewer")
        })
        .await;
    pod.store.erase(pod.design);
    pod.hub.deleted(pod.design).await;
    assert_eq!(peers[2].hear_close().await.code, CloseCode::NoSuchDesign);
}

// R-CLOSE-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_ends_while_its_socket_opens_does_not_get_in() {
    let pod = Pod::new();
    let ann = pod.newcomer();
    // The credential was checked before; the join comes after.
    pod.hub.session_revoked(ann.session);
    assert_eq!(pod.join_as(ann).await.unwrap().hear_close().await.code, CloseCode::Unauthorised);
    // The same for a renewal under a login that ended.
    let mut ben = pod.join().await.unwrap();
    ben.handle.as_mut().unwrap().rebind(ann.session);
    assert_eq!(ben.hear_close().await.code, CloseCode::Unauthorised);
    drop(ben);
    assert!(pod.hub.0.sessions.is_empty(), "nothing is kept of connections that are gone");
}

// R-CLOSE-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_saves_everything_and_lets_nobody_in() {
    let pod = Pod::new();
    let mut peers = join_all(&pod, 5).await;
    pod.store.appending.send_replace(Mood::Slow);
    for (at, peer) in peers.iter_mut().enumerate() {
        peer.send_edit(&format!("n{at}")).await;
    }
    let held_up = pod.hub.drain(Duration::from_millis(50)).await;
    assert_eq!(held_up.rooms_left, 1, "unsaved edits hold it up");
    assert_eq!(pod.join().await.map(|_| ()), Err(JoinError::Draining));
    pod.store.appending.send_replace(Mood::Well);
    assert!(pod.hub.drain(Duration::from_secs(10)).await.is_whole());
    for peer in &mut peers {
        let close = peer.hear_close().await;
        assert_eq!(close.code, CloseCode::Restarting);
        assert!(close.reason.contains("retry_after_ms"));
    }
    assert_eq!(pod.store.nodes(pod.design).len(), 5);
}

/// A store that takes the connection and never answers: the drain ends at its deadline all the same, and says whose edits
/// it leaves behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_names_the_designs_that_a_silent_store_left_unsaved() {
    let pod = Pod::new();
    let mut ann = pod.join().await.unwrap();
    ann.send_edit("saved").await;
    ann.hear_saved().await;
    let other = pod.ids.design();
    pod.store.create(other);
    let idle = pod.hub.join(other, pod.newcomer()).await.unwrap();
    pod.store.appending.send_replace(Mood::Slow);
    let frame = ann.edit("unsaved", &"x".repeat(500));
    ann.handle().send_frame(frame).await.unwrap();
    eventually(|| 0 < pod.hub.stats().unsaved_bytes).await;

    let drained = pod.hub.drain(Duration::from_millis(300)).await;
    assert!(!drained.is_whole());
    assert_eq!(drained.rooms_left, 1, "the room without unsaved edits ended");
    let [left] = drained.unsaved[..] else { panic!("{drained:?}") };
    assert_eq!(left.design, pod.design);
    assert!((500..1_000).contains(&left.bytes), "{left:?}");
    assert_eq!(pod.store.log_len(pod.design), 1);
    drop(idle);
}

/// Many designs, none of which keeps too much by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn designs_that_keep_too_much_unsaved_together_send_their_people_away() {
    const DESIGNS: usize = 8;
    const TOTAL: usize = 300_000;
    let pod = Pod::with_unsaved_total(TOTAL);
    let mut peers = Vec::new();
    for _ in 0..DESIGNS {
        let design = pod.ids.design();
        pod.store.create(design);
        peers.push(pod.join_to(design, pod.newcomer()).await.unwrap());
    }
    pod.store.appending.send_replace(Mood::Failing);
    for peer in &mut peers {
        peer.send_edit("first").await;
        peer.hear_until(|_, heard| is_notice(heard, "store.degraded")).await;
    }
    // 1.6 MB, if they were all kept.
    for round in 0..10 {
        for peer in &mut peers {
            let frame = peer.edit(&format!("n{round}"), &"x".repeat(20_000));
            // Its room may have sent it away already.
            let _ = peer.handle().send_frame(frame).await;
        }
    }
    eventually(|| {
        let is_within = pod.hub.stats().unsaved_bytes <= TOTAL + DESIGNS * 30_000;
        is_within && peers.iter().any(|peer| peer.outbox.is_closing())
    })
    .await;
    pod.store.appending.send_replace(Mood::Well);
    let mut sent_away = 0;
    for peer in &mut peers {
        let is_over =
            |peer: &Peer, heard: &Heard| matches!(heard, Heard::Close(_)) || peer.saved == peer.sent;
        if let Heard::Close(close) = peer.hear_until(is_over).await {
            assert_eq!(close.code, CloseCode::Overloaded);
            sent_away += 1;
        }
    }
    assert!(0 < sent_away);
    eventually(|| pod.hub.stats().unsaved_bytes == 0).await;
}

// R-SLOW-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_stops_the_reading_of_sockets_and_loses_nothing() {
    let pod = Pod::new();
    let mut ann = pod.join().await.unwrap();
    pod.store.appending.send_replace(Mood::Slow);
    let label = "x".repeat(100_000);
    let mut sent = 0;
    let waiting = loop {
        sent += 1;
        assert!(sent < 1_000, "nothing ever stopped the sender");
        let frame = ann.edit(&format!("n{sent:03}"), &label);
        match ann.handle().deliver(FromConn::Frame(frame)) {
            Delivery::Done(result) => result.unwrap(),
            Delivery::Waiting(waiting) => break waiting,
        }
        tokio::task::yield_now().await;
    };
    println!("{sent} frames of {} bytes before the sender had to wait", label.len());
    pod.store.appending.send_replace(Mood::Well);
    waiting.await.unwrap();
    ann.hear_saved().await;
    assert_eq!(pod.store.nodes(pod.design).len(), sent);
}

// R-SLOW-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_reading_gets_the_difference_later() {
    let pod = Pod::new();
    let (mut ann, mut ben) = (pod.join().await.unwrap(), pod.join().await.unwrap());
    ben.ask().await;
    ben.hear_until(|_, heard| matches!(heard, Heard::Frame(ServerFrame::SyncStep2 { .. }))).await;
    let label = "x".repeat(20_000);
    let count = 4 * OUTBOX_BYTES_MAX / label.len();
    for at in 0..count {
        let frame = ann.edit(&format!("n{at:03}"), &label);
        ann.handle().send_frame(frame).await.unwrap();
        ann.hear_saved().await;
    }
    assert!(ben.outbox.bytes() < OUTBOX_BYTES_MAX + 2 * label.len(), "memory stays flat");
    while 0 < ben.outbox.bytes() {
        ben.hear().await;
    }
    let before = ben.nodes().len();
    assert!(before < count);
    assert!(ben.outbox.take_drained());
    assert!(matches!(ben.handle().deliver(FromConn::Writable), Delivery::Done(Ok(()))));
    ben.hear_until(|ben, _| ben.nodes().len() == count).await;
    // And it is live again.
    ann.send_edit("z").await;
    ben.hear_until(|ben, _| ben.nodes().len() == count + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_grows_long_is_hinted_at() {
    let mut pod = Pod::new();
    let mut ann = pod.join().await.unwrap();
    while pod.hints.try_recv() != Ok(pod.design) {
        ann.send_edit(&format!("n{}", ann.sent)).await;
        ann.hear_saved().await;
        assert!(ann.sent <= 21, "no hint");
    }
    assert!(20 <= pod.store.log_len(pod.design));
    for more in 0..5 {
        ann.send_edit(&format!("m{more}")).await;
        ann.hear_saved().await;
    }
    assert!(pod.hints.try_recv().is_err(), "five rows more are nothing while somebody is here");
    drop(ann);
    let hinted = tokio::time::timeout(Duration::from_secs(10), pod.hints.recv()).await.unwrap();
    assert_eq!(hinted, Some(pod.design), "they are when the last one leaves");
}
