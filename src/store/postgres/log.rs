//! The log: load, read on. What appends to it is `batch.rs`.

use atlas_crdt::ids::{DesignId, Epoch, Generation, Seq};
use atlas_crdt::room::{Loaded, LogRow};
use bytes::Bytes;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::values::{column, counter, id, ids};
use super::{claims, quarantine};
use crate::store::{Head, Look, Result, StoreError};

pub(super) async fn head(tx: &mut PgConnection, design: DesignId) -> Result<Option<Head>> {
    let row: Option<(i64, i64, i64)> =
        sqlx::query_as("SELECT generation, epoch, head_seq FROM design_heads WHERE design_id = $1")
            .persistent(false)
            .bind(id(design.as_u128()))
            .fetch_optional(tx)
            .await?;
    let Some((generation, epoch, seq)) = row else { return Ok(None) };
    Ok(Some(Head {
        generation: Generation::new(counter(generation)?),
        epoch: Epoch::new(counter(epoch)?),
        seq: Seq::new(counter(seq)?),
    }))
}

/// Designs in one statement.
const LOOK_DESIGNS_MAX: usize = 4_096;

pub(super) async fn look(tx: &mut PgConnection, designs: &[DesignId]) -> Result<Vec<(DesignId, Look)>> {
    let mut found = Vec::with_capacity(designs.len());
    for designs in designs.chunks(LOOK_DESIGNS_MAX) {
        let rows: Vec<(Uuid, i64, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT design_id, generation, epoch, head_seq, notice_seq, analysis_no FROM design_heads WHERE design_id = ANY($1)",
        )
        .persistent(false)
        .bind(ids(designs))
        .fetch_all(&mut *tx)
        .await?;
        for (design, generation, epoch, head, notice_seq, analysis_no) in rows {
            let look = Look {
                generation: Generation::new(counter(generation)?),
                epoch: Epoch::new(counter(epoch)?),
                head: Seq::new(counter(head)?),
                notice_seq: counter(notice_seq)?,
                analysis_no: counter(analysis_no)?,
            };
            found.push((DesignId::from_u128(design.as_u128()), look));
        }
    }
    Ok(found)
}

/// In a transaction that sees one moment.
pub(super) async fn load(tx: &mut PgConnection, design: DesignId) -> Result<Option<Loaded>> {
    let Some((_, now)) = look(tx, &[design]).await?.pop() else { return Ok(None) };
    let snapshot = snapshot(tx, design).await?;
    let folded = snapshot.as_ref().map_or(Seq::ZERO, |(seq, _)| *seq);
    let tail = match rows_after(tx, design, folded, i64::MAX).await? {
        Rows::Whole(tail) => tail,
        Rows::Missing(seq) => return Err(lost(design, seq)),
    };
    let claims = claims::all(tx, design).await?;
    let announced = claims::announced(tx, design).await?;
    let quarantined = quarantine::marks(tx, design).await?;
    let end = tail.last().map_or(folded, |row| row.seq);
    if end != now.head {
        return Err(lost(design, end.next()));
    }
    Ok(Some(Loaded {
        generation: now.generation,
        epoch: now.epoch,
        snapshot,
        tail,
        claims,
        announced,
        quarantined,
        analysis_no: now.analysis_no,
    }))
}

/// In a transaction that sees one moment.
pub(super) async fn log_after(
    tx: &mut PgConnection,
    design: DesignId,
    after: Seq,
    limit: usize,
) -> Result<Vec<LogRow>> {
    let Some(head) = head(tx, design).await? else { return Err(StoreError::NoSuchDesign) };
    let rows = rows_after(tx, design, after, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    let missing = match &rows {
        Rows::Missing(seq) => Some(*seq),
        Rows::Whole(rows) => {
            let end = rows.last().map_or(after, |row| row.seq);
            (rows.len() < limit && end < head.seq).then(|| end.next())
        }
    };
    match (rows, missing) {
        (Rows::Whole(mut rows), None) => {
            claims::fill(tx, design, &mut rows).await?;
            Ok(rows)
        }
        (_, missing) => Err(hole(tx, design, after, missing.unwrap_or(after)).await),
    }
}

/// The newest snapshot and up to where it holds the log.
pub(super) async fn snapshot(tx: &mut PgConnection, design: DesignId) -> Result<Option<(Seq, Bytes)>> {
    let found: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT seq, payload FROM design_snapshots WHERE design_id = $1 ORDER BY seq DESC LIMIT 1",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .fetch_optional(tx)
    .await?;
    let Some((seq, payload)) = found else { return Ok(None) };
    Ok(Some((Seq::new(counter(seq)?), Bytes::from(payload))))
}

/// Up to where the newest snapshot holds the log; zero without one.
pub(super) async fn folded(tx: &mut PgConnection, design: DesignId) -> Result<Seq> {
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT max(seq) FROM design_snapshots WHERE design_id = $1")
            .persistent(false)
            .bind(id(design.as_u128()))
            .fetch_one(tx)
            .await?;
    counter(newest.unwrap_or(0)).map(Seq::new)
}

/// Log rows after a given one, oldest first and without their claims.
enum Rows {
    /// Without holes.
    Whole(Vec<LogRow>),
    /// This one is not there, and later ones are.
    Missing(Seq),
}

async fn rows_after(tx: &mut PgConnection, design: DesignId, after: Seq, limit: i64) -> Result<Rows> {
    let found: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT seq, payload FROM design_updates WHERE design_id = $1 AND $2 < seq ORDER BY seq LIMIT $3",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .bind(column(after.get()))
    .bind(limit)
    .fetch_all(tx)
    .await?;
    let mut rows = Vec::with_capacity(found.len());
    let mut expected = after.next();
    for (seq, payload) in found {
        if counter(seq)? != expected.get() {
            return Ok(Rows::Missing(expected));
        }
        rows.push(LogRow { seq: expected, update: Bytes::from(payload), claims: Vec::new() });
        expected = expected.next();
    }
    Ok(Rows::Whole(rows))
}

/// What is said to a reader of the rows after `after`, of which one is not there. Rows go from the oldest on: only the
/// first can be gone for a good reason.
pub(super) async fn hole(tx: &mut PgConnection, design: DesignId, after: Seq, missing: Seq) -> StoreError {
    match folded(tx, design).await {
        Ok(folded) if missing == after.next() && missing <= folded => StoreError::Folded,
        Ok(_) => lost(design, missing),
        Err(error) => error,
    }
}

fn lost(design: DesignId, missing: Seq) -> StoreError {
    StoreError::Damaged(format!("the log of {design} has no row {missing}"))
}
