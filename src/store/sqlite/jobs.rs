//! Jobs: who may do what is to be done. One process has this database, so the pod's clock times the leases.

use atlas_crdt::ids::{DesignId, PodId};
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::values::{column, counter, id};
use crate::store::jobs::{Job, JobKind, JobLease};
use crate::store::{Result, StoreError};

/// `at` and `now` in microseconds.
pub(super) async fn enqueue(
    tx: &mut SqliteConnection,
    kind: JobKind,
    design: DesignId,
    (at, now): (i64, i64),
) -> Result<()> {
    // A holder whose lease ran out may still come to its end: until somebody else claims the job it counts as running.
    // One that failed keeps its time: asking must not end the wait between two tries. One that was given up begins anew.
    sqlx::query(
        "INSERT INTO jobs (kind, design_id, due_at, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (kind, design_id) DO UPDATE SET
             due_at = CASE WHEN dead_at IS NOT NULL THEN excluded.due_at
                           WHEN holder IS NULL AND failures = 0 THEN min(due_at, excluded.due_at) ELSE due_at END,
             failures = CASE WHEN dead_at IS NOT NULL THEN 0 ELSE failures END,
             dead_at = NULL,
             again_at = CASE WHEN holder IS NULL THEN NULL
                             ELSE min(coalesce(again_at, excluded.due_at), excluded.due_at) END",
    )
    .bind(kind.as_str())
    .bind(id(design.as_u128()))
    .bind(at)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether a claim would find something.
pub(super) async fn is_due(connection: &mut SqliteConnection, kind: JobKind, now: i64) -> Result<bool> {
    let found = sqlx::query("SELECT 1 FROM jobs WHERE kind = ?1 AND due_at <= ?2 LIMIT 1")
        .bind(kind.as_str())
        .bind(now)
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// `until`: the end of the lease. Times in microseconds.
pub(super) async fn claim(
    tx: &mut SqliteConnection,
    kind: JobKind,
    holder: PodId,
    (until, now): (i64, i64),
) -> Result<Option<Job>> {
    let due: Option<(Uuid, i64)> = sqlx::query_as(
        "SELECT design_id, failures FROM jobs WHERE kind = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT 1",
    )
    .bind(kind.as_str())
    .bind(now)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((design, failures)) = due else { return Ok(None) };
    let token: i64 = sqlx::query_scalar("UPDATE job_tokens SET last = last + 1 RETURNING last")
        .fetch_one(&mut *tx)
        .await?;
    // What asked for it again before now is served by this run.
    sqlx::query(
        "UPDATE jobs SET due_at = ?3, holder = ?4, token = ?5, failures = failures + 1,
                         again_at = CASE WHEN again_at <= ?6 THEN NULL ELSE again_at END
         WHERE kind = ?1 AND design_id = ?2",
    )
    .bind(kind.as_str())
    .bind(design)
    .bind(until)
    .bind(holder.get().cast_signed())
    .bind(token)
    .bind(now)
    .execute(tx)
    .await?;
    let design = DesignId::from_u128(design.as_u128());
    let lease = JobLease { kind, design, holder, token: counter(token)? };
    Ok(Some(Job { lease, failures: u32::try_from(failures).unwrap_or(u32::MAX) }))
}

/// Fails as `Fenced` unless the job is still the caller's. Nobody else can claim it before the transaction ends.
pub(super) async fn require(tx: &mut SqliteConnection, lease: JobLease) -> Result<()> {
    let found =
        sqlx::query("SELECT 1 FROM jobs WHERE kind = ?1 AND design_id = ?2 AND holder = ?3 AND token = ?4")
            .bind(lease.kind.as_str())
            .bind(id(lease.design.as_u128()))
            .bind(lease.holder.get().cast_signed())
            .bind(column(lease.token))
            .fetch_optional(tx)
            .await?;
    found.map(|_| ()).ok_or(StoreError::Fenced)
}

/// `until` in microseconds.
pub(super) async fn renew(tx: &mut SqliteConnection, lease: JobLease, until: i64) -> Result<()> {
    require(tx, lease).await?;
    sqlx::query("UPDATE jobs SET due_at = ?3 WHERE kind = ?1 AND design_id = ?2")
        .bind(lease.kind.as_str())
        .bind(id(lease.design.as_u128()))
        .bind(until)
        .execute(tx)
        .await?;
    Ok(())
}

/// A job that is done goes, unless it was asked for again.
pub(super) async fn done(tx: &mut SqliteConnection, lease: JobLease) -> Result<()> {
    require(tx, lease).await?;
    sqlx::query("DELETE FROM jobs WHERE kind = ?1 AND design_id = ?2 AND again_at IS NULL")
        .bind(lease.kind.as_str())
        .bind(id(lease.design.as_u128()))
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "UPDATE jobs SET due_at = again_at, again_at = NULL, holder = NULL, failures = 0, reason = NULL
         WHERE kind = ?1 AND design_id = ?2",
    )
    .bind(lease.kind.as_str())
    .bind(id(lease.design.as_u128()))
    .execute(tx)
    .await?;
    Ok(())
}

/// `at` in microseconds; earlier if it was asked for again for an earlier time.
pub(super) async fn put_off(tx: &mut SqliteConnection, lease: JobLease, at: i64) -> Result<()> {
    require(tx, lease).await?;
    sqlx::query(
        "UPDATE jobs SET due_at = min(?3, coalesce(again_at, ?3)), again_at = NULL, holder = NULL, failures = 0,
                         reason = NULL
         WHERE kind = ?1 AND design_id = ?2",
    )
    .bind(lease.kind.as_str())
    .bind(id(lease.design.as_u128()))
    .bind(at)
    .execute(tx)
    .await?;
    Ok(())
}

/// `at` in microseconds. Who asked for it again meanwhile waits for the same try.
pub(super) async fn failed(tx: &mut SqliteConnection, lease: JobLease, at: i64, reason: &str) -> Result<()> {
    require(tx, lease).await?;
    sqlx::query(
        "UPDATE jobs SET due_at = ?3, again_at = NULL, holder = NULL, reason = ?4
         WHERE kind = ?1 AND design_id = ?2",
    )
    .bind(lease.kind.as_str())
    .bind(id(lease.design.as_u128()))
    .bind(at)
    .bind(reason)
    .execute(tx)
    .await?;
    Ok(())
}

/// It stays as it is until somebody asks for it; if somebody has meanwhile, it begins anew. `now` in microseconds.
pub(super) async fn give_up(
    tx: &mut SqliteConnection,
    lease: JobLease,
    reason: &str,
    now: i64,
) -> Result<()> {
    require(tx, lease).await?;
    // Far off, so that who looks for what is due passes by.
    sqlx::query(
        "UPDATE jobs SET due_at = coalesce(again_at, ?3), dead_at = CASE WHEN again_at IS NULL THEN ?4 END,
                         failures = CASE WHEN again_at IS NULL THEN failures ELSE 0 END,
                         again_at = NULL, holder = NULL, reason = ?5
         WHERE kind = ?1 AND design_id = ?2",
    )
    .bind(lease.kind.as_str())
    .bind(id(lease.design.as_u128()))
    .bind(i64::MAX)
    .bind(now)
    .bind(reason)
    .execute(tx)
    .await?;
    Ok(())
}

/// With the design: whoever works on it is fenced, and its blobs are to be erased.
pub(super) async fn follow_deletion(tx: &mut SqliteConnection, design: DesignId, now: i64) -> Result<()> {
    sqlx::query("DELETE FROM jobs WHERE kind IN (?1, ?2) AND design_id = ?3")
        .bind(JobKind::Compact.as_str())
        .bind(JobKind::Analyze.as_str())
        .bind(id(design.as_u128()))
        .execute(&mut *tx)
        .await?;
    enqueue(tx, JobKind::Erase, design, (now, now)).await
}
