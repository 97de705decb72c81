//! The other side of a store: what keeps it small and whole. Used by `jobs` and by the command line, never by a room.

use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::{DesignId, PodId, Seq};

use super::Result;
use super::folds::{ArchivedRow, BacklogBlob, BacklogSize, Fold, FoldPolicy, FoldState, Pruned, Remains};
use super::jobs::{Job, JobEnd, JobKind, JobLease};

/// Implemented by whatever implements [`Store`](super::Store), and tested by the same suite.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    // --- folding a log: read by `jobs`, under the lease of a `Compact` job
    /// `None`: no such design.
    async fn fold_state(&self, design: DesignId) -> Result<Option<FoldState>>;
    /// Rows after `after`, oldest first, without holes (`Damaged`): at most `rows` of them, and no more than `bytes` of
    /// payload once there is one. `Folded` when the first of them is gone because a snapshot holds it.
    async fn archive_rows(
        &self,
        design: DesignId,
        after: Seq,
        rows: usize,
        bytes: usize,
    ) -> Result<Vec<ArchivedRow>>;
    /// Notes segments, snapshot and columns in one short transaction that does not touch the head. `Fenced` when the
    /// lease is lost, the generation changed, or a newer snapshot is there; `Damaged` when the fold contradicts itself.
    /// Deletes nothing. Once more changes nothing: the answer may have been lost.
    async fn commit_fold(&self, lease: JobLease, fold: Fold) -> Result<()>;
    /// Deletes at most `rows` of the log rows that the newest snapshot holds and segments archive, oldest first, if they
    /// are older than `keep`, and the snapshots before the newest. Their append ids stay known: an append that is
    /// repeated after its row is gone still finds its `seq`.
    async fn prune_folded(&self, lease: JobLease, rows: usize, keep: Duration) -> Result<Pruned>;
    /// Designs whose logs need folding, at most `limit`, the longest first. Not those that have a `Compact` job already: one
    /// that failed keeps its time.
    async fn unfolded(&self, policy: FoldPolicy, limit: usize) -> Result<Vec<DesignId>>;
    /// Forgets append ids of rows deleted longer ago than `keep`; how many.
    async fn forget_appends(&self, keep: Duration) -> Result<u64>;

    // --- jobs
    /// One (kind, design) waits or runs at a time. Asked for again while it waits: the earlier time holds. While it
    /// waits to be tried again after a failure: it keeps its time. While it runs: it runs once more afterwards, and if
    /// it fails that is its next try. The design need not be there.
    async fn enqueue(&self, kind: JobKind, design: DesignId, delay: Duration) -> Result<()>;
    /// The job that is due longest and that nobody holds. Pods never get the same one.
    async fn claim_job(&self, kind: JobKind, holder: PodId, lease: Duration) -> Result<Option<Job>>;
    /// Holds it for `lease` from now. `Fenced`: it is not the caller's any more.
    async fn renew_job(&self, lease: JobLease, lease_for: Duration) -> Result<()>;
    /// `Fenced`: it is not the caller's any more.
    async fn end_job(&self, lease: JobLease, end: JobEnd) -> Result<()>;

    // --- blobs that their store did not take yet
    /// One with the same prefix and hash is there already: nothing changes. `NoSuchDesign` for the prefix of a design that
    /// is not there (any more): nobody would erase the blob.
    async fn add_to_backlog(&self, blob: BacklogBlob) -> Result<()>;
    /// The oldest that came after the one with the number `after` (0: of all), at most `limit`, and no more than `bytes` once
    /// there is one; each with its number. They stay.
    async fn backlog(&self, after: u64, limit: usize, bytes: usize) -> Result<Vec<(u64, BacklogBlob)>>;
    /// Its store has it.
    async fn remove_from_backlog(&self, prefix: &str, hash: [u8; 32]) -> Result<()>;
    async fn backlog_size(&self) -> Result<BacklogSize>;

    // --- checking
    /// Ids above `after`, ascending.
    async fn design_ids(&self, after: Option<DesignId>, limit: usize) -> Result<Vec<DesignId>>;
    /// `None`: no such design.
    async fn remains(&self, design: DesignId) -> Result<Option<Remains>>;
}
