//! Clients that come back by themselves, as pages do: after the hint of the server, or a moment.

use std::sync::Arc;
use std::time::Duration;

use atlas_loadtest::client::{Client, Seen};
use atlas_loadtest::world::{self, Random};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::faults::Crew;
use crate::faults::crew::now;

/// Milliseconds before a client without a hint tries again: at least, and at most so many more.
const PAUSE_MS: (u64, u64) = (50, 200);
/// An attempt that takes longer is given up.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Between two looks.
const BEAT: Duration = Duration::from_millis(10);

/// How often clients came back, and how long they were away at most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Away {
    pub(super) times: u64,
    pub(super) longest: Duration,
}

/// Keeps clients connected until it is ended.
pub(super) struct Keeper {
    hands: Vec<JoinHandle<Away>>,
    working: watch::Sender<bool>,
}

impl Keeper {
    /// Everybody of the crew. `ws_urls`: one of them is tried by chance each time.
    pub(super) fn of(crew: &Crew, ws_urls: &[String], random: &mut Random) -> Self {
        let desks = crew.desks.iter();
        let clients =
            desks.flat_map(|desk| desk.clients().map(|client| (client.clone(), desk.design.clone())));
        Self::of_clients(clients.collect(), ws_urls, random)
    }

    pub(super) fn of_clients(
        clients: Vec<(Client, String)>,
        ws_urls: &[String],
        random: &mut Random,
    ) -> Self {
        let (working, _) = watch::channel(true);
        let urls: Arc<[String]> = ws_urls.into();
        let hands = clients.into_iter().map(|(client, design)| {
            world::spawn(keep(client, design, Arc::clone(&urls), random.fork(), working.subscribe()))
        });
        Self { hands: hands.collect(), working }
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
    client: Client,
    design: String,
    urls: Arc<[String]>,
    mut random: Random,
    working: watch::Receiver<bool>,
) -> Away {
    let mut away = Away::default();
    let mut since = None;
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
            since.get_or_insert_with(now);
            let hint = client.look(|seen| seen.closed.as_ref().and_then(|closed| hint(&closed.reason)));
            let pause = PAUSE_MS.0 + random.below(PAUSE_MS.1);
            tokio::time::sleep(Duration::from_millis(hint.unwrap_or(pause))).await;
            client.aim(&format!("{}/{design}", urls[random.index(urls.len())]));
            // A refusal, or no answer: again.
            if let Ok(Ok(())) = tokio::time::timeout(ATTEMPT, client.reconnect()).await {
                let synced = client.wait_until(ATTEMPT, "the handshake", |client| {
                    !client.is_open() || client.look(Seen::is_synced)
                });
                if synced.await.is_err() {
                    client.vanish();
                }
            }
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// `{"retry_after_ms": …}`.
fn hint(reason: &str) -> Option<u64> {
    serde_json::from_str::<Value>(reason).ok()?["retry_after_ms"].as_u64()
}
