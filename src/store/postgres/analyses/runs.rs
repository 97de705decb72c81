//! What a run of the analysis reads and writes.

use atlas_crdt::ids::{AnalysisId, DesignId, Seq};
use sqlx::postgres::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::jobs;
use super::super::values::{column, counter, hash, id, json, micros};
use super::{requests, triage};
use crate::store::analyses::{
    AnalysisOutcome, AnalysisState, CurrentAnalysis, FreshAnalysis, KeptAnalysis, POINTS_KEPT, StoredScore,
};
use crate::store::jobs::{JobKind, JobLease};
use crate::store::{Result, StoreError};

pub(super) async fn state(tx: &mut PgConnection, design: DesignId) -> Result<Option<AnalysisState>> {
    let head: Option<(i64, i64, i64, bool, bool, OffsetDateTime)> = sqlx::query_as(
        "SELECT head_seq, analysed_seq, triage_no,
                EXISTS (SELECT 1 FROM triage WHERE design_id = $1 AND expires_at <= now() AND NOT expiry_handled),
                EXISTS (SELECT 1 FROM analysis_requests WHERE design_id = $1 AND finished_at IS NULL), now()
         FROM design_heads WHERE design_id = $1",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .fetch_optional(&mut *tx)
    .await?;
    let Some((head, analysed, triage_no, has_expired, is_requested, now)) = head else { return Ok(None) };
    let current: Option<(Uuid, Vec<u8>, String, i64)> = sqlx::query_as(
        "SELECT analysis.id, analysis.semantic_hash, analysis.ruleset_version, point.triage_no
         FROM analysis_points AS point JOIN analyses AS analysis ON analysis.id = point.analysis_id
         WHERE point.design_id = $1 ORDER BY point.no DESC LIMIT 1",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .fetch_optional(&mut *tx)
    .await?;
    let triage = triage::of_design(tx, design).await?;
    let current = match current {
        Some((id, semantic_hash, ruleset_version, triage_no)) => Some(CurrentAnalysis {
            id: AnalysisId::from_u128(id.as_u128()),
            semantic_hash: hash(semantic_hash)?,
            ruleset_version,
            triage_no: counter(triage_no)?,
        }),
        None => None,
    };
    Ok(Some(AnalysisState {
        head: Seq::new(counter(head)?),
        analysed: Seq::new(counter(analysed)?),
        triage_no: counter(triage_no)?,
        current,
        triage,
        has_expired,
        is_requested,
        now,
    }))
}

pub(super) async fn kept(
    tx: &mut PgConnection,
    design: DesignId,
    semantic_hash: &[u8; 32],
    ruleset_version: &str,
) -> Result<Option<KeptAnalysis>> {
    let kept: Option<(Uuid, String, Option<String>, f64)> = sqlx::query_as(
        "SELECT id, issues::text, omitted::text, coverage FROM analyses
         WHERE design_id = $1 AND semantic_hash = $2 AND ruleset_version = $3",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(&semantic_hash[..])
    .bind(ruleset_version)
    .fetch_optional(tx)
    .await?;
    Ok(kept.map(|(id, issues, omitted, coverage)| KeptAnalysis {
        id: AnalysisId::from_u128(id.as_u128()),
        issues,
        omitted: omitted.unwrap_or_else(|| "[]".to_owned()),
        coverage,
    }))
}

async fn require_analysis(tx: &mut PgConnection, lease: JobLease) -> Result<()> {
    if lease.kind != JobKind::Analyze {
        return Err(StoreError::Fenced);
    }
    // Last: the row of a job comes after everything else that is locked.
    jobs::require(tx, lease).await
}

pub(super) async fn note_unchanged(tx: &mut PgConnection, lease: JobLease, seq: Seq) -> Result<()> {
    let done =
        sqlx::query("UPDATE design_heads SET analysed_seq = greatest(analysed_seq, $2) WHERE design_id = $1")
            .persistent(false)
            .bind(id(lease.design.as_u128()))
            .bind(column(seq.get()))
            .execute(&mut *tx)
            .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::NoSuchDesign);
    }
    let current: Option<Uuid> = sqlx::query_scalar(
        "SELECT analysis_id FROM analysis_points WHERE design_id = $1 ORDER BY no DESC LIMIT 1",
    )
    .persistent(false)
    .bind(id(lease.design.as_u128()))
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(current) = current {
        requests::finish(tx, lease.design, current, seq).await?;
    }
    require_analysis(tx, lease).await
}

pub(super) async fn put(tx: &mut PgConnection, lease: JobLease, outcome: &AnalysisOutcome) -> Result<u64> {
    let design = id(lease.design.as_u128());
    // First, so that what the next statement sees includes whatever else was put under this lease.
    let head = sqlx::query("SELECT FROM design_heads WHERE design_id = $1 FOR NO KEY UPDATE")
        .persistent(false)
        .bind(design)
        .fetch_optional(&mut *tx)
        .await?;
    if head.is_none() {
        return Err(StoreError::NoSuchDesign);
    }
    let stored: Option<i64> =
        sqlx::query_scalar("SELECT no FROM analysis_points WHERE design_id = $1 AND token = $2")
            .persistent(false)
            .bind(design)
            .bind(column(lease.token))
            .fetch_optional(&mut *tx)
            .await?;
    if let Some(no) = stored {
        require_analysis(tx, lease).await?;
        return counter(no);
    }
    let no: i64 = sqlx::query_scalar(
        "UPDATE design_heads SET analysis_no = analysis_no + 1, analysed_seq = greatest(analysed_seq, $2)
         WHERE design_id = $1 RETURNING analysis_no",
    )
    .persistent(false)
    .bind(design)
    .bind(column(outcome.seq.get()))
    .fetch_one(&mut *tx)
    .await?;
    if let Some(fresh) = &outcome.fresh {
        insert(tx, lease.design, outcome, fresh).await?;
    }
    let analysis: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM analyses WHERE design_id = $1 AND semantic_hash = $2 AND ruleset_version = $3",
    )
    .persistent(false)
    .bind(design)
    .bind(&outcome.semantic_hash[..])
    .bind(&outcome.ruleset_version)
    .fetch_optional(&mut *tx)
    .await?;
    let analysis = analysis.ok_or(StoreError::Fenced)?;
    add_point(tx, lease, outcome, (no, analysis)).await?;
    rescore(tx, analysis, &outcome.score).await?;
    sqlx::query(
        "UPDATE triage SET expiry_handled = TRUE WHERE design_id = $1 AND expires_at <= $2 AND NOT expiry_handled",
    )
    .persistent(false)
    .bind(design)
    .bind(micros(outcome.expired_until))
    .execute(&mut *tx)
    .await?;
    requests::finish(tx, lease.design, analysis, outcome.seq).await?;
    prune(tx, lease.design, no).await?;
    require_analysis(tx, lease).await?;
    counter(no)
}

