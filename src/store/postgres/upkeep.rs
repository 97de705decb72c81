//! Folding, jobs, backlog and checks: [`Upkeep`], in the words of the modules beside this one.
//!
//! Long steps have connections of their own. Short ones go among the requests: a lease must not run out because its
//! renewal waits behind somebody's fold.

use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::{DesignId, PodId, Seq};

use super::values::{duration, limit};
use super::{PgStore, analyses, backlog, checks, folds, jobs};
use crate::store::Result;
use crate::store::folds::{
    ArchivedRow, BacklogBlob, BacklogSize, Fold, FoldPolicy, FoldState, Pruned, Remains,
};
use crate::store::jobs::{Job, JobEnd, JobKind, JobLease};
use crate::store::upkeep::Upkeep;

/// Append ids forgotten in one transaction.
const FORGET_ROWS: u32 = 10_000;

#[async_trait]
impl Upkeep for PgStore {
    async fn fold_state(&self, design: DesignId) -> Result<Option<FoldState>> {
        self.upkeep_read(async |tx| folds::state(tx, design).await).await
    }

    async fn archive_rows(
        &self,
        design: DesignId,
        after: Seq,
        rows: usize,
        bytes: usize,
    ) -> Result<Vec<ArchivedRow>> {
        self.upkeep_read(async |tx| folds::rows(tx, design, after, (rows, bytes)).await).await
    }

    async fn commit_fold(&self, lease: JobLease, fold: Fold) -> Result<()> {
        self.upkeep_write(async |tx| folds::commit(tx, lease, &fold).await).await
    }

    async fn prune_folded(&self, lease: JobLease, rows: usize, keep: Duration) -> Result<Pruned> {
        self.upkeep_write(async |tx| folds::prune(tx, lease, rows, duration(keep)).await).await
    }

    async fn unfolded(&self, policy: FoldPolicy, limit_rows: usize) -> Result<Vec<DesignId>> {
        let quiet_us = duration(policy.quiet_for);
        self.upkeep_read(async |tx| folds::unfolded(tx, policy, quiet_us, limit(limit_rows)).await).await
    }

    async fn forget_appends(&self, keep: Duration) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let step = async |tx: &mut _| folds::forget(tx, duration(keep), FORGET_ROWS.into()).await;
            let rows = self.upkeep_write(step).await?;
            forgotten += rows;
            if rows < FORGET_ROWS.into() {
                return Ok(forgotten);
            }
        }
    }

    async fn enqueue(&self, kind: JobKind, design: DesignId, delay: Duration) -> Result<()> {
        self.write(async |tx| jobs::enqueue(tx, kind, design, duration(delay)).await).await
    }

    async fn claim_job(&self, kind: JobKind, holder: PodId, lease: Duration) -> Result<Option<Job>> {
        self.write(async |tx| jobs::claim(tx, kind, holder, duration(lease)).await).await
    }

    async fn renew_job(&self, lease: JobLease, lease_for: Duration) -> Result<()> {
        self.write(async |tx| jobs::renew(tx, lease, duration(lease_for)).await).await
    }

    async fn end_job(&self, lease: JobLease, end: JobEnd) -> Result<()> {
        self.write(async |tx| match &end {
            JobEnd::Done => jobs::done(tx, lease).await,
            JobEnd::Later(delay) => jobs::put_off(tx, lease, duration(*delay)).await,
            JobEnd::Failed { retry_in, reason } => jobs::failed(tx, lease, duration(*retry_in), reason).await,
            JobEnd::GivenUp { reason } => {
                if lease.kind == JobKind::Analyze {
                    analyses::fail_all(tx, lease.design).await?;
                }
                jobs::give_up(tx, lease, reason).await
            }
        })
        .await
    }

    async fn add_to_backlog(&self, blob: BacklogBlob) -> Result<()> {
        self.upkeep_write(async |tx| backlog::add(tx, &blob).await).await
    }

    async fn backlog(&self, after: u64, limit_blobs: usize, bytes: usize) -> Result<Vec<(u64, BacklogBlob)>> {
        self.upkeep_read(async |tx| backlog::oldest(tx, after, limit(limit_blobs), limit(bytes)).await).await
    }

    async fn remove_from_backlog(&self, prefix: &str, hash: [u8; 32]) -> Result<()> {
        self.write(async |tx| backlog::remove(tx, prefix, hash).await).await
    }

    async fn backlog_size(&self) -> Result<BacklogSize> {
        self.read(async |tx| backlog::size(tx).await).await
    }

    async fn design_ids(&self, after: Option<DesignId>, limit_ids: usize) -> Result<Vec<DesignId>> {
        self.read(async |tx| checks::design_ids(tx, after, limit(limit_ids)).await).await
    }

    async fn remains(&self, design: DesignId) -> Result<Option<Remains>> {
        self.upkeep_read(async |tx| checks::remains(tx, design).await).await
    }
}
