//! The log: append, load, read on.

use atlas_crdt::ids::{DesignId, Epoch, Generation, Seq};
use atlas_crdt::room::{Append, Author, Loaded, LogRow};
use bytes::Bytes;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, QueryBuilder};
use uuid::Uuid;

use super::values::{column, counter, id};
use super::{claims, quarantine};
use crate::store::{Head, Look, Result, StoreError};

/// One step of a design's log inside the writer's transaction. `now` in microseconds. `NoSuchDesign`, `Conflict`,
/// `Behind`, `Overtaken` and `Foreign` leave the transaction as it was.
pub(super) async fn append(
    tx: &mut SqliteConnection,
    design: DesignId,
    append: &Append,
    now: i64,
) -> Result<Seq> {
    let authors = serde_json::to_string(&append.authors)
        .map_err(|error| StoreError::Unavailable(anyhow::Error::from(error)))?;
    let claims = claims::Claims::of(&append.claims)?;
    if let Some(claims) = &claims {
        claims.check(tx, design).await?;
    }
    if is_overtaken(tx, design, append).await? {
        return find_append(tx, design, append).await;
    }
    let inserted: Option<i64> = sqlx::query_scalar(
        "INSERT INTO design_updates (design_id, seq, append_id, payload, authors, created_at)
         SELECT design_id, head_seq + 1, ?2, ?3, ?4, ?5 FROM design_heads
         WHERE design_id = ?1 AND ?6 <= head_seq AND (NOT ?7 OR head_seq = ?6) AND NOT EXISTS (SELECT 1 FROM folded_appends WHERE append_id = ?2)
         ON CONFLICT (append_id) DO NOTHING
         RETURNING seq",
    )
    .bind(id(design.as_u128()))
    .bind(id(append.append_id.as_u128()))
    .bind(append.update.as_ref())
    .bind(authors)
    .bind(now)
    .bind(column(append.after.get()))
    .bind(append.exactly)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(seq) = inserted else {
        return find_append(tx, design, append).await;
    };
    sqlx::query(
        "UPDATE design_heads SET head_seq = ?2, updated_at = max(updated_at, ?3) WHERE design_id = ?1",
    )
    .bind(id(design.as_u128()))
    .bind(seq)
    .bind(now)
    .execute(&mut *tx)
    .await?;
    if let Some(claims) = &claims {
        claims.insert(tx, design, seq).await?;
    }
    if let Some(name) = &append.name {
        sqlx::query("UPDATE designs SET name = ?2, name_key = ?3 WHERE id = ?1")
            .bind(id(design.as_u128()))
            .bind(name)
            .bind(name.to_lowercase())
            .execute(&mut *tx)
            .await?;
    }
    counter(seq).map(Seq::new)
}