/// Whoever was faster has said the same.
async fn insert(
    tx: &mut PgConnection,
    design: DesignId,
    outcome: &AnalysisOutcome,
    fresh: &FreshAnalysis,
) -> Result<()> {
    let score = &outcome.score;
    sqlx::query(
        "INSERT INTO analyses (id, design_id, semantic_hash, ruleset_version, content_hash, seq, state_vector,
                               security_score, grade, coverage, severity, findings_count, issues,
                               execution_time_ms, created_at, explanation, cap, omitted)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8::float8::numeric, $9, $10, $11, $12, $13::jsonb, $14, now(),
                 $15::jsonb, $16::jsonb, $17::jsonb)
         ON CONFLICT (design_id, semantic_hash, ruleset_version) DO NOTHING",
    )
    .persistent(false)
    .bind(id(fresh.id.as_u128()))
    .bind(id(design.as_u128()))
    .bind(&outcome.semantic_hash[..])
    .bind(&outcome.ruleset_version)
    .bind(&fresh.content_hash[..])
    .bind(column(outcome.seq.get()))
    .bind(&fresh.state_vector[..])
    .bind(score.score)
    .bind(&score.grade)
    .bind(fresh.coverage)
    .bind(&score.severity)
    .bind(column(score.findings))
    .bind(json(&fresh.issues))
    .bind(column(fresh.execution_ms))
    .bind(json(&score.explanation))
    .bind(score.cap.as_deref().map(json))
    .bind(json(&fresh.omitted))
    .execute(tx)
    .await?;
    Ok(())
}

