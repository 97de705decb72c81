//! The bus inside one process: the default, and what tests with several hubs share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use atlas_crdt::ids::DesignId;
use dashmap::DashMap;

use super::ear::Ear;
use super::{Bus, BusMessage, PodMessage, Subscription};

/// Designs that are heard of before the first sweep.
const SWEEP_MIN: usize = 64;

/// Hands each message to the subscribers of its design. A subscriber that does not keep up loses messages.
#[derive(Debug)]
pub struct LocalBus {
    designs: DashMap<DesignId, Vec<Ear<BusMessage>>>,
    pods: Mutex<Vec<Ear<PodMessage>>>,
    /// Messages that did not fit a queue. Written by `publish`, read by whoever asks.
    lost: AtomicU64,
    /// Designs in the map at which subscribers that left are looked for next.
    sweep_at: AtomicUsize,
}

impl Default for LocalBus {
    fn default() -> Self {
        Self {
            designs: DashMap::new(),
            pods: Mutex::default(),
            lost: AtomicU64::new(0),
            sweep_at: AtomicUsize::new(SWEEP_MIN),
        }
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
        self.designs.retain(|_, ears| {
            ears.retain(|ear| !ear.is_gone());
            !ears.is_empty()
        });
        self.sweep_at.store(SWEEP_MIN.max(self.designs.len() * 2), Ordering::Relaxed);
    }

    /// As a bus does that leaves the process and was away: every design's subscribers are told.
    #[cfg(test)]
    pub(crate) fn tell_gap_to_designs(&self) {
        self.designs.iter_mut().for_each(|mut ears| ears.iter_mut().for_each(Ear::tell_gap));
    }

    fn pods(&self) -> MutexGuard<'_, Vec<Ear<PodMessage>>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn publish(&self, design: DesignId, message: BusMessage) {
        let Some(mut ears) = self.designs.get_mut(&design) else { return };
        ears.retain_mut(|ear| ear.say(&message, &self.lost));
        let is_empty = ears.is_empty();
        drop(ears);
        if is_empty {
            self.designs.remove_if(&design, |_, ears| ears.is_empty());
        }
    }

    async fn subscribe(&self, design: DesignId) -> Subscription {
        if self.sweep_at.load(Ordering::Relaxed) <= self.designs.len() {
            self.sweep();
        }
        let (ear, subscription) = Ear::pair();
        self.designs.entry(design).or_default().push(ear);
        subscription
    }

    fn publish_to_pods(&self, message: PodMessage) {
        self.pods().retain_mut(|ear| ear.say(&message, &self.lost));
    }

    async fn subscribe_to_pods(&self) -> Subscription<PodMessage> {
        let (ear, subscription) = Ear::pair();
        self.pods().push(ear);
        subscription
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bus::conformance;
    use crate::bus::ear::QUEUE_MAX;

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
        let subscription = bus.subscribe(design).await;
        for n in 0..QUEUE_MAX + 3 {
            bus.publish(design, conformance::message(n as u64));
        }
        assert_eq!(bus.lost(), 3);
        drop(subscription);
        bus.publish(design, conformance::message(0));
        assert_eq!(bus.lost(), 3, "who left loses nothing");
        assert!(bus.designs.is_empty());
    }

    #[tokio::test]
    async fn subscribers_that_come_and_go_leave_nothing_behind() {
        let bus = LocalBus::new();
        let kept = bus.subscribe(DesignId::from_u128(0)).await;
        for n in 1..10_000 {
            drop(bus.subscribe(DesignId::from_u128(n)).await);
            assert!(bus.designs.len() <= SWEEP_MIN + 1);
        }
        assert!(!kept.messages.is_closed());
    }
}
