//! Analyses, their history, decisions and requests: [`Analyses`], in the words of the modules below this one.

use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::{AnalysisId, AnalysisRequestId, DesignId, Seq, UserId};

use super::SqliteStore;
use super::values::{before, limit};
use crate::store::Result;
use crate::store::analyses::{
    Analyses, Analysis, AnalysisOutcome, AnalysisPoint, AnalysisRequest, AnalysisState, Decision,
    KeptAnalysis, NewAnalysisRequest, Triage,
};
use crate::store::jobs::JobLease;

mod reads;
mod requests;
mod runs;
mod triage;

pub(super) use reads::summary;
pub(super) use requests::fail_all;

#[async_trait]
impl Analyses for SqliteStore {
    async fn analysis_state(&self, design: DesignId) -> Result<Option<AnalysisState>> {
        runs::state(&mut *self.reader().await?, design, self.now()).await
    }

    async fn kept_analysis(
        &self,
        design: DesignId,
        semantic_hash: [u8; 32],
        ruleset_version: &str,
    ) -> Result<Option<KeptAnalysis>> {
        runs::kept(&mut *self.reader().await?, design, &semantic_hash, ruleset_version).await
    }

    async fn note_progress(&self, lease: JobLease, attempt: u32, percent: u8) -> Result<()> {
        let now = self.now();
        self.writer
            .write(move |tx| Box::pin(requests::note_progress(tx, lease, (attempt, percent), now)))
            .await
    }

    async fn note_unchanged(&self, lease: JobLease, seq: Seq) -> Result<()> {
        let now = self.now();
        self.writer.write(move |tx| Box::pin(runs::note_unchanged(tx, lease, seq, now))).await
    }

    async fn put_analysis(&self, lease: JobLease, outcome: AnalysisOutcome) -> Result<u64> {
        let now = self.now();
        self.writer.write(move |tx| Box::pin(async move { runs::put(tx, lease, &outcome, now).await })).await
    }

    async fn unanalysed(&self, quiet_for: Duration, limit_designs: usize) -> Result<Vec<DesignId>> {
        let now = self.now();
        let (quiet_since, limit) = (before(now, quiet_for), limit(limit_designs));
        runs::unanalysed(&mut *self.reader().await?, quiet_since, now, limit).await
    }

    async fn forget_requests(&self, keep: Duration) -> Result<u64> {
        let before = before(self.now(), keep);
        self.writer.write(move |tx| Box::pin(requests::forget(tx, before))).await
    }

    async fn latest_analysis(&self, design: DesignId) -> Result<Option<Analysis>> {
        reads::latest(&mut *self.reader().await?, design).await
    }

    async fn analysis(&self, design: DesignId, id: AnalysisId) -> Result<Option<Analysis>> {
        reads::one(&mut *self.reader().await?, design, id).await
    }

    async fn analysis_history(
        &self,
        design: DesignId,
        before: Option<u64>,
        limit_points: usize,
    ) -> Result<Vec<AnalysisPoint>> {
        reads::history(&mut *self.reader().await?, design, before, limit(limit_points)).await
    }

    async fn request_analysis(&self, request: NewAnalysisRequest) -> Result<()> {
        let now = self.now();
        self.writer.write(move |tx| Box::pin(requests::insert(tx, request, now))).await
    }

    async fn analysis_request(&self, id: AnalysisRequestId) -> Result<Option<AnalysisRequest>> {
        requests::get(&mut *self.reader().await?, id).await
    }

    async fn triage(&self, design: DesignId) -> Result<Vec<Triage>> {
        triage::of_design(&mut *self.reader().await?, design).await
    }

    async fn put_triage(
        &self,
        design: DesignId,
        fingerprint: [u8; 32],
        decision: Decision,
        by: UserId,
    ) -> Result<Option<Triage>> {
        let now = self.now();
        let work = self.writer.write(move |tx| {
            Box::pin(async move { triage::put(tx, (design, fingerprint), &decision, by, now).await })
        });
        work.await
    }
}
