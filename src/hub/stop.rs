//! How a pod goes away: nobody gets in any more, connections are sent away one by one, then the rooms write what is
//! unsaved and end.
//!
//! Whoever is sent away comes back to another pod, and loads it by that. So the closes are spread, and each client is told
//! another moment to return at; those who are still here edit on as always.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atlas_crdt::ids::DesignId;
use atlas_crdt::limits::RETRY_AFTER_MS;
use atlas_crdt::room::{Dialect, FrameKind};
use atlas_crdt::wire::{self, CloseCode, Notice};
use futures_util::future::join_all;

use super::inbox::Control;
use super::outbox::Outbox;
use super::{Hub, Inner};
use crate::bus::PodWord;

/// Milliseconds between two closes at most: few connections do not take all the time that many may have.
const PAUSE_MAX_MS: u64 = 100;

/// Edits that are in memory and in their authors' clients, and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsaved {
    pub design: DesignId,
    /// Of updates, and of the bodies of edits over HTTP.
    pub bytes: usize,
}

/// How a drain ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drained {
    /// Rooms that had not ended at the deadline.
    pub rooms_left: usize,
    /// Those among them whose edits the store had not taken.
    pub unsaved: Vec<Unsaved>,
}

impl Drained {
    /// Every room has ended, and nothing is unsaved.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.rooms_left == 0
    }
}

impl Hub {
    /// Refuses joins from now on, closes every connection with 1012 once its room has flushed, and returns when all
    /// rooms have ended, or at the deadline.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.drain_spread(Duration::ZERO, deadline).await
    }

    /// As [`Self::drain`], with the closes spread over so much of the time: where other pods take over.
    pub async fn drain_spread(&self, spread: Duration, deadline: Duration) -> Drained {
        self.0.draining.store(true, Ordering::SeqCst);
        let all_ended = async {
            self.0.send_everybody_away(spread).await;
            self.0.end_rooms().await;
        };
        let is_whole = tokio::time::timeout(deadline, all_ended).await.is_ok();
        self.0.watch.say_bye();
        self.0.tell_pods(PodWord::Bye);
        if is_whole {
            return Drained::default();
        }
        Drained { rooms_left: self.0.rooms.len(), unsaved: self.unsaved() }
    }

    /// The designs with edits that are not in the log yet, or never came there while the pod stopped, by their ids.
    #[must_use]
    pub fn unsaved(&self) -> Vec<Unsaved> {
        let rooms = self.0.rooms.iter();
        let unsaved = rooms.map(|room| Unsaved {
            design: *room.key(),
            bytes: room.value().unsaved_bytes.load(Ordering::Relaxed),
        });
        let mut unsaved: Vec<_> = unsaved.filter(|of| 0 < of.bytes).collect();
        unsaved.extend(self.0.given_up.lock().unwrap_or_else(PoisonError::into_inner).iter());
        unsaved.sort_unstable_by_key(|of| of.design);
        unsaved
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }
}

impl Inner {
    /// In an order of chance: neighbours in a design, or on one machine, do not return together.
    async fn send_everybody_away(&self, spread: Duration) {
        let (clock, ids) = (&self.deps.clock, &self.deps.ids);
        let mut all = self.sessions.all();
        all.sort_by_cached_key(|_| ids.seed());
        let count = all.len() as u64;
        let spread_ms = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX).min(count * PAUSE_MAX_MS);
        let began = clock.now();
        for (nth, (outbox, dialect)) in (0..).zip(all) {
            let at = began.plus(nth * spread_ms / count);
            if clock.now() < at {
                clock.sleep_until(at).await;
            }
            send_away(&outbox, dialect, RETRY_AFTER_MS.0 + ids.seed() % (RETRY_AFTER_MS.1 + 1));
        }
    }

    async fn end_rooms(&self) {
        let rooms: Vec<_> = self.rooms.iter().map(|entry| entry.value().control.clone()).collect();
        // All at once: a room whose queue is full holds up no other. A closed queue is a room that has ended already.
        join_all(rooms.iter().map(|control| control.send(Control::Drain))).await;
        loop {
            let ended = self.room_ended.notified();
            if self.rooms.is_empty() {
                return;
            }
            ended.await;
        }
    }
}

fn send_away(outbox: &Outbox, dialect: Dialect, retry_after_ms: u64) {
    if dialect == Dialect::Atlas {
        outbox.push(&wire::notice(&Notice::Restarting { retry_after_ms }), &FrameKind::Control);
    }
    outbox.close(CloseCode::Restarting, format!("{{\"retry_after_ms\":{retry_after_ms}}}"));
}
