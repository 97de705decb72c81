//! Jobs: who may do what is to be done. The database's clock times the leases, since pods' clocks differ.

use atlas_crdt::ids::{DesignId, PodId};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::values::{column, counter, id, text};
use crate::store::jobs::{Job, JobKind, JobLease};
use crate::store::{Result, StoreError};

/// `delay_us` in microseconds.
pub(super) async fn enqueue(
    tx: &mut PgConnection,
    kind: JobKind,
    design: DesignId,
    delay_us: i64,
) -> Result<()> {
    // A holder whose lease ran out may still come to its end: until somebody else claims the job it counts as running.
    // One that failed keeps its time: asking must not end the wait between two tries. One that was given up begins anew.
    sqlx::query(
        "INSERT INTO jobs AS job (kind, design_id, due_at, created_at)
         VALUES ($1, $2, now() + $3 * interval '1 microsecond', now())
         ON CONFLICT (kind, design_id) DO UPDATE SET
             due_at = CASE WHEN job.dead_at IS NOT NULL THEN excluded.due_at
                           WHEN job.holder IS NULL AND job.failures = 0
                           THEN least(job.due_at, excluded.due_at) ELSE job.due_at END,
             failures = CASE WHEN job.dead_at IS NOT NULL THEN 0 ELSE job.failures END,
             dead_at = NULL,
             again_at = CASE WHEN job.holder IS NULL THEN NULL ELSE least(job.again_at, excluded.due_at) END",
    )
    .persistent(false)
    .bind(kind.as_str())
    .bind(id(design.as_u128()))
    .bind(delay_us)
    .execute(tx)
    .await?;
    Ok(())
}

/// `lease_us` in microseconds. What another pod has just locked is skipped: it is being claimed, or written under.
pub(super) async fn claim(
    tx: &mut PgConnection,
    kind: JobKind,
    holder: PodId,
    lease_us: i64,
) -> Result<Option<Job>> {
    // What asked for it again before now is served by this run.
    let claimed: Option<(Uuid, i64, i64)> = sqlx::query_as(
        "WITH due AS MATERIALIZED (
             SELECT design_id, failures FROM jobs WHERE kind = $1 AND due_at <= now()
             ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs AS job SET
             due_at = now() + $3 * interval '1 microsecond', holder = $2, token = nextval('job_tokens'),
             failures = job.failures + 1,
             again_at = CASE WHEN job.again_at <= now() THEN NULL ELSE job.again_at END
         FROM due WHERE job.kind = $1 AND job.design_id = due.design_id
         RETURNING job.design_id, job.token, due.failures",
    )
    .persistent(false)
    .bind(kind.as_str())
    .bind(holder.get().cast_signed())
    .bind(lease_us)
    .fetch_optional(tx)
    .await?;
    let Some((design, token, failures)) = claimed else { return Ok(None) };
    let design = DesignId::from_u128(design.as_u128());
    let lease = JobLease { kind, design, holder, token: counter(token)? };
    Ok(Some(Job { lease, failures: u32::try_from(failures).unwrap_or(u32::MAX) }))
}

/// Fails as `Fenced` unless the job is the caller's now. Somebody else may claim it at once.
pub(super) async fn look(tx: &mut PgConnection, lease: JobLease) -> Result<()> {
    let found =
        sqlx::query("SELECT FROM jobs WHERE kind = $1 AND design_id = $2 AND holder = $3 AND token = $4")
            .persistent(false)
            .bind(lease.kind.as_str())
            .bind(id(lease.design.as_u128()))
            .bind(lease.holder.get().cast_signed())
            .bind(column(lease.token))
            .fetch_optional(tx)
            .await?;
    found.map(|_| ()).ok_or(StoreError::Fenced)
}

/// Fails as `Fenced` unless the job is still the caller's. Nobody else can claim it before the transaction ends.
pub(super) async fn require(tx: &mut PgConnection, lease: JobLease) -> Result<()> {
    let found = sqlx::query(
        "SELECT FROM jobs WHERE kind = $1 AND design_id = $2 AND holder = $3 AND token = $4 FOR SHARE",
    )
    .persistent(false)
    .bind(lease.kind.as_str())
    .bind(id(lease.design.as_u128()))
    .bind(lease.holder.get().cast_signed())
    .bind(column(lease.token))
    .fetch_optional(tx)
    .await?;
    found.map(|_| ()).ok_or(StoreError::Fenced)
}

