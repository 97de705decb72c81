//! Folding, jobs, backlog and checks: [`Upkeep`], in the words of the modules beside this one.

use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::{DesignId, PodId, Seq};

use super::values::{before, later, limit};
use super::{SqliteStore, analyses, backlog, checks, folds, jobs};
use crate::store::Result;
use crate::store::folds::{
    ArchivedRow, BacklogBlob, BacklogSize, Fold, FoldPolicy, FoldState, Pruned, Remains,
};
use crate::store::jobs::{Job, JobEnd, JobKind, JobLease};
use crate::store::upkeep::Upkeep;

/// Append ids forgotten in one transaction, so that appends get in between.
const FORGET_ROWS: u32 = 1_000;

#[async_trait]
impl Upkeep for SqliteStore {
    async fn fold_state(&self, design: DesignId) -> Result<Option<FoldState>> {
        folds::state(&mut *self.loader().await?, design).await
    }

    async fn archive_rows(
        &self,
        design: DesignId,
        after: Seq,
        rows: usize,
        bytes: usize,
    ) -> Result<Vec<ArchivedRow>> {
        folds::rows(&mut *self.loader().await?, design, after, (rows, bytes)).await
    }

    async fn commit_fold(&self, lease: JobLease, fold: Fold) -> Result<()> {
        let now = self.now();
        self.writer.write(move |tx| Box::pin(async move { folds::commit(tx, lease, &fold, now).await })).await
    }

    async fn prune_folded(&self, lease: JobLease, rows: usize, keep: Duration) -> Result<Pruned> {
        let now = self.now();
        let plan = folds::plan(&mut *self.loader().await?, lease.design, rows, before(now, keep)).await?;
        let pruned = plan.step.pruned;
        self.writer
            .write(move |tx| Box::pin(async move { folds::prune(tx, lease, &plan, now).await }))
            .await?;
        Ok(pruned)
    }

    async fn unfolded(&self, policy: FoldPolicy, limit_rows: usize) -> Result<Vec<DesignId>> {
        let quiet_since = before(self.now(), policy.quiet_for);
        folds::unfolded(&mut *self.reader().await?, policy, quiet_since, limit(limit_rows)).await
    }

    async fn forget_appends(&self, keep: Duration) -> Result<u64> {
        let before = before(self.now(), keep);
        let mut forgotten = 0;
        loop {
            let rows = self.writer.write(move |tx| Box::pin(folds::forget(tx, before, FORGET_ROWS.into())));
            let rows = rows.await?;
            forgotten += rows;
            if rows < FORGET_ROWS.into() {
                return Ok(forgotten);
            }
        }
    }

    async fn enqueue(&self, kind: JobKind, design: DesignId, delay: Duration) -> Result<()> {
        let now = self.now();
        let times = (later(now, delay), now);
        self.writer.write(move |tx| Box::pin(jobs::enqueue(tx, kind, design, times))).await
    }

    async fn claim_job(&self, kind: JobKind, holder: PodId, lease: Duration) -> Result<Option<Job>> {
        let now = self.now();
        // Somebody asks every moment, and nearly always there is nothing: the writer need not hear of it.
        if !jobs::is_due(&mut *self.reader().await?, kind, now).await? {
            return Ok(None);
        }
        let times = (later(now, lease), now);
        self.writer.write(move |tx| Box::pin(jobs::claim(tx, kind, holder, times))).await
    }

    async fn renew_job(&self, lease: JobLease, lease_for: Duration) -> Result<()> {
        let until = later(self.now(), lease_for);
        self.writer.write(move |tx| Box::pin(jobs::renew(tx, lease, until))).await
    }

    async fn end_job(&self, lease: JobLease, end: JobEnd) -> Result<()> {
        let now = self.now();
        self.writer
            .write(move |tx| {
                Box::pin(async move {
                    match end {
                        JobEnd::Done => jobs::done(tx, lease).await,
                        JobEnd::Later(delay) => jobs::put_off(tx, lease, later(now, delay)).await,
                        JobEnd::Failed { retry_in, reason } => {
                            jobs::failed(tx, lease, later(now, retry_in), &reason).await
                        }
                        JobEnd::GivenUp { reason } => {
                            if lease.kind == JobKind::Analyze {
                                analyses::fail_all(tx, lease.design, now).await?;
                            }
                            jobs::give_up(tx, lease, &reason, now).await
                        }
                    }
                })
            })
            .await
    }

    async fn add_to_backlog(&self, blob: BacklogBlob) -> Result<()> {
        let now = self.now();
        self.writer.write(move |tx| Box::pin(async move { backlog::add(tx, &blob, now).await })).await
    }

    async fn backlog(&self, after: u64, limit_blobs: usize, bytes: usize) -> Result<Vec<(u64, BacklogBlob)>> {
        backlog::oldest(&mut *self.loader().await?, after, limit(limit_blobs), limit(bytes)).await
    }

    async fn remove_from_backlog(&self, prefix: &str, hash: [u8; 32]) -> Result<()> {
        let prefix = prefix.to_owned();
        self.writer.write(move |tx| Box::pin(async move { backlog::remove(tx, &prefix, hash).await })).await
    }

    async fn backlog_size(&self) -> Result<BacklogSize> {
        backlog::size(&mut *self.reader().await?).await
    }

    async fn design_ids(&self, after: Option<DesignId>, limit_ids: usize) -> Result<Vec<DesignId>> {
        checks::design_ids(&mut *self.reader().await?, after, limit(limit_ids)).await
    }

    async fn remains(&self, design: DesignId) -> Result<Option<Remains>> {
        checks::remains(&mut *self.loader().await?, design).await
    }
}
