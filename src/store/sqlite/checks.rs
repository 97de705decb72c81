//! What a check of the store reads.

use atlas_crdt::ids::{DesignId, Seq, UserId};
use bytes::Bytes;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::log;
use super::values::{counter, hash, id, instant};
use crate::store::folds::{Remains, Segment};
use crate::store::{Result, StoreError};

pub(super) async fn design_ids(
    connection: &mut SqliteConnection,
    after: Option<DesignId>,
    limit: i64,
) -> Result<Vec<DesignId>> {
    // Empty is before every id.
    let after = after.map_or_else(Vec::new, |design| design.to_bytes().to_vec());
    let found: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM designs WHERE ?1 < id ORDER BY id LIMIT ?2")
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(found.into_iter().map(|design| DesignId::from_u128(design.as_u128())).collect())
}

/// Nothing here asks whether what it reads fits together: that is for the reader to say.
pub(super) async fn remains(connection: &mut SqliteConnection, design: DesignId) -> Result<Option<Remains>> {
    let mut tx = connection.begin().await?;
    let row: Option<(Uuid, bool, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT owner_id,
                EXISTS (SELECT 1 FROM design_members WHERE design_id = designs.id AND user_id = owner_id),
                nodes, edges
         FROM designs WHERE id = ?1",
    )
    .bind(id(design.as_u128()))
    .fetch_optional(&mut *tx)
    .await?;
    let Some((owner, owner_is_member, nodes, edges)) = row else { return Ok(None) };
    let head = log::head(&mut tx, design).await?;
    let head = head.ok_or_else(|| StoreError::Damaged(format!("design {design} has no head")))?;
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT seq, length(payload) FROM design_updates WHERE design_id = ?1 ORDER BY seq")
            .bind(id(design.as_u128()))
            .fetch_all(&mut *tx)
            .await?;
    let snapshots: Vec<(i64, Vec<u8>, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT seq, payload, hash FROM design_snapshots WHERE design_id = ?1 ORDER BY seq")
            .bind(id(design.as_u128()))
            .fetch_all(&mut *tx)
            .await?;
    let segments = segments(&mut tx, design).await?;
    let backlog: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT prefix, hash FROM blob_backlog WHERE design_id = ?1 ORDER BY id")
            .bind(id(design.as_u128()))
            .fetch_all(&mut *tx)
            .await?;
    tx.commit().await?;

    let row = |(seq, size)| Ok((Seq::new(counter(seq)?), counter(size)?));
    let snapshot = |(seq, payload, name): (_, _, Option<Vec<u8>>)| {
        Ok((Seq::new(counter(seq)?), Bytes::from(payload), name.map(hash).transpose()?))
    };
    Ok(Some(Remains {
        generation: head.generation,
        head: head.seq,
        rows: rows.into_iter().map(row).collect::<Result<_>>()?,
        snapshots: snapshots.into_iter().map(snapshot).collect::<Result<_>>()?,
        segments,
        backlog: backlog
            .into_iter()
            .map(|(prefix, name)| Ok((prefix, hash(name)?)))
            .collect::<Result<_>>()?,
        owner: UserId::from_u128(owner.as_u128()),
        owner_is_member,
        columns: nodes.zip(edges),
    }))
}

async fn segments(tx: &mut SqliteConnection, design: DesignId) -> Result<Vec<Segment>> {
    let found: Vec<(i64, i64, Vec<u8>, i64, i64, i64)> = sqlx::query_as(
        "SELECT first_seq, last_seq, hash, bytes, first_at, last_at FROM design_segments
         WHERE design_id = ?1 ORDER BY first_seq",
    )
    .bind(id(design.as_u128()))
    .fetch_all(tx)
    .await?;
    let segment = |(first, last, name, bytes, from, to)| {
        Ok(Segment {
            first: Seq::new(counter(first)?),
            last: Seq::new(counter(last)?),
            hash: hash(name)?,
            bytes: counter(bytes)?,
            from: instant(from)?,
            to: instant(to)?,
        })
    };
    found.into_iter().map(segment).collect()
}
