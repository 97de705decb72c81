//! Folding, jobs, backlog and checks.

use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::{DesignId, PodId, Seq};

use super::SqliteStore;
use crate::store::folds::{
    ArchivedRow, BacklogBlob, BacklogSize, Fold, FoldPolicy, FoldState, Pruned, Remains,
};
use crate::store::jobs::{Job, JobEnd, JobKind, JobLease};
use crate::store::upkeep::Upkeep;
use crate::store::{Result, StoreError};

fn not_yet<T>() -> Result<T> {
    Err(StoreError::Unavailable(anyhow::anyhow!("not built yet")))
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn fold_state(&self, _design: DesignId) -> Result<Option<FoldState>> {
        not_yet()
    }

    async fn archive_rows(
        &self,
        _design: DesignId,
        _after: Seq,
        _rows: usize,
        _bytes: usize,
    ) -> Result<Vec<ArchivedRow>> {
        not_yet()
    }

    async fn commit_fold(&self, _lease: JobLease, _fold: Fold) -> Result<()> {
        not_yet()
    }

    async fn prune_folded(&self, _lease: JobLease, _rows: usize, _keep: Duration) -> Result<Pruned> {
        not_yet()
    }

    async fn unfolded(&self, _policy: FoldPolicy, _limit: usize) -> Result<Vec<DesignId>> {
        not_yet()
    }

    async fn forget_appends(&self, _keep: Duration) -> Result<u64> {
        not_yet()
    }

    async fn enqueue(&self, _kind: JobKind, _design: DesignId, _delay: Duration) -> Result<()> {
        not_yet()
    }

    async fn claim_job(&self, _kind: JobKind, _holder: PodId, _lease: Duration) -> Result<Option<Job>> {
        not_yet()
    }

    async fn renew_job(&self, _lease: JobLease, _lease_for: Duration) -> Result<()> {
        not_yet()
    }

    async fn end_job(&self, _lease: JobLease, _end: JobEnd) -> Result<()> {
        not_yet()
    }

    async fn add_to_backlog(&self, _blob: BacklogBlob) -> Result<()> {
        not_yet()
    }

    async fn backlog(&self, _limit: usize, _bytes: usize) -> Result<Vec<BacklogBlob>> {
        not_yet()
    }

    async fn remove_from_backlog(&self, _prefix: &str, _hash: [u8; 32]) -> Result<()> {
        not_yet()
    }

    async fn backlog_size(&self) -> Result<BacklogSize> {
        not_yet()
    }

    async fn design_ids(&self, _after: Option<DesignId>, _limit: usize) -> Result<Vec<DesignId>> {
        not_yet()
    }

    async fn remains(&self, _design: DesignId) -> Result<Option<Remains>> {
        not_yet()
    }
}
