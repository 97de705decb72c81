//! Folding a log: what a compaction reads, what it notes, and what it may delete then.
//!
//! What reads much runs on the loaders' connections. What writes is short, since every append waits for it.

use atlas_crdt::ids::{AppendId, DesignId, Seq};
use atlas_crdt::room::Author;
use bytes::Bytes;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::values::{column, counter, hash, id, instant, limit, micros};
use super::{jobs, log};
use crate::store::folds::{ArchivedRow, Candidate, Fold, FoldPolicy, FoldState, PruneStep, Segment};
use crate::store::jobs::{JobKind, JobLease};
use crate::store::{Result, StoreError};

pub(super) async fn state(connection: &mut SqliteConnection, design: DesignId) -> Result<Option<FoldState>> {
    let mut tx = connection.begin().await?;
    let Some(head) = log::head(&mut tx, design).await? else { return Ok(None) };
    let snapshot = log::snapshot(&mut tx, design).await?;
    let folded = snapshot.as_ref().map_or(Seq::ZERO, |(seq, _)| *seq);
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM design_updates WHERE design_id = ?1 AND seq <= ?2")
            .bind(id(design.as_u128()))
            .bind(column(folded.get()))
            .fetch_one(&mut *tx)
            .await?;
    let archived = archived(&mut tx, design).await?.max(folded);
    tx.commit().await?;
    let folded_rows = counter(rows)?;
    Ok(Some(FoldState { generation: head.generation, head: head.seq, snapshot, folded_rows, archived }))
}

/// Up to where segments hold the log; zero without one.
async fn archived(tx: &mut SqliteConnection, design: DesignId) -> Result<Seq> {
    let seq: Option<i64> =
        sqlx::query_scalar("SELECT max(last_seq) FROM design_segments WHERE design_id = ?1")
            .bind(id(design.as_u128()))
            .fetch_one(tx)
            .await?;
    counter(seq.unwrap_or(0)).map(Seq::new)
}

/// A row of `design_updates`: seq, append id, payload, authors, time.
type Stored = (i64, Uuid, Vec<u8>, String, i64);

pub(super) async fn rows(
    connection: &mut SqliteConnection,
    design: DesignId,
    after: Seq,
    (rows, bytes): (usize, usize),
) -> Result<Vec<ArchivedRow>> {
    let mut tx = connection.begin().await?;
    let Some(head) = log::head(&mut tx, design).await? else { return Err(StoreError::NoSuchDesign) };
    // Sizes first: SQLite tells them without reading the payloads.
    let sizes: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT seq, length(payload) FROM design_updates WHERE design_id = ?1 AND ?2 < seq ORDER BY seq LIMIT ?3",
    )
    .bind(id(design.as_u128()))
    .bind(column(after.get()))
    .bind(limit(rows))
    .fetch_all(&mut *tx)
    .await?;
    let (mut last, mut total) = (after, 0);
    for (seq, size) in sizes {
        if counter(seq)? != last.next().get() {
            return Err(log::hole(&mut tx, design, after, last.next()).await);
        }
        total += usize::try_from(size).unwrap_or(usize::MAX);
        if last != after && bytes < total {
            break;
        }
        last = last.next();
    }
    if 0 < rows && last == after && after < head.seq {
        return Err(log::hole(&mut tx, design, after, after.next()).await);
    }
    let found: Vec<Stored> = sqlx::query_as(
        "SELECT seq, append_id, payload, authors, created_at FROM design_updates
         WHERE design_id = ?1 AND ?2 < seq AND seq <= ?3 ORDER BY seq",
    )
    .bind(id(design.as_u128()))
    .bind(column(after.get()))
    .bind(column(last.get()))
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    found.into_iter().map(row).collect()
}

fn row((seq, append, payload, authors, at): Stored) -> Result<ArchivedRow> {
    let authors: Vec<Author> = serde_json::from_str(&authors)
        .map_err(|_| StoreError::Damaged(format!("the authors of log row {seq} cannot be read")))?;
    Ok(ArchivedRow {
        seq: Seq::new(counter(seq)?),
        append_id: AppendId::from_u128(append.as_u128()),
        update: Bytes::from(payload),
        authors,
        at: instant(at)?,
    })
}

async fn require_compaction(tx: &mut SqliteConnection, lease: JobLease, design: DesignId) -> Result<()> {
    if (lease.kind, lease.design) != (JobKind::Compact, design) {
        return Err(StoreError::Fenced);
    }
    jobs::require(tx, lease).await
}

