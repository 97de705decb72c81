//! Two thousand people come to one design at the same moment, as when another pod stops.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atlas_crdt::limits::CONNS_PER_ROOM_MAX;
use atlas_crdt::roles::DesignRole;
use atlas_crdt::wire::ClientFrame;
use bytes::Bytes;
use futures_util::future::join_all;
use yrs::block::ClientID;
use yrs::updates::encoder::Encode;
use yrs::{Doc, Map, ReadTxn, StateVector, Transact};

use super::super::testing::{Mood, Peer, Pod, eventually};
use super::super::{JoinError, LOADS_AT_ONCE};
use crate::clock::Clock;

const HERD: usize = 2_000;
const DESIGN_BYTES: usize = 4 << 20;
/// What a connection may cost besides what it shares with others.
const OWN_BYTES_MAX: usize = 2 << 10;

/// A design of that size, and what its state vector is.
fn large(pod: &Pod) -> StateVector {
    let doc = Doc::with_client_id(77);
    let nodes = doc.get_or_insert_map("nodes");
    let mut txn = doc.transact_mut();
    for n in 0..40 {
        nodes.insert(&mut txn, format!("n{n}"), "x".repeat(DESIGN_BYTES / 40));
    }
    pod.store.write(pod.design, txn.encode_update_v1().into());
    txn.state_vector()
}

async fn step1(peer: &Peer, state: &StateVector) {
    let state_vector = state.encode_v1().into();
    peer.handle().send_frame(ClientFrame::SyncStep1 { state_vector }).await.unwrap();
}

/// Bytes of all frames that wait for these people, each buffer once, and how many of them are as large as the design.
fn distinct(peers: &mut [Peer]) -> (usize, usize) {
    let mut buffers: HashMap<*const u8, Bytes> = HashMap::new();
    for peer in peers {
        for frame in peer.take_frames() {
            buffers.insert(frame.as_ptr(), frame);
        }
    }
    let large = buffers.values().filter(|frame| DESIGN_BYTES <= frame.len()).count();
    (buffers.values().map(Bytes::len).sum(), large)
}

// R-HAND-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_at_a_cold_design_costs_one_load_and_one_encoding() {
    let pod = Pod::new();
    large(&pod);
    pod.store.loading.send_replace(Mood::Slow);
    let join = async |_| {
        let peer = pod.join().await.unwrap();
        step1(&peer, &StateVector::default()).await;
        peer
    };
    let release = async {
        eventually(|| pod.store.loads.load(Ordering::SeqCst) == 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        pod.store.loading.send_replace(Mood::Well);
    };
    // Nobody reads what they are sent.
    let (mut peers, ()) = tokio::join!(join_all((0..HERD).map(join)), release);
    eventually(|| peers.iter().all(|peer| DESIGN_BYTES <= peer.outbox.bytes())).await;
    assert_eq!(pod.store.loads.load(Ordering::SeqCst), 1);
    let (bytes, large) = distinct(&mut peers);
    println!("{bytes} bytes wait for {HERD} people");
    assert_eq!(large, 1, "one buffer for all");
    assert!(bytes < DESIGN_BYTES + (DESIGN_BYTES >> 4) + HERD * OWN_BYTES_MAX, "{bytes}");
}

// R-SYNC-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_edits_goes_on_while_a_herd_joins() {
    // Far more than a machine that is busy with other tests needs.
    const PATIENCE: Duration = Duration::from_secs(10);
    let pod = Pod::new();
    let known = large(&pod);
    let mut ann = pod.join().await.unwrap();
    ann.ask().await;
    ann.send_edit("first").await;
    ann.hear_saved().await;
    // Half of them have nothing, half have all but the last edit, and each something of its own.
    let join = async |n: usize| {
        let peer = pod.join().await.unwrap();
        let mut state = StateVector::default();
        if n.is_multiple_of(2) {
            state = known.clone();
            state.set_max(ClientID::new(1_000 + n as u64), 1);
        }
        step1(&peer, &state).await;
        peer
    };
    let clock = Clock::system();
    let edit = async {
        let mut slowest = 0;
        for n in 0..20 {
            let began = clock.now();
            ann.send_edit(&format!("meanwhile {n}")).await;
            tokio::time::timeout(PATIENCE, ann.hear_saved()).await.expect("an edit waits for those who join");
            slowest = slowest.max(clock.now().since(began));
        }
        slowest
    };
    let (mut peers, slowest) = tokio::join!(join_all((0..HERD).map(join)), edit);
    let has_all = |(n, peer): (usize, &Peer)| n.is_multiple_of(2) || DESIGN_BYTES <= peer.outbox.bytes();
    eventually(|| peers.iter().enumerate().all(has_all)).await;
    // Half of them have been brought along by edits, or answers, of their own.
    ann.send_edit("last").await;
    ann.hear_saved().await;
    let (bytes, large) = distinct(&mut peers);
    println!("{bytes} bytes in {large} encodings; the slowest of 20 edits meanwhile took {slowest} ms");
    assert!(large <= 22, "{large} encodings for 22 documents");
    assert!(bytes < (large + 1) * (DESIGN_BYTES + (DESIGN_BYTES >> 4)) + HERD * OWN_BYTES_MAX, "{bytes}");
    assert_eq!(pod.store.loads.load(Ordering::SeqCst), 1);
}

// R-LIMIT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_design_has_so_many_places_and_no_more() {
    let pod = Pod::new();
    let peers = super::join_all(&pod, CONNS_PER_ROOM_MAX).await;
    assert_eq!(pod.join().await.map(|_| ()), Err(JoinError::RoomFull));
    drop(peers);
    eventually(|| pod.hub.stats().connections == 0).await;
    pod.join().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_designs_are_loaded_a_few_at_a_time() {
    const DESIGNS: usize = 100;
    let pod = Pod::new();
    pod.store.loading.send_replace(Mood::Slow);
    let designs: Vec<_> = (0..DESIGNS).map(|_| pod.ids.design()).collect();
    for design in &designs {
        pod.store.create(*design);
    }
    let joins = join_all(designs.iter().map(|design| pod.join_to(*design, pod.newcomer())));
    let release = async {
        eventually(|| pod.store.loads.load(Ordering::SeqCst) == LOADS_AT_ONCE).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(pod.store.loads.load(Ordering::SeqCst), LOADS_AT_ONCE, "the others wait");
        pod.store.loading.send_replace(Mood::Well);
    };
    let (joined, ()) = tokio::join!(joins, release);
    for peer in joined {
        let mut peer = peer.unwrap();
        assert!(super::is_hello(&peer.hear().await));
        assert_eq!(peer.outbox.role(), Some(DesignRole::Editor));
    }
    assert_eq!(pod.store.loads.load(Ordering::SeqCst), DESIGNS);
    assert!(pod.store.loads_at_once.lock().unwrap().1 <= LOADS_AT_ONCE);
}
