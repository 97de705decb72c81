//! Blobs that wait for their store.

use sqlx::postgres::PgConnection;
use time::OffsetDateTime;

use super::folds::hold_design;
use super::values::{column, counter, hash, id, text};
use crate::store::folds::{BacklogBlob, BacklogSize};
use crate::store::{Result, StoreError};

pub(super) async fn add(tx: &mut PgConnection, blob: &BacklogBlob) -> Result<()> {
    let design = blob.design();
    if let Some(design) = design
        && !hold_design(tx, design).await?
    {
        return Err(StoreError::NoSuchDesign);
    }
    sqlx::query(
        "INSERT INTO blob_backlog (prefix, hash, design_id, bytes, created_at, payload)
         VALUES ($1, $2, $3, $4, now(), $5) ON CONFLICT (prefix, hash) DO NOTHING",
    )
    .persistent(false)
    .bind(text(&blob.prefix))
    .bind(&blob.hash[..])
    .bind(design.map(|design| id(design.as_u128())))
    .bind(column(blob.bytes.len() as u64))
    .bind(blob.bytes.as_ref())
    .execute(tx)
    .await?;
    Ok(())
}

/// A payload is read only if it fits.
pub(super) async fn oldest(
    tx: &mut PgConnection,
    after: u64,
    limit: i64,
    bytes: i64,
) -> Result<Vec<(u64, BacklogBlob)>> {
    let found: Vec<(i64, String, Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT id, prefix, hash, payload FROM blob_backlog WHERE id IN
             (SELECT id FROM
                 (SELECT id, sum(bytes) OVER oldest_first AS total, row_number() OVER oldest_first AS nth
                  FROM (SELECT id, bytes FROM blob_backlog WHERE $3 < id ORDER BY id LIMIT $1) AS oldest
                  WINDOW oldest_first AS (ORDER BY id)) AS counted
              WHERE nth = 1 OR total <= $2)
         ORDER BY id",
    )
    .persistent(false)
    .bind(limit)
    .bind(bytes)
    .bind(column(after))
    .fetch_all(tx)
    .await?;
    let blob = |(number, prefix, name, bytes): (_, _, _, Vec<u8>)| {
        Ok((counter(number)?, BacklogBlob { prefix, hash: hash(name)?, bytes: bytes.into() }))
    };
    found.into_iter().map(blob).collect()
}

pub(super) async fn remove(tx: &mut PgConnection, prefix: &str, hash: [u8; 32]) -> Result<()> {
    sqlx::query("DELETE FROM blob_backlog WHERE prefix = $1 AND hash = $2")
        .persistent(false)
        .bind(text(prefix))
        .bind(&hash[..])
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn size(tx: &mut PgConnection) -> Result<BacklogSize> {
    let (blobs, bytes, oldest): (i64, i64, Option<OffsetDateTime>) =
        sqlx::query_as("SELECT count(*), coalesce(sum(bytes), 0)::bigint, min(created_at) FROM blob_backlog")
            .persistent(false)
            .fetch_one(tx)
            .await?;
    Ok(BacklogSize { blobs: counter(blobs)?, bytes: counter(bytes)?, oldest })
}
