//! Fan-out between pods: a hint, never the truth. A message may be lost, doubled, late or out of order; the log
//! repairs all of it. `bus/conformance.rs` says what every implementation keeps.

use async_trait::async_trait;
use atlas_crdt::ids::{DesignId, Generation, PodId, Seq};
use atlas_crdt::room::Claim;
use bytes::Bytes;
use tokio::sync::mpsc;

#[cfg(test)]
pub mod conformance;
pub mod local;

/// One pod's word to the others about one design.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusMessage {
    /// Who said it: a pod skips its own.
    pub pod: PodId,
    pub generation: Generation,
    pub seq: Seq,
    pub update: Bytes,
    /// The client ids under which it writes first.
    pub claims: Vec<Claim>,
}

/// What a subscriber holds; dropping it unsubscribes. The queue is bounded: what does not fit is lost.
#[derive(Debug)]
pub struct Subscription {
    pub messages: mpsc::Receiver<BusMessage>,
}

#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Best effort, returns at once; never waits for a subscriber.
    fn publish(&self, design: DesignId, message: BusMessage);
    /// Returns once messages published from now on would arrive.
    async fn subscribe(&self, design: DesignId) -> anyhow::Result<Subscription>;
}
