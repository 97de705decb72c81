//! What a run of the analysis reads and writes.

use atlas_crdt::ids::{AnalysisId, DesignId, Seq};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::super::jobs;
use super::super::values::{column, counter, hash, id, instant, micros};
use super::{requests, triage};
use crate::store::analyses::{
    AnalysisOutcome, AnalysisState, CurrentAnalysis, FreshAnalysis, KeptAnalysis, POINTS_KEPT, StoredScore,
};
use crate::store::jobs::{JobKind, JobLease};
use crate::store::{Result, StoreError};

/// `now` in microseconds.
pub(super) async fn state(
    connection: &mut SqliteConnection,
    design: DesignId,
    now: i64,
) -> Result<Option<AnalysisState>> {
    let mut tx = connection.begin().await?;
    let head: Option<(i64, i64, i64, bool, bool)> = sqlx::query_as(
        "SELECT head_seq, analysed_seq, triage_no,
                EXISTS (SELECT 1 FROM triage WHERE design_id = ?1 AND expires_at <= ?2 AND NOT expiry_handled),
                EXISTS (SELECT 1 FROM analysis_requests WHERE design_id = ?1 AND finished_at IS NULL)
         FROM design_heads WHERE design_id = ?1",
    )
    .bind(id(design.as_u128()))
    .bind(now)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((head, analysed, triage_no, has_expired, is_requested)) = head else { return Ok(None) };
    let current: Option<(Uuid, Vec<u8>, String, i64)> = sqlx::query_as(
        "SELECT analysis.id, analysis.semantic_hash, analysis.ruleset_version, point.triage_no
         FROM analysis_points AS point JOIN analyses AS analysis ON analysis.id = point.analysis_id
         WHERE point.design_id = ?1 ORDER BY point.no DESC LIMIT 1",
    )
    .bind(id(design.as_u128()))
    .fetch_optional(&mut *tx)
    .await?;
    let triage = triage::of_design(&mut tx, design).await?;
    tx.commit().await?;
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
        now: instant(now)?,
    }))
}

pub(super) async fn kept(
    connection: &mut SqliteConnection,
    design: DesignId,
    semantic_hash: &[u8; 32],
    ruleset_version: &str,
) -> Result<Option<KeptAnalysis>> {
    let kept: Option<(Uuid, String, Option<String>, f64)> = sqlx::query_as(
        "SELECT id, issues, omitted, coverage FROM analyses
         WHERE design_id = ?1 AND semantic_hash = ?2 AND ruleset_version = ?3",
    )
    .bind(id(design.as_u128()))
    .bind(&semantic_hash[..])
    .bind(ruleset_version)
    .fetch_optional(connection)
    .await?;
    Ok(kept.map(|(id, issues, omitted, coverage)| KeptAnalysis {
        id: AnalysisId::from_u128(id.as_u128()),
        issues,
        omitted: omitted.unwrap_or_else(|| "[]".to_owned()),
        coverage,
    }))
}

async fn require_analysis(tx: &mut SqliteConnection, lease: JobLease) -> Result<()> {
    if lease.kind != JobKind::Analyze {
        return Err(StoreError::Fenced);
    }
    jobs::require(tx, lease).await
}

/// `now` in microseconds.
pub(super) async fn note_unchanged(
    tx: &mut SqliteConnection,
    lease: JobLease,
    seq: Seq,
    now: i64,
) -> Result<()> {
    require_analysis(tx, lease).await?;
    let done =
        sqlx::query("UPDATE design_heads SET analysed_seq = max(analysed_seq, ?2) WHERE design_id = ?1")
            .bind(id(lease.design.as_u128()))
            .bind(column(seq.get()))
            .execute(&mut *tx)
            .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::NoSuchDesign);
    }
    let current: Option<Uuid> = sqlx::query_scalar(
        "SELECT analysis_id FROM analysis_points WHERE design_id = ?1 ORDER BY no DESC LIMIT 1",
    )
    .bind(id(lease.design.as_u128()))
    .fetch_optional(&mut *tx)
    .await?;
    match current {
        Some(current) => requests::finish(tx, lease.design, current, seq, now).await,
        None => Ok(()),
    }
}

