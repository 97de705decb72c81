//! Somebody moves, in the middle of edits, to a pod that has not heard of them yet.

use std::time::Duration;

use atlas_crdt::wire::{ClientFrame, encode_client};
use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Connect, Dialect};

use super::CONVERGED_WITHIN;
use super::fleet::{Fleet, PODS};
use crate::faults::crew::{PATIENCE, now};

/// It hears nothing of what the others commit until it looks into the store.
const DEAF: usize = 1;
const MOVES: u32 = 40;
/// At most so many edits between two moves.
const EDITS_MAX: u64 = 3;

/// Somebody who moves, and what was seen of it.
struct Roamer {
    client: Client,
    design: String,
    edits: u32,
    /// Times that a pod lacked something of its own on arrival …
    lacked: u32,
    /// … and of these, something that it had been told is saved.
    lacked_saved: u32,
}

impl Roamer {
    /// No deletions among them: see [`Self::move_to`].
    fn edit(&mut self) {
        let id = format!("roaming-{}", self.edits);
        self.client.edit(|roots, txn| canvas::put_node(roots, txn, &id, "x", 1.0, 2.0));
        self.edits += 1;
    }

    /// Without a pause. What it sends first says what the pod lacks: nothing but two zeros where it has everything. Whether it
    /// lacked something.
    async fn move_to(&mut self, fleet: &Fleet, pod: usize) -> bool {
        let step_1 =
            ClientFrame::SyncStep1 { state_vector: self.client.with_replica(|own| own.state_vector_bytes()) };
        let nothing = ClientFrame::SyncStep2 { update: vec![0, 0].into() };
        let least = (encode_client(&step_1).len() + encode_client(&nothing).len()) as u64;
        let (sent, all_saved) = self.client.look(|seen| (seen.sent.bytes, seen.saved == seen.sent_documents));
        self.client.aim(&fleet.socket(pod, &self.design));
        self.client.reconnect().await.unwrap();
        self.client.synced().await.unwrap();
        let lacked = least < self.client.look(|seen| seen.sent.bytes) - sent;
        self.lacked += u32::from(lacked);
        self.lacked_saved += u32::from(lacked && all_saved);
        lacked
    }

    fn assert_welcome(&self) {
        self.client.look(|seen| {
            assert_eq!(seen.faults, Vec::<String>::new());
            assert_eq!(seen.denied, Vec::<String>::new());
            assert_eq!(seen.notice("refused"), None);
        });
    }
}

async fn has_all(client: &Client, edits: u32) -> Duration {
    let began = now();
    let all = |client: &Client| {
        client.json()["nodes"].as_object().map_or(0, serde_json::Map::len) == edits as usize
    };
    client.wait_until(PATIENCE, "every edit", all).await.unwrap();
    began.elapsed()
}

// R-MANY-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_moves_to_a_pod_that_has_not_heard_of_the_edits() {
    let mut fleet = Fleet::with_redis().await;
    let design = fleet.owner().create_design("Roaming").await;
    let connect =
        |pod: usize, dialect| Connect::new(&fleet.socket(pod, &design), dialect).token(fleet.owner().token());
    // Somebody stays at each pod, so that it has the design in memory.
    let mut watchers = Vec::new();
    for pod in 0..PODS {
        watchers.push(Client::open(connect(pod, Dialect::Stock)).await.unwrap());
    }
    let client = Client::open(connect(0, Dialect::Atlas)).await.unwrap();
    for client in watchers.iter().chain([&client]) {
        client.synced().await.unwrap();
    }
    let mut roamer = Roamer { client, design: design.clone(), edits: 0, lacked: 0, lacked_saved: 0 };
    fleet.pods[DEAF].to_redis.as_ref().unwrap().freeze();
    let mut random = fleet.random.fork();
    for turn in 0..MOVES {
        for _ in 0..=random.below(EDITS_MAX) {
            roamer.edit();
        }
        // By turns with an edit that is on its way, and right after it was saved.
        if turn % 4 < 2 {
            roamer.client.all_saved().await.unwrap();
        }
        roamer.move_to(&fleet, if turn % 2 == 0 { DEAF } else { 0 }).await;
        roamer.assert_welcome();
    }
    roamer.client.all_saved().await.unwrap();
    let mut slowest = Duration::ZERO;
    for watcher in &watchers {
        slowest = slowest.max(has_all(watcher, roamer.edits).await);
    }
    roamer.assert_welcome();
    for pod in 0..PODS {
        assert!(!roamer.move_to(&fleet, pod).await, "pod {pod} lacks what it shows to others");
    }
    fleet.pods[DEAF].to_redis.as_ref().unwrap().restore();
    let found = fleet.bed.found(&fleet.pods[0].server, &design).await;
    found.check();
    assert_eq!(found.drawing(), roamer.client.json(), "something else is stored");
    println!(
        "{MOVES} moves, {} edits: on arrival a pod lacked some {} times, {} times such as were saved; everybody had all {slowest:?} after the \
         last was, and nothing is logged twice",
        roamer.edits, roamer.lacked, roamer.lacked_saved
    );
    assert!(0 < roamer.lacked_saved, "the pod had always heard of everything");
    assert!(slowest < CONVERGED_WITHIN, "somebody waited {slowest:?}");
    for client in watchers.iter().chain([&roamer.client]) {
        client.vanish();
    }
    fleet.check_logs();
    fleet.check_store();
}
