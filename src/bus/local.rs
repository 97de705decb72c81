//! The bus inside one process: the default, and what tests with several hubs share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use atlas_crdt::ids::DesignId;
use atlas_crdt::limits::HOLE_MESSAGES_MAX;
use dashmap::DashMap;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{Bus, BusMessage, Subscription};

/// Messages that wait for one subscriber: as many as a room would hold above a hole.
const QUEUE_MAX: usize = HOLE_MESSAGES_MAX;
/// Designs that are heard of before the first sweep.
const SWEEP_MIN: usize = 64;

/// Hands each message to the subscribers of its design. A subscriber that does not keep up loses messages.
#[derive(Debug)]
pub struct LocalBus {
    subscribers: DashMap<DesignId, Vec<mpsc::Sender<BusMessage>>>,
    /// Messages that did not fit a queue. Written by `publish`, read by whoever asks.
    lost: AtomicU64,
    /// Designs in the map at which subscribers that left are looked for next.
    sweep_at: AtomicUsize,
}

impl Default for LocalBus {
    fn default() -> Self {
        Self { subscribers: DashMap::new(), lost: AtomicU64::new(0), sweep_at: AtomicUsize::new(SWEEP_MIN) }
    }
}

impl LocalBus {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Messages lost to full queues since the start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Forgets subscribers that left without another message to notice it by. The threshold doubles with what is
    /// left, so that the cost per subscription stays constant.
    fn sweep(&self) {
        self.subscribers.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        self.sweep_at.store(SWEEP_MIN.max(self.subscribers.len() * 2), Ordering::Relaxed);
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn publish(&self, design: DesignId, message: BusMessage) {
        let Some(mut senders) = self.subscribers.get_mut(&design) else { return };
        senders.retain(|sender| match sender.try_send(message.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        });
        let is_empty = senders.is_empty();
        drop(senders);
        if is_empty {
            self.subscribers.remove_if(&design, |_, senders| senders.is_empty());
        }
    }

    async fn subscribe(&self, design: DesignId) -> anyhow::Result<Subscription> {
        if self.sweep_at.load(Ordering::Relaxed) <= self.subscribers.len() {
            self.sweep();
        }
        let (sender, messages) = mpsc::channel(QUEUE_MAX);
        self.subscribers.entry(design).or_default().push(sender);
        Ok(Subscription { messages })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bus::conformance;

    #[tokio::test]
    async fn it_keeps_the_contract() {
        conformance::run_all(async || {
            let bus = Arc::new(LocalBus::new());
            (Arc::clone(&bus) as Arc<dyn Bus>, bus as Arc<dyn Bus>)
        })
        .await;
    }

    #[tokio::test]
    async fn what_a_full_queue_loses_is_counted() {
        let bus = LocalBus::new();
        let design = DesignId::from_u128(1);
        let subscription = bus.subscribe(design).await.unwrap();
        for n in 0..QUEUE_MAX + 3 {
            bus.publish(design, conformance::message(n as u64));
        }
        assert_eq!(bus.lost(), 3);
        drop(subscription);
        bus.publish(design, conformance::message(0));
        assert_eq!(bus.lost(), 3, "who left loses nothing");
        assert!(bus.subscribers.is_empty());
    }

    #[tokio::test]
    async fn subscribers_that_come_and_go_leave_nothing_behind() {
        let bus = LocalBus::new();
        let kept = bus.subscribe(DesignId::from_u128(0)).await.unwrap();
        for n in 1..10_000 {
            drop(bus.subscribe(DesignId::from_u128(n)).await.unwrap());
            assert!(bus.subscribers.len() <= SWEEP_MIN + 1);
        }
        assert!(!kept.messages.is_closed());
    }
}
