//! What the bus has done, in numbers.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::bus::BusStats;

/// Written by the bus's two tasks and by whoever publishes, read by whoever asks.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) published: AtomicU64,
    /// What was not published: no room in the queue, no Redis, no answer, too large.
    pub(super) dropped: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) undecodable: AtomicU64,
    /// Subscribers that were told of a gap.
    pub(super) gaps: AtomicU64,
    /// Messages that a subscriber had no room for.
    pub(super) lost: AtomicU64,
    /// Bytes that wait to be published.
    pub(super) queued_bytes: AtomicUsize,
    /// False: what is published is dropped at once.
    pub(super) can_publish: AtomicBool,
    pub(super) can_hear: AtomicBool,
}

impl Counters {
    pub(super) fn count(what: &AtomicU64) {
        what.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> BusStats {
        let number = |what: &AtomicU64| what.load(Ordering::Relaxed);
        BusStats {
            is_connected: self.can_publish.load(Ordering::Relaxed) && self.can_hear.load(Ordering::Relaxed),
            published: number(&self.published),
            dropped: number(&self.dropped),
            received: number(&self.received),
            undecodable: number(&self.undecodable),
            gaps: number(&self.gaps),
            lost: number(&self.lost),
        }
    }
}