/// As [`require`], for whoever is about to change the row.
async fn hold(tx: &mut PgConnection, lease: JobLease) -> Result<()> {
    let found = sqlx::query(
        "SELECT FROM jobs WHERE kind = $1 AND design_id = $2 AND holder = $3 AND token = $4 FOR UPDATE",
    )
    .persistent(false)
    .bind(lease.kind.as_str())
    .bind(id(lease.design.as_u128()))
    .bind(lease.holder.get().cast_signed())
    .bind(column(lease.token))
    .fetch_optional(tx)
    .await?;
    found.map(|_| ()).ok_or(StoreError::Fenced)
}

/// `lease_us` in microseconds.
pub(super) async fn renew(tx: &mut PgConnection, lease: JobLease, lease_us: i64) -> Result<()> {
    hold(tx, lease).await?;
    sqlx::query(
        "UPDATE jobs SET due_at = now() + $3 * interval '1 microsecond' WHERE kind = $1 AND design_id = $2",
    )
    .persistent(false)
    .bind(lease.kind.as_str())
    .bind(id(lease.design.as_u128()))
    .bind(lease_us)
    .execute(tx)
    .await?;
    Ok(())
}

/// A job that is done goes, unless it was asked for again.
pub(super) async fn done(tx: &mut PgConnection, lease: JobLease) -> Result<()> {
    hold(tx, lease).await?;
    sqlx::query("DELETE FROM jobs WHERE kind = $1 AND design_id = $2 AND again_at IS NULL")
        .persistent(false)
        .bind(lease.kind.as_str())
        .bind(id(lease.design.as_u128()))
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "UPDATE jobs SET due_at = again_at, again_at = NULL, holder = NULL, failures = 0, reason = NULL
         WHERE kind = $1 AND design_id = $2",
    )
    .persistent(false)
    .bind(lease.kind.as_str())
    .bind(id(lease.design.as_u128()))
    .execute(tx)
    .await?;
    Ok(())
}

/// `delay_us` in microseconds; sooner if it was asked for again for an earlier time.
pub(super) async fn put_off(tx: &mut PgConnection, lease: JobLease, delay_us: i64) -> Result<()> {
    hold(tx, lease).await?;
    sqlx::query(
        "UPDATE jobs SET due_at = least(now() + $3 * interval '1 microsecond', again_at), again_at = NULL,
                         holder = NULL, failures = 0, reason = NULL
         WHERE kind = $1 AND design_id = $2",
    )
    .persistent(false)
    .bind(lease.kind.as_str())
    .bind(id(lease.design.as_u128()))
    .bind(delay_us)
    .execute(tx)
    .await?;
    Ok(())
}

/// `delay_us` in microseconds. Who asked for it again meanwhile waits for the same try.
pub(super) async fn failed(
    tx: &mut PgConnection,
    lease: JobLease,
    delay_us: i64,
    reason: &str,
) -> Result<()> {
    hold(tx, lease).await?;
    sqlx::query(
        "UPDATE jobs SET due_at = now() + $3 * interval '1 microsecond', again_at = NULL, holder = NULL, reason = $4
         WHERE kind = $1 AND design_id = $2",
    )
    .persistent(false)
    .bind(lease.kind.as_str())
    .bind(id(lease.design.as_u128()))
    .bind(delay_us)
    .bind(text(reason))
    .execute(tx)
    .await?;
    Ok(())
}

/// It stays as it is until somebody asks for it; if somebody has meanwhile, it begins anew.
pub(super) async fn give_up(tx: &mut PgConnection, lease: JobLease, reason: &str) -> Result<()> {
    hold(tx, lease).await?;
    // Far off, so that who looks for what is due passes by.
    sqlx::query(
        "UPDATE jobs SET due_at = coalesce(again_at, now() + interval '1000 years'),
                         dead_at = CASE WHEN again_at IS NULL THEN now() END,
                         failures = CASE WHEN again_at IS NULL THEN failures ELSE 0 END,
                         again_at = NULL, holder = NULL, reason = $3
         WHERE kind = $1 AND design_id = $2",
    )
    .persistent(false)
    .bind(lease.kind.as_str())
    .bind(id(lease.design.as_u128()))
    .bind(text(reason))
    .execute(tx)
    .await?;
    Ok(())
}

/// With the design: whoever works on it is fenced, and its blobs are to be erased.
pub(super) async fn follow_deletion(tx: &mut PgConnection, design: DesignId) -> Result<()> {
    sqlx::query("DELETE FROM jobs WHERE kind IN ($1, $2) AND design_id = $3")
        .persistent(false)
        .bind(JobKind::Compact.as_str())
        .bind(JobKind::Analyze.as_str())
        .bind(id(design.as_u128()))
        .execute(&mut *tx)
        .await?;
    enqueue(tx, JobKind::Erase, design, 0).await
}
