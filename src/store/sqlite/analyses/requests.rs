//! Who asked for an analysis by name, and what became of it.

use atlas_crdt::ids::{AnalysisId, AnalysisRequestId, DesignId, Seq};
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::super::jobs;
use super::super::values::{column, counter, id, instant, or_conflict};
use crate::store::analyses::{AnalysisRequest, NewAnalysisRequest, REQUEST_FAILED};
use crate::store::jobs::{JobKind, JobLease};
use crate::store::{Result, StoreError};

/// `now` in microseconds.
pub(super) async fn insert(tx: &mut SqliteConnection, request: NewAnalysisRequest, now: i64) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO analysis_requests (id, design_id, requested_by, seq, created_at)
         SELECT ?1, design_id, (SELECT id FROM users WHERE id = ?3), head_seq, ?4 FROM design_heads WHERE design_id = ?2",
    )
    .bind(id(request.id.as_u128()))
    .bind(id(request.design.as_u128()))
    .bind(id(request.by.as_u128()))
    .bind(now)
    .execute(&mut *tx)
    .await
    .map_err(|error| or_conflict(error, "this request"))?;
    if done.rows_affected() == 0 {
        return Err(StoreError::NoSuchDesign);
    }
    jobs::enqueue(tx, JobKind::Analyze, request.design, (now, now)).await
}

/// A row of a request: id, design, created, started, finished, attempts, progress, analysis, error.
type Stored = (Uuid, Uuid, i64, Option<i64>, Option<i64>, i64, i64, Option<Uuid>, Option<String>);

pub(super) async fn get(
    connection: &mut SqliteConnection,
    request: AnalysisRequestId,
) -> Result<Option<AnalysisRequest>> {
    let stored: Option<Stored> = sqlx::query_as(
        "SELECT id, design_id, created_at, started_at, finished_at, attempts, progress, analysis_id, error
         FROM analysis_requests WHERE id = ?1",
    )
    .bind(id(request.as_u128()))
    .fetch_optional(connection)
    .await?;
    stored.map(read).transpose()
}

fn read(stored: Stored) -> Result<AnalysisRequest> {
    let (id, design, created_at, started_at, finished_at, attempts, progress, analysis, error) = stored;
    Ok(AnalysisRequest {
        id: AnalysisRequestId::from_u128(id.as_u128()),
        design: DesignId::from_u128(design.as_u128()),
        created_at: instant(created_at)?,
        started_at: started_at.map(instant).transpose()?,
        finished_at: finished_at.map(instant).transpose()?,
        attempts: counter(attempts)?,
        progress: counter(progress)?,
        analysis: analysis.map(|id| AnalysisId::from_u128(id.as_u128())),
        error,
    })
}

/// `now` in microseconds.
pub(super) async fn note_progress(
    tx: &mut SqliteConnection,
    lease: JobLease,
    (attempt, percent): (u32, u8),
    now: i64,
) -> Result<()> {
    jobs::require(tx, lease).await?;
    sqlx::query(
        "UPDATE analysis_requests SET started_at = coalesce(started_at, ?2), attempts = ?3, progress = ?4
         WHERE design_id = ?1 AND finished_at IS NULL",
    )
    .bind(id(lease.design.as_u128()))
    .bind(now)
    .bind(i64::from(attempt))
    .bind(i64::from(percent))
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends those that asked for no more of the log than `seq`. `now` in microseconds.
pub(super) async fn finish(
    tx: &mut SqliteConnection,
    design: DesignId,
    analysis: Uuid,
    seq: Seq,
    now: i64,
) -> Result<()> {
    sqlx::query(
        "UPDATE analysis_requests
         SET started_at = coalesce(started_at, ?4), finished_at = ?4, progress = 100, analysis_id = ?2,
             attempts = max(attempts, 1)
         WHERE design_id = ?1 AND finished_at IS NULL AND seq <= ?3",
    )
    .bind(id(design.as_u128()))
    .bind(analysis)
    .bind(column(seq.get()))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// The job was given up. `now` in microseconds.
pub(in super::super) async fn fail_all(tx: &mut SqliteConnection, design: DesignId, now: i64) -> Result<()> {
    sqlx::query(
        "UPDATE analysis_requests SET finished_at = ?2, error = ?3 WHERE design_id = ?1 AND finished_at IS NULL",
    )
    .bind(id(design.as_u128()))
    .bind(now)
    .bind(REQUEST_FAILED)
    .execute(tx)
    .await?;
    Ok(())
}

/// Those made before `before` (microseconds).
pub(super) async fn forget(tx: &mut SqliteConnection, before: i64) -> Result<u64> {
    let done =
        sqlx::query("DELETE FROM analysis_requests WHERE created_at <= ?1").bind(before).execute(tx).await?;
    Ok(done.rows_affected())
}
