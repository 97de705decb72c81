//! Folding a log: what a compaction reads, what it notes, and what it may delete then.
//!
//! Nothing here locks a head, and nothing holds a lock for long that an append or a request waits for. Rows are locked in
//! the order design, its log, its job: as by whoever deletes the design. The job comes last also because nobody can ask
//! for it while it is locked; whoever lost it is rolled back.

use atlas_crdt::ids::{AppendId, DesignId, Seq};
use atlas_crdt::room::Author;
use bytes::Bytes;
use sqlx::postgres::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::values::{column, counter, hash, id, json, limit, micros};
use super::{jobs, log};
use crate::store::folds::{ArchivedRow, Candidate, Fold, FoldPolicy, FoldState, PruneStep, Pruned, Segment};
use crate::store::jobs::{JobKind, JobLease};
use crate::store::{Result, StoreError};

/// In a transaction that sees one moment.
pub(super) async fn state(tx: &mut PgConnection, design: DesignId) -> Result<Option<FoldState>> {
    let Some(head) = log::head(tx, design).await? else { return Ok(None) };
    let snapshot = log::snapshot(tx, design).await?;
    let folded = snapshot.as_ref().map_or(Seq::ZERO, |(seq, _)| *seq);
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM design_updates WHERE design_id = $1 AND seq <= $2")
            .persistent(false)
            .bind(id(design.as_u128()))
            .bind(column(folded.get()))
            .fetch_one(&mut *tx)
            .await?;
    let archived = archived(tx, design).await?.max(folded);
    let folded_rows = counter(rows)?;
    Ok(Some(FoldState { generation: head.generation, head: head.seq, snapshot, folded_rows, archived }))
}

/// Up to where segments hold the log; zero without one.
async fn archived(tx: &mut PgConnection, design: DesignId) -> Result<Seq> {
    let seq: Option<i64> =
        sqlx::query_scalar("SELECT max(last_seq) FROM design_segments WHERE design_id = $1")
            .persistent(false)
            .bind(id(design.as_u128()))
            .fetch_one(tx)
            .await?;
    counter(seq.unwrap_or(0)).map(Seq::new)
}

/// A row of `design_updates`: seq, append id, payload, authors, time.
type Stored = (i64, Uuid, Vec<u8>, Json<Vec<Author>>, OffsetDateTime);