/// `now` in microseconds.
pub(super) async fn put(
    tx: &mut SqliteConnection,
    lease: JobLease,
    outcome: &AnalysisOutcome,
    now: i64,
) -> Result<u64> {
    require_analysis(tx, lease).await?;
    let design = id(lease.design.as_u128());
    let stored: Option<i64> =
        sqlx::query_scalar("SELECT no FROM analysis_points WHERE design_id = ?1 AND token = ?2")
            .bind(design)
            .bind(column(lease.token))
            .fetch_optional(&mut *tx)
            .await?;
    if let Some(no) = stored {
        return counter(no);
    }
    let no: Option<i64> = sqlx::query_scalar(
        "UPDATE design_heads SET analysis_no = analysis_no + 1, analysed_seq = max(analysed_seq, ?2)
         WHERE design_id = ?1 RETURNING analysis_no",
    )
    .bind(design)
    .bind(column(outcome.seq.get()))
    .fetch_optional(&mut *tx)
    .await?;
    let no = no.ok_or(StoreError::NoSuchDesign)?;
    if let Some(fresh) = &outcome.fresh {
        insert(tx, lease.design, outcome, fresh, now).await?;
    }
    let analysis: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM analyses WHERE design_id = ?1 AND semantic_hash = ?2 AND ruleset_version = ?3",
    )
    .bind(design)
    .bind(&outcome.semantic_hash[..])
    .bind(&outcome.ruleset_version)
    .fetch_optional(&mut *tx)
    .await?;
    let analysis = analysis.ok_or(StoreError::Fenced)?;
    add_point(tx, lease, outcome, (no, analysis), now).await?;
    rescore(tx, analysis, &outcome.score).await?;
    sqlx::query(
        "UPDATE triage SET expiry_handled = TRUE WHERE design_id = ?1 AND expires_at <= ?2 AND NOT expiry_handled",
    )
    .bind(design)
    .bind(micros(outcome.expired_until))
    .execute(&mut *tx)
    .await?;
    requests::finish(tx, lease.design, analysis, outcome.seq, now).await?;
    prune(tx, lease.design, no).await?;
    counter(no)
}

/// Whoever was faster has said the same.
async fn insert(
    tx: &mut SqliteConnection,
    design: DesignId,
    outcome: &AnalysisOutcome,
    fresh: &FreshAnalysis,
    now: i64,
) -> Result<()> {
    let score = &outcome.score;
    sqlx::query(
        "INSERT INTO analyses (id, design_id, semantic_hash, ruleset_version, content_hash, seq, state_vector,
                               security_score, grade, coverage, severity, findings_count, issues,
                               execution_time_ms, created_at, explanation, cap, omitted)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT (design_id, semantic_hash, ruleset_version) DO NOTHING",
    )
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
    .bind(&fresh.issues)
    .bind(column(fresh.execution_ms))
    .bind(now)
    .bind(&score.explanation)
    .bind(&score.cap)
    .bind(&fresh.omitted)
    .execute(tx)
    .await?;
    Ok(())
}

async fn add_point(
    tx: &mut SqliteConnection,
    lease: JobLease,
    outcome: &AnalysisOutcome,
    (no, analysis): (i64, Uuid),
    now: i64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO analysis_points (design_id, no, analysis_id, seq, triage_no, token, security_score, grade,
                                      severity, findings_count, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
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
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// The analysis shows the score of its newest point.
async fn rescore(tx: &mut SqliteConnection, analysis: Uuid, score: &StoredScore) -> Result<()> {
    sqlx::query(
        "UPDATE analyses SET security_score = ?2, grade = ?3, severity = ?4, findings_count = ?5, explanation = ?6,
                             cap = ?7
         WHERE id = ?1",
    )
    .bind(analysis)
    .bind(score.score)
    .bind(&score.grade)
    .bind(&score.severity)
    .bind(column(score.findings))
    .bind(&score.explanation)
    .bind(&score.cap)
    .execute(tx)
    .await?;
    Ok(())
}

/// The oldest points go, and the analyses that nothing names any more.
async fn prune(tx: &mut SqliteConnection, design: DesignId, no: i64) -> Result<()> {
    let gone = sqlx::query("DELETE FROM analysis_points WHERE design_id = ?1 AND no <= ?2")
        .bind(id(design.as_u128()))
        .bind(no - column(POINTS_KEPT))
        .execute(&mut *tx)
        .await?;
    if gone.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM analyses WHERE design_id = ?1
             AND NOT EXISTS (SELECT 1 FROM analysis_points AS point WHERE point.analysis_id = analyses.id)
             AND NOT EXISTS (SELECT 1 FROM analysis_requests AS asked WHERE asked.analysis_id = analyses.id)",
    )
    .bind(id(design.as_u128()))
    .execute(tx)
    .await?;
    Ok(())
}

/// `quiet_since` and `now` in microseconds.
pub(super) async fn unanalysed(
    connection: &mut SqliteConnection,
    quiet_since: i64,
    now: i64,
    limit: i64,
) -> Result<Vec<DesignId>> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT h.design_id FROM design_heads AS h
         WHERE ((h.analysed_seq < h.head_seq AND h.updated_at <= ?1)
                OR h.design_id IN (SELECT design_id FROM triage WHERE expires_at <= ?2 AND NOT expiry_handled))
           AND NOT EXISTS (SELECT 1 FROM jobs AS job WHERE job.kind = ?4 AND job.design_id = h.design_id
                           AND (job.dead_at IS NULL OR h.updated_at <= job.dead_at))
         ORDER BY h.updated_at DESC, h.design_id LIMIT ?3",
    )
    .bind(quiet_since)
    .bind(now)
    .bind(limit)
    .bind(JobKind::Analyze.as_str())
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().map(|design| DesignId::from_u128(design.as_u128())).collect())
}