/// `now` in microseconds.
pub(super) async fn commit(tx: &mut SqliteConnection, lease: JobLease, fold: &Fold, now: i64) -> Result<()> {
    require_compaction(tx, lease, fold.design).await?;
    let design = id(fold.design.as_u128());
    let Some(head) = log::head(tx, fold.design).await? else { return Err(StoreError::NoSuchDesign) };
    let newest: Option<(i64, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT seq, hash FROM design_snapshots WHERE design_id = ?1 ORDER BY seq DESC LIMIT 1",
    )
    .bind(design)
    .fetch_optional(&mut *tx)
    .await?;
    let newest = match newest {
        Some((seq, name)) => Some((Seq::new(counter(seq)?), name.map(hash).transpose()?)),
        None => None,
    };
    let folded = newest.map_or(Seq::ZERO, |(seq, _)| seq);
    let archived = archived(tx, fold.design).await?.max(folded);
    if !fold.fits(head, newest, archived)? {
        return Ok(());
    }
    for segment in &fold.segments {
        insert_segment(tx, fold.design, segment, now).await?;
    }
    sqlx::query(
        "INSERT INTO design_snapshots (design_id, seq, payload, created_at, hash) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(design)
    .bind(column(fold.seq.get()))
    .bind(fold.snapshot.as_ref())
    .bind(now)
    .bind(&fold.hash[..])
    .execute(&mut *tx)
    .await?;
    sqlx::query("UPDATE designs SET folded_seq = ?2, folded_at = ?3, nodes = ?4, edges = ?5 WHERE id = ?1")
        .bind(design)
        .bind(column(fold.seq.get()))
        .bind(now)
        .bind(&fold.nodes)
        .bind(&fold.edges)
        .execute(tx)
        .await?;
    Ok(())
}

async fn insert_segment(
    tx: &mut SqliteConnection,
    design: DesignId,
    segment: &Segment,
    now: i64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO design_segments (design_id, first_seq, last_seq, hash, bytes, first_at, last_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(id(design.as_u128()))
    .bind(column(segment.first.get()))
    .bind(column(segment.last.get()))
    .bind(&segment.hash[..])
    .bind(column(segment.bytes))
    .bind(micros(segment.from))
    .bind(micros(segment.to))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// What a step of pruning may delete.
pub(super) struct PrunePlan {
    design: DesignId,
    /// Up to where the newest snapshot holds the log.
    folded: Seq,
    pub(super) step: PruneStep,
}

/// Finds what may go: rows from before `young_since` (microseconds). Read outside of the writer, and still true when the
/// writer comes to it: under one lease snapshots and segments are only added, and rows only get older.
pub(super) async fn plan(
    connection: &mut SqliteConnection,
    design: DesignId,
    rows: usize,
    young_since: i64,
) -> Result<PrunePlan> {
    let mut tx = connection.begin().await?;
    let folded = log::folded(&mut tx, design).await?;
    let newest: Option<i64> = sqlx::query_scalar(
        "SELECT created_at FROM design_updates WHERE design_id = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1",
    )
    .bind(id(design.as_u128()))
    .bind(column(folded.get()))
    .fetch_optional(&mut *tx)
    .await?;
    let candidates: Vec<(i64, bool, i64, i64)> = sqlx::query_as(
        "SELECT seq,
                coalesce(seq <= (SELECT last_seq FROM design_segments AS segment
                                 WHERE segment.design_id = ?1 AND segment.first_seq <= logged.seq
                                 ORDER BY segment.first_seq DESC LIMIT 1), FALSE),
                created_at, length(payload)
         FROM design_updates AS logged WHERE design_id = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
    )
    .bind(id(design.as_u128()))
    .bind(column(folded.get()))
    .bind(limit(rows.saturating_add(1)))
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let candidate = |(seq, is_archived, at, size)| {
        let bytes = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(Candidate { seq: Seq::new(counter(seq)?), is_archived, is_young: young_since < at, bytes })
    };
    let candidates: Vec<_> = candidates.into_iter().map(candidate).collect::<Result<_>>()?;
    let step = PruneStep::over(&candidates, rows, newest.is_some_and(|at| young_since < at));
    Ok(PrunePlan { design, folded, step })
}

/// `now` in microseconds.
pub(super) async fn prune(
    tx: &mut SqliteConnection,
    lease: JobLease,
    plan: &PrunePlan,
    now: i64,
) -> Result<()> {
    require_compaction(tx, lease, plan.design).await?;
    let design = id(plan.design.as_u128());
    sqlx::query("DELETE FROM design_snapshots WHERE design_id = ?1 AND seq < ?2")
        .bind(design)
        .bind(column(plan.folded.get()))
        .execute(&mut *tx)
        .await?;
    let Some(last) = plan.step.last else { return Ok(()) };
    sqlx::query(
        "INSERT INTO folded_appends (append_id, design_id, seq, folded_at)
         SELECT append_id, design_id, seq, ?3 FROM design_updates WHERE design_id = ?1 AND seq <= ?2
         ON CONFLICT (append_id) DO NOTHING",
    )
    .bind(design)
    .bind(column(last.get()))
    .bind(now)
    .execute(&mut *tx)
    .await?;
    sqlx::query("DELETE FROM design_updates WHERE design_id = ?1 AND seq <= ?2")
        .bind(design)
        .bind(column(last.get()))
        .execute(tx)
        .await?;
    Ok(())
}

/// `quiet_since` in microseconds.
pub(super) async fn unfolded(
    connection: &mut SqliteConnection,
    policy: FoldPolicy,
    quiet_since: i64,
    limit: i64,
) -> Result<Vec<DesignId>> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT d.id FROM designs AS d JOIN design_heads AS h ON h.design_id = d.id
         WHERE (?1 <= h.head_seq - d.folded_seq OR (d.folded_seq < h.head_seq AND h.updated_at <= ?2))
           AND NOT EXISTS (SELECT 1 FROM jobs WHERE kind = ?4 AND design_id = d.id)
         ORDER BY h.head_seq - d.folded_seq DESC, d.id LIMIT ?3",
    )
    .bind(column(policy.rows))
    .bind(quiet_since)
    .bind(limit)
    .bind(JobKind::Compact.as_str())
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().map(|design| DesignId::from_u128(design.as_u128())).collect())
}

/// At most `rows` of those that were deleted before `before` (microseconds).
pub(super) async fn forget(tx: &mut SqliteConnection, before: i64, rows: i64) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM folded_appends WHERE append_id IN
             (SELECT append_id FROM folded_appends WHERE folded_at <= ?1 ORDER BY folded_at LIMIT ?2)",
    )
    .bind(before)
    .bind(rows)
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}