async fn add_point(
    tx: &mut PgConnection,
    lease: JobLease,
    outcome: &AnalysisOutcome,
    (no, analysis): (i64, Uuid),
) -> Result<()> {
    sqlx::query(
        "INSERT INTO analysis_points (design_id, no, analysis_id, seq, triage_no, token, security_score, grade,
                                      severity, findings_count, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7::float8::numeric, $8, $9, $10, now())",
    )
    .persistent(false)
    .bind(id(lease.design.as_u128()))
    .bind(no)
    .bind(analysis)
    .bind(column(outcome.seq.get()))
    .bind(column(outcome.triage_no))
    .bind(column(lease.token))
    .bind(outcome.score.score)
    .bind(&outcome.score.grade)
    .bind(&outcome.score.severity)
    .bind(column(outcome.score.findings))
    .execute(tx)
    .await?;
    Ok(())
}

/// The analysis shows the score of its newest point.
async fn rescore(tx: &mut PgConnection, analysis: Uuid, score: &StoredScore) -> Result<()> {
    sqlx::query(
        "UPDATE analyses SET security_score = $2::float8::numeric, grade = $3, severity = $4, findings_count = $5,
                             explanation = $6::jsonb, cap = $7::jsonb
         WHERE id = $1",
    )
    .persistent(false)
    .bind(analysis)
    .bind(score.score)
    .bind(&score.grade)
    .bind(&score.severity)
    .bind(column(score.findings))
    .bind(json(&score.explanation))
    .bind(score.cap.as_deref().map(json))
    .execute(tx)
    .await?;
    Ok(())
}

/// The oldest points go, and the analyses that nothing names any more.
async fn prune(tx: &mut PgConnection, design: DesignId, no: i64) -> Result<()> {
    let gone = sqlx::query("DELETE FROM analysis_points WHERE design_id = $1 AND no <= $2")
        .persistent(false)
        .bind(id(design.as_u128()))
        .bind(no - column(POINTS_KEPT))
        .execute(&mut *tx)
        .await?;
    if gone.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM analyses WHERE design_id = $1
             AND NOT EXISTS (SELECT 1 FROM analysis_points AS point WHERE point.analysis_id = analyses.id)
             AND NOT EXISTS (SELECT 1 FROM analysis_requests AS asked WHERE asked.analysis_id = analyses.id)",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .execute(tx)
    .await?;
    Ok(())
}

/// `quiet_us`: microseconds without an append.
pub(super) async fn unanalysed(tx: &mut PgConnection, quiet_us: i64, limit: i64) -> Result<Vec<DesignId>> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT h.design_id FROM design_heads AS h
         WHERE ((h.analysed_seq < h.head_seq AND h.updated_at <= now() - $1 * interval '1 microsecond')
                OR h.design_id IN (SELECT design_id FROM triage WHERE expires_at <= now() AND NOT expiry_handled))
           AND NOT EXISTS (SELECT 1 FROM jobs AS job WHERE job.kind = $3 AND job.design_id = h.design_id
                           AND (job.dead_at IS NULL OR h.updated_at <= job.dead_at))
         ORDER BY h.updated_at DESC, h.design_id LIMIT $2",
    )
    .persistent(false)
    .bind(quiet_us)
    .bind(limit)
    .bind(JobKind::Analyze.as_str())
    .fetch_all(tx)
    .await?;
    Ok(found.into_iter().map(|design| DesignId::from_u128(design.as_u128())).collect())
}