/// In a transaction that sees one moment.
pub(super) async fn rows(
    tx: &mut PgConnection,
    design: DesignId,
    after: Seq,
    (rows, bytes): (usize, usize),
) -> Result<Vec<ArchivedRow>> {
    let Some(head) = log::head(tx, design).await? else { return Err(StoreError::NoSuchDesign) };
    // Sizes first: Postgres tells them without reading what is large.
    let sizes: Vec<(i64, i32)> = sqlx::query_as(
        "SELECT seq, octet_length(payload) FROM design_updates WHERE design_id = $1 AND $2 < seq
         ORDER BY seq LIMIT $3",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(column(after.get()))
    .bind(limit(rows))
    .fetch_all(&mut *tx)
    .await?;
    let (mut last, mut total) = (after, 0);
    for (seq, size) in sizes {
        if counter(seq)? != last.next().get() {
            return Err(log::hole(tx, design, after, last.next()).await);
        }
        total += usize::try_from(size).unwrap_or(usize::MAX);
        if last != after && bytes < total {
            break;
        }
        last = last.next();
    }
    if 0 < rows && last == after && after < head.seq {
        return Err(log::hole(tx, design, after, after.next()).await);
    }
    let found: Vec<Stored> = sqlx::query_as(
        "SELECT seq, append_id, payload, authors, created_at FROM design_updates
         WHERE design_id = $1 AND $2 < seq AND seq <= $3 ORDER BY seq",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(column(after.get()))
    .bind(column(last.get()))
    .fetch_all(tx)
    .await?;
    let row = |(seq, append, payload, Json(authors), at): Stored| {
        let append_id = AppendId::from_u128(append.as_u128());
        Ok(ArchivedRow { seq: Seq::new(counter(seq)?), append_id, update: Bytes::from(payload), authors, at })
    };
    found.into_iter().map(row).collect()
}

/// Keeps the design from being deleted before the transaction ends. False: there is none.
pub(super) async fn hold_design(tx: &mut PgConnection, design: DesignId) -> Result<bool> {
    let found = sqlx::query("SELECT FROM designs WHERE id = $1 FOR KEY SHARE")
        .persistent(false)
        .bind(id(design.as_u128()))
        .fetch_optional(tx)
        .await?;
    Ok(found.is_some())
}

pub(super) async fn commit(tx: &mut PgConnection, lease: JobLease, fold: &Fold) -> Result<()> {
    if (lease.kind, lease.design) != (JobKind::Compact, fold.design) {
        return Err(StoreError::Fenced);
    }
    jobs::look(tx, lease).await?;
    if !hold_design(tx, fold.design).await? {
        return Err(StoreError::NoSuchDesign);
    }
    let design = id(fold.design.as_u128());
    let Some(head) = log::head(tx, fold.design).await? else { return Err(StoreError::NoSuchDesign) };
    let newest: Option<(i64, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT seq, hash FROM design_snapshots WHERE design_id = $1 ORDER BY seq DESC LIMIT 1",
    )
    .persistent(false)
    .bind(design)
    .fetch_optional(&mut *tx)
    .await?;
    let newest = match newest {
        Some((seq, name)) => Some((Seq::new(counter(seq)?), name.map(hash).transpose()?)),
        None => None,
    };
    let folded = newest.map_or(Seq::ZERO, |(seq, _)| seq);
    let archived = archived(tx, fold.design).await?.max(folded);
    if fold.fits(head, newest, archived)? {
        insert(tx, fold).await.map_err(fenced_if_taken)?;
    }
    jobs::require(tx, lease).await
}

/// Somebody else has noted another fold in the same place.
fn fenced_if_taken(error: sqlx::Error) -> StoreError {
    match error.as_database_error() {
        Some(cause) if cause.is_unique_violation() => StoreError::Fenced,
        _ => error.into(),
    }
}

async fn insert(tx: &mut PgConnection, fold: &Fold) -> sqlx::Result<()> {
    let design = id(fold.design.as_u128());
    let of =
        |part: fn(&Segment) -> Seq| fold.segments.iter().map(|s| column(part(s).get())).collect::<Vec<_>>();
    let at = |part: fn(&Segment) -> OffsetDateTime| {
        fold.segments.iter().map(|s| micros(part(s))).collect::<Vec<_>>()
    };
    sqlx::query(
        "INSERT INTO design_segments (design_id, first_seq, last_seq, hash, bytes, first_at, last_at, created_at)
         SELECT $1, first_seq, last_seq, hash, bytes, first_at, last_at, now()
         FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[], $6::timestamptz[], $7::timestamptz[])
             AS new (first_seq, last_seq, hash, bytes, first_at, last_at)",
    )
    .persistent(false)
    .bind(design)
    .bind(of(|segment| segment.first))
    .bind(of(|segment| segment.last))
    .bind(fold.segments.iter().map(|segment| &segment.hash[..]).collect::<Vec<_>>())
    .bind(fold.segments.iter().map(|segment| column(segment.bytes)).collect::<Vec<_>>())
    .bind(at(|segment| segment.from))
    .bind(at(|segment| segment.to))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO design_snapshots (design_id, seq, payload, created_at, hash) VALUES ($1, $2, $3, now(), $4)",
    )
    .persistent(false)
    .bind(design)
    .bind(column(fold.seq.get()))
    .bind(fold.snapshot.as_ref())
    .bind(&fold.hash[..])
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "UPDATE designs SET folded_seq = $2, folded_at = now(), nodes = $3::jsonb, edges = $4::jsonb WHERE id = $1",
    )
    .persistent(false)
    .bind(design)
    .bind(column(fold.seq.get()))
    .bind(json(&fold.nodes))
    .bind(json(&fold.edges))
    .execute(tx)
    .await?;
    Ok(())
}

/// Rows at least `keep_us` microseconds old may go.
pub(super) async fn prune(
    tx: &mut PgConnection,
    lease: JobLease,
    rows: usize,
    keep_us: i64,
) -> Result<Pruned> {
    if lease.kind != JobKind::Compact {
        return Err(StoreError::Fenced);
    }
    jobs::look(tx, lease).await?;
    let mut pruned = Pruned { deleted: 0, has_more: false, has_young: false };
    if hold_design(tx, lease.design).await? {
        let folded = log::folded(tx, lease.design).await?;
        sqlx::query("DELETE FROM design_snapshots WHERE design_id = $1 AND seq < $2")
            .persistent(false)
            .bind(id(lease.design.as_u128()))
            .bind(column(folded.get()))
            .execute(&mut *tx)
            .await?;
        let step = step(tx, lease.design, (folded, rows), keep_us).await?;
        if let Some(last) = step.last {
            delete_until(tx, lease.design, last).await?;
        }
        pruned = step.pruned;
    }
    jobs::require(tx, lease).await?;
    Ok(pruned)
}

