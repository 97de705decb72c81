//! Fan-out between pods: a hint, never the truth. A message may be lost, doubled, late or out of order; the log
//! repairs all of it. `bus/conformance.rs` says what every implementation keeps.

use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::{ClientId, DesignId, Generation, PodId, Seq, SessionId, UserId};
use atlas_crdt::room::Claim;
use bytes::Bytes;
use tokio::sync::mpsc;

#[cfg(test)]
pub mod conformance;
pub mod local;
pub mod redis;
mod codec;
mod ear;

/// One pod's word to the others about one design.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusMessage {
    /// Who said it: a pod skips its own.
    pub pod: PodId,
    pub word: Word,
}

/// What pods say about a design.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A commit, one for each: said after it is durable.
    Commit {
        generation: Generation,
        seq: Seq,
        update: Bytes,
        /// The client ids under which it writes first.
        claims: Vec<Claim>,
    },
    /// A commit whose bytes are too many to be sent: the log has it.
    CommitElsewhere { generation: Generation, seq: Seq },
    /// Who is on this pod, or went. `whole`: all who are.
    Presence { update: Bytes, users: Vec<(ClientId, UserId)>, whole: bool },
    /// Who is on the other pods?
    AskPresence,
    /// What the document is at this place of the log.
    Digest { generation: Generation, seq: Seq, hash: [u8; 32] },
    /// Something besides the log has changed in the store: members, or that there is a design at all.
    Notice,
    /// The analysis of the design has come so far.
    Analysis(AnalysisWord),
}

/// How far the analysis of a design has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnalysisWord {
    /// A run of the rules has begun, of the design as it stood at this place of its log.
    Started { seq: Seq },
    /// There is something to read: the store says what, up to this number (`analysis_no`).
    Completed { no: u64 },
}

/// One pod's word to the others about itself, or about everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodMessage {
    pub pod: PodId,
    pub word: PodWord,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodWord {
    /// It lives. Said every [`ALIVE_EVERY`].
    Alive,
    /// It stops.
    Bye,
    /// A login has ended.
    SessionRevoked(SessionId),
    /// There is work for whoever runs jobs: they need not wait for their next question to the store.
    WorkWaits,
}

/// How often a pod says that it lives.
pub const ALIVE_EVERY: Duration = Duration::from_secs(1);
/// A pod that was not heard of for so long is taken for dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(4);

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<M> {
    Message(M),
    /// Messages may have been lost: the subscriber was too slow, or the bus was away. Said once they arrive again.
    Gap,
}

/// What a subscriber holds; dropping it unsubscribes. The queue is bounded: what does not fit is lost, and a
/// [`Heard::Gap`] says so.
#[derive(Debug)]
pub struct Subscription<M = BusMessage> {
    pub messages: mpsc::Receiver<Heard<M>>,
}

/// What a bus has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BusStats {
    /// In both directions.
    pub is_connected: bool,
    pub published: u64,
    /// Messages that were not published: the bus was away, too slow, or they were too large.
    pub dropped: u64,
    pub received: u64,
    /// Of those, what was no message that this version knows.
    pub undecodable: u64,
    /// Subscribers that were told of a [`Heard::Gap`] since the bus itself was away.
    pub gaps: u64,
    /// Messages that a subscriber had no room for: it is told of a gap as well.
    pub lost: u64,
}

#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Best effort, returns at once; never waits for a subscriber.
    fn publish(&self, design: DesignId, message: BusMessage);
    /// Returns once messages published from now on would arrive, or after a short while without that: then a
    /// [`Heard::Gap`] comes as soon as they do.
    async fn subscribe(&self, design: DesignId) -> Subscription;
    /// As [`Self::publish`], to all pods.
    fn publish_to_pods(&self, message: PodMessage);
    /// As [`Self::subscribe`], to what is said to all pods.
    async fn subscribe_to_pods(&self) -> Subscription<PodMessage>;
    /// What it has done. `None`: it never leaves the process.
    fn stats(&self) -> Option<BusStats> {
        None
    }
    /// Ends it: what was published before has left, or never will. Once more changes nothing.
    async fn close(&self) {}
}