/// Whether a row that the append's author need not know of wrote under the same clocks. Rows that are not there are folded:
/// what they wrote is in what a load brings.
async fn is_overtaken(tx: &mut SqliteConnection, design: DesignId, append: &Append) -> Result<bool> {
    if append.wrote().next().is_none() {
        return Ok(false);
    }
    let Some(head) = head(tx, design).await? else { return Ok(false) };
    if head.seq <= append.after {
        return Ok(false);
    }
    let newer: Vec<String> =
        sqlx::query_scalar("SELECT authors FROM design_updates WHERE design_id = ?1 AND ?2 < seq LIMIT ?3")
            .bind(id(design.as_u128()))
            .bind(column(append.after.get()))
            .bind(NEWER_MAX)
            .fetch_all(&mut *tx)
            .await?;
    if newer.len() as u64 != head.seq.get() - append.after.get() {
        return Ok(true);
    }
    for authors in newer {
        let authors: Vec<Author> =
            serde_json::from_str(&authors).map_err(|error| StoreError::Damaged(error.to_string()))?;
        if append.writes_any_of(authors.iter().flat_map(|author| &author.wrote)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Nothing was inserted: the append is there already, or the design is not, or its log is too short.
async fn find_append(tx: &mut SqliteConnection, design: DesignId, append: &Append) -> Result<Seq> {
    let found: Option<(Uuid, i64)> = sqlx::query_as(
        "SELECT design_id, seq FROM design_updates WHERE append_id = ?1
         UNION ALL SELECT design_id, seq FROM folded_appends WHERE append_id = ?1",
    )
    .bind(id(append.append_id.as_u128()))
    .fetch_optional(&mut *tx)
    .await?;
    match found {
        None => match head(tx, design).await? {
            Some(Head { seq, .. }) if append.after < seq => Err(StoreError::Overtaken { head: seq }),
            Some(Head { seq, .. }) => Err(StoreError::Behind { head: seq }),
            None => Err(StoreError::NoSuchDesign),
        },
        Some((owner, seq)) if owner == id(design.as_u128()) => counter(seq).map(Seq::new),
        Some(_) => Err(StoreError::Conflict("this append id")),
    }
}

pub(super) async fn head(connection: &mut SqliteConnection, design: DesignId) -> Result<Option<Head>> {
    let row: Option<(i64, i64, i64)> =
        sqlx::query_as("SELECT generation, epoch, head_seq FROM design_heads WHERE design_id = ?1")
            .bind(id(design.as_u128()))
            .fetch_optional(connection)
            .await?;
    let Some((generation, epoch, seq)) = row else { return Ok(None) };
    Ok(Some(Head {
        generation: Generation::new(counter(generation)?),
        epoch: Epoch::new(counter(epoch)?),
        seq: Seq::new(counter(seq)?),
    }))
}

/// Rows that are looked at for what they wrote; whoever knows less of the log is to read it first.
const NEWER_MAX: i64 = 1_024;
/// Designs in one query.
const LOOK_DESIGNS_MAX: usize = 1_024;

pub(super) async fn look(
    connection: &mut SqliteConnection,
    designs: &[DesignId],
) -> Result<Vec<(DesignId, Look)>> {
    let mut found = Vec::with_capacity(designs.len());
    for designs in designs.chunks(LOOK_DESIGNS_MAX) {
        let mut sql = QueryBuilder::new(
            "SELECT design_id, generation, epoch, head_seq, notice_seq, analysis_no FROM design_heads WHERE design_id IN (",
        );
        let mut list = sql.separated(", ");
        for design in designs {
            list.push_bind(id(design.as_u128()));
        }
        sql.push(")");
        // Each number of designs makes another statement: none is worth keeping.
        let rows: Vec<(Uuid, i64, i64, i64, i64, i64)> =
            sql.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
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

/// The newest snapshot and up to where it holds the log.
pub(super) async fn snapshot(tx: &mut SqliteConnection, design: DesignId) -> Result<Option<(Seq, Bytes)>> {
    let found: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT seq, payload FROM design_snapshots WHERE design_id = ?1 ORDER BY seq DESC LIMIT 1",
    )
    .bind(id(design.as_u128()))
    .fetch_optional(tx)
    .await?;
    let Some((seq, payload)) = found else { return Ok(None) };
    Ok(Some((Seq::new(counter(seq)?), Bytes::from(payload))))
}

/// Up to where the newest snapshot holds the log; zero without one.
pub(super) async fn folded(tx: &mut SqliteConnection, design: DesignId) -> Result<Seq> {
    let seq: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM design_snapshots WHERE design_id = ?1")
        .bind(id(design.as_u128()))
        .fetch_one(tx)
        .await?;
    counter(seq.unwrap_or(0)).map(Seq::new)
}

/// All of it in one read transaction: what a commit changes meanwhile is not seen.
pub(super) async fn load(connection: &mut SqliteConnection, design: DesignId) -> Result<Option<Loaded>> {
    let mut tx = connection.begin().await?;
    let Some((_, now)) = look(&mut tx, &[design]).await?.pop() else { return Ok(None) };
    let snapshot = snapshot(&mut tx, design).await?;
    let folded = snapshot.as_ref().map_or(Seq::ZERO, |(seq, _)| *seq);
    let tail = rows_after(&mut tx, design, folded, i64::MAX).await?;
    let claims = claims::all(&mut tx, design).await?;
    let announced = claims::announced(&mut tx, design).await?;
    let quarantined = quarantine::marks(&mut tx, design).await?;
    tx.commit().await?;
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

pub(super) async fn log_after(
    connection: &mut SqliteConnection,
    design: DesignId,
    after: Seq,
    limit: usize,
) -> Result<Vec<LogRow>> {
    let mut tx = connection.begin().await?;
    let Some(head) = head(&mut tx, design).await? else { return Err(StoreError::NoSuchDesign) };
    let mut rows = rows_after(&mut tx, design, after, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    claims::fill(&mut tx, design, &mut rows).await?;
    let end = rows.last().map_or(after, |row| row.seq);
    if rows.len() < limit && end < head.seq {
        return Err(hole(&mut tx, design, after, end.next()).await);
    }
    tx.commit().await?;
    Ok(rows)
}

/// Oldest first, starting at the successor of `after` and without holes; otherwise `Folded` or `Damaged`. Without their
/// claims.
async fn rows_after(
    tx: &mut SqliteConnection,
    design: DesignId,
    after: Seq,
    limit: i64,
) -> Result<Vec<LogRow>> {
    let found: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT seq, payload FROM design_updates WHERE design_id = ?1 AND ?2 < seq ORDER BY seq LIMIT ?3",
    )
    .bind(id(design.as_u128()))
    .bind(column(after.get()))
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    let mut rows = Vec::with_capacity(found.len());
    let mut expected = after.next();
    for (seq, payload) in found {
        if counter(seq)? != expected.get() {
            return Err(hole(tx, design, after, expected).await);
        }
        rows.push(LogRow { seq: expected, update: Bytes::from(payload), claims: Vec::new() });
        expected = expected.next();
    }
    Ok(rows)
}

/// What is said to a reader of the rows after `after`, of which one is not there. Rows go from the oldest on: only the
/// first can be gone for a good reason.
pub(super) async fn hole(
    tx: &mut SqliteConnection,
    design: DesignId,
    after: Seq,
    missing: Seq,
) -> StoreError {
    match folded(tx, design).await {
        Ok(folded) if missing == after.next() && missing <= folded => StoreError::Folded,
        Ok(_) => lost(design, missing),
        Err(error) => error,
    }
}

fn lost(design: DesignId, missing: Seq) -> StoreError {
    StoreError::Damaged(format!("the log of {design} has no row {missing}"))
}
