//! Who asked for an analysis by name, and what became of it.

use atlas_crdt::ids::{AnalysisId, AnalysisRequestId, DesignId, Seq};
use sqlx::postgres::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::jobs;
use super::super::values::{column, counter, id, or_conflict};
use crate::store::analyses::{AnalysisRequest, NewAnalysisRequest, REQUEST_FAILED};
use crate::store::jobs::{JobKind, JobLease};
use crate::store::{Result, StoreError};

pub(super) async fn insert(tx: &mut PgConnection, request: NewAnalysisRequest) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO analysis_requests (id, design_id, requested_by, seq, created_at)
         SELECT $1, design_id, (SELECT id FROM users WHERE id = $3), head_seq, now()
         FROM design_heads WHERE design_id = $2 FOR KEY SHARE",
    )
    .persistent(false)
    .bind(id(request.id.as_u128()))
    .bind(id(request.design.as_u128()))
    .bind(id(request.by.as_u128()))
    .execute(&mut *tx)
    .await
    .map_err(|error| or_conflict(error, "this request"))?;
    if done.rows_affected() == 0 {
        return Err(StoreError::NoSuchDesign);
    }
    jobs::enqueue(tx, JobKind::Analyze, request.design, 0).await
}

/// A row of a request: id, design, created, started, finished, attempts, progress, analysis, error.
type Stored = (
    Uuid,
    Uuid,
    OffsetDateTime,
    Option<OffsetDateTime>,
    Option<OffsetDateTime>,
    i64,
    i64,
    Option<Uuid>,
    Option<String>,
);

pub(super) async fn get(
    tx: &mut PgConnection,
    request: AnalysisRequestId,
) -> Result<Option<AnalysisRequest>> {
    let stored: Option<Stored> = sqlx::query_as(
        "SELECT id, design_id, created_at, started_at, finished_at, attempts, progress, analysis_id, error
         FROM analysis_requests WHERE id = $1",
    )
    .persistent(false)
    .bind(id(request.as_u128()))
    .fetch_optional(tx)
    .await?;
    stored.map(read).transpose()
}

fn read(stored: Stored) -> Result<AnalysisRequest> {
    let (id, design, created_at, started_at, finished_at, attempts, progress, analysis, error) = stored;
    Ok(AnalysisRequest {
        id: AnalysisRequestId::from_u128(id.as_u128()),
        design: DesignId::from_u128(design.as_u128()),
        created_at,
        started_at,
        finished_at,
        attempts: counter(attempts)?,
        progress: counter(progress)?,
        analysis: analysis.map(|id| AnalysisId::from_u128(id.as_u128())),
        error,
    })
}

pub(super) async fn note_progress(
    tx: &mut PgConnection,
    lease: JobLease,
    (attempt, percent): (u32, u8),
) -> Result<()> {
    sqlx::query(
        "UPDATE analysis_requests SET started_at = coalesce(started_at, now()), attempts = $2, progress = $3
         WHERE design_id = $1 AND finished_at IS NULL",
    )
    .persistent(false)
    .bind(id(lease.design.as_u128()))
    .bind(i64::from(attempt))
    .bind(i64::from(percent))
    .execute(&mut *tx)
    .await?;
    jobs::require(tx, lease).await
}

/// Ends those that asked for no more of the log than `seq`.
pub(super) async fn finish(tx: &mut PgConnection, design: DesignId, analysis: Uuid, seq: Seq) -> Result<()> {
    sqlx::query(
        "UPDATE analysis_requests
         SET started_at = coalesce(started_at, now()), finished_at = now(), progress = 100, analysis_id = $2,
             attempts = greatest(attempts, 1)
         WHERE design_id = $1 AND finished_at IS NULL AND seq <= $3",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(analysis)
    .bind(column(seq.get()))
    .execute(tx)
    .await?;
    Ok(())
}

/// The job was given up.
pub(in super::super) async fn fail_all(tx: &mut PgConnection, design: DesignId) -> Result<()> {
    sqlx::query(
        "UPDATE analysis_requests SET finished_at = now(), error = $2 WHERE design_id = $1 AND finished_at IS NULL",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(REQUEST_FAILED)
    .execute(tx)
    .await?;
    Ok(())
}

/// Those made at least `keep_us` microseconds ago.
pub(super) async fn forget(tx: &mut PgConnection, keep_us: i64) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM analysis_requests WHERE created_at <= now() - $1 * interval '1 microsecond'",
    )
    .persistent(false)
    .bind(keep_us)
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}
