//! What a check of the store reads, each in a transaction that sees one moment.

use atlas_crdt::ids::{DesignId, Seq, UserId};
use bytes::Bytes;
use sqlx::postgres::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::log;
use super::values::{counter, hash, id};
use crate::store::folds::{Remains, Segment};
use crate::store::{Result, StoreError};

pub(super) async fn design_ids(
    tx: &mut PgConnection,
    after: Option<DesignId>,
    limit: i64,
) -> Result<Vec<DesignId>> {
    let found: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM designs WHERE $1 IS NULL OR $1 < id ORDER BY id LIMIT $2")
            .persistent(false)
            .bind(after.map(|design| id(design.as_u128())))
            .bind(limit)
            .fetch_all(tx)
            .await?;
    Ok(found.into_iter().map(|design| DesignId::from_u128(design.as_u128())).collect())
}

/// Nothing here asks whether what it reads fits together: that is for the reader to say.
pub(super) async fn remains(tx: &mut PgConnection, design: DesignId) -> Result<Option<Remains>> {
    let row: Option<(Uuid, bool, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT owner_id,
                EXISTS (SELECT FROM design_members WHERE design_id = designs.id AND user_id = owner_id),
                nodes::text, edges::text
         FROM designs WHERE id = $1",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .fetch_optional(&mut *tx)
    .await?;
    let Some((owner, owner_is_member, nodes, edges)) = row else { return Ok(None) };
    let head = log::head(tx, design).await?;
    let head = head.ok_or_else(|| StoreError::Damaged(format!("design {design} has no head")))?;
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT seq, octet_length(payload)::bigint FROM design_updates WHERE design_id = $1 ORDER BY seq",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .fetch_all(&mut *tx)
    .await?;
    let snapshots: Vec<(i64, Vec<u8>, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT seq, payload, hash FROM design_snapshots WHERE design_id = $1 ORDER BY seq")
            .persistent(false)
            .bind(id(design.as_u128()))
            .fetch_all(&mut *tx)
            .await?;
    let segments = segments(tx, design).await?;
    let backlog: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT prefix, hash FROM blob_backlog WHERE design_id = $1 ORDER BY id")
            .persistent(false)
            .bind(id(design.as_u128()))
            .fetch_all(tx)
            .await?;

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

async fn segments(tx: &mut PgConnection, design: DesignId) -> Result<Vec<Segment>> {
    let found: Vec<(i64, i64, Vec<u8>, i64, OffsetDateTime, OffsetDateTime)> = sqlx::query_as(
        "SELECT first_seq, last_seq, hash, bytes, first_at, last_at FROM design_segments
         WHERE design_id = $1 ORDER BY first_seq",
    )
    .persistent(false)
    .bind(id(design.as_u128()))
    .fetch_all(tx)
    .await?;
    let segment = |(first, last, name, bytes, from, to)| {
        let (first, last) = (Seq::new(counter(first)?), Seq::new(counter(last)?));
        Ok(Segment { first, last, hash: hash(name)?, bytes: counter(bytes)?, from, to })
    };
    found.into_iter().map(segment).collect()
}
