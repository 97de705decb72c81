//! Analyses, their history, decisions and requests: [`Analyses`], in the words of the modules below this one.

use std::time::Duration;

use async_trait::async_trait;
use atlas_crdt::ids::{AnalysisId, AnalysisRequestId, DesignId, Seq, UserId};

use super::PgStore;
use super::values::{duration, limit};
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
impl Analyses for PgStore {
    async fn analysis_state(&self, design: DesignId) -> Result<Option<AnalysisState>> {
        self.read(async |tx| runs::state(tx, design).await).await
    }

    async fn kept_analysis(
        &self,
        design: DesignId,
        semantic_hash: [u8; 32],
        ruleset_version: &str,
    ) -> Result<Option<KeptAnalysis>> {
        self.read(async |tx| runs::kept(tx, design, &semantic_hash, ruleset_version).await).await
    }

    async fn note_progress(&self, lease: JobLease, attempt: u32, percent: u8) -> Result<()> {
        self.write(async |tx| requests::note_progress(tx, lease, (attempt, percent)).await).await
    }

    async fn note_unchanged(&self, lease: JobLease, seq: Seq) -> Result<()> {
        self.write(async |tx| runs::note_unchanged(tx, lease, seq).await).await
    }

    async fn put_analysis(&self, lease: JobLease, outcome: AnalysisOutcome) -> Result<u64> {
        self.write(async |tx| runs::put(tx, lease, &outcome).await).await
    }

    async fn unanalysed(&self, quiet_for: Duration, limit_designs: usize) -> Result<Vec<DesignId>> {
        let quiet_us = duration(quiet_for);
        self.upkeep_read(async |tx| runs::unanalysed(tx, quiet_us, limit(limit_designs)).await).await
    }

    async fn forget_requests(&self, keep: Duration) -> Result<u64> {
        self.upkeep_write(async |tx| requests::forget(tx, duration(keep)).await).await
    }

    async fn latest_analysis(&self, design: DesignId) -> Result<Option<Analysis>> {
        self.read(async |tx| reads::latest(tx, design).await).await
    }

    async fn analysis(&self, design: DesignId, id: AnalysisId) -> Result<Option<Analysis>> {
        self.read(async |tx| reads::one(tx, design, id).await).await
    }

    async fn analysis_history(
        &self,
        design: DesignId,
        before: Option<u64>,
        limit_points: usize,
    ) -> Result<Vec<AnalysisPoint>> {
        self.read(async |tx| reads::history(tx, design, before, limit(limit_points)).await).await
    }

    async fn request_analysis(&self, request: NewAnalysisRequest) -> Result<()> {
        self.write(async |tx| requests::insert(tx, request).await).await
    }

    async fn analysis_request(&self, id: AnalysisRequestId) -> Result<Option<AnalysisRequest>> {
        self.read(async |tx| requests::get(tx, id).await).await
    }

    async fn triage(&self, design: DesignId) -> Result<Vec<Triage>> {
        self.read(async |tx| triage::of_design(tx, design).await).await
    }

    async fn put_triage(
        &self,
        design: DesignId,
        fingerprint: [u8; 32],
        decision: Decision,
        by: UserId,
    ) -> Result<Option<Triage>> {
        self.write(async |tx| triage::put(tx, (design, fingerprint), &decision, by).await).await
    }
}