async fn step(
    tx: &mut PgConnection,
    design: DesignId,
    (folded, rows): (Seq, usize),
    keep_us: i64,
) -> Result<PruneStep> {
    let is_newest_young: Option<bool> = sqlx::query_scalar(
        "SELECT now() - $3 * interval '1 microsecond' < created_at FROM design_updates
         WHERE design_id = $1 AND seq <= $2 ORDER BY seq DESC LIMIT 1",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(column(folded.get()))
    .bind(keep_us)
    .fetch_optional(&mut *tx)
    .await?;
    let candidates: Vec<(i64, bool, bool, i32)> = sqlx::query_as(
        "SELECT seq,
                coalesce(seq <= (SELECT last_seq FROM design_segments AS segment
                                 WHERE segment.design_id = $1 AND segment.first_seq <= logged.seq
                                 ORDER BY segment.first_seq DESC LIMIT 1), FALSE),
                now() - $4 * interval '1 microsecond' < created_at,
                octet_length(payload)
         FROM design_updates AS logged WHERE design_id = $1 AND seq <= $2 ORDER BY seq LIMIT $3",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(column(folded.get()))
    .bind(limit(rows.saturating_add(1)))
    .bind(keep_us)
    .fetch_all(tx)
    .await?;
    let candidate = |(seq, is_archived, is_young, size)| {
        let bytes = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(Candidate { seq: Seq::new(counter(seq)?), is_archived, is_young, bytes })
    };
    let candidates: Vec<_> = candidates.into_iter().map(candidate).collect::<Result<_>>()?;
    Ok(PruneStep::over(&candidates, rows, is_newest_young.unwrap_or(false)))
}

/// One statement, so that whoever looks for an append id sees it in one of both tables.
async fn delete_until(tx: &mut PgConnection, design: DesignId, last: Seq) -> Result<()> {
    sqlx::query(
        "WITH deleted AS (
             DELETE FROM design_updates WHERE design_id = $1 AND seq <= $2 RETURNING append_id, design_id, seq
         )
         INSERT INTO folded_appends (append_id, design_id, seq, folded_at)
         SELECT append_id, design_id, seq, now() FROM deleted ON CONFLICT (append_id) DO NOTHING",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(column(last.get()))
    .execute(tx)
    .await?;
    Ok(())
}

/// `quiet_us`: microseconds without an append.
pub(super) async fn unfolded(
    tx: &mut PgConnection,
    policy: FoldPolicy,
    quiet_us: i64,
    limit: i64,
) -> Result<Vec<DesignId>> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT d.id FROM designs AS d JOIN design_heads AS h ON h.design_id = d.id
         WHERE ($1 <= h.head_seq - d.folded_seq
                OR (d.folded_seq < h.head_seq AND h.updated_at <= now() - $2 * interval '1 microsecond'))
           AND NOT EXISTS (SELECT 1 FROM jobs WHERE kind = $4 AND design_id = d.id)
         ORDER BY h.head_seq - d.folded_seq DESC, d.id LIMIT $3",
    )
    .persistent(false)
    .bind(column(policy.rows))
    .bind(quiet_us)
    .bind(limit)
    .bind(JobKind::Compact.as_str())
    .fetch_all(tx)
    .await?;
    Ok(found.into_iter().map(|design| DesignId::from_u128(design.as_u128())).collect())
}

/// At most `rows` of those that were deleted at least `keep_us` microseconds ago. What another pod forgets at the same
/// time is left to it.
pub(super) async fn forget(tx: &mut PgConnection, keep_us: i64, rows: i64) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM folded_appends WHERE append_id IN
             (SELECT append_id FROM folded_appends WHERE folded_at <= now() - $1 * interval '1 microsecond'
              ORDER BY folded_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .persistent(false)
    .bind(keep_us)
    .bind(rows)
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}
