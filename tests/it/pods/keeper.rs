//! Clients that come back by themselves, as pages do: once after the hint of the server, then after a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atlas_loadtest::client::{Client, Seen};
use atlas_loadtest::world::{self, Random};
use serde_json::Value;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, watch};
use tokio::task::JoinHandle;

use crate::faults::Crew;
use crate::faults::crew::now;

/// Milliseconds before a client without a hint tries again: at least, and at most so many more.
const PAUSE_MS: (u64, u64) = (50, 200);
/// An attempt that takes longer is given up.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Between two looks.
const BEAT: Duration = Duration::from_millis(10);

/// How often clients came back, and how long they were away at most, not counting while nobody may come back.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Away {
    pub(super) times: u64,
    pub(super) longest: Duration,
}

/// Keeps clients connected until it is ended.
pub(super) struct Keeper {
    kept: Vec<Arc<Kept>>,
    hands: Vec<JoinHandle<Away>>,
    working: watch::Sender<bool>,
    /// Whoever comes back holds it for reading.
    gate: Arc<RwLock<()>>,
}

/// One of them.
struct Kept {
    client: Client,
    design: String,
    /// Number of the address that it was aimed at last.
    place: AtomicUsize,
}

/// As long as it is there, nobody comes back.
pub(super) type Held = OwnedRwLockWriteGuard<()>;

impl Keeper {
    /// Everybody of the crew. `ws_urls`: one of them is tried by chance each time. If a crew was gathered at the same ones, it
    /// is known who is where.
    pub(super) fn of(crew: &Crew, ws_urls: &[String], random: &mut Random) -> Self {
        let (working, _) = watch::channel(true);
        let (urls, gate): (Arc<[String]>, _) = (ws_urls.into(), Arc::new(RwLock::new(())));
        let mut kept = Vec::new();
        for desk in &crew.desks {
            for (at, client) in desk.clients().enumerate() {
                let place = AtomicUsize::new(at % urls.len());
                kept.push(Arc::new(Kept { client: client.clone(), design: desk.design.clone(), place }));
            }
        }
        let hands = kept.iter().map(|kept| {
            let (kept, urls, gate) = (Arc::clone(kept), Arc::clone(&urls), Arc::clone(&gate));
            world::spawn(keep(kept, urls, gate, random.fork(), working.subscribe()))
        });
        let hands = hands.collect();
        Self { kept, hands, working, gate }
    }

    /// Whoever is coming back just now has arrived or failed, and nobody else comes until this is dropped.
    pub(super) async fn hold(&self) -> Held {
        Arc::clone(&self.gate).write_owned().await
    }

    /// Those who have a socket to the address of this number. While they are held, that does not change but for sockets that
    /// break.
    pub(super) fn at(&self, place: usize) -> impl Iterator<Item = &Client> {
        let there = move |kept: &&Arc<Kept>| kept.place.load(Ordering::SeqCst) == place;
        self.kept.iter().filter(there).map(|kept| &kept.client).filter(|client| client.is_open())
    }

    /// Waits until everybody is there, and keeps nobody any more.
    pub(super) async fn end(self) -> Away {
        self.working.send_replace(false);
        let mut all = Away::default();
        for hand in self.hands {
            let Away { times, longest } = hand.await.unwrap();
            all = Away { times: all.times + times, longest: all.longest.max(longest) };
        }
        all
    }
}

async fn keep(
    kept: Arc<Kept>,
    urls: Arc<[String]>,
    gate: Arc<RwLock<()>>,
    mut random: Random,
    working: watch::Receiver<bool>,
) -> Away {
    let client = &kept.client;
    let (mut away, mut since, mut hinted) = (Away::default(), None, 0);
    loop {
        if client.is_open() && client.look(Seen::is_synced) {
            if let Some(since) = since.take() {
                away.times += 1;
                away.longest = away.longest.max(now().duration_since(since));
            }
            if !*working.borrow() {
                return away;
            }
        } else if !client.is_open() {
            let mut left = *since.get_or_insert_with(now);
            let pause = PAUSE_MS.0 + random.below(PAUSE_MS.1);
            tokio::time::sleep(Duration::from_millis(hint_once(client, &mut hinted).unwrap_or(pause))).await;
            let asked = now();
            let free = gate.read().await;
            left += asked.elapsed();
            since = Some(left);
            let place = random.index(urls.len());
            kept.place.store(place, Ordering::SeqCst);
            client.aim(&format!("{}/{}", urls[place], kept.design));
            come_back(client).await;
            drop(free);
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// A refusal, or no answer: it is away as before.
async fn come_back(client: &Client) {
    if let Ok(Ok(())) = tokio::time::timeout(ATTEMPT, client.reconnect()).await {
        let synced = client
            .wait_until(ATTEMPT, "the handshake", |client| !client.is_open() || client.look(Seen::is_synced));
        if synced.await.is_err() {
            client.vanish();
        }
    }
}

/// What the server said when it closed the newest socket, the first time that it is asked for. `hinted`: the socket that it was
/// asked for last.
fn hint_once(client: &Client, hinted: &mut u64) -> Option<u64> {
    let (socket, hint) =
        client.look(|seen| (seen.sockets, seen.closed.as_ref().and_then(|closed| hint(&closed.reason))));
    let is_new = std::mem::replace(hinted, socket) != socket;
    hint.filter(|_| is_new)
}

/// `{"retry_after_ms": …}`.
fn hint(reason: &str) -> Option<u64> {
    serde_json::from_str::<Value>(reason).ok()?["retry_after_ms"].as_u64()
}
